package openai

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// The functions here walk a document that the strict scan has passed; they rely
// on it and check nothing.

// document is JSON with an index of where its objects and arrays end, so that no
// byte is walked over once a level. Without an index it is walked all the same.
type document struct {
	b    []byte
	ends []ending
}

// ending is where the object or array that begins at start ends. They stand in
// the order of their starts.
type ending struct{ start, end int32 }

// index notes where the objects and arrays of a document that was checked end.
func (d *document) index() error {
	b := d.b
	// While a value is open, its end is the number of the value around it.
	open, depth := int32(-1), 0
	for at := 0; at < len(b); at++ {
		switch b[at] {
		case '"':
			at = skipString(b, at) - 1
		case '{', '[':
			if depth == MaxDepth {
				return deep(at)
			}
			depth++
			d.ends = append(d.ends, ending{int32(at), open})
			open = int32(len(d.ends) - 1)
		case '}', ']':
			depth--
			open, d.ends[open].end = d.ends[open].end, int32(at+1)
		}
	}
	return nil
}

// skip is the end of the value that begins at at.
func (d *document) skip(at int) int {
	if d.ends == nil || d.b[at] != '{' && d.b[at] != '[' {
		return skip(d.b, at)
	}
	low, high := 0, len(d.ends)
	for low < high {
		if half := int(uint(low+high) / 2); int(d.ends[half].start) < at {
			low = half + 1
		} else {
			high = half
		}
	}
	return int(d.ends[low].end)
}

// object is the whole document, which is an object.
func (d *document) object() Span {
	start := blanks(d.b, 0)
	return Span{start, d.skip(start)}
}

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
	d  *document
	at int
	Member
}

func (d *document) members(value Span) object { return object{d: d, at: value.Start + 1} }

func (o *object) next() bool {
	b := o.d.b
	o.at = blanks(b, o.at)
	if b[o.at] == ',' {
		o.at = blanks(b, o.at+1)
	}
	if b[o.at] == '}' {
		return false
	}
	o.Key = Span{o.at, skipString(b, o.at)}
	o.at = blanks(b, o.Key.End)
	o.at = blanks(b, o.at+1) // the colon
	o.Value = Span{o.at, o.d.skip(o.at)}
	o.at = o.Value.End
	return true
}

// array walks the elements of an array.
type array struct {
	d     *document
	at    int
	Value Span
}

func (d *document) elements(value Span) array { return array{d: d, at: value.Start + 1} }

func (a *array) next() bool {
	b := a.d.b
	a.at = blanks(b, a.at)
	if b[a.at] == ',' {
		a.at = blanks(b, a.at+1)
	}
	if b[a.at] == ']' {
		return false
	}
	a.Value = Span{a.at, a.d.skip(a.at)}
	a.at = a.Value.End
	return true
}

// count is the number of an array's elements.
func (d *document) count(value Span) (n int) {
	for a := d.elements(value); a.next(); {
		n++
	}
	return n
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

const (
	ones    = 0x0101010101010101
	quotes  = '"' * ones
	slashes = '\\' * ones
)

// skipString is the end of the string that begins at at. It looks at eight bytes
// at a time: strings are most of a document.
func skipString(b []byte, at int) int {
	at++
	for at+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[at:])
		q, s := x^quotes, x^slashes
		// The lowest high bit that is set marks the first byte that is one of them.
		found := ((q-ones)&^q | (s-ones)&^s) & (ones << 7)
		if found == 0 {
			at += 8
			continue
		}
		at += bits.TrailingZeros64(found) / 8
		if b[at] == '"' {
			return at + 1
		}
		at += 2
	}
	for b[at] != '"' {
		if b[at] == '\\' {
			at++
		}
		at++
	}
	return at + 1
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
	if len(name) == 0 {
		return -1, false
	}
	first := name[0] | 0x20
	for i, n := range list {
		if first != n[0] && name[0] < utf8.RuneSelf {
			continue
		}
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
	return unescape(raw)
}

// unescape is apart so that nothing but a string with escapes costs the room that a decoder wants.
func unescape(raw []byte) (s string, err error) {
	err = json.Unmarshal(raw, &s)
	return s, err
}

const hex = "0123456789abcdef"

// Quote appends s as a JSON string with as few escapes as JSON allows, plus the
// line separators that some readers of streams take for the end of a line.
func Quote(dst []byte, s string) []byte {
	dst = append(slices.Grow(dst, len(s)+2), '"')
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
