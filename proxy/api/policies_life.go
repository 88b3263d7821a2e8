package api

import (
	"net/http"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/policies"
)

// confirmed is the answer to a confirmation or a rollback.
type confirmed struct {
	ID              string     `json:"id"`
	Name            string     `json:"name,omitempty"`
	Version         int        `json:"version"`
	PreviousVersion int        `json:"previous_version"` // 0: nothing was active
	Status          string     `json:"status"`
	AlreadyActive   bool       `json:"already_active"`
	ConfirmedAt     *time.Time `json:"confirmed_at,omitempty"`
}

func (s *Policies) confirmed(w http.ResponseWriter, r *http.Request, out policies.Confirmed) error {
	return write(w, r, confirmed{ID: out.Policy.ID, Name: out.Policy.Name, Version: out.Version, PreviousVersion: out.Previous,
		Status: string(policies.Active), AlreadyActive: out.Already, ConfirmedAt: &out.At})
}

// Questions answers what keeps the newest version from being confirmed: {id, version,
// questions, not_understood, count, pagination}. They are answered with Compile.
func (s *Policies) Questions(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	page, err := readPage(r)
	if err != nil {
		return err
	}
	p, _, err := s.Registry.Get(r.Context(), c.Workspace, id)
	if err != nil {
		return err
	}
	v, err := s.Registry.Version(r.Context(), c.Workspace, id, p.Latest)
	if err != nil {
		return err
	}
	view := s.view(&p, &v, nil, c)
	list := view.Questions
	from := min(page.Offset, len(list))
	to := min(from+page.Limit, len(list))
	page.HasMore = to < len(list)
	words := view.NotUnderstood
	if words == nil {
		words = []unknownWord{}
	}
	return write(w, r, struct {
		ID            string              `json:"id"`
		Version       int                 `json:"version"`
		Questions     []policies.Question `json:"questions"`
		NotUnderstood []unknownWord       `json:"not_understood"`
		Count         int                 `json:"count"`
		Pagination    listPage            `json:"pagination"`
	}{id, v.Number, append([]policies.Question{}, list[from:to]...), words, to - from, page})
}

// Compile compiles the newest version again. Body: {answers}, by the ids of its
// questions. An answer that changes anything makes a new version.
func (s *Policies) Compile(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	if err := s.notAFile(id); err != nil {
		return err
	}
	var body struct {
		Answers map[string]string `json:"answers"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	p, v, err := s.Registry.Compile(r.Context(), c.Workspace, id, body.Answers, c.Requester.ID)
	if err != nil {
		return err
	}
	return s.made(w, r, c, &p, &v)
}

// Confirm makes an exact version active. Body: {version, digest}; without a version
// it is the newest.
func (s *Policies) Confirm(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	if err := s.notAFile(id); err != nil {
		return err
	}
	var body struct {
		Version *int   `json:"version"`
		Digest  string `json:"digest"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	number, err := versionOf(body.Version)
	if err != nil {
		return err
	}
	out, err := s.Registry.Confirm(r.Context(), c.Workspace, id, number, body.Digest, c.Requester.ID)
	if err != nil {
		return err
	}
	return s.confirmed(w, r, out)
}

// versionOf reads a version that a body may name.
func versionOf(number *int) (int, error) {
	if number == nil {
		return 0, nil
	}
	if *number < 1 {
		f := fault.New(fault.InvalidRequest, "version must be a whole number, at least 1")
		f.Param = "version"
		return 0, f
	}
	return *number, nil
}

// ConfirmPending takes a yes to held calls. Body: {user_id}, where the request that
// proposed them named one. Only the one who was asked may say it.
func (s *Policies) ConfirmPending(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	var body struct {
		UserID string `json:"user_id"`
		User   string `json:"user"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	by := c.Requester
	if person := body.UserID; person != "" || body.User != "" {
		if person == "" {
			person = body.User
		}
		by.ID += "/" + person
	}
	h, already, err := s.Holds.ConfirmHold(r.Context(), c.Workspace, id, by, c.TraceID)
	if err != nil {
		return err
	}
	at := h.Closed
	for _, i := range slices.Backward(h.Items) {
		if at.IsZero() || !i.At.IsZero() && i.Answer == governance.AnswerYes {
			at = i.At
		}
	}
	return write(w, r, confirmed{ID: h.ID, Version: 1, Status: "confirmed", AlreadyActive: already, ConfirmedAt: &at})
}

// ConfirmEscalation takes a reviewer's yes to one held call: the decision auto.
func (s *Policies) ConfirmEscalation(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	before, err := s.Escalations.Escalation(r.Context(), c.Workspace, id)
	if err != nil {
		return err
	}
	e, err := s.Escalations.Resolve(r.Context(), c.Workspace, id, governance.Resolution{Decision: "auto", By: c.Requester})
	if err != nil {
		return err
	}
	return write(w, r, confirmed{ID: e.ID, Version: 1, Status: "confirmed", AlreadyActive: before.Status != governance.EscalationPending, ConfirmedAt: e.ResolvedAt})
}

// Rollback makes a version active again that was active before. Body: {version};
// without one it is the one before.
func (s *Policies) Rollback(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	if err := s.notAFile(id); err != nil {
		return err
	}
	var body struct {
		Version *int `json:"version"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	number, err := versionOf(body.Version)
	if err != nil {
		return err
	}
	out, err := s.Registry.Rollback(r.Context(), c.Workspace, id, number, c.Requester.ID)
	if err != nil {
		return err
	}
	return s.confirmed(w, r, out)
}
