package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// Approvals 16: several calls of one turn are asked about once; every one ends
// released or left out, ids kept. The read needed no answer and goes along with
// whatever was answered.
func TestSeveralCallsAreAskedAboutOnce(t *testing.T) {
	one, two, three := refund("call_1", `{"order_id":"1"}`), refund("call_2", `{"order_id":"2"}`), scripted.Call{ID: "call_3", Name: "get_order", Arguments: `{"order_id":"3"}`}
	asSeen := func(list ...scripted.Call) (out []seenCall) {
		for _, c := range list {
			out = append(out, seenCall{c.ID, "function", c.Name, c.Arguments})
		}
		return out
	}
	for answer, want := range map[string][]scripted.Call{
		"yes": {one, two, three}, "all": {one, two, three}, "1": {one, three}, "1 and 2": {one, two, three}, "no": {three},
	} {
		t.Run(answer, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, storeURL string) {
				p, model := startScripted(t, setup{store: storeURL})
				bothWays(t, func(t *testing.T, stream bool) {
					model.Next(turnOf(stream, "I will do these.", one, two, three))
					ask := newChat("Refund both").streaming(stream)
					asked := p.post(ask.body()).read(t)
					asked.silent(t)
					require.Contains(t, asked.text, "I will do these.\n\n")
					require.Contains(t, asked.text, "1.")
					require.Contains(t, asked.text, "2.")
					require.Len(t, asked.pending, 2, "the read goes along unasked")
					got := p.post(ask.say(asked.text, answer).body()).read(t)
					require.Equal(t, asSeen(want...), got.calls)
				})
			})
		})
	}
}

const blockRefunds = `
name: No refunds
rules:
  - id: no-refunds
    condition: "Never refund"
    tools: [process_refund]
    when: [{if: 'true', effect: block}]
    message: "Refunds are closed"
  - id: reads
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`

// A20: a blocked call is said, the allowed ones go out without it.
func TestABlockedCallIsSaidAndTheOthersGoOut(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: blockRefunds})
		read := scripted.Call{ID: "call_2", Name: "get_order", Arguments: `{"order_id":"3"}`}
		model.Next(turnOf(stream, "", refund("call_1", `{"order_id":"1"}`), read))
		got := p.post(newChat("both").streaming(stream).body()).read(t)
		require.Equal(t, []seenCall{{"call_2", "function", "get_order", `{"order_id":"3"}`}}, got.calls)
		require.Equal(t, "tool_calls", got.finish)
		require.Contains(t, got.text, "Refunds are closed")
	})
}

// B22, B24: a blocked turn is an ordinary reply with its usage, in the form
// that was asked for.
func TestABlockedTurnIsText(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: blockRefunds})
		model.Next(turnOf(stream, "", refund("call_1", `{"order_id":"1"}`)))
		r := p.post(newChat("Refund").streaming(stream).with(`,"stream_options":{"include_usage":true}`).body())
		got := r.read(t)
		got.silent(t)
		require.Equal(t, "stop", got.finish)
		require.Equal(t, "blocked", got.gate)
		require.Equal(t, "blocked_by_policy", got.status)
		require.Contains(t, got.text, "Refunds are closed")
		require.Equal(t, stream, got.done)
		require.Contains(t, r.body, `"usage":`+scripted.Usage)
	})
}

// A yes in the chat never lifts what a reviewer must decide.
func TestAYesDoesNotLiftAnEscalation(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: `
name: Review
rules:
  - id: review
    condition: "Refunds need a reviewer"
    tools: [process_refund]
    when: [{if: 'args.amount > 100', effect: escalate}]
`})
		bothWays(t, func(t *testing.T, stream bool) {
			ask := newChat("Refund order 456").streaming(stream)
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
			asked := p.post(ask.body()).read(t)
			asked.silent(t)
			require.Equal(t, "escalate", asked.gate)
			require.Len(t, asked.pending, 1)
			require.Contains(t, string(asked.pending[0]["approve_url"]), "/escalations/")
			sofar := len(model.Requests())
			got := p.post(ask.say(asked.text, "yes").body()).read(t)
			got.silent(t)
			require.Len(t, model.Requests(), sofar)
		})
	})
}

// Custom and legacy calls are held like any other, and released in their form.
func TestEveryFormOfCallIsHeldAndReleased(t *testing.T) {
	h := scripted.Head{}
	t.Run("custom", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		p.loose = true // OpenAI's document knows no custom calls in chunks
		call := scripted.Call{ID: "call_c", Name: "run_sql", Arguments: "drop table \"a\";\n-- ü"}
		model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CustomChunks(0, 0, call, 3)...), h.Finish(0, "tool_calls"))...))
		ask := newChat("do it").streaming(true)
		ask.tools = append(ask.tools, `{"type":"custom","custom":{"name":"run_sql"}}`)
		asked := p.post(ask.body()).read(t)
		asked.held(t, "run_sql")
		got := p.post(ask.say(asked.text, "yes").body()).read(t)
		require.Equal(t, []seenCall{{"call_c", "custom", "run_sql", call.Arguments}}, got.calls)
	})
	t.Run("legacy", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		call := refund("", refundArgs)
		model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.LegacyChunks(0, call, 3)...), h.Finish(0, "function_call"))...))
		ask := newChat("Refund it").streaming(true).without().with(`,"functions":[{"name":"process_refund","parameters":{"type":"object"}}]`)
		asked := p.post(ask.body()).read(t)
		asked.held(t, "process_refund")
		got := p.post(ask.say(asked.text, "yes").body()).read(t)
		require.Equal(t, &seenCall{"", "", "process_refund", refundArgs}, got.legacy)
		require.Equal(t, "function_call", got.finish)
	})
	t.Run("a delta that mixes text and a call", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		call := refund("call_m", refundArgs)
		model.Next(scripted.Wire{}.Reply(h.Role(0), h.TextAndCall(0, "Right away.", call), h.Finish(0, "tool_calls")))
		ask := newChat("Refund it").streaming(true)
		asked := p.post(ask.body()).read(t)
		asked.held(t, "process_refund")
		require.Contains(t, asked.text, "Right away.\n\n")
		p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
	})
}
