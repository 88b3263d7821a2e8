package rule

import (
	"fmt"
	"maps"
	"slices"
)

// scope finds the tools of the rule. All clauses speak of the same.
func (c *compiler) scope(clauses []*clause, leading *terms) (patterns []string, tools []*tool) {
	said := false
	for _, k := range clauses {
		for i, t := range k.exceptions.all() {
			if i > 0 && k.exceptions.joins[i] == "" && !k.exceptions.list[i-1].tool.empty() && k.exceptions.list[i-1].item.named() {
				c.problem("Does %q belong to the exception, or to all of it? Put it first.", c.text(t.place))
			}
		}
	}
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
	if !said {
		return c.implied(clauses, leading)
	}
	excluded := c.excluded(clauses)
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
		kept := terms{}
		for i, t := range k.exceptions.list {
			if t.tool.empty() || !t.item.named() {
				kept.add(t, k.exceptions.joins[i])
				continue
			}
			if len(clauses) > 1 || len(k.exceptions.list) > 1 && len(c.exceptTools(k)) < len(k.exceptions.list) {
				c.notUnderstood(t.place)
			}
			out = append(out, c.choose(t.tool, true)...)
		}
		*k.exceptions = kept
	}
	return out
}

// exceptTools are the exceptions that are tools.
func (c *compiler) exceptTools(k *clause) []term {
	return slices.DeleteFunc(slices.Clone(k.exceptions.list), func(t term) bool { return t.tool.empty() || !t.item.named() })
}

// implied are the tools of a sentence that names none: every tool; or, where it
// speaks of arguments, those tools that have them.
func (c *compiler) implied(clauses []*clause, leading *terms) ([]string, []*tool) {
	var about []term
	var where *clause
	for _, k := range clauses {
		for _, t := range slices.Concat(k.conditions.list, k.only.all(), k.exceptions.all(), leading.all()) {
			if t.ofArguments() {
				about, where = append(about, t), k
			}
		}
	}
	if len(about) == 0 {
		if k := clauses[0]; !k.any && len(k.conditions.list) == 0 && k.only == nil && len(c.given.Tools) == 0 {
			c.problem("Of which tools is this said? Name them, or write \"all calls\".")
		}
		return c.given.Tools, c.givenTools()
	}
	var found []*tool
	for _, t := range c.scoped {
		b := &binding{compiler: c, clause: where, tools: []*tool{t}, zone: "UTC"}
		if !slices.ContainsFunc(about, func(one term) bool { return c.notIn(func() { b.term(one) }) }) {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		c.notUnderstood(about[0].place)
	}
	if len(c.given.Tools) > 0 && len(found) == len(c.scoped) {
		return c.given.Tools, found
	}
	if len(found) > 1 && !clauses[0].any {
		chosen := c.askMany("tools", about[0].place, fmt.Sprintf("Of which tools is %q said?", c.text(about[0].place)), names(found)...)
		found = c.withNames(chosen, found)
	}
	return names(found), found
}

// givenTools are those that the rule itself names.
func (c *compiler) givenTools() []*tool {
	if len(c.given.Tools) == 0 {
		return nil
	}
	return c.scoped
}

// ofArguments: the term speaks of arguments, so that not every tool can be meant.
func (t *term) ofArguments() bool {
	return t.item.valued() || t.item.Origin != nil || t.flag || t.missing
}

// notIn says that binding ended with words that were not understood, or a problem;
// a question is for later.
func (c *compiler) notIn(bind func()) (missing bool) {
	before := maps.Clone(c.used)
	defer func() {
		c.used = before
		if r := recover(); r != nil {
			stop, ok := r.(stopped)
			if !ok {
				panic(r)
			}
			missing = len(stop.questions) == 0
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
