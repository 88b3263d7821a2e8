package conversations

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what a prompt shows of one value, in bytes of shown text. A longer
// value loses its middle and gains a line with its length and digest.
const (
	shownLimit = 8 << 10
	shownHead  = 6 << 10
	shownTail  = 2 << 10
)

// shownDepth is the nesting up to which JSON is indented; deeper JSON is shown
// as it was stored, because indentation grows with the square of the depth.
const shownDepth = 32

// Shown is a text that somebody else wrote, made fit to show: hidden characters
// as escapes such as \u{200b}, and the middle left out of more than 8 KB, with
// the length and digest of the whole.
func Shown(s string) string {
	visible, _ := visibleText(s)
	if len(visible) <= shownLimit {
		return visible
	}
	text, note := shorten(visible, s)
	return text + "\n" + note
}

// shownValue is one value made visible.
type shownValue struct {
	language string // of the code fence: "json" or ""
	text     string // visible, within shownLimit, ends without a line end
	hidden   bool   // the value holds characters that a person would not see
	note     string // what was left out, "" if nothing
}

// showArguments makes a call's arguments visible. JSON is indented in its own
// order and spelling: members, numbers and strings stay as they were stored.
// What is not JSON, and the input of a custom tool, is shown as text.
func showArguments(arguments string, custom bool) shownValue {
	if !custom && strings.TrimSpace(arguments) == "" {
		return shownValue{language: "json", text: "{}"}
	}
	value, text := shownValue{}, arguments
	if !custom {
		if indented, ok := indent(arguments); ok {
			value.language, text = "json", indented
			value.hidden = hidesByEscape(indented)
		}
	}
	visible, hidden := visibleText(text)
	value.text, value.hidden = visible, value.hidden || hidden
	if len(visible) > shownLimit {
		value.text, value.note = shorten(visible, arguments)
	}
	return value
}

// indent lays JSON out over lines. ok is false if s is not one JSON value.
func indent(s string) (indented string, ok bool) {
	s = strings.Trim(s, " \t\r\n")
	if depth(s) > shownDepth {
		return s, json.Valid([]byte(s))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "", "  "); err != nil {
		return "", false
	}
	return b.String(), true
}

// depth is an upper bound of the nesting of a JSON text: brackets in strings
// count too.
func depth(s string) int {
	deepest, now := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{', '[':
			now++
			deepest = max(deepest, now)
		case '}', ']':
			now--
		}
	}
	return deepest
}

// shorten leaves out the middle of a visible text, cut between characters. The
// note gives length and digest of the whole stored value.
func shorten(visible, stored string) (text, note string) {
	head, tail := shownHead, len(visible)-shownTail
	for !utf8.RuneStart(visible[head]) {
		head--
	}
	for !utf8.RuneStart(visible[tail]) {
		tail++
	}
	text = visible[:head] + "\n[... left out ...]\n" + visible[tail:]
	note = fmt.Sprintf("Shortened: the whole value has %d bytes, sha256 %x.", len(stored), sha256.Sum256([]byte(stored)))
	return text, note
}

// visibleText writes what a person would not see as an escape, \u{200b}: control
// characters, bidi and zero-width ones, tags, fillers, variation selectors,
// private and unassigned characters and every blank that is not the ordinary
// one. Bytes that are not UTF-8 become \x{ff}. Line ends (LF, CRLF) and tabs
// stay. hidden says whether anything was escaped.
func visibleText(s string) (visible string, hidden bool) {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	first := strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError || isHidden(r) })
	if first < 0 {
		return s, false
	}
	var b strings.Builder
	b.Grow(len(s) + 64)
	b.WriteString(s[:first])
	last, _ := utf8.DecodeLastRuneInString(s[:first])
	for i := first; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x{%02x}`, s[i])
			hidden = true
		case isHidden(r) && !dressesEmoji(last, r):
			fmt.Fprintf(&b, `\u{%x}`, r)
			hidden = true
		default:
			b.WriteString(s[i : i+size])
		}
		last = r
		i += size
	}
	return b.String(), hidden
}

// visibleLine is visibleText on one line, for names, messages and addresses.
func visibleLine(s string) (visible string, hidden bool) {
	return visibleText(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == ' ' || r == '\n' || r == '\r' || r == '\t'
	}), " "))
}

// messageLimit is how much of a rule's message is shown, in bytes: placeholders
// can put a whole argument into it.
const messageLimit = 2 << 10

// showMessage is a rule's message on one line, cut if it is very long.
func showMessage(message string) (visible string, hidden bool) {
	visible, hidden = visibleLine(message)
	if len(visible) <= messageLimit {
		return visible, hidden
	}
	end := messageLimit
	for !utf8.RuneStart(visible[end]) {
		end--
	}
	return fmt.Sprintf("%s [... shortened: %d bytes, sha256 %x]", visible[:end], len(message), sha256.Sum256([]byte(message))), hidden
}

func isHidden(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case r < 0x20, r == 0x7f:
		return true
	case r < 0x7f:
		return false
	case r == 0x2800: // the braille pattern without a dot
		return true
	}
	return !unicode.IsGraphic(r) ||
		unicode.In(r, unicode.Z, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// dressesEmoji: the selector that makes a symbol a coloured picture, or a plain
// one, is ordinary writing right after a symbol.
func dressesEmoji(before, r rune) bool {
	return (r == 0xfe0e || r == 0xfe0f) && before != utf8.RuneError && unicode.In(before, unicode.So, unicode.Sm) && !isHidden(before)
}

// hidesByEscape says whether a JSON text spells a hidden character as \uXXXX. It
// is visible as written, and it is still worth the warning. Line ends and tabs
// do not count.
func hidesByEscape(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if s[i] != 'u' || i+5 > len(s) {
			continue
		}
		var text string
		end := min(i+11, len(s))
		if end-i < 11 || s[i+5] != '\\' || s[i+6] != 'u' { // not a surrogate pair
			end = i + 5
		}
		if json.Unmarshal([]byte(`"\`+s[i:end]+`"`), &text) != nil {
			continue
		}
		for _, r := range text {
			if r != '\r' && isHidden(r) {
				return true
			}
		}
	}
	return false
}

// fence puts a text into a markdown code fence that no run of backticks in the
// text can close.
func fence(v shownValue) string {
	longest, run := 0, 0
	for i := 0; i < len(v.text); i++ {
		if v.text[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	marks := strings.Repeat("`", max(3, longest+1))
	return marks + v.language + "\n" + v.text + "\n" + marks
}
