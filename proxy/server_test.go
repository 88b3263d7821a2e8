package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/proxy/chat"
	"cadreen/proxy/keys"
)

func TestEveryErrorIsAnEnvelope(t *testing.T) {
	secret := "the inside of the house"
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		switch r.Header.Get("X-Do") {
		case "panic":
			panic(secret)
		case "error":
			return errors.New(secret)
		case "prepared":
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Trailer", "X-Cadreen-Gate")
			w.Header().Set("X-Cadreen-Trace-ID", "of the handler's own")
			return fault.New(fault.RateLimit, "")
		case "limited":
			return &fault.Error{Code: fault.RateLimit, RetryAfter: 7, Header: http.Header{"Retry-After-Ms": {"6500"}}}
		}
		return echoBody(w, r, c)
	}, func(o *Options, _ *keys.Options) { o.Settings.BodyLimit = 1000 })
	long := strings.Repeat("x", 1001)
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{name: "not found", method: "GET", path: "/nothing", status: 404, code: "not_found"},
		{name: "embeddings", method: "POST", path: "/v1/embeddings", body: "{}", status: 404, code: "not_found"},
		{name: "wrong method", method: "GET", path: "/v1/chat/completions", status: 405, code: "invalid_request"},
		{name: "strange method", method: "BREW", path: "/v1/models", status: 405, code: "invalid_request"},
		{name: "no key", method: "POST", path: "/v1/chat/completions", headers: []string{"Authorization", ""}, status: 401, code: "unauthorized"},
		{name: "unknown key", method: "POST", path: "/v1/chat/completions", headers: []string{"Authorization", "Bearer sk_cadreen_wrong"}, status: 401, code: "unauthorized"},
		{name: "no scheme", method: "POST", path: "/v1/chat/completions", headers: []string{"Authorization", "sk_cadreen_wrong"}, status: 401, code: "unauthorized"},
		{name: "two headers", method: "POST", path: "/v1/chat/completions", headers: []string{"Authorization", "Bearer a\nBearer b"}, status: 401, code: "unauthorized"},
		{name: "other workspace", method: "POST", path: "/v1/chat/completions", headers: []string{"X-Cadreen-Workspace-ID", "other"}, status: 403, code: "forbidden"},
		{name: "role", method: "GET", path: "/v1/escalations", status: 403, code: "forbidden"},
		{name: "compressed", method: "POST", path: "/chat/completions", body: "{}", headers: []string{"Content-Encoding", "gzip"}, status: 415, code: "invalid_request"},
		{name: "long", method: "POST", path: "/chat/completions", body: long, status: 400, code: "invalid_request"},
		{name: "panic", method: "POST", path: "/v1/chat/completions", headers: []string{"X-Do", "panic"}, status: 500, code: "internal_error"},
		{name: "error", method: "POST", path: "/v1/chat/completions", headers: []string{"X-Do", "error"}, status: 500, code: "internal_error"},
		{name: "prepared", method: "POST", path: "/v1/chat/completions", headers: []string{"X-Do", "prepared"}, status: 429, code: "rate_limit"},
		{name: "limited", method: "POST", path: "/v1/chat/completions", headers: []string{"X-Do", "limited"}, status: 429, code: "rate_limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			response, body := st.call(t, tt.method, tt.path, tt.body, tt.headers...)
			st.envelope(t, response, body, tt.status, tt.code)
			require.NotContains(t, body, secret)
			require.Empty(t, response.Header.Get("Trailer"))
			switch tt.name {
			case "embeddings":
				require.Contains(t, body, "Only governed chat is served")
			case "wrong method":
				require.Contains(t, response.Header.Get("Allow"), "POST")
			case "role":
				require.Contains(t, body, "reviewer")
			case "no key":
				require.Equal(t, "Bearer", response.Header.Get("WWW-Authenticate"))
			case "limited":
				require.Equal(t, "7", response.Header.Get("Retry-After"))
				require.Equal(t, "6500", response.Header.Get("Retry-After-Ms"))
			}
			if tt.status < 429 && tt.status != 408 {
				require.Equal(t, "false", response.Header.Get("x-should-retry"))
			}
		})
	}
	require.Contains(t, st.log.String(), secret, "the log has what the client must not see")
	require.NotContains(t, st.log.String(), st.keys[keys.RoleChat])
}

