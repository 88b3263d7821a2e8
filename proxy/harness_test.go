package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
	"cadreen/store"
	"cadreen/store/sqlite"
	"cadreen/tools"
)

// chatFunc stands where the governed chat completion stands.
type chatFunc func(w http.ResponseWriter, r *http.Request, c chat.Caller) error

func (f chatFunc) Serve(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
	return f(w, r, c)
}

// echoBody answers what it was sent.
func echoBody(w http.ResponseWriter, r *http.Request, _ chat.Caller) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fault.Wrap(err, fault.InternalError, "") // a reader that does not look closely
	}
	_, err = w.Write(raw)
	return err
}

// fixed are policies that decide in every workspace.
type fixed struct{ bundle *governance.Bundle }

func (f fixed) For(context.Context, string) (*governance.Bundle, error) { return f.bundle, nil }

// away is a real engine that can be cut off.
type away struct {
	store.Engine
	cut atomic.Bool
}

func (a *away) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	if a.cut.Load() {
		return store.Doc{}, store.ErrUnavailable
	}
	return a.Engine.Get(ctx, workspace, kind, id)
}

func (a *away) Check(ctx context.Context) error {
	if a.cut.Load() {
		return store.ErrUnavailable
	}
	return a.Engine.Check(ctx)
}

// site is a running server with one key of every role.
type site struct {
	url, addr string
	server    *Server
	engine    *away
	ring      *keys.Ring
	keys      map[string]string // by role
	log       *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a server on a free port.
func start(t *testing.T, h chatFunc, change ...func(*Options, *keys.Options)) *site {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "proxy.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	st := &site{engine: &away{Engine: opened}, keys: map[string]string{}, log: &lockedBuffer{}}
	evaluator, err := cel.New()
	require.NoError(t, err)
	bundle, err := governance.NewBundle(nil, governance.Options{Evaluator: evaluator})
	require.NoError(t, err)
	o := Options{
		Seen: tools.NewSeen(st.engine, nil), Deciding: fixed{bundle},
		Chat: h, Backend: backend.NewRehearsal(), Engine: st.engine,
		Desk:   governance.NewDesk(opened, nil, governance.DeskOptions{}),
		Logger: slog.New(slog.NewTextHandler(st.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	ko := keys.Options{Engine: st.engine, Logger: o.Logger}
	for _, f := range change {
		f(&o, &ko)
	}
	st.ring, err = keys.New(ko)
	require.NoError(t, err)
	o.Keys = st.ring
	for _, role := range []string{keys.RoleChat, keys.RoleReviewer, keys.RoleAuthor, keys.RoleOperator} {
		st.keys[role], _, err = st.ring.Create(t.Context(), keys.Template{Roles: []string{role}, Workspace: "acme"})
		require.NoError(t, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	st.server = New(o)
	served := make(chan error, 1)
	go func() { served <- st.server.Serve(l) }()
	st.addr = l.Addr().String()
	st.url = "http://" + st.addr
	t.Cleanup(func() {
		require.NoError(t, st.server.Shutdown(context.Background()))
		require.NoError(t, <-served)
	})
	return st
}

// call is one request; headers are name, value, name, value.
func (st *site) call(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, st.url+path, reader)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
	for i := 0; i < len(headers); i += 2 {
		r.Header.Del(headers[i])
		for v := range strings.SplitSeq(headers[i+1], "\n") {
			if v != "" {
				r.Header.Add(headers[i], v)
			}
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(raw)
}

// envelope checks everything that every error must have, and follows its link.
func (st *site) envelope(t *testing.T, response *http.Response, body string, status int, code string) {
	t.Helper()
	require.Equal(t, status, response.StatusCode, body)
	require.Equal(t, "application/json", response.Header.Get("Content-Type"))
	var e struct {
		Error struct {
			Type, Code, Message, Hint string
			DocURL                    string          `json:"doc_url"`
			TraceID                   string          `json:"trace_id"`
			NextAction                map[string]any  `json:"next_action"`
			Param                     json.RawMessage `json:"param"`
		} `json:"error"`
		TraceID string `json:"trace_id"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &e), body)
	require.Equal(t, code, e.Error.Code)
	require.NotEmpty(t, e.Error.Type)
	require.NotEmpty(t, e.Error.Message)
	require.NotEmpty(t, e.Error.Hint)
	require.NotEmpty(t, e.Error.NextAction)
	require.NotEmpty(t, e.Error.Param, "param is there, null or not")
	require.True(t, strings.HasPrefix(e.TraceID, "cad_"), e.TraceID)
	require.Equal(t, e.TraceID, e.Error.TraceID)
	require.Equal(t, e.TraceID, response.Header.Get("X-Cadreen-Trace-ID"))
	require.Equal(t, e.TraceID, response.Header.Get("x-request-id"))
	address, anchor, _ := strings.Cut(e.Error.DocURL, "#")
	require.True(t, strings.HasPrefix(address, st.url), address)
	page, err := http.Get(address)
	require.NoError(t, err)
	defer page.Body.Close()
	html, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, string(html), `id="`+anchor+`"`)
}
