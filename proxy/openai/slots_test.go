package openai

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What StringEnd takes for the characters of a string is what the strict scan takes for them.
func FuzzStringEnd(f *testing.F) {
	for _, s := range []string{`"`, ` word"`, `\"`, `\\"`, `\u00fc"`, `\u00f"`, "\x00\"", "\xff\"", "Zürich\"", `\ud83d"`, "\u2028\"", "\x7f\"", `a\x"`, `12345678"`, `1234567\"8"`, "é12345678\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end := StringEnd(b)
		if end >= 0 {
			require.Equal(t, byte('"'), b[end])
			require.NoError(t, check([]byte(`{"a":"`+string(b[:end])+`"}`)), "%q", b)
		}
		// The other way round: a string that the scan takes ends where it says.
		whole := append(append([]byte(`{"a":"`), b...), `"}`...)
		if check(whole) == nil {
			at := 6 // its closing quote
			for ; whole[at] != '"'; at++ {
				if whole[at] == '\\' {
					at++
				}
			}
			require.Equal(t, at-6, StringEnd(whole[6:]), "%q", b)
		}
	})
}

func TestWhichChunksHaveSlots(t *testing.T) {
	chunk := func(delta, more string) string {
		return `{"id":"x","object":"chat.completion.chunk","choices":[{"index":0,"delta":{` + delta + `},"finish_reason":null}]` + more + `}`
	}
	for name, c := range map[string]struct {
		data string
		want []string // the strings, nil if there are no slots
	}{
		"text":                       {chunk(`"content":" word"`, ``), []string{" word"}},
		"an empty text":              {chunk(`"content":""`, ``), []string{""}},
		"text with a role":           {chunk(`"role":"assistant","content":"a"`, ``), []string{"a"}},
		"text and reasoning":         {chunk(`"content":"a","reasoning":"b"`, ``), []string{"a", "b"}},
		"reasoning, content null":    {chunk(`"content":null,"reasoning_content":"b"`, ``), []string{"b"}},
		"a filler behind":            {chunk(`"content":"a"`, `,"obfuscation":"zz"`), []string{"a", "zz"}},
		"usage null":                 {chunk(`"content":"a"`, `,"usage":null`), []string{"a"}},
		"usage":                      {chunk(`"content":"a"`, `,"usage":{}`), nil},
		"an error":                   {chunk(`"content":"a"`, `,"error":null`), nil},
		"no string":                  {chunk(`"content":null`, ``), nil},
		"parts":                      {chunk(`"content":"a","annotations":[{}]`, ``), nil},
		"nothing":                    {chunk(``, ``), nil},
		"arguments":                  {chunk(`"tool_calls":[{"index":3,"function":{"arguments":"{\"a"}}]`, ``), []string{`{\"a`}},
		"arguments of a custom call": {chunk(`"tool_calls":[{"index":0,"custom":{"input":"x"}}]`, ``), []string{"x"}},
		"with an empty id and name":  {chunk(`"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"","arguments":"x"}}]`, ``), []string{"x"}},
		"with an id":                 {chunk(`"tool_calls":[{"index":0,"id":"a","function":{"arguments":"x"}}]`, ``), nil},
		"with a name":                {chunk(`"tool_calls":[{"index":0,"function":{"name":"f","arguments":"x"}}]`, ``), nil},
		"with an escaped name":       {chunk(`"tool_calls":[{"index":0,"function":{"n\u0061me":"f","arguments":"x"}}]`, ``), nil},
		"without an index":           {chunk(`"tool_calls":[{"function":{"arguments":"x"}}]`, ``), nil},
		"with text":                  {chunk(`"content":"a","tool_calls":[{"index":0,"function":{"arguments":"x"}}]`, ``), nil},
		"two calls":                  {chunk(`"tool_calls":[{"index":0,"function":{"arguments":"x"}},{"index":1,"function":{"arguments":"y"}}]`, ``), nil},
		"legacy":                     {chunk(`"function_call":{"arguments":"x"}`, ``), nil},
		"a finish":                   {`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`, nil},
		"two choices":                {`{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}`, nil},
		"no choice":                  {`{"choices":[]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var v View
			require.NoError(t, v.Parse([]byte(c.data)))
			slots, ok := v.Slots(nil)
			require.Equal(t, c.want != nil, ok)
			var got []string
			if ok {
				for _, s := range slots {
					got = append(got, string(s.Of(v.Data)))
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}
