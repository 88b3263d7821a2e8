// Package proxy is the HTTP server: routes, keys and roles, limits, trace ids,
// the error envelope, health and metrics.
//
// What lives here: everything about a request that is the same whatever it
// asks for. What does not: the governed chat completion (proxy/chat), the REST
// resources (proxy/api), what an Idempotency-Key means (proxy/idempotency), the
// model's server (proxy/backend), and who holds a key (proxy/keys). This is the
// only package that knows the web framework.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"cadreen/config"
	"cadreen/governance/policies"
	"cadreen/intelligence"
	"cadreen/proxy/api"
	"cadreen/proxy/backend"
	"cadreen/proxy/chat"
	"cadreen/proxy/idempotency"
	"cadreen/proxy/intent"
	"cadreen/proxy/keys"
	"cadreen/proxy/telemetry"
	"cadreen/store"
)

// ChatHandler answers one chat completion. An error means that nothing was
// written yet; the server then writes the envelope.
type ChatHandler interface {
	Serve(w http.ResponseWriter, r *http.Request, c chat.Caller) error
}

// Settings of the server. The zero value of each field is its default.
type Settings struct {
	// BodyLimit is the largest request body in bytes: 32 MiB.
	BodyLimit int64
	// Streams is how many chat completions may be in flight: 10,000. The next
	// one is answered 503 with Retry-After.
	Streams int
	// Rates are how many requests may come from a key and a workspace; none means
	// that nobody counts.
	Rates config.Rates
	// CORSOrigins may call from a browser: exact origins, or "*". Default none.
	CORSOrigins []string
	// PublicURL is the address that clients reach this server at, without a
	// final slash; "" means what each request says in its Host header.
	PublicURL string
	// KeepHeaders are inbound X-Cadreen-* headers, beside the documented ones,
	// that the chat handler reads.
	KeepHeaders []string
	// BodyGrace and BodyRate bound how slowly a body may arrive: all of it
	// within BodyGrace (30 s) plus one second per BodyRate bytes (16 KiB) received.
	BodyGrace time.Duration
	BodyRate  int64
	// HeaderTimeout (10 s) bounds the request's headers, IdleTimeout (2 min)
	// the pause between two requests of a connection.
	HeaderTimeout time.Duration
	IdleTimeout   time.Duration
	// Version of the program, for GET / and the metrics.
	Version string
}

// Options build a Server. Chat, Backend, Desk, Keys, Engine, Seen and Deciding are
// required.
type Options struct {
	Chat    ChatHandler
	Backend backend.Backend
	Desk    api.Desk
	Keys    *keys.Ring
	Engine  store.Engine
	// Seen are the tools that requests of a workspace offered.
	Seen api.Seen
	// Deciding gives the policies of a workspace.
	Deciding api.Deciding
	// Policies keeps the policies of workspaces; nil has none. Archive has the
	// recorded decisions that they are replayed on, Pending the calls that wait.
	Policies *policies.Registry
	Archive  policies.Archive
	Pending  api.PendingHolds
	// Traces stores traces; nil stores none. Evidence is what they were judged by.
	Traces   *intelligence.Recorder
	Evidence api.Evidence
	// Limiter counts requests against Settings.Rates; required where there are any.
	Limiter store.Limiter
	// Audit is what was recorded.
	Audit   api.AuditLog
	Metrics *Metrics // made here if nil
	// Telemetry makes spans of requests; nil makes none.
	Telemetry *telemetry.Telemetry
	Settings  Settings
	Logger    *slog.Logger     // slog.Default if nil
	Now       func() time.Time // time.Now if nil
}

