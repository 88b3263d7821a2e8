package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// RunLimiter holds limiters against the contract. open answers two handles that share
// what they count, with a clock that is moved by offset and otherwise runs.
func RunLimiter(t *testing.T, open func(t *testing.T, offset func() time.Duration) [2]store.Limiter) {
	t.Helper()
	// Rates are so slow that the time which a test takes does not matter.
	slow := func(burst int) store.Rate {
		return store.Rate{Name: "key", Key: "k", Count: 1, Period: time.Hour, Burst: burst}
	}
	begin := func(t *testing.T) (store.Limiter, *atomic.Int64) {
		var moved atomic.Int64
		return within{open(t, func() time.Duration { return time.Duration(moved.Load()) })[0], fresh()}, &moved
	}
	take := func(t *testing.T, l store.Limiter, rates ...store.Rate) []store.Quota {
		t.Helper()
		q, err := l.Take(t.Context(), "w", rates...)
		require.NoError(t, err)
		require.Len(t, q, len(rates))
		return q
	}
	t.Run("a burst, then one for each interval", func(t *testing.T) {
		l, moved := begin(t)
		r := slow(3)
		for left := 2; left >= 0; left-- {
			q := take(t, l, r)[0]
			require.True(t, q.Allowed)
			require.Equal(t, left, q.Remaining)
			require.Zero(t, q.Retry)
			require.InDelta(t, float64(time.Duration(3-left)*time.Hour), float64(q.Reset), float64(time.Minute))
		}
		for range 2 { // a refusal costs nothing
			q := take(t, l, r)[0]
			require.False(t, q.Allowed)
			require.Zero(t, q.Remaining)
			require.InDelta(t, float64(time.Hour), float64(q.Retry), float64(time.Minute))
			require.InDelta(t, float64(3*time.Hour), float64(q.Reset), float64(time.Minute))
		}
		moved.Add(int64(time.Hour))
		require.True(t, take(t, l, r)[0].Allowed)
		require.False(t, take(t, l, r)[0].Allowed)
		moved.Add(int64(100 * time.Hour))
		require.Equal(t, 2, take(t, l, r)[0].Remaining, "never more than the burst")
	})
	t.Run("all rates or none", func(t *testing.T) {
		l, _ := begin(t)
		key, other := slow(5), store.Rate{Name: "key", Key: "other", Count: 1, Period: time.Hour, Burst: 5}
		workspace := store.Rate{Name: "workspace", Count: 1, Period: time.Hour, Burst: 2}
		take(t, l, key, workspace)
		q := take(t, l, other, workspace)
		require.Equal(t, 4, q[0].Remaining)
		require.Equal(t, 0, q[1].Remaining)
		q = take(t, l, key, workspace)
		require.True(t, q[0].Allowed)
		require.Equal(t, 4, q[0].Remaining, "the key is not charged for what the workspace refuses")
		require.False(t, q[1].Allowed)
		require.Positive(t, q[1].Retry)
		require.Equal(t, 3, take(t, l, key)[0].Remaining)
	})
	t.Run("workspaces, names and keys do not see each other", func(t *testing.T) {
		l, _ := begin(t)
		require.True(t, take(t, l, slow(1))[0].Allowed)
		require.False(t, take(t, l, slow(1))[0].Allowed)
		q, err := l.Take(t.Context(), "v", slow(1))
		require.NoError(t, err)
		require.True(t, q[0].Allowed)
		for _, r := range []store.Rate{{Name: "other", Key: "k", Count: 1, Period: time.Hour, Burst: 1}, {Name: "key", Key: "k2:\x00}", Count: 1, Period: time.Hour, Burst: 1}} {
			require.True(t, take(t, l, r)[0].Allowed)
		}
	})
	t.Run("a race lets exactly the burst through", func(t *testing.T) {
		const callers, each, burst = 16, 20, 100
		limiters, race := open(t, func() time.Duration { return 0 }), fresh()
		var through, failed atomic.Int64
		var all sync.WaitGroup
		for n := range callers {
			all.Go(func() {
				for range each {
					q, err := limiters[n%2].Take(t.Context(), race, slow(burst), store.Rate{Name: "workspace", Count: 1, Period: time.Hour, Burst: 10_000})
					switch {
					case err != nil:
						failed.Add(1)
					case q[0].Allowed && q[1].Allowed:
						through.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.Zero(t, failed.Load())
		require.EqualValues(t, burst, through.Load())
		q, err := limiters[0].Take(t.Context(), race, store.Rate{Name: "workspace", Count: 1, Period: time.Hour, Burst: 10_000})
		require.NoError(t, err)
		require.Equal(t, 10_000-burst-1, q[0].Remaining)
	})
	t.Run("what is no rate is invalid", func(t *testing.T) {
		l, _ := begin(t)
		for i, r := range []store.Rate{
			{Name: "Key", Count: 1, Period: time.Second, Burst: 1},
			{Name: "key", Count: 0, Period: time.Second, Burst: 1},
			{Name: "key", Count: 1, Burst: 1},
			{Name: "key", Count: 1, Period: time.Second},
			{Name: "key", Count: 1, Period: time.Second, Burst: store.MaxBurst + 1},
			{Name: "key", Count: store.MaxRate + 1, Period: time.Second, Burst: 1},
		} {
			_, err := l.Take(t.Context(), "w", r)
			require.ErrorIs(t, err, store.ErrInvalid, fmt.Sprint(i))
		}
		_, err := l.Take(t.Context(), "w w", slow(1))
		require.ErrorIs(t, err, store.ErrInvalid)
	})
}

// within is a limiter whose workspaces are fresh ones.
type within struct {
	store.Limiter
	prefix string
}

func (w within) Take(ctx context.Context, workspace string, rates ...store.Rate) ([]store.Quota, error) {
	return w.Limiter.Take(ctx, w.prefix+workspace, rates...)
}
