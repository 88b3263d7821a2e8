package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
)

// Traces serves the stored traces of a workspace. Every method answers an error
// only if nothing was written yet.
type Traces struct {
	// Recorder has the traces; nil stores none.
	Recorder *intelligence.Recorder
	// Evidence and Deciding judge again; without them nothing can be replayed.
	Evidence Evidence
	Deciding Deciding
}

// Evidence is what decided turns were judged by.
type Evidence interface {
	Evidence(ctx context.Context, workspace, traceID string) ([]governance.Evidence, error)
}

// Reader is who reads traces.
type Reader struct {
	Workspace string
	Key       string // only the traces of this key; "" those of the workspace
	BaseURL   string
}

// trace is one trace on the wire.
type trace struct {
	ID            string             `json:"id"`
	Domain        string             `json:"domain"`
	RequestPath   string             `json:"request_path"`
	RequestMethod string             `json:"request_method"`
	Meta          *intelligence.Meta `json:"meta"`
	CreatedAt     time.Time          `json:"created_at"`
	Conversation  string             `json:"conversation_id,omitempty"`
}

func traceOf(e *intelligence.Entry) trace {
	return trace{ID: e.ID, Domain: e.Domain, RequestPath: e.Path, RequestMethod: e.Method, Meta: e.Meta(intelligence.Full),
		CreatedAt: e.Created().UTC(), Conversation: e.Conversation}
}

// List answers {traces, count, pagination}, newest first. Query: domain,
// decision (or type), from, to, limit (20 if absent, at most 200), offset.
func (s *Traces) List(w http.ResponseWriter, r *http.Request, c Reader) error {
	if err := s.available(); err != nil {
		return err
	}
	page, err := readPage(r)
	if err != nil {
		return err
	}
	q, err := readTraceQuery(r)
	if err != nil {
		return err
	}
	q.Key, q.Limit, q.Offset = c.Key, page.Limit, page.Offset
	found, more, err := s.Recorder.List(r.Context(), c.Workspace, q)
	if err != nil {
		return queryFault(err, fault.IntelligenceQueryFailed)
	}
	page.HasMore = more
	list := make([]trace, len(found))
	for i := range found {
		list[i] = traceOf(&found[i])
	}
	return write(w, r, struct {
		Traces     []trace  `json:"traces"`
		Count      int      `json:"count"`
		Pagination listPage `json:"pagination"`
	}{list, len(list), page})
}

// Get answers one trace.
func (s *Traces) Get(w http.ResponseWriter, r *http.Request, c Reader, id string) error {
	e, err := s.find(r.Context(), c, id)
	if err != nil {
		return err
	}
	return write(w, r, traceOf(&e))
}

// Stats answers the counts.
func (s *Traces) Stats(w http.ResponseWriter, r *http.Request, c Reader) error {
	if err := s.available(); err != nil {
		return err
	}
	stats, err := s.Recorder.Stats(r.Context(), c.Workspace, c.Key)
	if err != nil {
		return queryFault(err, fault.IntelligenceStatsFailed)
	}
	return write(w, r, stats)
}

func (s *Traces) available() error {
	if s.Recorder == nil {
		f := fault.New(fault.IntelligenceUnavailable, "Traces are not stored here")
		f.Hint = "Set trace.store to true."
		return f
	}
	return nil
}

func (s *Traces) find(ctx context.Context, c Reader, id string) (intelligence.Entry, error) {
	if err := s.available(); err != nil {
		return intelligence.Entry{}, err
	}
	e, err := s.Recorder.Get(ctx, c.Workspace, id, c.Key)
	if errors.Is(err, intelligence.ErrNotFound) {
		return e, fault.New(fault.IntelligenceNotFound, "No such trace is stored. Requests with GET are not, and others only as long as traces are kept")
	}
	return e, queryFault(err, fault.IntelligenceQueryFailed)
}

// queryFault names what went wrong with a query that nobody else has named.
func queryFault(err error, code string) error {
	var own *fault.Error
	if err == nil || errors.As(err, &own) || errors.Is(err, context.Canceled) {
		return err
	}
	return fault.Wrap(err, code, "")
}

// decisionWords are what may be asked for: the word of a trace itself, or that
// of a verdict that comes to it.
func decisionWord(text string) (string, bool) {
	switch word := strings.ToLower(text); word {
	case "", "approved", "conditional", "blocked", "none":
		return word, true
	default:
		verdict, err := governance.ParseVerdict(word)
		return verdict.Decision(), err == nil
	}
}

// readTraceQuery reads the filters. Empty values count as absent.
func readTraceQuery(r *http.Request) (intelligence.Query, error) {
	values := r.URL.Query()
	q := intelligence.Query{Domain: intelligence.Redact(values.Get("domain"))}
	name, word := "decision", values.Get("decision")
	if kind := values.Get("type"); word == "" {
		name, word = "type", kind
	} else if kind != "" && kind != word {
		return q, badFilter("type", "type and decision say different things; they are one filter")
	}
	known := false
	if q.Decision, known = decisionWord(word); !known {
		return q, badFilter(name, name+" must be approved, conditional, blocked or none, or a verdict such as auto or escalate")
	}
	for _, bound := range []struct {
		name string
		at   *time.Time
		end  bool
	}{{"from", &q.From, false}, {"to", &q.To, true}} {
		text := values.Get(bound.name)
		if text == "" {
			continue
		}
		at, ok := readTime(text, bound.end)
		if !ok {
			return q, badFilter(bound.name, bound.name+" must be a time such as 2026-01-15T09:30:00Z, or a day such as 2026-01-15")
		}
		*bound.at = at
	}
	return q, nil
}

// badFilter is a filter that cannot be used. The public table has this code for
// it, not invalid_request.
func badFilter(param, message string) error {
	never := false
	f := fault.New(fault.IntelligenceQueryFailed, "%s", message)
	f.Param, f.ShouldRetry = param, &never
	return f
}

// readTime reads a time of RFC 3339, or a day in UTC; a day that ends a range
// counts to its end.
func readTime(text string, end bool) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	day, err := time.Parse(time.DateOnly, text)
	if end {
		day = day.Add(24*time.Hour - time.Millisecond)
	}
	return day, err == nil
}
