package backend

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHeaderHygieneTowardsTheUpstream(t *testing.T) {
	var got http.Header
	var host string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		got, host = r.Header, r.Host
		answerJSON("{}")(w, r)
	})
	in := http.Header{}
	for name, value := range map[string]string{
		// travel on
		"OpenAI-Beta": "x", "OpenAI-Organization": "org", "OpenAI-Project": "p", "Traceparent": "00-1", "User-Agent": "OpenAI/JS 7",
		"X-Stainless-Lang": "js", "X-Stainless-Retry-Count": "1", "HTTP-Referer": "https://app", "X-Title": "app", "Helicone-Auth": "h",
		// stay
		"Authorization": "Bearer sk_cadreen_client", "Cookie": "s=1", "X-Api-Key": "k", "Api-Key": "k", "Proxy-Authorization": "Basic x",
		"X-Cadreen-Workspace-ID": "ws", "X-Cadreen-Anything": "1", "Idempotency-Key": "i", "X-OpenWebUI-User-Email": "a@b.c",
		"Connection": "keep-alive, X-Hop", "X-Hop": "1", "Keep-Alive": "1", "Transfer-Encoding": "chunked", "Te": "trailers", "Upgrade": "h2c",
		"Expect": "100-continue", "Trailer": "X", "Host": "evil", "Content-Length": "999", "Content-Encoding": "gzip", "Content-Type": "text/plain",
		"Accept": "application/json; profile=lean", "Accept-Encoding": "gzip, br", "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=1", "Via": "1.1 x",
		"X-Real-Ip": "10.0.0.1", "Origin": "https://app", "Referer": "https://app/secret", "Sec-Fetch-Mode": "cors", "Range": "bytes=0-", "If-None-Match": "x",
	} {
		in.Set(name, value)
	}
	// Even what was not filtered before must not get out.
	for _, header := range []http.Header{forwardable(in), in} {
		resp, err := u.open(t, nil).Chat(background(), Request{Body: []byte(`{}`), Header: header})
		require.NoError(t, err)
		readAll(t, resp)
		require.Equal(t, http.Header{
			"Openai-Beta": {"x"}, "Openai-Organization": {"org"}, "Openai-Project": {"p"}, "Traceparent": {"00-1"}, "User-Agent": {"OpenAI/JS 7"},
			"X-Stainless-Lang": {"js"}, "X-Stainless-Retry-Count": {"1"}, "Http-Referer": {"https://app"}, "X-Title": {"app"}, "Helicone-Auth": {"h"},
			"Authorization": {"Bearer " + testKey}, "Accept": {"application/json"}, "Accept-Encoding": {"identity"},
			"Content-Type": {"application/json"}, "Content-Length": {"2"},
		}, got)
		require.Equal(t, strings.TrimPrefix(u.URL, "http://"), host)
	}
	require.Equal(t, "k", in.Get("Api-Key"), "the client's own header is not changed")
}

func forwardable(in http.Header) http.Header {
	out := http.Header{}
	copyForwardable(out, in)
	return out
}

func TestForwardableIgnoresSpelling(t *testing.T) {
	got := forwardable(http.Header{"cookie": {"a"}, "X-CADREEN-Trace": {"b"}, "connection": {"x"}, "openai-beta": {"c"}, "": {"d"}, ":authority": {"e"}})
	require.Equal(t, http.Header{"Openai-Beta": {"c"}}, got)
}

func TestForwardableNeverPassesWhatIsOurs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := http.Header(rapid.MapOf(
			rapid.OneOf(rapid.StringMatching(`(?i)(x-cadreen-|proxy-|x-forwarded-|content-)[a-z]{1,8}`), rapid.StringMatching(`(?i)cookie|authorization|host|te`),
				rapid.StringMatching(`[A-Za-z-]{1,12}`)),
			rapid.SliceOfN(rapid.StringMatching(`[a-z, -]{0,12}`), 1, 3)).Draw(t, "header"))
		out := forwardable(in)
		for name := range out {
			lower := strings.ToLower(name)
			for _, bad := range []string{"x-cadreen-", "proxy-", "x-forwarded-", "content-"} {
				if strings.HasPrefix(lower, bad) {
					t.Fatalf("%s got through", name)
				}
			}
			for _, bad := range []string{"cookie", "authorization", "host", "te"} {
				if lower == bad {
					t.Fatalf("%s got through", name)
				}
			}
		}
		if again := forwardable(out); len(again) != len(out) {
			t.Fatal("filtering twice takes more away")
		}
	})
}

func TestUpstreamCookiesNeverReachTheClient(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Set-Cookie": "s=1", "Server": "inner-7", "X-Powered-By": "x", "Openai-Organization": "org-secret", "X-Cadreen-Gate": "ok", "Via": "1.1 inner",
			"X-Request-Id": "req_1", "X-Ratelimit-Limit-Tokens": "10", "Openai-Processing-Ms": "12", "Openai-Version": "v",
			"Retry-After": "1", "Retry-After-Ms": "2", "X-Should-Retry": "true",
		} {
			w.Header().Set(name, value)
		}
		answerJSON("{}")(w, r)
	})
	resp, err := u.open(t, nil).Chat(background(), chatRequest(false))
	require.NoError(t, err)
	readAll(t, resp)
	require.Equal(t, http.Header{
		"X-Upstream-Request-Id": {"req_1"}, "X-Ratelimit-Limit-Tokens": {"10"}, "Openai-Processing-Ms": {"12"}, "Openai-Version": {"v"},
		"Retry-After": {"1"}, "Retry-After-Ms": {"2"}, "X-Should-Retry": {"true"},
	}, resp.Header)
}
