package governance

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Codes of findings.
const (
	FindingMistake       = "mistake"       // does not load
	FindingType          = "type"          // does not fit the schema of a tool it is for
	FindingUnknownTool   = "unknown_tool"  // names a tool that nobody offers
	FindingConstant      = "constant"      // always or never holds
	FindingUnreachable   = "unreachable"   // a line that never decides
	FindingImplied       = "implied"       // changes nothing beside another rule
	FindingContradiction = "contradiction" // another rule says the opposite of the same call
	FindingIneffective   = "ineffective"   // a field that means nothing where it stands
	FindingUnchecked     = "unchecked"     // too much to look at
)

// TriedCall is a concrete call that shows a finding.
type TriedCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	// Circumstances are the facts that matter, in words.
	Circumstances string `json:"circumstances,omitempty"`
}

func (p Point) tried() *TriedCall {
	c := p.Call()
	args := json.RawMessage(c.Arguments)
	if c.Form == FormCustom {
		args = mustJSON(map[string]string{"input": c.Arguments})
	}
	return &TriedCall{Name: c.Name, Arguments: args, Circumstances: p.Words}
}

// Bounds of lint. Together they bound its time, whatever the rules.
const (
	lintOwn    = 512     // calls that one rule is tried on, for one tool
	lintPair   = 1024    // calls that two rules are compared on
	lintCalls  = 120_000 // calls of all comparisons
	lintPairs  = 4_000   // comparisons
	lintFound  = 100     // findings about pairs
	lintPerTwo = 2       // tools on which one pair is compared
)

// Lint looks for what is probably not meant among the enforced rules of a bundle,
// by trying calls at their edges: lines that never decide, conditions that always
// or never hold, rules that change nothing beside another, rules that contradict
// one another, tools that are not among the known ones, conditions that do not fit
// a tool's schema. tools are those that are known; none known is nothing said of
// them. The evaluator must be an Analyzer, else nothing is found. Findings are in
// a fixed order.
func Lint(b *Bundle, tools []Tool) []Finding { return lint(b, tools, "") }

// LintPolicy is Lint for the rules of one policy, alone and beside those of others.
func LintPolicy(b *Bundle, tools []Tool, policy string) []Finding { return lint(b, tools, policy) }

