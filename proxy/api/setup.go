package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"cadreen/fault"
	"cadreen/governance/policies"
)

// Setup is the checklist of a workspace. It applies what it is given as far as
// this version has a place for it, and says of everything else that it has none.
type Setup struct {
	Deciding Deciding
	Seen     Seen
	Policies *policies.Registry
}

// mostItems bounds the things of one kind that one request may set up.
const mostItems = 100

// mostWaiting bounds the policies that are looked through for drafts.
const mostWaiting = 200

// checklist is the answer. Arrays stand for what was sent; a kind that was not
// sent is absent.
type checklist struct {
	Connections []setUpConnection `json:"connections,omitempty"`
	Credentials []setUpCredential `json:"credentials,omitempty"`
	Memory      []setUpMemory     `json:"memory,omitempty"`
	Policies    []setUpPolicy     `json:"policies,omitempty"`
	Proposals   []proposal        `json:"proposals"`
	Checklist   []checklistItem   `json:"checklist"`
	Webhooks    []string          `json:"webhooks"` // to configure; this version has none
	Notice      string            `json:"notice"`
	Applied     int               `json:"applied"`
	Failed      int               `json:"failed"`
	DryRun      bool              `json:"dry_run"`
}

type setUpConnection struct {
	Capability string `json:"capability"`
	Status     string `json:"status"`
	Error      string `json:"error,omitempty"`
}

type setUpCredential struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
	Status   string `json:"status"`
	Error    string `json:"error,omitempty"`
}

type setUpMemory struct {
	Type   string `json:"type"`
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

type setUpPolicy struct {
	Name   string `json:"name"`
	ID     string `json:"id,omitempty"`
	Status string `json:"status"`
	Error  string `json:"error,omitempty"`
}

// proposal is a next step.
type proposal struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	Detail      string `json:"detail"`
}

// checklistItem is one part of the installation.
type checklistItem struct {
	Item     string `json:"item"`
	Status   string `json:"status"` // done, todo or unavailable
	Detail   string `json:"detail"`
	Endpoint string `json:"endpoint,omitempty"`
}

// Words of what became of an item.
const (
	setUpFailed      = "failed"
	setUpUnavailable = "unavailable"
)

type setupRequest struct {
	Connections []struct {
		Capability string `json:"capability"`
	} `json:"connections"`
	Credentials []struct {
		Provider string `json:"provider"`
		Name     string `json:"name"`
	} `json:"credentials"`
	Memory []struct {
		Type string `json:"type"`
	} `json:"memory"`
	Policies []map[string]json.RawMessage `json:"policies"`
	Confirm  bool                         `json:"confirm"`
	DryRun   bool                         `json:"dry_run"`
	Worked   string                       `json:"workspace_id"`
}

// Apply answers POST /setup. At least one of connections, credentials, memory and
// policies must be there; it may be empty, which asks for the checklist alone.
func (s *Setup) Apply(w http.ResponseWriter, r *http.Request, c Caller) error {
	var q setupRequest
	if err := readBody(r, &q); err != nil {
		return err
	}
	switch {
	case q.Connections == nil && q.Credentials == nil && q.Memory == nil && q.Policies == nil:
		return fault.New(fault.MissingFields, "")
	case q.Worked != "" && q.Worked != c.Workspace:
		return fault.New(fault.Forbidden, "workspace_id is not the workspace of this key")
	}
	for field, n := range map[string]int{"connections": len(q.Connections), "credentials": len(q.Credentials), "memory": len(q.Memory), "policies": len(q.Policies)} {
		if n > mostItems {
			f := fault.New(fault.InvalidRequest, "at most %d of %s can be set up at once", mostItems, field)
			f.Param = field
			return f
		}
	}
	a := checklist{Proposals: []proposal{}, Webhooks: []string{}, DryRun: q.DryRun}
	for _, x := range q.Connections {
		a.Connections = append(a.Connections, setUpConnection{x.Capability, setUpUnavailable, absent(fault.ProviderUnavailable)})
	}
	for _, x := range q.Credentials {
		a.Credentials = append(a.Credentials, setUpCredential{x.Provider, x.Name, setUpUnavailable, absent(fault.CredentialsUnavailable)})
	}
	for _, x := range q.Memory {
		a.Memory = append(a.Memory, setUpMemory{x.Type, setUpUnavailable, absent(fault.ServiceUnavailable)})
	}
	a.Failed = len(a.Connections) + len(a.Credentials) + len(a.Memory)
	for _, p := range q.Policies {
		done := s.policy(r.Context(), c, p, &q)
		if done.Error != "" {
			a.Failed++
		} else if !q.DryRun {
			a.Applied++
		}
		a.Policies = append(a.Policies, done)
	}
	if err := s.state(r.Context(), c, &a); err != nil {
		return err
	}
	a.Notice = fmt.Sprintf("%d applied, %d failed", a.Applied, a.Failed)
	if q.DryRun {
		a.Notice = "dry run: nothing was applied"
	}
	return write(w, r, a)
}

