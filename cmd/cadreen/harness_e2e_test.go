package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

// Keys of the end-to-end tests: two principals of one workspace, one of
// another, a reviewer and an operator.
const (
	keyAnn   = "sk_cadreen_ann_0123456789abcdef"
	keyBob   = "sk_cadreen_bob_0123456789abcdef"
	keyOther = "sk_cadreen_other_0123456789abcdef"
	keyRhea  = "sk_cadreen_rhea_0123456789abcdef"
	keyOmar  = "sk_cadreen_omar_0123456789abcdef"
)

const keysYAML = `keys:
  - {name: ann, key: ` + keyAnn + `, workspace: shop}
  - {name: bob, key: ` + keyBob + `, workspace: shop}
  - {name: other, key: ` + keyOther + `, workspace: elsewhere}
  - {name: rhea, key: ` + keyRhea + `, workspace: shop, roles: [chat, reviewer]}
  - {name: omar, key: ` + keyOmar + `, workspace: shop, roles: [operator]}
`

// engines are the two stores; each gives a store.url of its own for a test.
var engines = []struct {
	name string
	url  func(t *testing.T) string
}{
	{"sqlite", func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "cadreen.db") }},
	{"redis", func(t *testing.T) string { return "redis://" + storetest.RedisServer(t) }},
}

// onBothStores runs the test once for each engine.
func onBothStores(t *testing.T, test func(t *testing.T, storeURL string)) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { test(t, e.url(t)) })
	}
}

// setup is what a proxy under test runs with.
type setup struct {
	backend string // "" is the rehearsal model
	store   string // "" is a SQLite file of its own
	model   string // backend.model
	policy  string // YAML of one policy file
	yaml    string // further settings
	keys    string // keys beside those of keysYAML
	// passthrough is backend.auth: passthrough.
	passthrough bool
	clock       *clock // nil is the real one
}

// clock is time that a test moves.
type clock struct{ offset atomic.Int64 }

func (c *clock) forward(d time.Duration) { c.offset.Add(int64(d)) }

func (c *clock) read() time.Duration { return time.Duration(c.offset.Load()) }

// file writes the settings and answers their path.
func (s setup) file(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if s.store == "" {
		s.store = engines[0].url(t)
	}
	text := "listen: 127.0.0.1:0\nstore: {url: '" + s.store + "', relaxed: true}\n" + keysYAML + strings.TrimPrefix(s.keys, "keys:\n") + s.yaml
	if s.backend != "" {
		text += "\nbackend: {url: '" + s.backend + "', model: '" + s.model + "'" + map[bool]string{true: ", auth: passthrough"}[s.passthrough] + "}\n"
	}
	if s.policy != "" {
		policies := filepath.Join(folder, "policies")
		require.NoError(t, os.Mkdir(policies, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(policies, "policy.yaml"), []byte(s.policy), 0o600))
		text += "\npolicies: '" + policies + "'\n"
	}
	path := filepath.Join(folder, "cadreen.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// proxyUnderTest is one running program and a client's view of it.
type proxyUnderTest struct {
	t    *testing.T
	url  string // base url, ending in /v1
	main *Main  // nil when it is a process of its own
	// loose leaves out the check against OpenAI's schema: for models whose own
	// replies are not valid against it.
	loose bool
}

// start runs the real program inside this process until the test ends.
func start(t *testing.T, s setup) *proxyUnderTest {
	t.Helper()
	cfg, err := config.Load(s.file(t), nil)
	require.NoError(t, err)
	m := &Main{Config: cfg, Stderr: t.Output()}
	if s.clock != nil {
		m.Offset = s.clock.read
	}
	require.NoError(t, m.Run(t.Context()))
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}
}

// startScripted runs the program in front of a scripted model.
func startScripted(t *testing.T, s setup) (*proxyUnderTest, *scripted.Server) {
	t.Helper()
	model := scripted.New(t)
	s.backend = model.URL()
	return start(t, s), model
}

// reply is one answer as it came.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	broken  error // how the body ended, if not properly
}

// post sends the bytes with Ann's key; headers are pairs, later ones win.
func (p *proxyUnderTest) post(body string, headers ...string) reply {
	p.t.Helper()
	r, err := p.try(p.t.Context(), body, headers...)
	require.NoError(p.t, err)
	if !p.loose {
		checkSchema(p.t, r)
		if root, ok := strings.CutSuffix(p.url, "/v1"); ok {
			checkDocument(p.t, root, "POST", "/v1/chat/completions", body, r.status, r.header, r.body)
		}
	}
	return r
}

// open sends the bytes and answers as soon as headers came. Reading the body
// to its end also waits until the handler has returned: each request has a
// connection of its own, and the end of that is awaited, not only the end of
// the body. What the proxy notes after its last byte is then durable.
func (p *proxyUnderTest) open(ctx context.Context, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/chat/completions", strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Close = true
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+keyAnn)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.URL.Host)
	if err != nil {
		return nil, err
	}
	leave := context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := r.Write(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	from := bufio.NewReader(conn)
	res, err := http.ReadResponse(from, r)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	res.Body = &wholeExchange{ReadCloser: res.Body, rest: from, conn: conn, leave: leave}
	return res, nil
}

// wholeExchange is a body whose end is the end of its connection.
type wholeExchange struct {
	io.ReadCloser
	rest  io.Reader
	conn  net.Conn
	leave func() bool
}

func (w *wholeExchange) Read(b []byte) (int, error) {
	n, err := w.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		_, _ = io.Copy(io.Discard, w.rest)
	}
	return n, err
}

func (w *wholeExchange) Close() error {
	w.leave()
	return w.conn.Close()
}

func (p *proxyUnderTest) try(ctx context.Context, body string, headers ...string) (reply, error) {
	res, err := p.open(ctx, body, headers...)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	var b bytes.Buffer
	_, broken := io.Copy(&b, res.Body)
	return reply{status: res.StatusCode, header: res.Header, trailer: res.Trailer, body: b.String(), broken: broken}, nil
}

// as is the header pair of a key.
func as(key string) []string { return []string{"Authorization", "Bearer " + key} }
