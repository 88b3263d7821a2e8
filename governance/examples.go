package governance

import "fmt"

// runExamples judges every example of a rule by that rule alone, as if it were
// enforced, and reports those that get another verdict.
func (b *Bundle) runExamples(r *compiledRule) []error {
	if len(r.Examples) == 0 {
		return nil
	}
	alone := *r.Rule
	alone.Mode = Enforce
	rule := *r
	rule.Rule = &alone
	// The workspace's profile must not make a policy fail to load: what a rule
	// leaves to the profile is judged as guarded, other rules as observe.
	profile := Observe
	if alone.TakesOver() {
		profile = Guarded
	}
	judge := &Bundle{opts: b.opts, profile: profile, rules: []*compiledRule{&rule}}
	judge.index, judge.reads = newToolIndex(judge.rules), rule.reads
	var problems []error
	for i, e := range r.Examples {
		line := e.Line
		if line == 0 {
			line = r.Line
		}
		if all, _ := judge.index.find(e.Call.Name); len(all) == 0 {
			problems = append(problems, &LoadError{File: r.policy.Source, Line: line,
				Problem: fmt.Sprintf("rule %q: example %d calls %q, which is none of the rule's tools", r.ID, i+1, e.Call.Name)})
			continue
		}
		d := judge.Judge(e.facts(r.policy), Call{ID: "example", Name: e.Call.Name, Form: FormFunction, Arguments: string(e.Call.Arguments)})
		if d.Verdict != e.Expect {
			problems = append(problems, &LoadError{File: r.policy.Source, Line: line,
				Problem: fmt.Sprintf("rule %q: example %d should be %s and is %s: %s", r.ID, i+1, e.Expect, d.Verdict, d.Detail),
				Fix:     "correct the rule or the example"})
		}
	}
	return problems
}

// facts of an example: its own words and requester, the policy's domain, a fixed
// Thursday noon where it names no time, and one offered tool without a schema.
func (e Example) facts(p *Policy) Facts {
	facts := Facts{Workspace: "example", Domain: p.Domain, Conversation: "example", Turns: max(1, len(e.Messages)), UserTexts: e.Messages,
		Requester: Requester{ID: "example"}, Tools: map[string]Tool{e.Call.Name: {Type: "function", Name: e.Call.Name}}, Now: exampleTime}
	if e.Requester != nil {
		facts.Requester = *e.Requester
	}
	if e.Domain != "" {
		facts.Domain = e.Domain
	}
	if !e.Now.IsZero() {
		facts.Now = e.Now
	}
	return facts
}
