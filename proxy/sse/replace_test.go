package sse

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func first(t require.TestingT, input string) Frame {
	f, err := NewReader(strings.NewReader(input), 0).Next()
	require.NoError(t, err)
	return f
}

func TestReplace(t *testing.T) {
	for name, c := range map[string]struct{ input, data, want string }{
		"one line":                           {"data: {\"a\":1}\n\n", `{}`, "data: {}\n\n"},
		"no blank":                           {"data:a\r\n\r\n", `b`, "data:b\r\n\r\n"},
		"what stands around it":              {": c\r\nid: 7\r\ndata: a\r\nretry: 1\r\n\r\n", `b`, ": c\r\nid: 7\r\ndata: b\r\nretry: 1\r\n\r\n"},
		"CR":                                 {"data: a\r\r", `bcd`, "data: bcd\r\r"},
		"to nothing":                         {"data: a\n\n", ``, "data: \n\n"},
		"from nothing":                       {"data:\n\n", `a`, "data:a\n\n"},
		"a name without a colon":             {"data\n\n", `a`, "data: a\n\n"},
		"a payload that begins with a blank": {"data:a\n\n", ` b`, "data:  b\n\n"},
		"the same behind a blank":            {"data: a\n\n", ` b`, "data:  b\n\n"},
		"several lines":                      {"data: {\"a\":\nid: 7\ndata:1}\n\n", `{"b":2}`, "data: {\"b\":2}\nid: 7\n\n"},
		"several lines, to several":          {"data: {\ndata: }\r\n\r\n", "{\n\"b\":2}", "data: { \"b\":2}\r\n\r\n"},
		"a CR before the last CRLF":          {"data:\rdata:\r\n\r\n", `a`, "data:a\r\n\r\n"},
		"to several lines":                   {"data: {}\n\n", "{\n\"a\":\r\n1}", "data: { \"a\":  1}\n\n"},
		"a line end first":                   {"data:{}\n\n", "\n{}", "data:  {}\n\n"},
		"a frame without a payload":          {": c\r\n\r\n", `a`, ": c\r\ndata: a\r\n\r\n"},
		"a blank line":                       {"\n", `a`, "data: a\n\n"},
		"unfinished":                         {"data: a", `b`, "data: b"},
		"unfinished without a payload":       {": c", `b`, ": c\ndata: b\n"},
		"unfinished, several lines":          {"data: a\r\ndata: b", `c`, "data: c\r\n"},
		"a byte order mark":                  {"\ufeffdata: a\n\n", `b`, "\ufeffdata: b\n\n"},
		"a byte order mark, several lines":   {"\ufeffdata: a\ndata: b\n\n", `c`, "\ufeffdata: c\n\n"},
		"a byte order mark, no payload":      {"\ufeff\n", `c`, "\ufeffdata: c\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := first(t, c.input)
			require.Equal(t, "before "+c.want, string(f.Replace([]byte("before "), []byte(c.data))))
			require.Equal(t, c.input, string(f.Raw), "the frame itself stays")
			got, at := f.ReplaceAt(nil, []byte(c.data))
			require.Equal(t, c.want, string(got))
			require.Len(t, strings.Split(string(got[at:at+len(c.data)]), "\n"), 1)
		})
	}
}

// There are readers that take every data line for itself; a document within the
// document must not become one for them.
func TestAPayloadOfSeveralLinesLeavesOnOne(t *testing.T) {
	f := first(t, "data: {\"choices\":[],\"x\":\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[]}}]}\ndata: }\n\n")
	require.Equal(t, "data: {\"choices\":[],\"x\": {\"choices\":[{\"delta\":{\"tool_calls\":[]}}]} }\n\n", string(f.Replace(nil, f.Data)))
}

// An unfinished frame that its caller has completed is replaced like another.
func TestReplaceInAFrameThatWasCompleted(t *testing.T) {
	f := first(t, "id: {x}\ndata: {\"a\":1}")
	require.False(t, f.Complete)
	f.Raw, f.At = []byte(string(f.Raw)+"\n\n"), -1
	require.Equal(t, "id: {x}\ndata: {}\n\n", string(f.Replace(nil, []byte(`{}`))))
}

func TestWhatReplaceWritesIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.StringMatching(`[ {}a-z"\n\r]{0,12}`).Draw(t, "data")
		flat := strings.NewReplacer("\n", " ", "\r", " ").Replace(data)
		frames := whole(t, drawStream(t))
		for i := range frames {
			f := first(t, frames[i].Raw)
			if string(f.Raw) != frames[i].Raw || f.Odd {
				continue
			}
			out, at := f.ReplaceAt(nil, []byte(data))
			require.Equal(t, flat, string(out[at:at+len(data)]))
			got := first(t, string(out))
			require.Equal(t, string(out), string(got.Raw), "one frame")
			require.True(t, got.Data != nil)
			require.Equal(t, flat, string(got.Data))
			require.Equal(t, at, got.At)
			require.Equal(t, string(f.Event), string(got.Event))
			require.Equal(t, f.Odd, got.Odd)
			again := first(t, string(got.Replace(nil, []byte("x"))))
			require.Equal(t, "x", string(again.Data))
		}
	})
}

// A payload that is put in its own place changes nothing.
func TestReplaceByTheSameChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewReader(strings.NewReader(drawStream(t)), 0)
		for {
			f, err := r.Next()
			if err != nil {
				return
			}
			if f.At >= 0 {
				require.Equal(t, string(f.Raw), string(f.Replace(nil, f.Data)))
			}
		}
	})
}
