package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// F78 for replies in one piece: the client went, so the model must stop.
func TestClientGoneCancelsAJSONReply(t *testing.T) {
	for name, reply := range map[string]scripted.Reply{
		"before headers": scripted.Hang(),
		"in the body": func(w http.ResponseWriter, r *http.Request, _ *scripted.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"id":"x",`)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(reply)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_, _ = p.try(ctx, newChat("hi").body())
			}()
			got, err := model.Await(t.Context(), 1)
			require.NoError(t, err)
			cancel()
			<-over
			<-got.Gone()
		})
	}
}

// A client that reads one byte and no more holds up nobody else.
func TestAStalledClientHoldsUpNobody(t *testing.T) {
	p, model := startScripted(t, setup{yaml: quickBeats})
	h := scripted.Head{}
	model.Next(func(w http.ResponseWriter, _ *http.Request, _ *scripted.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		line := "data: " + h.Text(0, strings.Repeat("x", 60_000)) + "\n\n"
		for {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	res, err := p.open(ctx, newChat("much").streaming(true).body())
	require.NoError(t, err)
	_, err = res.Body.Read(make([]byte, 1))
	require.NoError(t, err)
	stalled, err := model.Await(t.Context(), 1)
	require.NoError(t, err)
	for i := range 20 {
		bothWays(t, func(t *testing.T, stream bool) {
			model.Next(turnOf(stream, fmt.Sprint("words ", i)))
			require.Equal(t, fmt.Sprint("words ", i), p.post(newChat("hi").streaming(stream).body()).read(t).text)
		})
	}
	asked := asks(t, p, model, newChat("Refund it"), refund("call_1", refundArgs))
	p.post(newChat("Refund it").say(asked.text, "yes").body()).read(t).released(t, refund("call_1", refundArgs))
	cancel()
	require.NoError(t, res.Body.Close())
	<-stalled.Gone()
}

// Five hundred streams at the same time, each with its own text and its own
// call, all whole.
func TestFiveHundredStreamsAtOnce(t *testing.T) {
	p, model := startScripted(t, setup{policy: allowAll})
	const n = 500
	h := scripted.Head{}
	gate := make(chan struct{})
	var ready sync.WaitGroup
	ready.Add(n)
	model.Otherwise(func(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
		who := string(got.Body)
		who = who[strings.Index(who, "<")+1 : strings.Index(who, ">")]
		text := strings.Repeat(who+" Zürich ", 200)
		call := scripted.Call{ID: "call_" + who, Name: "get_order", Arguments: `{"order_id":"` + who + `"}`}
		frames := scripted.Wire{}.Frames(h.Turn(text, call)...)
		ready.Done()
		scripted.Stream(scripted.Frame(frames[0]), scripted.Wait(gate), scripted.Frame(strings.Join(frames[1:], "")))(w, r, got)
	})
	answers := make([]reply, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { answers[i] = atOnce(t, p, newChat(fmt.Sprintf("<%d>", i)).streaming(true).body()) })
	}
	ready.Wait() // all of them are open now
	close(gate)
	group.Wait()
	for i, r := range answers {
		require.NoError(t, r.broken)
		got := r.read(t)
		require.Equal(t, strings.Repeat(fmt.Sprint(i)+" Zürich ", 200), got.text)
		got.released(t, scripted.Call{ID: fmt.Sprint("call_", i), Name: "get_order", Arguments: fmt.Sprintf(`{"order_id":"%d"}`, i)})
		require.True(t, got.done)
	}
}

// limits.streams is a limit, and what is over gives its place back.
func TestTheLimitOfOpenStreams(t *testing.T) {
	p, model := startScripted(t, setup{yaml: "limits: {streams: 2}\n"})
	h, gate := scripted.Head{}, make(chan struct{})
	open := scripted.Stream(scripted.Frame("data: "+h.Role(0)+"\n\n"), scripted.Wait(gate), scripted.Frame("data: "+h.Finish(0, "stop")+"\n\ndata: [DONE]\n\n"))
	model.Next(open, open)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { atOnce(t, p, newChat("hi").streaming(true).body()) })
	}
	_, err := model.Await(t.Context(), 2)
	require.NoError(t, err)
	r := p.post(newChat("hi").body())
	require.Equal(t, 503, r.status, r.body)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	close(gate)
	group.Wait()
	model.Next(turnOf(false, "fine"))
	require.Equal(t, "fine", p.post(newChat("hi").body()).read(t).text)
}

// A hundred megabytes of text go through as they come.
func TestAHugeTextStream(t *testing.T) {
	p, model := startScripted(t, setup{})
	const frames, size = 1600, 64 << 10
	h := scripted.Head{}
	line := "data: " + h.Text(0, strings.Repeat("é", size/2)) + "\n\n"
	model.Next(func(w http.ResponseWriter, _ *http.Request, _ *scripted.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for range frames {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "data: "+h.Finish(0, "stop")+"\n\ndata: [DONE]\n\n")
	})
	res, err := p.open(t.Context(), newChat("all of it").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	got, lines, last := 0, bufio.NewReaderSize(res.Body, 1<<20), ""
	for {
		s, err := lines.ReadSlice('\n')
		got += strings.Count(string(s), "é")
		if len(s) > 1 {
			last = string(s)
		}
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	require.Equal(t, frames*size/2, got)
	require.Equal(t, "data: [DONE]\n", last)
}
