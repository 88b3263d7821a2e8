package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The reply that brought approved calls was lost: the same request again brings

// them again.
func TestALostPickupIsGivenAgain(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{policy: reviewRefunds})
		ask := newChat("Refund order 456").streaming(stream)
		call := refund("call_1", refundArgs)
		asked, place := escalates(t, p, model, ask, call)
		status, body := resolve(t, place, "auto", keyRhea)
		require.Equal(t, 200, status, body)
		next := ask.say(asked.text, "And now?").body()
		p.post(next).read(t).released(t, call)
		model.Otherwise(turnOf(stream, "just words"))
		p.post(next, "X-Stainless-Retry-Count", "1").read(t).released(t, call)
	})
}

// The conversation id that the first reply names is used from then on, with the

// The same request at once from many, as evaluations do: one question stays
// open, nobody gets an error.
func TestTheSameRequestAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		const n = 24
		ask := newChat("Refund what I told you")
		for i := range n {
			model.Next(turnOf(false, "", refund(fmt.Sprint("call_", i), refundArgs)))
		}
		answers := make([]reply, n)
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() { answers[i] = atOnce(t, p, ask.body()) })
		}
		group.Wait()
		released := 0
		for _, r := range answers {
			require.NoError(t, r.broken)
			require.Equal(t, 200, r.status, r.body)
			asked := r.read(t)
			asked.held(t, "process_refund")
			released += len(p.post(ask.say(asked.text, "yes").body()).read(t).calls)
		}
		require.Equal(t, 1, released)
	})
}

// A message that is a picture alone has words too: none. Its question is
// answered like any other.
func TestAPictureAloneCanBeAnswered(t *testing.T) {
	p, model := startScripted(t, setup{})
	ask := newChat("")
	ask.messages = []string{`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}`}
	call := refund("call_1", refundArgs)
	asked := asks(t, p, model, ask, call)
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
}
