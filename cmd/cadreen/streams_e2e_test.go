package main

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

var lookupCall = scripted.Call{ID: "call_1", Name: "get_order", Arguments: `{"order_id":"Zürich", "n":750.00}`}

// Every spelling of a stream that goes through whole is returned whole.
func TestAllowedStreamsComeBackByteForByte(t *testing.T) {
	h := scripted.Head{}
	withCalls := h.Turn("Zürich 😀", lookupCall, scripted.Call{ID: "call_2", Name: "get_order", Arguments: `{}`})
	for name, c := range map[string]struct {
		wire   scripted.Wire
		chunks []string
	}{
		"LF":                              {chunks: withCalls},
		"F74 CRLF":                        {wire: scripted.Wire{EOL: "\r\n"}, chunks: withCalls},
		"F74 CR":                          {wire: scripted.Wire{EOL: "\r"}, chunks: withCalls},
		"F74 data without a blank":        {wire: scripted.Wire{NoBlank: true}, chunks: withCalls},
		"BOM":                             {wire: scripted.Wire{BOM: true}, chunks: withCalls},
		"no final newline":                {wire: scripted.Wire{NoFinalNewline: true}, chunks: withCalls},
		"comments":                        {wire: scripted.Wire{Comment: " keep-alive"}, chunks: withCalls},
		"text only":                       {chunks: h.Turn("just text")},
		"E63 vendor members in calls":     {chunks: h.Turn("", scripted.Call{ID: "call_1", Name: "get_order", Arguments: `{}`, Extra: `,"extra_content":{"google":{"thought_signature":"c2ln"}}`})},
		"E60 reasoning":                   {chunks: []string{h.Role(0), h.Reasoning(0, "hm"), h.Text(0, "x"), h.Finish(0, "stop")}},
		"E64 same index twice in a chunk": {chunks: []string{h.Role(0), h.SameIndexTwice(0, 0, lookupCall), h.Finish(0, "tool_calls")}},
		"E64 parallel in one chunk":       {chunks: []string{h.Role(0), h.Parallel(0, lookupCall, scripted.Call{ID: "call_2", Name: "get_order", Arguments: `{}`}), h.Finish(0, "tool_calls")}},
		"E66 final chunk without delta":   {chunks: []string{h.Role(0), h.Text(0, "x"), h.FinishNoDelta(0, "stop"), h.Usage()}},
		"E71 no role delta":               {chunks: []string{h.Text(0, "x"), h.Finish(0, "stop")}},
		"usage in the finish chunk":       {chunks: []string{h.Role(0), h.Text(0, "x"), h.UsageInFinish(0, "stop")}},
		"two choices interleaved":         {chunks: []string{h.Role(0), h.Role(1), h.Text(0, "a"), h.Text(1, "b"), h.Finish(1, "stop"), h.Text(0, "c"), h.Finish(0, "stop"), h.Usage()}},
		"custom call":                     {chunks: append(append([]string{h.Role(0)}, h.CustomChunks(0, 0, scripted.Call{ID: "call_1", Name: "run_sql", Arguments: "select 1"}, 2)...), h.Finish(0, "tool_calls"))},
		"legacy function_call":            {chunks: append(append([]string{h.Role(0)}, h.LegacyChunks(0, lookupCall, 2)...), h.Finish(0, "function_call"))},
	} {
		for how, make := range map[string]func(...string) scripted.Reply{"a frame a write": c.wire.Reply, "F67 one write": c.wire.OneRead, "F74 split at every byte": c.wire.Split} {
			t.Run(name+"/"+how, func(t *testing.T) {
				p, model := startScripted(t, setup{policy: allowAll})
				p.loose = true // spellings beyond OpenAI's are the point here
				model.Next(make(c.chunks...))
				ask := newChat("hi").streaming(true)
				ask.tools = append(ask.tools, `{"type":"custom","custom":{"name":"run_sql"}}`)
				r := p.post(ask.body())
				// A byte order mark is no part of a frame: it may only begin a
				// stream, and something of ours may have begun it.
				sameStream(t, strings.TrimPrefix(c.wire.Bytes(c.chunks...), "\ufeff"), r)
				require.Equal(t, "ok", r.read(t).gate)
			})
		}
	}
}

// E64: clients add names up, so a name that came with every fragment leaves
// once. This is the one allowed call that does not leave in its own frames.
func TestANameRepeatedInEveryFragmentLeavesOnce(t *testing.T) {
	p, model := startScripted(t, setup{policy: allowAll})
	h, call := scripted.Head{}, scripted.Call{ID: "call_1", Name: "get_order", Arguments: `{"order_id":"Z\u00fcrich"}`, RepeatName: true}
	model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0), h.Text(0, "x")}, h.CallChunks(0, 0, call, 3)...), h.Finish(0, "tool_calls"), h.Usage())...))
	r := p.post(newChat("hi").streaming(true).body())
	r.read(t).released(t, call)
	require.Equal(t, 1, strings.Count(r.body, `"get_order"`))
	require.Equal(t, 1, strings.Count(r.body, `"call_1"`))
}