func absent(code string) string { return code + ": this version does not have it" }

// policy sets one policy up; it fails by itself, and not the others with it.
func (s *Setup) policy(ctx context.Context, c Caller, p map[string]json.RawMessage, q *setupRequest) setUpPolicy {
	var done setUpPolicy
	_ = json.Unmarshal(p["name"], &done.Name)
	if !slices.ContainsFunc(c.Requester.Roles, func(role string) bool { return role == "author" || role == "operator" }) {
		return done.failed(fault.New(fault.Forbidden, "this API key lacks the role author"))
	}
	in, err := policies.ReadInput(p)
	switch {
	case err != nil:
		return done.failed(policies.CreationFailed(err))
	case in.Name == "":
		return done.failed(fault.New(fault.PolicyMissingName, ""))
	case q.DryRun:
		done.Status = "not_applied"
		return done
	}
	made, _, err := s.Policies.Create(ctx, c.Workspace, in, c.Requester.ID)
	if err != nil {
		return done.failed(err)
	}
	done.ID, done.Status = made.ID, string(made.Status)
	if q.Confirm {
		out, err := s.Policies.Confirm(ctx, c.Workspace, made.ID, 1, "", c.Requester.ID)
		if err != nil {
			return done.failed(err) // the draft stays, and its id is shown
		}
		done.Status = string(out.Policy.Status)
	}
	return done
}

func (p setUpPolicy) failed(err error) setUpPolicy {
	f := fault.From(err)
	p.Status, p.Error = setUpFailed, f.Code
	if f.Message != "" {
		p.Error += ": " + f.Message
	}
	return p
}

// state is the checklist, from what is and is not there.
func (s *Setup) state(ctx context.Context, c Caller, a *checklist) error {
	bundle, err := s.Deciding.For(ctx, c.Workspace)
	if err != nil {
		return err
	}
	list, err := s.Seen.Tools(ctx, c.Workspace)
	if err != nil {
		return err
	}
	item := func(name, status, endpoint, format string, values ...any) {
		a.Checklist = append(a.Checklist, checklistItem{name, status, fmt.Sprintf(format, values...), endpoint})
	}
	state := func(n int) string {
		if n > 0 {
			return "done"
		}
		return "todo"
	}
	waiting, err := s.Policies.Waiting(ctx, c.Workspace, mostWaiting)
	if err != nil {
		return err
	}
	n := len(bundle.Policies())
	policy := state(n)
	if len(waiting) > 0 {
		policy = "todo"
	}
	item("policies", policy, "/api/v1/cadreen/policies", "%d policies decide, %d wait to be confirmed; the profile %s decides about what they do not cover", n, len(waiting), bundle.Profile())
	item("tools", state(len(list)), "/api/v1/cadreen/chat/completions", "%d tools have been offered by requests of this workspace", len(list))
	item("connections", setUpUnavailable, "", "%s", absent(fault.ProviderUnavailable))
	item("credentials", setUpUnavailable, "", "%s", absent(fault.CredentialsUnavailable))
	item("memory", setUpUnavailable, "", "%s", absent(fault.ServiceUnavailable))
	item("webhooks", setUpUnavailable, "", "%s", absent(fault.WebhookUnavailable))
	for _, w := range waiting {
		a.Proposals = append(a.Proposals, proposal{"confirm_policy", "Confirm version " + strconv.Itoa(w.Latest) + " of " + w.Name, "POST /api/v1/cadreen/policies/" + w.ID + "/confirm: it enforces nothing before."})
	}
	if n == 0 && len(waiting) == 0 {
		a.Proposals = append(a.Proposals, proposal{"add_policy", "Say what needs approval", "No policy decides in this workspace yet: the profile " + string(bundle.Profile()) + " decides about every call."})
	}
	if len(list) == 0 {
		a.Proposals = append(a.Proposals, proposal{"connect_tool", "Send a chat completion that offers tools", "No request of this workspace has offered a tool yet."})
	}
	return nil
}
