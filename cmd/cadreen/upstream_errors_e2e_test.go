package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// CONTRACT 0: a client's own fault passes through, everything else of the
// model becomes ours, and neither its key nor its address is shown.
func TestUpstreamErrors(t *testing.T) {
	for name, c := range map[string]struct {
		reply  scripted.Reply
		tries  int // how often the model may be asked
		status int
		has    []string
	}{
		"the client's fault":   {scripted.Error(400, "invalid_request_error", "context_length_exceeded", "too long"), 1, 400, []string{`"code":"context_length_exceeded"`, `"type":"invalid_request_error"`, "too long"}},
		"unknown model":        {scripted.Error(404, "invalid_request_error", "model_not_found", "no such model"), 1, 404, []string{`"code":"model_not_found"`}},
		"rate limit":           {scripted.Error(429, "rate_limit_error", "slow", "slow down", "Retry-After", "7", "Retry-After-Ms", "7000", "X-Should-Retry", "true"), 9, 429, []string{`"code":"rate_limit"`}},
		"the proxy's key":      {scripted.Error(401, "authentication_error", "invalid_api_key", "bad key sk-secret"), 1, 503, []string{`"code":"service_unavailable"`}},
		"forbidden":            {scripted.Error(403, "permission_error", "no", "not for you"), 1, 503, []string{`"code":"service_unavailable"`}},
		"server error":         {scripted.Error(500, "server_error", "oops", "fell over"), 9, 503, []string{`"code":"service_unavailable"`}},
		"no answer":            {scripted.Drop(), 9, 503, []string{`"code":"service_unavailable"`}},
		"not JSON":             {scripted.Status(200, `<html>gateway</html>`), 1, 503, []string{`"code":"service_unavailable"`}},
		"half a JSON reply":    {scripted.Status(200, `{"choices":[{"message":{"content":"a`), 1, 503, []string{`"code":"service_unavailable"`}},
		"an error that is 200": {scripted.JSON(`{"error":{"message":"no","type":"x","param":null,"code":null}}`), 1, 503, []string{`"code":"service_unavailable"`}},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{})
				model.Otherwise(c.reply)
				r := p.post(newChat("hi").streaming(stream).body())
				require.Equal(t, c.status, r.status, r.body)
				require.NotContains(t, r.body, "sk-secret")
				require.NotContains(t, r.body, model.URL())
				require.Contains(t, r.body, `"trace_id"`)
				for _, part := range c.has {
					require.Contains(t, r.body, part)
				}
				require.LessOrEqual(t, len(model.Requests()), c.tries)
				if c.status == 429 {
					require.Equal(t, "7", r.header.Get("Retry-After"))
					require.Equal(t, "7000", r.header.Get("Retry-After-Ms"))
					require.Equal(t, "true", r.header.Get("X-Should-Retry"))
				}
			})
		})
	}
}
