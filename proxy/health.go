package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"cadreen/proxy/api"
	"cadreen/proxy/backend"
	"cadreen/proxy/keys"
	"cadreen/store"
)

const (
	readyAge     = 2 * time.Second // how old an answer of readyz may be
	readyTimeout = 3 * time.Second // how long one check may take
)

// health says how the parts are, to a holder of a key: clients check a key with
// it. It is 200 while it can be answered at all; what is wrong stands in it.
func (s *Server) health(c echo.Context, p keys.Principal) error {
	storeErr, backendErr := s.ready.check(c.Request().Context())
	policies := 0
	bundle, governanceErr := s.o.Deciding.For(c.Request().Context(), p.Workspace)
	if governanceErr == nil {
		policies = len(bundle.Policies())
	}
	model := subsystem{Status: healthState(backendErr)}
	if s.o.Backend.Rehearsal() {
		model.Detail = "the built-in rehearsal model"
	}
	answer := healthAnswer{
		Status: "healthy", Timestamp: s.now().UTC(),
		Store: subsystem{Status: healthState(storeErr)}, Model: model,
		Governance: governing{Status: healthState(governanceErr), Active: policies},
		Memory:     subsystem{Status: "not_configured"},
		Workspace:  p.Workspace, Tenant: p.Workspace, Version: s.o.Settings.Version, TraceID: of(c).trace,
	}
	if storeErr != nil || backendErr != nil || governanceErr != nil {
		answer.Status = "degraded"
		s.log.Warn("degraded", "trace_id", of(c).trace, "store", storeErr, "backend", backendErr, "governance", governanceErr)
	}
	return api.Write(c.Response(), c.Request(), answer)
}

// healthAnswer is the answer of health.
type healthAnswer struct {
	Status     string     `json:"status"`
	Timestamp  time.Time  `json:"timestamp"`
	Store      subsystem  `json:"store"`
	Model      subsystem  `json:"model"`
	Governance governing  `json:"governance"`
	Memory     subsystem  `json:"memory"`
	Connected  connecting `json:"connections"`
	Workspace  string     `json:"workspace"`
	Tenant     string     `json:"tenant_id"`
	Version    string     `json:"version"`
	TraceID    string     `json:"trace_id"`
}

type subsystem struct {
	Status string `json:"status"` // healthy, unhealthy or not_configured
	Detail string `json:"detail,omitempty"`
}

type governing struct {
	Status string `json:"status"`
	Active int    `json:"active"` // policies that decide in the workspace
}

// connecting counts connections, which this version does not have.
type connecting struct {
	Total   int `json:"total"`
	Healthy int `json:"healthy"`
}

func healthState(err error) string {
	if err != nil {
		return "unhealthy"
	}
	return "healthy"
}

// healthz says that the process is alive, and asks nobody.
func (s *Server) healthz(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether the store and the model's server can be reached. Anyone
// may ask, so it names what is away and not why; the log has the reason.
func (s *Server) readyz(c echo.Context) error {
	storeErr, backendErr := s.ready.check(c.Request().Context())
	status, word := http.StatusOK, "ready"
	if storeErr != nil || backendErr != nil {
		status, word = http.StatusServiceUnavailable, "not ready"
		s.log.Warn("not ready", "trace_id", of(c).trace, "store", storeErr, "backend", backendErr)
	}
	return c.JSON(status, map[string]string{
		"status": word, "store": healthWord(storeErr), "backend": healthWord(backendErr), "trace_id": of(c).trace,
	})
}

func healthWord(err error) string {
	if err != nil {
		return "unavailable"
	}
	return "ok"
}

// readiness remembers its last answer for readyAge, so that probes cost the
// store and the model's server next to nothing.
type readiness struct {
	engine  store.Engine
	backend backend.Backend
	now     func() time.Time

	mu         sync.Mutex
	at         time.Time
	storeErr   error
	backendErr error
}

func (r *readiness) check(ctx context.Context) (storeErr, backendErr error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if age := r.now().Sub(r.at); !r.at.IsZero() && age >= 0 && age < readyAge {
		return r.storeErr, r.backendErr
	}
	// Others may be waiting for this answer: it does not end with one caller.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { r.storeErr = r.engine.Check(ctx) })
	wg.Go(func() { r.backendErr = r.backend.Check(ctx) })
	wg.Wait()
	r.at = r.now()
	return r.storeErr, r.backendErr
}
