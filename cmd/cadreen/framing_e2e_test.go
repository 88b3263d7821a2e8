package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// asksAll asks about every tool of these tests.
const asksAll = `
name: Ask
rules:
  - id: ask-all
    condition: "Ask about everything"
    tools: ["process_*", "get_*", "run_*"]
    when: [{if: 'true', effect: confirm}]
`

// wholeCall is the inside of tool_calls with one complete call.
func wholeCall(index, id, name, arguments string) string {
	return `[{"index":` + index + `,"id":"` + id + `","type":"function","function":{"name":"` + name + `","arguments":` + scripted.Quote(arguments) + `}}]`
}

// Some servers send the end of the reply in the frame of the call, or the whole
// reply in one frame.
func TestACallThatFinishesInItsOwnFrame(t *testing.T) {
	h := scripted.Head{}
	call := refund("call_1", refundArgs)
	finishing := func(delta, more string) string {
		return h.Chunk(`[{"index":0,"delta":`+delta+`,"logprobs":null,"finish_reason":"tool_calls"}]`, more)
	}
	for name, chunks := range map[string][]string{
		"call":                 {h.Role(0), finishing(`{"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, "")},
		"call and usage":       {h.Role(0), finishing(`{"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, `,"usage":`+scripted.Usage)},
		"text and call":        {h.Role(0), finishing(`{"content":"Right away.","tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, "")},
		"text, call and usage": {h.Role(0), finishing(`{"content":"Right away.","tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, `,"usage":`+scripted.Usage)},
		"everything":           {finishing(`{"role":"assistant","content":"Right away.","tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, `,"usage":`+scripted.Usage)},
		"only the call":        {finishing(`{"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, "")},
		"reasoning and call":   {finishing(`{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`, "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("held", func(t *testing.T) {
				p, model := startScripted(t, setup{})
				model.Next(scripted.Wire{}.Reply(chunks...))
				ask := newChat("Refund it").streaming(true)
				r := p.post(ask.body())
				asked := r.read(t)
				asked.held(t, "process_refund")
				got := r.choice(t, 0)
				got.asksIn(t, "process_refund")
				require.GreaterOrEqual(t, got.roles, 1, "a client needs the role")
				if strings.Contains(name, "text") || name == "everything" {
					require.True(t, strings.HasPrefix(got.text, "Right away.\n\n"), got.text)
				}
				require.Equal(t, strings.Contains(strings.Join(chunks, ""), `"usage"`), strings.Contains(r.body, `"usage":`+scripted.Usage))
				p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
			})
			t.Run("allowed", func(t *testing.T) {
				p, model := startScripted(t, setup{policy: allowAll})
				model.Next(scripted.Wire{}.Reply(chunks...))
				r := p.post(newChat("Refund it").streaming(true).body())
				sameStream(t, scripted.Wire{}.Bytes(chunks...), r)
				r.read(t).released(t, call)
			})
			t.Run("blocked", func(t *testing.T) {
				p, model := startScripted(t, setup{policy: blockRefunds})
				model.Next(scripted.Wire{}.Reply(chunks...))
				r := p.post(newChat("Refund it").streaming(true).body())
				got := r.choice(t, 0)
				require.Zero(t, got.calls)
				require.True(t, strings.HasSuffix(got.text, "Refunds are closed"), got.text)
				require.Equal(t, []string{"stop"}, got.finishes)
				require.Equal(t, "blocked", r.read(t).gate)
			})
		})
	}
}

// A frame with text of one choice that ends, and a call of another.
func TestOneFrameThatEndsAChoiceAndCarriesACallOfAnother(t *testing.T) {
	h := scripted.Head{}
	chunks := []string{h.Role(0), h.Role(1), h.Text(0, "words"),
		h.Chunk(`[{"index":0,"delta":{"content":" and the end"},"logprobs":null,"finish_reason":"stop"},{"index":1,"delta":{"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`},"logprobs":null,"finish_reason":"tool_calls"}]`, ""),
		h.Usage()}
	t.Run("held", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.Wire{}.Reply(chunks...))
		r := p.post(newChat("Refund it").streaming(true).with(`,"n":2`).body())
		first := r.choice(t, 0)
		require.Equal(t, "words and the end", first.text)
		require.Equal(t, []string{"stop"}, first.finishes)
		r.choice(t, 1).asksIn(t, "process_refund")
		r.read(t).silent(t)
		require.Equal(t, "needs_input", r.read(t).gate)
	})
	t.Run("allowed", func(t *testing.T) {
		p, model := startScripted(t, setup{policy: allowAll})
		model.Next(scripted.Wire{}.Reply(chunks...))
		sameStream(t, scripted.Wire{}.Bytes(chunks...), p.post(newChat("Refund it").streaming(true).with(`,"n":2`).body()))
	})
}

// Calls of two choices in one frame: one question, and what is allowed of the
// other still goes.
func TestCallsOfTwoChoicesInOneFrame(t *testing.T) {
	h := scripted.Head{}
	frame := func(name0, name1 string) []string {
		return []string{h.Role(0), h.Role(1), h.Chunk(`[{"index":0,"delta":{"tool_calls":`+wholeCall("0", "call_a", name0, `{"order_id":"1"}`)+`},"logprobs":null,"finish_reason":null},{"index":1,"delta":{"tool_calls":`+wholeCall("0", "call_b", name1, `{"order_id":"2"}`)+`},"logprobs":null,"finish_reason":null}]`, ""),
			h.Finish(0, "tool_calls"), h.Finish(1, "tool_calls")}
	}
	t.Run("both held", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.Wire{}.Reply(frame("process_refund", "process_refund")...))
		ask := newChat("Refund it").streaming(true).with(`,"n":2`)
		r := p.post(ask.body())
		r.choice(t, 0).asksIn(t, "process_refund")
		second := r.choice(t, 1)
		require.Zero(t, second.calls)
		require.NotContains(t, second.text, promptLast, "the lowest choice that holds is asked about")
		require.NotEmpty(t, second.text, "what was dropped is said")
		require.Equal(t, []string{"stop"}, second.finishes)
		require.Len(t, r.read(t).pending, 1)
		p.post(ask.say(r.choice(t, 0).text, "yes").body()).read(t).released(t, refund("call_a", `{"order_id":"1"}`))
	})
	t.Run("one held, one allowed", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.Wire{}.Reply(frame("process_refund", "get_order")...))
		r := p.post(newChat("Refund it").streaming(true).with(`,"n":2`).body())
		r.choice(t, 0).asksIn(t, "process_refund")
		second := r.choice(t, 1)
		require.Equal(t, 1, second.calls)
		require.Equal(t, []string{"tool_calls"}, second.finishes)
		require.NotContains(t, r.body, "call_a")
	})
}

// The added fields stand once in an object, whatever frame they fall into.
func TestAddedFieldsStandOnce(t *testing.T) {
	h := scripted.Head{}
	for name, chunks := range map[string][]string{
		"one chunk":               {h.Chunk(`[{"index":0,"delta":{"role":"assistant","content":"hi"},"logprobs":null,"finish_reason":"stop"}]`, "")},
		"one chunk with a call":   {h.Chunk(`[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":`+wholeCall("0", "call_1", "get_order", "{}")+`},"logprobs":null,"finish_reason":"tool_calls"}]`, "")},
		"a call in the first one": append(h.CallChunks(0, 0, lookupCall, 0), h.Finish(0, "tool_calls")),
		"theirs have our names": {h.Chunk(`[{"index":0,"delta":{"role":"assistant","content":"hi"},"logprobs":null,"finish_reason":null}]`, `,"status":"x","gate":{"a":1},"trace_id":null`),
			h.Chunk(`[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]`, `,"pending_actions":[],"conversation_id":"theirs","intelligence":{},"next_action":"x","error":null`)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []string{allowAll, asksAll} {
				p, model := startScripted(t, setup{policy: policy})
				model.Next(scripted.Wire{}.Reply(chunks...))
				r := p.post(newChat("hi").streaming(true).body())
				got := r.read(t)
				require.NotEmpty(t, got.gate)
				require.NotEqual(t, "theirs", got.conv)
				for _, name := range []string{"gate", "status", "next_action"} {
					require.Equal(t, 1, strings.Count(r.body, `"`+name+`":`), r.body)
				}
				require.NotContains(t, r.body, `"error"`)
				require.NotContains(t, r.body, `"intelligence"`)
			}
		})
	}
}

// A model that gives neither an id nor anything else that a client needs beside
// its choices.
func TestAChunkWithoutAnIDGetsOne(t *testing.T) {
	p, model := startScripted(t, setup{})
	p.loose = true
	model.Next(scripted.Wire{}.Reply(`{"status":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"status":"y"}`))
	r := p.post(newChat("hi").streaming(true).body())
	checkStrict(t, r)
	got := r.read(t)
	require.Equal(t, "hi", got.text)
	require.Equal(t, "ok", got.gate)
	require.Equal(t, "answered", got.status)
	require.Len(t, got.ids, 1)
}

// An end of the model's in the middle of a comment must not swallow what comes
// after it.
func TestAnEndInTheMiddleOfACommentSwallowsNothing(t *testing.T) {
	h := scripted.Head{}
	t.Run("finished", func(t *testing.T) {
		p, model := startScripted(t, setup{policy: allowAll})
		model.Next(scripted.Stream(scripted.Frame(scripted.Wire{NoDone: true}.Bytes(h.Turn("", lookupCall)...) + ": OPENROUTER PROC")))
		got := p.post(newChat("hi").streaming(true).body()).read(t)
		got.released(t, lookupCall)
		require.True(t, got.done)
	})
	t.Run("broken", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.Stream(scripted.Frame(scripted.Wire{NoDone: true}.Bytes(h.Role(0), h.Text(0, "half"))+": OPENROUTER PROC"), scripted.Cut()))
		got := p.post(newChat("hi").streaming(true).body()).read(t)
		require.Equal(t, "half", strings.TrimSuffix(got.text, got.text[4:]))
		require.NotEmpty(t, got.failed, "a broken stream is an error for the client")
	})
}

// Reasoning comes before the calls, flows, and hides nothing.
func TestReasoningFlowsBeforeAHeldCall(t *testing.T) {
	h := scripted.Head{}
	p, model := startScripted(t, setup{})
	call := refund("call_1", refundArgs)
	model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0), h.Reasoning(0, "I should "), h.Reasoning(0, "refund.")}, h.CallChunks(0, 0, call, 3)...), h.Finish(0, "tool_calls"), h.Usage())...))
	ask := newChat("Refund it").streaming(true)
	r := p.post(ask.body())
	got := r.choice(t, 0)
	got.asksIn(t, "process_refund")
	require.Equal(t, "I should refund.", got.reasoning)
	require.True(t, strings.HasPrefix(got.text, "I need"), "reasoning is no text: %q", got.text)
	p.post(ask.say(got.text, "yes").body()).read(t).released(t, call)
}
