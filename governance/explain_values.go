package governance

import "fmt"

// Explain draws how the last of some calls of one turn is decided: the verdict,
// what the profile says, and every rule that applies, those that decide first: each
// of its lines up to the one that fired, its `unless`, and every part of them with
// the value it had. It decides as Decide does.
func (b *Bundle) Explain(facts Facts, calls []Call) Tree {
	decisions := b.Decide(facts, calls)
	d := decisions[len(decisions)-1]
	t := decisionTree(d)
	call := &calls[len(calls)-1]
	args, err := ReadArguments(*call)
	if err != nil || d.Reason == ReasonBadName || d.Reason == ReasonNotOffered || d.Reason == ReasonTruncated {
		return t // no rule was asked
	}
	in := &Input{Facts: &facts, Call: call, Args: args, Turn: &Scratchpad{}}
	for i := range calls[:len(calls)-1] {
		if calls[i].Choice != call.Choice {
			continue
		}
		in.Index++
		if v := decisions[i].Verdict; v != Block && v != Clarify {
			in.Provisional = append(in.Provisional, Released{ID: calls[i].ID, Name: calls[i].Name, Arguments: calls[i].Arguments, At: facts.Now})
		}
	}
	in.Count = in.Index + 1
	p := b.plan(call.Name, facts.Tools[call.Name])
	heard := map[[2]string]*planRule{}
	takenOver := false
	var silent []*planRule
	for i := range p.rules {
		r := &p.rules[i]
		if r.policy.Domain != "" && r.policy.Domain != facts.Domain {
			silent = append(silent, r)
			continue
		}
		heard[[2]string{r.policy.Name, r.ID}] = r
		takenOver = takenOver || r.names && r.mode() == Enforce
	}
	if d.Reason != ReasonProfile && d.Reason != ReasonForced {
		v, _, why := b.profileVerdict(&facts, call.Name, p.kind)
		if takenOver {
			t.add("the profile would say %s, but rules take the tool over", v)
		} else {
			t.add("the profile says %s: %s", v, why)
		}
	}
	for _, f := range decidingFirst(d.Fired) {
		branch := t.add("%s", firedText(f))
		key := [2]string{f.Policy, f.Rule}
		if r := heard[key]; r != nil {
			b.explainRule(branch, r, &f, in)
			delete(heard, key)
		}
	}
	for i := range p.rules {
		r := &p.rules[i]
		if heard[[2]string{r.policy.Name, r.ID}] == r {
			b.explainRule(t.add("%s/%s: says nothing", r.policy.Name, r.ID), r, &Fired{}, in)
		}
	}
	for _, r := range silent {
		t.add("%s/%s: not heard, it is for the domain %s", r.policy.Name, r.ID, r.policy.Domain)
	}
	return t
}

// explainRule draws the lines of a rule with their values.
func (b *Bundle) explainRule(t *Tree, r *planRule, f *Fired, in *Input) {
	in.Config = r.policy.Config
	last := len(r.lines)
	if f.Line > 0 {
		last = f.Line
	}
	fired := f.Line > 0
	for i := range last {
		// Which line fired under an exception is found by asking again.
		says := "does not hold"
		switch holds, err := r.lines[i].eval(in); {
		case err != nil:
			says = "could not be evaluated"
		case holds:
			says = "holds"
			fired = true
		}
		b.explainExpr(t.add("line %d %s: %s", i+1, says, r.When[i].If), r.When[i].If, &r.lines[i], in)
		if fired && f.Line == 0 {
			break
		}
	}
	if r.compiledRule.unless != nil && fired {
		says := "does not hold"
		if f.Exempt {
			says = "holds, as if no line did"
		}
		if f.UnlessError != "" {
			says = "could not be evaluated, which counts as false"
		}
		b.explainExpr(t.add("unless %s: %s", says, r.Rule.Unless), r.Rule.Unless, &r.unless, in)
	}
	switch {
	case f.Error != "":
		t.add("the error (%s) counts as the strictest effect from its line on: %s", showText(f.Error), f.Effect)
	case f.Rule != "" && f.Line == 0 && f.byProfile:
		t.add("else: as the profile says")
	case f.Rule != "" && f.Line == 0:
		t.add("else: %s", f.Effect)
	}
	if f.Residual != "" {
		t.add("it depends on: %s", f.Residual)
	}
	if r.Confidence > 0 {
		t.add("a model read it, with confidence %.2f", r.Confidence)
	}
	if r.Condition != "" {
		t.add("in words: %s", showText(r.Condition))
	}
}

// explainExpr adds the parts of an expression with their values.
func (b *Bundle) explainExpr(t *Tree, expr string, compiled *typed, in *Input) {
	if compiled.err != nil {
		t.add("it does not fit the tool: %s", compiled.err)
		return
	}
	analyzer, ok := b.opts.Evaluator.(Analyzer)
	if !ok {
		return
	}
	var schema []byte
	if tool, ok := in.Facts.Tools[in.Call.Name]; ok {
		schema = tool.Schema
	}
	step, err := analyzer.Trace(expr, schema, in)
	if err != nil {
		return
	}
	if step.Error != "" && len(step.Steps) == 0 {
		t.add("%s", showText(step.Error))
	}
	for _, s := range step.Steps {
		addStep(t, s)
	}
}

func addStep(t *Tree, s *Step) {
	value := "not reached"
	switch {
	case s.Error != "":
		value = "error: " + showText(s.Error)
	case s.Reached:
		if text, ok := s.Value.(string); ok {
			value = fmt.Sprintf("%q", showText(text))
		} else {
			value = showValue(s.Value)
		}
	}
	branch := t.add("%s = %s", showText(s.Text), value)
	if !s.Reached {
		return
	}
	for _, inner := range s.Steps {
		addStep(branch, inner)
	}
}
