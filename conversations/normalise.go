package conversations

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Normalise brings a message into the form in which prompts and histories are
// compared, so that what a client trimmed, re-escaped or re-wrapped still
// matches. In this order: bytes that are not UTF-8 become U+FFFD; CRLF and CR
// become LF; markdown escapes go (dropEscapes); NFC; reasoning blocks go
// (dropReasoning); every run of white space becomes one blank; trimmed.
//
// It is total, takes linear time and is idempotent. Texts that differ only in
// the above become equal: the result identifies, it is never shown or sent.
func Normalise(s string) string {
	return collapse(dropReasoning(unescaped(s)))
}

// Fingerprint is the hex SHA-256 of the parts, each preceded by its length, so
// that no two lists of parts share one by moving a boundary.
func Fingerprint(parts ...string) string {
	h := sha256.New()
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unescaped is the part of Normalise that keeps lines.
func unescaped(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(s, "\r\n", "\n")
		s = strings.ReplaceAll(s, "\r", "\n")
	}
	s = dropEscapes(s)
	if !norm.NFC.IsNormalString(s) {
		// Escapes go first, because NFC joins punctuation with a mark behind it, and
		// once more, because it turns a few characters into punctuation.
		s = dropEscapes(norm.NFC.String(s))
	}
	return s
}

// dropEscapes takes away every backslash that stands before ASCII punctuation,
// another backslash included, or before white space or the end (a hard break).
// That is more than one level of unescaping on purpose: a text is equal to itself
// escaped any number of times.
func dropEscapes(s string) string {
	next := strings.IndexByte(s, '\\')
	if next < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for next >= 0 {
		b.WriteString(s[:next])
		s = s[next+1:]
		if r, _ := utf8.DecodeRuneInString(s); s != "" && !unicode.IsSpace(r) && (r > 0x7f || !isPunctuation(byte(r))) {
			b.WriteByte('\\')
		}
		next = strings.IndexByte(s, '\\')
	}
	b.WriteString(s)
	return b.String()
}

func isPunctuation(c byte) bool {
	return '!' <= c && c <= '/' || ':' <= c && c <= '@' || '[' <= c && c <= '`' || '{' <= c && c <= '~'
}

// collapse trims and turns runs of white space (NBSP and the like included)
// into one blank.
func collapse(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for word := range strings.FieldsSeq(s) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}

// collapseLines does so within lines and keeps one line end between lines that
// are not blank.
func collapseLines(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for line := range strings.SplitSeq(s, "\n") {
		gap := byte('\n')
		for word := range strings.FieldsSeq(line) {
			if b.Len() > 0 {
				b.WriteByte(gap)
			}
			gap = ' '
			b.WriteString(word)
		}
	}
	return b.String()
}
