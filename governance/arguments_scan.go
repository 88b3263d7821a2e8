package governance

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner is a strict JSON reader in one pass. It is written out by hand because
// it stands on the path of every call: it builds no value, only notes where each
// stands, and brings the names of every object into their canonical order, which
// also finds those that stand twice.
type scanner struct {
	*Arguments
	at    int
	depth int
}

// scan reads a.text into a.nodes.
func scan(a *Arguments) error {
	s := scanner{Arguments: a}
	if len(s.text) > math.MaxInt32 {
		return s.fail("the text is too long")
	}
	s.space()
	if s.at == len(s.text) {
		s.add(node{kind: '{', next: 1})
		return nil
	}
	if s.text[s.at] != '{' {
		return fmt.Errorf("%w: not a JSON object", ErrArguments)
	}
	if err := s.object(); err != nil {
		return err
	}
	s.space()
	if s.at != len(s.text) {
		return s.fail("text behind the object")
	}
	return nil
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrArguments, what, s.at)
}

func (s *scanner) add(n node) { s.nodes = append(s.nodes, n) }

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// eat takes one byte, behind white space, if it is the next.
func (s *scanner) eat(c byte) bool {
	s.space()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) value() error {
	s.space()
	if s.at >= len(s.text) {
		return s.fail("the text ends early")
	}
	switch c := s.text[s.at]; {
	case c == '"':
		return s.string()
	case c == '{':
		return s.object()
	case c == '[':
		return s.list()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], word) {
			s.add(node{kind: word[0], next: int32(len(s.nodes) + 1)})
			s.at += len(word)
			return nil
		}
	}
	return s.fail("not a JSON value")
}

func (s *scanner) list() error {
	if s.depth++; s.depth > MaxArgumentDepth {
		return s.fail("nested too deep")
	}
	own := len(s.nodes)
	s.add(node{kind: '['})
	s.at++
	for first := true; !s.eat(']'); first = false {
		if !first && !s.eat(',') {
			return s.fail("a comma or the end is missing")
		}
		if err := s.value(); err != nil {
			return err
		}
	}
	s.depth--
	s.nodes[own].next = int32(len(s.nodes))
	return nil
}

func (s *scanner) object() error {
	if s.depth++; s.depth > MaxArgumentDepth {
		return s.fail("nested too deep")
	}
	own, outer := len(s.nodes), len(s.names)
	s.add(node{kind: '{'})
	s.at++
	for first := true; !s.eat('}'); first = false {
		if !first && !s.eat(',') {
			return s.fail("a comma or the end is missing")
		}
		if s.space(); s.at >= len(s.text) || s.text[s.at] != '"' {
			return s.fail("a name is missing")
		}
		s.names = append(s.names, int32(len(s.nodes)))
		if err := s.name(); err != nil {
			return err
		}
		if !s.eat(':') {
			return s.fail("a colon is missing")
		}
		if err := s.value(); err != nil {
			return err
		}
	}
	s.depth--
	s.nodes[own].next = int32(len(s.nodes))
	err := s.order(own, s.names[outer:])
	s.names = s.names[:outer]
	return err
}

// order links the names of an object in canonical order, or finds two alike.
func (s *scanner) order(object int, names []int32) error {
	byName := func(x, y int32) int { return compareUTF16(s.str(x), s.str(y)) }
	for i := 1; i < len(names); i++ {
		if byName(names[i-1], names[i]) < 0 {
			continue
		}
		slices.SortFunc(names, byName)
		for j := 1; j < len(names); j++ {
			if name := s.str(names[j]); name == s.str(names[j-1]) {
				return s.fail(fmt.Sprintf("the name %.60q stands twice in the object that ends", name))
			}
		}
		break
	}
	last := &s.nodes[object].start
	for _, at := range names {
		*last = at
		last = &s.nodes[at].next
	}
	*last = 0
	return nil
}

