package rule

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// money reads the figure behind a currency sign.
func (s *scanner) money(currency string, sign int) {
	value, written := readFigure(strings.TrimLeft(s.text[s.at+sign:], " "))
	length := sign + strings.Index(s.text[s.at+sign:], written) + len(written)
	if value == "" || startsWord(s.text[s.at+length:]) {
		s.reject(sign + len(numberLike.FindString(s.text[s.at+sign:])))
		return
	}
	s.emit("Money", currency+" "+value, length)
}

// sign reads a comparison that is written as one: >, >=, <, <=, =.
func (s *scanner) sign(rest string) {
	length := len(rest) - len(strings.TrimLeft(rest, "<>=≤≥"))
	e, known := phrases[rest[:length]]
	if !known {
		s.reject(length)
		return
	}
	s.emit(e.class, e.value, length)
}

// number reads a time of day, or a figure with the unit behind it.
func (s *scanner) number(rest string) {
	if minute, written := readClock(rest); written != "" {
		s.emit("Clock", strconv.Itoa(minute), len(written))
		return
	}
	value, written := readFigure(rest)
	if value == "" || startsWord(rest[len(written):]) {
		s.reject(len(numberLike.FindString(rest)))
		return
	}
	if apart := spacedDigits.FindString(rest[len(written):]); apart != "" {
		s.reject(len(written) + len(apart)) // "1 000" is no number that everybody reads alike
		return
	}
	if sign, size := utf8.DecodeRuneInString(rest[len(written):]); currencySigns[sign] != "" && !startsNumber(rest[len(written)+size:]) {
		s.emit("Money", currencySigns[sign]+" "+value, len(written)+size)
		return
	}
	behind := s.plain[s.at+len(written):]
	blanks := len(behind) - len(strings.TrimLeft(behind, " "))
	if e, length := s.phrase(s.at + len(written) + blanks); e.class == "Unit" {
		s.emit("Money", e.value+" "+value, len(written)+blanks+length)
		return
	}
	s.emit("Figure", value, len(written))
}

// unitBefore reads "USD 100" and "EUR 1,000.50".
func (s *scanner) unitBefore(e entry, length int) bool {
	value, written := readFigure(strings.TrimLeft(s.text[s.at+length:], " "))
	if value == "" || e.value == "cents" {
		return false
	}
	whole := length + strings.Index(s.text[s.at+length:], written) + len(written)
	if startsWord(s.text[s.at+whole:]) {
		return false
	}
	s.emit("Money", e.value+" "+value, whole)
	return true
}

// startsAmount: a figure comes next, with or without a currency.
func startsAmount(text string) bool {
	text = strings.TrimLeft(text, " ")
	r, size := utf8.DecodeRuneInString(text)
	if currencySigns[r] != "" {
		text = strings.TrimLeft(text[size:], " ")
	}
	return startsNumber(text)
}

func startsNumber(text string) bool { return text != "" && text[0] >= '0' && text[0] <= '9' }

// numberLike is as much of a number that is none as is shown.
var numberLike = regexp.MustCompile(`^(?:[\p{L}\p{N}]+(?:[.,:][\p{L}\p{N}]+)*)?`)
