package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"cadreen/fault"
	"cadreen/intelligence/audit"
)

// AuditLog answers questions about what was recorded. audit.Away says of
// an error that the store is away.
type AuditLog interface {
	// List is newest first, and says whether there are more.
	List(ctx context.Context, workspace string, q audit.Query) ([]audit.Action, bool, error)
	Stats(ctx context.Context, workspace string) (audit.Stats, error)
	// Timeline answers audit.ErrUnknown where no record names the id.
	Timeline(ctx context.Context, workspace, id string) (audit.Timeline, error)
	// Verify reports what is broken; that is no error.
	Verify(ctx context.Context, workspace string, heads ...audit.Head) (audit.Report, error)
	Export(ctx context.Context, w io.Writer, workspace string, q audit.Query) error
}

// Audit serves the audit of a workspace. Every method answers an error only if
// nothing was written yet, but for an export that breaks off.
type Audit struct{ Log AuditLog }

// jsonLines is the content type of an export.
const jsonLines = "application/jsonl"

// List answers {actions, count, pagination}. Query: type, status, name, actor; id
// (also as trace_id, hold_id, escalation_id, conversation_id or execution_id); from
// and to (RFC 3339); limit, offset. To who asks for JSON Lines it is the export.
func (a *Audit) List(w http.ResponseWriter, r *http.Request, c Caller) error {
	if wantsLines(r) {
		return a.Export(w, r, c)
	}
	page, err := readPage(r)
	if err != nil {
		return err
	}
	q, err := a.query(r)
	if err != nil {
		return err
	}
	q.Limit, q.Offset = page.Limit, page.Offset
	list, more, err := a.Log.List(r.Context(), c.Workspace, q)
	if err != nil {
		return auditFault(err, fault.AuditQueryFailed)
	}
	page.HasMore = more
	return write(w, r, struct {
		Actions    []audit.Action `json:"actions"`
		Count      int            `json:"count"`
		Pagination listPage       `json:"pagination"`
	}{list, len(list), page})
}

// Stats answers counts.
func (a *Audit) Stats(w http.ResponseWriter, r *http.Request, c Caller) error {
	s, err := a.Log.Stats(r.Context(), c.Workspace)
	if err != nil {
		return auditFault(err, fault.AuditStatsFailed)
	}
	return write(w, r, s)
}

// Timeline answers the history of one execution.
func (a *Audit) Timeline(w http.ResponseWriter, r *http.Request, c Caller, id string) error {
	t, err := a.Log.Timeline(r.Context(), c.Workspace, id)
	if errors.Is(err, audit.ErrUnknown) {
		f := fault.Wrap(err, fault.AuditTimelineFailed, "No record of this workspace tells of the execution")
		f.Hint = "Verify the execution ID: the id of a trace, a hold, an escalation or a conversation."
		never := false
		f.ShouldRetry = &never
		return f
	}
	if err != nil {
		return auditFault(err, fault.AuditTimelineFailed)
	}
	return write(w, r, t)
}

// Verify checks the chains. Query: head, as an earlier answer gave it, also several.
// A broken chain is answered with 200 and valid false.
func (a *Audit) Verify(w http.ResponseWriter, r *http.Request, c Caller) error {
	var heads []audit.Head
	for _, text := range r.URL.Query()["head"] {
		h, err := audit.ParseHead(text)
		if err != nil {
			return badAudit("head", err.Error())
		}
		if !h.Concerns(c.Workspace) {
			return badAudit("head", "the head is one of another workspace")
		}
		heads = append(heads, h)
	}
	report, err := a.Log.Verify(r.Context(), c.Workspace, heads...)
	if err != nil {
		return auditFault(err, fault.AuditQueryFailed)
	}
	return write(w, r, report)
}

// Export writes everything as JSON Lines. Query: from and to.
func (a *Audit) Export(w http.ResponseWriter, r *http.Request, c Caller) error {
	q, err := a.query(r)
	if err != nil {
		return err
	}
	out := &late{w: w}
	err = a.Log.Export(r.Context(), out, c.Workspace, audit.Query{From: q.From, To: q.To})
	if err != nil && !out.begun {
		return auditFault(err, fault.AuditQueryFailed)
	}
	return err
}

// late writes the head of the answer with its first bytes, so that what fails
// before them can still be said.
type late struct {
	w     http.ResponseWriter
	begun bool
}

func (l *late) Write(p []byte) (int, error) {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", jsonLines)
		l.w.Header().Set("X-Content-Type-Options", "nosniff")
		l.w.WriteHeader(http.StatusOK)
	}
	return l.w.Write(p)
}

// ids are the names that a filter by id may have.
var ids = []string{"id", "trace_id", "hold_id", "escalation_id", "conversation_id", "execution_id"}

func (a *Audit) query(r *http.Request) (audit.Query, error) {
	in := r.URL.Query()
	q := audit.Query{Type: in.Get("type"), Status: in.Get("status"), Name: in.Get("name"), Actor: in.Get("actor")}
	for _, name := range ids {
		switch text := in.Get(name); {
		case text == "":
		case q.ID != "" && q.ID != text:
			return q, badAudit(name, "only one id can be asked for at a time")
		default:
			q.ID = text
		}
	}
	for name, at := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		text := in.Get(name)
		if text == "" {
			continue
		}
		var err error
		if *at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return q, badAudit(name, name+" must be a time like 2026-01-31T09:00:00Z")
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return q, badAudit("to", "to is before from")
	}
	return q, nil
}

func wantsLines(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		switch kind, _, _ := mime.ParseMediaType(part); kind {
		case jsonLines, "application/x-ndjson", "application/jsonlines":
			return true
		}
	}
	return false
}

func badAudit(param, text string) *fault.Error {
	f := fault.New(fault.AuditQueryFailed, "%s", text)
	f.Param = param
	never := false
	f.ShouldRetry = &never
	return f
}

// auditFault names an absent store, and what else went wrong by the code.
func auditFault(err error, code string) error {
	switch {
	case audit.Away(err):
		f := fault.Wrap(err, fault.AuditUnavailable, "The audit log cannot be reached: the store is away")
		f.Hint = "Try again in a moment; cadreen doctor says what is wrong."
		f.RetryAfter = 1
		return f
	case errors.Is(err, context.Canceled):
		return err
	}
	return fault.Wrap(err, code, "")
}
