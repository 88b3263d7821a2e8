package governance

import (
	"math"
	"strconv"
	"strings"
)

// exactNumber keeps the decimal value of a JSON number, or says it cannot.
func exactNumber(text string) any {
	scientific := strings.ContainsAny(text, "eE")
	if !scientific && !strings.Contains(text, ".") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return Inexact{Text: text}
	}
	// Different decimals of up to 15 digits are different doubles (IEEE 754).
	if len(text) <= len("0.12345678901234") && !scientific {
		return f
	}
	var a, b [64]byte
	back := strconv.AppendFloat(b[:0], f, 'e', -1, 64)
	if sameDecimal(text, string(back), a[:0]) {
		return f
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

// appendCanonicalNumber writes the number that exactNumber keeps.
func appendCanonicalNumber(b []byte, text string, as spelling) []byte {
	if as == plain {
		return append(b, text...)
	}
	switch n := exactNumber(text).(type) {
	case int64:
		return strconv.AppendInt(b, n, 10)
	case uint64:
		return strconv.AppendUint(b, n, 10)
	case float64:
		return appendDouble(b, n)
	}
	return append(b, text...)
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
