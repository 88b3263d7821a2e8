package governance

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxArgumentDepth bounds the nesting of arguments: objects and arrays inside
// one another. Deeper arguments are refused.
const MaxArgumentDepth = 128

// ErrArguments is the root of every error of DecodeArguments.
var ErrArguments = errors.New("arguments are not usable")

// Inexact is a number of the arguments that neither fits 64 bits nor survives
// a float64 unchanged. Evaluators must treat any use of it as an error, so
// that no rule compares a rounded value.
type Inexact struct {
	Text string // as written
}

// DecodeArguments reads the arguments of a call the way rules see them.
//
// Empty text is an empty object, a custom tool's free text is {"input": text}.
// Anything else must be exactly one JSON object: valid UTF-8, no duplicate
// names at any depth (compared after escapes are resolved), nothing behind it,
// at most MaxArgumentDepth deep; else the error wraps ErrArguments and says
// where. Numbers are int64, uint64, float64 where the float64 prints back as
// the very decimal that was written, else Inexact. Other values are string,
// bool, nil, []any and map[string]any.
func DecodeArguments(call Call) (map[string]any, error) {
	if call.Form == FormCustom {
		if !utf8.ValidString(call.Arguments) {
			return nil, fmt.Errorf("%w: not valid UTF-8", ErrArguments)
		}
		return map[string]any{"input": call.Arguments}, nil
	}
	d := argumentDecoder{text: call.Arguments}
	d.space()
	if d.at == len(d.text) {
		return map[string]any{}, nil
	}
	if d.text[d.at] != '{' {
		return nil, fmt.Errorf("%w: not a JSON object", ErrArguments)
	}
	object, err := d.object()
	if err != nil {
		return nil, err
	}
	d.space()
	if d.at != len(d.text) {
		return nil, d.fail("text behind the object")
	}
	return object, nil
}

// argumentDecoder is a strict JSON reader. It is written out by hand because
// it stands on the path of every call: it reads a number as the decimal that
// was written, refuses duplicates, and costs one pass.
type argumentDecoder struct {
	text  string
	at    int
	depth int
}

func (d *argumentDecoder) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrArguments, what, d.at)
}

func (d *argumentDecoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *argumentDecoder) value() (any, error) {
	if d.at >= len(d.text) {
		return nil, d.fail("the text ends early")
	}
	switch c := d.text[d.at]; {
	case c == '"':
		return d.str()
	case c == '{':
		return d.object()
	case c == '[':
		return d.array()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case strings.HasPrefix(d.text[d.at:], "true"):
		d.at += 4
		return true, nil
	case strings.HasPrefix(d.text[d.at:], "false"):
		d.at += 5
		return false, nil
	case strings.HasPrefix(d.text[d.at:], "null"):
		d.at += 4
		return nil, nil
	}
	return nil, d.fail("not a JSON value")
}

func (d *argumentDecoder) object() (map[string]any, error) {
	if d.depth++; d.depth > MaxArgumentDepth {
		return nil, d.fail("nested too deep")
	}
	d.at++
	object := make(map[string]any)
	d.space()
	if d.at < len(d.text) && d.text[d.at] == '}' {
		d.at++
		d.depth--
		return object, nil
	}
	for {
		d.space()
		if d.at >= len(d.text) || d.text[d.at] != '"' {
			return nil, d.fail("a name is missing")
		}
		name, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.at >= len(d.text) || d.text[d.at] != ':' {
			return nil, d.fail("a colon is missing")
		}
		d.at++
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		before := len(object)
		if object[name] = v; len(object) == before {
			return nil, d.fail(fmt.Sprintf("the name %.60q stands twice", name))
		}
		more, err := d.next('}')
		if err != nil {
			return nil, err
		}
		if !more {
			d.depth--
			return object, nil
		}
	}
}

func (d *argumentDecoder) array() ([]any, error) {
	if d.depth++; d.depth > MaxArgumentDepth {
		return nil, d.fail("nested too deep")
	}
	d.at++
	list := []any{}
	d.space()
	if d.at < len(d.text) && d.text[d.at] == ']' {
		d.at++
		d.depth--
		return list, nil
	}
	for {
		d.space()
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		more, err := d.next(']')
		if err != nil {
			return nil, err
		}
		if !more {
			d.depth--
			return list, nil
		}
	}
}

// next eats a comma (more follows) or the closing byte.
func (d *argumentDecoder) next(closing byte) (more bool, err error) {
	d.space()
	if d.at < len(d.text) {
		switch d.text[d.at] {
		case ',':
			d.at++
			return true, nil
		case closing:
			d.at++
			return false, nil
		}
	}
	return false, d.fail("a comma or the end is missing")
}

