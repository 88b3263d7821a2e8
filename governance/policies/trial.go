package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"cadreen/fault"
	"cadreen/governance"
)

// inlineName is that of a policy that is evaluated and stored nowhere.
const inlineName = "inline"

// Trial is a call that nobody has made.
type Trial struct {
	Tool      string
	Arguments []byte // a JSON object
	Domain    string
	Requester governance.Requester
	Messages  []string // the requester's own words
	Now       time.Time
}

// call of the trial.
func (t Trial) call() governance.Call {
	return governance.Call{ID: "trial", Name: t.Tool, Form: governance.FormFunction, Arguments: string(t.Arguments)}
}

// facts of the trial: the tool counts as offered, as requests of the workspace offer
// it where they do.
func (t Trial) facts(workspace string, tools []governance.Tool, now time.Time) governance.Facts {
	f := governance.Facts{Workspace: workspace, Domain: t.Domain, Conversation: "trial", Turns: len(t.Messages), UserTexts: t.Messages,
		Requester: t.Requester, Now: now, Tools: map[string]governance.Tool{}}
	for _, tool := range tools {
		f.Tools[tool.Name] = tool
	}
	if _, ok := f.Tools[t.Tool]; !ok {
		f.Tools[t.Tool] = governance.Tool{Type: "function", Name: t.Tool, Assumed: true}
	}
	if !t.Now.IsZero() {
		f.Now = t.Now
	}
	return f
}

// Evaluate judges calls that nobody has made by what is active in the workspace, and
// by these versions in the place of what is active of their policies.
func (r *Registry) Evaluate(ctx context.Context, workspace string, trials []Trial, versions ...*Version) ([]governance.CallDecision, error) {
	bundle, err := r.bundleWith(ctx, workspace, versions)
	if err != nil {
		return nil, err
	}
	tools, err := r.tools.Tools(ctx, workspace)
	if err != nil {
		return nil, storeFault(err)
	}
	now, err := r.engine.Now(ctx)
	if err != nil {
		return nil, storeFault(err)
	}
	out := make([]governance.CallDecision, len(trials))
	for i, t := range trials {
		facts, call := t.facts(workspace, tools, now), t.call()
		if err := governance.ReadLedger(ctx, r.engine, bundle, &facts, call); err != nil {
			return nil, err
		}
		out[i] = bundle.Judge(facts, call)
	}
	return out, nil
}

// bundleWith is With, with the errors of what asks a policy.
func (r *Registry) bundleWith(ctx context.Context, workspace string, versions []*Version) (*governance.Bundle, error) {
	if len(versions) == 0 {
		return r.bundles.For(ctx, workspace)
	}
	bundle, err := r.With(ctx, workspace, versions...)
	var own *fault.Error
	switch {
	case err == nil || errors.As(err, &own):
		return bundle, err
	case errors.Is(err, errOpen):
		e := fault.Wrap(err, fault.PolicyEvaluationFailed, "The policy is not compiled: it has open questions, or words that were not understood")
		for _, v := range versions {
			e.Details = append(e.Details, v.open()...)
		}
		return nil, e
	}
	return nil, fault.Wrap(err, fault.PolicyEvaluationFailed, "%v", err)
}

// open lists what keeps a version from being compiled.
func (v *Version) open() []fault.Detail {
	var list []fault.Detail
	for _, p := range v.Problems {
		list = append(list, fault.Detail{Field: p.Field, Message: p.Message})
	}
	for _, rule := range v.Rules {
		for _, q := range rule.Questions {
			list = append(list, fault.Detail{Field: q.ID, Message: q.Text})
		}
		for _, w := range rule.Unknown {
			text := "not understood: " + w.Text
			if w.Hint != "" {
				text += " (" + w.Hint + ")"
			}
			list = append(list, fault.Detail{Field: rule.ID, Message: text})
		}
	}
	return list
}

// Inline compiles a policy that is stored nowhere.
func (r *Registry) Inline(ctx context.Context, workspace string, in Input) (Version, error) {
	v, err := r.compile(ctx, workspace, inlineName, source{Domain: in.Domain, Config: in.Config, Rules: in.Rules}, Version{}, true)
	if err != nil {
		return v, EvaluationFailed(err)
	}
	if v.Document == nil {
		return v, &fault.Error{Code: fault.PolicyEvaluationFailed, Message: "The rule was not understood", Details: v.open()}
	}
	return v, nil
}

