package main

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

const quickBeats = "stream: {heartbeat: {interval: 10ms}}\n"

// watch reads a stream and calls seen with every payload, then answers all of it.
func watch(t *testing.T, p *proxyUnderTest, body string, seen func(payload string)) reply {
	t.Helper()
	res, err := p.open(t.Context(), body)
	require.NoError(t, err)
	defer res.Body.Close()
	all := ""
	for scan := bufio.NewScanner(res.Body); scan.Scan(); {
		all += scan.Text() + "\n"
		if payload, ok := strings.CutPrefix(scan.Text(), "data: "); ok {
			seen(payload)
		}
	}
	r := reply{status: res.StatusCode, header: res.Header, trailer: res.Trailer, body: all}
	checkSchema(t, r)
	return r
}

// closeAt closes the gate when it was called n times with a heartbeat.
func closeAt(n int, gate chan struct{}) func(string) {
	return func(payload string) {
		if strings.Contains(payload, `"content":""}`) {
			if n--; n == 0 {
				close(gate)
			}
		}
	}
}

// A model that has answered with its headers and thinks: the first heartbeat
// opens the message, the others do not do so again.
func TestHeartbeatsBeforeTheFirstFrame(t *testing.T) {
	p, model := startScripted(t, setup{yaml: quickBeats})
	h, gate := scripted.Head{}, make(chan struct{})
	model.Next(scripted.Stream(append([]scripted.Step{scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Text(0, "at last"), h.Finish(0, "stop"))...)...))
	r := watch(t, p, newChat("hi").streaming(true).body(), closeAt(3, gate))
	got := r.choice(t, 0)
	require.Equal(t, "at last", got.text)
	require.Equal(t, 1, got.roles)
	require.Equal(t, []string{"stop"}, got.finishes)
	require.Len(t, r.read(t).ids, 1)
}

// Frames of a call that come all the time are silence for the client.
func TestHeartbeatsWhileTheFramesOfACallKeepComing(t *testing.T) {
	p, model := startScripted(t, setup{yaml: quickBeats})
	h, gate := scripted.Head{}, make(chan struct{})
	call := refund("call_1", refundArgs)
	chunks := h.CallChunks(0, 0, call, 2)
	empty := "data: " + h.Delta(0, `{"tool_calls":[{"index":0,"function":{"arguments":""}}]}`) + "\n\n"
	model.Next(func(w http.ResponseWriter, r *http.Request, _ *scripted.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		send := func(raw string) {
			_, _ = w.Write([]byte(raw))
			_ = http.NewResponseController(w).Flush()
		}
		send("data: " + h.Role(0) + "\n\ndata: " + chunks[0] + "\n\n")
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for open := true; open; {
			select {
			case <-gate:
				open = false
			case <-r.Context().Done():
				return
			case <-tick.C:
				send(empty)
			}
		}
		send("data: " + chunks[1] + "\n\ndata: " + chunks[2] + "\n\ndata: " + h.Finish(0, "tool_calls") + "\n\ndata: [DONE]\n\n")
	})
	ask := newChat("Refund it").streaming(true)
	r := watch(t, p, ask.body(), closeAt(3, gate))
	r.choice(t, 0).asksIn(t, "process_refund")
	p.post(ask.say(r.read(t).text, "yes").body()).read(t).released(t, call)
}

// A choice that has ended for the client is not opened again by a heartbeat.
func TestHeartbeatsAreForAChoiceThatIsOpen(t *testing.T) {
	p, model := startScripted(t, setup{yaml: quickBeats})
	h, gate := scripted.Head{}, make(chan struct{})
	first := scripted.Wire{NoDone: true}.Bytes(h.Role(0), h.Text(0, "a"), h.Finish(0, "stop"))
	model.Next(scripted.Stream(append([]scripted.Step{scripted.Frame(first), scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Text(1, "b"), h.Finish(1, "stop"))...)...))
	r := watch(t, p, newChat("hi").streaming(true).with(`,"n":2`).body(), closeAt(3, gate))
	require.False(t, r.choice(t, 0).late)
	require.Equal(t, "b", r.choice(t, 1).text)
	require.Equal(t, "ok", r.read(t).gate)
}

// Comments are for those who ask for them.
func TestHeartbeatsAsComments(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "stream: {heartbeat: {interval: 10ms, style: comment}}\n"})
	h, gate := scripted.Head{}, make(chan struct{})
	model.Next(scripted.Stream(append([]scripted.Step{scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Role(0), h.Text(0, "x"), h.Finish(0, "stop"))...)...))
	res, err := p.open(t.Context(), newChat("hi").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	beats, body := 0, ""
	for scan := bufio.NewScanner(res.Body); scan.Scan(); body += scan.Text() + "\n" {
		if scan.Text() == ": keep-alive" {
			if beats++; beats == 2 {
				close(gate)
			}
		}
	}
	require.NotContains(t, body, `"content":""}`+"\n: keep")
	require.Equal(t, "x", reply{header: res.Header, body: body}.read(t).text)
}