func TestRecordedStreamsComeBackByteForByte(t *testing.T) {
	all, err := scripted.Load(filepath.Join(sharedData, "streams"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded streams are not here")
	}
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, rec := range all {
		t.Run(rec.Name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			p.loose = true
			model.Next(scripted.Wire{}.Reply(rec.Chunks...))
			ask := newChat("hi").streaming(true)
			ask.tools = append(ask.tools, tool("weather"), tool("webSearchTool"))
			sameStream(t, scripted.Wire{}.Bytes(rec.Chunks...), p.post(ask.body()))
		})
	}
}

// The recorded calls, held and then released: every name once, whole.
func TestRecordedCallsAreHeldAndReleasedWhole(t *testing.T) {
	all, err := scripted.Load(filepath.Join(sharedData, "streams"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the recorded streams are not here")
	}
	require.NoError(t, err)
	for _, rec := range all {
		if !strings.Contains(strings.Join(rec.Chunks, ""), `"tool_calls"`) {
			continue
		}
		t.Run(rec.Name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: `
name: Ask
rules:
  - id: ask
    condition: "Ask about everything"
    tools: [weather, webSearchTool]
    when: [{if: 'true', effect: confirm}]
`})
			p.loose = true
			model.Next(scripted.Wire{}.Reply(rec.Chunks...))
			want := reply{header: map[string][]string{"Content-Type": {"text/event-stream"}}, body: scripted.Wire{}.Bytes(rec.Chunks...)}.read(t)
			require.Len(t, want.calls, 1)
			ask := newChat("hi").streaming(true)
			ask.tools = append(ask.tools, tool("weather"), tool("webSearchTool"))
			asked := p.post(ask.body()).read(t)
			asked.held(t, want.calls[0].name)
			got := p.post(ask.say(asked.text, "yes").body()).read(t)
			require.Equal(t, want.calls, got.calls)
		})
	}
}

func tool(name string) string {
	return `{"type":"function","function":{"name":"` + name + `","parameters":{"type":"object"}}}`
}

// F80: text is handed on while the model is still writing.
func TestTextIsNotHeldBack(t *testing.T) {
	p, model := startScripted(t, setup{})
	gate := make(chan struct{})
	h := scripted.Head{}
	model.Next(scripted.Stream(scripted.Frame("data: "+h.Role(0)+"\n\n"), scripted.Frame("data: "+h.Text(0, "first")+"\n\n"), scripted.Wait(gate),
		scripted.Frame("data: "+h.Text(0, "second")+"\n\ndata: "+h.Finish(0, "stop")+"\n\ndata: [DONE]\n\n")))
	res, err := p.open(t.Context(), newChat("hi").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	scan := bufio.NewScanner(res.Body)
	for scan.Scan() {
		require.NotContains(t, scan.Text(), "second")
		if strings.Contains(scan.Text(), "first") {
			break
		}
	}
	close(gate)
	rest := ""
	for scan.Scan() {
		rest += scan.Text()
	}
	require.Contains(t, rest, "second")
	require.Contains(t, rest, "[DONE]")
}

// F78: the client went, so the model must stop, before and after the first byte.
func TestClientGoneCancelsTheModel(t *testing.T) {
	for name, reply := range map[string]scripted.Reply{
		"before headers": scripted.Hang(),
		"in the text":    scripted.Stream(scripted.Frame("data: "+scripted.Head{}.Role(0)+"\n\n"), scripted.Stall()),
		"in a held call": scripted.Stream(scripted.Frame("data: "+scripted.Head{}.Role(0)+"\n\ndata: "+scripted.Head{}.CallChunks(0, 0, lookupCall, 1)[0]+"\n\n"), scripted.Stall()),
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(reply)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_, _ = p.try(ctx, newChat("hi").streaming(true).body())
			}()
			got, err := model.Await(t.Context(), 1)
			require.NoError(t, err)
			cancel()
			<-over
			<-got.Gone()
		})
	}
}

// A line of 10 MB is text like any other.
func TestALongLineGoesThrough(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	chunks := []string{h.Role(0), h.LongLine(0, 10<<20), h.Finish(0, "stop")}
	model.Next(scripted.Wire{}.Reply(chunks...))
	r := p.post(newChat("hi").streaming(true).body())
	require.Equal(t, plainStream(t, scripted.Wire{}.Bytes(chunks...)), plainStream(t, r.body))
}
