package rule

import (
	"cmp"
	"slices"

	"cadreen/governance"
)

// outcome is one line of the rule before it is written as CEL.
type outcome struct {
	when   condition
	effect governance.Verdict
	to     string
}

// rule makes the rule of its clauses.
func (c *compiler) rule(clauses []*clause, leading *terms) Result {
	mode := governance.Enforce
	if first := clauses[0]; first.shadow && len(clauses) > 1 && len(first.subject) == 0 && len(first.conditions.list) == 0 && first.only == nil && first.exceptions == nil {
		clauses, mode = clauses[1:], governance.Shadow // "Log only: …"
	}
	patterns, tools := c.scope(clauses, leading)
	zone := c.onlyZone(clauses, leading)
	var outcomes []outcome
	var unless condition
	alone := len(clauses) == 1
	for i, k := range clauses {
		if k.shadow {
			if mode = governance.Shadow; !alone {
				c.problem("%q is said of a part of the rule only. Write a rule of its own for it.", c.text(k.effectAt))
			}
		}
		b := &binding{compiler: c, clause: k, tools: tools, zone: zone}
		conditions, only, exceptions := b.filter(&k.conditions), b.filter(k.only), b.filter(k.exceptions)
		exception := b.bind(exceptions)
		if k.otherwise {
			outcomes = c.otherwise(k, outcomes, clauses[:i])
			continue
		}
		made := c.outcome(b, k, conditions, only)
		if exceptions != nil && len(exceptions.list) > 0 {
			switch {
			case i == len(clauses)-1 && !alone:
				if c.ask("exception", k.exceptions.list[0].place, "Does the exception at the end count for all of it, or for the last part only?", "all of it", "the last part") == "all of it" {
					leading = k.exceptions
				} else {
					made.when = both(made.when, negate(exception))
				}
			case alone && made.effect != governance.Allow:
				unless = exception
			default:
				made.when = both(made.when, negate(exception))
			}
		}
		outcomes = append(outcomes, made)
	}
	if leading != nil {
		b := &binding{compiler: c, clause: &clause{exceptions: leading}, tools: tools, zone: zone}
		exception := b.bind(b.filter(leading))
		// An exception that cannot be evaluated does not hold. Where it keeps calls
		// from being allowed, that must not allow them: it goes into the line.
		if unless == nil && !slices.ContainsFunc(outcomes, func(o outcome) bool { return o.effect == governance.Allow }) {
			unless = exception
		} else {
			for i := range outcomes {
				outcomes[i].when = both(outcomes[i].when, negate(exception))
			}
		}
	}
	slices.SortStableFunc(outcomes, func(a, b outcome) int { return cmp.Compare(b.effect, a.effect) })
	for _, o := range outcomes[:len(outcomes)-1] {
		if _, ok := o.when.(always); ok {
			c.problem("%q is said of every call, so that the rest of the sentence never counts. What is it said of?", effectWords(o))
		}
	}
	return c.result(patterns, outcomes, unless, mode)
}

func (c *compiler) result(patterns []string, outcomes []outcome, unless condition, mode governance.Mode) Result {
	pin := governance.Pin{Condition: c.sentence, Tools: patterns, ReadBack: c.readBack(patterns, outcomes, unless, mode)}
	if mode == governance.Shadow {
		pin.Mode = mode
	}
	for _, o := range outcomes {
		pin.When = append(pin.When, governance.Line{If: o.when.cel(), Effect: o.effect, To: o.to})
	}
	if unless != nil {
		pin.Unless = unless.cel()
	}
	return c.finish(pin)
}

// outcome of one clause without its exceptions.
func (c *compiler) outcome(b *binding, k *clause, conditions, only *terms) outcome {
	made := outcome{when: b.bind(conditions), effect: k.effect, to: k.to}
	if only != nil {
		if len(only.list) == 0 {
			c.notUnderstood(k.place)
		}
		if only.or+only.and == 0 && slices.ContainsFunc(only.list, func(t term) bool { return len(only.list) > 1 && t.item.Hours == nil && t.item.Days == nil }) {
			c.problem("What is \"only\" said of? Put the other conditions before \"only\", or join them with \"and\".")
		}
		behind := b.bind(only)
		if k.effect == 0 || k.effect == governance.Allow && !k.shadow {
			// "only after …", "only allowed in …": the rest is not allowed.
			made.effect = governance.Block
			made.when = both(made.when, negate(behind))
			return made
		}
		made.when = both(made.when, behind)
	}
	if made.effect == 0 {
		if made.effect = c.effect(); made.effect == 0 {
			made.effect = c.askEffect(k)
		}
	}
	return made
}

// askEffect asks what a clause that names no effect is for.
func (c *compiler) askEffect(k *clause) governance.Verdict {
	verdicts := map[string]governance.Verdict{"ask the requester": governance.Confirm, "escalate to a reviewer": governance.Escalate, "block": governance.Block, "allow": governance.Allow}
	return verdicts[c.ask("effect", k.place, "What should happen then?", "ask the requester", "escalate to a reviewer", "block", "allow")]
}

