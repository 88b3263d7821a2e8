package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/policies"
)

// Policies serves the policies of a workspace. Every method answers an error only
// if nothing was written yet.
type Policies struct {
	Registry *policies.Registry
	// Archive has the recorded decisions that a simulation replays.
	Archive policies.Archive
	// Holds takes a yes to a held call that was said here.
	Holds PendingHolds
	// Escalations takes that of a reviewer.
	Escalations Desk
}

// PendingHolds is where held calls wait. All its errors are *fault.Error.
type PendingHolds interface {
	ConfirmHold(ctx context.Context, workspace, id string, by governance.Requester, traceID string) (governance.Hold, bool, error)
}

// Author is who asks about policies.
type Author struct {
	Caller
	TraceID string
	BaseURL string // of approve_url
	Writes  bool   // may name drafts, and write
	// ForOthers: may ask what would be decided for somebody else.
	ForOthers bool
}

// List answers {policies, version, count, pagination}: those in files, which apply
// everywhere, then those of the workspace, oldest first. Query: status (draft,
// active or retired; all but retired if absent), limit, offset.
func (s *Policies) List(w http.ResponseWriter, r *http.Request, c Author) error {
	page, err := readPage(r)
	if err != nil {
		return err
	}
	status := policies.Status(r.URL.Query().Get("status"))
	switch status {
	case "", policies.Draft, policies.Active, policies.Retired:
	default:
		f := fault.New(fault.InvalidRequest, "status must be draft, active or retired")
		f.Param = "status"
		return f
	}
	set, err := s.Registry.SetVersion(r.Context(), c.Workspace)
	if err != nil {
		return err
	}
	list := []policyView{} // an empty array, never null
	files := s.Registry.Files()
	if status == policies.Draft || status == policies.Retired {
		files = nil
	}
	onPage := files[min(page.Offset, len(files)):]
	onPage = onPage[:min(page.Limit, len(onPage))]
	changed, err := s.Registry.StaleFiles(r.Context(), c.Workspace, onPage)
	if err != nil {
		return err
	}
	for i, p := range onPage {
		list = append(list, fileView(p, changed[i]))
	}
	shown := len(list)
	found, versions, more, err := s.Registry.List(r.Context(), c.Workspace, status, max(0, page.Offset-len(files)), max(1, page.Limit-shown))
	if err != nil {
		return err
	}
	if shown == page.Limit {
		more = len(found) > 0 || page.Offset+shown < len(files)
		found = nil
	}
	stale, err := s.Registry.Stale(r.Context(), c.Workspace, versions[:len(found)])
	if err != nil {
		return err
	}
	for i := range found {
		list = append(list, s.view(&found[i], &versions[i], stale[i], c))
	}
	page.HasMore = more
	return write(w, r, struct {
		Policies   []policyView `json:"policies"`
		Version    int64        `json:"version"`
		Count      int          `json:"count"`
		Pagination listPage     `json:"pagination"`
	}{list, set, len(list), page})
}

// Get answers one policy: the version that enforces, else the newest; or the one
// that the query names as version.
func (s *Policies) Get(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	for _, p := range s.Registry.Files() {
		if fileID(p) == id {
			stale, err := s.Registry.StaleFiles(r.Context(), c.Workspace, []governance.Policy{p})
			if err != nil {
				return err
			}
			v := fileView(p, stale[0])
			return write(w, r, v.whole(fileRules(p)))
		}
	}
	p, v, err := s.Registry.Get(r.Context(), c.Workspace, id)
	if err != nil {
		return err
	}
	number, err := readNumber(r, "version", 1, p.Active)
	if err != nil {
		return err
	}
	if number > 0 && number != v.Number {
		if v, err = s.Registry.Version(r.Context(), c.Workspace, id, number); err != nil {
			return err
		}
	}
	return s.answer(w, r, c, &p, &v)
}

