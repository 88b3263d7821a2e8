package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/intelligence"
)

// named is a version that a request about decisions names.
type namedVersion struct {
	ID      string `json:"id"`
	Version *int   `json:"version"`
}

// version loads one, the newest where no number is given.
func (s *Policies) version(r *http.Request, c Author, n namedVersion) (*policies.Version, error) {
	number, err := versionOf(n.Version)
	if err != nil {
		return nil, err
	}
	_, v, err := s.Registry.Get(r.Context(), c.Workspace, n.ID)
	if err == nil && number > 0 && number != v.Number {
		v, err = s.Registry.Version(r.Context(), c.Workspace, n.ID, number)
	}
	return &v, err
}

// who is a requester that a body describes.
type who struct {
	ID     string         `json:"id"`
	Roles  []string       `json:"roles"`
	Claims map[string]any `json:"claims"`
}

// evaluated is the answer of Evaluate.
type evaluated struct {
	Action          string        `json:"action"`
	Domain          string        `json:"domain,omitempty"`
	Result          evaluatedWord `json:"result"`
	DecisionID      string        `json:"decision_id"`
	PolicyTriggered string        `json:"policy_triggered,omitempty"`
	Checks          []policyCheck `json:"checks"`
	Reason          string        `json:"reason"`
	Message         string        `json:"message,omitempty"`
	Stale           bool          `json:"stale,omitempty"`
}

type evaluatedWord struct {
	Type string `json:"type"`
	// Confidence is absent where only the profile decided, as in a trace.
	Confidence float64 `json:"confidence,omitempty"`
	Reason     string  `json:"reason"`
}

type policyCheck struct {
	Rule   string `json:"rule"`
	Result string `json:"result"` // exceeds, or pass
	Detail string `json:"detail"`
}

