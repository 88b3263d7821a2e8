package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

const replans = "on_block: replan\n"

// sent are the messages of a request that reached the model.
func sent(t *testing.T, r *scripted.Request) []map[string]any {
	t.Helper()
	var o struct{ Messages []map[string]any }
	require.NoError(t, json.Unmarshal(r.Body, &o), string(r.Body))
	return o.Messages
}

// B29: a refusal is given back to the model, which may do better; the client
// sees one reply.
func TestARefusalIsGivenBackToTheModel(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: blockRefunds, yaml: replans})
		ask := newChat("Refund it").streaming(stream).with(`,"conversation_id":"conv_1","stream_options":{"include_usage":true},"seed":12345678901234567890`)
		model.Next(turnOf(stream, "Refunding.", refund("call_1", refundArgs)), turnOf(stream, "I may not, sorry."))
		r := p.post(ask.body())
		got := r.read(t)
		got.silent(t)
		require.Equal(t, "ok", got.gate)
		require.Equal(t, "stop", got.finish)
		require.Equal(t, stream, got.done)
		require.Len(t, got.ids, 1)
		if stream {
			require.Equal(t, "Refunding.\n\nI may not, sorry.", got.text, "what was said stays said")
			require.Equal(t, 1, strings.Count(r.body, `"usage":`+scripted.Usage))
		} else {
			require.Equal(t, "I may not, sorry.", got.text)
		}
		require.NotContains(t, r.body, "call_1")
		require.Len(t, model.Requests(), 2)
		again := sent(t, model.Last())
		require.Len(t, again, 3)
		require.Equal(t, "assistant", again[1]["role"])
		require.Equal(t, "tool", again[2]["role"])
		require.Equal(t, "call_1", again[2]["tool_call_id"])
		require.Contains(t, again[2]["content"], "Refunds are closed")
		require.Contains(t, string(model.Last().Body), `"seed":12345678901234567890`)
		require.NotContains(t, string(model.Last().Body), "conv_1")
		first := string(model.Requests()[0].Body)
		require.True(t, strings.HasPrefix(string(model.Last().Body), first[:strings.Index(first, `],"tools"`)]), "the prefix stays, for prompt caches")
		var verdicts []string
		for _, rec := range p.records() {
			verdicts = append(verdicts, rec.Event+" "+rec.Verdict.String())
		}
		require.Equal(t, []string{"decision block"}, verdicts, "the refusal is on record")
	})
}

// Twice at most; then the refusal is said.
func TestRefusalsAreGivenBackTwiceAtMost(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: blockRefunds, yaml: replans})
		for range 4 {
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
		}
		got := p.post(newChat("Refund it").streaming(stream).body()).read(t)
		got.silent(t)
		require.Equal(t, "blocked", got.gate)
		require.Contains(t, got.text, "Refunds are closed")
		require.Len(t, model.Requests(), 3)
		require.Len(t, p.records(), 3)
	})
}

// The new answer is governed afresh: held, allowed, or broken.
func TestWhatComesAfterARefusalIsGovernedAfresh(t *testing.T) {
	t.Run("held", func(t *testing.T) {
		bothWays(t, func(t *testing.T, stream bool) {
			p, model := startScripted(t, setup{policy: blockRefunds, yaml: replans})
			send := scripted.Call{ID: "call_2", Name: "send_note", Arguments: `{"text":"hi"}`}
			ask := newChat("Refund it").streaming(stream)
			ask.tools = append(ask.tools, tool("send_note"))
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)), turnOf(stream, "A note then.", send))
			asked := p.post(ask.body()).read(t)
			asked.held(t, "send_note")
			p.post(ask.say(asked.text, "yes").body()).read(t).released(t, send)
		})
	})
	t.Run("allowed", func(t *testing.T) {
		bothWays(t, func(t *testing.T, stream bool) {
			p, model := startScripted(t, setup{policy: blockRefunds, yaml: replans})
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)), turnOf(stream, "", lookupCall))
			p.post(newChat("Refund it").streaming(stream).body()).read(t).released(t, lookupCall)
		})
	})
	t.Run("the model is gone", func(t *testing.T) {
		p, model := startScripted(t, setup{policy: blockRefunds, yaml: replans})
		model.Next(turnOf(false, "", refund("call_1", refundArgs)), scripted.Error(400, "invalid_request_error", "bad", "no"))
		r := p.post(newChat("Refund it").body())
		require.Equal(t, 400, r.status, r.body)
		model.Next(turnOf(true, "", refund("call_1", refundArgs)), scripted.Error(400, "invalid_request_error", "bad", "no"))
		r = p.post(newChat("Refund it").streaming(true).body())
		require.NotEmpty(t, r.read(t).failed, r.body)
		require.False(t, r.read(t).done)
	})
}

// Only what the model can answer for is given back.
func TestWhatIsNotGivenBack(t *testing.T) {
	for name, c := range map[string]struct {
		calls  []scripted.Call
		policy string
	}{
		"one of two allowed": {[]scripted.Call{refund("call_1", refundArgs), lookupCall}, blockRefunds},
		"one of two held":    {[]scripted.Call{refund("call_1", refundArgs), {ID: "call_2", Name: "send_note", Arguments: "{}"}}, blockRefunds},
		"a clarification":    {[]scripted.Call{refund("call_1", "{}")}, clarifyCity},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{policy: c.policy, yaml: replans})
				ask := newChat("Refund it").streaming(stream)
				ask.tools = []string{tool("process_refund"), lookupToolJSON, tool("send_note")}
				if name == "a clarification" {
					ask.tools[0] = `{"type":"function","function":{"name":"process_refund","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}`
				}
				model.Next(turnOf(stream, "", c.calls...))
				require.Equal(t, 200, p.post(ask.body()).status)
				require.Len(t, model.Requests(), 1)
			})
		})
	}
}