// name reads the name of a member. One with escapes is resolved at once, because
// it is compared with others.
func (s *scanner) name() error {
	if err := s.string(); err != nil {
		return err
	}
	at := int32(len(s.nodes) - 1)
	if n := &s.nodes[at]; n.spelling != plain {
		s.asides = append(s.asides, s.str(at))
		n.start, n.spelling = int32(len(s.asides)-1), aside
	}
	return nil
}

func (s *scanner) string() error {
	s.at++
	start, high, spelled := s.at, byte(0), plain
	for s.at < len(s.text) {
		s.at += plainPrefix(s.text[s.at:])
		// A few bytes one by one, then eight at a time again.
		for end := min(s.at+8, len(s.text)); s.at < end; {
			c := s.text[s.at]
			switch {
			case c == '"':
				if high >= utf8.RuneSelf && !utf8.ValidString(s.text[start:s.at]) {
					return s.fail("not valid UTF-8")
				}
				s.add(node{kind: '"', start: int32(start), end: int32(s.at), next: int32(len(s.nodes) + 1), spelling: spelled})
				s.at++
				return nil
			case c == '\\':
				as, err := s.escape()
				if err != nil {
					return err
				}
				spelled = max(spelled, as)
			case c < ' ':
				return s.fail("a raw control character in a string")
			default:
				high |= c
				s.at++
			}
		}
	}
	return s.fail("a string is not closed")
}

// escape takes one escape, two for a surrogate pair, and says whether RFC 8785
// would write it so.
func (s *scanner) escape() (spelling, error) {
	rest := s.text[s.at:]
	if len(rest) < 2 {
		return 0, s.fail("a string is not closed")
	}
	switch rest[1] {
	case '"', '\\', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return canonical, nil
	case '/':
		s.at += 2
		return other, nil
	case 'u':
	default:
		return 0, s.fail("an unknown escape")
	}
	r, ok := hex4(rest)
	if !ok {
		return 0, s.fail("a bad \\u escape")
	}
	if utf16.IsSurrogate(r) {
		low, ok := hex4(rest[6:])
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return 0, s.fail("half a surrogate pair")
		}
		s.at += 12
		return other, nil
	}
	s.at += 6
	if r < ' ' && !strings.ContainsRune("\b\f\n\r\t", r) && rest[5] == "0123456789abcdef"[r&15] {
		return canonical, nil
	}
	return other, nil
}

// hex4 reads \uXXXX at the beginning of s.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (s *scanner) number() error {
	start, whole := s.at, true
	if s.text[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.text) && s.text[s.at] == '0' {
		s.at++
	} else if !s.digits() {
		return s.fail("a bad number")
	}
	if s.at < len(s.text) && s.text[s.at] == '.' {
		whole = false
		if s.at++; !s.digits() {
			return s.fail("a bad number")
		}
	}
	if s.at < len(s.text) && (s.text[s.at] == 'e' || s.text[s.at] == 'E') {
		whole = false
		s.at++
		if s.at < len(s.text) && (s.text[s.at] == '+' || s.text[s.at] == '-') {
			s.at++
		}
		if !s.digits() {
			return s.fail("a bad number")
		}
	}
	spelled := other
	if text := s.text[start:s.at]; whole && len(text) <= 18 && text != "-0" {
		spelled = plain // an int64 as it is written anyway
	}
	s.add(node{kind: '0', start: int32(start), end: int32(s.at), next: int32(len(s.nodes) + 1), spelling: spelled})
	return nil
}

func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// plainPrefix is the length, in whole words of eight bytes, of the part of s that
// holds only printable ASCII other than quote and backslash.
func plainPrefix(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, slash := w^ones*'"', w^ones*'\\'
		// A byte below 0x20, equal to one of the two, or above 0x7f sets its high
		// bit; a false alarm only ends the fast part early.
		if (w|(w-ones*' ')|(quote-ones)|(slash-ones))&highs != 0 {
			return i
		}
	}
	return i
}
