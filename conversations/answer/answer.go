// Package answer reads a person's yes or no.
//
// It knows a table of phrases (words.tsv, data) and the forms of an item list,
// and nothing else: not which prompt was asked, not who answers, not whether
// anything is open. A message is an answer only as a whole: one line, equal to
// a phrase of the table or purely a list of numbers. There is no search inside
// a text, so "no, don't approve" and "north" are no answers, and a word added
// to a yes never stays a yes.
package answer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Kind says what an answer answers.
type Kind int

const (
	None    Kind = iota // not an answer
	Yes                 // yes to everything asked
	No                  // no to everything asked
	Items               // yes to the listed items
	NoItems             // no to the listed items
)

// String names the kind for logs and tests.
func (k Kind) String() string {
	switch k {
	case Yes:
		return "yes"
	case No:
		return "no"
	case Items:
		return "items"
	case NoItems:
		return "no-items"
	}
	return "none"
}

// Answer is what a message says. Items counts from 1, sorted, without repeats,
// and is empty unless Kind is Items or NoItems.
type Answer struct {
	Kind  Kind
	Items []int
}

// limit is the longest text, in bytes, that can be an answer; the rest is not
// even looked at. A list of 1 to 99 takes less than half of it.
const limit = 1024

// listable is how many items Looks allows for.
const listable = 99

// Read reads text as the answer to a prompt with count numbered items. A number
// outside 1..count makes the whole text no answer. Words do not depend on
// count. Read never fails; what it does not know is None.
//
// Before the comparison the text is trimmed of Unicode white space, put in NFC,
// case-folded, and loses a final run of '.', '!' and ',' and one pair of quotes
// around it (the run may stand inside or outside of the quotes). A line break, a
// control or invisible character, or bytes that are not UTF-8, make it None:
// they are not dropped silently.
func Read(text string, count int) Answer {
	phrase, ok := reduce(text)
	if !ok {
		return Answer{}
	}
	if kind, ok := table()[phrase]; ok {
		return Answer{Kind: kind}
	}
	kind := Items
	if rest, ok := strings.CutPrefix(phrase, "no "); ok {
		kind, phrase = NoItems, strings.TrimLeft(rest, " ")
	}
	if items, ok := list(phrase, count); ok {
		return Answer{Kind: kind, Items: items}
	}
	return Answer{}
}

// Looks says whether text reads as an answer to some prompt of up to 99 items.
// It is for the message right after a prompt whose hold is not known: such an
// answer must never reach the model.
func Looks(text string) bool { return Read(text, listable).Kind != None }

// reduce brings a message into the form of the table, or says that it cannot be
// an answer.
func reduce(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > limit || !utf8.ValidString(text) {
		return "", false
	}
	for _, r := range text {
		if r == '?' || unseen(r) {
			return "", false
		}
	}
	text = fold(text)
	text = trimFinal(text)
	text = unquote(text)
	text = trimFinal(text)
	return text, text != ""
}

// fold is NFC and full Unicode case folding; NFC again, because folding can
// leave a text that is not composed.
func fold(s string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}

// trimFinal takes off a final run of '.', '!' and ',', with white space before
// and between ("oui !").
func trimFinal(s string) string {
	return strings.TrimSpace(strings.TrimRightFunc(s, func(r rune) bool {
		return r == '.' || r == '!' || r == ',' || unicode.IsSpace(r)
	}))
}

// quotes are the pairs that may stand around an answer, one of them once.
var quotes = [...][2]string{
	{`"`, `"`}, {`'`, `'`}, {"`", "`"},
	{"“", "”"}, {"‘", "’"}, {"„", "“"}, {"„", "”"}, {"«", "»"},
}

func unquote(s string) string {
	for _, q := range quotes {
		if len(s) > len(q[0])+len(q[1]) && strings.HasPrefix(s, q[0]) && strings.HasSuffix(s, q[1]) {
			return strings.TrimSpace(s[len(q[0]) : len(s)-len(q[1])])
		}
	}
	return s
}

// unseen are the characters that a person does not see in a message: controls
// and line breaks, formats (zero-width, bidi, tags), private and unassigned
// ones, fillers and variation selectors.
func unseen(r rune) bool {
	switch {
	case r < 0x20, r == 0x7f:
		return true
	case r < 0x7f:
		return false
	}
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) ||
		(!unicode.IsGraphic(r) && !unicode.IsSpace(r))
}
