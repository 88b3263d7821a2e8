package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// unfinished are the ways in which a stream ends before its call is complete.
// The proxy cannot know how much is missing, so nothing may go out: not the
// call, and not as an allowed one either.
var unfinished = map[string]func(h scripted.Head) scripted.Reply{
	"F77 EOF in the arguments": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{NoDone: true}.Reply(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)[:3]...)...)
	},
	"F77 EOF after whole arguments, no finish": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{NoDone: true}.Reply(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...)...)
	},
	"F76 DONE without finish": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{}.Reply(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...)...)
	},
	"F77 finish length": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...), h.Finish(0, "length"))...)
	},
	"finish content_filter": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...), h.Finish(0, "content_filter"))...)
	},
	"cut in a frame": func(h scripted.Head) scripted.Reply {
		return scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...)...), scripted.Frame(`data: {"id":"x","cho`), scripted.Cut())...)
	},
	"reset": func(h scripted.Head) scripted.Reply {
		return scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...)...), scripted.Reset())...)
	},
	"F76 choices empty, then EOF": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{NoDone: true}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...), h.Usage())...)
	},
	"error object": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 3)...), scripted.StreamError)...)
	},
	"legacy call, EOF": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{NoDone: true}.Reply(append([]string{h.Role(0)}, h.LegacyChunks(0, lookupCall, 3)...)...)
	},
	"custom call, EOF": func(h scripted.Head) scripted.Reply {
		return scripted.Wire{NoDone: true}.Reply(append([]string{h.Role(0)}, h.CustomChunks(0, 0, scripted.Call{ID: "c", Name: "run_sql", Arguments: "drop"}, 3)...)...)
	},
}

func TestATruncatedCallIsNeverReleased(t *testing.T) {
	for name, make := range unfinished {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			model.Next(make(scripted.Head{}))
			ask := newChat("hi").streaming(true)
			ask.tools = append(ask.tools, `{"type":"custom","custom":{"name":"run_sql"}}`)
			r := p.post(ask.body())
			r.read(t).silent(t)
			require.NotContains(t, r.body, `"arguments"`)
			require.NotContains(t, r.body, "drop")
		})
	}
}

func TestATruncatedJSONCallIsNeverReleased(t *testing.T) {
	for _, reason := range []string{"length", "content_filter"} {
		t.Run(reason, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			model.Next(scripted.JSON(scripted.Head{}.CompletionOf(`{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_order","arguments":"{\"order"}}]},"logprobs":null,"finish_reason":"` + reason + `"}`)))
			p.post(newChat("hi").body()).read(t).silent(t)
		})
	}
}

// An upstream that died is an error on the wire, never a tidy end.
func TestUpstreamGoneIsAnErrorAndNeverATidyEnd(t *testing.T) {
	h := scripted.Head{}
	text := []string{h.Role(0), h.Text(0, "half of it")}
	for name, reply := range map[string]scripted.Reply{
		"EOF without finish":   scripted.Wire{NoDone: true}.Reply(text...),
		"cut":                  scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(text...), scripted.Cut())...),
		"reset":                scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(text...), scripted.Reset())...),
		"cut in a frame":       scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(text...), scripted.Frame(`data: {"id":"x`), scripted.Cut())...),
		"connection delimited": scripted.CloseDelimited(scripted.Wire{NoDone: true}.Bytes(text...)),
		"error object":         scripted.Wire{}.Reply(append(append([]string(nil), text...), scripted.StreamError)...),
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(reply)
			r := p.post(newChat("hi").streaming(true).body())
			got := r.read(t)
			require.Contains(t, got.text, "half of it")
			require.NotEmpty(t, got.failed)
			require.False(t, got.done, r.body)
			require.Contains(t, r.body, "\n\ndata: {\"error\":{", "error first, no blank after the brace")
		})
	}
}

// F76: a stream that finished and forgot [DONE] is whole.
func TestFinishWithoutDoneIsWhole(t *testing.T) {
	p, model := startScripted(t, setup{policy: allowAll})
	model.Next(scripted.Wire{NoDone: true}.Reply(scripted.Head{}.Turn("", lookupCall)...))
	got := p.post(newChat("hi").streaming(true).body()).read(t)
	got.released(t, lookupCall)
	require.Empty(t, got.failed)
	require.True(t, got.done)
}

// E64: a server that gives no index at all.
func TestACallWithoutAnIndexIsHeldAndReleased(t *testing.T) {
	p, model := startScripted(t, setup{})
	h, call := scripted.Head{}, refund("call_1", `{"order_id":"456"}`)
	call.NoIndex = true
	model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, call, 0)...), h.Finish(0, "tool_calls"))...))
	ask := newChat("Refund").streaming(true)
	asked := p.post(ask.body()).read(t)
	asked.held(t, "process_refund")
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}

// E59: finish_reason stop with calls makes agents stop: released calls say tool_calls.
func TestReleasedCallsFinishWithToolCallsWhateverTheModelSaid(t *testing.T) {
	p, model := startScripted(t, setup{})
	h, call := scripted.Head{}, refund("call_1", `{"order_id":"456"}`)
	model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, call, 2)...), h.Finish(0, "stop"))...))
	ask := newChat("Refund").streaming(true)
	asked := p.post(ask.body()).read(t)
	asked.held(t, "process_refund")
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}

// A11, A14: a frame that cannot be parsed is not forwarded.
func TestAFrameThatCannotBeParsedIsNotForwarded(t *testing.T) {
	h := scripted.Head{}
	for name, bad := range map[string]string{
		"half an object":  `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"process_refund","arguments":"{}"}}]}`,
		"not JSON":        `process_refund now`,
		"duplicate names": `{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"a"},"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"process_refund","arguments":"{}"}}]},"finish_reason":null}]}`,
		"invalid UTF-8":   "{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"process_refund \xff\"},\"finish_reason\":null}]}",
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(scripted.Wire{}.Reply(h.Role(0), bad, h.Finish(0, "tool_calls")))
			r := p.post(newChat("hi").streaming(true).body())
			require.NotContains(t, r.body, "process_refund")
			r.read(t).silent(t)
			require.NotEmpty(t, r.read(t).failed)
		})
	}
}

// A17: what comes after [DONE] is not part of the reply.
func TestNothingAfterDone(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	body := scripted.Wire{}.Bytes(h.Turn("fine")...) + "data: " + h.CallChunks(0, 0, refund("c", `{}`), 0)[0] + "\n\n"
	model.Next(scripted.Stream(scripted.Frame(body)))
	r := p.post(newChat("hi").streaming(true).body())
	require.NotContains(t, r.body, "process_refund")
	require.True(t, r.read(t).done)
}
