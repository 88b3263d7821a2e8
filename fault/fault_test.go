package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const (
	trace = "cad_a2c9"
	base  = "http://127.0.0.1:8080"
)

func TestBodyOfAPlainFault(t *testing.T) {
	require.Equal(t,
		`{"error":{"type":"permission_error","code":"blocked_by_policy","message":"Action blocked by governance policy",`+
			"\"hint\":\"Action matched a governance policy. Review the policy and the `next_action` suggestions in the response.\","+
			`"param":null,"doc_url":"http://127.0.0.1:8080/docs/errors#err-blocked_by_policy",`+
			`"next_action":{"type":"resolve_escalation","label":"Resolve the policy block"},"trace_id":"cad_a2c9"},"trace_id":"cad_a2c9"}`,
		string(New(BlockedByPolicy, "").Body(trace, base)))
}

func TestBodyOfAFullFault(t *testing.T) {
	e := New(InvalidRequest, "messages[%d] has no <role>", 2)
	e.Param = "messages"
	e.Hint = "Give it a role."
	e.Details = []Detail{{Field: "messages[2].role", Message: "missing"}}
	e.RetryAfter = 3
	e.Next = &NextAction{Type: "fix_request", Label: "Add the role", Endpoint: "/x", Reason: "y"}
	require.Equal(t,
		`{"error":{"type":"invalid_request","code":"invalid_request","message":"messages[2] has no <role>","hint":"Give it a role.",`+
			`"param":"messages","doc_url":"http://127.0.0.1:8080/docs/errors#err-invalid_request",`+
			`"next_action":{"type":"fix_request","label":"Add the role","endpoint":"/x","reason":"y"},`+
			`"details":[{"field":"messages[2].role","message":"missing"}],"retry_after":3,"trace_id":"cad_a2c9"},"trace_id":"cad_a2c9"}`,
		string(e.Body(trace, base)))
}

// Clients look for `data: {"error"` at the very beginning; a comment or event line before it destroys the message in one of them.
func TestEventIsOneDataLineThatBeginsWithTheError(t *testing.T) {
	got := string(Wrap(io.ErrUnexpectedEOF, ServiceUnavailable, "the model's stream\nended early").Event(trace, base))
	require.True(t, strings.HasPrefix(got, `data: {"error":{"type":"service_unavailable","code":"service_unavailable",`), got)
	require.True(t, strings.HasSuffix(got, "}}\n\n"), got)
	require.Equal(t, 2, strings.Count(got, "\n"))
	require.NotContains(t, got, "\r")
}

// Whatever a message holds, the body is one JSON object and the event one line.
func TestAnyMessageStaysOneLineOfJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := New(InternalError, "%s", rapid.String().Draw(t, "message"))
		e.Param = rapid.String().Draw(t, "param")
		var body struct {
			Error   struct{ Message, Code string }
			TraceID string `json:"trace_id"`
		}
		if err := json.Unmarshal(e.Body(trace, base), &body); err != nil {
			t.Fatal(err)
		}
		if e.Message != "" && body.Error.Message != strings.ToValidUTF8(e.Message, "\ufffd") {
			t.Fatalf("message %q became %q", e.Message, body.Error.Message)
		}
		event := e.Event(trace, base)
		if n := strings.Count(string(event), "\n"); n != 2 {
			t.Fatalf("%d line ends in %q", n, event)
		}
	})
}

func TestUnknownCodePanics(t *testing.T) {
	require.PanicsWithValue(t, `fault: "no_such_code" is not in the catalogue`, func() { _ = New("no_such_code", "") })
	require.Panics(t, func() { _ = Wrap(io.EOF, "no_such_code", "") })
}

func TestFrom(t *testing.T) {
	require.Nil(t, From(nil))

	held := New(StoreUnavailable, "away")
	require.Same(t, held, From(held))
	require.Same(t, held, From(fmt.Errorf("commit: %w", fmt.Errorf("turn: %w", held))))
	require.Same(t, held, From(errors.Join(io.EOF, held)))

	var none *Error
	require.Equal(t, InternalError, From(fmt.Errorf("%w", error(none))).Code, "a nil fault inside an error is not a fault")
}

