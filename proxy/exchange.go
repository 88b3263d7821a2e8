package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/intelligence"
)

// Response headers that carry the trace id. They are always equal.
const (
	headerTrace     = "X-Cadreen-Trace-Id"
	headerRequestID = "X-Request-Id"
)

// statusClientGone is what proxies call a request whose client went away.
const statusClientGone = 499

// exchange is what the server knows about one request and its response. It is the
// request's context, so that everybody finds it and its trace there.
type exchange struct {
	context.Context
	trace string
	route string // unmatched until a route is found
	key   string // the principal's id, once it is known
	err   error  // what the response was made from, if it is an error
	// told is the trace of this request; its id is trace, unless the answer was
	// given before, to another request.
	told *intelligence.Trace
	// streams: a streamed answer is being sent.
	streams bool
}

// unmatched is the route of a request that has none.
const unmatched = "unmatched"

type exchangeKey struct{}

func of(c echo.Context) *exchange {
	return c.Request().Context().Value(exchangeKey{}).(*exchange)
}

// Value implements context.Context.
func (x *exchange) Value(key any) any {
	switch key {
	case exchangeKey{}:
		return x
	case intelligence.ContextKey{}:
		return x.told
	}
	return x.Context.Value(key)
}

// outermost surrounds everything else: trace id, panics, errors, metrics, log.
func (s *Server) outermost(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := s.now()
		r := c.Request()
		x := &exchange{Context: r.Context(), trace: intelligence.NewID(start), route: unmatched}
		x.told = intelligence.New(x.trace, r.Method, r.URL.Path, start, s.now)
		x.told.OnStream(func() {
			x.streams = true
			s.metrics.streams.Inc()
		})
		if id := s.o.Telemetry.TraceID(r.Context()); id != "" {
			x.told.WithinID(id)
		} else {
			x.told.Within(r.Header["Traceparent"])
		}
		x.told.Shows(intelligence.ProfileOf(r.Header["Accept"]))
		c.SetRequest(r.WithContext(x))
		h := c.Response().Header()
		ids := []string{x.trace} // both are only ever replaced
		h[headerTrace], h[headerRequestID] = ids, ids
		s.bound(c.Response().Writer, c.Request())
		s.metrics.inFlight.Inc()
		completed := false
		defer func() {
			// Also when a panic is on its way up to net/http.
			s.metrics.inFlight.Dec()
			s.done(c, x, s.now().Sub(start), completed)
		}()
		if err := s.caught(next, c); err != nil {
			if c.Response().Committed {
				// Part of an answer is out: only a broken connection tells the
				// client that the rest is missing.
				x.err = err
				panic(http.ErrAbortHandler)
			}
			s.writeError(err, c)
		}
		completed = true
		return nil
	}
}

// caught runs next and turns a panic into an error.
func (s *Server) caught(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.log.Error("panic", "trace_id", of(c).trace, "panic", p, "stack", string(debug.Stack()))
			err = fault.Wrap(fmt.Errorf("panic: %v", p), fault.InternalError, "")
		}
	}()
	return next(c)
}

func (s *Server) done(c echo.Context, x *exchange, took time.Duration, completed bool) {
	status := c.Response().Status
	s.record(c, x, status, took, completed)
	s.metrics.request(x.route, c.Request().Method, status, took)
	if completed && status < 500 && !s.log.Enabled(c.Request().Context(), slog.LevelDebug) {
		return // nobody hears what is said below
	}
	switch {
	case c.Request().Context().Err() != nil:
		s.log.Debug("client gone", "trace_id", x.trace, "route", x.route, "status", status, "key", x.key, "took", took)
	case !completed:
		s.log.Error("answer broken off", "trace_id", x.trace, "route", x.route, "status", status, "key", x.key, "error", loggable(x.err))
	case status >= 500:
		s.log.Error("request failed", "trace_id", x.trace, "route", x.route, "status", status, "key", x.key, "error", loggable(x.err))
	default:
		s.log.Debug("request", "trace_id", x.trace, "route", x.route, "status", status, "key", x.key, "took", took)
	}
}

