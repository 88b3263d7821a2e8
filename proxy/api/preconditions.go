package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"cadreen/fault"
	"cadreen/governance"
)

// Seen is the catalogue of the tools that a workspace's requests offered.
type Seen interface {
	Tools(ctx context.Context, workspace string) ([]governance.Tool, error)
}

// Observer knows the calls of a conversation that went out.
type Observer interface {
	Observed(ctx context.Context, workspace, principal, conversation string, ids []string) ([]governance.Released, error)
	// ReadLedger loads what rules about calls that nobody made ask of the ledger.
	ReadLedger(ctx context.Context, judge governance.Decider, f *governance.Facts, calls ...governance.Call) error
}

// Preconditions says what holds an action back. It writes nothing and asks no
// model.
type Preconditions struct {
	Deciding Deciding
	Seen     Seen
	Observer Observer
	Now      func() time.Time
}

// action is what is looked at. Older names of its fields are accepted.
type action struct {
	ToolName   string          `json:"tool_name"`
	Tool       string          `json:"tool"`
	Parameters jsontext.Value  `json:"parameters"`
	Arguments  jsontext.Value  `json:"arguments"`
	Domain     string          `json:"domain"`
	UserID     string          `json:"user_id"`
	Chat       string          `json:"conversation_id"`
	Messages   *[]spokenBy     `json:"messages"`
	Requester  *askedRequester `json:"requester"`
}

// spokenBy is a message: an object, or its text alone for one of the user's.
type spokenBy struct{ role, text string }

// UnmarshalJSON implements json.Unmarshaler.
func (m *spokenBy) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		m.role = "user"
		return json.Unmarshal(b, &m.text)
	}
	var in struct{ Role, Content string }
	err := json.Unmarshal(b, &in)
	m.role, m.text = in.Role, in.Content
	return err
}

// askedRequester stands for somebody else than the caller.
type askedRequester struct {
	ID     string         `json:"id"`
	Roles  []string       `json:"roles"`
	Claims map[string]any `json:"claims"`
}

// Checked is the answer.
type Checked struct {
	ToolName string `json:"tool_name"`
	// Status is unmet if one precondition is, else unknown if one is, else met.
	Status  string             `json:"status"`
	Verdict governance.Verdict `json:"verdict"`
	Gate    governance.Gate    `json:"gate"`
	// ReasonCode and Reason of the verdict.
	ReasonCode    string                    `json:"reason_code"`
	Reason        string                    `json:"reason"`
	Preconditions []governance.Precondition `json:"preconditions"`
	Count         int                       `json:"count"`
	Met           int                       `json:"met"`
	Unmet         int                       `json:"unmet"`
	Unknown       int                       `json:"unknown"`
	NextAction    fault.NextAction          `json:"next_action"`
}

// Check answers POST /preconditions/check.
func (p *Preconditions) Check(w http.ResponseWriter, r *http.Request, c Caller) error {
	var a action
	if err := readBody(r, &a); err != nil {
		return err
	}
	call, err := a.call()
	if err != nil {
		return err
	}
	facts, lacks, known, err := p.facts(r.Context(), c, &a, call.Name)
	if err != nil {
		return err
	}
	bundle, err := p.Deciding.For(r.Context(), c.Workspace)
	if err != nil {
		return err
	}
	if lacks.Ledger = lacks.Arguments; !lacks.Ledger {
		if err := p.Observer.ReadLedger(r.Context(), bundle, &facts, call); err != nil {
			return err
		}
	}
	list, decision := bundle.Preconditions(facts, call, lacks)
	if !known {
		list = append(list, governance.Precondition{State: governance.Unknown, Effect: governance.Clarify, Needs: []string{"the schema of the tool"},
			Detail: "no request of this workspace has offered a tool of this name: what arguments it takes is not known"})
	}
	return write(w, r, answerOf(call.Name, list, decision))
}

func (a *action) call() (governance.Call, error) {
	if a.ToolName == "" {
		a.ToolName = a.Tool
	}
	if a.Parameters == nil {
		a.Parameters = a.Arguments
	}
	call := governance.Call{Name: a.ToolName, Form: governance.FormFunction, Arguments: "{}"}
	if !governance.ValidName(a.ToolName) {
		return call, failedCheck("tool_name", "tool_name must be the name of a tool: 1 to 128 of A-Z a-z 0-9 _ . : / -")
	}
	switch {
	case a.Parameters == nil || a.Parameters.Kind() == 'n':
		a.Parameters = nil
	case a.Parameters.Kind() == '{':
		call.Arguments = string(a.Parameters)
	default:
		return call, failedCheck("parameters", "parameters must be an object, the arguments of the tool")
	}
	return call, nil
}

