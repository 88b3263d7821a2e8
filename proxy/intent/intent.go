// Package intent is the intent endpoint: a request in plain words, answered
// directly, with questions, with a refusal, or with the connection that is
// missing.
//
// An intent runs through the governed chat completion, with one model call: what
// the model proposes is governed there and nowhere else. In mode auto the model
// is offered two tools of ours beside the client's, with which it says that a
// fact or a connection is missing (see Listen); their calls are read here and
// leave no further.
//
// What does not live here: judging and holding calls (governance, proxy/chat),
// and running them on the server, which this version does not do.
package intent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
)

// Chat is the governed chat completion. It calls governed with what it decided
// about the calls of a turn and the hold that it made or answered, nil for none.
// An error means that nothing was written yet.
type Chat func(w http.ResponseWriter, r *http.Request, governed func([]governance.CallDecision, *governance.Hold)) error

// Seen is the catalogue of the tools that a workspace's requests offered.
type Seen interface {
	Tools(ctx context.Context, workspace string) ([]governance.Tool, error)
}

// Caller is who asks, as the server verified it.
type Caller struct {
	Workspace string
	TraceID   string
}

// Handler answers intents.
type Handler struct {
	// Seen helps to name what is missing; nil knows no tools.
	Seen Seen
}

// Serve answers one intent. An error means that nothing was written yet.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, c Caller, chat Chat) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return fault.Wrap(err, fault.InvalidRequest, "the request body could not be read to its end")
	}
	q, err := readRequest(body)
	if err != nil {
		return err
	}
	t := &turn{request: q, caller: c, seen: h.Seen, trace: intelligence.From(r.Context())}
	inner := r.WithContext(context.WithValue(r.Context(), turnKey{}, t))
	inner.Body = io.NopCloser(bytes.NewReader(q.chat))
	inner.ContentLength = int64(len(q.chat))
	if q.stream {
		s := newStream(w, t)
		err = chat(s, inner, t.governed)
		return s.end(noRoute(err))
	}
	reply := &recorder{header: http.Header{}}
	if err := chat(reply, inner, t.governed); err != nil {
		return noRoute(err)
	}
	return t.write(w, reply)
}

// noRoute names an absent model as what it is to an intent: nobody is there to
// find out what is wanted.
func noRoute(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != fault.ServiceUnavailable {
		return err
	}
	gone := *f
	gone.Code, gone.Type = fault.RoutingUnavailable, ""
	if gone.Message == "" {
		gone.Message = "The model that reads intents is not available"
	}
	if gone.Hint == "" {
		gone.Hint = "The model server could not be used. Retry with exponential backoff; see GET /readyz."
	}
	return &gone
}

// turn is one intent while it is answered.
type turn struct {
	*request
	caller Caller
	seen   Seen
	trace  *intelligence.Trace

	decisions []governance.CallDecision
	hold      *governance.Hold
	questions []Question  // the model's, by the tool of ours
	missing   *connection // the model's or our own finding
	unread    string      // what was wrong with a call of a tool of ours
}

type turnKey struct{}

// of is the intent that a model call belongs to, nil for a plain chat.
func of(ctx context.Context) *turn {
	t, _ := ctx.Value(turnKey{}).(*turn)
	return t
}

func (t *turn) governed(decisions []governance.CallDecision, hold *governance.Hold) {
	t.decisions, t.hold = decisions, hold
}

// recorder keeps the JSON reply of the chat.
type recorder struct {
	header http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) Flush()                      {}
