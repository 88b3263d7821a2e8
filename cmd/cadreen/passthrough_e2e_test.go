package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// With backend.auth: passthrough the client's own credentials go to the model,
// unchanged, and are a principal of their own.
func TestPassthroughCredentialsReachTheModelAndNothingElse(t *testing.T) {
	p, model := startScripted(t, setup{passthrough: true, policy: reviewRefunds})
	const theirs = "Bearer sk-proj-their-own"
	model.Next(turnOf(false, "fine"))
	r := p.post(newChat("hi").body(), "Authorization", theirs)
	require.Equal(t, "fine", r.read(t).text)
	require.Equal(t, []string{theirs}, model.Last().Header.Values("Authorization"))

	model.Next(scripted.JSON(`{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"x"}]}`))
	status, body := p.call(t, "GET", "/v1/models", "sk-proj-their-own", "")
	require.Equal(t, 200, status, body)
	require.Equal(t, theirs, model.Last().Header.Get("Authorization"))

	for _, path := range []string{"/v1/escalations", "/api/v1/cadreen/escalations/esc_1"} {
		status, body := p.call(t, "GET", path, "sk-proj-their-own", "")
		require.Equal(t, 403, status, body)
		require.Contains(t, body, `"code":"forbidden"`)
		require.NotContains(t, body, "sk-proj-their-own")
	}
	status, _ = p.call(t, "GET", "/v1/models", "", "")
	require.Equal(t, 401, status, "without any credentials there is nobody to govern")

	// A yes by other credentials of the same server is another's yes.
	const mine, other = "Bearer sk-proj-one", "Bearer sk-proj-two"
	p2, model2 := startScripted(t, setup{passthrough: true})
	ask := newChat("Refund order 456")
	call := refund("call_1", refundArgs)
	asked := asks(t, p2, model2, ask, call, "Authorization", mine)
	refused(t, p2, model2, ask.say(asked.text, "yes").body(), "Authorization", other)
	p2.post(ask.say(asked.text, "yes").body(), "Authorization", mine).read(t).released(t, call)
}

