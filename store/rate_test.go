package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Whatever the rate and whenever requests come: in no stretch of time do more pass
// than the burst and what the rate adds meanwhile; whoever waits as long as he is
// told passes then, and not a moment before; and what is said to remain does remain.
func TestTheRateHoldsOverEveryStretchOfTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{Name: "key", Count: rapid.IntRange(1, 50).Draw(t, "count"), Burst: rapid.IntRange(1, 20).Draw(t, "burst"),
			Period: time.Duration(rapid.IntRange(5_000, 60_000_000).Draw(t, "period")) * time.Microsecond}
		interval, _ := r.Cells()
		require.LessOrEqual(t, r.Period.Microseconds(), interval*int64(r.Count), "never faster than said")
		var m MemoryLimiter
		now := time.UnixMicro(1_700_000_000_000_000)
		var passed []int64
		remaining := -1
		var last time.Time
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			wait := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 3*interval)).Draw(t, "wait")
			now = now.Add(time.Duration(wait) * time.Microsecond)
			q, err := m.TakeAt(now, "w", r)
			if err != nil {
				t.Fatal(err)
			}
			if remaining > 0 && !q[0].Allowed {
				t.Fatalf("refused although %d remained at %s", remaining, last)
			}
			remaining, last = q[0].Remaining, now
			if !q[0].Allowed {
				early, err := m.TakeAt(now.Add(q[0].Retry-time.Microsecond), "w", r)
				require.NoError(t, err)
				require.False(t, early[0].Allowed)
				now = now.Add(q[0].Retry)
				late, err := m.TakeAt(now, "w", r)
				require.NoError(t, err)
				require.True(t, late[0].Allowed)
				remaining = late[0].Remaining
			}
			passed = append(passed, now.UnixMicro())
			for i, from := range passed {
				n := int64(len(passed) - i)
				if most := int64(r.Burst) + (now.UnixMicro()-from)/interval; n > most {
					t.Fatalf("%d passed within %d µs, at most %d may", n, now.UnixMicro()-from, most)
				}
			}
		}
	})
}

// What is full again is forgotten.
func TestTheMemoryOfALimiterDoesNotGrow(t *testing.T) {
	var m MemoryLimiter
	now := time.Unix(1_700_000_000, 0)
	for i := range 20_000 {
		_, err := m.TakeAt(now.Add(time.Duration(i)*time.Second), "w", Rate{Name: "key", Key: time.Duration(i).String(), Count: 1, Period: time.Second, Burst: 1})
		require.NoError(t, err)
	}
	require.Less(t, len(m.full), 2000)
}

func BenchmarkTakeInMemory(b *testing.B) {
	var m MemoryLimiter
	now := time.Now()
	r := []Rate{{Name: "key", Key: "k", Count: 1000, Period: time.Second, Burst: 1000}, {Name: "workspace", Count: 1000, Period: time.Second, Burst: 1000}}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = m.TakeAt(now, "w", r...)
	}
}
