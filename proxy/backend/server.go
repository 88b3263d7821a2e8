package backend

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"cadreen/fault"
)

// server is a model server that speaks the OpenAI API over HTTP.
type server struct {
	chat, models *url.URL
	bearer       string // our Authorization header, "" without a key
	settings     Settings
	transport    http.RoundTripper
	breaker      *breaker
	secrets      *strings.Replacer
	checks       checks
}

const (
	// modelsLimit bounds a list of models, in bytes.
	modelsLimit = 8 << 20
	// checkTimeout bounds one Check.
	checkTimeout = 5 * time.Second
	// checkAge is how long the outcome of a Check stands: whoever may ask for
	// /readyz must not be able to flood the upstream through it.
	checkAge = 2 * time.Second
)

func newServer(cfg Settings, base *url.URL) *server {
	s := &server{
		chat:      base.JoinPath("chat", "completions"),
		models:    base.JoinPath("models"),
		settings:  cfg,
		transport: cfg.Transport,
		breaker:   newBreaker(cfg.BreakAfter, cfg.BreakFor, cfg.Now),
		secrets:   newSecrets(cfg, base),
		checks:    checks{turn: make(chan struct{}, 1)},
	}
	if cfg.APIKey != "" {
		s.bearer = "Bearer " + cfg.APIKey
	}
	return s
}

func (s *server) Rehearsal() bool { return false }

// Close closes the idle connections. Requests under way go on.
func (s *server) Close() error {
	if pool, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		pool.CloseIdleConnections()
	}
	return nil
}

func (s *server) Chat(ctx context.Context, req Request) (*Response, error) {
	header := make(http.Header, len(req.Header)+6)
	// Here, as the last thing before it leaves: no mistake before this can leak a credential.
	copyForwardable(header, req.Header)
	header["Content-Type"] = mediaJSON
	accept := mediaJSON
	if req.Stream {
		accept = mediaEvents
	}
	s.dress(header, accept, s.authorization(req.Authorization))
	resp, err := s.ask(ctx, question{
		method: http.MethodPost, url: s.chat, header: header, body: req.Body, lent: req.Lent, stream: req.Stream,
	})
	if err != nil {
		return nil, err
	}
	return &Response{Status: resp.status, Header: visible(resp.header), Body: resp.body, Stream: req.Stream}, nil
}

func (s *server) Models(ctx context.Context, authorization string) ([]byte, error) {
	header := make(http.Header, 4)
	s.dress(header, mediaJSON, s.authorization(authorization))
	resp, err := s.ask(ctx, question{method: http.MethodGet, url: s.models, header: header})
	if err != nil {
		return nil, err
	}
	defer resp.body.Close()
	list, err := io.ReadAll(io.LimitReader(resp.body, modelsLimit+1))
	switch {
	case err != nil:
		return nil, err
	case len(list) > modelsLimit || !json.Valid(list):
		return nil, unavailable("The model server answered with something that is not a list of models.", errMalformed)
	}
	return list, nil
}

// Check asks for the list of models, by one attempt that the breaker neither
// stops nor counts: it is there to find out whether the server is back. A
// server without such a list (404, 405) is there all the same, and so is one
// that wants a client's own key.
func (s *server) Check(ctx context.Context) error {
	return s.checks.once(ctx, s.settings.Now, func() error {
		header := make(http.Header, 4)
		s.dress(header, mediaJSON, s.bearer)
		life := begin(ctx, min(checkTimeout, s.settings.Timeout))
		resp, fail := s.attempt(life, question{method: http.MethodGet, url: s.models, header: header})
		if fail == nil {
			return resp.body.Close()
		}
		life.end(nil)
		switch {
		case fail.gone != nil:
			return fail.gone
		case fail.status == http.StatusNotFound || fail.status == http.StatusMethodNotAllowed:
			return nil
		case s.settings.Passthrough && s.bearer == "" && (fail.status == http.StatusUnauthorized || fail.status == http.StatusForbidden):
			return nil
		}
		return fail.fault
	})
}

// authorization chooses whose key is sent. With passthrough ours never is: a
// client without a key must not borrow it.
func (s *server) authorization(clients string) string {
	if s.settings.Passthrough {
		return clients
	}
	return s.bearer
}

// Values of headers that are the same for all; nobody writes into them.
var (
	mediaJSON   = []string{"application/json"}
	mediaEvents = []string{"text/event-stream"}
	identity    = []string{"identity"}
	ourAgent    = []string{"cadreen"}
)

func (s *server) dress(header http.Header, accept []string, authorization string) {
	header["Accept"], header["Accept-Encoding"] = accept, identity
	if authorization != "" {
		header["Authorization"] = []string{authorization}
	}
	if header["User-Agent"] == nil {
		header["User-Agent"] = ourAgent
	}
}

// checks remembers the last outcome and lets one caller at a time find a new one.
type checks struct {
	turn chan struct{}
	at   time.Time
	err  error
}

func (c *checks) once(ctx context.Context, now func() time.Time, check func() error) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return gone(ctx)
	}
	if !c.at.IsZero() && now().Sub(c.at) < checkAge {
		return c.err
	}
	err := check()
	if ctx.Err() == nil { // a caller that left proves nothing
		c.at, c.err = now(), err
	}
	return err
}

// unavailable is the answer for everything that is not the client's fault.
func unavailable(message string, cause error) *fault.Error {
	return fault.Wrap(cause, fault.ServiceUnavailable, "%s", message)
}
