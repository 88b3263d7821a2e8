package governance

import (
	"encoding/json"
	"fmt"
	"math/big"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode"
)

// rat is the exact value of a number of a condition, nil for anything else.
func rat(v any) *big.Rat {
	text := ""
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v)
	case uint64:
		return new(big.Rat).SetUint64(v)
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil
	}
	return r
}

// decimals are the digits behind the point that a number needs, up to 9.
func decimals(r *big.Rat) int {
	scaled := new(big.Rat).Set(r)
	ten := big.NewRat(10, 1)
	for n := range 9 {
		if scaled.IsInt() {
			return n
		}
		scaled.Mul(scaled, ten)
	}
	return 9
}

// numberText writes a number as plain JSON.
func numberText(r *big.Rat) json.RawMessage {
	if r.IsInt() {
		return json.RawMessage(r.Num().String())
	}
	return json.RawMessage(strings.TrimRight(r.FloatString(decimals(r)), "0"))
}

// step is the smallest difference that a grid makes at a number: 1 for integers,
// else a hundredth, or the last digit that the number itself has.
func step(r *big.Rat, integer bool) *big.Rat {
	if integer && r.IsInt() {
		return big.NewRat(1, 1)
	}
	s := big.NewRat(1, 1)
	for range max(2, decimals(r)) {
		s.Quo(s, big.NewRat(10, 1))
	}
	return s
}

// calculate joins fixed numbers; nil where it cannot.
func calculate(op string, values []any) any {
	if op == "neg" && len(values) == 1 {
		switch v := values[0].(type) {
		case int64:
			return -v
		case float64:
			return -v
		}
		return nil
	}
	if len(values) == 1 && (op == "double" || op == "int" || op == "uint") {
		return values[0]
	}
	if len(values) != 2 {
		return nil
	}
	a, b := rat(values[0]), rat(values[1])
	if a == nil || b == nil {
		return nil
	}
	switch op {
	case "+":
		a.Add(a, b)
	case "-":
		a.Sub(a, b)
	case "*":
		a.Mul(a, b)
	case "/":
		_, whole := values[0].(int64)
		if b.Sign() == 0 || whole {
			return nil // of integers CEL keeps the whole part
		}
		a.Quo(a, b)
	default:
		return nil
	}
	if a.IsInt() && a.Num().IsInt64() {
		return a.Num().Int64()
	}
	f, _ := a.Float64()
	return f
}

// hoursOf reads "9-17" as minutes of the day.
func hoursOf(span string) (from, to int, ok bool) {
	a, b, ok := strings.Cut(span, "-")
	if !ok {
		return 0, 0, false
	}
	minute := func(s string) int {
		hour, rest, _ := strings.Cut(strings.TrimSpace(s), ":")
		h, err := strconv.Atoi(hour)
		m, errM := strconv.Atoi("0" + rest)
		if err != nil || errM != nil {
			ok = false
		}
		return h*60 + m
	}
	return minute(a), minute(b), ok
}

// sampleOf writes a short text that a regular expression matches, "" with false
// where none is found.
func sampleOf(pattern string) (string, bool) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	writeSample(&b, tree.Simplify())
	return b.String(), true
}

func writeSample(b *strings.Builder, re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(sampleRune(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpPlus:
		writeSample(b, re.Sub[0])
	case syntax.OpRepeat:
		for range min(re.Min, 64) {
			writeSample(b, re.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			writeSample(b, sub)
		}
	case syntax.OpAlternate:
		// The first that says something: (^|x) is met by nothing.
		for _, sub := range re.Sub {
			var inner strings.Builder
			if writeSample(&inner, sub); inner.Len() > 0 || sub.Op == syntax.OpBeginText || sub.Op == syntax.OpEndText || sub.Op == syntax.OpEmptyMatch {
				b.WriteString(inner.String())
				return
			}
		}
	}
}

// sampleRune prefers letters and digits.
func sampleRune(ranges []rune) rune {
	for _, want := range "axAX019 -" {
		for i := 0; i+1 < len(ranges); i += 2 {
			if ranges[i] <= want && want <= ranges[i+1] {
				return want
			}
		}
	}
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r-ranges[i] < 128; r++ {
			if unicode.IsPrint(r) {
				return r
			}
		}
	}
	if len(ranges) == 0 {
		return 'x'
	}
	return ranges[0]
}

func mustJSON(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		return json.RawMessage(strconv.Quote(fmt.Sprint(v)))
	}
	return text
}