// What the model server says about those credentials, the client hears.
func TestPassthroughRefusalsStayWhatTheyAre(t *testing.T) {
	for _, status := range []int{401, 403} {
		for _, pass := range []bool{true, false} {
			p, model := startScripted(t, setup{passthrough: pass})
			p.loose = true
			bothWays(t, func(t *testing.T, stream bool) {
				model.Next(scripted.Error(status, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-their****"))
				headers := []string{"Authorization", "Bearer sk-their-own"}
				if !pass {
					headers = as(keyAnn)
				}
				r := p.post(newChat("hi").streaming(stream).body(), headers...)
				if pass {
					require.Equal(t, status, r.status, r.body)
				} else {
					require.Equal(t, 503, r.status, r.body)
					require.Contains(t, r.body, `"code":"service_unavailable"`)
					require.NotContains(t, r.body, "sk-their")
				}
				require.NotContains(t, r.body, "127.0.0.1:"+strings.Split(model.URL(), ":")[2])
			})
		}
	}
}

// Headers of ours and of the connection, in both directions.
func TestHeaderHygiene(t *testing.T) {
	p, model := startScripted(t, setup{})
	bothWays(t, func(t *testing.T, stream bool) {
		nasty := []string{"Set-Cookie", "a=b", "X-Cadreen-Gate", "blocked", "X-Cadreen-Trace-Id", "cad_forged", "Server", "nginx", "Content-Encoding", "identity",
			"X-Ratelimit-Remaining-Requests", "7", "Openai-Processing-Ms", "12", "X-Request-Id", "req_upstream", "Access-Control-Allow-Origin", "*", "Trailer", "X-Cadreen-Gate"}
		if stream {
			model.Next(scripted.StreamWith(nasty, scripted.Wire{}.Steps(scripted.Head{}.Turn("fine")...)...))
		} else {
			model.Next(scripted.Status(200, scripted.Head{}.Completion("fine"), nasty[:len(nasty)-2]...))
		}
		r := p.post(newChat("hi").streaming(stream).body(),
			"Cookie", "session=1", "X-Cadreen-Errors", "gate", "X-Cadreen-User", "ann", "X-Cadreen-Trace-Id", "cad_mine", "X-Request-Id", "mine",
			"Proxy-Authorization", "Basic x", "Te", "trailers", "X-Api-Key", keyAnn, "Openai-Beta", "assistants=v2", "X-Stainless-Lang", "js", "User-Agent", "OpenAI/JS 7",
			"Idempotency-Key", fmt.Sprint("k", stream), "X-Forwarded-For", "10.0.0.1", "Accept-Encoding", "gzip, br", "Keep-Alive", "timeout=5", "Connection", "close, X-Secret-Hop", "X-Secret-Hop", "1")
		require.Equal(t, "fine", r.read(t).text)
		up := model.Last().Header
		for _, name := range []string{"Cookie", "X-Cadreen-Errors", "X-Cadreen-User", "X-Cadreen-Trace-Id", "Proxy-Authorization", "Te", "X-Api-Key", "Idempotency-Key", "X-Forwarded-For", "Keep-Alive", "X-Secret-Hop", "Authorization"} {
			require.Empty(t, up.Values(name), name)
		}
		require.Equal(t, "assistants=v2", up.Get("Openai-Beta"))
		require.Equal(t, "js", up.Get("X-Stainless-Lang"))
		require.Equal(t, "OpenAI/JS 7", up.Get("User-Agent"))
		require.Equal(t, "identity", up.Get("Accept-Encoding"))

		require.Empty(t, r.header.Values("Set-Cookie"))
		require.Empty(t, r.header.Values("Access-Control-Allow-Origin"))
		require.NotEqual(t, "nginx", r.header.Get("Server"))
		require.Equal(t, "7", r.header.Get("X-Ratelimit-Remaining-Requests"))
		require.Equal(t, "req_upstream", r.header.Get("X-Upstream-Request-Id"))
		require.True(t, strings.HasPrefix(r.header.Get("X-Cadreen-Trace-Id"), "cad_0"))
		require.Len(t, r.header.Values("X-Cadreen-Trace-Id"), 1)
		require.Equal(t, r.header.Get("X-Cadreen-Trace-Id"), r.header.Get("X-Request-Id"))
		require.Equal(t, r.read(t).trace, r.header.Get("X-Cadreen-Trace-Id"))
		if stream {
			require.Equal(t, http.Header{"X-Cadreen-Gate": {"ok"}}, r.trailer)
			require.Empty(t, r.header.Values("X-Cadreen-Gate"))
			require.Equal(t, "no-cache", r.header.Get("Cache-Control"))
		} else {
			require.Equal(t, []string{"ok"}, r.header.Values("X-Cadreen-Gate"))
		}
	})
}

// Which workspace: the key decides, everything else may only agree.
func TestTheKeyDecidesTheWorkspace(t *testing.T) {
	p, model := startScripted(t, setup{})
	bothWays(t, func(t *testing.T, stream bool) {
		for name, c := range map[string]struct {
			members string
			headers []string
			want    int
		}{
			"nothing":        {"", nil, 200},
			"header agrees":  {"", []string{"X-Cadreen-Workspace-ID", "shop"}, 200},
			"header differs": {"", []string{"X-Cadreen-Workspace-ID", "elsewhere"}, 403},
			"header unknown": {"", []string{"X-Cadreen-Workspace-ID", "Shop"}, 403},
			"body agrees":    {`,"context":{"workspace_id":"shop"}`, nil, 200},
			"body differs":   {`,"context":{"workspace_id":"elsewhere"}`, nil, 403},
			"no string":      {`,"context":{"workspace_id":7}`, nil, 400},
		} {
			t.Run(name, func(t *testing.T) {
				sofar := len(model.Requests())
				if c.want == 200 {
					model.Next(turnOf(stream, "fine"))
				}
				r := p.post(newChat("hi").streaming(stream).with(c.members).body(), c.headers...)
				require.Equal(t, c.want, r.status, r.body)
				if c.want == 403 {
					require.Contains(t, r.body, `"code":"forbidden"`)
				}
				if c.want != 200 {
					require.Len(t, model.Requests(), sofar)
				}
			})
		}
	})
}

// CORS is off unless origins are named, and never with credentials.
func TestCORS(t *testing.T) {
	const page = "https://app.example"
	preflight := []string{"Origin", page, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type"}
	off, _ := startScripted(t, setup{})
	res, _ := off.exchange(t, "OPTIONS", "/v1/chat/completions", "", "", preflight...)
	require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))

	p, model := startScripted(t, setup{yaml: "cors: {origins: ['" + page + "']}\n"})
	res, _ = p.exchange(t, "OPTIONS", "/v1/chat/completions", "", "", preflight...)
	require.Equal(t, 204, res.StatusCode)
	require.Equal(t, page, res.Header.Get("Access-Control-Allow-Origin"))
	require.Contains(t, strings.ToLower(res.Header.Get("Access-Control-Allow-Headers")), "authorization")
	require.Empty(t, res.Header.Get("Access-Control-Allow-Credentials"))
	preflight[1] = "https://evil.example"
	res, _ = p.exchange(t, "OPTIONS", "/v1/chat/completions", "", "", preflight...)
	require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"))
	bothWays(t, func(t *testing.T, stream bool) {
		model.Next(turnOf(stream, "fine"))
		r := p.post(newChat("hi").streaming(stream).body(), "Origin", page)
		require.Equal(t, page, r.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, r.header.Get("Access-Control-Expose-Headers"), "X-Cadreen-Trace-ID")
		model.Next(turnOf(stream, "fine"))
		require.Empty(t, p.post(newChat("hi").streaming(stream).body(), "Origin", "https://app.example.evil").header.Get("Access-Control-Allow-Origin"))
	})
	// Errors are read by pages too.
	r := p.post(`{}`, "Origin", page)
	require.Equal(t, 400, r.status)
	require.Equal(t, page, r.header.Get("Access-Control-Allow-Origin"))
}