// otherwise: the rest of what was said before.
func (c *compiler) otherwise(k *clause, before []outcome, clauses []*clause) []outcome {
	if len(before) == 0 || len(k.conditions.list) > 0 || k.only != nil || k.exceptions != nil || len(k.subject) > 0 {
		c.notUnderstood(k.place)
	}
	if last := clauses[len(clauses)-1]; last.only != nil && before[len(before)-1].effect == governance.Block {
		if len(before) > 1 {
			c.problem("%q stands behind several parts: of which is it the rest? Write a rule for each.", c.text(k.place))
		}
		before[0].effect, before[0].to = k.effect, k.to
		return before
	}
	var holds some
	for _, o := range before {
		if _, ok := o.when.(always); ok {
			c.notUnderstood(k.place) // nothing is left
		}
		holds = append(holds, o.when)
	}
	rest := condition(not{holds})
	if len(holds) == 1 {
		rest = negate(holds[0])
	}
	return append(before, outcome{rest, k.effect, k.to})
}

// scope finds the tools of the rule. All clauses speak of the same.
func (c *compiler) scope(clauses []*clause, leading *terms) (patterns []string, tools []*tool) {
	said := false
	for _, k := range clauses {
		if len(k.subject) == 0 {
			continue
		}
		p, found := c.toolsOf(k)
		if said && !slices.Equal(found, tools) {
			c.problem("The sentence speaks of different tools (%s). Write a rule for each.", list(unique(append(names(tools), names(found)...)), "and"))
		}
		patterns, tools, said = p, found, true
	}
	excluded := c.excluded(clauses)
	if !said {
		return c.implied(clauses, leading, excluded)
	}
	if len(excluded) == 0 {
		return patterns, tools
	}
	left := slices.DeleteFunc(slices.Clone(tools), func(t *tool) bool { return slices.Contains(excluded, t) })
	if len(left) == 0 || len(left)+len(excluded) != len(tools) {
		c.problem("Which tools are left when the exception is taken out? Write their names into the sentence.")
	}
	return names(left), left
}

// excluded takes "except delete_draft" out of the exceptions.
func (c *compiler) excluded(clauses []*clause) []*tool {
	var out []*tool
	for _, k := range clauses {
		if k.exceptions == nil {
			continue
		}
		k.exceptions.list = slices.DeleteFunc(k.exceptions.list, func(t term) bool {
			it := t.item
			if t.tool.empty() || it.After || it.Before || it.Called || it.NotCalled {
				return false
			}
			if len(clauses) > 1 || k.exceptions.or+k.exceptions.and >= len(k.exceptions.list) {
				c.notUnderstood(t.place)
			}
			out = append(out, c.choose(t.tool, true)...)
			return true
		})
	}
	return out
}

// implied are the tools of a sentence that names none: every tool; or, where it
// speaks of arguments, those tools that have them.
func (c *compiler) implied(clauses []*clause, leading *terms, excluded []*tool) ([]string, []*tool) {
	var about []term
	var where *clause
	for _, k := range clauses {
		for _, t := range slices.Concat(k.conditions.list, k.only.all(), k.exceptions.all(), leading.all()) {
			if it := t.item; it.Compare != nil || it.Values != nil || it.Truth != "" || it.Origin != nil {
				about, where = append(about, t), k
			}
		}
	}
	if len(excluded) > 0 {
		c.problem("From which tools is the exception taken out? Name them, such as a glob or \"all deletes\".")
	}
	if len(about) == 0 {
		if k := clauses[0]; !k.any && len(k.conditions.list) == 0 && k.only == nil && len(c.given.Tools) == 0 {
			c.problem("Of which tools is this said? Name them, or write \"all calls\".")
		}
		return c.given.Tools, nil
	}
	var found []*tool
	for _, t := range c.scoped {
		b := &binding{compiler: c, clause: where, tools: []*tool{t}, zone: "UTC"}
		if !slices.ContainsFunc(about, func(one term) bool { return notIn(func() { b.term(one) }) }) {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		c.notUnderstood(about[0].place)
	}
	if len(c.given.Tools) > 0 && len(found) == len(c.scoped) {
		return c.given.Tools, found
	}
	return names(found), found
}

func (t *terms) all() []term {
	if t == nil {
		return nil
	}
	return t.list
}

// notIn says that binding ended with words that were not understood; a question
// is for later.
func notIn(bind func()) (missing bool) {
	defer func() {
		if r := recover(); r != nil {
			stop, ok := r.(stopped)
			if !ok {
				panic(r)
			}
			missing = len(stop.unknown) > 0
		}
	}()
	bind()
	return false
}

// onlyZone is the zone that the whole sentence names, if it names one.
func (c *compiler) onlyZone(clauses []*clause, leading *terms) string {
	var zones []string
	for _, k := range clauses {
		for _, t := range slices.Concat(k.conditions.list, k.only.all(), k.exceptions.all(), leading.all()) {
			if t.item.Zone != "" {
				zones = append(zones, t.item.Zone)
			}
		}
	}
	if zones = unique(zones); len(zones) == 1 {
		return zones[0]
	}
	return ""
}
