package idempotency

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cadreen/fault"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onBothStores runs a test on each engine.
func onBothStores(t *testing.T, test func(t *testing.T, e store.Engine)) {
	for name, open := range map[string]func(t *testing.T) (store.Engine, error){
		"sqlite": func(t *testing.T) (store.Engine, error) {
			return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "cadreen.db"))
		},
		"redis": func(t *testing.T) (store.Engine, error) {
			return redis.Open(t.Context(), "redis://"+storetest.RedisServer(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := open(t)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			test(t, e)
		})
	}
}

// replica is a server of its own on a shared store.
type replica struct {
	url    string
	keeper *Keeper
	engine *shaky
}

// work is what a request does. It commits through the fence.
type work func(ctx context.Context, w http.ResponseWriter, fenced store.Engine) error

func start(t *testing.T, e store.Engine, o Options, do work) *replica {
	t.Helper()
	r := &replica{engine: &shaky{Engine: e}}
	o.Engine = r.engine
	if o.Lease == 0 {
		o.Lease = 60 * time.Millisecond
	}
	o.Poll = 5 * time.Millisecond
	r.keeper = New(o)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		client := &begins{ResponseWriter: w}
		err = r.keeper.Serve(q.Context(), client, Request{Workspace: "w", Principal: "key_1", Person: q.Header.Get("Person"),
			Route: "POST chat", Key: q.Header.Get(Header), Body: body, TraceID: "cad_x"},
			func(ctx context.Context, w http.ResponseWriter) error {
				err := do(ctx, w, Fence(r.engine))
				if err != nil && w.(*tape).got.Status == 0 {
					w.WriteHeader(http.StatusServiceUnavailable)
					return nil
				}
				return err
			})
		switch {
		case err == nil:
			return
		case client.begun:
			panic(http.ErrAbortHandler)
		}
		f := fault.From(err)
		if errors.Is(err, store.ErrUnavailable) {
			f = fault.Wrap(err, fault.StoreUnavailable, "")
		}
		if value, ok := f.ShouldRetryHeader(); ok {
			w.Header().Set("X-Should-Retry", value)
		}
		w.WriteHeader(f.HTTPStatus())
		_, _ = w.Write(f.Body("cad_x", ""))
	}))
	t.Cleanup(func() {
		r.keeper.Stop()
		server.Close()
	})
	r.url = server.URL
	return r
}

// begins knows whether headers have gone out.
type begins struct {
	http.ResponseWriter
	begun bool
}

func (b *begins) WriteHeader(status int) {
	b.begun = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *begins) Unwrap() http.ResponseWriter { return b.ResponseWriter }

// reply is one answer as it came.
type reply struct {
	status int
	header http.Header
	body   string
	err    error
}

func (r *replica) post(ctx context.Context, key, body string) reply {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader([]byte(body)))
	if err != nil {
		return reply{err: err}
	}
	q.Close = true
	q.Header.Set(Header, key)
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return reply{err: err}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(text), err}
}

// shaky is an engine that a test cuts off.
type shaky struct {
	store.Engine
	cut   atomic.Bool
	fails func() failure // for every Commit, nil for never
}

type failure int

const (
	never  failure = iota
	before         // nothing happens
	after          // it happens, and nobody is told
)

func (s *shaky) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	if s.cut.Load() {
		return store.Doc{}, store.ErrUnavailable
	}
	return s.Engine.Get(ctx, workspace, kind, id)
}

func (s *shaky) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	fails := never
	if s.fails != nil {
		fails = s.fails()
	}
	if s.cut.Load() || fails == before {
		return store.ErrUnavailable
	}
	err := s.Engine.Commit(ctx, workspace, ops...)
	if fails == after && err == nil {
		return store.ErrUnavailable
	}
	return err
}

// ask is what a model client does with a context.
func ask(ctx context.Context) { httptrace.ContextClientTrace(ctx).GetConn("model:443") }

// holds makes a document that no key may make twice.
func holds(ctx context.Context, e store.Engine, id string) error {
	return e.Commit(ctx, "w", store.Put{Create: true, Doc: store.Doc{Kind: "hold", ID: id, Index: []store.Index{{Name: "all"}}}})
}

func held(t *testing.T, e store.Engine) int {
	t.Helper()
	docs, err := e.List(t.Context(), "w", "hold", store.Query{Index: "all"})
	require.NoError(t, err)
	return len(docs)
}
