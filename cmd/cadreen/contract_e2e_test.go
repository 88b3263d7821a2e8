package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
)

// Every base reaches the same handlers.
func TestEveryBase(t *testing.T) {
	p, model := startScripted(t, setup{})
	for _, base := range []string{"/api/v1/cadreen", "/v1", "/api/v1", ""} {
		t.Run(base, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				at := *p
				at.url = p.main.URL() + base
				ask := newChat("Refund order 456 at " + base).streaming(stream)
				call := refund("call_1", refundArgs)
				asked := asks(t, &at, model, ask, call)
				at.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
			})
			list := `{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x","x_vendor":1.50}]}`
			model.Next(scripted.JSON(list))
			status, body := p.call(t, "GET", base+"/models", keyAnn, "")
			require.Equal(t, 200, status)
			require.Equal(t, list, body)
		})
	}
}

// Every error has the whole envelope, and its page is served here.
func TestEveryErrorHasTheEnvelope(t *testing.T) {
	p, model := startScripted(t, setup{})
	long := `{"messages":[{"role":"user","content":"hi"}]}`
	for name, c := range map[string]struct {
		method, path, key, body string
		want                    int
		code                    string
	}{
		"no key":           {"POST", "/v1/chat/completions", "", long, 401, "unauthorized"},
		"unknown key":      {"POST", "/v1/chat/completions", "sk_cadreen_nobody", long, 401, "unauthorized"},
		"bad body":         {"POST", "/v1/chat/completions", keyAnn, "{", 400, "invalid_request"},
		"unknown path":     {"GET", "/v1/nothing", keyAnn, "", 404, "not_found"},
		"another route":    {"POST", "/v1/embeddings", keyAnn, "{}", 404, "not_found"},
		"another method":   {"GET", "/v1/chat/completions", keyAnn, "", 405, "invalid_request"},
		"delete":           {"DELETE", "/v1/models", keyAnn, "", 405, "invalid_request"},
		"an odd method":    {"BREW", "/v1/models", keyAnn, "", 405, "invalid_request"},
		"a role":           {"GET", "/v1/escalations", keyAnn, "", 403, "forbidden"},
		"no such":          {"GET", "/v1/escalations/esc_x", keyRhea, "", 404, "escalation_not_found"},
		"paging":           {"GET", "/v1/escalations?limit=x", keyRhea, "", 400, "invalid_request"},
		"an odd path":      {"GET", "/v1/../v1//models", keyAnn, "", 404, "not_found"},
		"an encoded slash": {"GET", "/v1%2Fmodels", keyAnn, "", 404, "not_found"},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := p.exchange(t, c.method, c.path, c.key, c.body)
			require.Equal(t, c.want, res.StatusCode, body)
			require.Equal(t, "application/json", res.Header.Get("Content-Type"))
			checkSchema(t, reply{status: res.StatusCode, header: res.Header, body: body})
			var o struct {
				Error struct {
					Type, Code, Message, Hint string
					DocURL                    string          `json:"doc_url"`
					NextAction                json.RawMessage `json:"next_action"`
					TraceID                   string          `json:"trace_id"`
				}
				TraceID string `json:"trace_id"`
			}
			require.NoError(t, json.Unmarshal([]byte(body), &o))
			require.True(t, strings.HasPrefix(body, `{"error":{`))
			require.Equal(t, c.code, o.Error.Code)
			for what, text := range map[string]string{"type": o.Error.Type, "message": o.Error.Message, "hint": o.Error.Hint, "trace": o.TraceID} {
				require.NotEmpty(t, text, what)
			}
			require.Equal(t, o.TraceID, o.Error.TraceID)
			require.Equal(t, o.TraceID, res.Header.Get("X-Cadreen-Trace-Id"))
			require.Equal(t, o.TraceID, res.Header.Get("X-Request-Id"))
			address, anchor, found := strings.Cut(o.Error.DocURL, "#")
			require.True(t, found, o.Error.DocURL)
			page, html := p.exchange(t, "GET", address, "", "")
			require.Equal(t, 200, page.StatusCode)
			require.Contains(t, html, `id="`+anchor+`"`)
		})
	}
	require.Empty(t, model.Requests())
}

// Keys stand nowhere in the clear: not in the store, not in the log, whatever
// happens.
func TestSecretsStandNowhere(t *testing.T) {
	model := scripted.New(t)
	file := filepath.Join(t.TempDir(), "state", "cadreen.db")
	path := setup{backend: model.URL(), store: "sqlite:" + file}.file(t)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte("model: ''"), []byte("model: '', api_key: sk-upstream-secret"), 1), 0o600))
	cfg, err := config.Load(path, nil)
	require.NoError(t, err)
	log := newJournal()
	m := &Main{Config: cfg, Stderr: log, LogLevel: slog.LevelDebug}
	require.NoError(t, m.Run(t.Context()))
	p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}

	ask := newChat("Refund order 456")
	asked := asks(t, p, model, ask, refund("call_1", refundArgs))
	require.Equal(t, "Bearer sk-upstream-secret", model.Last().Header.Get("Authorization"))
	p.post(ask.say(asked.text, "yes").body()).read(t).released(t, refund("call_1", refundArgs))
	model.Next(scripted.Error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-upstream-secret"))
	r := p.post(newChat("hi").body())
	require.Equal(t, 503, r.status)
	require.NotContains(t, r.body, "sk-upstream-secret")
	model.Next(scripted.Stream(scripted.Frame(": sk-upstream-secret\n\n"), scripted.Cut()))
	p.post(newChat("hi").streaming(true).body())
	p.call(t, "POST", "/v1/chat/completions", "sk_cadreen_wrong_key_of_somebody", ask.body())
	require.NoError(t, m.Close())

	said := log.text.String()
	require.NotEmpty(t, said)
	for _, secret := range []string{"sk-upstream-secret", keyAnn, keyRhea, "sk_cadreen_wrong_key_of_somebody"} {
		require.NotContains(t, said, secret)
		require.NoError(t, filepath.WalkDir(filepath.Dir(file), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			stored, err := os.ReadFile(path)
			if err == nil {
				require.NotContains(t, string(stored), secret, path)
			}
			return err
		}))
	}
}

// Closing lets an open turn finish, whole, and accepts nothing new.
func TestClosingFinishesOpenTurns(t *testing.T) {
	model := scripted.New(t)
	cfg, err := config.Load(setup{backend: model.URL()}.file(t), nil)
	require.NoError(t, err)
	m := &Main{Config: cfg, Stderr: t.Output()}
	require.NoError(t, m.Run(t.Context()))
	p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}
	h, gate := scripted.Head{}, make(chan struct{})
	steps := append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "first")), scripted.Wait(gate))
	model.Next(scripted.Stream(append(steps, scripted.Wire{}.Steps(append(h.CallChunks(0, 0, refund("call_1", refundArgs), 2), h.Finish(0, "tool_calls"))...)...)...))
	res, err := p.open(t.Context(), newChat("Refund it").streaming(true).body())
	require.NoError(t, err)
	defer res.Body.Close()
	closed := make(chan error, 1)
	go func() { closed <- m.Close() }()
	for { // until the listener is gone
		conn, err := http.NewRequestWithContext(t.Context(), "GET", m.URL()+"/healthz", nil)
		require.NoError(t, err)
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(conn)
		if err != nil {
			break
		}
		require.NoError(t, answer.Body.Close())
	}
	close(gate)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	r := reply{status: 200, header: res.Header, body: string(body)}
	r.choice(t, 0).asksIn(t, "process_refund")
	require.True(t, r.read(t).done)
	require.NoError(t, <-closed)
}
