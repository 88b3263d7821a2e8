package intelligence_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/intelligence"
	"cadreen/store"
)

// moved is a clock that a test moves, for the store and for traces.
type moved struct{ by atomic.Int64 }

func (m *moved) offset() time.Duration { return time.Duration(m.by.Load()) }
func (m *moved) now() time.Time        { return time.Now().Add(m.offset()) }
func (m *moved) forward(d time.Duration) {
	m.by.Add(int64(d))
}

// onBoth runs a test on both stores.
func onBoth(t *testing.T, test func(t *testing.T, e store.Engine, c *moved)) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			c := &moved{}
			test(t, open(t, c.offset), c)
		})
	}
}

// run starts a recorder; stop ends it, once or more.
func run(t *testing.T, o intelligence.Options) (r *intelligence.Recorder, stop func()) {
	t.Helper()
	r = intelligence.NewRecorder(o)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return r, stop
}

// entry is a trace of a key about a domain, complete at a time.
func entry(at time.Time, key, domain, gate string) intelligence.Entry {
	e := intelligence.Entry{ID: intelligence.NewID(at), Method: "POST", Path: "/v1/chat/completions", Key: key, Domain: domain, Started: at.Add(-time.Second), Took: 1e6, Status: 200, Gate: gate}
	words := map[string][2]string{"ok": {"allow", intelligence.WentOut}, "needs_input": {"confirm", intelligence.WentHeld}, "blocked": {"block", intelligence.WentNowhere}}
	if w, ok := words[gate]; ok {
		e.Judged = true
		e.Calls = []intelligence.Call{{Tool: "t", Verdict: w[0], Went: w[1], Confidence: 1, Gap: gate == "blocked"}}
	}
	return e
}

// counting is an engine whose commits are counted and can be made to fail.
type counting struct {
	store.Engine
	commits atomic.Int64
	fail    atomic.Pointer[error]
	// after fails a commit that has taken place.
	after atomic.Bool
}

func (c *counting) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	if err := c.fail.Load(); err != nil {
		return *err
	}
	c.commits.Add(1)
	if err := c.Engine.Commit(ctx, workspace, ops...); err != nil {
		return err
	}
	if c.after.CompareAndSwap(true, false) {
		return fmt.Errorf("%w: the answer was lost", store.ErrUnavailable)
	}
	return nil
}

func (c *counting) breaks(err error) {
	if err == nil {
		c.fail.Store(nil)
	} else {
		c.fail.Store(&err)
	}
}

func ids(list []intelligence.Entry) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, e.ID)
	}
	return out
}

func TestABatchOfTracesIsOneWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		engine := &counting{Engine: e}
		r, stop := run(t, intelligence.Options{Engine: engine, Every: time.Hour})
		for range 200 {
			r.Record("acme", entry(c.now(), "k", "", "ok"))
		}
		for range 50 {
			r.Record("other", entry(c.now(), "k", "", "ok"))
		}
		stop()
		require.EqualValues(t, 2, engine.commits.Load(), "one for each workspace")
		again, _ := run(t, intelligence.Options{Engine: e})
		list, more, err := again.List(t.Context(), "acme", intelligence.Query{Limit: 1000})
		require.NoError(t, err)
		require.Len(t, list, 200)
		require.False(t, more)
		again.Record("", entry(c.now(), "k", "", "ok")) // nobody's: not stored
		var none *intelligence.Recorder
		none.Record("acme", entry(c.now(), "k", "", "ok"))
	})
}

// Many traces that wait are one write of several segments; the writer is not woken for
// each of them, and with as many as one write takes it does not wait for the time.
func TestAsManyTracesAsOneWriteTakesAreWrittenAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		engine := &counting{Engine: e}
		var stored atomic.Int64
		r, stop := run(t, intelligence.Options{Engine: engine, Every: time.Hour, Stored: func(n int) { stored.Add(int64(n)) }})
		for range 1024 {
			r.Record("acme", entry(c.now(), "k", "", "ok"))
		}
		require.Eventually(t, func() bool { return stored.Load() == 1024 }, 20*time.Second, time.Millisecond, "before the hour is over")
		require.EqualValues(t, 1, engine.commits.Load())
		segments, err := e.List(t.Context(), "acme", "trace", store.Query{Index: "at"})
		require.NoError(t, err)
		require.Len(t, segments, 4)
		r.Record("acme", entry(c.now(), "k", "", "ok"))
		stop()
		require.EqualValues(t, 1025, stored.Load())
		require.EqualValues(t, 2, engine.commits.Load())
	})
}

