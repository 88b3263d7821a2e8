package proxy

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"cadreen/fault"
	"cadreen/proxy/idempotency"
	"cadreen/proxy/keys"
	"cadreen/proxy/openai"
)

// once answers a request that has an Idempotency-Key. Handlers do not see the
// difference: they get the body and a response writer as ever, and a context
// that outlives the client.
func (s *Server) once(c echo.Context, p keys.Principal, h func(echo.Context, keys.Principal) error) error {
	r, client, x := c.Request(), c.Response(), of(c)
	key, err := idempotency.Key(r.Header)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fault.Wrap(err, fault.InvalidRequest, "The request body could not be read to its end")
	}
	q := idempotency.Request{
		Workspace: p.Workspace, Principal: p.KeyID, Person: person(x.route, body),
		Route: strings.Join(append([]string{r.Method, x.route}, c.ParamValues()...), " "),
		Key:   key, Body: body, TraceID: x.trace, BaseURL: s.baseURL(r),
	}
	defer func() {
		c.SetRequest(r)
		c.SetResponse(client)
		// The log names the trace that the client was given.
		x.trace = client.Header().Get(headerTrace)
	}()
	return s.keeper.Serve(r.Context(), client, q, func(ctx context.Context, w http.ResponseWriter) error {
		w.Header().Set(headerTrace, x.trace)
		w.Header().Set(headerRequestID, x.trace)
		run := r.WithContext(ctx)
		run.Body = io.NopCloser(bytes.NewReader(body))
		c.SetRequest(run)
		c.SetResponse(echo.NewResponse(w, s.echo))
		err := s.caught(func(c echo.Context) error { return h(c, p) }, c)
		if err != nil && !c.Response().Committed {
			s.writeError(err, c)
			return nil
		}
		return err
	})
}

// person is whom a chat completion or an intent names, as the chat itself reads it. A body
// that cannot be read names nobody; its refusal is the handler's.
func person(route string, body []byte) string {
	if route != routeChat && route != routeIntent {
		return ""
	}
	req, err := openai.ParseRequest(body)
	if err != nil {
		return ""
	}
	defer req.Release()
	if req.UserID != "" {
		return req.UserID
	}
	return req.User
}
