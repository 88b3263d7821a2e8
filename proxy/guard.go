package proxy

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/proxy/idempotency"
	"cadreen/proxy/keys"
	"cadreen/store"
)

// Who may reach a route.
const (
	anyone     = true  // also callers that bring the model server's credentials
	keyHolders = false // only holders of one of our keys
)

// anyRole opens a route to every key.
const anyRole = ""

const headerWorkspace = "X-Cadreen-Workspace-Id"

// guard lets only those through who have the role, and whose body
// can be taken.
func (s *Server) guard(role string, passthrough bool, h func(echo.Context, keys.Principal) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if err := s.acceptable(c.Response().Header(), r); err != nil {
			return err
		}
		p, err := s.authenticate(c)
		if err != nil {
			return err
		}
		of(c).key = p.KeyID
		if err := s.limit(c.Response().Header(), r, p); err != nil {
			return err
		}
		of(c).told.By(p.Workspace, p.KeyID)
		switch {
		case p.Passthrough && !passthrough:
			e := fault.New(fault.Forbidden, "Credentials of the model server reach chat completions and models only")
			e.Hint = "Use a Cadreen key (cadreen key create)."
			if role != anyRole {
				e.Hint = "Use a Cadreen key with the role " + role + " (cadreen key create --role " + role + ")."
			}
			return e
		case role != anyRole && !p.Can(role):
			return lacks(role)
		}
		if want := r.Header.Get(headerWorkspace); want != "" && want != p.Workspace {
			e := fault.New(fault.Forbidden, "This API key belongs to another workspace than X-Cadreen-Workspace-ID names")
			e.Hint = "Leave the header out, the key decides; or use a key of that workspace."
			return e
		}
		s.cleanHeaders(r.Header)
		if changes(r.Method) && r.Header[idempotency.Header] != nil {
			return s.once(c, p, h)
		}
		return h(c, p)
	}
}

// lacks says which role a key does not have.
func lacks(role string) error {
	e := fault.New(fault.Forbidden, "This API key lacks the role %s", role)
	or := " or operator"
	if role == keys.RoleOperator {
		or = ""
	}
	e.Hint = "Use a key with the role " + role + or + " (cadreen key create --role " + role + ")."
	return e
}

func (s *Server) authenticate(c echo.Context) (keys.Principal, error) {
	values := c.Request().Header.Values("Authorization")
	if len(values) == 1 {
		p, err := s.o.Keys.Authenticate(c.Request().Context(), values[0])
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, keys.ErrUnknown) {
			return p, storeFault(err)
		}
	}
	c.Response().Header().Set("WWW-Authenticate", "Bearer")
	switch {
	case len(values) == 0:
		return keys.Principal{}, fault.New(fault.Unauthorized, "The request has no Authorization header")
	case len(values) > 1:
		return keys.Principal{}, fault.New(fault.Unauthorized, "The request has more than one Authorization header")
	}
	return keys.Principal{}, fault.New(fault.Unauthorized, "")
}

// storeFault names an absent store as what it is.
func storeFault(err error) error {
	var own *fault.Error
	if errors.As(err, &own) || !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	e := fault.Wrap(err, fault.StoreUnavailable, "")
	e.RetryAfter = 1
	return e
}

// documented are the request headers of ours that mean something.
var documented = []string{headerWorkspace, "X-Cadreen-Conversation-Id", "X-Cadreen-Errors", "X-Cadreen-User", "X-Cadreen-Task"}

func keptHeaders(more []string) map[string]bool {
	kept := map[string]bool{}
	for _, name := range append(more, documented...) {
		kept[http.CanonicalHeaderKey(name)] = true
	}
	return kept
}

// cleanHeaders takes away what pretends to be ours: response headers such as
// X-Cadreen-Gate have no meaning on a request and must not travel on.
func (s *Server) cleanHeaders(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "X-Cadreen-") && !s.keepHeaders[name] {
			delete(h, name)
		}
	}
}

// changes are the methods whose requests may carry an Idempotency-Key: SDKs send one
// with each of them.
func changes(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}