// Evaluate judges a call that nobody has made. Body: action (the tool's name),
// context (its arguments), and optionally requester, domain, messages, now; policies
// (a list of {id, version}) puts those versions in the place of what is active, and
// rule, or rules, a policy that is stored nowhere beside it.
func (s *Policies) Evaluate(w http.ResponseWriter, r *http.Request, c Author) error {
	var body struct {
		Action    string          `json:"action"`
		Context   json.RawMessage `json:"context"`
		Domain    string          `json:"domain"`
		Requester *who            `json:"requester"`
		Messages  json.RawMessage `json:"messages"`
		Now       string          `json:"now"`
		PolicyID  string          `json:"policy_id"`
		Version   *int            `json:"version"`
		Policies  []namedVersion  `json:"policies"`
		Rule      json.RawMessage `json:"rule"`
		Effect    json.RawMessage `json:"effect"`
		Rules     json.RawMessage `json:"rules"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	if body.Action == "" {
		f := fault.New(fault.InvalidRequest, "action is missing: the name of the tool that would be called")
		f.Param = "action"
		return f
	}
	trial := policies.Trial{Tool: body.Action, Domain: body.Domain, Requester: c.Requester, Arguments: body.Context}
	if len(body.Context) == 0 || string(body.Context) == "null" {
		trial.Arguments = []byte("{}")
	} else if body.Context[0] != '{' {
		f := fault.New(fault.InvalidRequest, "context must be an object: the arguments of the call")
		f.Param = "context"
		return f
	}
	if q := body.Requester; q != nil {
		if !c.ForOthers {
			f := fault.New(fault.Forbidden, "This API key may not ask for another requester: it lacks the role author or reviewer")
			f.Param = "requester"
			return f
		}
		trial.Requester = governance.Requester{ID: q.ID, KeyID: c.Requester.KeyID, Roles: q.Roles, Claims: q.Claims}
		if q.ID == "" {
			trial.Requester.ID = c.Requester.ID
		}
	}
	var err error
	if trial.Messages, err = userTexts(body.Messages); err != nil {
		return err
	}
	if trial.Now, err = bodyTime(body.Now, "now", false); err != nil {
		return err
	}
	if body.PolicyID != "" {
		body.Policies = append(body.Policies, namedVersion{body.PolicyID, body.Version})
	}
	inline := map[string]json.RawMessage{}
	for field, raw := range map[string]json.RawMessage{"rule": body.Rule, "effect": body.Effect, "rules": body.Rules} {
		if len(raw) > 0 {
			inline[field] = raw
		}
	}
	if (len(body.Policies) > 0 || len(inline) > 0) && !c.Writes {
		return fault.New(fault.Forbidden, "This API key lacks the role author, which drafts are for")
	}
	var versions []*policies.Version
	for _, n := range body.Policies {
		v, err := s.version(r, c, n)
		if err != nil {
			return err
		}
		versions = append(versions, v)
	}
	if len(inline) > 0 {
		in, err := policies.ReadInput(inline)
		if err != nil {
			return policies.EvaluationFailed(err)
		}
		v, err := s.Registry.Inline(r.Context(), c.Workspace, in)
		if err != nil {
			return err
		}
		versions = append(versions, &v)
	}
	told := intelligence.From(r.Context())
	begun := told.Begin()
	decisions, err := s.Registry.Evaluate(r.Context(), c.Workspace, []policies.Trial{trial}, versions...)
	if err != nil {
		return err
	}
	tellTried(told, begun, body.Domain, body.Action, &decisions[0])
	out := evaluatedOf(body.Action, body.Domain, decisions[0])
	out.DecisionID = "dec_" + strings.TrimPrefix(c.TraceID, "cad_")
	return write(w, r, out)
}

func evaluatedOf(action, domain string, d governance.CallDecision) evaluated {
	out := evaluated{Action: action, Domain: domain, Reason: d.Detail, Message: d.Message, Stale: d.Stale, Checks: []policyCheck{},
		Result: evaluatedWord{Type: d.Verdict.String(), Reason: d.Detail}}
	out.Result.Confidence, _ = d.Confidence()
	for _, f := range d.Fired {
		check := policyCheck{Rule: f.Policy + "/" + f.Rule, Result: "pass", Detail: checkDetail(f)}
		if f.Effect > governance.Allow && f.Line > 0 {
			check.Result = "exceeds"
		}
		out.Checks = append(out.Checks, check)
		if f.Determining && out.PolicyTriggered == "" {
			out.PolicyTriggered = f.Policy
		}
	}
	return out
}

// checkDetail says in one line what a rule said.
func checkDetail(f governance.Fired) string {
	text := f.Effect.String()
	switch {
	case f.Exempt:
		text += ": its exception holds"
	case f.Line == 0:
		text += ": none of its lines holds"
	default:
		text += ": " + f.If
	}
	if f.Error != "" {
		text += " (could not be evaluated: " + f.Error + ")"
	}
	if f.Mode == governance.Shadow {
		text += " (shadow: recorded only)"
	}
	if f.Stale {
		text += " (stale: the tool's schema has changed)"
	}
	return text
}

// userTexts reads messages: texts, or messages as in a chat completion, of which the
// user's count.
func userTexts(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	wrong := func() error {
		f := fault.New(fault.InvalidRequest, "messages must be texts, or objects with a role and a content")
		f.Param = "messages"
		return f
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, wrong()
	}
	var texts []string
	for _, one := range list {
		var text string
		if json.Unmarshal(one, &text) == nil {
			texts = append(texts, text)
			continue
		}
		var m struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}
		if json.Unmarshal(one, &m) != nil {
			return nil, wrong()
		}
		if m.Role == "user" {
			texts = append(texts, m.Content)
		}
	}
	return texts, nil
}

// testedCase is one case of Test.
type testedCase struct {
	Name    string        `json:"name"`
	Tool    string        `json:"tool"`
	Expect  string        `json:"expect"`
	Verdict string        `json:"verdict"`
	OK      bool          `json:"ok"`
	Reason  string        `json:"reason"`
	Checks  []policyCheck `json:"checks"`
}

// Test judges cases by a version beside everything that is active. Body: {version,
// cases: [{name, call: {name, arguments}, expect, requester, messages, domain, now}]};
// without cases the examples of the version are judged, by it alone.
func (s *Policies) Test(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	var body struct {
		Version *int              `json:"version"`
		Cases   []json.RawMessage `json:"cases"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	v, err := s.version(r, c, namedVersion{id, body.Version})
	if err != nil {
		return err
	}
	results, err := s.Registry.Test(r.Context(), c.Workspace, v, body.Cases)
	if err != nil {
		return err
	}
	out := struct {
		ID      string       `json:"id"`
		Version int          `json:"version"`
		Passed  int          `json:"passed"`
		Failed  int          `json:"failed"`
		Count   int          `json:"count"`
		Cases   []testedCase `json:"cases"`
	}{ID: id, Version: v.Number, Count: len(results), Cases: []testedCase{}}
	for _, one := range results {
		e := evaluatedOf(one.Tool, "", one.Decision)
		t := testedCase{Name: one.Name, Tool: one.Tool, Expect: one.Expect.String(), Verdict: one.Decision.Verdict.String(),
			OK: one.Expect == one.Decision.Verdict, Reason: one.Decision.Detail, Checks: e.Checks}
		if t.OK {
			out.Passed++
		} else {
			out.Failed++
		}
		out.Cases = append(out.Cases, t)
	}
	return write(w, r, out)
}

// simulated is the answer of Simulate.
type simulated struct {
	ID         string           `json:"id"`
	Version    int              `json:"version"`
	Summary    string           `json:"summary"`
	Turns      int              `json:"turns"`
	Decisions  int              `json:"decisions"` // calls that were judged again
	Changed    int              `json:"changed"`
	Stricter   int              `json:"stricter"`
	Milder     int              `json:"milder"`
	CannotTell int              `json:"cannot_tell"`
	More       bool             `json:"more"` // older decisions were left out
	From       *time.Time       `json:"from,omitempty"`
	To         *time.Time       `json:"to,omitempty"`
	Before     map[string]int   `json:"before"`
	After      map[string]int   `json:"after"`
	Changes    []changedVerdict `json:"changes"`
}

type changedVerdict struct {
	TraceID  string    `json:"trace_id"`
	At       time.Time `json:"at"`
	Tool     string    `json:"tool"`
	Recorded string    `json:"recorded"` // as it was decided then
	Before   string    `json:"before"`   // by what is active now
	After    string    `json:"after"`
	Rule     string    `json:"rule,omitempty"` // that would decide, as policy/rule
	Reason   string    `json:"reason"`
}

// Simulate replays recorded decisions with a version in the place of what is active
// of its policy. Body: {version, from, to, limit}.
func (s *Policies) Simulate(w http.ResponseWriter, r *http.Request, c Author, id string) error {
	var body struct {
		Version *int   `json:"version"`
		From    string `json:"from"`
		To      string `json:"to"`
		Limit   int    `json:"limit"`
	}
	if err := readBody(r, &body); err != nil {
		return err
	}
	from, err := bodyTime(body.From, "from", false)
	if err != nil {
		return err
	}
	to, err := bodyTime(body.To, "to", true)
	if err != nil {
		return err
	}
	v, err := s.version(r, c, namedVersion{id, body.Version})
	if err != nil {
		return err
	}
	sim, err := s.Registry.Simulate(r.Context(), s.Archive, c.Workspace, from, to, body.Limit, v)
	if err != nil {
		return err
	}
	out := simulated{ID: id, Version: v.Number, Turns: sim.Turns, Decisions: sim.Calls, Changed: sim.Changed(), Stricter: sim.Stricter,
		Milder: sim.Milder, CannotTell: sim.CannotTell, More: sim.More, Before: counts(sim.Before), After: counts(sim.After), Changes: []changedVerdict{}}
	out.Summary = fmt.Sprintf("would have changed %d of %d", out.Changed, out.Decisions)
	if out.CannotTell > 0 {
		out.Summary += fmt.Sprintf("; of %d nobody can tell", out.CannotTell)
	}
	if sim.Turns > 0 {
		out.From, out.To = &sim.From, &sim.To
	}
	for _, ch := range sim.Changes {
		out.Changes = append(out.Changes, changedVerdict{TraceID: ch.TraceID, At: ch.At, Tool: ch.Tool, Recorded: ch.Recorded.String(),
			Before: ch.Before.String(), After: ch.After.Verdict.String(), Rule: ch.After.Determining(), Reason: ch.After.Detail})
	}
	return write(w, r, out)
}

func counts(by map[governance.Verdict]int) map[string]int {
	out := map[string]int{}
	for v, n := range by {
		out[v.String()] = n
	}
	return out
}
