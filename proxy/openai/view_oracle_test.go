package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// proposal is a call, or a fragment of one, as any reader sees it.
type proposal struct {
	Choice, Index int
	Form          string
	ID, Name, Raw string
}

// proposals are what a view finds.
func proposals(v *View) (list []proposal) {
	read := func(s Span) string {
		text, _ := Unquote(s.Of(v.Data))
		return text
	}
	for i := range v.Choices {
		ch := &v.Choices[i]
		for j := range ch.Calls {
			c := &ch.Calls[j]
			list = append(list, proposal{ch.Index, c.Index, c.Form, read(c.ID), read(c.Name), read(c.Arguments)})
		}
		if ch.HasLegacy {
			list = append(list, proposal{ch.Index, 0, "function_call", "", read(ch.Legacy.Name), read(ch.Legacy.Arguments)})
		}
	}
	return list
}

// seen are what encoding/json finds, in a reader that takes names in any case.
func seen(t testing.TB, data []byte) (list []proposal) {
	var top any
	require.NoError(t, json.Unmarshal(data, &top))
	choices, _ := member(top, "choices").([]any)
	for _, ch := range choices {
		for _, where := range []string{"delta", "message"} {
			body := member(ch, where)
			calls, _ := member(body, "tool_calls").([]any)
			for _, c := range calls {
				p := proposal{whole(member(ch, "index")), whole(member(c, "index")), "function", text0(member(c, "id")), "", ""}
				inner := member(c, "function")
				if inner != nil {
					p.Raw = text0(member(inner, "arguments"))
				} else if inner = member(c, "custom"); inner != nil || text0(member(c, "type")) == "custom" {
					p.Form, p.Raw = "custom", text0(member(inner, "input"))
				}
				p.Name = text0(member(inner, "name"))
				list = append(list, p)
			}
			if legacy, ok := member(body, "function_call").(map[string]any); ok {
				list = append(list, proposal{whole(member(ch, "index")), 0, "function_call", "", text0(member(legacy, "name")), text0(member(legacy, "arguments"))})
			}
		}
	}
	return list
}

func member(of any, name string) any {
	object, _ := of.(map[string]any)
	for k, v := range object {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return nil
}

func whole(v any) int {
	n, _ := v.(float64)
	return int(n)
}

func text0(v any) string {
	s, _ := v.(string)
	return s
}

// FuzzView holds that a chunk that is taken shows every reader, also one that
// ignores case, the calls that the view found, and that edits of it are JSON.
func FuzzView(f *testing.F) {
	for _, s := range documents {
		f.Add([]byte(s))
	}
	for _, s := range []string{`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}`,
		`{"choices":[{"index":1,"message":{"content":"x","function_call":{"name":"f","arguments":"{}"}},"finish_reason":"stop"}],"id":"x"}`,
		`{"choices":[{"delta":{"tool_calls":[{"custom":{"name":"c","input":"x"},"type":"custom"},{"index":null}]}}],"gate":1}`,
		`{"choices":[{"delta":{"Tool_Calls":[]}}]}`, `{"choices":[{"delta":{"tool\u005fcalls":[{"index":1e0}]}}]}`, `{"choices":[],"usage":{},"status":1}`} {
		f.Add([]byte(s))
	}
	var used View
	f.Fuzz(func(t *testing.T, data []byte) {
		var v View
		err := v.Parse(data)
		require.Equal(t, err, used.Parse(data), "a used view")
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		found := proposals(&v)
		require.Equal(t, found, proposals(&used))
		if v.HasChoices {
			require.Equal(t, seen(t, data), found)
		} else {
			require.Empty(t, seen(t, data))
		}
		edits := v.Cut("gate", "status", "error", "id")
		for i := range v.Choices {
			ch := &v.Choices[i]
			var cut []Span
			if ch.CallsMember.Present() {
				cut = append(cut, ch.CallsMember)
			}
			if ch.HasLegacy {
				cut = append(cut, ch.LegacyMember)
			}
			if len(cut) > 0 {
				edits = append(edits, v.CutMembers(ch.Message, []byte(`"content2":""`), cut...)...)
			}
		}
		out := Splice(nil, data, edits...)
		var without View
		require.NoError(t, without.Parse(out), "%s", out)
		require.Empty(t, proposals(&without), "%s", out)
		require.Len(t, without.Choices, len(v.Choices))
		if len(edits) == 0 {
			require.True(t, bytes.Equal(data, out))
		}
	})
}

// What real providers sent is read, and the calls in it are found.
func TestRecordedStreams(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "streams", "*.jsonl"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("the recorded streams are not here")
	}
	var v View
	calls := 0
	for _, name := range files {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			data := bytes.Clone(lines.Bytes())
			if len(bytes.TrimSpace(data)) == 0 {
				continue
			}
			require.NoError(t, v.Parse(data), "%s: %s", filepath.Base(name), data)
			require.True(t, v.HasChoices)
			require.Equal(t, seen(t, data), proposals(&v), "%s: %s", filepath.Base(name), data)
			calls += len(proposals(&v))
		}
		require.NoError(t, lines.Err())
		require.NoError(t, file.Close())
	}
	require.NotZero(t, calls)
}
