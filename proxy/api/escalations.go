// Package api is the REST resources: thin handlers that decode a request, ask
// a room of the domain, and encode what it says.
//
// What lives here: names, shapes and paging of the wire contract. What does
// not: routes, keys and roles (proxy), and every decision (governance).
package api

import (
	"context"
	"net/http"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
)

// Desk is where escalations are kept. All its errors are *fault.Error.
type Desk interface {
	// Escalations lists, newest first, and says whether there are more.
	Escalations(ctx context.Context, workspace string, q governance.EscalationQuery) ([]governance.Escalation, bool, error)
	Escalation(ctx context.Context, workspace, id string) (governance.Escalation, error)
	Resolve(ctx context.Context, workspace, id string, r governance.Resolution) (governance.Escalation, error)
	Observer
}

// Caller is who asks, as the server verified it.
type Caller struct {
	Workspace string
	Requester governance.Requester
}

// Escalations serves the escalations of a workspace. Every method answers an
// error only if nothing was written yet.
type Escalations struct{ Desk Desk }

// List answers {escalations, count, pagination}. Query: status (pending,
// resolved or rejected), limit (20 if absent, at most 200), offset.
func (e *Escalations) List(w http.ResponseWriter, r *http.Request, c Caller) error {
	page, err := readPage(r)
	if err != nil {
		return err
	}
	status := r.URL.Query().Get("status")
	switch status {
	case "", governance.EscalationPending, governance.EscalationResolved, governance.EscalationRejected:
	default:
		f := fault.New(fault.InvalidRequest, "status must be pending, resolved or rejected")
		f.Param = "status"
		return f
	}
	list, more, err := e.Desk.Escalations(r.Context(), c.Workspace,
		governance.EscalationQuery{Status: status, Limit: page.Limit, Offset: page.Offset})
	if err != nil {
		return err
	}
	if list == nil {
		list = []governance.Escalation{} // an empty array, never null
	}
	page.HasMore = more
	return write(w, r, struct {
		Escalations []governance.Escalation `json:"escalations"`
		Count       int                     `json:"count"`
		Pagination  listPage                `json:"pagination"`
	}{list, len(list), page})
}

// Get answers one escalation.
func (e *Escalations) Get(w http.ResponseWriter, r *http.Request, c Caller, id string) error {
	found, err := e.Desk.Escalation(r.Context(), c.Workspace, id)
	if err != nil {
		return err
	}
	return write(w, r, found)
}

// Resolve takes {decision, comment, to} and answers the escalation as it is
// afterwards. Older clients call the decision `resolution`.
func (e *Escalations) Resolve(w http.ResponseWriter, r *http.Request, c Caller, id string) error {
	var body struct {
		Decision   string `json:"decision"`
		Resolution string `json:"resolution"`
		Comment    string `json:"comment"`
		To         string `json:"to"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	switch {
	case body.Decision == "":
		body.Decision = body.Resolution
	case body.Resolution != "" && body.Resolution != body.Decision:
		f := fault.New(fault.InvalidRequest, "decision and its older name resolution say different things")
		f.Param = "resolution"
		return f
	}
	told := intelligence.From(r.Context())
	begun := told.Begin()
	done, err := e.Desk.Resolve(r.Context(), c.Workspace, id,
		governance.Resolution{Decision: body.Decision, Comment: body.Comment, To: body.To, By: c.Requester})
	if err != nil {
		return err
	}
	tellReviewed(told, begun, &done)
	return write(w, r, done)
}