func TestClientThatGoesAwayIsNotOurFailure(t *testing.T) {
	entered := make(chan struct{})
	st := start(t, func(w http.ResponseWriter, r *http.Request, _ chat.Caller) error {
		if _, err := io.ReadAll(r.Body); err != nil {
			return err
		}
		close(entered)
		<-r.Context().Done()
		return fmt.Errorf("upstream: %w", r.Context().Err())
	})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", st.url+"/v1/chat/completions", strings.NewReader("{}"))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
	go func() {
		<-entered
		cancel()
	}()
	_, err = http.DefaultTransport.RoundTrip(r)
	require.ErrorIs(t, err, context.Canceled)
	for body := ""; !strings.Contains(body, `route="chat",status="499"} 1`); {
		_, body = st.call(t, "GET", "/metrics", "")
	}
	require.NotContains(t, st.log.String(), "level=ERROR")
}

func TestHalfAnswerIsNeverATidyEnd(t *testing.T) {
	for name, fail := range map[string]func() error{
		"panic": func() error { panic("halfway") },
		"error": func() error { return errors.New("halfway") },
	} {
		t.Run(name, func(t *testing.T) {
			st := start(t, func(w http.ResponseWriter, r *http.Request, _ chat.Caller) error {
				io.WriteString(w, "data: {}\n\n")
				http.NewResponseController(w).Flush()
				return fail()
			})
			r, err := http.NewRequestWithContext(t.Context(), "POST", st.url+"/v1/chat/completions", nil)
			require.NoError(t, err)
			r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
			response, err := http.DefaultTransport.RoundTrip(r)
			require.NoError(t, err)
			defer response.Body.Close()
			_, err = io.ReadAll(response.Body)
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
}

func TestEveryBaseReachesTheSameHandlers(t *testing.T) {
	st := start(t, echoBody)
	for _, base := range []string{"", "/v1", "/api/v1", "/api/v1/cadreen"} {
		response, body := st.call(t, "POST", base+"/chat/completions", `{"a": 1.0}`)
		require.Equal(t, 200, response.StatusCode, body)
		require.Equal(t, `{"a": 1.0}`, body)
		require.True(t, strings.HasPrefix(response.Header.Get("X-Cadreen-Trace-ID"), "cad_"))
		require.Equal(t, response.Header.Get("X-Cadreen-Trace-ID"), response.Header.Get("x-request-id"))
		response, body = st.call(t, "GET", base+"/models", "")
		require.Equal(t, 200, response.StatusCode, body)
		require.True(t, json.Valid([]byte(body)))
		require.Contains(t, strings.ToLower(body), "rehearsal")
	}
}

func TestCallerIsWhatTheKeySays(t *testing.T) {
	got := make(chan chat.Caller, 1)
	headers := make(chan http.Header, 1)
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		got <- c
		headers <- r.Header.Clone()
		w.WriteHeader(204)
		return nil
	}, func(o *Options, ko *keys.Options) {
		ko.Passthrough = true
		o.Settings.KeepHeaders = []string{"x-cadreen-chat"}
	})
	response, _ := st.call(t, "POST", "/v1/chat/completions", "{}", "X-Cadreen-Workspace-ID", "acme",
		"X-Cadreen-Gate", "ok", "X-Cadreen-Trace-ID", "mine", "X-Cadreen-Conversation-Id", "c1", "X-Cadreen-Chat", "c2", "X-Cadreen-Errors", "http")
	c, h := <-got, <-headers
	require.Equal(t, "acme", c.Workspace)
	require.Equal(t, c.Requester.KeyID, c.Requester.ID)
	require.Equal(t, []string{"chat"}, c.Requester.Roles)
	require.Equal(t, response.Header.Get("X-Cadreen-Trace-ID"), c.TraceID)
	require.Equal(t, st.url, c.BaseURL)
	require.False(t, c.Passthrough)
	require.Empty(t, c.Authorization, "a Cadreen key never travels on")
	require.Empty(t, h.Get("X-Cadreen-Gate"))
	require.Empty(t, h.Get("X-Cadreen-Trace-ID"))
	require.Equal(t, "c1", h.Get("X-Cadreen-Conversation-Id"))
	require.Equal(t, "c2", h.Get("X-Cadreen-Chat"))
	require.Equal(t, "http", h.Get("X-Cadreen-Errors"))

	st.call(t, "POST", "/v1/chat/completions", "{}", "Authorization", "Bearer sk-upstream")
	c = <-got
	<-headers
	require.True(t, c.Passthrough)
	require.Equal(t, "Bearer sk-upstream", c.Authorization)
	require.True(t, strings.HasPrefix(c.Requester.KeyID, "pass_"))
	require.Equal(t, "default", c.Workspace)
	response, body := st.call(t, "GET", "/v1/escalations", "", "Authorization", "Bearer sk-upstream")
	st.envelope(t, response, body, 403, "forbidden")
}

func TestPublicURLStandsInLinks(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.PublicURL = "https://ai.example.com/" })
	_, body := st.call(t, "GET", "/nothing", "")
	require.Contains(t, body, `"doc_url":"https://ai.example.com/docs/errors#err-not_found"`)
}

