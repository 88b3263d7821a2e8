package intelligence_test

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/intelligence"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// engines are the two stores, each fresh for a test.
var engines = map[string]func(t testing.TB, offset func() time.Duration) store.Engine{
	"sqlite": func(t testing.TB, offset func() time.Duration) store.Engine {
		e, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "traces.db"), sqlite.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = e.Close() })
		return e
	},
	"redis": func(t testing.TB, offset func() time.Duration) store.Engine {
		e, err := redis.Open(t.Context(), "redis://"+storetest.RedisServer(t), redis.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = e.Close() })
		return e
	},
}

func noOffset() time.Duration { return 0 }

// chat is everything that the trace of a plain chat completion costs: its id, what
// it is told on the way, and its end.
func chat(id string) intelligence.Entry {
	started := time.Now()
	t := intelligence.New(id, "POST", "/v1/chat/completions", started, time.Now)
	t.Within(nil)
	t.Shows(intelligence.ProfileOf([]string{"application/json"}))
	t.OnlyNamed()
	t.By("acme", "key_01M8C0ZC3NY0S84G22CKT5YWNF")
	begun := t.Begin()
	t.Offers(1, false)
	t.About("shop", "")
	t.Stage(intelligence.StageCapabilities, "", begun)
	t.About("", "conv_01M8C0ZC3NY0S84G22CKT5YWNF")
	begun = t.Begin()
	t.Model(begun, intelligence.ModelCall{Model: "gpt-any", Asked: "gpt-any", Input: 9, Output: 9})
	t.Outcome("ok", fault.NextAction{Type: "none", Label: "No further action needed"})
	t.Block()
	_, e := t.End(200, time.Since(started))
	return e
}

// cpu is the time that this process has had on a processor.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStoredTrace is the whole cost of a trace, stored: cpu-ns/op counts all
// of the process, the writer of the store included.
func BenchmarkStoredTrace(b *testing.B) {
	for name, open := range engines {
		b.Run(name, func(b *testing.B) {
			lost := 0
			r := intelligence.NewRecorder(intelligence.Options{Engine: open(b, noOffset), Lost: func(n int, _ string) { lost += n }})
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() { r.Run(ctx); close(done) }()
			b.ReportAllocs()
			begun := cpu(b)
			for n := 0; b.Loop(); n++ {
				r.Record("acme", chat(intelligence.NewID(time.Now())))
				if n%1024 == 1023 {
					r.Flush(ctx) // as long as the store takes what comes, nothing is lost
				}
			}
			r.Flush(ctx)
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
			stop()
			<-done
			require.Zero(b, lost)
		})
	}
}

// BenchmarkTrace is what the request itself waits for.
func BenchmarkTrace(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		chat("cad_01M8C0ZC3NY0S84G22CKT5YWNF")
	}
}

// BenchmarkBlock is the profile full in an answer.
func BenchmarkBlock(b *testing.B) {
	t := intelligence.New("cad_01M8C0ZC3NY0S84G22CKT5YWNF", "POST", "/v1/chat/completions", time.Now(), time.Now)
	t.Offers(1, false)
	t.Judged(t.Begin(), []intelligence.Call{{Tool: "process_refund", Verdict: "confirm", Decision: "conditional", Went: "held", Reason: "rule", Policy: "p", Rule: "r"}})
	b.ReportAllocs()
	for b.Loop() {
		if t.Block() == nil {
			b.Fatal()
		}
	}
}