// loggable is an error without what a client sent: messages quote that.
func loggable(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fmt.Sprint(err)
	}
	text := f.Code
	if f.Message != "" {
		text += ": " + quotation.ReplaceAllString(f.Message, `"…"`)
	}
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

var quotation = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// record tells metrics, telemetry and the store what the trace of a request
// tells. Stored is the trace of one that asked for something to be done. Reading
// is not: it decides nothing, and would fill the list of traces with those who
// look at it.
func (s *Server) record(c echo.Context, x *exchange, status int, took time.Duration, completed bool) {
	if x.streams {
		s.metrics.streams.Dec()
	}
	if !completed {
		status = 0
	}
	r := c.Request()
	workspace, entry := x.told.End(status, took)
	own := x.trace == entry.ID
	entry.ID = x.trace
	if s.o.Telemetry != nil {
		s.o.Telemetry.Request(r.Context(), r.Method, routePath(c), workspace, &entry)
	}
	if !own {
		return // the answer is another request's, and so is its trace
	}
	s.metrics.trace(&entry)
	switch {
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodOptions, x.route == routeReplay:
		return
	}
	s.o.Traces.Record(workspace, entry)
}

// writeError is the one place that turns an error into the envelope. Nothing
// has been written yet.
func (s *Server) writeError(err error, c echo.Context) {
	x := of(c)
	x.err = err
	e := s.fault(err, c)
	h := c.Response().Header()
	for name, values := range e.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	// The handler may have prepared an answer of another kind.
	for _, name := range []string{"Trailer", "Content-Length", "Content-Encoding", "Cache-Control", "Etag", "Last-Modified"} {
		h.Del(name)
	}
	h.Set(headerTrace, x.trace)
	h.Set(headerRequestID, x.trace)
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 && h.Get("Retry-After") == "" {
		h.Set("Retry-After", fmt.Sprint(e.RetryAfter))
	}
	if value, ok := e.ShouldRetryHeader(); ok {
		h.Set("X-Should-Retry", value)
	}
	x.told.Failed(e)
	body := e.Body(x.trace, s.baseURL(c.Request()))
	if x.trace == x.told.ID() {
		body = withBlock(body, x.told.Block())
	}
	c.Response().WriteHeader(e.HTTPStatus())
	if c.Request().Method == http.MethodHead {
		return
	}
	if _, err := c.Response().Write(body); err != nil {
		s.log.Debug("error answer not delivered", "trace_id", x.trace, "error", err)
	}
}

// withBlock adds the trace to a JSON object.
func withBlock(body, block []byte) []byte {
	if block == nil {
		return body
	}
	body = append(body[:len(body)-1], `,"intelligence":`...)
	return append(append(body, block...), '}')
}

// fault finds out what a client should hear about an error.
func (s *Server) fault(err error, c echo.Context) *fault.Error {
	if body, ok := c.Request().Body.(*boundedBody); ok && body.failure != nil {
		// Whoever was reading may have called this something else.
		return body.failure
	}
	if c.Request().Context().Err() != nil && errors.Is(err, context.Canceled) {
		// Nobody reads this; metrics and log should not call it our failure.
		e := fault.Wrap(err, fault.InvalidRequest, "The client went away")
		e.Status = statusClientGone
		return e
	}
	var framework *echo.HTTPError
	var own *fault.Error
	if errors.As(err, &own) || !errors.As(err, &framework) {
		return fault.From(storeFault(err))
	}
	switch framework.Code {
	case http.StatusNotFound:
		return notFound(c.Request().URL.Path)
	case http.StatusMethodNotAllowed:
		e := fault.Wrap(err, fault.InvalidRequest, "%s is not possible here", method(c.Request()))
		e.Status = http.StatusMethodNotAllowed
		e.Hint = "This address answers to: " + c.Response().Header().Get("Allow")
		return e
	}
	return fault.From(err)
}

// method is shown only if it is one that exists.
func method(r *http.Request) string {
	if m := strings.ToUpper(r.Method); knownMethods[m] {
		return m
	}
	return "This method"
}
