package governance

import (
	"fmt"
	"slices"
	"strings"
)

// pairState is what became of two rules that were compared.
type pairState struct {
	tools  int
	unsure bool
	// idle: that the second, or the first, stands beside the other never changed a
	// verdict; said: it said something somewhere.
	firstIdle, secondIdle bool
	firstSaid, secondSaid *Point
	// Of the calls that one allows by a line and the other restricts by one.
	clashes [2]clash // 0: the first allows
	// reviewers: both send a call to a reviewer, and to different ones.
	reviewers *Point
}

// clash counts calls; the allowing rule's lines first.
type clash struct {
	both, allowOnly, restrictOnly int
	example                       *Point
	says                          Verdict
}

// plan chooses the pairs worth comparing, and how many calls each may take.
func (l *linter) plan(tools []Tool) {
	seen := map[[2]int]bool{}
	for _, t := range tools {
		p := l.bundle.plan(t.Name, t)
		var enforced []int
		for i := range p.rules {
			if p.rules[i].mode() == Enforce {
				enforced = append(enforced, l.places[p.rules[i].compiledRule])
			}
		}
		if len(enforced) < 2 {
			continue
		}
		idle := l.quick(p, enforced)
		for j := range enforced {
			for i := range j {
				key := [2]int{enforced[i], enforced[j]}
				if seen[key] || !l.meet(key) || !l.about(l.bundle.rules[key[0]]) && !l.about(l.bundle.rules[key[1]]) {
					continue
				}
				if !l.mayClash(key) && !idle(i, j) && !idle(j, i) {
					continue
				}
				seen[key] = true
				if len(l.order) == lintPairs {
					l.skipped++
					continue
				}
				l.order = append(l.order, key)
				l.pairs[key] = &pairState{firstIdle: true, secondIdle: true}
			}
		}
	}
	l.perPair = lintPair
	if len(l.order) > 0 {
		l.perPair = min(lintPair, max(24, lintCalls/len(l.order)))
	}
}

// meet: two rules can speak of the same call.
func (l *linter) meet(key [2]int) bool {
	a, b := l.bundle.rules[key[0]], l.bundle.rules[key[1]]
	return a.policy.Domain == "" || b.policy.Domain == "" || a.policy.Domain == b.policy.Domain
}

// mayClash: one has a line that allows and the other one that does not, or both
// send to reviewers by name.
func (l *linter) mayClash(key [2]int) bool {
	a, b := l.bundle.rules[key[0]], l.bundle.rules[key[1]]
	allows := func(r *compiledRule) (allows, restricts, to bool) {
		for _, line := range r.When {
			allows = allows || line.Effect == Allow
			restricts = restricts || line.Effect > Allow
			to = to || line.Effect == Escalate && line.To != ""
		}
		return
	}
	a1, a2, a3 := allows(a)
	b1, b2, b3 := allows(b)
	return a1 && b2 || b1 && a2 || a3 && b3
}

// manyRules is from where pairs are chosen by a quick look at witnesses.
const manyRules = 24

// quick answers whether the first of two rules may make the second idle: where it
// is no, some witness shows it. Rules by their place in a list.
func (l *linter) quick(p *plan, enforced []int) func(i, j int) bool {
	if len(enforced) <= manyRules || l.only != "" {
		return func(int, int) bool { return true }
	}
	g, index := l.grid(p)
	place := map[int]int{}
	for i, at := range index {
		place[at] = i
	}
	words := 0
	var strict [][]uint64 // by rule and verdict: the witnesses at which it is at least so strict
	var points [][]int16
	for _, at := range enforced {
		for _, w := range l.own[at].witness {
			if w.tool == p.tool.Name && w.line > 0 {
				points = append(points, w.at)
				break
			}
		}
	}
	words = (len(points) + 63) / 64
	said := make([][]uint64, len(enforced))
	for range enforced {
		strict = append(strict, make([]uint64, words*int(Block+1)))
	}
	for i := range said {
		said[i] = make([]uint64, words)
	}
	for n, at := range points {
		point := g.build(at)
		in := point.input()
		for i, rule := range enforced {
			r := &p.rules[place[rule]]
			o := r.outcome(in)
			for v := Allow; v <= o.effect; v++ {
				strict[i][int(v)*words+n/64] |= 1 << (n % 64)
			}
			if o.line > 0 && o.effect > Allow {
				said[i][n/64] |= 1 << (n % 64)
			}
		}
	}
	return func(i, j int) bool {
		some := false
		for v := Clarify; v <= Block; v++ {
			for w := range words {
				mine := strict[j][int(v)*words+w] & said[j][w]
				some = some || mine != 0
				if mine&^strict[i][int(v)*words+w] != 0 {
					return false
				}
			}
		}
		return some
	}
}

