package openai

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// token is one thing of a document, as both readers see it.
type token struct {
	delim byte // { } [ ] or 0
	value any
}

// walked are the tokens as this package walks them.
func walked(d *document, n int32, list []token) []token {
	v := d.span(n)
	if d.at(v) != n {
		panic("a node is not found by where it stands")
	}
	switch d.first(n) {
	case '{':
		list = append(list, token{delim: '{'})
		for o := d.inside(n); o.next(); {
			list = append(list, token{value: unquoted(o.Key.Of(d.b))})
			list = walked(d, o.node, list)
		}
		return append(list, token{delim: '}'})
	case '[':
		list = append(list, token{delim: '['})
		for a := d.inside(n); a.next(); {
			list = walked(d, a.node, list)
		}
		return append(list, token{delim: ']'})
	case '"':
		return append(list, token{value: unquoted(v.Of(d.b))})
	case 't', 'f':
		return append(list, token{value: string(v.Of(d.b)) == "true"})
	case 'n':
		return append(list, token{value: nil})
	}
	return append(list, token{value: json.Number(v.Of(d.b))})
}

func unquoted(raw []byte) string {
	s, err := Unquote(raw)
	if err != nil {
		panic(err)
	}
	return s
}

// decoded are the tokens as encoding/json reads them.
func decoded(t *testing.T, b []byte) (list []token) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return list
		}
		require.NoError(t, err)
		if delim, ok := tok.(json.Delim); ok {
			list = append(list, token{delim: byte(delim)})
		} else {
			list = append(list, token{value: tok})
		}
	}
}

var documents = []string{`{}`, ` {"a":1}`, `{"a":[],"b":{},"c":"","d":null,"e":true,"f":false,"g":-1.50e+3,"h":[1,"x",[{"y":[]}]]}`, "\r\n\t {\n \"a\" :\t[ 1 , 2 ] , \"b\" : { \"c\" : \"d\" } } \n",
	`{"a\"b":"\\","c\\":"\\\"","":"\\\\\"\\"}`, `{"\u0061\ud83d\ude00":"\ud800","x":"\udc00\\"}`, `{"long":"` + strings.Repeat(`a\"b\\`, 40) + `","end":"\\"}`, `{"ü😀":"ü😀","1234567":"","12345678":"1234567\"","123456789":"\\\\\\\\"}`,
	`{"a":"{[\"","b":["}","]",{"c":"\""}]}`, textChunk, callChunk, `{"choices":[{"index":0,"delta":{"tool\u005fcalls":[]}}]}`}

// FuzzWalk holds that the walk sees what encoding/json sees, token by token,
// and the same in a part of the document that is read on its own.
func FuzzWalk(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s))
	}
	f.Add(bigRequest())
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := scan(b, nil)
		if err != nil {
			return
		}
		want := decoded(t, b)
		require.Equal(t, want, walked(&d, root, nil))
		for o := d.inside(root); o.next(); {
			own := part(o.Value.Of(b), nil)
			require.Equal(t, walked(&d, o.node, nil), walked(&own, root, nil), "a part")
		}
		again, err := scan(b, d.nodes)
		require.NoError(t, err)
		require.Equal(t, want, walked(&again, root, nil), "in used room")
	})
}

// drawJSON is a JSON object in any spelling, and sometimes nearly one.
func drawJSON(t *rapid.T) []byte {
	var b []byte
	blank := func() {
		b = append(b, rapid.SampledFrom([]string{"", "", "", " ", "\n", "\t\r\n "}).Draw(t, "blank")...)
	}
	text := func() {
		b = append(b, '"')
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			b = append(b, rapid.SampledFrom([]string{"a", "tool_calls", "ü", "😀", `\"`, `\\`, `\n`, `\u0041`, `\ud83d\ude00`, `\ud800`, "{", "]", ",", ":", "        "}).Draw(t, "bit")...)
		}
		b = append(b, '"')
	}
	var value func(depth int)
	object := func(depth int) {
		b = append(b, '{')
		blank()
		for i := range rapid.IntRange(0, 4).Draw(t, "members") {
			if i > 0 {
				b = append(b, ',')
				blank()
			}
			text()
			blank()
			b = append(b, ':')
			blank()
			value(depth + 1)
			blank()
		}
		b = append(b, '}')
	}
	value = func(depth int) {
		kind := rapid.IntRange(0, 6).Draw(t, "kind")
		if depth > 4 {
			kind %= 4
		}
		switch kind {
		case 0, 1:
			text()
		case 2, 3:
			b = append(b, rapid.SampledFrom([]string{"0", "-1", "1.50", "1e9", "12345678901234567890", "true", "false", "null"}).Draw(t, "scalar")...)
		case 4:
			object(depth)
		default:
			b = append(b, '[')
			blank()
			for i := range rapid.IntRange(0, 3).Draw(t, "elements") {
				if i > 0 {
					b = append(b, ',')
					blank()
				}
				value(depth + 1)
				blank()
			}
			b = append(b, ']')
		}
	}
	blank()
	object(0)
	blank()
	return b
}

