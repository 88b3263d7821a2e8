package main

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// F79: silence of the model is bridged by empty deltas, which are no part of
// its reply, and a held call is not one byte closer to leaving.
func TestHeartbeatsWhileACallIsHeld(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "stream: {heartbeat: {interval: 10ms}}\n"})
	h, call := scripted.Head{}, refund("call_1", refundArgs)
	gate := make(chan struct{})
	parts := h.CallChunks(0, 0, call, 2)
	steps := scripted.Wire{NoDone: true}.Steps(append([]string{h.Role(0)}, parts[:2]...)...)
	steps = append(steps, scripted.Wait(gate))
	model.Next(scripted.Stream(append(steps, scripted.Wire{}.Steps(parts[2], h.Finish(0, "tool_calls"))...)...))
	ask := newChat("Refund it").streaming(true)
	res, err := p.open(t.Context(), ask.body())
	require.NoError(t, err)
	defer res.Body.Close()
	all, beats := "", 0
	for scan := bufio.NewScanner(res.Body); scan.Scan(); {
		all += scan.Text() + "\n"
		if strings.Contains(scan.Text(), `"delta":{"content":""}`) {
			if beats++; beats == 3 {
				close(gate)
			}
		}
	}
	require.GreaterOrEqual(t, beats, 3)
	r := reply{status: res.StatusCode, header: res.Header, body: all}
	checkSchema(t, r)
	asked := r.read(t)
	asked.held(t, "process_refund")
	require.Len(t, asked.ids, 1)
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}

// F79: a heartbeat before the model's headers would commit a 200.
func TestNoHeartbeatBeforeTheModelAnswered(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "stream: {heartbeat: {interval: 1ms}}\n"})
	h, gate := scripted.Head{}, make(chan struct{})
	// A second stream of the same program counts the time: twenty of its beats.
	clock := scripted.Stream(scripted.Frame("data: "+h.Role(0)+"\n\n"), scripted.Wait(gate), scripted.Frame("data: "+h.Finish(0, "stop")+"\n\ndata: [DONE]\n\n"))
	refusal := scripted.Error(400, "invalid_request_error", "too_long", "too long")
	model.Next(func(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
		<-gate
		refusal(w, r, got)
	}, clock)
	answer := make(chan reply)
	go func() { answer <- atOnce(t, p, newChat("slow").streaming(true).body()) }()
	_, err := model.Await(t.Context(), 1)
	require.NoError(t, err)
	res, err := p.open(t.Context(), newChat("clock").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	beats := 0
	for scan := bufio.NewScanner(res.Body); scan.Scan(); {
		if strings.Contains(scan.Text(), `"content":""`) {
			if beats++; beats == 20 {
				close(gate)
			}
		}
	}
	r := <-answer
	require.Equal(t, 400, r.status, r.body)
	require.Contains(t, r.body, "too_long")
}

// A turn whose calls are larger than limits.kept is not released in part.
func TestCallsOverTheKeptLimitDoNotLeave(t *testing.T) {
	for name, policy := range map[string]string{"asked": "", "allowed": allowAll} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: policy, yaml: "limits: {kept: 64 KiB}\n"})
			call := refund("call_1", `{"order_id":"`+strings.Repeat("x", 200_000)+`"}`)
			h := scripted.Head{}
			model.Next(scripted.Wire{}.Reply(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, call, 50)...), h.Finish(0, "tool_calls"))...))
			r := p.post(newChat("Refund it").streaming(true).body())
			r.read(t).silent(t)
			require.NotContains(t, r.body, `"arguments":`)
			require.NotContains(t, r.body, "xxxx")
		})
	}
}

// F81, E65: many small fragments are one call, to its last byte.
func TestACallInManyFragments(t *testing.T) {
	p, model := startScripted(t, setup{})
	h, call := scripted.Head{}, refund("call_1", `{"order_id":"`+strings.Repeat("Zürich ", 1000)+`END"}`)
	model.Next(scripted.Wire{}.OneRead(append(append([]string{h.Role(0)}, h.CallChunks(0, 0, call, 4000)...), h.Finish(0, "tool_calls"))...))
	ask := newChat("Refund it").streaming(true)
	asked := p.post(ask.body()).read(t)
	asked.held(t, "process_refund")
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}

// A16: no other OpenAI route reaches a model.
func TestOtherRoutesAreNotServed(t *testing.T) {
	p, model := startScripted(t, setup{})
	for _, path := range []string{"/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/audio/speech", "/api/v1/cadreen/responses", "/completions", "/v1/chat/completions/", "/v1/chat/completions/x"} {
		t.Run(path, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.main.URL()+path, strings.NewReader(newChat("hi").body()))
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+keyAnn)
			r.Header.Set("Content-Type", "application/json")
			res, err := http.DefaultTransport.RoundTrip(r)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusNotFound, res.StatusCode)
			require.Empty(t, model.Requests())
		})
	}
}

// CONTRACT 0: with backend.model the client's model and temperature do not
// count; nothing else of the body changes.
func TestTheConfiguredModelReplacesTheClients(t *testing.T) {
	p, model := startScripted(t, setup{model: "real-1"})
	model.Next(turnOf(false, "fine"))
	r := p.post(`{"top_p":0.50, "temperature" : 1.0 ,"model":"any","messages":[{"role":"user","content":"hi"}],"seed":7}`)
	require.Equal(t, 200, r.status, r.body)
	sent := string(model.Last().Body)
	require.Contains(t, sent, `"model":"real-1"`)
	require.NotContains(t, sent, "temperature")
	require.Contains(t, sent, `"top_p":0.50`)
	require.Contains(t, sent, `"messages":[{"role":"user","content":"hi"}],"seed":7`)
}