// Server answers HTTP requests.
type Server struct {
	o             Options
	log           *slog.Logger
	now           func() time.Time
	echo          *echo.Echo
	http          *http.Server
	metrics       *Metrics
	ready         readiness
	escalations   *api.Escalations
	policies      *api.Policies
	stored        *api.Traces
	intents       *intent.Handler
	preconditions *api.Preconditions
	assessing     *api.Assess
	audit         *api.Audit
	limiting      *limiting
	setup         *api.Setup
	keeper        *idempotency.Keeper
	keepHeaders   map[string]bool
	inFlight      atomic.Int64
}

// maxHeaderBytes is far above what any client sends.
const maxHeaderBytes = 64 << 10

// New makes a server that listens nowhere yet.
func New(o Options) *Server {
	o.Settings.setDefaults()
	s := &Server{o: o, log: o.Logger, now: o.Now, echo: echo.New(), metrics: o.Metrics}
	if s.metrics == nil {
		s.metrics = NewMetrics(o.Settings.Version)
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.escalations = &api.Escalations{Desk: o.Desk}
	s.stored = &api.Traces{Recorder: o.Traces, Evidence: o.Evidence, Deciding: o.Deciding}
	s.limiting = newLimiting(o.Settings.Rates, o.Limiter, s.now, s.log)
	s.audit = &api.Audit{Log: o.Audit}
	s.intents = &intent.Handler{Seen: o.Seen}
	s.policies = &api.Policies{Registry: o.Policies, Archive: o.Archive, Holds: o.Pending, Escalations: o.Desk}
	s.preconditions = &api.Preconditions{Deciding: o.Deciding, Seen: o.Seen, Observer: o.Desk, Now: s.now}
	s.setup = &api.Setup{Deciding: o.Deciding, Seen: o.Seen, Policies: o.Policies}
	s.assessing = &api.Assess{Deciding: o.Deciding, Seen: o.Seen, Now: s.now}
	s.keeper = idempotency.New(idempotency.Options{Engine: o.Engine, Logger: s.log})
	s.keepHeaders = keptHeaders(o.Settings.KeepHeaders)
	s.ready = readiness{engine: o.Engine, backend: o.Backend, now: s.now}
	s.echo.IPExtractor = echo.ExtractIPDirect()
	s.echo.HTTPErrorHandler = s.writeError
	s.echo.Logger.SetOutput(io.Discard) // what it has to say reaches us as errors
	s.echo.Pre(s.outermost, s.cors)
	s.routes()
	s.http = &http.Server{
		Handler:           o.Telemetry.Handler(s),
		ReadHeaderTimeout: o.Settings.HeaderTimeout,
		IdleTimeout:       o.Settings.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// No WriteTimeout: it would cut streams. No ReadTimeout: the body has
		// its own deadline, which ends when it was read.
		ErrorLog: log.New(logWriter{s.log}, "", 0),
	}
	return s
}

func (set *Settings) setDefaults() {
	orDefault(&set.BodyLimit, 32<<20)
	orDefault(&set.Streams, 10_000)
	orDefault(&set.BodyGrace, 30*time.Second)
	orDefault(&set.BodyRate, 16<<10)
	orDefault(&set.HeaderTimeout, 10*time.Second)
	orDefault(&set.IdleTimeout, 2*time.Minute)
	set.PublicURL = strings.TrimRight(set.PublicURL, "/")
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.echo.ServeHTTP(w, r) }

// Serve answers the connections of l until Shutdown, and then returns nil at
// once, while open requests go on.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting and waits for open requests. When ctx ends first,
// it cuts them off and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.keeper.Stop()
		s.http.Close()
	}
	return err
}

// baseURL is scheme://host of this server as the client of r sees it.
func (s *Server) baseURL(r *http.Request) string {
	if s.o.Settings.PublicURL != "" {
		return s.o.Settings.PublicURL
	}
	return scheme(r.TLS) + r.Host
}

func scheme(state *tls.ConnectionState) string {
	if state != nil {
		return "https://"
	}
	return "http://"
}

// logWriter takes net/http's own complaints about connections.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Debug("http server", "message", strings.TrimSpace(string(p)))
	return len(p), nil
}
