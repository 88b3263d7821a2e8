package proxy

import (
	"strings"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/proxy/keys"
)

// absent registers the addresses of the parts that this version does not have.
// They need a key like all others, and say that asking again does not help.
func (s *Server) absent() {
	for _, base := range bases {
		for _, a := range fault.Absences() {
			for _, r := range a.Routes {
				method, path, _ := strings.Cut(r, " ")
				s.add(method, base+echoPath(path), "absent", s.guard(keys.RoleChat, keyHolders, absence(a)))
			}
		}
	}
}

func absence(a fault.Absence) func(echo.Context, keys.Principal) error {
	return func(echo.Context, keys.Principal) error {
		never := false
		f := fault.New(a.Code, "%s: this version does not have it", a.Name)
		f.Hint = "No setting turns it on; the page of errors lists what is absent."
		f.ShouldRetry = &never
		f.Next = &fault.NextAction{Type: "none", Label: "This version does not have it"} // the code's own may be to retry
		return f
	}
}

// echoPath writes {id} as :id.
func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
