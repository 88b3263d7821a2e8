package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

const rateHeader, ratePolicyHeader = "Ratelimit", "Ratelimit-Policy"

func TestRequestsBeyondTheRate(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		c := &clock{}
		p, model := startScripted(t, setup{store: storeURL, clock: c, yaml: "\nlimits: {rate: '2/h, workspace 3/h burst 3'}\n"})
		model.Otherwise(turnOf(false, "hello"))
		one := p.post(newChat("hi").body())
		require.Equal(t, 200, one.status, one.body)
		require.Equal(t, `"key";q=2;w=3600, "workspace";q=3;w=3600`, one.header.Get(ratePolicyHeader))
		require.Equal(t, `"key";r=1;t=1800, "workspace";r=2;t=1200`, one.header.Get(rateHeader))
		require.Equal(t, 200, p.post(newChat("hi").body(), key("k1")...).status)

		for name, headers := range map[string][]string{"keyless": nil, "keyed": key("k2"), "a replay": key("k1")} {
			r := p.post(newChat("hi").body(), headers...)
			require.Equal(t, 429, r.status, name)
			require.Contains(t, r.body, `"code":"rate_limit"`)
			require.Contains(t, r.body, `"type":"rate_limit"`)
			require.Contains(t, r.body, "2 requests in 1h")
			require.Regexp(t, `"retry_after":(1[78]\d\d)\b`, r.body)
			require.Regexp(t, `^1[78]\d\d$`, r.header.Get("Retry-After"))
			require.Equal(t, "true", r.header.Get("X-Should-Retry"))
			require.Regexp(t, `"key";r=0;t=3(600|5\d\d), "workspace";r=1;t=2(400|3\d\d)`, r.header.Get(rateHeader))
		}
		require.Len(t, model.Requests(), 2, "what is refused asks no model")

		// The other keys share the workspace; another workspace does not.
		bob := p.post(newChat("hi").body(), as(keyBob)...)
		require.Equal(t, 200, bob.status)
		rhea := p.post(newChat("hi").body(), as(keyRhea)...)
		require.Equal(t, 429, rhea.status)
		require.Contains(t, rhea.body, "This workspace may send 3 requests in 1h")
		require.Equal(t, 200, p.post(newChat("hi").body(), as(keyOther)...).status)
		// All that needs a key counts, and says so, refusals too; probes do not.
		res, _ := p.exchange(t, "GET", "/v1/escalations", keyAnn, "")
		require.Equal(t, 429, res.StatusCode)
		res, _ = p.exchange(t, "GET", "/v1/escalations", keyOther, "")
		require.Equal(t, 403, res.StatusCode)
		require.NotEmpty(t, res.Header.Get(rateHeader))
		for _, path := range []string{"/healthz", "/metrics"} {
			res, _ := p.exchange(t, "GET", path, "", "")
			require.Equal(t, 200, res.StatusCode)
			require.Empty(t, res.Header.Get(rateHeader))
		}
		c.forward(time.Hour)
		require.Equal(t, 200, p.post(newChat("hi").body()).status)
	})
}

func TestNothingIsCountedWhereNoRateIsSet(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Next(turnOf(true, "hello"))
	r := p.post(newChat("hi").streaming(true).body())
	require.Equal(t, 200, r.status)
	require.Empty(t, r.header.Get(rateHeader))
	require.Empty(t, r.header.Get(ratePolicyHeader))
}

// Replicas on one Redis count together: a race at the limit lets exactly as many
// through as it says.
func TestReplicasRaceAtTheRate(t *testing.T) {
	const limit, callers, each = 40, 8, 20
	storeURL := engines[1].url(t)
	model := scripted.New(t)
	model.Otherwise(turnOf(false, "hello"))
	s := setup{store: storeURL, backend: model.URL(), yaml: "\nlimits: {rate: '40/d, workspace 100/d'}\n"}
	replicas := []*proxyUnderTest{start(t, s), start(t, s)}
	var through, refused, failed atomic.Int64
	var all sync.WaitGroup
	for n := range callers {
		all.Go(func() {
			for range each {
				r, err := replicas[n%2].try(context.WithoutCancel(t.Context()), newChat("hi").body())
				switch {
				case err != nil:
					failed.Add(1)
				case r.status == http.StatusOK:
					through.Add(1)
				case r.status == http.StatusTooManyRequests:
					refused.Add(1)
				default:
					failed.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, failed.Load())
	require.EqualValues(t, limit, through.Load())
	require.EqualValues(t, callers*each-limit, refused.Load())
}

// While the store is away text goes on, and each replica counts by itself.
func TestTheRateWhileTheStoreIsAway(t *testing.T) {
	redis, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	p, model := startScripted(t, setup{store: "redis://" + redis.Addr, yaml: "\nlimits: {rate: '2/d'}\n"})
	model.Otherwise(turnOf(false, "just words"))
	require.Equal(t, 200, p.post(newChat("hi").body()).status)
	redis.Kill()
	for range 2 {
		require.Equal(t, "just words", p.post(newChat("hi").body()).read(t).text)
	}
	r := p.post(newChat("hi").body())
	require.Equal(t, 429, r.status, r.body)
	require.NoError(t, redis.Restart())
	require.True(t, strings.HasPrefix(r.header.Get(rateHeader), `"key";r=0;t=`))
}
