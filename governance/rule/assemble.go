package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cadreen/governance"
)

// outcome is one line of the rule before it is written as CEL.
type outcome struct {
	when   condition
	effect governance.Verdict
	to     string
	first  bool // goes before what is stricter
}

// rank of a line: the strictest first.
func (o outcome) rank() int {
	if o.first {
		return int(governance.Block) + 1
	}
	return int(o.effect)
}

// rule makes the rule of its clauses.
func (c *compiler) rule(clauses []*clause, leading *terms) Result {
	mode := governance.Enforce
	if first := clauses[0]; first.shadow && len(clauses) > 1 && len(first.subject) == 0 && len(first.conditions.list) == 0 && first.only == nil && first.exceptions == nil {
		clauses, mode = clauses[1:], governance.Shadow // "Log only: …"
	}
	c.ellipses(clauses)
	patterns, tools := c.scope(clauses, leading)
	zone := c.onlyZone(clauses, leading)
	var outcomes []outcome
	var unless condition
	alone := len(clauses) == 1
	for i, k := range clauses {
		if k.dangling.to > 0 {
			c.hinted(k.dangling, needsWindow)
		}
		if i > 0 && k.bare() {
			c.problem("What is %q said of? Name the calls.", c.text(k.place))
		}
		if i > 0 {
			c.carried(clauses[i-1], k)
		}
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
	c.overlap(clauses, outcomes)
	slices.SortStableFunc(outcomes, func(a, b outcome) int { return cmp.Compare(b.rank(), a.rank()) })
	for _, o := range outcomes[:len(outcomes)-1] {
		if _, ok := o.when.(always); ok {
			c.problem("%q is said of every call, so that the rest of the sentence never counts. What is it said of?", effectWords(o))
		}
	}
	return c.result(patterns, outcomes, unless, mode)
}

func (c *compiler) result(patterns []string, outcomes []outcome, unless condition, mode governance.Mode) Result {
	for i, o := range outcomes {
		outcomes[i].when = suspicious(o.when, o.effect != governance.Allow)
	}
	if unless != nil {
		unless = suspicious(unless, false)
	}
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
	if only != nil && k.effect == governance.Allow && len(conditions.list) > 1 && slices.ContainsFunc(conditions.list, func(t term) bool { return t.role != "" }) {
		// "leads may refund up to $500 only after …": what is blocked, and who is allowed what?
		c.problem("%q both allows and limits. Write a rule for each.", c.text(k.place))
	}
	if only != nil {
		if len(only.list) == 0 {
			c.notUnderstood(k.place)
		}
		if !only.joined() && slices.ContainsFunc(only.list, func(t term) bool { return len(only.list) > 1 && t.item.Hours == nil && t.item.Days == nil }) {
			c.problem("What is \"only\" said of? Put the other conditions before \"only\", or join them with \"and\".")
		}
		behind := b.bind(only)
		if k.effect == 0 || k.effect == governance.Allow && !k.shadow {
			// "only after …", "only allowed in …": the rest is not allowed.
			made.effect, made.to = governance.Block, ""
			if k.rest != nil {
				made.effect, made.to = k.rest.effect, k.rest.to
			}
			made.when = both(made.when, negate(behind))
			return made
		}
		made.when = both(made.when, behind)
	}
	if k.unapproved != nil {
		c.notUnderstood(k.unapproved.place)
	}
	if k.effect == governance.Allow && len(conditions.list) == 1 && c.limits(&conditions.list[0]) {
		// "allow at most 3 refunds a day": the fourth is hardly left to the profile
		const profile = "what the profile says"
		text := fmt.Sprintf("What should happen to calls beyond %q?", c.text(conditions.list[0].place))
		verdicts := map[string]governance.Verdict{"block": governance.Block, "ask the requester": governance.Confirm, "escalate to a reviewer": governance.Escalate}
		if chosen := c.ask("rest", conditions.list[0].place, text, "block", "ask the requester", "escalate to a reviewer", profile); chosen != profile {
			return outcome{when: negate(made.when), effect: verdicts[chosen]}
		}
	}
	if made.effect == 0 {
		if made.effect = c.effect(); made.effect == 0 {
			made.effect = c.askEffect(k, made.when)
		}
	}
	return made
}

// limits: the term is a count or sum that is said to be the most there may be.
func (c *compiler) limits(t *term) bool {
	return t.window != "" && t.upper() && !strings.EqualFold(c.text(span{t.item.place().from, t.item.place().from + 1}), "up to")
}

// askEffect asks what a clause that names no effect is for.
func (c *compiler) askEffect(k *clause, when condition) governance.Verdict {
	about := "every such call"
	if _, every := when.(always); !every {
		about = "a call where " + when.english()
	}
	verdicts := map[string]governance.Verdict{"ask the requester": governance.Confirm, "escalate to a reviewer": governance.Escalate, "block": governance.Block, "allow": governance.Allow}
	return verdicts[c.ask("effect", k.place, "What should happen to "+about+"?", "ask the requester", "escalate to a reviewer", "block", "allow")]
}

// bare: the clause says an effect, and of nothing.
func (k *clause) bare() bool {
	return !k.otherwise && len(k.subject) == 0 && len(k.conditions.list) == 0 && k.only == nil && k.exceptions == nil && !k.any
}
