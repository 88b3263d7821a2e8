package governance_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestNumbersOfArgumentsKeepTheirValue(t *testing.T) {
	for text, want := range map[string]any{
		"0": int64(0), "-0": int64(0), "750": int64(750), "9007199254740993": int64(9007199254740993),
		"9223372036854775807": int64(math.MaxInt64), "9223372036854775808": uint64(1 << 63), "12345678901234567890": uint64(12345678901234567890),
		"18446744073709551615": uint64(math.MaxUint64), "-9223372036854775808": int64(math.MinInt64),
		"100000000000000000000": 1e20, "100000000000000000001": governance.Inexact{Text: "100000000000000000001"},
		"0.1": 0.1, "100.01": 100.01, "750.00": 750.0, "1e3": 1000.0, "1E+3": 1000.0, "0.10": 0.1, "1e-7": 1e-7, "0.0": 0.0, "0e999999999999": 0.0,
		"9007199254740993.0": governance.Inexact{Text: "9007199254740993.0"}, "0.1000000000000000055511151231257827": governance.Inexact{Text: "0.1000000000000000055511151231257827"},
		"1e400": governance.Inexact{Text: "1e400"}, "1e-400": governance.Inexact{Text: "1e-400"}, "1e99999999999999999999": governance.Inexact{Text: "1e99999999999999999999"},
	} {
		args, err := governance.DecodeArguments(governance.Call{Arguments: `{"x":` + text + `}`})
		require.NoError(t, err, text)
		require.Equal(t, want, args["x"], text)
	}
}

func TestArgumentsThatAreNotOneStrictObjectAreRefused(t *testing.T) {
	for _, text := range []string{`null`, `[]`, `"x"`, `1`, `{`, `{}}`, `{} {}`, `{}x`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{'a':1}`, `{"a":01}`, `{"a":1.}`, `{"a":.5}`,
		`{"a":+1}`, `{"a":-}`, `{"a":1e}`, `{"a":NaN}`, `{"a":tru}`, `{"a":"x`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\ud800"}`, `{"a":"\udc00"}`, `{"a":"\ud800\u0041"}`,
		"{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", "{\"a\\n\":\"\xff\"}", "\ufeff{}", "\u00a0{}", `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"b":[{"c":1,"c":1}]}`, `{"":1,"":2}`, `{"a":1 "b":2}`, `{"a":[1 2]}`,
		`{"a":[1,]}`, `{"a":[}`, `/**/{}`,
		`{"a":` + strings.Repeat("[", governance.MaxArgumentDepth) + strings.Repeat("]", governance.MaxArgumentDepth) + `}`} {
		_, err := governance.DecodeArguments(governance.Call{Form: governance.FormFunction, Arguments: text})
		require.ErrorIs(t, err, governance.ErrArguments, text)
	}
	args, err := governance.DecodeArguments(governance.Call{Arguments: " \t\r\n"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{}, args)
	args, err = governance.DecodeArguments(governance.Call{Form: governance.FormCustom, Arguments: `{"a":1,"a":2}`})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"input": `{"a":1,"a":2}`}, args)
	_, err = governance.DecodeArguments(governance.Call{Form: governance.FormCustom, Arguments: "\xff"})
	require.ErrorIs(t, err, governance.ErrArguments)
}

// FuzzDecodeArguments holds the reader against the reference: what it accepts is
// what jsontext accepts, the values are those of encoding/json, the digest is that
// of the simple canonical form, and white space does not change it.
func FuzzDecodeArguments(f *testing.F) {
	for _, s := range []string{``, `{}`, `{"a":1,"b":[true,false,null,"x\u00e9\ud83d\ude00"],"c":{"d":-1.5e3}}`, `{"a":1,"a":2}`, `{"a":"\ud800"}`, `{"long":"0123456789abcdef\"0123456789"}`,
		"{\"a\":\"\x7f\u0080\"}", `{"x":9007199254740993}`, `{"\u0061":1,"B":{"z":[],"y":"\/\u001F"}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sameAsReference(t, text)
		var spaced bytes.Buffer
		if json.Indent(&spaced, []byte(text), "", "  ") != nil {
			return
		}
		call := governance.Call{Name: "t", Arguments: text}
		if _, err := governance.ReadArguments(call); err != nil {
			return
		}
		again := call
		again.Arguments = spaced.String()
		require.Equal(t, governance.ActionDigest(call), governance.ActionDigest(again))
	})
}

func TestActionDigestIsThatOfTheCanonicalForm(t *testing.T) {
	digest := func(name, args string) string {
		return governance.ActionDigest(governance.Call{Name: name, Arguments: args})
	}
	// sha256 of {"arguments":{"amount":750,"order_id":"456"},"name":"process_refund"}
	require.Equal(t, sha256Hex(`{"arguments":{"amount":750,"order_id":"456"},"name":"process_refund"}`), digest("process_refund", `{"order_id":"456", "amount":750.0}`))
	same := [][2]string{
		{`{"a":1,"b":2}`, ` { "b" : 2 , "a" : 1.0 } `}, {`{"a":"é"}`, `{"a":"\u00e9"}`}, {`{}`, ``}, {`{"a":1e2}`, `{"a":100}`}, {`{"a":-0.0}`, `{"a":0}`}, {`{"a":"/"}`, `{"a":"\/"}`},
	}
	for _, pair := range same {
		require.Equal(t, digest("t", pair[0]), digest("t", pair[1]), pair)
	}
	different := [][2]string{
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`}, {`{"a":1}`, `{"a":"1"}`}, {`{"a":null}`, `{}`}, {`{"a":[1,2]}`, `{"a":[2,1]}`}, {`{"a":1,"a":2}`, `{"a":2,"a":1}`},
		{`{"a":1e400}`, `{"a":2e400}`}, {`{"a":"e\u0301"}`, `{"a":"\u00e9"}`},
	}
	for _, pair := range different {
		require.NotEqual(t, digest("t", pair[0]), digest("t", pair[1]), pair)
	}
	require.NotEqual(t, digest("t", `{}`), digest("u", `{}`))
	// Numbers and order of RFC 8785.
	for text, want := range map[string]string{
		`{"n":1E30}`: `{"n":1e+30}`, `{"n":4.50}`: `{"n":4.5}`, `{"n":2e-3}`: `{"n":0.002}`, `{"n":1e-7}`: `{"n":1e-7}`, `{"n":1e21}`: `{"n":1e+21}`,
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`: "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		`{"s":"\u0001\b\t\n\f\r\"\\\u007f<>&"}`:                                       "{\"s\":\"\\u0001\\b\\t\\n\\f\\r\\\"\\\\\u007f<>&\"}",
	} {
		require.Equal(t, sha256Hex(`{"arguments":`+want+`,"name":"t"}`), digest("t", text), text)
	}
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
