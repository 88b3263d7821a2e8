package openai

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"
)

// scan checks a document strictly and notes its values, in the room of nodes. One pass does both for what is good and
// ordinary; what it does not take is read again, by a library, which has the last word and says what is wrong.
func scan(b []byte, nodes []node) (document, error) {
	if len(b) > math.MaxInt32 {
		return document{b: b}, &SyntaxError{Offset: math.MaxInt32, Reason: "the document is too long"}
	}
	s := scanners.Get().(*scanner)
	defer scanners.Put(s)
	d := document{b: b}
	if cap(nodes) == 0 {
		nodes = make([]node, 0, 32) // of an ordinary reply
	}
	good := false
	if d.nodes, good = s.read(b, nodes[:0], strictly); good {
		return d, nil
	}
	if err := check(b); err != nil {
		return d, err
	}
	d.escapes = true
	if d.nodes, good = s.read(b, d.nodes[:0], again); !good {
		return d, deep(s.at)
	}
	return d, nil
}

// part notes the values of a value of a document that was checked.
func part(b []byte, nodes []node) document {
	s := scanners.Get().(*scanner)
	nodes, _ = s.read(b, nodes, again)
	scanners.Put(s)
	return document{b, nodes, true}
}

// scanner reads one JSON value as RFC 8259 spells it, in valid UTF-8.
type scanner struct {
	at     int // where the last reading ended
	levels [MaxDepth]level
	keys   []key
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// manner is how a scanner reads.
type manner int

const (
	// strictly takes an object without duplicate names. It refuses more than it must: names with escapes, and objects
	// with very many names.
	strictly manner = iota
	// again is for what was checked: all but what nests too deep is taken.
	again
)

// level is an object or array that is open.
type level struct {
	node   int32
	keys   int32 // where the names of an object begin, -1 for an array
	closer byte
}

// key is a name that stands in an open object: its first bytes and its length tell most apart.
type key struct {
	word       uint64
	start, end int32
}

// manyKeys is how many names of one object are compared with one another.
const manyKeys = 128

// read reads a whole document and appends its values to nodes. false: it is not taken.
func (s *scanner) read(b []byte, nodes []node, how manner) (_ []node, good bool) {
	s.keys = s.keys[:0]
	depth := 0
	at := blanks(b, 0)
	if how == strictly && (at == len(b) || b[at] != '{') {
		return nodes, false
	}
	var value node // the one that comes, with its name
	for {
		if at == len(b) {
			return nodes, false
		}
		value.start = int32(at)
		opened := false
		switch c := b[at]; c {
		case '"':
			end, _ := stringEnd(b, at+1)
			if end < 0 {
				return nodes, false
			}
			at = end + 1
		case '{', '[':
			if s.at = at; depth == MaxDepth {
				return nodes, false
			}
			l := level{node: int32(len(nodes)), keys: -1, closer: ']'}
			if c == '{' {
				l.keys, l.closer = int32(len(s.keys)), '}'
			}
			s.levels[depth] = l
			depth++
			if at = blanks(b, at+1); at == len(b) {
				return nodes, false
			}
			opened = b[at] != l.closer
		default:
			if at = scalar(b, at); at < 0 {
				return nodes, false
			}
		}
		value.end, value.next = int32(at), int32(len(nodes)+1) // for an object or array when it is closed
		nodes = append(nodes, value)
		for !opened {
			at = blanks(b, at)
			if depth == 0 {
				return nodes, at == len(b)
			}
			if at == len(b) {
				return nodes, false
			}
			l := &s.levels[depth-1]
			if b[at] == ',' {
				at = blanks(b, at+1)
				break
			}
			if b[at] != l.closer {
				return nodes, false
			}
			at++
			nodes[l.node].end, nodes[l.node].next = int32(at), int32(len(nodes))
			if l.keys >= 0 {
				s.keys = s.keys[:l.keys]
			}
			depth--
		}
		value.key, value.keyEnd = 0, 0
		if first := s.levels[depth-1].keys; first >= 0 {
			end := s.name(b, at, int(first), how)
			if end < 0 {
				return nodes, false
			}
			value.key, value.keyEnd = int32(at), int32(end)
			if at = blanks(b, end); at == len(b) || b[at] != ':' {
				return nodes, false
			}
			at = blanks(b, at+1)
		}
	}
}

// name is the end of a name that does not stand among those from first on, -1 if it is not taken.
func (s *scanner) name(b []byte, at, first int, how manner) int {
	if at == len(b) || b[at] != '"' {
		return -1
	}
	start := at + 1
	end, escaped := stringEnd(b, start)
	switch {
	case end < 0:
		return -1
	case how == again:
		return end + 1
	case escaped || len(s.keys)-first >= manyKeys:
		return -1
	}
	n := end - start
	k := key{start: int32(start), end: int32(end)}
	switch {
	case n >= 8:
		k.word = binary.LittleEndian.Uint64(b[start:])
	case start+8 <= len(b):
		k.word = binary.LittleEndian.Uint64(b[start:]) & (1<<(8*n) - 1)
	default:
		for i, c := range b[start:end] {
			k.word |= uint64(c) << (8 * i)
		}
	}
	for _, other := range s.keys[first:] {
		if other.word == k.word && other.end-other.start == k.end-k.start && (n <= 8 || bytes.Equal(b[other.start:other.end], b[start:end])) {
			return -1
		}
	}
	s.keys = append(s.keys, k)
	return end + 1
}

// scalar is the end of a number, true, false or null, -1 if it is none of them.
func scalar(b []byte, at int) int {
	switch b[at] {
	case 't':
		return literal(b, at, "true")
	case 'f':
		return literal(b, at, "false")
	case 'n':
		return literal(b, at, "null")
	case '-':
		at++
	}
	if at < len(b) && b[at] == '0' {
		at++
	} else if at = digits(b, at); at < 0 {
		return -1
	}
	if at < len(b) && b[at] == '.' {
		if at = digits(b, at+1); at < 0 {
			return -1
		}
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		at++
		if at < len(b) && (b[at] == '+' || b[at] == '-') {
			at++
		}
		return digits(b, at)
	}
	return at
}

func literal(b []byte, at int, w string) int {
	if len(b)-at < len(w) || string(b[at:at+len(w)]) != w {
		return -1
	}
	return at + len(w)
}

// digits is the end of one or more, -1 if there is none.
func digits(b []byte, at int) int {
	from := at
	for at < len(b) && '0' <= b[at] && b[at] <= '9' {
		at++
	}
	if at == from {
		return -1
	}
	return at
}
