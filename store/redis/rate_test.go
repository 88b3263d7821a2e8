package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestRates(t *testing.T) {
	for name, url := range map[string]func(t *testing.T) string{
		"one server": func(t *testing.T) string { return "redis://" + storetest.RedisServer(t) },
		"a Cluster":  func(t *testing.T) string { return clusterURL(storetest.RedisCluster(t)) },
	} {
		t.Run(name, func(t *testing.T) {
			url := url(t)
			storetest.RunLimiter(t, func(t *testing.T, offset func() time.Duration) [2]store.Limiter {
				var two [2]store.Limiter
				for i := range two {
					e, err := Open(t.Context(), url, WithOffset(offset))
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, e.Close()) })
					two[i] = e
				}
				return two
			})
		})
	}
}

// A rate leaves nothing behind: its key expires when the burst is whole again.
func TestARateExpires(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	_, err := e.Take(t.Context(), "w", store.Rate{Name: "key", Key: "k", Count: 1, Period: time.Minute, Burst: 3})
	require.NoError(t, err)
	left, err := e.client.PTTL(t.Context(), rateKey("w", "key", "k")).Result()
	require.NoError(t, err)
	require.Greater(t, left, 30*time.Second)
	require.LessOrEqual(t, left, time.Minute)
}
