package proxy

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/proxy/keys"
)

// bases are the addresses that clients are configured with; all reach the same
// handlers. The bare one serves chat and models only.
var bases = []string{"/api/v1/cadreen", "/v1", "/api/v1"}

// The routes that others need to know by name.
const (
	routeChat   = "chat"
	routeIntent = "intent"
	routeReplay = "trace_replay"
	// routeConfirm is of a policy, or of what waits for a yes.
	routeConfirm = "policy_confirm"
)

func (s *Server) routes() {
	for _, base := range append([]string{""}, bases...) {
		s.add(http.MethodPost, base+"/chat/completions", routeChat, s.guard(keys.RoleChat, anyone, s.chat))
		s.add(http.MethodGet, base+"/models", "models", s.guard(keys.RoleChat, anyone, s.models))
	}
	for _, base := range bases {
		s.add(http.MethodPost, base+"/intent", routeIntent, s.guard(keys.RoleChat, keyHolders, s.intent))
		s.add(http.MethodGet, base+"/health", "health", s.guard(keys.RoleChat, keyHolders, s.health))
		s.add(http.MethodPost, base+"/preconditions/check", "preconditions", s.guard(keys.RoleChat, keyHolders, s.checkPreconditions))
		s.add(http.MethodPost, base+"/assess", "assess", s.guard(keys.RoleChat, keyHolders, s.assess))
		s.add(http.MethodGet, base+documentPath, "document", s.document)
		s.add(http.MethodPost, base+"/setup", "setup", s.guard(keys.RoleChat, keyHolders, s.setUp))
		s.add(http.MethodGet, base+"/escalations", "escalations", s.guard(keys.RoleReviewer, keyHolders, s.listEscalations))
		s.add(http.MethodGet, base+"/escalations/:id", "escalation", s.guard(keys.RoleReviewer, keyHolders, s.getEscalation))
		s.add(http.MethodPost, base+"/escalations/:id/resolve", "escalation_resolve", s.guard(keys.RoleReviewer, keyHolders, s.resolveEscalation))
		s.add(http.MethodGet, base+"/policies", "policies", s.guard(anyRole, keyHolders, s.readsPolicies(withoutPolicy(s.policies.List))))
		s.add(http.MethodPost, base+"/policies", "policy_create", s.guard(keys.RoleAuthor, keyHolders, s.policy(withoutPolicy(s.policies.Create))))
		s.add(http.MethodPost, base+"/policies/evaluate", "policy_evaluate", s.guard(anyRole, keyHolders, s.policy(withoutPolicy(s.policies.Evaluate))))
		s.add(http.MethodGet, base+"/policies/:id", "policy", s.guard(anyRole, keyHolders, s.readsPolicies(s.policies.Get)))
		s.add(http.MethodPatch, base+"/policies/:id", "policy_change", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Change)))
		s.add(http.MethodDelete, base+"/policies/:id", "policy_delete", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Delete)))
		s.add(http.MethodGet, base+"/policies/:id/versions", "policy_versions", s.guard(anyRole, keyHolders, s.readsPolicies(s.policies.Versions)))
		s.add(http.MethodGet, base+"/policies/:id/questions", "policy_questions", s.guard(anyRole, keyHolders, s.readsPolicies(s.policies.Questions)))
		s.add(http.MethodPost, base+"/policies/:id/questions", "policy_answers", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Compile)))
		s.add(http.MethodPost, base+"/policies/:id/compile", "policy_compile", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Compile)))
		s.add(http.MethodPost, base+"/policies/:id/confirm", routeConfirm, s.guard(anyRole, keyHolders, s.confirmPolicy))
		s.add(http.MethodPost, base+"/policies/:id/rollback", "policy_rollback", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Rollback)))
		s.add(http.MethodPost, base+"/policies/:id/test", "policy_test", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Test)))
		s.add(http.MethodPost, base+"/policies/:id/simulate", "policy_simulate", s.guard(keys.RoleAuthor, keyHolders, s.policy(s.policies.Simulate)))
		s.add(http.MethodGet, base+"/intelligence", "traces", s.guard(anyRole, keyHolders, s.traces(withoutID(s.stored.List))))
		s.add(http.MethodGet, base+"/intelligence/stats", "trace_stats", s.guard(anyRole, keyHolders, s.traces(withoutID(s.stored.Stats))))
		s.add(http.MethodGet, base+"/intelligence/:id", "trace", s.guard(anyRole, keyHolders, s.traces(s.stored.Get)))
		s.add(http.MethodGet, base+"/intelligence/:id/handoff", "trace_handoff", s.guard(anyRole, keyHolders, s.traces(s.stored.Handoff)))
		s.add(http.MethodPost, base+"/intelligence/:id/replay", routeReplay, s.guard(anyRole, keyHolders, s.traces(s.stored.Replay)))
	}
	for _, base := range bases {
		s.add(http.MethodGet, base+"/audit", "audit", s.guard(keys.RoleOperator, keyHolders, s.listAudit))
		s.add(http.MethodGet, base+"/audit/stats", "audit_stats", s.guard(keys.RoleOperator, keyHolders, s.auditStats))
		s.add(http.MethodGet, base+"/audit/verify", "audit_verify", s.guard(keys.RoleOperator, keyHolders, s.verifyAudit))
		s.add(http.MethodGet, base+"/audit/export", "audit_export", s.guard(keys.RoleOperator, keyHolders, s.exportAudit))
		s.add(http.MethodGet, base+"/audit/executions/:id/timeline", "audit_timeline", s.guard(keys.RoleOperator, keyHolders, s.auditTimeline))
	}
	s.absent()
	s.add(http.MethodGet, "/", "root", s.root)
	s.add(http.MethodGet, "/healthz", "healthz", s.healthz)
	s.add(http.MethodGet, "/readyz", "readyz", s.readyz)
	s.add(http.MethodGet, "/metrics", "metrics", s.metrics.serve)
	s.add(http.MethodGet, fault.PagePath, "errors", errorsPage)
	for _, path := range []string{"/", "/healthz", "/readyz", fault.PagePath} {
		s.echo.HEAD(path, func(c echo.Context) error { return s.head(c, path) })
	}
}

