package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// Where it is asked for, a block and a review are HTTP errors: in JSON always,
// on a stream as long as nothing was said.
func TestBlockedAndReviewedAsHTTPErrors(t *testing.T) {
	for name, c := range map[string]struct{ policy, code, gate, text string }{
		"blocked":  {blockRefunds, "blocked_by_policy", "blocked", "Refunds are closed"},
		"reviewed": {reviewRefunds, "conditional_approval_required", "escalate", "A reviewer must approve before I can process_refund."},
	} {
		for how, s := range map[string]setup{"header": {}, "setting": {yaml: "errors: http\n"}} {
			t.Run(name+"/"+how, func(t *testing.T) {
				s.policy = c.policy
				p, model := startScripted(t, s)
				headers := []string{"X-Cadreen-Errors", "http"}
				if how == "setting" {
					headers = nil
				}
				bothWays(t, func(t *testing.T, stream bool) {
					ask := newChat("Refund it").streaming(stream).with(`,"stream_options":{"include_usage":true}`)
					model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
					r := p.post(ask.body(), headers...)
					require.Equal(t, 403, r.status, r.body)
					require.Equal(t, "application/json", r.header.Get("Content-Type"))
					require.Equal(t, c.gate, r.header.Get("X-Cadreen-Gate"))
					require.Equal(t, "false", r.header.Get("X-Should-Retry"))
					require.Empty(t, r.header.Get("Trailer"))
					require.Empty(t, r.trailer)
					require.NotContains(t, r.body, "call_1")
					var o struct {
						Error struct {
							Code, Message string
							NextAction    struct{ Type, Endpoint string } `json:"next_action"`
							TraceID       string                          `json:"trace_id"`
						}
						TraceID string `json:"trace_id"`
					}
					require.NoError(t, json.Unmarshal([]byte(r.body), &o))
					require.Equal(t, c.code, o.Error.Code)
					require.Contains(t, o.Error.Message, c.text)
					require.Equal(t, r.header.Get("X-Cadreen-Trace-Id"), o.TraceID)
					require.Equal(t, o.TraceID, o.Error.TraceID)
					if name == "reviewed" {
						require.Equal(t, "resolve_escalation", o.Error.NextAction.Type)
						status, body := resolve(t, o.Error.NextAction.Endpoint, "auto", keyRhea)
						require.Equal(t, 200, status, body)
						// The question that the client shows is the error's message.
						p.post(ask.say(o.Error.Message, "And now?").body(), headers...).read(t).released(t, refund("call_1", refundArgs))
					}
				})
				// The other way to ask wins over the setting.
				model.Next(turnOf(false, "", refund("call_2", refundArgs)))
				r := p.post(newChat("Refund it").body(), "X-Cadreen-Errors", "gate")
				require.Equal(t, 200, r.status)
				require.Equal(t, c.gate, r.read(t).gate)
			})
		}
	}
}

// On a stream that has said something it is too late for a status: the gate
// tells, and nothing else is lost or late.
func TestAfterTheFirstTextTheGateTells(t *testing.T) {
	h := scripted.Head{}
	p, model := startScripted(t, setup{policy: blockRefunds, yaml: "errors: http\n"})
	gate := make(chan struct{})
	call := h.CallChunks(0, 0, refund("call_1", refundArgs), 2)
	steps := scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "One moment."))
	steps = append(append(steps, scripted.Wait(gate)), scripted.Wire{}.Steps(append(call, h.Finish(0, "tool_calls"), h.Usage())...)...)
	model.Next(scripted.Stream(steps...))
	r := watch(t, p, newChat("Refund it").streaming(true).body(), func(payload string) {
		if strings.Contains(payload, "One moment.") {
			close(gate)
		}
	})
	require.Equal(t, 200, r.status)
	got := r.read(t)
	got.silent(t)
	require.Equal(t, "blocked", got.gate)
	require.True(t, strings.HasPrefix(got.text, "One moment.\n\n"), got.text)
	require.True(t, got.done)
}

// What is neither blocked nor reviewed is as ever.
func TestHTTPErrorsLeaveTheRestAlone(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "errors: http\n"})
	h := scripted.Head{}
	chunks := append([]string{h.Role(0), h.Reasoning(0, "hm")}, h.Turn("words", lookupCall)[1:]...)
	model.Next(scripted.Wire{}.Reply(chunks...))
	ask := newChat("Refund it")
	sameStream(t, scripted.Wire{}.Bytes(chunks...), p.post(ask.streaming(true).body()))
	bothWays(t, func(t *testing.T, stream bool) {
		asked := asks(t, p, model, ask.streaming(stream), refund("call_1", refundArgs))
		require.Equal(t, "needs_input", asked.gate)
		p.post(ask.streaming(stream).say(asked.text, "yes").body()).read(t).released(t, refund("call_1", refundArgs))
	})
	// An upstream that breaks before anything was said.
	model.Next(scripted.Stream(scripted.Frame("data: "+h.Role(0)+"\n\n"), scripted.Cut()))
	r := p.post(ask.streaming(true).body())
	require.Equal(t, 503, r.status, r.body)
	require.Contains(t, r.body, `"code":"service_unavailable"`)
}
