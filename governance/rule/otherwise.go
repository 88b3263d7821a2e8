package rule

import (
	"fmt"
	"slices"

	"cadreen/governance"
)

// otherwise: the rest of what was said before.
func (c *compiler) otherwise(k *clause, before []outcome, clauses []*clause) []outcome {
	if len(before) == 0 || len(k.conditions.list) > 0 || k.only != nil || k.exceptions != nil || len(k.subject) > 0 || k.unapproved != nil {
		c.notUnderstood(k.place)
	}
	if k.beyond != "" {
		c.beyond(k, clauses)
	}
	if last := clauses[len(clauses)-1]; last.only != nil && last.rest == nil && before[len(before)-1].effect == governance.Block {
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
	for i := len(holds) - 1; i > 0; i-- {
		for j := range holds[:i] {
			if within(holds[j], holds[i]) {
				holds[j] = holds[i] // up to 500 is all that is up to 100 too
			}
			if holds[i].cel() == holds[j].cel() || within(holds[i], holds[j]) {
				holds = slices.Delete(holds, i, i+1)
				break
			}
		}
	}
	rest := condition(not{holds})
	if len(holds) == 1 {
		rest = negate(holds[0])
	}
	return append(before, outcome{when: rest, effect: k.effect, to: k.to})
}

// beyond holds "above that" to the one limit that was said: only where nothing
// else was said beside it is what lies beyond it all of the rest.
func (c *compiler) beyond(k *clause, before []*clause) {
	conditions := before[0].conditions.list
	if before[0].only != nil {
		conditions = append(conditions[:len(conditions):len(conditions)], before[0].only.list...)
	}
	if len(before) != 1 || len(conditions) != 1 || before[0].exceptions != nil || conditions[0].item.Compare == nil || conditions[0].window != "" {
		c.hinted(k.place, "say \"otherwise\", or name the limit")
	}
	p := conditions[0].item.Compare
	op := p.Op + p.LeastOp
	if k.beyond == "Above" != (op == "<" || op == "<=") || k.beyond == "Below" != (op == ">" || op == ">=") {
		c.hinted(k.place, "say \"otherwise\", or name the limit")
	}
}

// overlap asks which counts where one part of a sentence allows what another
// restricts, as in "refunds over $100 need approval, leads may refund up to $500".
func (c *compiler) overlap(clauses []*clause, outcomes []outcome) {
	for i := range outcomes {
		if _, every := outcomes[i].when.(always); every || outcomes[i].effect != governance.Allow {
			continue // "refunds are allowed, over $100 a manager must approve"
		}
		for j, other := range outcomes {
			if other.effect == governance.Allow || disjoint(outcomes[i].when, other.when) {
				continue
			}
			if within(outcomes[i].when, other.when) {
				outcomes[i].first = true // "up to $100 allow, up to $500 ask first"
				continue
			}
			place := clauses[min(i, len(clauses)-1)].place
			question := fmt.Sprintf("A call may fit both %q and %q: which counts then?", englishOf(outcomes[i]), englishOf(outcomes[j]))
			const allowance, stricter = "it is allowed", "the stricter one"
			outcomes[i].first = c.ask("overlap", place, question, allowance, stricter) == allowance
			break
		}
	}
}

// within: both are limits of one argument from the same side, and all that meets
// the first meets the second.
func within(a, b condition) bool {
	x, ok := a.(compare)
	y, also := b.(compare)
	if !ok || !also || x.argument != y.argument || x.size != y.size || x.op[0] != y.op[0] {
		return false
	}
	return x.op[0] == '<' && less(x.value, y.value) || x.op[0] == '>' && less(y.value, x.value)
}

func englishOf(o outcome) string {
	if _, ok := o.when.(always); ok {
		return effectWords(o)
	}
	return effectWords(o) + " if " + o.when.english()
}

// disjoint: no call meets both conditions, as far as that can be seen.
func disjoint(a, b condition) bool {
	if contrary(a, b) {
		return true
	}
	for _, x := range conjuncts(a) {
		for _, y := range conjuncts(b) {
			if contrary(x, y) {
				return true
			}
		}
	}
	return false
}

func conjuncts(c condition) []condition {
	switch c := c.(type) {
	case all:
		return c
	case not:
		if list, ok := c.inner.(some); ok {
			return denied(list)
		}
	}
	return []condition{c}
}

// contrary: one says the opposite of the other, or they are limits of one argument
// from different sides with nothing between.
func contrary(a, b condition) bool {
	if negate(a).cel() == b.cel() || a.cel() == negate(b).cel() {
		return true
	}
	if m, ok := a.(missing); ok {
		return m.argument == argumentOf(b)
	}
	if m, ok := b.(missing); ok {
		return m.argument == argumentOf(a)
	}
	if p, values := valuesOf(a); p != "" {
		q, others := valuesOf(b)
		return p == q && !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(others, v) })
	}
	x, ok := a.(compare)
	y, also := b.(compare)
	if !ok || !also || x.argument != y.argument || x.size != y.size {
		return false
	}
	if x.op[0] == '>' && y.op[0] == '<' {
		x, y = y, x
	}
	if x.op[0] != '<' || y.op[0] != '>' {
		return false
	}
	return less(x.value, y.value) || x.value == y.value && (x.op == "<" || y.op == ">")
}

// valuesOf are the texts that a condition lets an argument have.
func valuesOf(c condition) (argument string, values []string) {
	switch c := c.(type) {
	case oneOf:
		return c.argument, c.values
	case inCountries:
		return c.argument, c.values
	}
	return "", nil
}

// argumentOf is the argument that a condition says something of.
func argumentOf(c condition) string {
	switch c := c.(type) {
	case compare:
		return c.argument
	case text:
		return c.argument
	case mailTo:
		return c.argument
	}
	argument, _ := valuesOf(c)
	return argument
}
