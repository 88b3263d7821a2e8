package openai

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// The functions here walk a document that the strict scan has passed; they rely
// on it and check nothing.

// Member is one member of an object.
type Member struct {
	Name  string // unescaped; only filled where a caller keeps members
	Key   Span   // the name with its quotes
	Value Span
}

// Span of the whole member, from its name to the end of its value.
func (m Member) Span() Span { return Span{m.Key.Start, m.Value.End} }

// object walks the members of an object.
type object struct {
	b  []byte
	at int
	Member
}

func members(b []byte, value Span) object { return object{b: b, at: value.Start + 1} }

func (o *object) next() bool {
	o.at = blanks(o.b, o.at)
	if o.b[o.at] == ',' {
		o.at = blanks(o.b, o.at+1)
	}
	if o.b[o.at] == '}' {
		return false
	}
	o.Key = Span{o.at, skip(o.b, o.at)}
	o.at = blanks(o.b, o.Key.End)
	o.at = blanks(o.b, o.at+1) // the colon
	o.Value = Span{o.at, skip(o.b, o.at)}
	o.at = o.Value.End
	return true
}

// array walks the elements of an array.
type array struct {
	b     []byte
	at    int
	Value Span
}

func elements(b []byte, value Span) array { return array{b: b, at: value.Start + 1} }

func (a *array) next() bool {
	a.at = blanks(a.b, a.at)
	if a.b[a.at] == ',' {
		a.at = blanks(a.b, a.at+1)
	}
	if a.b[a.at] == ']' {
		return false
	}
	a.Value = Span{a.at, skip(a.b, a.at)}
	a.at = a.Value.End
	return true
}

func blanks(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
}

// skip is the end of the value that begins at at.
func skip(b []byte, at int) int {
	switch b[at] {
	case '"':
		return skipString(b, at)
	case '{', '[':
		depth := 0
		for {
			switch b[at] {
			case '"':
				at = skipString(b, at)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
			at++
		}
	}
	for at < len(b) {
		switch b[at] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return at
		}
		at++
	}
	return at
}

func skipString(b []byte, at int) int {
	at++
	for {
		n := bytes.IndexByte(b[at:], '"')
		back := at + n - 1
		for back >= at && b[back] == '\\' {
			back--
		}
		at += n + 1
		if (at-2-back)%2 == 0 {
			return at
		}
	}
}

// plain is a member's name without quotes and escapes.
func plain(key []byte) []byte {
	if bytes.IndexByte(key, '\\') >= 0 {
		s, _ := Unquote(key)
		return []byte(s)
	}
	return key[1 : len(key)-1]
}

// names is a set of member names that are looked for, in lower case.
type names []string

// find is the place of a name in the set, -1 if it is not there. near says that
// it is there only in another case: readers that ignore case would take it.
func (list names) find(key []byte) (at int, near bool) {
	name := plain(key)
	for i, n := range list {
		if folds(name, n) {
			return i, string(name) != n
		}
	}
	return -1, false
}

// folds says that a name is n for readers that ignore case. Beside the capital
// letters there are two others that readers fold to ASCII ones.
func folds(name []byte, n string) bool {
	at := 0
	for i := 0; i < len(n); i++ {
		if at == len(name) {
			return false
		}
		c := name[at]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case c == n[i]:
			at++
		case n[i] == 's' && bytes.HasPrefix(name[at:], longS):
			at += len(longS)
		case n[i] == 'k' && bytes.HasPrefix(name[at:], kelvin):
			at += len(kelvin)
		default:
			return false
		}
	}
	return at == len(name)
}

var longS, kelvin = []byte("\u017f"), []byte("\u212a")

// TrimString is what stands between the quotes of a JSON string, escapes as they
// are; false for anything else.
func TrimString(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

// Unquote decodes a JSON string. A lone surrogate becomes U+FFFD.
func Unquote(raw []byte) (s string, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	err = json.Unmarshal(raw, &s)
	return s, err
}

const hex = "0123456789abcdef"

// Quote appends s as a JSON string with as few escapes as JSON allows, plus the
// line separators that some readers of streams take for the end of a line.
func Quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r < 0x20 || r == 0x85 || r == 0x2028 || r == 0x2029:
			dst = append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
