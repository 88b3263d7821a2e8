package bench_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/proxy"
	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
	"cadreen/store/sqlite"
	"cadreen/tools"
)

// inside is Cadreen between the two sockets: a request that has been read by net/http, and a model that answers at once.
type inside struct {
	server  *proxy.Server
	request *http.Request
	body    []byte
	answer  answers
	client  client
}

// answers is a model server in memory, and its answer.
type answers struct {
	backend.Backend
	reply  string
	reader strings.Reader
	answer backend.Response
	head   http.Header
}

func (m *answers) Chat(context.Context, backend.Request) (*backend.Response, error) {
	m.reader.Reset(m.reply)
	m.answer = backend.Response{Status: http.StatusOK, Header: m.head, Body: m}
	return &m.answer, nil
}

func (m *answers) Read(p []byte) (int, error) { return m.reader.Read(p) }
func (m *answers) Close() error               { return nil }

// client forgets what it is sent.
type client struct {
	head   http.Header
	status int
	got    int
}

func (c *client) Header() http.Header         { return c.head }
func (c *client) WriteHeader(status int)      { c.status = status }
func (c *client) Write(p []byte) (int, error) { c.got += len(p); return len(p), nil }
func (c *client) Flush()                      {}

func (c *client) SetReadDeadline(time.Time) error { return nil }

func newInside(b testing.TB, kind walk) *inside {
	b.Helper()
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
	require.NoError(b, err)
	b.Cleanup(func() { _ = engine.Close() })
	const key = "sk_cadreen_benchmark_0123456789abcdef"
	ring, err := keys.New(keys.Options{Engine: engine, Configured: []keys.Configured{{Name: "bench", Key: key}}})
	require.NoError(b, err)
	evaluator, err := cel.New()
	require.NoError(b, err)
	bundle, err := governance.NewBundle(nil, governance.Options{Evaluator: evaluator})
	require.NoError(b, err)
	log := slog.New(slog.DiscardHandler)
	desk := governance.NewDesk(engine, bundle, governance.DeskOptions{Logger: log})
	in := &inside{body: []byte(kind.body), client: client{head: http.Header{}}}
	in.answer = answers{Backend: backend.NewRehearsal(), reply: kind.reply, head: http.Header{}}
	seen := tools.NewSeen(engine, log)
	handler := chat.New(chat.Options{Backend: &in.answer, Desk: desk, Decider: bundle, Logger: log, Seen: seen})
	in.server = proxy.New(proxy.Options{Chat: handler, Backend: &in.answer, Desk: desk, Keys: ring, Engine: engine, Seen: seen, Logger: log})
	in.request, err = http.NewRequest(http.MethodPost, "http://x/v1/chat/completions", http.NoBody)
	require.NoError(b, err)
	in.request.Header.Set("Content-Type", "application/json")
	in.request.Header.Set("Authorization", "Bearer "+key)
	in.request.ContentLength = int64(len(kind.body))
	return in
}

// again answers the request once.
func (in *inside) again(body *bytes.Reader) {
	clear(in.client.head)
	body.Reset(in.body)
	r := *in.request
	r.Body = io.NopCloser(body)
	in.server.ServeHTTP(&in.client, &r)
	if in.client.status != http.StatusOK {
		panic(in.client.status)
	}
}

// BenchmarkInside is what Cadreen itself does for one request, without sockets and net/http.
func BenchmarkInside(b *testing.B) {
	for _, kind := range walks() {
		if kind.contentType != "application/json" || kind.name == "call" {
			continue // streams and decisions are measured beside their code
		}
		b.Run(kind.name, func(b *testing.B) {
			in := newInside(b, kind)
			var body bytes.Reader
			b.ReportAllocs()
			for b.Loop() {
				in.again(&body)
			}
		})
	}
}
