package proxy

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/proxy/api"
	"cadreen/proxy/chat"
	"cadreen/proxy/intent"
	"cadreen/proxy/keys"
)

// chat hands a chat completion over, as long as there is room.
func (s *Server) chat(c echo.Context, p keys.Principal) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.o.Chat.Serve(c.Response(), c.Request(), s.chatCaller(c, p))
}

// enter takes one of the places for chat completions; leave gives it back.
func (s *Server) enter() error {
	if s.inFlight.Add(1) > int64(s.o.Settings.Streams) {
		s.inFlight.Add(-1)
		e := fault.New(fault.ServiceUnavailable, "%d chat completions are in flight, which is the limit", s.o.Settings.Streams)
		e.Hint = "Try again in a moment, or raise limits.streams."
		e.RetryAfter = 1
		return e
	}
	return nil
}

func (s *Server) leave() { s.inFlight.Add(-1) }

func (s *Server) chatCaller(c echo.Context, p keys.Principal) chat.Caller {
	caller := chat.Caller{
		Workspace:   p.Workspace,
		Requester:   requester(p),
		TraceID:     of(c).trace,
		Passthrough: p.Passthrough,
		BaseURL:     s.baseURL(c.Request()),
		Trace:       of(c).told,
	}
	if p.Passthrough {
		caller.Authorization = c.Request().Header.Get("Authorization")
	}
	return caller
}

// intent answers through a chat completion of its own.
func (s *Server) intent(c echo.Context, p keys.Principal) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	caller := s.chatCaller(c, p)
	return s.intents.Serve(c.Response(), c.Request(), intent.Caller{Workspace: p.Workspace, TraceID: caller.TraceID},
		func(w http.ResponseWriter, r *http.Request, governed func([]governance.CallDecision, *governance.Hold)) error {
			caller.Governed = governed
			return s.o.Chat.Serve(w, r, caller)
		})
}

// models passes the model server's list on as it came.
func (s *Server) models(c echo.Context, p keys.Principal) error {
	authorization := ""
	if p.Passthrough {
		authorization = c.Request().Header.Get("Authorization")
	}
	list, err := s.o.Backend.Models(c.Request().Context(), authorization)
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/json", list)
}

func (s *Server) checkPreconditions(c echo.Context, p keys.Principal) error {
	return s.preconditions.Check(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) assess(c echo.Context, p keys.Principal) error {
	return s.assessing.Assess(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) setUp(c echo.Context, p keys.Principal) error {
	return s.setup.Apply(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) listEscalations(c echo.Context, p keys.Principal) error {
	return s.escalations.List(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) getEscalation(c echo.Context, p keys.Principal) error {
	return s.escalations.Get(c.Response(), c.Request(), apiCaller(p), c.Param("id"))
}

func (s *Server) resolveEscalation(c echo.Context, p keys.Principal) error {
	return s.escalations.Resolve(c.Response(), c.Request(), apiCaller(p), c.Param("id"))
}

// traces hands a request about stored traces over. Reviewers and operators read
// those of the workspace; everybody else reads those of their own key.
func (s *Server) traces(h func(w http.ResponseWriter, r *http.Request, c api.Reader, id string) error) func(echo.Context, keys.Principal) error {
	return func(c echo.Context, p keys.Principal) error {
		reader := api.Reader{Workspace: p.Workspace, Key: p.KeyID, BaseURL: s.baseURL(c.Request())}
		if p.Can(keys.RoleReviewer) {
			reader.Key = ""
		}
		return h(c.Response(), c.Request(), reader, c.Param("id"))
	}
}

func withoutID(h func(w http.ResponseWriter, r *http.Request, c api.Reader) error) func(http.ResponseWriter, *http.Request, api.Reader, string) error {
	return func(w http.ResponseWriter, r *http.Request, c api.Reader, _ string) error { return h(w, r, c) }
}

func apiCaller(p keys.Principal) api.Caller {
	return api.Caller{Workspace: p.Workspace, Requester: requester(p)}
}

func requester(p keys.Principal) governance.Requester {
	return governance.Requester{ID: p.KeyID, KeyID: p.KeyID, Roles: p.Roles}
}
