package rule

import (
	"fmt"
	"slices"
)

// ellipses give a later clause what it leaves out because an earlier one said it:
// "more than 3 refunds per customer per day need approval, more than 5 a manager".
func (c *compiler) ellipses(clauses []*clause) {
	var said *term
	for _, k := range clauses {
		for _, list := range []*terms{&k.conditions, k.only} {
			for i := range list.all() {
				t := &list.list[i]
				if said != nil {
					c.complete(t, said)
				}
				if t.window != "" {
					said = t
				}
			}
		}
	}
}

// complete gives a term what it leaves out, where that is sure, and asks where it
// is not.
func (c *compiler) complete(t, said *term) {
	p := t.item.Compare
	switch {
	case p == nil || !t.argument.empty():
	case t.window != "":
		if len(t.per) == 0 && len(said.per) > 0 {
			per := c.text(said.per[0].place())
			if c.ask("per", t.place, fmt.Sprintf("Is %q counted %s too, or over all calls?", c.text(t.place), per), per, "over all calls") == per {
				t.per = said.per
			}
		}
	case !t.counted.empty() || p.Low != nil || p.Least != nil && p.LeastOp == "":
	case p.bare():
		t.window, t.per, t.counted, t.times = said.window, said.per, said.counted, said.times
	default:
		window := "in " + windowName(said.window)
		if c.ask("window", t.place, fmt.Sprintf("Is %q meant of one call, or of all calls %s?", c.text(t.place), window), "one call", window) == window {
			t.window, t.per, t.counted = said.window, said.per, said.counted
		}
	}
}

func windowName(window string) string {
	if window == "month" {
		return "a month"
	}
	return windowWords(window)
}

// carried refuses a later part that names no calls and leaves out a condition of
// the part before: "refunds over $100 need approval and are blocked on weekends"
// may be said of those over $100, or of all.
func (c *compiler) carried(before, k *clause) {
	if k.otherwise || len(k.subject) > 0 || k.any {
		return
	}
	kinds := map[string]bool{}
	for _, t := range append(slices.Clone(k.conditions.list), k.only.all()...) {
		kinds[t.kind()] = true
	}
	for _, t := range append(slices.Clone(before.conditions.list), before.only.all()...) {
		if kind := t.kind(); kind != "" && !kinds[kind] {
			c.problem("Is %q said of %q too, or of all calls? Name the calls again.", c.text(k.place), c.text(t.place))
		}
	}
}

// kind of what a term speaks of, "" if it only says how others are read.
func (t *term) kind() string {
	it := t.item
	switch {
	case it.Zone != "", it.AnyMoney:
		return ""
	case it.Compare != nil:
		return "amount"
	case it.timed():
		return "time"
	case t.role != "", it.Role != nil:
		return "role"
	case it.Origin != nil:
		return "origin"
	case !t.tool.empty():
		return "order"
	}
	return "value"
}
