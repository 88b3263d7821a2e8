package bench_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/intelligence"
	"cadreen/proxy"
	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// oneKB is a chat of 1 KB without calls.
var oneKB = `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("Where is order 456? ", 50) + `"}]}`

// BenchmarkTraceOfAChat is a chat of 1 KB over real sockets, with and without its
// trace being stored. cpu-ns/op is all of this process: the client, the model's
// server and the writer of the store too. What a stored trace adds is the
// difference.
func BenchmarkTraceOfAChat(b *testing.B) {
	for _, engine := range []struct {
		name string
		open func(b *testing.B) (store.Engine, error)
	}{
		{"sqlite", func(b *testing.B) (store.Engine, error) {
			return sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
		}},
		{"redis", func(b *testing.B) (store.Engine, error) {
			return redis.Open(b.Context(), "redis://"+storetest.RedisServer(b))
		}},
	} {
		for _, stored := range []bool{false, true} {
			name := engine.name + "/without"
			if stored {
				name = engine.name + "/stored"
			}
			b.Run(name, func(b *testing.B) {
				e, err := engine.open(b)
				require.NoError(b, err)
				defer e.Close()
				var traces *intelligence.Recorder
				lost := 0
				if stored {
					traces = intelligence.NewRecorder(intelligence.Options{Engine: e, Lost: func(n int, _ string) { lost += n }})
					ctx, stop := context.WithCancel(b.Context())
					done := make(chan struct{})
					go func() { traces.Run(ctx); close(done) }()
					defer func() { stop(); <-done; require.Zero(b, lost) }()
				}
				url, key := serving(b, e, traces, model(b, "application/json", text))
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				require.NoError(b, post(client, url, key, oneKB, "warehouse"))
				b.ReportAllocs()
				begun := cpu(b)
				for b.Loop() {
					if err := post(client, url, key, oneKB, "warehouse"); err != nil {
						b.Fatal(err)
					}
				}
				if stored {
					traces.Flush(b.Context())
				}
				b.ReportMetric(float64(cpu(b)-begun)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// serving is a proxy on an engine.
func serving(b testing.TB, e store.Engine, traces *intelligence.Recorder, upstream string) (url, key string) {
	b.Helper()
	ring, err := keys.New(keys.Options{Engine: e})
	require.NoError(b, err)
	key, _, err = ring.Create(b.Context(), keys.Template{})
	require.NoError(b, err)
	evaluator, err := cel.New()
	require.NoError(b, err)
	bundle, err := governance.NewBundle(nil, governance.Options{Evaluator: evaluator})
	require.NoError(b, err)
	server, err := backend.Open(backend.Settings{URL: upstream + "/v1"})
	require.NoError(b, err)
	log := slog.New(slog.DiscardHandler)
	desk := governance.NewDesk(e, bundle, governance.DeskOptions{Logger: log})
	handler := chat.New(chat.Options{Backend: server, Desk: desk, Decider: bundle, Logger: log})
	return listen(b, proxy.New(proxy.Options{Chat: handler, Backend: server, Desk: desk, Keys: ring, Engine: e, Traces: traces, Logger: log})), key
}

// cpu is the time that this process has had on a processor.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
