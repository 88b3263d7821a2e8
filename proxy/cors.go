package proxy

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsExposed = "X-Cadreen-Trace-ID, X-Cadreen-Gate, X-Request-ID, Retry-After, Retry-After-Ms, RateLimit, RateLimit-Policy, X-Should-Retry, Idempotent-Replayed"
	corsMaxAge  = "600" // seconds
)

// cors lets pages of the configured origins call. Keys travel in a header, so
// credentials in the browser's sense are never allowed.
func (s *Server) cors(next echo.HandlerFunc) echo.HandlerFunc {
	origins := s.o.Settings.CORSOrigins
	if len(origins) == 0 {
		return next
	}
	all := slices.Contains(origins, "*")
	return func(c echo.Context) error {
		r, h := c.Request(), c.Response().Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		if origin == "" || !all && !slices.Contains(origins, origin) {
			return next(c)
		}
		h.Set("Access-Control-Allow-Origin", origin)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			h.Set("Access-Control-Expose-Headers", corsExposed)
			return next(c)
		}
		of(c).route = "preflight"
		h.Set("Access-Control-Allow-Methods", corsMethods)
		if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
			h.Add("Vary", "Access-Control-Request-Headers")
			h.Set("Access-Control-Allow-Headers", asked)
		}
		h.Set("Access-Control-Max-Age", corsMaxAge)
		return c.NoContent(http.StatusNoContent)
	}
}
