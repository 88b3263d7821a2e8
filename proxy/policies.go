package proxy

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/proxy/api"
	"cadreen/proxy/keys"
)

type policyHandler = func(w http.ResponseWriter, r *http.Request, c api.Author, id string) error

// policy hands a request about policies over.
func (s *Server) policy(h policyHandler) func(echo.Context, keys.Principal) error {
	return func(c echo.Context, p keys.Principal) error {
		if s.o.Policies == nil {
			return fault.New(fault.GovernanceUnavailable, "")
		}
		return h(c.Response(), c.Request(), s.author(c, p), c.Param("id"))
	}
}

// readsPolicies is policy for those who may read: authors, and reviewers, who decide
// by them. A chat key learns of its own calls what decided, and no more.
func (s *Server) readsPolicies(h policyHandler) func(echo.Context, keys.Principal) error {
	return func(c echo.Context, p keys.Principal) error {
		if !p.Can(keys.RoleAuthor) && !p.Can(keys.RoleReviewer) {
			return lacks(keys.RoleAuthor)
		}
		return s.policy(h)(c, p)
	}
}

// confirmPolicy confirms a policy; under the id of a held call or of an escalation
// it is the yes of the one who was asked, or of a reviewer.
func (s *Server) confirmPolicy(c echo.Context, p keys.Principal) error {
	id := c.Param("id")
	role, h := keys.RoleAuthor, s.policies.Confirm
	switch {
	case strings.HasPrefix(id, "hold_"):
		role, h = keys.RoleChat, s.policies.ConfirmPending
	case strings.HasPrefix(id, "esc_"):
		role, h = keys.RoleReviewer, s.policies.ConfirmEscalation
	}
	if !p.Can(role) {
		return lacks(role)
	}
	return s.policy(h)(c, p)
}

func (s *Server) author(c echo.Context, p keys.Principal) api.Author {
	return api.Author{Caller: apiCaller(p), TraceID: of(c).trace, BaseURL: s.baseURL(c.Request()),
		Writes: p.Can(keys.RoleAuthor), ForOthers: p.Can(keys.RoleAuthor) || p.Can(keys.RoleReviewer)}
}

func withoutPolicy(h func(w http.ResponseWriter, r *http.Request, c api.Author) error) policyHandler {
	return func(w http.ResponseWriter, r *http.Request, c api.Author, _ string) error { return h(w, r, c) }
}