func lint(b *Bundle, tools []Tool, only string) []Finding {
	analyzer, ok := b.opts.Evaluator.(Analyzer)
	if !ok {
		return nil
	}
	l := &linter{only: only, bundle: b, known: tools, marks: make([]*landmarks, len(b.rules)), own: make([]ownState, len(b.rules)), pairs: map[[2]int]*pairState{}, grids: map[string]toolGrid{}, places: map[*compiledRule]int{}}
	for i, r := range b.rules {
		l.places[r] = i
		m, err := landmarksOf(analyzer, GridRule{Rule: *r.Rule, Config: r.policy.Config, Domain: r.policy.Domain})
		if err != nil {
			return nil // a bundle holds nothing that does not parse
		}
		l.marks[i] = m
		l.own[i].lines = make([]lineState, len(r.lines))
	}
	l.unknownTools()
	names := l.toolsToTry()
	for _, t := range names {
		l.typed(t)
	}
	for _, t := range names {
		l.tryAlone(t)
	}
	l.plan(names)
	for _, t := range names {
		l.tryPairs(t)
	}
	l.report()
	slices.SortStableFunc(l.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return l.findings
}

type linter struct {
	only     string // name of the policy that is looked at; "" for all
	bundle   *Bundle
	known    []Tool
	marks    []*landmarks // by rule
	own      []ownState
	pairs    map[[2]int]*pairState
	grids    map[string]toolGrid // by tool
	places   map[*compiledRule]int
	order    [][2]int
	calls    int // built for comparisons
	skipped  int // pairs that were not compared
	perPair  int
	findings []Finding
}

// ownState is what became of a rule that was tried by itself.
type ownState struct {
	lines   []lineState
	tried   bool
	unsure  bool // some grid was not complete
	witness []witness
}

type lineState struct {
	decided bool
	held    bool
	failed  bool // did not hold, without an error, for some call
	example Point
	by      int // line that decided in its place, from 1
}

// witness is a call at which a rule says something.
type witness struct {
	tool string
	at   []int16
	line int
}

func (l *linter) found(r *compiledRule, line int, code, text, fix string) *Finding {
	if line == 0 {
		line = r.Line
	}
	l.findings = append(l.findings, Finding{Level: "warning", Code: code, File: r.policy.Source, Line: line, Policy: r.policy.Name, Rule: r.ID,
		Text: fmt.Sprintf("rule %q: %s", r.ID, text), Fix: fix})
	return &l.findings[len(l.findings)-1]
}

// about says whether a rule is of the policy that is looked at.
func (l *linter) about(r *compiledRule) bool { return l.only == "" || r.policy.Name == l.only }

// unknownTools looks for names that no known tool has.
func (l *linter) unknownTools() {
	if len(l.known) == 0 {
		return
	}
	var names []string
	for _, t := range l.known {
		names = append(names, t.Name)
	}
	for i, r := range l.bundle.rules {
		if !l.about(r) {
			continue
		}
		say := func(name, where string) {
			if strings.HasPrefix(name, HostedPrefix) || slices.ContainsFunc(names, func(n string) bool { return matchTool(name, n) }) {
				return
			}
			fix := "correct the name, or leave it if the tool comes later"
			if near := Nearest(name, names); near != "" {
				fix = "did you mean " + near + "?"
			}
			l.found(r, 0, FindingUnknownTool, fmt.Sprintf("%s %s, which is none of the tools that are known", where, name), fix)
		}
		for _, t := range r.Tools {
			if !anyTool(t) {
				say(t, "it is about")
			}
		}
		for _, c := range l.marks[i].called {
			say(c.tool, "it asks for earlier calls of")
		}
		for _, line := range r.When {
			if line.From != "" {
				say(line.From, "it sends to")
			}
		}
	}
}

// toolsToTry are the known tools, and names that the rules' patterns cover.
func (l *linter) toolsToTry() []Tool {
	tools := slices.Clone(l.known)
	named := map[string]bool{}
	for _, t := range tools {
		named[t.Name] = true
	}
	add := func(name string) {
		if !named[name] {
			named[name] = true
			tools = append(tools, Tool{Type: "function", Name: name, Assumed: true})
		}
	}
	everything := false
	for _, r := range l.bundle.rules {
		everything = everything || len(r.Tools) == 0
		for _, t := range r.Tools {
			everything = everything || anyTool(t)
			if !strings.ContainsAny(t, "*?") && !strings.HasPrefix(t, HostedPrefix) {
				add(t)
			}
		}
	}
	for _, r := range l.bundle.rules {
		for _, t := range r.Tools {
			if strings.ContainsAny(t, "*?") && !anyTool(t) && !strings.HasPrefix(t, HostedPrefix) &&
				!slices.ContainsFunc(tools, func(o Tool) bool { return matchTool(t, o.Name) }) {
				add(strings.NewReplacer("*", "x", "?", "x").Replace(t))
			}
		}
	}
	if everything && len(tools) == 0 {
		add("any_tool")
	}
	return tools
}

// typed looks for conditions that do not fit the schema of a tool.
func (l *linter) typed(t Tool) {
	if len(t.Schema) == 0 {
		return
	}
	for _, r := range l.bundle.plan(t.Name, t).rules {
		if !l.about(r.compiledRule) {
			continue
		}
		say := func(line int, expr string, err error) {
			if err == nil {
				return
			}
			f := l.found(r.compiledRule, line, FindingType, fmt.Sprintf("%s does not fit the tool %s: %v", expr, t.Name, err), "")
			f.Level = "error"
		}
		for i, c := range r.lines {
			say(r.When[i].Line, r.When[i].If, c.err)
		}
		say(0, r.Rule.Unless, r.unless.err)
	}
}

// tryAlone runs each rule of a tool on its own grid.
func (l *linter) tryAlone(t Tool) {
	p := l.bundle.plan(t.Name, t)
	if len(p.rules) == 0 {
		return
	}
	if !slices.ContainsFunc(p.rules, func(r planRule) bool { return l.about(r.compiledRule) }) {
		return
	}
	g, index := l.grid(p)
	for i := range p.rules {
		r := &p.rules[i]
		if l.only != "" && !l.about(r.compiledRule) {
			continue
		}
		own := &l.own[index[i]]
		sub := &Grid{tool: g.tool, dimensions: g.dimensions, seen: map[string]bool{}, left: slices.Clone(l.marks[index[i]].left)}
		for _, m := range l.marks[index[i]].meters {
			if slices.Contains(g.left, m.text) {
				sub.left = append(sub.left, m.text) // a count that is too large to be made
			}
		}
		sub.fill(g.narrowed(l.marks[index[i]]), lintOwn)
		own.tried = true
		untyped := r.unless.err != nil || slices.ContainsFunc(r.lines, func(c typed) bool { return c.err != nil })
		own.unsure = own.unsure || untyped || !sub.Complete() || !l.marks[index[i]].sure()
		witnessed := map[int]int{}
		for at := range sub.points {
			point := sub.Point(at)
			in := point.input()
			in.Config = r.policy.Config
			if r.policy.Domain != "" && r.policy.Domain != in.Facts.Domain {
				continue
			}
			var f Fired
			fired := r.run(in, &f)
			if fired && f.Error == "" {
				own.lines[f.Line-1].decided, own.lines[f.Line-1].held = true, true
			}
			if _, odd := sub.ordinary(sub.points[at]); !odd {
				line := f.Line
				if witnessed[line]++; witnessed[line] <= 3 {
					own.witness = append(own.witness, witness{t.Name, sub.points[at], line})
				}
			}
			for n := range own.lines {
				line := &own.lines[n]
				if line.decided && line.failed {
					continue
				}
				holds, err := r.lines[n].eval(in)
				line.failed = line.failed || err == nil && !holds
				if err == nil && holds {
					if line.by == 0 {
						line.example, line.by = point, f.Line
					}
					line.held = true
				}
			}
		}
	}
}

// grid of all rules of a plan, and the position of each in the bundle.
func (l *linter) grid(p *plan) (*Grid, []int) {
	if made, ok := l.grids[p.tool.Name]; ok {
		return made.grid, made.index
	}
	var marks []*landmarks
	var index []int
	for i := range p.rules {
		at := l.places[p.rules[i].compiledRule]
		index = append(index, at)
		marks = append(marks, l.marks[at])
	}
	made := toolGrid{gridOf(marks, p.tool, nil), index}
	l.grids[p.tool.Name] = made
	return made.grid, made.index
}

// toolGrid has the dimensions of all rules of a tool.
type toolGrid struct {
	grid  *Grid
	index []int // of the rules, in the bundle
}

// input is the point as conditions read it.
func (p *Point) input() *Input {
	last := len(p.Calls) - 1
	args, err := ReadArguments(p.Calls[last])
	if err != nil {
		args = &Arguments{}
	}
	return &Input{Facts: &p.Facts, Call: &p.Calls[last], Args: args, Index: last, Count: len(p.Calls), Turn: &Scratchpad{}}
}

// sure: the edges of all conditions are known.
func (m *landmarks) sure() bool {
	var rough func(*landmark) bool
	rough = func(l *landmark) bool {
		partial := len(l.starts) + len(l.ends) + len(l.parts) + len(l.patterns)
		return l.rough || l.large() || partial > 1 || partial > 0 && len(l.texts)+len(l.sizes) > 0 || l.element != nil && (rough(l.element) || len(l.sizes) > 0)
	}
	for _, l := range m.values {
		if rough(l) {
			return false
		}
	}
	return len(m.left) == 0
}

// report says what the single rules and the pairs came to.
func (l *linter) report() {
	for i, r := range l.bundle.rules {
		own := l.own[i]
		if !own.tried || own.unsure {
			continue
		}
		for n, line := range own.lines {
			at, expr := r.When[n].Line, r.When[n].If
			_, constant := l.bundle.opts.Evaluator.(Analyzer).Constant(expr)
			switch {
			case constant: // said by Check
			case !line.held:
				l.found(r, at, FindingConstant, fmt.Sprintf("the condition %s holds for none of the calls tried", expr), "")
			case !line.decided:
				f := l.found(r, at, FindingUnreachable, fmt.Sprintf("this line never decides: where it holds, line %d does already, as for %s", line.by, line.example.describe()),
					"move the stricter condition up, or take the line away")
				f.Call = line.example.tried()
			case !line.failed:
				l.found(r, at, FindingConstant, fmt.Sprintf("the condition %s holds for all of the calls tried", expr), `write if: "true" where that is meant`)
			}
		}
	}
	l.reportPairs()
}
