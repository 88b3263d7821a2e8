package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ActionDigest names an action: the hexadecimal SHA-256 of the RFC 8785 form of
// {"arguments": …, "name": …}. Spelling that does not change the value (space,
// member order, escapes, 5 for 5.0) does not change the digest.
//
// RFC 8785 writes every number as an IEEE double. Where a double would change
// the decimal that was written (integers beyond 2^53, many digits), the decimal
// text is kept instead, so that two different ids never share a digest.
// Arguments that ReadArguments refuses are digested as the JSON string of
// their text under "arguments_text".
func ActionDigest(call Call) string {
	var a Arguments
	err := a.read(&call)
	digest, _ := actionDigest(nil, &call, &a, err)
	return digest
}

// actionDigest of a call whose arguments were read, with the error of reading. It
// answers the room, at least as much as was given, for the next one.
func actionDigest(room []byte, call *Call, a *Arguments, err error) (string, []byte) {
	b := slices.Grow(room[:0], len(call.Arguments)+len(call.Name)+64)
	if err == nil {
		b = append(b, `{"arguments":`...)
		b = a.appendCanonical(b, 0)
	} else {
		b = append(b, `{"arguments_text":`...)
		b = appendText(b, call.Arguments)
	}
	b = append(b, `,"name":`...)
	b = appendText(b, call.Name)
	b = append(b, '}')
	sum := sha256.Sum256(b)
	var digits [2 * sha256.Size]byte
	hex.Encode(digits[:], sum[:])
	return string(digits[:]), b
}

// appendCanonical writes the RFC 8785 form of the value at a position.
func (a *Arguments) appendCanonical(b []byte, at int32) []byte {
	n := &a.nodes[at]
	switch n.kind {
	case '{':
		b = append(b, '{')
		for name := n.start; name != 0; name = a.nodes[name].next {
			if name != n.start {
				b = append(b, ',')
			}
			b = a.appendCanonicalString(b, name)
			b = append(b, ':')
			b = a.appendCanonical(b, name+1)
		}
		return append(b, '}')
	case '[':
		b = append(b, '[')
		for e := at + 1; e < n.next; e = a.nodes[e].next {
			if e > at+1 {
				b = append(b, ',')
			}
			b = a.appendCanonical(b, e)
		}
		return append(b, ']')
	case '"':
		return a.appendCanonicalString(b, at)
	case '0':
		return appendCanonicalNumber(b, a.text[n.start:n.end], n.spelling)
	case 't':
		return append(b, "true"...)
	case 'f':
		return append(b, "false"...)
	}
	return append(b, "null"...)
}

func (a *Arguments) appendCanonicalString(b []byte, at int32) []byte {
	n := &a.nodes[at]
	if n.spelling == plain || n.spelling == canonical {
		return append(b, a.text[n.start-1:n.end+1]...)
	}
	return appendText(b, a.str(at))
}

// appendText writes a JSON string. Broken UTF-8 is hex-coded behind a NUL, which
// keeps different bytes different.
func appendText(b []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = "\x00" + hex.EncodeToString([]byte(s))
	}
	b, _ = jsontext.AppendQuote(b, s) // errs on broken UTF-8 only
	return b
}

// compareUTF16 orders names by UTF-16 code units, as RFC 8785 asks. Byte order
// differs from it only where a surrogate pair meets U+E000 to U+FFFF.
func compareUTF16(x, y string) int {
	n := min(len(x), len(y))
	for i := range n {
		if x[i] == y[i] {
			continue
		}
		if x[i] < 0xEE || y[i] < 0xEE {
			return int(x[i]) - int(y[i])
		}
		return slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y)))
	}
	return len(x) - len(y)
}
