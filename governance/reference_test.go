package governance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
)

// The reference is slow and simple: values come from encoding/json, strictness
// from jsontext, numbers are compared as fractions.

// referenceRead answers the members of one strict JSON object, or false.
func referenceRead(text string) (map[string]any, bool) {
	strict := jsontext.NewDecoder(bytes.NewReader([]byte(text)))
	if strict.PeekKind() != '{' {
		return nil, false
	}
	if _, err := strict.ReadValue(); err != nil {
		return nil, false
	}
	if _, err := strict.ReadToken(); err != io.EOF {
		return nil, false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var members map[string]any
	return members, decoder.Decode(&members) == nil
}

// referenceNumber is what a rule sees of a number.
func referenceNumber(text string) any {
	if !strings.ContainsAny(text, ".eE") {
		n, _ := new(big.Int).SetString(text, 10)
		switch {
		case n.IsInt64():
			return n.Int64()
		case n.IsUint64():
			return n.Uint64()
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !sameFraction(text, strconv.FormatFloat(f, 'e', -1, 64)) {
		return governance.Inexact{Text: text}
	}
	return f
}

func sameFraction(x, y string) bool {
	// Exponents that no double has would take a fraction of that many digits.
	mantissa, exponent, _ := strings.Cut(strings.ToLower(x), "e")
	zero := strings.Trim(mantissa, "-0.") == ""
	if n, err := strconv.Atoi(exponent); exponent != "" && (err != nil || n > 400 || n < -2000) {
		return zero
	}
	a, okA := new(big.Rat).SetString(x)
	b, okB := new(big.Rat).SetString(y)
	return okA && okB && a.Cmp(b) == 0
}

// referenceValue turns what encoding/json read into what a rule sees.
func referenceValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		return referenceNumber(v.String())
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = referenceValue(v[i])
		}
		return list
	case map[string]any:
		m := make(map[string]any, len(v))
		for name := range v {
			m[name] = referenceValue(v[name])
		}
		return m
	}
	return v
}

// referenceCanonical is RFC 8785, with the decimals kept that a double would change.
func referenceCanonical(v any) string {
	quote := func(s string) string {
		b, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case string:
		return quote(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case governance.Inexact:
		return v.Text
	case float64:
		number := jsontext.Value(strconv.FormatFloat(v, 'e', -1, 64))
		if err := number.Canonicalize(); err != nil {
			panic(err)
		}
		return string(number)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = referenceCanonical(v[i])
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, func(x, y string) int { return slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y))) })
		parts := make([]string, len(names))
		for i, name := range names {
			parts[i] = quote(name) + ":" + referenceCanonical(v[name])
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	panic("no such value")
}

// sameAsReference holds reading and digest of one text against the reference.
func sameAsReference(t require.TestingT, text string) {
	call := governance.Call{Name: "t", Form: governance.FormFunction, Arguments: text}
	got, err := governance.DecodeArguments(call)
	members, ok := referenceRead(text)
	if strings.Trim(text, " \t\r\n") == "" {
		members, ok = map[string]any{}, true
	}
	if !ok {
		require.ErrorIs(t, err, governance.ErrArguments, text)
		if !utf8.ValidString(text) {
			return
		}
		quoted, quoteErr := jsontext.AppendQuote(nil, text)
		require.NoError(t, quoteErr)
		require.Equal(t, sha256Hex(`{"arguments_text":`+string(quoted)+`,"name":"t"}`), governance.ActionDigest(call), text)
		return
	}
	if err != nil {
		require.Contains(t, err.Error(), "too deep", text)
		return
	}
	want := referenceValue(members).(map[string]any)
	require.Equal(t, want, got, text)
	require.Equal(t, sha256Hex(`{"arguments":`+referenceCanonical(want)+`,"name":"t"}`), governance.ActionDigest(call), text)

	// One at a time, in any order, and names that are not there.
	args, err := governance.ReadArguments(call)
	require.NoError(t, err)
	for name, value := range want {
		require.True(t, args.Has(name))
		for range 2 {
			one, found := args.Get(name)
			require.True(t, found)
			require.Equal(t, value, one)
		}
	}
	absent := "absent"
	for want[absent] != nil {
		absent += "x"
	}
	_, found := args.Get(absent)
	_, there := want[absent]
	require.Equal(t, there, found)
	require.Equal(t, there, args.Has(absent))
	require.Equal(t, want, args.Map())
}

// drawJSON writes a value in one of the many ways it can be written, or that look
// as if it could.
func drawJSON(t *rapid.T, depth int, wrong bool) string {
	pick := func(label string, right []string, wrongs ...string) string {
		if wrong {
			right = append(right, wrongs...)
		}
		return rapid.SampledFrom(right).Draw(t, label)
	}
	space := func() string { return rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r"}).Draw(t, "space") }
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return pick("word", []string{"true", "false", "null"}, "nul", "")
	case 1:
		return pick("number", []string{"0", "-0", "1", "-7", "750.0", "7.50", "1e2", "1E+2", "1e-7", "123456789012345678", "1234567890123456789", "-9223372036854775808",
			"18446744073709551615", "18446744073709551616", "0.1", "0.30000000000000004", "0.3000000000000000444", "123456789.012345", "-0.0", "9007199254740993.0", "1e400", "1e-400",
			"1e22", "100000000000000000000000", "5e-324"}, "01", "1.", "+1", "1e", "-")
	case 2, 3:
		return drawString(t, wrong)
	case 4:
		var parts []string
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			parts = append(parts, space()+drawJSON(t, depth-1, wrong)+space())
		}
		return "[" + space() + strings.Join(parts, ",") + "]"
	}
	var parts []string
	for range rapid.IntRange(0, 5).Draw(t, "members") {
		parts = append(parts, space()+drawString(t, wrong)+space()+":"+space()+drawJSON(t, depth-1, wrong)+space())
	}
	return "{" + space() + strings.Join(parts, ",") + "}"
}

func drawString(t *rapid.T, wrong bool) string {
	pieces := []string{"a", "b", "order_id", "amount and more than eight bytes", "é", "\u20ac", "\U0001F600", "\ufb33", "\ue000", `\u0061`, `\u00e9`, `\u20AC`,
		`\ud83d\ude00`, `\"`, `\\`, `\/`, `\n`, `\b`, `\u0008`, `\u001f`, `\u001F`, `\u007f`, "\x7f", "<&>", `\u2028`, "\u2028"}
	if wrong {
		pieces = append(pieces, `\ud800`, `\udc00`, `\u12`, `\x`, "\xff", "\x01", `"`)
	}
	return `"` + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces"), "") + `"`
}

func TestArgumentsAreReadAndDigestedAsTheReferenceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wrong := rapid.IntRange(0, 3).Draw(t, "wrong") == 0
		var members []string
		for range rapid.IntRange(0, 6).Draw(t, "members") {
			members = append(members, drawString(t, wrong)+":"+drawJSON(t, 3, wrong))
		}
		text := "{" + strings.Join(members, ",") + "}"
		if wrong {
			text += rapid.SampledFrom([]string{"", "}", "{}", ","}).Draw(t, "behind")
		}
		sameAsReference(t, text)
	})
}

func TestArgumentsWithManyMembersAreReadAsTheReferenceDoes(t *testing.T) {
	var members []string
	for i := range 500 {
		members = append(members, strconv.Quote("m"+strconv.Itoa((i*7919)%500))+":"+strconv.Itoa(i))
	}
	sameAsReference(t, "{"+strings.Join(members, ",")+"}")
	sameAsReference(t, `{"x":[{`+strings.Join(members, ",")+`,"m7":1}]}`)
}
