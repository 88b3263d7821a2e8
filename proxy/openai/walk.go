package openai

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// The functions here walk a document that the strict scan has passed; they rely
// on it and check nothing.

// document is JSON with a note of each of its values, in the order in which they begin. With it no byte is walked over
// again.
type document struct {
	b       []byte
	nodes   []node
	escapes bool // some name may be spelled with escapes
}

// node is a value.
type node struct {
	key, keyEnd int32 // the name before it, with its quotes; 0 where there is none
	start, end  int32
	next        int32 // the node behind it and all that is inside it
}

// maxNodes bounds the room that is used again.
const maxNodes = 1 << 14

// forget lets go of the document, for whose room another one comes; false: the room is too large to be kept.
func (d *document) forget() bool {
	d.b = nil
	return cap(d.nodes) <= maxNodes
}

// root is the node of the whole document.
const root = 0

// span is where a node stands.
func (d *document) span(n int32) Span { return Span{int(d.nodes[n].start), int(d.nodes[n].end)} }

// first is the first byte of a node: it says what kind of value it is.
func (d *document) first(n int32) byte { return d.b[d.nodes[n].start] }

// at is the node of a value.
func (d *document) at(value Span) int32 {
	n, _ := slices.BinarySearchFunc(d.nodes, value.Start, func(n node, start int) int { return int(n.start) - start })
	return int32(n)
}

// count is the number of an array's elements, or an object's members.
func (d *document) count(n int32) (count int) {
	for i := n + 1; i < d.nodes[n].next; i = d.nodes[i].next {
		count++
	}
	return count
}

// Member is one member of an object.
type Member struct {
	Name  string // unescaped; only filled where a caller keeps members
	Key   Span   // the name with its quotes
	Value Span
}

// Span of the whole member, from its name to the end of its value.
func (m Member) Span() Span { return Span{m.Key.Start, m.Value.End} }

// walk goes through the members of an object or the elements of an array.
type walk struct {
	d         *document
	then, end int32
	node      int32 // of Value
	Key       Span  // of a member: its name with its quotes
	Value     Span
}

// inside walks what stands in a value; in all but objects and arrays that is nothing.
func (d *document) inside(n int32) walk { return walk{d: d, then: n + 1, end: d.nodes[n].next} }

func (w *walk) next() bool {
	if w.then == w.end {
		return false
	}
	n := &w.d.nodes[w.then]
	w.node, w.then = w.then, n.next
	w.Key, w.Value = Span{int(n.key), int(n.keyEnd)}, Span{int(n.start), int(n.end)}
	return true
}

// name is the member's name, escapes undone: they are spelling, and every reader takes such a name for what it says.
func (w *walk) name() []byte {
	if w.d.escapes {
		return plain(w.Key.Of(w.d.b))
	}
	return w.d.b[w.Key.Start+1 : w.Key.End-1]
}

// inside walks what stands in the value.
func (w *walk) inside() walk { return w.d.inside(w.node) }

func (w *walk) member() Member { return Member{Key: w.Key, Value: w.Value} }

func blanks(b []byte, at int) int {
	for at < len(b) && b[at] <= ' ' && (b[at] == ' ' || b[at] == '\n' || b[at] == '\t' || b[at] == '\r') {
		at++
	}
	return at
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
func (list names) find(name []byte) (at int, near bool) {
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
