package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

// While the store is away text goes on and no call leaves, allowed or not; it
// heals without a restart and what was held before is still held.
func TestStoreOutage(t *testing.T) {
	redis, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	p, model := startScripted(t, setup{store: "redis://" + redis.Addr, policy: `
name: Reads go
rules:
  - id: reads
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`})
	ask := newChat("Refund order 456")
	call := refund("call_before", refundArgs)
	asked := asks(t, p, model, ask, call)
	redis.Kill()

	for name, proposed := range map[string]scripted.Call{"held": refund("call_away", refundArgs), "allowed": lookupCall} {
		t.Run(name, func(t *testing.T) {
			model.Next(turnOf(false, "", proposed))
			r := p.post(newChat("do it").body())
			require.Equal(t, 503, r.status, r.body)
			require.Contains(t, r.body, `"code":"store_unavailable"`)

			model.Next(turnOf(true, "One moment.", proposed))
			r = p.post(newChat("do it").streaming(true).body())
			r.read(t).silent(t)
			require.Equal(t, "store_unavailable", r.read(t).failed)
			require.NotContains(t, r.body, `"arguments"`)
		})
	}
	t.Run("an answer", func(t *testing.T) {
		r := p.post(ask.say(asked.text, "yes").body())
		require.Equal(t, 503, r.status, r.body)
	})
	t.Run("text", func(t *testing.T) {
		bothWays(t, func(t *testing.T, stream bool) {
			model.Next(turnOf(stream, "just words"))
			require.Equal(t, "just words", p.post(newChat("hello").streaming(stream).body()).read(t).text)
		})
	})

	require.NoError(t, redis.Restart())
	// The connection pool notices within about a second; a 503 says to try again.
	r := p.post(ask.say(asked.text, "yes").body())
	for r.status == 503 && t.Context().Err() == nil {
		r = p.post(ask.say(asked.text, "yes").body())
	}
	require.Equal(t, 200, r.status, r.body)
	r.read(t).released(t, call)
}
