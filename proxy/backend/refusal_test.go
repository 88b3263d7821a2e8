package backend

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
)

func say400(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func TestUpstreamErrorMapping(t *testing.T) {
	const own = `{"error":{"message":"No such model","type":"invalid_request_error","param":"model","code":"model_not_found"}}`
	type want struct {
		status                     int
		code, kind, param, message string
	}
	hidden := want{503, fault.ServiceUnavailable, "", "", ""}
	for _, tc := range []struct {
		name        string
		status      int
		body        string
		passthrough bool
		want        want
	}{
		{"openai", 404, own, false, want{404, "model_not_found", "invalid_request_error", "model", "No such model"}},
		{"code null", 400, `{"error":{"message":"bad","type":"t","param":null,"code":null}}`, false, want{400, "invalid_request", "t", "", "bad"}},
		{"code a number", 400, `{"error":{"message":"bad","type":"BadRequestError","code":400}}`, false, want{400, "invalid_request", "BadRequestError", "", "bad"}},
		{"no type", 422, `{"error":{"message":"bad"}}`, false, want{422, "invalid_request", "", "", "bad"}},
		{"error a string", 400, `{"error":"model not loaded"}`, false, want{400, "invalid_request", "", "", "model not loaded"}},
		{"top level", 400, `{"object":"error","message":"too long","type":"BadRequestError","param":"messages","code":"context_length_exceeded"}`, false,
			want{400, "context_length_exceeded", "BadRequestError", "messages", "too long"}},
		{"detail", 422, `{"detail":"no"}`, false, want{422, "invalid_request", "", "", "no"}},
		{"list of details", 422, `{"detail":[{"loc":["body"],"msg":"field required"}]}`, false, want{422, "invalid_request", "", "", "field required"}},
		{"array of one", 400, `[{"error":{"message":"bad","code":400,"status":"INVALID_ARGUMENT"}}]`, false, want{400, "invalid_request", "", "", "bad"}},
		{"no body", 409, ``, false, want{409, "invalid_request", "", "", "The model server refused the request."}},
		{"408", 408, own, false, want{408, "model_not_found", "invalid_request_error", "model", "No such model"}},
		{"code that is none", 400, `{"error":{"message":"bad","code":"a b\n","type":"<x>"}}`, false, want{400, "invalid_request", "", "", "bad"}},
		{"402", 402, `{"error":{"message":"pay","code":"insufficient_credits"}}`, false, want{402, "insufficient_credits", "", "", "pay"}},
		{"413 in html", 413, `<html>too large`, false, want{413, "invalid_request", "", "", "The model server refused the request."}},
		{"html", 404, `<html>nginx`, false, hidden},
		{"half json", 400, `{"error":{"mess`, false, hidden},
		{"more than we read", 400, `{"error":{"message":"` + strings.Repeat("x", refusalLimit) + `"}}`, false, hidden},
		{"null", 400, `null`, false, hidden},
		{"407", 407, own, false, hidden},
		{"401", 401, own, false, hidden},
		{"403", 403, own, false, hidden},
		{"401 passthrough", 401, own, true, want{401, "unauthorized", "", "model", "No such model"}},
		{"403 passthrough", 403, own, true, want{403, "forbidden", "", "model", "No such model"}},
		{"429", 429, own, false, want{429, "rate_limit", "", "", "The model server limits the rate of requests."}},
		{"500", 500, own, false, hidden},
		{"502", 502, own, false, hidden},
		{"504", 504, own, false, hidden},
		{"529", 529, own, false, hidden},
		{"204", 204, ``, false, hidden},
		{"201", 201, `{}`, false, hidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpstream(t, say400(tc.status, tc.body))
			b := u.open(t, func(cfg *Settings) { cfg.Passthrough = tc.passthrough })
			_, err := b.Chat(background(), chatRequest(true))
			f := asFault(t, err)
			require.Equal(t, tc.want.status, f.HTTPStatus())
			require.Equal(t, tc.want.code, f.Code)
			require.Equal(t, tc.want.param, f.Param)
			if tc.want == hidden {
				require.NotContains(t, f.Error(), "No such model")
				return
			}
			require.Equal(t, tc.want.kind, f.Type)
			require.Equal(t, tc.want.message, f.Message)
			require.True(t, json.Valid(f.Body("trace", "http://x")))
		})
	}
}

