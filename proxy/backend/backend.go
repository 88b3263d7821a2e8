// Package backend talks to the model: any server that speaks OpenAI chat
// completions, or the built-in rehearsal model that needs no server at all.
//
// What lives here: the connection pool, retries before the first byte, the
// circuit breaker, time limits, which headers travel in either direction and
// how an upstream's refusal becomes one of our errors. What does not: reading
// or judging the model's answer; its bytes are handed on as they came.
package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cadreen/proxy/lent"
)

// Backend is a model server. Implementations are safe for concurrent use.
type Backend interface {
	// Chat sends the body as it is. The body of the answer streams; closing
	// it, or the end of ctx, cancels the upstream at once.
	//
	// An error is a *fault.Error, with one exception: when the caller itself
	// cancelled ctx, it wraps context.Canceled, because nobody is left to be
	// told. After an error nothing was received that could reach a client.
	Chat(ctx context.Context, req Request) (*Response, error)
	// Models returns the upstream's list of models as it came. The
	// authorization is the client's header, used only with passthrough.
	// Errors are those of Chat.
	Models(ctx context.Context, authorization string) ([]byte, error)
	// Check says whether the backend can be reached and accepts our key.
	// An answer may be up to two seconds old. Errors are those of Chat.
	Check(ctx context.Context) error
	// Rehearsal is true for the built-in model.
	Rehearsal() bool
}

// Request is one chat completion to be sent.
type Request struct {
	// Body is sent byte for byte. It must not be changed or reused, not even
	// after an error: net/http's transport, the way to https, may still be
	// reading it.
	Body []byte
	// Lent is the room that Body lies in, nil for room that is used once. It is
	// held as long as Body may be read; where its end is never seen, for good.
	Lent *lent.Buffer
	// Stream is true if Body asks for server-sent events.
	Stream bool
	// Authorization is the client's own header, used only with passthrough.
	Authorization string
	// Header is what the client sent. What copyForwardable takes of it travels on.
	Header http.Header
}

// Response is a good answer: HTTP 200 of the kind that was asked for.
type Response struct {
	Status int
	// Header holds only what a client may see of the upstream's headers:
	// X-Ratelimit-*, Openai-Processing-Ms, Openai-Version, Retry-After*,
	// X-Should-Retry, and its X-Request-Id as X-Upstream-Request-Id.
	Header http.Header
	// Body must be closed. A read that fails for any reason other than the
	// proper end of the answer returns an error that is not io.EOF: a
	// *fault.Error when the upstream broke off or fell silent, or an error
	// that wraps context.Canceled when the caller went away. Close may be called
	// while a Read is waiting.
	Body io.ReadCloser
	// Stream is true for text/event-stream, false for JSON.
	Stream bool
}

// Settings describe a backend. The zero value of each field is its default.
type Settings struct {
	// URL is the base of an OpenAI-compatible API, usually ending in /v1; a
	// query is kept. Empty or "rehearsal" is the built-in model.
	URL string
	// APIKey is sent as a bearer token; empty sends none. With Passthrough it
	// serves Check only.
	APIKey string
	// Passthrough sends each client's own Authorization header instead.
	Passthrough bool
	// Timeout, 10 minutes by default, bounds the wait for an answer's headers, retries
	// included, and for a JSON answer also its body. A stream has no bound of
	// its own as long as bytes keep coming.
	Timeout time.Duration
	// IdleTimeout, 5 minutes by default, is the longest silence between two bytes of a body.
	// The time that the reader takes between two reads does not count.
	IdleTimeout time.Duration
	// MaxConns limits the connections to the server; 0 is no limit. Requests
	// beyond it wait. All of them are kept for reuse (1,024 if unlimited).
	MaxConns int
	// Retries after the first attempt: 2 by default, negative for none.
	Retries int
	// RetryWait, 100 ms by default, is the first pause; it doubles, with jitter.
	RetryWait time.Duration
	// RetryBudget, 5 s by default: no retry starts later than this after the
	// first attempt began.
	RetryBudget time.Duration
	// BreakAfter is the number of consecutive failed requests (retries
	// included in one) after which the breaker opens: 5 by default, negative for never.
	BreakAfter int
	// BreakFor, 10 s by default, is how long it stays open before one request
	// may try again.
	BreakFor time.Duration
	// Transport replaces the way to the server and its connections, for tests.
	Transport http.RoundTripper
	// Now is the clock for dates in headers and for the age of a Check.
	Now func() time.Time
}

// ErrSettings is wrapped by every error of Open.
var ErrSettings = errors.New("backend settings")

// Open makes the backend that cfg describes; it opens no connection yet.
// The result also implements io.Closer, which closes idle connections.
// Errors wrap ErrSettings, name the setting, and never show a key or an URL.
func Open(cfg Settings) (Backend, error) {
	cfg.URL = strings.TrimSpace(cfg.URL)
	if cfg.URL == "" || cfg.URL == "rehearsal" {
		return NewRehearsal(), nil
	}
	base, err := baseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	cfg.APIKey = strings.TrimSpace(cfg.APIKey)
	for i := 0; i < len(cfg.APIKey); i++ {
		if c := cfg.APIKey[i]; c <= ' ' || c >= 0x7f {
			return nil, fmt.Errorf("%w: backend.api_key holds a character that no HTTP header can carry (byte %d)", ErrSettings, i)
		}
	}
	if cfg.Timeout < 0 || cfg.IdleTimeout < 0 || cfg.MaxConns < 0 {
		return nil, fmt.Errorf("%w: backend.timeout, backend.idle_timeout and the connection limit must not be negative", ErrSettings)
	}
	cfg.setDefaults(base)
	return newServer(cfg, base), nil
}

func (cfg *Settings) setDefaults(base *url.URL) {
	orDefault(&cfg.Timeout, 10*time.Minute)
	orDefault(&cfg.IdleTimeout, 5*time.Minute)
	orDefault(&cfg.Retries, 2)
	orDefault(&cfg.RetryWait, 100*time.Millisecond)
	orDefault(&cfg.RetryBudget, 5*time.Second)
	orDefault(&cfg.BreakAfter, 5)
	orDefault(&cfg.BreakFor, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = newWay(base, http.ProxyFromEnvironment, cfg.MaxConns)
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// baseURL reads backend.url. Its errors never repeat the text: a URL may hold
// a secret.
func baseURL(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: backend.url is not a URL", ErrSettings)
	case base.Scheme != "http" && base.Scheme != "https", base.Hostname() == "":
		return nil, fmt.Errorf("%w: backend.url must start with http:// or https:// and name a host", ErrSettings)
	case base.User != nil:
		return nil, fmt.Errorf("%w: backend.url must not hold a user or password; put the key into backend.api_key", ErrSettings)
	case base.Fragment != "":
		return nil, fmt.Errorf("%w: backend.url must not hold a fragment (#…)", ErrSettings)
	case strings.HasSuffix(strings.TrimRight(base.Path, "/"), "/chat/completions"):
		return nil, fmt.Errorf("%w: backend.url is the base of the API, usually …/v1, without /chat/completions", ErrSettings)
	}
	if base.Path == "" {
		base.Path = "/" // otherwise what is joined to it stays relative
	}
	return base, nil
}