func TestTheWalkSeesWhatEncodingJSONSees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := drawJSON(rt)
		d, err := scan(b, nil)
		if err != nil {
			require.ErrorContains(rt, err, "duplicate name")
			return
		}
		want := decoded(t, b)
		require.Equal(rt, want, walked(&d, root, nil))
	})
}

func TestFoldsIsWhatReadersThatIgnoreCaseDo(t *testing.T) {
	for name, want := range map[string]bool{"tool_calls": true, "Tool_Calls": true, "TOOL_CALLS": true, "tool_callſ": true, "toolcalls": false, "tool_call": false, "tool_callss": false,
		"tool_calls ": false, "tool-calls": false, "": false, "ſool_calls": false, "tool_callK": false} {
		require.Equal(t, want, folds([]byte(name), "tool_calls"), name)
		require.Equal(t, want, strings.EqualFold(name, "tool_calls"), name)
	}
	require.True(t, folds([]byte("to\u212aen"), "token"))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.StringMatching(`[a-z_]{0,8}`).Draw(t, "name")
		var b strings.Builder
		for _, r := range n {
			b.WriteString(rapid.SampledFrom([]string{string(r), strings.ToUpper(string(r)), string(r), "ſ", "\u212a", "_", ""}).Draw(t, "letter"))
		}
		require.Equal(t, strings.EqualFold(b.String(), n), folds([]byte(b.String()), n), "%q as %q", b.String(), n)
	})
}

func TestFindUndoesEscapesAndSeesOtherCases(t *testing.T) {
	list := names{"role", "tool_calls", "skip"}
	for key, want := range map[string]struct {
		at   int
		near bool
	}{
		`"tool_calls"`: {1, false}, `"tool\u005fcalls"`: {1, false}, `"Tool_calls"`: {1, true}, `"tool\u005fCalls"`: {1, true}, `"\u0054ool_calls"`: {1, true},
		`"tool_call\u017f"`: {1, true}, `"ſkip"`: {2, true}, `"s\u212aip"`: {2, true}, `""`: {-1, false}, `"tool_calls\u0000"`: {-1, false}, `"\ud800"`: {-1, false}, `"ROLE"`: {0, true}, `"Rôle"`: {-1, false},
	} {
		at, near := list.find(plain([]byte(key)))
		require.Equal(t, want.at, at, key)
		require.Equal(t, want.near, near, key)
	}
}

func TestWhatQuoteWritesIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		raw := Quote([]byte("x"), s)[1:]
		got, err := Unquote(raw)
		require.NoError(t, err)
		require.Equal(t, strings.ToValidUTF8(s, "\ufffd"), got)
		var std string
		require.NoError(t, json.Unmarshal(raw, &std))
		require.Equal(t, got, std)
	})
	require.Equal(t, `"a\"b\\\n\t\r\u0000\u001f\u0085\u2028\u2029ü😀<>&/"`, string(Quote(nil, "a\"b\\\n\t\r\x00\x1f\u0085\u2028\u2029ü😀<>&/")))
}

func TestUnquote(t *testing.T) {
	for raw, want := range map[string]string{`"a"`: "a", `""`: "", `null`: "", ``: "", `"\u00fc\ud83d\ude00"`: "ü😀", `"\ud83d"`: "\ufffd", `"\/"`: "/", `"a\\"`: `a\`} {
		got, err := Unquote([]byte(raw))
		require.NoError(t, err, raw)
		require.Equal(t, want, got, raw)
	}
	for _, raw := range []string{"5", "{}", "true"} {
		_, err := Unquote([]byte(raw))
		require.Error(t, err, raw)
	}
	for raw, want := range map[string]string{`"a\"b"`: `a\"b`, `""`: ""} {
		got, ok := TrimString([]byte(raw))
		require.True(t, ok)
		require.Equal(t, want, string(got))
	}
	for _, raw := range []string{"", "null", "5", `"`} {
		_, ok := TrimString([]byte(raw))
		require.False(t, ok, raw)
	}
	require.True(t, utf8.ValidString(unquoted([]byte(`"\ud800\udbff"`))))
}
