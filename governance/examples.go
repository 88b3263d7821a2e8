package governance

import "fmt"

// RunExamples judges the examples of a rule of a policy by that rule alone, as when
// the policy is loaded, and answers what came out, whether or not it is what they
// expect.
func RunExamples(p Policy, rule Rule, opts Options) ([]CallDecision, error) {
	examples := rule.Examples
	rule.Examples, rule.Mode = nil, Enforce
	p.Rules = []Rule{rule}
	b, err := NewBundle([]Policy{p}, opts)
	if err != nil {
		return nil, err
	}
	judge := b.alone(b.rules[0])
	out := make([]CallDecision, len(examples))
	for i, e := range examples {
		out[i] = judge.Judge(e.facts(&p), e.call())
	}
	return out, nil
}

func (e Example) call() Call {
	return Call{ID: "example", Name: e.Call.Name, Form: FormFunction, Arguments: string(e.Call.Arguments)}
}

// alone is a bundle of one rule, enforced.
func (b *Bundle) alone(r *compiledRule) *Bundle {
	enforced := *r.Rule
	enforced.Mode = Enforce
	rule := *r
	rule.Rule = &enforced
	// The workspace's profile must not make a policy fail to load: what a rule
	// leaves to the profile is judged as guarded, other rules as observe.
	profile := Observe
	if enforced.TakesOver() {
		profile = Guarded
	}
	judge := &Bundle{opts: b.opts, profile: profile, rules: []*compiledRule{&rule}}
	judge.index, judge.reads = newToolIndex(judge.rules), rule.reads
	return judge
}

// runExamples judges every example of a rule by that rule alone, as if it were
// enforced, and reports those that get another verdict.
func (b *Bundle) runExamples(r *compiledRule) []error {
	if len(r.Examples) == 0 {
		return nil
	}
	judge := b.alone(r)
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
		d := judge.Judge(e.facts(r.policy), e.call())
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
		Requester: Requester{ID: "example"}, Tools: map[string]Tool{e.Call.Name: {Type: "function", Name: e.Call.Name, Assumed: true}}, Now: exampleTime}
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
