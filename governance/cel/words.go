package cel

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// fromUser: x stands in the requester's own words.
//
// A string must stand there whole: same letters after NFC and case folding, runs
// of white space counting as one blank, and not as a part of a longer word,
// number, address or path ("45" is not in "456" or "45.5", nor "x.com" in
// "a@x.com"). A number must stand there by value in one of the usual spellings:
// 1000.5, 1,000.50, $1,000.50. Everything else is an error.
func (a *activation) fromUser(_ string, args ...ref.Val) ref.Val {
	t := a.turn()
	if t.words == nil {
		t.words = &words{texts: a.in.Facts.UserTexts}
	}
	switch x := args[0].(type) {
	case types.String:
		return types.Bool(t.words.hold(string(x)))
	case types.Int:
		return types.Bool(t.words.holdNumber(strconv.FormatInt(int64(x), 10)))
	case types.Uint:
		return types.Bool(t.words.holdNumber(strconv.FormatUint(uint64(x), 10)))
	case types.Double:
		if math.IsInf(float64(x), 0) || math.IsNaN(float64(x)) {
			return types.False
		}
		return types.Bool(t.words.holdNumber(strconv.FormatFloat(float64(x), 'f', -1, 64)))
	case *types.Err, *types.Unknown:
		return args[0]
	}
	return types.NewErr("from_user takes a string or a number, not a %s", args[0].Type().TypeName())
}

// words are the requester's texts, each folded when it is first looked into.
type words struct {
	texts  []string // the newest last
	folded [][]byte // the newest first, nil where not looked into
	room   []byte   // for texts to come
}

// roomForTexts is how much room is made at a time, in bytes.
const roomForTexts = 2 << 10

// anywhere asks holds of the texts that contain part, the newest first. A text
// without the anchor is not even folded.
func (w *words) anywhere(anchor, part string, holds func(folded string) bool) bool {
	for i := range w.texts {
		text := w.texts[len(w.texts)-1-i]
		if !strings.Contains(text, anchor) {
			continue
		}
		for len(w.folded) <= i {
			w.folded = append(w.folded, nil)
		}
		if w.folded[i] == nil {
			if cap(w.room)-len(w.room) < len(text) {
				w.room = make([]byte, 0, max(len(text), roomForTexts))
			}
			start := len(w.room)
			w.room = appendFolded(w.room, text)
			w.folded[i] = w.room[start:len(w.room):len(w.room)]
		}
		if bytes.Contains(w.folded[i], []byte(part)) && holds(string(w.folded[i])) {
			return true
		}
	}
	return false
}

// unfolded are characters that nothing else is folded into.
const unfolded = "0123456789@._-/:+#"

// anchor is the longest run of unfolded characters in what is sought: no text
// without it can hold the whole.
func anchor(folded string) string {
	longest := ""
	for start, i := 0, 0; i <= len(folded); i++ {
		if i < len(folded) && strings.IndexByte(unfolded, folded[i]) >= 0 {
			continue
		}
		if i-start > len(longest) {
			longest = folded[start:i]
		}
		start = i + 1
	}
	return longest
}

// appendFolded brings texts that read alike into one form: NFC, case folded, runs
// of white space as one blank and none at the ends.
func appendFolded(room []byte, s string) []byte {
	start := len(room)
	room = append(room, s...)
	seen, before := asciiBlank, asciiBlank // a blank at the beginning is one too many
	for i, c := range room[start:] {
		a := ascii[c]
		room[start+i] = a.folded
		seen |= a.is | a.is&before<<1
		before = a.is
	}
	switch {
	case seen&notASCII != 0:
		s = norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
	case (seen|before<<1)&asciiSpaces == 0:
		return room
	default:
		s = string(room[start:])
	}
	return append(room[:start], strings.Join(strings.Fields(s), " ")...)
}

const (
	asciiBlank  uint8 = 1 << iota // the blank
	asciiSpaces                   // other white space, or one blank too many
	notASCII
)

// ascii folds single bytes and says what they are.
var ascii = func() (table [256]struct{ folded, is uint8 }) {
	for i := range table {
		c := uint8(i)
		table[i].folded = c
		switch {
		case c == ' ':
			table[i].is = asciiBlank
		case c >= '\t' && c <= '\r':
			table[i].is = asciiSpaces
		case c >= 'A' && c <= 'Z':
			table[i].folded = c + 'a' - 'A'
		case c >= utf8.RuneSelf:
			table[i].is = notASCII
		}
	}
	return table
}()

func (w *words) hold(x string) bool {
	x = string(appendFolded(nil, x))
	return x != "" && w.anywhere(anchor(x), x, func(text string) bool { return holdsWord(text, x) })
}

// holdsWord: x stands in the text by itself.
func holdsWord(text, x string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], x)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(x)
		if endsHere(text[:start], x) && startsHere(x, text[end:]) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		from = start + size
	}
}

// connectors hold a longer word together when they stand between letters or
// digits: addresses, paths, hyphenated words, decimals, times.
func connects(r rune, number bool) bool {
	switch r {
	case '.', '@', '-', '_', '/', '+', '\\', '%', '&', '=', '~':
		return true
	case ',', ':', '\'':
		return number
	}
	return false
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// endsHere: what stands before x is not the beginning of the same word.
func endsHere(before, x string) bool {
	first, _ := utf8.DecodeRuneInString(x)
	last, size := utf8.DecodeLastRuneInString(before)
	if size == 0 {
		return true
	}
	if wordRune(last) {
		return !wordRune(first) && !connects(first, true)
	}
	if !wordRune(first) {
		return true
	}
	beyond, size := utf8.DecodeLastRuneInString(before[:len(before)-size])
	if last == '-' && unicode.IsDigit(first) && (size == 0 || !wordRune(beyond)) {
		return false // a minus sign
	}
	if last == '.' && unicode.IsDigit(first) {
		return false // .5
	}
	return size == 0 || !connects(last, unicode.IsDigit(first) && unicode.IsDigit(beyond)) || !wordRune(beyond) || last == '=' || last == '&'
}

// startsHere: what stands behind x is not the rest of the same word.
func startsHere(x, after string) bool {
	last, _ := utf8.DecodeLastRuneInString(x)
	next, size := utf8.DecodeRuneInString(after)
	if size == 0 {
		return true
	}
	if wordRune(next) {
		return !wordRune(last) && !connects(last, true)
	}
	if !wordRune(last) {
		return true
	}
	beyond, beyondSize := utf8.DecodeRuneInString(after[size:])
	return beyondSize == 0 || !connects(next, unicode.IsDigit(last) && unicode.IsDigit(beyond)) || !wordRune(beyond) || next == '&'
}

func (w *words) holdNumber(x string) bool {
	x = plainNumber(x)
	whole, _, _ := strings.Cut(strings.TrimPrefix(x, "-"), ".")
	// Digits are grouped by threes from the right, so the last ones stand together.
	last := whole[max(0, len(whole)-3):]
	return w.anywhere(last, last, func(text string) bool { return holdsNumber(text, x) })
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
		if !ok || plainNumber(number) != x || !numberEnds(text[i:]) {
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
// three makes it no number.
func ungroup(s string) (string, bool) {
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
