package rule

import "fmt"

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
