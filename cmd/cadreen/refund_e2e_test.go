package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The first request of the documentation, against the built-in rehearsal
// model: the prompt to the byte, yes, no, JSON and stream, on both stores.
func TestRefundWithTheRehearsalModel(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL})
		bothWays(t, func(t *testing.T, stream bool) {
			ask := newChat("Refund order 456 for $750").streaming(stream)
			asked := p.post(ask.body()).read(t)
			asked.held(t, "process_refund")
			require.Equal(t, promptShort, asked.text)
			require.Equal(t, "stop", asked.finish)
			require.NotEmpty(t, asked.conv)
			require.NotEmpty(t, asked.trace)

			t.Run("yes", func(t *testing.T) {
				got := p.post(ask.say(asked.text, "yes").body()).read(t)
				require.Len(t, got.calls, 1)
				require.Equal(t, `{"order_id":"456","amount":750}`, got.calls[0].arguments)
				require.Equal(t, "process_refund", got.calls[0].name)
				require.Equal(t, "tool_calls", got.finish)
				require.NotEmpty(t, got.calls[0].id)
				require.Equal(t, stream, got.done)
			})
			t.Run("no", func(t *testing.T) {
				again := p.post(ask.body()).read(t)
				require.Equal(t, promptShort, again.text)
				got := p.post(ask.say(again.text, "no").body()).read(t)
				got.silent(t)
				require.Contains(t, got.text, "skipped")
				require.Equal(t, "stop", got.finish)
				// And it stays skipped.
				after := p.post(ask.say(again.text, "yes").body()).read(t)
				after.silent(t)
				require.Contains(t, after.text, "Nothing was done")
			})
		})
	})
}

// The same conversation by the seed's own request: one tool, no description.
func TestRefundAsTheSeedSendsIt(t *testing.T) {
	p := start(t, setup{})
	for _, base := range []string{"/api/v1/cadreen", "/v1", "/api/v1", ""} {
		t.Run("base "+base, func(t *testing.T) {
			at := &proxyUnderTest{t: t, url: p.main.URL() + base}
			got := at.post(refundRequest).read(t)
			require.Equal(t, promptShort, got.text)
		})
	}
}

func TestTheGateIsInTheHeaderWhereItIsKnownAndInTheTrailerOfALiveStream(t *testing.T) {
	p := start(t, setup{})
	ask := newChat("Refund order 456 for $750")
	r := p.post(ask.body())
	require.Equal(t, "needs_input", r.header.Get("X-Cadreen-Gate"))
	require.Equal(t, r.read(t).trace, r.header.Get("X-Cadreen-Trace-ID"))
	require.Equal(t, r.header.Get("X-Cadreen-Trace-ID"), r.header.Get("X-Request-ID"))

	live := p.post(ask.streaming(true).body())
	require.Equal(t, "needs_input", live.trailer.Get("X-Cadreen-Gate"))
	require.Equal(t, live.read(t).trace, live.header.Get("X-Cadreen-Trace-ID"))

	released := p.post(ask.streaming(true).say(live.read(t).text, "yes").body())
	require.Equal(t, "ok", released.header.Get("X-Cadreen-Gate"))
}