func TestUpstreamsAdviceIsPassedOn(t *testing.T) {
	now := time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		status int
		header []string
		after  int
		should string
	}{
		{"seconds", 429, []string{"Retry-After", "7"}, 7, ""},
		{"half seconds", 429, []string{"Retry-After", "1.5"}, 2, ""},
		{"milliseconds win", 429, []string{"Retry-After", "7", "Retry-After-Ms", "1200"}, 2, ""},
		{"date", 429, []string{"Retry-After", now.Add(90 * time.Second).Format(http.TimeFormat)}, 90, ""},
		{"past date", 429, []string{"Retry-After", now.Add(-time.Hour).Format(http.TimeFormat)}, 0, ""},
		{"nonsense", 429, []string{"Retry-After", "NaN"}, 0, ""},
		{"a year", 429, []string{"Retry-After", "31536000"}, 0, ""},
		{"never", 429, []string{"X-Should-Retry", "false"}, 0, "false"},
		{"do", 400, []string{"X-Should-Retry", "true"}, 0, "true"},
		{"503", 503, []string{"Retry-After", "9"}, 9, ""},
		{"our own key", 401, nil, 0, "false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpstream(t, status(tc.status, append([]string{"X-Request-Id", "req_1", "X-Ratelimit-Remaining-Requests", "0", "Set-Cookie", "a=b", "Server", "inner"}, tc.header...)...))
			b := u.open(t, func(cfg *Settings) { cfg.Now = func() time.Time { return now } })
			_, err := b.Chat(background(), chatRequest(true))
			f := asFault(t, err)
			require.Equal(t, tc.after, f.RetryAfter)
			value, _ := f.ShouldRetryHeader()
			require.Equal(t, tc.should, value)
			want := http.Header{"X-Upstream-Request-Id": {"req_1"}, "X-Ratelimit-Remaining-Requests": {"0"}}
			if tc.name == "milliseconds win" {
				want["Retry-After-Ms"] = []string{"1200"}
			}
			require.Equal(t, want, f.Header)
			require.Equal(t, int64(1), u.asked.Load())
		})
	}
}

func TestErrorBodyThatNeverEnds(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"error":`)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	b := u.open(t, func(cfg *Settings) { cfg.IdleTimeout = 30 * time.Millisecond })
	_, err := b.Chat(background(), chatRequest(false))
	requireUnavailable(t, err)
}

func TestKeyAndAddressNeverLeak(t *testing.T) {
	u := newUpstream(t, nil)
	host := strings.TrimPrefix(u.URL, "http://")
	u.handler = func(w http.ResponseWriter, r *http.Request) {
		said := "key " + testKey + " at " + u.URL + "/v1/chat/completions on " + host + " of 127.0.0.1 is bad"
		quoted, _ := json.Marshal(said)
		say400(400, `{"error":{"message":`+string(quoted)+`,"code":`+string(quoted)+`}}`)(w, r)
	}
	b := u.open(t, nil)
	_, err := b.Chat(background(), chatRequest(false))
	f := asFault(t, err)
	for _, text := range []string{f.Message, f.Error(), string(f.Body("t", "http://here"))} {
		require.NotContains(t, text, testKey)
		require.NotContains(t, text, "127.0.0.1")
	}
	require.Contains(t, f.Message, "is bad")
}

func TestLongMessageIsCutBetweenCharacters(t *testing.T) {
	b := open(t, "http://127.0.0.1:1/v1", nil)
	got := b.(*server).shown(strings.Repeat("ü", messageLimit))
	require.Equal(t, strings.Repeat("ü", messageLimit/2)+"…", got)
}

func FuzzReadError(f *testing.F) {
	for _, seed := range []string{``, `{}`, `[{}]`, `{"error":"x"}`, `{"error":{"code":1}}`, `{"detail":[{"msg":"m"}]}`, `null`, `{"error":null}`, `[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, ok := readError(text); ok && len(strings.TrimSpace(string(text))) > 0 && !json.Valid(text) {
			t.Fatalf("accepted what is not JSON: %q", text)
		}
	})
}