// Lint looks at a version beside everything else that is active in the workspace:
// see governance.LintPolicy. Nothing is found of a version that is not compiled, or
// has more than maxLinted rules.
func (r *Registry) Lint(ctx context.Context, workspace string, p *Policy, v *Version) ([]governance.Finding, error) {
	if v.Document == nil || len(v.Rules) > maxLinted {
		return nil, nil // the version's warnings say so
	}
	bundle, err := r.With(ctx, workspace, v)
	if err != nil {
		// What keeps it from being loaded is said when it is confirmed.
		var own *fault.Error
		if errors.As(err, &own) {
			return nil, err
		}
		return nil, nil
	}
	tools, err := r.tools.Tools(ctx, workspace)
	if err != nil {
		return nil, storeFault(err)
	}
	return governance.LintPolicy(bundle, tools, p.Name), nil
}

// Tested is one case with what came out.
type Tested struct {
	Name     string
	Tool     string
	Expect   governance.Verdict
	Decision governance.CallDecision
}

// Test judges cases, written as the examples of a rule with a name, by a version
// beside everything that is active. Without cases the version's own examples are
// judged, by it alone.
func (r *Registry) Test(ctx context.Context, workspace string, v *Version, cases []json.RawMessage) ([]Tested, error) {
	if len(cases) == 0 {
		return r.testAlone(v)
	}
	var names []string
	plain := make([]map[string]json.RawMessage, len(cases))
	for i, raw := range cases {
		at := fmt.Sprintf("cases[%d]", i)
		var problems Problems
		if !isObject(raw) || json.Unmarshal(raw, &plain[i]) != nil {
			problems.add(at, "should be an object")
		} else {
			name := at
			if text, ok := plain[i]["name"]; ok {
				name = readText(text, at+".name", &problems)
				delete(plain[i], "name")
			}
			names = append(names, name)
		}
		if err := problems.err(); err != nil {
			return nil, invalidCases(problems)
		}
	}
	text, err := encode(map[string]any{"name": "cases", "rules": []any{map[string]any{"when": "true", "effect": "block", "examples": plain}}})
	if err != nil {
		return nil, err
	}
	parsed, err := governance.ParsePolicies("", text, nil)
	if err != nil {
		return nil, invalidCases(problemsOf("cases", err))
	}
	examples := parsed[0].Rules[0].Examples
	trials := make([]Trial, len(examples))
	out := make([]Tested, len(examples))
	for i, e := range examples {
		trials[i] = Trial{Tool: e.Call.Name, Arguments: e.Call.Arguments, Domain: e.Domain, Messages: e.Messages, Now: e.Now, Requester: governance.Requester{ID: "requester"}}
		if e.Requester != nil {
			trials[i].Requester = *e.Requester
		}
		if trials[i].Domain == "" {
			trials[i].Domain = v.Domain
		}
		out[i] = Tested{Name: names[i], Tool: e.Call.Name, Expect: e.Expect}
	}
	decisions, err := r.Evaluate(ctx, workspace, trials, v)
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Decision = decisions[i]
	}
	return out, nil
}

// invalidCases is the fault of cases that cannot be read.
func invalidCases(problems Problems) error {
	e := fault.Wrap(problems, fault.InvalidRequest, "%s", first(problems))
	e.Param = "cases"
	return e
}

// testAlone judges the examples of a version by it alone, each by its rule.
func (r *Registry) testAlone(v *Version) ([]Tested, error) {
	p, err := v.policy(inlineName)
	if errors.Is(err, errOpen) {
		return nil, &fault.Error{Code: fault.PolicyEvaluationFailed, Message: "The policy is not compiled", Details: v.open()}
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.PolicyEvaluationFailed, "%v", err)
	}
	var out []Tested
	options := r.bundles.files.Bundle().Options()
	for _, rule := range p.Rules {
		results, err := governance.RunExamples(p, rule, options)
		if err != nil {
			return nil, fault.Wrap(err, fault.PolicyEvaluationFailed, "%v", err)
		}
		for i, d := range results {
			out = append(out, Tested{Name: fmt.Sprintf("%s, example %d", rule.ID, i+1), Tool: rule.Examples[i].Call.Name, Expect: rule.Examples[i].Expect, Decision: d})
		}
	}
	return out, nil
}