// ruleOutcome is what a rule by itself says of a call.
type ruleOutcome struct {
	effect Verdict // 0: nothing
	line   int     // 0: its else
	err    bool
	takes  bool
	to     string
}

func (r *planRule) outcome(in *Input) ruleOutcome {
	if r.policy.Domain != "" && r.policy.Domain != in.Facts.Domain {
		return ruleOutcome{}
	}
	in.Config = r.policy.Config
	o := ruleOutcome{takes: r.names && r.mode() == Enforce}
	var f Fired
	switch {
	case r.run(in, &f):
		o.effect, o.line, o.err, o.to = f.Effect, f.Line, f.Error != "", f.To
	case o.takes && r.elseDecides:
		o.effect = r.elseVerdict
	}
	return o
}

// together is the verdict of some rules, with the profile where none takes over.
func together(fallback Verdict, of ...ruleOutcome) (v Verdict) {
	takes := false
	for _, o := range of {
		v = max(v, o.effect)
		takes = takes || o.takes
		if o.takes && o.effect == 0 {
			v = max(v, fallback) // its else is the profile
		}
	}
	if !takes {
		v = max(v, fallback)
	}
	return v
}

// tryPairs compares the chosen pairs that meet at a tool.
func (l *linter) tryPairs(t Tool) {
	p := l.bundle.plan(t.Name, t)
	if len(p.rules) < 2 || len(l.order) == 0 {
		return
	}
	g, index := l.grid(p)
	fallback := l.bundle.profile.Default(p.kind)
	for j := range index {
		for i := range j {
			state := l.pairs[[2]int{index[i], index[j]}]
			if state == nil || state.tools == lintPerTwo {
				continue
			}
			if l.calls > 2*lintCalls {
				state.unsure = true
				l.skipped++
				continue
			}
			state.tools++
			a, b := l.marks[index[i]], l.marks[index[j]]
			sub := &Grid{tool: g.tool, dimensions: g.dimensions, seen: map[string]bool{}, left: slices.Concat(a.left, b.left)}
			sub.fill(g.narrowed(a, b), l.perPair)
			l.calls += sub.Len()
			state.unsure = state.unsure || !sub.Complete() || !a.sure() || !b.sure()
			for n := range sub.points {
				point := sub.Point(n)
				in := point.input()
				state.count(p.rules[i].outcome(in), p.rules[j].outcome(in), fallback, point)
			}
		}
	}
}

func (s *pairState) count(a, b ruleOutcome, fallback Verdict, point Point) {
	both, onlyA, onlyB := together(fallback, a, b), together(fallback, a), together(fallback, b)
	sameReviewer := a.effect != Escalate || b.effect != Escalate || a.to == b.to
	s.secondIdle = s.secondIdle && both == onlyA && (sameReviewer || b.to == "")
	s.firstIdle = s.firstIdle && both == onlyB && (sameReviewer || a.to == "")
	if a.line > 0 && !a.err && s.firstSaid == nil {
		s.firstSaid = &point
	}
	if b.line > 0 && !b.err && s.secondSaid == nil {
		s.secondSaid = &point
	}
	if a.err || b.err {
		return
	}
	if !sameReviewer && a.to != "" && b.to != "" && s.reviewers == nil {
		s.reviewers = &point
	}
	s.clashes[0].count(a, b, point)
	s.clashes[1].count(b, a, point)
}