func (d *argumentDecoder) str() (string, error) {
	d.at++
	start, high := d.at, byte(0)
	for i := start + plainPrefix(d.text[start:]); i < len(d.text); i++ {
		c := d.text[i]
		if c == '"' {
			s := d.text[start:i]
			if high >= utf8.RuneSelf && !utf8.ValidString(s) {
				return "", d.fail("not valid UTF-8")
			}
			d.at = i + 1
			return s, nil
		}
		if c == '\\' {
			return d.escaped(start)
		}
		if c < ' ' {
			d.at = i
			return "", d.fail("a raw control character in a string")
		}
		high |= c
	}
	d.at = len(d.text)
	return "", d.fail("a string is not closed")
}

// escaped reads a string that holds at least one escape.
func (d *argumentDecoder) escaped(start int) (string, error) {
	var b strings.Builder
	i := start
	for i < len(d.text) {
		c := d.text[i]
		switch {
		case c == '"':
			d.at = i + 1
			if s := b.String(); utf8.ValidString(s) {
				return s, nil
			}
			return "", d.fail("not valid UTF-8")
		case c < ' ':
			d.at = i
			return "", d.fail("a raw control character in a string")
		case c != '\\':
			b.WriteByte(c)
			i++
			continue
		}
		if d.at = i; i+1 >= len(d.text) {
			return "", d.fail("a string is not closed")
		}
		switch e := d.text[i+1]; e {
		case '"', '\\', '/':
			b.WriteByte(e)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, ok := hex4(d.text, i+2)
			if !ok {
				return "", d.fail("a bad \\u escape")
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if strings.HasPrefix(d.text[i+2:], `\u`) {
					low, ok = hex4(d.text, i+4)
				}
				if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
					return "", d.fail("half a surrogate pair")
				}
				i += 6
			}
			b.WriteRune(r)
		default:
			return "", d.fail("an unknown escape")
		}
		i += 2
	}
	d.at = len(d.text)
	return "", d.fail("a string is not closed")
}

func hex4(s string, at int) (rune, bool) {
	if at+4 > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[at : at+4]) {
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

func (d *argumentDecoder) digits() bool {
	start := d.at
	for d.at < len(d.text) && d.text[d.at] >= '0' && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at > start
}

func (d *argumentDecoder) number() (any, error) {
	start, whole := d.at, true
	if d.text[d.at] == '-' {
		d.at++
	}
	if d.at < len(d.text) && d.text[d.at] == '0' {
		d.at++
	} else if !d.digits() {
		return nil, d.fail("a bad number")
	}
	if d.at < len(d.text) && d.text[d.at] == '.' {
		whole = false
		if d.at++; !d.digits() {
			return nil, d.fail("a bad number")
		}
	}
	if d.at < len(d.text) && (d.text[d.at] == 'e' || d.text[d.at] == 'E') {
		whole = false
		d.at++
		if d.at < len(d.text) && (d.text[d.at] == '+' || d.text[d.at] == '-') {
			d.at++
		}
		if !d.digits() {
			return nil, d.fail("a bad number")
		}
	}
	return exactNumber(d.text[start:d.at], whole), nil
}

// exactNumber keeps the decimal value of a JSON number, or says it cannot.
func exactNumber(text string, whole bool) any {
	if whole {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err == nil {
		var a, b [64]byte
		back := strconv.AppendFloat(b[:0], f, 'e', -1, 64)
		if sameDecimal(text, string(back), a[:0]) {
			return f
		}
	}
	return Inexact{Text: text}
}

// sameDecimal compares the values of two JSON numbers without arithmetic.
func sameDecimal(x, y string, scratch []byte) bool {
	dx, ex, nx := decimalParts(x, scratch)
	dy, ey, ny := decimalParts(y, nil)
	if len(dx) == 0 && len(dy) == 0 {
		return true // zero, whatever its sign and exponent
	}
	return nx == ny && ex == ey && string(dx) == string(dy)
}

// decimalParts reduces a number to its significant digits (no zeros at either
// end), the power of ten of the last one, and its sign.
func decimalParts(s string, buf []byte) (digits []byte, exponent int, negative bool) {
	if strings.HasPrefix(s, "-") {
		negative, s = true, s[1:]
	}
	mantissa := s
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		mantissa = s[:i]
		// A written exponent beyond int is no float64 either; any value that
		// differs from a real one will do.
		n, err := strconv.Atoi(s[i+1:])
		if err != nil || n > 1<<30 || n < -1<<30 {
			n = 1 << 30
		}
		exponent = n
	}
	digits = buf
	point := false
	for i := 0; i < len(mantissa); i++ {
		c := mantissa[i]
		if c == '.' {
			point = true
			continue
		}
		if point {
			exponent--
		}
		if c == '0' && len(digits) == 0 {
			continue
		}
		digits = append(digits, c)
	}
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exponent++
	}
	return digits, exponent, negative
}