// answer writes one version of a policy.
func (s *Policies) answer(w http.ResponseWriter, r *http.Request, c Author, p *policies.Policy, v *policies.Version) error {
	stale, err := s.Registry.Stale(r.Context(), c.Workspace, []policies.Version{*v})
	if err != nil {
		return err
	}
	view := s.view(p, v, stale[0], c)
	return write(w, r, view.whole(view.rules))
}

// made is answer for what made a version: with what is found of it beside the other
// policies.
func (s *Policies) made(w http.ResponseWriter, r *http.Request, c Author, p *policies.Policy, v *policies.Version) error {
	findings, err := s.Registry.Lint(r.Context(), c.Workspace, p, v)
	if err != nil {
		return err
	}
	stale, err := s.Registry.Stale(r.Context(), c.Workspace, []policies.Version{*v})
	if err != nil {
		return err
	}
	view := s.view(p, v, stale[0], c)
	view.Findings = findings
	return write(w, r, view.whole(view.rules))
}

// Versions answers {versions, count, pagination}, newest first.
func (s *Policies) Versions(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	page, err := readPage(r)
	if err != nil {
		return err
	}
	p, found, more, err := s.Registry.Versions(r.Context(), c.Workspace, id, page.Offset, page.Limit)
	if err != nil {
		return err
	}
	stale, err := s.Registry.Stale(r.Context(), c.Workspace, found)
	if err != nil {
		return err
	}
	list := make([]policyView, len(found))
	for i := range found {
		list[i] = s.view(&p, &found[i], stale[i], c)
	}
	page.HasMore = more
	return write(w, r, struct {
		ID         string       `json:"id"`
		Versions   []policyView `json:"versions"`
		Count      int          `json:"count"`
		Pagination listPage     `json:"pagination"`
	}{id, list, len(list), page})
}

// Create makes a draft of a policy in any spelling and compiles it.
func (s *Policies) Create(w http.ResponseWriter, r *http.Request, c Author) error {
	in, err := readPolicy(r)
	if err != nil {
		return err
	}
	p, v, err := s.Registry.Create(r.Context(), c.Workspace, in, c.Requester.ID)
	if err != nil {
		return err
	}
	return s.made(w, r, c, &p, &v)
}

// Change takes what is to be other, and makes a new draft of it.
func (s *Policies) Change(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	if err := s.notAFile(id); err != nil {
		return err
	}
	in, err := readPolicy(r)
	if err != nil {
		return err
	}
	p, v, err := s.Registry.Revise(r.Context(), c.Workspace, id, in, c.Requester.ID)
	if err != nil {
		return err
	}
	return s.made(w, r, c, &p, &v)
}

// Delete retires a policy: 204.
func (s *Policies) Delete(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	if err := s.notAFile(id); err != nil {
		return err
	}
	if err := s.Registry.Retire(r.Context(), c.Workspace, id, c.Requester.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// notAFile refuses to change a policy that stands in a file.
func (s *Policies) notAFile(id string) error {
	if slices.ContainsFunc(s.Registry.Files(), func(p governance.Policy) bool { return fileID(p) == id }) {
		f := fault.New(fault.Forbidden, "This policy stands in a file of the server and is changed there")
		f.Hint = "Edit the file; the server takes it over by itself."
		return f
	}
	return nil
}

// readPolicy reads a policy in any spelling.
func readPolicy(r *http.Request) (policies.Input, error) {
	var body map[string]json.RawMessage
	if err := readBody(r, &body); err != nil {
		return policies.Input{}, err
	}
	in, err := policies.ReadInput(body)
	if err != nil {
		return in, policies.CreationFailed(err)
	}
	return in, nil
}

// bodyTime reads a time of a body; "" is none.
func bodyTime(text, field string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := readTime(text, end)
	if !ok {
		f := fault.New(fault.InvalidRequest, "%s must be a time like 2026-01-02T15:04:05Z, or a day", field)
		f.Param = field
		return t, f
	}
	return t, nil
}