// Any query, over what two replicas have written in overlapping segments, answers
// what a sorted list in memory would.
func TestListsAgreeWithAListInMemory(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		a, stopA := run(t, intelligence.Options{Engine: e, Every: time.Hour})
		b, stopB := run(t, intelligence.Options{Engine: e, Every: time.Hour})
		random := rand.New(rand.NewPCG(1, 2))
		begin := c.now().Add(-time.Hour).Truncate(time.Second)
		var all []intelligence.Entry
		for i := range 600 {
			at := begin.Add(time.Duration(i)*300*time.Millisecond + time.Duration(random.IntN(4000))*time.Millisecond)
			x := entry(at, fmt.Sprint("key", random.IntN(3)), []string{"", "shop", "bank"}[random.IntN(3)], []string{"ok", "needs_input", "blocked", ""}[random.IntN(4)])
			all = append(all, x)
			r := []*intelligence.Recorder{a, b}[random.IntN(2)]
			r.Record("acme", x)
			if random.IntN(40) == 0 {
				r.Flush(t.Context())
			}
		}
		stopA()
		stopB()
		slices.SortFunc(all, func(x, y intelligence.Entry) int {
			return cmp.Or(y.Created().Compare(x.Created()), cmp.Compare(y.ID, x.ID))
		})
		r, _ := run(t, intelligence.Options{Engine: e})
		for range 150 {
			q := intelligence.Query{Offset: random.IntN(50), Limit: 1 + random.IntN(100)}
			if random.IntN(2) == 0 {
				q.Key = fmt.Sprint("key", random.IntN(4))
			}
			if random.IntN(2) == 0 {
				q.Domain = []string{"shop", "bank", "none"}[random.IntN(3)]
			}
			if random.IntN(2) == 0 {
				q.Decision = []string{"approved", "conditional", "blocked", "none"}[random.IntN(4)]
			}
			if random.IntN(2) == 0 {
				q.From = begin.Add(time.Duration(random.IntN(180)) * time.Second)
			}
			if random.IntN(2) == 0 {
				q.To = begin.Add(time.Duration(random.IntN(180)) * time.Second)
			}
			var want []intelligence.Entry
			for _, x := range all {
				d := cmp.Or(x.Decision(), "none")
				if (q.Key == "" || q.Key == x.Key) && (q.Domain == "" || q.Domain == x.Domain) && (q.Decision == "" || q.Decision == d) &&
					!x.Created().Before(q.From) && (q.To.IsZero() || !x.Created().After(q.To)) {
					want = append(want, x)
				}
			}
			want = want[min(q.Offset, len(want)):]
			more := len(want) > q.Limit
			want = want[:min(q.Limit, len(want))]
			got, hasMore, err := r.List(t.Context(), "acme", q)
			require.NoError(t, err)
			require.Equal(t, ids(want), ids(got), "%+v", q)
			require.Equal(t, more, hasMore, "%+v", q)
		}
	})
}

func TestATraceIsReadBackAsItWas(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		r, _ := run(t, intelligence.Options{Engine: e})
		x := chat(intelligence.NewID(c.now()))
		r.Record("acme", x)
		got, err := r.Get(t.Context(), "acme", x.ID, x.Key)
		require.NoError(t, err)
		require.Equal(t, x.Meta(intelligence.Full).Summary, got.Meta(intelligence.Full).Summary)
		require.True(t, x.Started.Equal(got.Started))
		got.Started = x.Started
		require.Equal(t, x, got)
		_, err = r.Get(t.Context(), "acme", x.ID, "another")
		require.ErrorIs(t, err, intelligence.ErrNotFound)
		_, err = r.Get(t.Context(), "other", x.ID, "")
		require.ErrorIs(t, err, intelligence.ErrNotFound)
		_, err = r.Get(t.Context(), "acme", "cad_x", "")
		require.ErrorIs(t, err, intelligence.ErrNotFound)

		// What another replica has not written yet is waited for.
		other, _ := run(t, intelligence.Options{Engine: e, Every: 20 * time.Millisecond})
		y := chat(intelligence.NewID(c.now()))
		other.Record("acme", y)
		_, err = r.Get(t.Context(), "acme", y.ID, "")
		require.NoError(t, err)
	})
}