// add registers a handler under the name that metrics and logs show.
func (s *Server) add(method, path, route string, h echo.HandlerFunc) {
	s.echo.Add(method, path, func(c echo.Context) error {
		x := of(c)
		x.route = route
		if route == routeChat {
			x.told.OnlyNamed()
		}
		return h(c)
	})
}

// routePath is the address that was matched, with parameters in braces; "" where
// none was.
func routePath(c echo.Context) string {
	if of(c).route == unmatched {
		return ""
	}
	return pathParameter.ReplaceAllString(c.Path(), "{$1}")
}

var pathParameter = regexp.MustCompile(`:(\w+)`)

// head answers HEAD as GET would; net/http leaves the body out.
func (s *Server) head(c echo.Context, path string) error {
	switch path {
	case "/healthz":
		return s.healthz(c)
	case "/readyz":
		return s.readyz(c)
	case fault.PagePath:
		return errorsPage(c)
	}
	return s.root(c)
}

func (s *Server) root(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{
		"name":    "cadreen",
		"version": s.o.Settings.Version,
		"chat":    s.baseURL(c.Request()) + "/v1/chat/completions",
		"errors":  s.baseURL(c.Request()) + fault.PagePath,
	})
}

var errorsHTML = fault.Page()

func errorsPage(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	h.Set("X-Content-Type-Options", "nosniff")
	return c.HTMLBlob(http.StatusOK, errorsHTML)
}

// openAIRoutes are what OpenAI serves and this proxy does not.
var openAIRoutes = []string{
	"assistants", "audio", "batches", "completions", "containers", "conversations", "embeddings", "evals", "files",
	"fine_tuning", "images", "moderations", "organization", "realtime", "responses", "threads", "uploads", "vector_stores", "videos",
}

// notFound says which of OpenAI's routes are deliberately absent.
func notFound(path string) *fault.Error {
	rest := path
	for _, base := range bases {
		if cut, ok := strings.CutPrefix(path, base+"/"); ok {
			rest = cut
			break
		}
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	e := fault.New(fault.NotFound, "There is nothing at this address")
	for _, name := range openAIRoutes {
		if first == name {
			e.Hint = "Only governed chat is served: POST /v1/chat/completions. Other OpenAI routes are not passed on, because calls made there would not be governed."
			return e
		}
	}
	if strings.HasSuffix(path, "/") && len(path) > 1 || strings.Contains(path, "//") {
		e.Hint = "Check the slashes of the address: the base URL ends in /v1, without a final slash."
	}
	return e
}
