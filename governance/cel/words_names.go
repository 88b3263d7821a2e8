package cel

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// isName: letters with blanks, hyphens and apostrophes between, as names of people
// and places are. Addresses, paths and ids are none: there an accent is another
// address.
func isName(x string) bool {
	letters := false
	for _, r := range x {
		switch {
		case unicode.IsLetter(r):
			letters = true
		case unicode.IsMark(r), r == ' ', r == '-', r == '\'', r == '’':
		default:
			return false
		}
	}
	return letters
}

// strokes are letters whose stroke or ligature is no mark that can be taken off.
var strokes = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "æ", "ae", "œ", "oe", "ı", "i", "’", "'")

// unaccented takes the accents off folded text.
func unaccented(s string) string {
	if isASCII(s) {
		return s
	}
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(s))
	return strokes.Replace(s)
}

// isASCII looks at eight bytes at a time: it is asked of every message.
func isASCII(s string) bool {
	for ; len(s) >= 8; s = s[8:] {
		if (uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
			uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56)&0x8080808080808080 != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// holdName: a folded name stands in one of the texts but for its accents.
func (w *words) holdName(x string) bool {
	plain := unaccented(x)
	for i := range w.texts {
		text := w.texts[len(w.texts)-1-i]
		if plain == x && isASCII(text) {
			continue // it was looked for as it is
		}
		if holdsWord(unaccented(string(appendFolded(nil, text))), plain) {
			return true
		}
	}
	return false
}