// Traces of one moment lie in as many segments as they were written in; each is found
// by its id, and so is one that an earlier version wrote under the whole of it.
func TestATraceIsFoundAmongThoseOfItsMoment(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		r, _ := run(t, intelligence.Options{Engine: e})
		at := c.now().Truncate(time.Second)
		var all []intelligence.Entry
		for i := range 20 {
			x, y := entry(at, "k", fmt.Sprint(i), "ok"), entry(at.Add(time.Duration(i)*time.Minute), "k", "", "ok")
			r.Record("acme", x)
			r.Record("acme", y)
			r.Flush(t.Context())
			all = append(all, x, y)
		}
		docs, err := e.List(t.Context(), "acme", "trace", store.Query{Index: "trace", Key: all[0].ID[:13]})
		require.NoError(t, err)
		require.Len(t, docs, 20)
		for _, x := range all {
			got, err := r.Get(t.Context(), "acme", x.ID, "k")
			require.NoError(t, err)
			require.Equal(t, x.Domain, got.Domain)
		}
		none := intelligence.NewID(at)
		_, err = r.Get(t.Context(), "acme", none, "")
		require.ErrorIs(t, err, intelligence.ErrNotFound)

		old := docs[0]
		for i, x := range old.Index {
			if x.Name == "trace" && x.Key == all[0].ID[:13] {
				old.Index[i].Key = all[0].ID
			}
		}
		require.NoError(t, e.Commit(t.Context(), "acme", store.Put{Doc: old}))
		_, err = r.Get(t.Context(), "acme", all[0].ID, "k")
		require.NoError(t, err)
	})
}

// While the store is away traces wait; nothing is lost, and nothing is stored
// twice where only the answer was.
func TestTracesSurviveAnOutage(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		engine := &counting{Engine: e}
		var lost atomic.Int64
		var stored atomic.Int64
		r, stop := run(t, intelligence.Options{Engine: engine, Every: time.Millisecond, Lost: func(n int, _ string) { lost.Add(int64(n)) }, Stored: func(n int) { stored.Add(int64(n)) }})
		engine.breaks(store.ErrUnavailable)
		first := entry(c.now(), "k", "", "ok")
		r.Record("acme", first)
		second := entry(c.now(), "k", "", "ok")
		r.Record("acme", second)
		engine.after.Store(true)
		engine.breaks(nil)
		for _, x := range []intelligence.Entry{first, second} {
			_, err := r.Get(t.Context(), "acme", x.ID, "")
			require.NoError(t, err)
		}
		stop()
		list, _, err := r.List(t.Context(), "acme", intelligence.Query{Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Zero(t, lost.Load())
		require.EqualValues(t, 2, stored.Load())
	})
}

func TestLossIsCounted(t *testing.T) {
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			engine := &counting{Engine: open(t, noOffset)}
			var mu sync.Mutex
			lost := map[string]int{}
			count := func(n int, why string) { mu.Lock(); lost[why] += n; mu.Unlock() }
			t.Run("a store that refuses", func(t *testing.T) {
				clear(lost)
				engine.breaks(store.ErrInvalid)
				r, stop := run(t, intelligence.Options{Engine: engine, Every: time.Hour, Lost: count})
				for range 3 {
					r.Record("acme", entry(time.Now(), "k", "", "ok"))
				}
				stop()
				require.Equal(t, map[string]int{intelligence.LostStore: 3}, lost)
			})
			t.Run("a store that stays away", func(t *testing.T) {
				clear(lost)
				engine.breaks(store.ErrUnavailable)
				r, _ := run(t, intelligence.Options{Engine: engine, Every: time.Hour, Lost: count, Patience: time.Nanosecond})
				r.Record("acme", entry(time.Now(), "k", "", "ok"))
				r.Flush(t.Context())
				mu.Lock()
				require.Equal(t, map[string]int{intelligence.LostStore: 1}, lost)
				mu.Unlock()
				// And the counts do not have what the segments do not have.
				engine.breaks(nil)
				r.Record("acme", entry(time.Now(), "k", "", "ok"))
				s, err := r.Stats(t.Context(), "acme", "")
				require.NoError(t, err)
				require.Equal(t, 1, s.Traces30d)
			})
			t.Run("a full queue, and after the end", func(t *testing.T) {
				clear(lost)
				r := intelligence.NewRecorder(intelligence.Options{Engine: engine, Queue: 2, Lost: count})
				for range 5 {
					r.Record("acme", entry(time.Now(), "k", "", "ok"))
				}
				require.Equal(t, map[string]int{intelligence.LostFull: 3}, lost)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				r.Run(ctx) // ends at once, and writes what waits
				r.Record("acme", entry(time.Now(), "k", "", "ok"))
				require.Equal(t, map[string]int{intelligence.LostFull: 4}, lost)
				list, _, err := r.List(t.Context(), "acme", intelligence.Query{Limit: 10})
				require.NoError(t, err)
				require.Len(t, list, 1+2)
			})
		})
	}
}

func TestRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		r, stop := run(t, intelligence.Options{Engine: e, Retention: 48 * time.Hour, Every: time.Hour})
		// A quarter to the next hour: counts are kept by the hour.
		c.forward(time.Until(time.Now().Truncate(time.Hour).Add(105 * time.Minute)))
		for range 40 {
			r.Record("acme", entry(c.now(), "k", "d", "ok"))
			r.Flush(t.Context())
		}
		c.forward(47*time.Hour + 30*time.Minute)
		young := entry(c.now(), "k", "d", "ok")
		r.Record("acme", young)
		r.Flush(t.Context())
		taken, err := r.Sweep(t.Context())
		require.NoError(t, err)
		require.Zero(t, taken)
		s, err := r.Stats(t.Context(), "acme", "")
		require.NoError(t, err)
		require.Equal(t, 41, s.Traces30d)
		c.forward(time.Hour)
		taken, err = r.Sweep(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, taken, 40, "segments")
		list, _, err := r.List(t.Context(), "acme", intelligence.Query{Limit: 100})
		require.NoError(t, err)
		require.Equal(t, []string{young.ID}, ids(list))
		c.forward(100 * time.Hour)
		_, err = r.Sweep(t.Context())
		require.NoError(t, err)
		stop()
		for _, kind := range []string{"trace", "trace_hour"} {
			docs, err := e.List(t.Context(), "acme", kind, store.Query{Index: "at"})
			require.NoError(t, err)
			require.Empty(t, docs, kind)
		}
	})
}

func TestStatistics(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		day := 24 * time.Hour
		r, _ := run(t, intelligence.Options{Engine: e, Every: time.Hour, Retention: 60 * day})
		record := func(n int, domain, gate string) {
			for i := range n {
				r.Record("acme", entry(c.now(), fmt.Sprint("key", i), domain, gate))
			}
			r.Flush(t.Context())
		}
		record(5, "old", "ok") // beyond 30 days in the end
		c.forward(10 * day)
		record(3, "shop", "needs_input")
		c.forward(20 * day)
		record(4, "shop", "ok")
		c.forward(5 * day)
		record(2, "", "blocked")
		record(6, "bank", "")
		s, err := r.Stats(t.Context(), "acme", "")
		require.NoError(t, err)
		require.Equal(t, intelligence.Stats{Traces24h: 8, Traces7d: 12, Traces30d: 15,
			AvgConfidenceByDomain: map[string]float64{"shop": 1, "(none)": 1}, GapDetectionRate: 2.0 / 9,
			GovernanceDecisions: map[string]int{"approved": 4, "conditional": 3, "blocked": 2}}, s)
		s, err = r.Stats(t.Context(), "acme", "key3")
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 2}, []int{s.Traces24h, s.Traces7d, s.Traces30d})
		s, err = r.Stats(t.Context(), "acme", "nobody")
		require.NoError(t, err)
		require.Zero(t, s.Traces30d)
		require.NotNil(t, s.GovernanceDecisions)

		// More keys and domains than one document counts by name.
		for i := range 1500 {
			r.Record("crowd", entry(c.now(), fmt.Sprint("key", i), fmt.Sprint("domain", i), "ok"))
			if i%500 == 499 {
				r.Flush(t.Context())
			}
		}
		r.Flush(t.Context())
		s, err = r.Stats(t.Context(), "crowd", "")
		require.NoError(t, err)
		require.Equal(t, 1500, s.Traces24h)
		require.LessOrEqual(t, len(s.AvgConfidenceByDomain), 101)
		require.Contains(t, s.AvgConfidenceByDomain, "(other)")
		docs, err := e.List(t.Context(), "crowd", "trace_hour", store.Query{Index: "at"})
		require.NoError(t, err)
		for _, doc := range docs {
			var hour struct{ Keys map[string]json.RawMessage }
			require.NoError(t, json.Unmarshal(doc.Value, &hour))
			require.LessOrEqual(t, len(hour.Keys), 1000)
		}
		s, err = r.Stats(t.Context(), "crowd", "key1400")
		require.NoError(t, err)
		require.Equal(t, 1, s.Traces24h)
	})
}

// What lies broken in the store is an error, not a hole in a list.
func TestWhatCannotBeReadIsAnError(t *testing.T) {
	onBoth(t, func(t *testing.T, e store.Engine, c *moved) {
		r, _ := run(t, intelligence.Options{Engine: e})
		x := entry(c.now(), "k", "", "ok")
		r.Record("acme", x)
		r.Flush(t.Context())
		for _, kind := range []string{"trace", "trace_hour"} {
			docs, err := e.List(t.Context(), "acme", kind, store.Query{Index: "at"})
			require.NoError(t, err)
			require.Len(t, docs, 1)
			docs[0].Value = []byte("{")
			require.NoError(t, e.Commit(t.Context(), "acme", store.Put{Doc: docs[0]}))
		}
		var own *fault.Error
		_, _, err := r.List(t.Context(), "acme", intelligence.Query{Limit: 1})
		require.Error(t, err)
		require.NotErrorAs(t, err, &own)
		_, err = r.Get(t.Context(), "acme", x.ID, "")
		require.Error(t, err)
		require.NotErrorIs(t, err, intelligence.ErrNotFound)
		_, err = r.Stats(t.Context(), "acme", "")
		require.Error(t, err)
	})
}