func TestInFlightLimitIs503WithRetryAfter(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	st := start(t, func(w http.ResponseWriter, r *http.Request, c chat.Caller) error {
		entered <- struct{}{}
		<-leave
		return echoBody(w, r, c)
	}, func(o *Options, _ *keys.Options) { o.Settings.Streams = 1 })
	var wg sync.WaitGroup
	first := make(chan int, 1)
	wg.Go(func() {
		r, _ := http.NewRequest("POST", st.url+"/v1/chat/completions", strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			first <- 0
			return
		}
		response.Body.Close()
		first <- response.StatusCode
	})
	<-entered
	response, body := st.call(t, "POST", "/v1/chat/completions", "{}")
	st.envelope(t, response, body, 503, "service_unavailable")
	require.Equal(t, "1", response.Header.Get("Retry-After"))
	close(leave)
	wg.Wait()
	require.Equal(t, 200, <-first)
	go func() { <-entered }()
	response, _ = st.call(t, "POST", "/v1/chat/completions", "{}")
	require.Equal(t, 200, response.StatusCode, "the place is free again")
}

func TestCORSOnlyForConfiguredOrigins(t *testing.T) {
	st := start(t, echoBody, func(o *Options, _ *keys.Options) { o.Settings.CORSOrigins = []string{"https://app.example.com"} })
	response, _ := st.call(t, "OPTIONS", "/v1/chat/completions", "", "Authorization", "", "Origin", "https://app.example.com",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	require.Equal(t, 204, response.StatusCode)
	require.Equal(t, "https://app.example.com", response.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "authorization,content-type", response.Header.Get("Access-Control-Allow-Headers"))
	require.Empty(t, response.Header.Get("Access-Control-Allow-Credentials"))
	response, body := st.call(t, "POST", "/v1/chat/completions", "{}", "Authorization", "", "Origin", "https://app.example.com")
	st.envelope(t, response, body, 401, "unauthorized")
	require.Equal(t, "https://app.example.com", response.Header.Get("Access-Control-Allow-Origin"), "a page must be able to read errors")
	for _, origin := range []string{"https://evil.example.com", "http://app.example.com", "https://app.example.com.evil.com", "null"} {
		response, _ = st.call(t, "POST", "/v1/chat/completions", "{}", "Origin", origin)
		require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"), origin)
	}

	none := start(t, echoBody)
	response, _ = none.call(t, "POST", "/v1/chat/completions", "{}", "Origin", "https://app.example.com")
	require.Empty(t, response.Header.Get("Access-Control-Allow-Origin"))
}

func TestStoreAwayIsSaidAndHeals(t *testing.T) {
	var now atomic.Int64
	now.Store(time.Now().UnixNano())
	clock := func() time.Time { return time.Unix(0, now.Load()) }
	st := start(t, echoBody, func(o *Options, ko *keys.Options) { o.Now, ko.Now = clock, clock })
	response, _ := st.call(t, "POST", "/v1/chat/completions", "{}")
	require.Equal(t, 200, response.StatusCode)
	response, body := st.call(t, "GET", "/readyz", "")
	require.Equal(t, 200, response.StatusCode, body)

	st.engine.cut.Store(true)
	now.Add(int64(10 * time.Second))
	response, _ = st.call(t, "POST", "/v1/chat/completions", "{}")
	require.Equal(t, 200, response.StatusCode, "a verified key goes on")
	response, body = st.call(t, "POST", "/v1/chat/completions", "{}", "Authorization", "Bearer "+st.keys[keys.RoleOperator])
	st.envelope(t, response, body, 503, "store_unavailable")
	response, body = st.call(t, "GET", "/readyz", "")
	require.Equal(t, 503, response.StatusCode)
	require.Contains(t, body, `"store":"unavailable"`)
	response, _ = st.call(t, "GET", "/healthz", "")
	require.Equal(t, 200, response.StatusCode)

	st.engine.cut.Store(false)
	now.Add(int64(10 * time.Second))
	response, _ = st.call(t, "POST", "/v1/chat/completions", "{}", "Authorization", "Bearer "+st.keys[keys.RoleOperator])
	require.Equal(t, 200, response.StatusCode)
	response, _ = st.call(t, "GET", "/readyz", "")
	require.Equal(t, 200, response.StatusCode)
}

func TestMetricsHaveNoLabelsMadeUpByClients(t *testing.T) {
	st := start(t, echoBody)
	st.call(t, "GET", "/made-up-path-7", "")
	st.call(t, "BREW", "/v1/models", "")
	st.call(t, "POST", "/v1/chat/completions", "{}")
	_, body := st.call(t, "GET", "/metrics", "")
	require.Contains(t, body, `cadreen_http_requests_total{method="POST",route="chat",status="200"} 1`)
	require.Contains(t, body, `cadreen_http_requests_total{method="GET",route="unmatched",status="404"} 1`)
	require.NotContains(t, body, "made-up-path-7")
	require.NotContains(t, body, "BREW")
}

func TestEscalationsAddresses(t *testing.T) {
	st := start(t, echoBody)
	reviewer := []string{"Authorization", "Bearer " + st.keys[keys.RoleReviewer]}
	for _, base := range []string{"/v1", "/api/v1", "/api/v1/cadreen"} {
		response, body := st.call(t, "GET", base+"/escalations", "", append(reviewer, "Accept", "application/json; profile=lean")...)
		require.Equal(t, 200, response.StatusCode, body)
		require.JSONEq(t, `{"escalations":[],"count":0,"pagination":{"limit":20,"offset":0,"has_more":false},"trace_id":"`+response.Header.Get("X-Cadreen-Trace-ID")+`"}`, body)
		response, body = st.call(t, "GET", base+"/escalations/esc_none", "", reviewer...)
		st.envelope(t, response, body, 404, "escalation_not_found")
		response, body = st.call(t, "POST", base+"/escalations/esc_none/resolve", "", reviewer...)
		st.envelope(t, response, body, 400, "escalation_missing_decision")
		response, body = st.call(t, "POST", base+"/escalations/esc_none/resolve", `{"decision":"auto"}`, reviewer...)
		st.envelope(t, response, body, 404, "escalation_not_found")
	}
	response, body := st.call(t, "GET", "/v1/escalations", "", "Authorization", "Bearer "+st.keys[keys.RoleOperator])
	require.Equal(t, 200, response.StatusCode, body)
}

func TestShutdownLetsOpenTurnsFinish(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	st := start(t, func(w http.ResponseWriter, r *http.Request, _ chat.Caller) error {
		io.WriteString(w, "begin")
		http.NewResponseController(w).Flush()
		close(entered)
		<-leave
		_, err := io.WriteString(w, " end")
		return err
	})
	r, err := http.NewRequestWithContext(t.Context(), "POST", st.url+"/v1/chat/completions", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+st.keys[keys.RoleChat])
	response, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer response.Body.Close()
	<-entered
	down := make(chan error, 1)
	go func() { down <- st.server.Shutdown(context.Background()) }()
	for {
		conn, err := net.Dial("tcp", st.addr)
		if err != nil {
			break // it no longer accepts
		}
		conn.Close()
	}
	select {
	case err := <-down:
		t.Fatal("shut down before the turn was over", err)
	default:
	}
	close(leave)
	raw, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "begin end", string(raw))
	require.NoError(t, <-down)
}

func TestRootHealthAndHead(t *testing.T) {
	st := start(t, echoBody)
	for _, path := range []string{"/", "/healthz", "/readyz", "/docs/errors"} {
		response, body := st.call(t, "GET", path, "", "Authorization", "")
		require.Equal(t, 200, response.StatusCode, path)
		require.NotEmpty(t, body)
		response, body = st.call(t, "HEAD", path, "", "Authorization", "")
		require.Equal(t, 200, response.StatusCode, path)
		require.Empty(t, body)
		require.NotEmpty(t, response.Header.Get("X-Cadreen-Trace-ID"))
	}
}
