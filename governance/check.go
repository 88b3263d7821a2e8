package governance

import (
	"fmt"
	"slices"
	"strings"
)

// Finding is one thing that Check or Lint has to say.
type Finding struct {
	Level  string `json:"level"` // "error": does not load or does not fit; "warning": probably not meant
	Code   string `json:"code"`  // one of the Finding… words
	File   string `json:"-"`
	Line   int    `json:"-"`
	Policy string `json:"policy,omitempty"`
	Rule   string `json:"rule,omitempty"`
	// Other is the rule that it is implied by or contradicts, as policy/rule.
	Other string `json:"other,omitempty"`
	Text  string `json:"text"` // the problem
	Fix   string `json:"fix,omitempty"`
	// Call shows it, where one does.
	Call *TriedCall `json:"call,omitempty"`
}

// String is "file:line: level: text (fix)".
func (f Finding) String() string {
	text := (&LoadError{File: f.File, Line: f.Line, Problem: f.Level + ": " + f.Text, Fix: f.Fix}).Error()
	return text
}

// Unasked is a tool that a policy takes over and that is, for some calls, no
// longer asked about or blocked as the profile alone would.
type Unasked struct {
	Policy, Rule, Tool string
	Default            Verdict   // what the profile alone says
	Outcomes           []Verdict // what the rule can say, the mildest first
	// Call is one that all policies together treat milder than the profile alone
	// would, and Verdict what it gets; nil if none was found among those tried.
	Call    *TriedCall
	Verdict Verdict
}

// String is one line for people.
func (u Unasked) String() string {
	var words []string
	for _, v := range u.Outcomes {
		words = append(words, v.String())
	}
	return fmt.Sprintf("%s: rule %s takes %s over: the profile says %s, the rule %s", u.Policy, u.Rule, u.Tool, u.Default, strings.Join(words, " or "))
}

// Report of Check.
type Report struct {
	Findings []Finding
	Stops    []Unasked
	Policies int
	Rules    int
	// Bundle is what the policies compile to, nil if they do not.
	Bundle *Bundle
}

// OK says that the policies load.
func (r Report) OK() bool { return r.Bundle != nil }

// Check compiles policies, runs their examples and looks for what is probably not
// meant: constant conditions, lines that are never reached, effects that change
// nothing, and what Lint finds with the tools that are known; and lists what each
// policy stops asking about.
func Check(policies []Policy, opts Options, tools ...Tool) Report {
	report := Report{Policies: len(policies)}
	for _, p := range policies {
		report.Rules += len(p.Rules)
	}
	bundle, err := NewBundle(policies, opts)
	report.AddErrors(err)
	report.Bundle = bundle
	analyzer, _ := opts.Evaluator.(Analyzer)
	for _, p := range policies {
		for _, r := range p.Rules {
			report.lint(p, r, analyzer)
			report.stops(p, r, opts.Profile)
		}
	}
	if bundle != nil {
		for i := range report.Stops {
			report.Stops[i].find(bundle, analyzer, tools)
		}
		report.Findings = append(report.Findings, Lint(bundle, tools)...)
	}
	return report
}

// AddErrors adds the mistakes inside an error, such as that of LoadFiles.
func (r *Report) AddErrors(err error) {
	if err == nil {
		return
	}
	found := LoadErrors(err)
	if len(found) == 0 {
		found = []*LoadError{{Problem: err.Error()}}
	}
	for _, e := range found {
		r.Findings = append(r.Findings, Finding{Level: "error", Code: FindingMistake, File: e.File, Line: e.Line, Text: e.Problem, Fix: e.Fix})
	}
}

