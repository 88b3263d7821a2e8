package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
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
// Arguments that DecodeArguments refuses are digested as the JSON string of
// their text under "arguments_text".
func ActionDigest(call Call) string {
	args, err := DecodeArguments(call)
	return actionDigest(call, args, err)
}

func actionDigest(call Call, args map[string]any, err error) string {
	b := make([]byte, 0, len(call.Arguments)+len(call.Name)+64)
	if err == nil {
		b = append(b, `{"arguments":`...)
		b = appendCanonical(b, args)
	} else {
		b = append(b, `{"arguments_text":`...)
		b = appendText(b, call.Arguments)
	}
	b = append(b, `,"name":`...)
	b = appendText(b, call.Name)
	b = append(b, '}')
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// appendText writes a JSON string. Broken UTF-8 is hex-coded behind a NUL, which
// keeps different bytes different.
func appendText(b []byte, s string) []byte {
	if plainASCII(s) {
		return append(append(append(b, '"'), s...), '"')
	}
	if !utf8.ValidString(s) {
		s = "\x00" + hex.EncodeToString([]byte(s))
	}
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// plainASCII: printable ASCII without quote and backslash, which is written as it
// stands. Eight bytes at a time: long texts are the bulk of most arguments.
func plainASCII(s string) bool {
	i := plainPrefix(s)
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// plainPrefix is the length, in whole words of eight bytes, of the part of s that
// holds only printable ASCII other than quote and backslash.
func plainPrefix(s string) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote, slash, del := w^ones*'"', w^ones*'\\', w^ones*0x7f
		// A byte below 0x20, equal to one of the three, or above 0x7f sets its
		// high bit; a false alarm only ends the fast part early.
		if (w|(w-ones*' ')|(quote-ones)|(slash-ones)|(del-ones))&highs != 0 {
			return i
		}
	}
	return i
}

type canonicalMember struct {
	name  string
	value any
}

func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return appendDouble(b, v)
	case Inexact:
		return append(b, v.Text...)
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendCanonical(b, e)
		}
		return append(b, ']')
	case map[string]any:
		var room [12]canonicalMember
		members := room[:0]
		for name, value := range v {
			members = append(members, canonicalMember{name, value})
		}
		slices.SortFunc(members, func(x, y canonicalMember) int { return compareUTF16(x.name, y.name) })
		b = append(b, '{')
		for i, m := range members {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, m.name)
			b = append(b, ':')
			b = appendCanonical(b, m.value)
		}
		return append(b, '}')
	}
	// DecodeArguments yields nothing else.
	return append(b, "null"...)
}

// appendDouble writes a number as ECMAScript does, which RFC 8785 asks for.
func appendDouble(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0')
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	var room [32]byte
	text := strconv.AppendFloat(room[:0], f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(string(text), "e")
	b = append(append(b, mantissa...), 'e', exponent[0])
	return append(b, strings.TrimLeft(exponent[1:], "0")...)
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
