package cel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// holdNumber: the number stands in one of the texts by its value.
func (w *words) holdNumber(x string) bool {
	x = plainNumber(x)
	whole, _, _ := strings.Cut(strings.TrimPrefix(x, "-"), ".")
	// Digits are grouped by threes from the right, so the last ones stand together.
	last := whole[max(0, len(whole)-3):]
	if w.anywhere(last, last, func(text string) bool { return holdsNumber(text, x) }) {
		return true
	}
	// 2k, 0.5k and 2 thousand have other digits.
	if len(whole) < 3 {
		return false
	}
	for _, text := range w.texts {
		if scaled(text) && holdsNumber(string(appendFolded(nil, text)), x) {
			return true
		}
	}
	return false
}

// scales are what may stand behind a number to multiply it, and by how many tens.
var scales = []struct {
	word string
	tens int
}{{"k", 3}, {"thousand", 3}, {"million", 6}}

// scaled says, quickly, whether a text may hold a number with a scale.
func scaled(text string) bool {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case 'k', 'K', 't', 'T', 'm', 'M':
			if c := text[i-1]; c >= '0' && c <= '9' || c == ' ' && i > 1 && text[i-2] >= '0' && text[i-2] <= '9' {
				return true
			}
		}
	}
	return false
}

// scale reads what multiplies a number: its words and how many tens, 0 if none.
func scale(after string) (rest string, tens int) {
	for _, s := range scales {
		word := strings.TrimPrefix(after, " ")
		if s.word == "k" {
			word = after // "5 k" is no number
		}
		rest, ok := strings.CutPrefix(word, s.word)
		if r, n := utf8.DecodeRuneInString(rest); ok && (n == 0 || !wordRune(r)) {
			return rest, s.tens
		}
	}
	return after, 0
}

// shift multiplies a plain number by tens.
func shift(x string, tens int) string {
	whole, fraction, _ := strings.Cut(x, ".")
	for ; tens > 0; tens-- {
		digit := "0"
		if fraction != "" {
			digit, fraction = fraction[:1], fraction[1:]
		}
		whole += digit
	}
	return plainNumber(whole + "." + fraction)
}

// writtenNumber reads a text that is an amount and nothing else: $1,000.50. A
// number that begins with zeros is an id.
func writtenNumber(x string) (string, bool) {
	x = strings.TrimFunc(x, func(r rune) bool { return currency(r) || r == ' ' })
	if x == "" || x[0] == '0' && len(x) > 1 && x[1] != '.' {
		return "", false
	}
	for i := range len(x) {
		if (x[i] < '0' || x[i] > '9') && x[i] != '.' && x[i] != ',' {
			return "", false
		}
	}
	if x[0] == '.' || x[0] == ',' || x[len(x)-1] == '.' || x[len(x)-1] == ',' {
		return "", false
	}
	return ungroup(x)
}

// holdsNumber: a number of this value, as plainNumber writes it, stands in the
// text by itself.
func holdsNumber(text, x string) bool {
	x, wantNegative := strings.CutPrefix(x, "-")
	for i := 0; i < len(text); {
		if text[i] < '0' || text[i] > '9' {
			i++
			continue
		}
		start := i
		for i < len(text) && (text[i] >= '0' && text[i] <= '9' || (text[i] == ',' || text[i] == '.') && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9') {
			i++
		}
		number, ok := ungroup(text[start:i])
		rest, tens := scale(text[i:])
		if !ok || shift(number, tens) != x || !numberEnds(rest) {
			continue
		}
		before := strings.TrimRightFunc(text[:start], currency)
		negative := false
		if r, size := utf8.DecodeLastRuneInString(before); r == '-' || r == '−' {
			rest := strings.TrimRightFunc(before[:len(before)-size], currency)
			if p, n := utf8.DecodeLastRuneInString(rest); n > 0 && !unicode.IsSpace(p) && p != '(' {
				continue // 5-10, a-1
			}
			negative = true
		} else if size > 0 && (wordRune(r) && !currencyWord(before) || r == '.' || connects(r, true) && r != '=' && joined(before, size)) {
			continue
		}
		if negative == wantNegative || x == "0" {
			return true
		}
	}
	return false
}

// joined: a letter or digit stands before the last rune of s.
func joined(s string, size int) bool {
	r, n := utf8.DecodeLastRuneInString(s[:len(s)-size])
	return n > 0 && wordRune(r)
}

// numberEnds: what follows is not more of the same word.
func numberEnds(after string) bool {
	if strings.HasPrefix(after, "%") {
		return true
	}
	after = strings.TrimLeftFunc(after, currency)
	r, size := utf8.DecodeRuneInString(after)
	if size == 0 {
		return true
	}
	if wordRune(r) {
		return false
	}
	next, n := utf8.DecodeRuneInString(after[size:])
	return n == 0 || !connects(r, true) || !wordRune(next) || r == ',' && !unicode.IsDigit(next)
}

func currency(r rune) bool { return unicode.Is(unicode.Sc, r) }

// currencyWord: US$, CA$ and the like end in a sign that has been cut already, so
// the letters left are at most three and stand by themselves.
func currencyWord(s string) bool {
	i := strings.LastIndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	word := s[i+1:]
	switch word {
	case "us", "ca", "au", "nz", "hk", "sg", "usd", "eur", "gbp":
		return true
	}
	return false
}

// ungroup takes the commas out of 1,000,000.50; a comma that does not group by
// three makes it no number, unless it cannot be but the decimal comma: 1.000,50 and
// 1000,50.
func ungroup(s string) (string, bool) {
	if whole, cents, comma := strings.Cut(s, ","); comma && len(cents) == 2 {
		groups := strings.Split(whole, ".")
		for _, g := range groups[1:] {
			if len(g) != 3 {
				return "", false
			}
		}
		if len(groups) > 1 && (len(groups[0]) > 3 || groups[0] == "0") {
			return "", false
		}
		return strings.Join(groups, "") + "." + cents, true
	}
	whole, fraction, point := strings.Cut(s, ".")
	if point && strings.ContainsAny(fraction, ".,") {
		return "", false
	}
	if !strings.Contains(whole, ",") {
		return s, true
	}
	groups := strings.Split(whole, ",")
	if len(groups[0]) > 3 || groups[0] == "0" {
		return "", false
	}
	for _, g := range groups[1:] {
		if len(g) != 3 {
			return "", false
		}
	}
	whole = strings.Join(groups, "")
	if point {
		return whole + "." + fraction, true
	}
	return whole, true
}

// plainNumber is one spelling for each decimal value.
func plainNumber(s string) string {
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	whole, fraction, _ := strings.Cut(s, ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative && whole != "0" {
		whole = "-" + whole
	}
	return whole
}