func (r *Report) lint(p Policy, rule Rule, analyzer Analyzer) {
	warn := func(line int, code, text, fix string) {
		if line == 0 {
			line = rule.Line
		}
		r.Findings = append(r.Findings, Finding{Level: "warning", Code: code, File: p.Source, Line: line, Policy: p.Name, Rule: rule.ID, Text: fmt.Sprintf("rule %q: %s", rule.ID, text), Fix: fix})
	}
	if analyzer == nil {
		return
	}
	reached := true
	seen := map[string]bool{}
	for i, l := range rule.When {
		if !reached {
			warn(l.Line, FindingUnreachable, "this line is never reached: the one before always holds", "move it up or take it away")
			continue
		}
		if seen[l.If] {
			warn(l.Line, FindingUnreachable, "an earlier line has the same condition, so this one never decides", "take one away")
		}
		seen[l.If] = true
		value, constant := analyzer.Constant(l.If)
		switch {
		case constant && !value:
			warn(l.Line, FindingConstant, fmt.Sprintf("the condition %s never holds", l.If), "")
		case constant && value:
			reached = false
			if i == 0 && len(rule.When) > 1 {
				warn(l.Line, FindingConstant, fmt.Sprintf("the condition %s always holds", l.If), "")
			}
		}
		if l.Effect == Allow && !rule.TakesOver() && rule.Mode != Shadow {
			warn(l.Line, FindingIneffective, "an allow of a rule without tools changes nothing: the profile's default still applies", "name the tools")
		}
		if l.Effect != Escalate && l.To != "" {
			warn(l.Line, FindingIneffective, "`to` means something only with escalate", "")
		}
		if l.Effect != Clarify && (l.Missing != "" || l.From != "") {
			warn(l.Line, FindingIneffective, "`missing` and `from` mean something only with clarify", "")
		}
		if l.Effect == Clarify && l.Missing == "" {
			warn(l.Line, FindingIneffective, "clarify does not say what is missing", "add missing: order_status")
		}
	}
	if rule.Unless != "" {
		if value, constant := analyzer.Constant(rule.Unless); constant {
			warn(0, FindingConstant, fmt.Sprintf("`unless` is always %v", value), "")
		}
	}
	if rule.Else == "profile" && len(rule.Tools) == 0 {
		warn(0, FindingIneffective, "`else` means nothing without `tools`", "")
	}
}

// stops lists the tools for which the rule can be milder than the profile.
func (r *Report) stops(p Policy, rule Rule, profile Profile) {
	if !rule.TakesOver() {
		return
	}
	if profile == "" {
		profile = Guarded
	}
	for _, tool := range rule.Tools {
		if anyTool(tool) {
			continue
		}
		kind := KindUnknown
		if !strings.ContainsAny(tool, "*?") {
			kind = GuessKind(Tool{Name: tool})
		}
		fallback := profile.Default(kind)
		if strings.HasPrefix(tool, HostedPrefix) && profile != Observe {
			fallback = Block
		}
		var outcomes []Verdict
		for _, l := range rule.When {
			outcomes = append(outcomes, l.Effect)
		}
		if v, decides := rule.ElseVerdict(); decides {
			outcomes = append(outcomes, v)
		} else {
			outcomes = append(outcomes, fallback)
		}
		slices.Sort(outcomes)
		outcomes = slices.Compact(outcomes)
		if outcomes[0] < fallback {
			r.Stops = append(r.Stops, Unasked{Policy: p.Name, Rule: rule.ID, Tool: tool, Default: fallback, Outcomes: outcomes})
		}
	}
}

// unaskedTries bounds the calls that are tried for one tool that is taken over.
const unaskedTries = 256

// find looks for a call that is no longer asked about, best one at an edge.
func (u *Unasked) find(b *Bundle, analyzer Analyzer, tools []Tool) {
	if analyzer == nil || strings.HasPrefix(u.Tool, HostedPrefix) {
		return
	}
	tool := Tool{Type: "function", Assumed: true, Name: strings.NewReplacer("*", "x", "?", "x").Replace(u.Tool)}
	if i := slices.IndexFunc(tools, func(t Tool) bool { return matchTool(u.Tool, t.Name) }); i >= 0 {
		tool = tools[i]
	}
	for _, r := range b.rules {
		if r.policy.Name != u.Policy || r.ID != u.Rule {
			continue
		}
		g, err := NewGrid(analyzer, []GridRule{{Rule: *r.Rule, Config: r.policy.Config, Domain: r.policy.Domain}}, tool, unaskedTries)
		if err != nil {
			return
		}
		for n := range g.points {
			p := g.Point(n)
			d := b.Decide(p.Facts, p.Calls)
			v := d[len(d)-1].Verdict
			if _, odd := g.ordinary(g.points[n]); odd || v >= u.Default || u.Call != nil && !strings.Contains(p.Words, "exactly") {
				continue
			}
			u.Call, u.Verdict = p.tried(), v
			if strings.Contains(p.Words, "exactly") {
				return
			}
		}
	}
}