func (c *clash) count(allowing, restricting ruleOutcome, point Point) {
	allows := allowing.line > 0 && allowing.effect == Allow
	restricts := restricting.line > 0 && restricting.effect > Allow
	switch {
	case allows && restricts:
		if c.both++; c.example == nil {
			c.example, c.says = &point, restricting.effect
		}
	case allows:
		c.allowOnly++
	case restricts:
		c.restrictOnly++
	}
}

// covers: wherever the second rule speaks, the first does.
func covers(a, b *compiledRule) bool {
	if a.policy.Domain != "" && a.policy.Domain != b.policy.Domain {
		return false
	}
	everywhere := func(r *compiledRule) bool { return len(r.Tools) == 0 || slices.ContainsFunc(r.Tools, anyTool) }
	if everywhere(a) {
		return true
	}
	if everywhere(b) {
		return false
	}
	return !slices.ContainsFunc(b.Tools, func(t string) bool {
		return !slices.ContainsFunc(a.Tools, func(o string) bool { return o == t || !strings.ContainsAny(t, "*?") && matchTool(o, t) })
	})
}

func (l *linter) reportPairs() {
	found := 0
	say := func(r, other *compiledRule, code, text, fix string, call *Point) {
		if found++; found > lintFound {
			return
		}
		f := l.found(r, 0, code, text, fix)
		f.Other = other.policy.Name + "/" + other.ID
		f.Call = call.tried()
	}
	for _, key := range l.order {
		s, a, b := l.pairs[key], l.bundle.rules[key[0]], l.bundle.rules[key[1]]
		switch {
		case s.tools == 0 || s.unsure:
		case s.secondIdle && s.secondSaid != nil && covers(a, b):
			say(b, a, FindingImplied, fmt.Sprintf("it changes no verdict beside rule %s, as for %s", a.name(b), s.secondSaid.describe()),
				"take one away", s.secondSaid)
			continue
		case s.firstIdle && s.firstSaid != nil && covers(b, a):
			say(a, b, FindingImplied, fmt.Sprintf("it changes no verdict beside rule %s, as for %s", b.name(a), s.firstSaid.describe()),
				"take one away", s.firstSaid)
			continue
		}
		for n, c := range s.clashes {
			allowing, other := a, b
			if n == 1 {
				allowing, other = b, a
			}
			switch {
			case c.both == 0 || c.restrictOnly == 0 && c.allowOnly > 0: // an exception
			case c.allowOnly == 0 && !s.unsure:
				say(allowing, other, FindingContradiction, fmt.Sprintf("it says allow and rule %s says %s, which counts, for every call tried that it speaks of, as for %s", other.name(allowing), c.says, c.example.describe()),
					"write the one as an exception into the other, with `unless`", c.example)
			default:
				say(allowing, other, FindingContradiction, fmt.Sprintf("it says allow and rule %s says %s, which counts, for %s", other.name(allowing), c.says, c.example.describe()),
					"write the one as an exception into the other, with `unless`, or leave it if the stricter is meant", c.example)
			}
		}
		if s.reviewers != nil {
			say(b, a, FindingContradiction, fmt.Sprintf("rule %s sends the same call to another reviewer, and only the first is asked, as for %s", a.name(b), s.reviewers.describe()), "name the same reviewer", s.reviewers)
		}
	}
	if found > lintFound || l.skipped > 0 {
		l.findings = append(l.findings, Finding{Level: "warning", Code: FindingUnchecked,
			Text: fmt.Sprintf("%d more findings about pairs of rules are not shown, and %d pairs were not compared", max(0, found-lintFound), l.skipped)})
	}
}

// name of a rule as another one speaks of it.
func (r *compiledRule) name(from *compiledRule) string {
	if r.policy == from.policy {
		return fmt.Sprintf("%q", r.ID)
	}
	return fmt.Sprintf("%q of %s", r.ID, r.policy.Name)
}