// A cause may hold an upstream's key or address.
func TestACauseNeverReachesTheClient(t *testing.T) {
	secret := errors.New("dial https://user:sk_secret@10.0.0.7: refused")
	for _, e := range []*Error{From(secret), From(fmt.Errorf("x: %w", secret)), Wrap(secret, ServiceUnavailable, "")} {
		require.NotContains(t, string(e.Body(trace, base)), "secret")
		require.NotContains(t, string(e.Event(trace, base)), "10.0.0.7")
		require.ErrorIs(t, e, secret)
		require.Contains(t, e.Error(), "sk_secret", "the log is told")
	}
	require.Equal(t, 500, From(secret).HTTPStatus())
}

// A client's own fault, found by the model's server, keeps its code, type and param inside our envelope.
func TestAnUpstreamsOwnCodePassesThrough(t *testing.T) {
	tests := []struct {
		name                     string
		give                     Error
		status                   int
		code, kind, anchor, hint string
	}{
		{"own code", Error{Code: "context_length_exceeded", Status: 400, Type: "invalid_request_error", Message: "too long"}, 400,
			"context_length_exceeded", "invalid_request_error", "#err-invalid_request", "Check request syntax."},
		{"no code", Error{Status: 413, Message: "too large"}, 413, "invalid_request", "invalid_request", "#err-invalid_request", "Check"},
		{"not found", Error{Code: "model_not_found", Status: 404}, 404, "model_not_found", "not_found", "#err-not_found", "The requested"},
		{"forbidden", Error{Code: "denied", Status: 403}, 403, "denied", "permission_error", "#err-forbidden", "Your API key"},
		{"unauthorized", Error{Code: "bad_key", Status: 401}, 401, "bad_key", "authentication_error", "#err-unauthorized", "Include"},
		{"rate limit", Error{Code: "tokens", Status: 429}, 429, "tokens", "rate_limit", "#err-rate_limit", "Reduce"},
		{"gateway", Error{Code: "x", Status: 504}, 504, "x", "service_unavailable", "#err-service_unavailable", "A backend"},
		{"nothing known", Error{Code: "x"}, 500, "x", "internal_error", "#err-internal_error", "Server-side"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.status, tt.give.HTTPStatus())
			var body struct {
				Error struct {
					Code, Type, Hint string
					DocURL           string `json:"doc_url"`
				}
			}
			require.NoError(t, json.Unmarshal(tt.give.Body(trace, base), &body))
			require.Equal(t, tt.code, body.Error.Code)
			require.Equal(t, tt.kind, body.Error.Type)
			require.Equal(t, base+PagePath+tt.anchor, body.Error.DocURL)
			require.True(t, strings.HasPrefix(body.Error.Hint, tt.hint), body.Error.Hint)
		})
	}
}

func TestShouldRetryHeader(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name  string
		give  *Error
		value string
		ok    bool
	}{
		{"policy", New(BlockedByPolicy, ""), "false", true},
		{"review", New(ConditionalApprovalRequired, ""), "false", true},
		{"forbidden", New(Forbidden, ""), "false", true},
		{"bad key", New(Unauthorized, ""), "false", true},
		{"bad request", New(InvalidRequest, ""), "false", true},
		{"not found", New(NotFound, ""), "false", true},
		{"no workspace", New(TenantRequired, ""), "false", true},
		{"too large", &Error{Code: InvalidRequest, Status: http.StatusRequestEntityTooLarge}, "false", true},
		{"timeout", &Error{Code: InvalidRequest, Status: http.StatusRequestTimeout}, "", false},
		{"conflict", &Error{Code: InvalidRequest, Status: http.StatusConflict}, "", false},
		{"rate limit", New(RateLimit, ""), "", false},
		{"ours", New(InternalError, ""), "", false},
		{"model away", New(ServiceUnavailable, ""), "", false},
		{"upstream says yes", &Error{Code: InvalidRequest, ShouldRetry: &yes}, "true", true},
		{"upstream says no", &Error{Code: RateLimit, ShouldRetry: &no}, "false", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			value, ok := tt.give.ShouldRetryHeader()
			require.Equal(t, tt.value, value)
			require.Equal(t, tt.ok, ok)
		})
	}
}

func TestErrorTextNamesCodeMessageAndCause(t *testing.T) {
	require.Equal(t, "rate_limit: Too many requests", New(RateLimit, "").Error())
	require.Equal(t, "store_unavailable: commit failed: EOF", Wrap(io.EOF, StoreUnavailable, "commit failed").Error())
}

func BenchmarkBody(b *testing.B) {
	e := New(BlockedByPolicy, "")
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Body(trace, base)
	}
}
