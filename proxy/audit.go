package proxy

import (
	"github.com/labstack/echo/v4"

	"cadreen/proxy/keys"
)

func (s *Server) listAudit(c echo.Context, p keys.Principal) error {
	return s.audit.List(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) auditStats(c echo.Context, p keys.Principal) error {
	return s.audit.Stats(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) verifyAudit(c echo.Context, p keys.Principal) error {
	return s.audit.Verify(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) exportAudit(c echo.Context, p keys.Principal) error {
	return s.audit.Export(c.Response(), c.Request(), apiCaller(p))
}

func (s *Server) auditTimeline(c echo.Context, p keys.Principal) error {
	return s.audit.Timeline(c.Response(), c.Request(), apiCaller(p), c.Param("id"))
}