func failedCheck(param, message string) error {
	f := fault.New(fault.PreconditionsCheckFailed, "%s", message)
	f.Param = param
	never := false
	f.ShouldRetry = &never
	return f
}

// facts are what the action is looked at with; known says that the tool's schema is.
func (p *Preconditions) facts(ctx context.Context, c Caller, a *action, tool string) (f governance.Facts, lacks governance.Unsupplied, known bool, err error) {
	f = governance.Facts{Workspace: c.Workspace, Domain: a.Domain, Requester: c.Requester, Conversation: a.Chat, Now: p.Now().UTC(), Tools: map[string]governance.Tool{}}
	if a.UserID != "" {
		f.Requester.ID += "/" + a.UserID
	}
	list, err := p.Seen.Tools(ctx, c.Workspace)
	if err != nil {
		return f, lacks, false, err
	}
	for _, t := range list {
		f.Tools[t.Name] = t
	}
	if _, known = f.Tools[tool]; !known {
		f.Tools[tool] = governance.Tool{Type: "function", Name: tool, Assumed: true}
	}
	lacks = governance.Unsupplied{Arguments: a.Parameters == nil, Words: a.Messages == nil, Conversation: a.Chat == "", Ledger: true}
	if a.Messages != nil {
		for _, m := range *a.Messages {
			if m.role == "user" {
				f.Turns++
				f.UserTexts = append(f.UserTexts, m.text)
			}
		}
	}
	if a.Chat != "" {
		if f.Released, err = p.Observer.Observed(ctx, c.Workspace, f.Requester.ID, a.Chat, nil); err != nil {
			return f, lacks, known, err
		}
	}
	if a.Requester != nil {
		if !slices.ContainsFunc(c.Requester.Roles, func(role string) bool { return role == "author" || role == "reviewer" || role == "operator" }) {
			e := fault.New(fault.Forbidden, "This API key may ask for itself only")
			e.Param = "requester"
			e.Hint = "Leave requester out, or use a key with the role author, reviewer or operator."
			return f, lacks, known, e
		}
		f.Requester = governance.Requester{ID: a.Requester.ID, KeyID: c.Requester.KeyID, Roles: a.Requester.Roles, Claims: a.Requester.Claims}
	}
	return f, lacks, known, nil
}

func answerOf(tool string, list []governance.Precondition, d governance.CallDecision) Checked {
	a := Checked{ToolName: tool, Status: governance.Met, Verdict: d.Verdict, Gate: d.Verdict.Gate(), ReasonCode: d.Reason, Reason: d.Detail,
		Preconditions: list, Count: len(list)}
	if d.Message != "" {
		a.Reason = d.Message
	}
	var open *governance.Precondition // the first that can be done something about
	for i := range list {
		switch list[i].State {
		case governance.Met:
			a.Met++
		case governance.Unmet:
			a.Unmet++
			if open == nil || open.State == governance.Unknown || open.Tool == "" && list[i].Tool != "" {
				open = &list[i]
			}
		default:
			a.Unknown++
			if open == nil {
				open = &list[i]
			}
		}
	}
	switch {
	case a.Unmet > 0:
		a.Status = governance.Unmet
	case a.Unknown > 0:
		a.Status = governance.Unknown
	}
	a.NextAction = nextStep(open)
	return a
}

// nextStep is what to do about a precondition.
func nextStep(p *governance.Precondition) fault.NextAction {
	switch {
	case p == nil:
		return fault.NextAction{Type: "none", Label: "Nothing holds this action back"}
	case p.Tool != "":
		return fault.NextAction{Type: "resolve_gap", Label: "Call " + p.Tool + " first", Reason: p.Fact}
	case p.State == governance.Unknown:
		return fault.NextAction{Type: "resolve_gap", Label: "Give " + strings.Join(p.Needs, ", "), Reason: p.Detail}
	case p.Fact != "" || p.Effect == governance.Clarify:
		return fault.NextAction{Type: "resolve_gap", Label: "Supply the missing fact", Reason: p.Fact}
	case p.Effect == governance.Confirm:
		return fault.NextAction{Type: "confirm_execution", Label: "The requester will be asked", Reason: p.Detail}
	case p.Effect == governance.Escalate:
		return fault.NextAction{Type: "resolve_escalation", Label: "A reviewer will be asked", Reason: p.Detail}
	}
	return fault.NextAction{Type: "add_policy", Label: "Policy blocks this action", Reason: p.Detail}
}
