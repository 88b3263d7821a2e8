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
// "a@x.com"). In names accents do not count, a date like 2026-03-05 may be spelled
// in another way (words_dates.go), and a text that is an amount is compared by its
// value. A number must stand there by value in one of the usual spellings: 1000.5,
// 1,000.50, $1,000.50, 1.000,50, 1k. Everything else is an error.
func (a *activation) fromUser(_ string, args ...ref.Val) ref.Val {
	said := a.userWords().holdValue("from_user", args[0])
	if said == types.False && a.in.Unsupplied.Words {
		return unsupplied("from_user")
	}
	return said
}

// unsupplied stands for what depends on a fact that nobody gave.
func unsupplied(function string) ref.Val {
	return types.NewUnknown(0, types.NewAttributeTrail(function))
}

func (a *activation) userWords() *words {
	t := a.turn()
	if t.words == nil {
		t.words = &words{texts: a.in.Facts.UserTexts}
	}
	return t.words
}

// holdValue says whether a value stands in the texts; function is who asks.
func (w *words) holdValue(function string, x ref.Val) ref.Val {
	switch v := x.(type) {
	case types.String:
		return types.Bool(w.hold(string(v)))
	case types.Int:
		return types.Bool(w.holdNumber(strconv.FormatInt(int64(v), 10)))
	case types.Uint:
		return types.Bool(w.holdNumber(strconv.FormatUint(uint64(v), 10)))
	case types.Double:
		if math.IsInf(float64(v), 0) || math.IsNaN(float64(v)) {
			return types.False
		}
		return types.Bool(w.holdNumber(strconv.FormatFloat(float64(v), 'f', -1, 64)))
	case *types.Err, *types.Unknown:
		return x
	}
	return types.NewErr("%s takes a string or a number, not a %s", function, x.Type().TypeName())
}

// words are texts, of the requester or of a result, each folded when it is first looked into.
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
	switch {
	case x == "":
		return false
	case w.anywhere(anchor(x), x, func(text string) bool { return holdsWord(text, x) }):
		return true
	case looksLikeDate(x):
		return w.holdDate(x)
	case isName(x):
		return w.holdName(x)
	}
	number, ok := writtenNumber(x)
	return ok && w.holdNumber(number)
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
