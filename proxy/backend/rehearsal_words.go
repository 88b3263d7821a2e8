package backend

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

type wordKind int

const (
	plainWord wordKind = iota
	numberWord
	moneyWord
	percentWord
	codeWord // letters and digits: ORD-456
	emailWord
	urlWord
	dateWord
	quotedWord
)

// word is a piece of the user's message that may be a value.
type word struct {
	kind   wordKind
	value  string // the text as a value: a quoted word without its quotes
	number string // a JSON number, for numbers, money and percentages
	stem   string // plain words only
	clause int    // which part of the message it stands in
	start  int    // byte offsets in the message
	end    int
	// capital: a plain word that is written with a capital, and not because a
	// sentence begins.
	capital bool
}

// wordLimit is how much of a long message is taken apart, in words: choosing and
// filling go over all of them many times.
const wordLimit = 2000

// words is a message taken apart.
type words struct {
	text  string
	list  []word
	asked bool // it is a question that asks for no action: what, how, why …
}

var wordForm = regexp.MustCompile("" +
	"(\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|`[^`\n]{1,400}`)" + // 1 quoted
	`|(https?://[^\s<>"]+)` + // 2 address
	`|([\w.+-]+@[\w-]+(?:\.[\w-]+)+)` + // 3 mail
	`|(\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})?)?)` + // 4 date
	`|([$€£¥]\s?\d[\d,]*(?:\.\d+)?)` + // 5 money
	`|(\p{L}+[-_]?\d[\w-]*|\d+[-_]?\p{L}[\w-]*|\d+(?:-\d+)+)` + // 6 code
	`|((?:^|\s)-)?(\d+(?:,\d{3})*(?:\.\d+)?)(\s?%)?` + // 7, 8, 9 number
	`|(\p{L}[\p{L}\p{M}]*(?:['’]\p{L}+)?)` + // 10 word
	`|([.;!?:](?:\s|$)|\n)` + // 11 end of a clause
	`|(,)`) // 12

// clauseStarts are words that begin another part of a message.
var clauseStarts = map[string]bool{"and": true, "then": true}

var currencies = map[string]bool{
	"dollar": true, "usd": true, "eur": true, "euro": true, "pound": true, "gbp": true, "buck": true, "chf": true,
}

func readWords(text string) words {
	w := words{text: text}
	clause, fresh := 0, true // fresh: a sentence begins here
	for _, m := range wordForm.FindAllStringSubmatchIndex(text, wordLimit) {
		at := func(group int) string {
			if m[2*group] < 0 {
				return ""
			}
			return text[m[2*group]:m[2*group+1]]
		}
		next := word{value: text[m[0]:m[1]], clause: clause, start: m[0], end: m[1]}
		switch {
		case at(1) != "":
			_, size := utf8.DecodeRuneInString(next.value)
			_, last := utf8.DecodeLastRuneInString(next.value)
			next.kind, next.value = quotedWord, next.value[size:len(next.value)-last]
		case at(2) != "":
			next.kind, next.value = urlWord, strings.TrimRight(next.value, ".,;:!?)")
		case at(3) != "":
			next.kind = emailWord
		case at(4) != "":
			next.kind = dateWord
		case at(5) != "":
			next.kind = moneyWord
			next.value = strings.TrimLeftFunc(next.value, func(r rune) bool { return !unicode.IsDigit(r) })
			next.number = jsonNumber(next.value)
		case at(6) != "":
			next.kind = codeWord
		case at(8) != "":
			next.kind, next.value = numberWord, at(8)
			next.start, next.end = m[16], m[17]
			next.number = jsonNumber(next.value)
			if at(7) != "" {
				next.value, next.number = "-"+next.value, "-"+next.number
			}
			if at(9) != "" {
				next.kind = percentWord
			}
		case at(10) != "":
			next.stem = stem(next.value)
			first, _ := utf8.DecodeRuneInString(next.value)
			next.capital = !fresh && unicode.IsUpper(first)
			if clauseStarts[strings.ToLower(next.value)] {
				clause++
				next.clause = clause
			}
			if len(w.list) > 0 && currencies[next.stem] && w.list[len(w.list)-1].kind == numberWord {
				w.list[len(w.list)-1].kind = moneyWord
			}
		default:
			clause++
			fresh = at(11) != ""
			continue
		}
		fresh = false
		w.list = append(w.list, next)
	}
	w.asked = len(w.list) > 0 && questions[strings.ToLower(w.list[0].value)]
	return w
}

var questions = map[string]bool{
	"what": true, "what's": true, "how": true, "why": true, "who": true, "when": true, "where": true, "which": true,
}

// jsonNumber spells a number as JSON wants it, digit for digit.
func jsonNumber(text string) string {
	text = strings.ReplaceAll(text, ",", "")
	text = strings.TrimLeft(text, "0")
	if text == "" || text[0] == '.' {
		text = "0" + text
	}
	return text
}

// synonyms lead to the word that tools are usually named with. Both sides are stems.
var synonyms = map[string]string{
	"remov": "delet", "eras": "delet", "mail": "email", "reimburs": "refund", "forecast": "weather",
	"temperatur": "weather", "find": "search", "lookup": "search", "bill": "invoic", "purchas": "buy",
}

// stem cuts an English word down to what its forms share. It is meant to be the
// same for "refund", "refunds", "refunded" and "refunding", no more.
func stem(text string) string {
	text = strings.ToLower(text)
	for _, own := range []string{"'s", "’s"} {
		text = strings.TrimSuffix(text, own)
	}
	switch {
	case len(text) > 4 && strings.HasSuffix(text, "ies"):
		text = text[:len(text)-3] + "y"
	case len(text) > 3 && strings.HasSuffix(text, "s") && !strings.HasSuffix(text, "ss") && !strings.HasSuffix(text, "us"):
		text = text[:len(text)-1]
	}
	for _, ending := range []string{"ing", "ion", "ment", "ed"} {
		if len(text)-len(ending) >= 3 && strings.HasSuffix(text, ending) {
			text = text[:len(text)-len(ending)]
			if n := len(text); n > 3 && text[n-1] == text[n-2] && text[n-1] != 's' {
				text = text[:n-1]
			}
			break
		}
	}
	if len(text) > 3 {
		text = strings.TrimSuffix(text, "e")
	}
	if known, ok := synonyms[text]; ok {
		return known
	}
	return text
}

// alike tells whether two stems are of one word: equal, or one longer by an ending.
func alike(a, b string) bool {
	if a == b {
		return a != ""
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= 5 && len(b)-len(a) <= 3 && strings.HasPrefix(b, a)
}

// nameStems takes a tool's or an argument's name apart: snake_case, camelCase,
// dotted and spaced.
func nameStems(name string) []string {
	var out []string
	start := 0
	cut := func(end int) {
		if end > start {
			out = append(out, stem(name[start:end]))
		}
	}
	var before rune
	for i, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			cut(i)
			start = i + utf8.RuneLen(r)
			if r == utf8.RuneError {
				start = i + 1
			}
		case unicode.IsUpper(r) && unicode.IsLower(before):
			cut(i)
			start = i
		}
		before = r
	}
	cut(len(name))
	return out
}
