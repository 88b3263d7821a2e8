package governance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Behaviour is what a rule by itself does with a call: guarded decides what it
// leaves alone.
type Behaviour struct {
	Verdict Verdict
	To      string // escalate: the reviewer, "" for any
}

// String is the behaviour in plain words.
func (b Behaviour) String() string {
	switch b.Verdict {
	case Clarify:
		return "ask for a missing fact"
	case Confirm:
		return "ask the requester"
	case Escalate:
		if role, ok := strings.CutPrefix(b.To, "role:"); ok {
			return "a reviewer with the role " + role
		}
		return "a reviewer"
	}
	return b.Verdict.String()
}

// Difference is a call that readings of a rule treat differently.
type Difference struct {
	Point Point
	// Does is what each reading does, in their order.
	Does []Behaviour
}

// maxDifferences bounds what Differences answers.
const maxDifferences = 12

// Differences compares readings of one rule by what they do, on the boundary grid
// of every tool that one of them is about, and answers where they differ: one call
// for each thing that makes a difference, the most ordinary first. None is that
// they behave alike on every call tried. The error is that of a reading that does
// not compile. Examples are not run.
func Differences(opts Options, readings []GridRule, tools []Tool) ([]Difference, error) {
	analyzer, ok := opts.Evaluator.(Analyzer)
	if !ok {
		return nil, fmt.Errorf("governance: comparing rules needs an Analyzer")
	}
	opts.Profile = Guarded
	var bundles []*Bundle
	for _, r := range readings {
		r.Rule.Examples = nil
		b, err := NewBundle([]Policy{{Name: "reading", Domain: r.Domain, Config: r.Config, Rules: []Rule{r.Rule}}}, opts)
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, b)
	}
	var all []ranked
	seen := map[string]bool{}
	for _, t := range toolsOf(readings, tools) {
		g, err := NewGrid(analyzer, readings, t, GridLimit)
		if err != nil {
			return nil, err
		}
		behave := func(at []int16) []Behaviour {
			p := g.build(at)
			does := make([]Behaviour, len(bundles))
			for i, b := range bundles {
				d := b.Decide(p.Facts, p.Calls)
				does[i] = Behaviour{Verdict: d[len(d)-1].Verdict, To: d[len(d)-1].To}
			}
			return does
		}
		for _, at := range g.points {
			does := behave(at)
			if alike(does) {
				continue
			}
			// What does not matter is put back to the ordinary.
			least := slices.Clone(at)
			for i := range least {
				was := least[i]
				if was == 0 {
					continue
				}
				if least[i] = 0; !slices.Equal(behave(least), does) {
					least[i] = was
				}
			}
			one := ranked{}
			for i, n := range least {
				if n != 0 {
					one.causes = append(one.causes, g.dimensions[i].name+"="+causeOf(g.dimensions[i].settings[n]))
				}
			}
			key := fmt.Sprint(does, one.causes)
			if seen[key] {
				continue
			}
			seen[key] = true
			special, odd := g.ordinary(least)
			if one.rank = special; odd {
				one.rank += 100
			}
			one.Point, one.Does = g.build(least), does
			all = append(all, one)
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(a.rank, b.rank) })
	var found []Difference
	for i, one := range all {
		shown := one.shownBy(all[:i])
		if all[i].kept = !shown; !shown && len(found) < maxDifferences {
			found = append(found, one.Difference)
		}
	}
	return found, nil
}

// ranked is a difference with what makes it.
type ranked struct {
	Difference
	causes []string
	rank   int
	kept   bool
}

// shownBy says that easier calls tell apart every two readings that this one does,
// by some of the same causes.
func (x ranked) shownBy(easier []ranked) bool {
	for i := range x.Does {
		for j := range i {
			if x.Does[i] == x.Does[j] {
				continue
			}
			if !slices.ContainsFunc(easier, func(o ranked) bool {
				return o.kept && o.Does[i] != o.Does[j] && len(o.causes) > 0 && !slices.ContainsFunc(o.causes, func(c string) bool { return !slices.Contains(x.causes, c) })
			}) {
				return false
			}
		}
	}
	return true
}

// causeOf tells causes apart that ask for different answers. Two numbers are one
// cause where they divide the readings alike, and so are all odd values; two texts
// are not.
func causeOf(s setting) string {
	switch {
	case s.odd:
		return "odd"
	case s.key != "" && (s.key[0] == '-' || s.key[0] >= '0' && s.key[0] <= '9'):
		return "a number"
	}
	return s.key
}

func alike(does []Behaviour) bool {
	return !slices.ContainsFunc(does, func(b Behaviour) bool { return b != does[0] })
}

// toolsOf are the tools that readings are about: known ones, and names that only
// they have.
func toolsOf(readings []GridRule, known []Tool) []Tool {
	var tools []Tool
	add := func(t Tool) {
		if !slices.ContainsFunc(tools, func(o Tool) bool { return o.Name == t.Name }) {
			tools = append(tools, t)
		}
	}
	for _, r := range readings {
		if len(r.Rule.Tools) == 0 {
			for _, t := range known {
				add(t)
			}
		}
		for _, pattern := range r.Rule.Tools {
			matched := false
			for _, t := range known {
				if matchTool(pattern, t.Name) {
					matched = true
					add(t)
				}
			}
			if !matched {
				add(Tool{Type: "function", Assumed: true, Name: strings.NewReplacer("*", "x", "?", "x").Replace(pattern)})
			}
		}
	}
	if len(tools) == 0 {
		add(Tool{Type: "function", Name: "any_tool", Assumed: true})
	}
	return tools
}