// Archive is where recorded decisions are kept with what they were judged by.
type Archive interface {
	// EvidenceBetween answers a page, newest first, and whether there is more.
	EvidenceBetween(ctx context.Context, workspace string, from, to time.Time, offset, limit int) ([]governance.Evidence, bool, error)
}

// Bounds of a simulation.
const (
	// MaxReplayed is the most turns that are replayed at once.
	MaxReplayed = 20_000
	// MaxChanges is the most changed decisions that are listed; all are counted.
	MaxChanges = 200
	replayPage = 200
)

// Change is a recorded decision that would be another one.
type Change struct {
	TraceID  string
	At       time.Time
	Tool     string
	Recorded governance.Verdict // what was decided then
	Before   governance.Verdict // by what is active now
	After    governance.CallDecision
	Rule     string // that determined it then, as policy/rule
}

// Simulation is a replay of recorded decisions.
type Simulation struct {
	Turns, Calls int
	// CannotTell counts the calls whose arguments or facts are not kept.
	CannotTell int
	Stricter   int
	Milder     int
	Changes    []Change // the newest first, at most MaxChanges
	// More says that older decisions were left out, because they are too many.
	More     bool
	From, To time.Time // of the decisions that were replayed; zero if there were none
	// By is how often it would be which verdict, before and after.
	Before, After map[governance.Verdict]int
}

// Changed counts the calls that would be decided otherwise.
func (s *Simulation) Changed() int { return s.Stricter + s.Milder }

// Simulate judges recorded decisions again: by what is active now, and by that with
// these versions in the place of what is active of their policies. Only what the
// versions would change counts as changed.
func (r *Registry) Simulate(ctx context.Context, archive Archive, workspace string, from, to time.Time, limit int, versions ...*Version) (Simulation, error) {
	s := Simulation{Before: map[governance.Verdict]int{}, After: map[governance.Verdict]int{}}
	now, err := r.bundles.For(ctx, workspace)
	if err != nil {
		return s, err
	}
	then, err := r.bundleWith(ctx, workspace, versions)
	if err != nil {
		return s, err
	}
	if limit <= 0 || limit > MaxReplayed {
		limit = MaxReplayed
	}
	if to.IsZero() { // what is decided meanwhile must not move the pages
		if to, err = r.engine.Now(ctx); err != nil {
			return s, storeFault(err)
		}
	}
	for offset := 0; ; offset += replayPage {
		page, more, err := archive.EvidenceBetween(ctx, workspace, from, to, offset, min(replayPage, limit-offset))
		if err != nil {
			return s, err
		}
		for i := range page {
			s.replay(&page[i], now, then)
		}
		if !more {
			return s, nil
		}
		if offset+replayPage >= limit {
			s.More = true
			return s, nil
		}
	}
}

func (s *Simulation) replay(e *governance.Evidence, now, then *governance.Bundle) {
	s.Turns++
	s.From = e.Created
	if s.To.IsZero() {
		s.To = e.Created
	}
	before, after := e.Redecide(now), e.Redecide(then)
	for i, a := range after {
		s.Calls++
		b := before[i]
		if a.CannotTell != "" || b.CannotTell != "" {
			s.CannotTell++
			continue
		}
		s.Before[b.After.Verdict]++
		s.After[a.After.Verdict]++
		switch {
		case a.After.Verdict > b.After.Verdict:
			s.Stricter++
		case a.After.Verdict < b.After.Verdict:
			s.Milder++
		default:
			continue
		}
		if len(s.Changes) < MaxChanges {
			s.Changes = append(s.Changes, Change{TraceID: e.TraceID, At: e.Created, Tool: a.Call.Name, Recorded: a.Before,
				Before: b.After.Verdict, After: a.After, Rule: a.Rule})
		}
	}
}
