package openai

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"
)

// scan checks a document strictly and makes its index, in the room of ends. One pass does both for what is good and
// ordinary; what it does not take is read again, by a library, which has the last word and says what is wrong.
func scan(b []byte, ends []ending) (document, error) {
	if len(b) > math.MaxInt32 {
		return document{b: b}, &SyntaxError{Offset: math.MaxInt32, Reason: "the document is too long"}
	}
	s := scanners.Get().(*scanner)
	d := document{b: b}
	good := false
	if cap(ends) == 0 {
		ends = make([]ending, 0, 16) // of an ordinary reply
	}
	d.ends, good = s.read(b, ends[:0])
	scanners.Put(s)
	if good {
		return d, nil
	}
	d.ends = d.ends[:0]
	if err := check(b); err != nil {
		return d, err
	}
	return d, d.index()
}

// scanner reads one JSON object as RFC 8259 spells it, in valid UTF-8, without duplicate names. It refuses more than it
// must: names with escapes, and objects with very many names.
type scanner struct {
	b    []byte
	ends []ending
	at   int

	depth  int
	levels [MaxDepth]level
	keys   []key
}

var scanners = sync.Pool{New: func() any { return new(scanner) }}

// read reads the whole document and makes its index, in the room of ends. false: it is not taken.
func (s *scanner) read(b []byte, ends []ending) ([]ending, bool) {
	s.b, s.ends, s.at, s.depth, s.keys = b, ends, 0, 0, s.keys[:0]
	good := s.document()
	ends = s.ends
	s.b, s.ends = nil, nil
	return ends, good
}

// level is an object or array that is open.
type level struct {
	end    int32 // its place in ends
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

func (s *scanner) document() bool {
	if !s.space() || s.b[s.at] != '{' || !s.value() {
		return false
	}
	for s.depth > 0 {
		// A value has ended.
		if !s.space() {
			return false
		}
		l := &s.levels[s.depth-1]
		switch c := s.b[s.at]; {
		case c == l.closer:
			s.close(l)
		case c == ',':
			s.at++
			if !s.member(l) {
				return false
			}
		default:
			return false
		}
	}
	s.space()
	return s.at == len(s.b)
}

// space passes blanks over; false at the end of the document.
func (s *scanner) space() bool {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return true
		}
	}
	return false
}

func (s *scanner) close(l *level) {
	s.at++
	s.ends[l.end].end = int32(s.at)
	if l.keys >= 0 {
		s.keys = s.keys[:l.keys]
	}
	s.depth--
}

// member reads what stands behind a comma or at the beginning: a value, with its name in an object.
func (s *scanner) member(l *level) bool {
	if !s.space() {
		return false
	}
	if l.keys >= 0 && !s.name(int(l.keys)) {
		return false
	}
	return s.value()
}

// name reads a name that does not stand among those from first on, and its colon.
func (s *scanner) name(first int) bool {
	if s.b[s.at] != '"' {
		return false
	}
	start := s.at + 1
	n := StringEnd(s.b[start:])
	if n < 0 {
		return false
	}
	name := s.b[start : start+n]
	if bytes.IndexByte(name, '\\') >= 0 || len(s.keys)-first >= manyKeys {
		return false
	}
	k := key{start: int32(start), end: int32(start + n)}
	if n >= 8 {
		k.word = binary.LittleEndian.Uint64(name)
	} else {
		for i, c := range name {
			k.word |= uint64(c) << (8 * i)
		}
	}
	for _, other := range s.keys[first:] {
		if other.word == k.word && other.end-other.start == k.end-k.start && (n <= 8 || bytes.Equal(s.b[other.start:other.end], name)) {
			return false
		}
	}
	s.keys = append(s.keys, k)
	s.at = start + n + 1
	if !s.space() || s.b[s.at] != ':' {
		return false
	}
	s.at++
	return s.space()
}

// value reads a value; of an object or array that is not empty, its first member.
func (s *scanner) value() bool {
	for {
		switch c := s.b[s.at]; c {
		case '"':
			n := StringEnd(s.b[s.at+1:])
			if n < 0 {
				return false
			}
			s.at += n + 2
			return true
		case '{', '[':
			if s.depth == MaxDepth {
				return false
			}
			l := &s.levels[s.depth]
			*l = level{end: int32(len(s.ends)), keys: -1, closer: ']'}
			if c == '{' {
				l.keys, l.closer = int32(len(s.keys)), '}'
			}
			s.depth++
			s.ends = append(s.ends, ending{start: int32(s.at)})
			s.at++
			if !s.space() {
				return false
			}
			if s.b[s.at] == l.closer {
				s.close(l)
				return true
			}
			if l.keys >= 0 && !s.name(int(l.keys)) {
				return false
			}
		case 't':
			return s.word("true")
		case 'f':
			return s.word("false")
		case 'n':
			return s.word("null")
		default:
			return s.number()
		}
	}
}

func (s *scanner) word(w string) bool {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *scanner) number() bool {
	if s.b[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.b) && s.b[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.b) && s.b[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}

// digits reads one or more.
func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.b) && '0' <= s.b[s.at] && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}
