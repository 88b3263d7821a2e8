package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cadreen/governance"
)

// Compiler reads conditions in plain words.
type Compiler interface {
	// Compile answers what a condition means. It guesses nothing.
	Compile(ctx context.Context, c Condition) Sentence
}

// Condition is a rule with a condition and no `when`.
type Condition struct {
	Rule  governance.Rule
	Tools []governance.Tool // of the workspace
	// Answers are what was said to its questions, by their ids.
	Answers map[string]string
	// Kept is Sentence.Kept of before, "" the first time.
	Kept string
	// NoModel: whatever it means is used at once, without anybody who confirms it,
	// so that no model may read it.
	NoModel bool
}

// Sentence is what became of a condition. Exactly one is so: Rule is there, or
// Questions, or Unknown words, or a Problem.
type Sentence struct {
	Rule      governance.Rule
	Means     string
	Questions []Question
	Unknown   []Word
	Problem   string
	// Confidence of a model that read it; 0 if none did.
	Confidence float64
	// Kept is opaque, and handed in again with the answers.
	Kept string
	// Notes say why a model that was asked did not read it.
	Notes []string
}

// source is what is kept of what was sent, for changing it and compiling it again.
type source struct {
	Domain      string            `json:"domain,omitempty"`
	Description string            `json:"description,omitempty"`
	Config      json.RawMessage   `json:"config,omitempty"`
	Rules       []json.RawMessage `json:"rules"`
}

// compilation is one run over one policy.
type compilation struct {
	name    string
	source  source
	answers map[string]string
	options governance.Options
	tools   []governance.Tool
	hashes  map[string]string
	words   Compiler
	kept    map[string]string // Sentence.Kept by rule
	noModel bool

	version Version
	rules   []governance.Rule
	open    bool
}

// maxLinted is the most rules that are compared with one another while somebody
// waits for the answer.
const maxLinted = 100

// run makes a version of the source. The error is Problems: what was sent is no
// policy at all. What is merely open or wrong for these tools stands in the version.
func (c *compilation) run(ctx context.Context) (Version, error) {
	v := &c.version
	v.Domain, v.Description, v.Answers = c.source.Domain, c.source.Description, c.answers
	var err error
	if v.Source, err = encode(c.source); err != nil {
		return *v, Problems{{Message: "cannot be read"}}
	}
	if err := c.parse(ctx); err != nil {
		return *v, err
	}
	if c.open {
		return *v, nil
	}
	c.fits()
	if v.Document, err = encode(documentOf(c.name, v.Domain, c.source.Config, c.rules)); err != nil {
		return *v, Problems{{Message: "cannot be read"}}
	}
	v.Schemas = c.schemas()
	p, err := v.policy(c.name)
	if err != nil {
		return *v, problemsOf("", err)
	}
	if err := c.check(p); err != nil {
		return *v, err
	}
	p.Name = "" // which can change without the version
	v.Digest = p.FullDigest()
	return *v, nil
}

// parse reads every rule, and the conditions in plain words.
func (c *compilation) parse(ctx context.Context) error {
	var problems Problems
	seen := map[string]bool{}
	if len(c.source.Rules) == 0 {
		return Problems{{Field: "rules", Message: "are missing: a policy needs at least one"}}
	}
	for i, raw := range c.source.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		text, err := encode(map[string]any{"name": "policy", "rules": []json.RawMessage{raw}})
		if err != nil {
			problems.add(at, "cannot be read")
			continue
		}
		parsed, err := governance.ParseOpen("", text)
		if err != nil {
			problems = append(problems, problemsOf(at, err)...)
			continue
		}
		r := unlined(parsed[0].Rules[0])
		if seen[r.ID] {
			problems.add(at+".id", "%q stands twice", r.ID)
		}
		seen[r.ID] = true
		report := RuleReport{ID: r.ID, Condition: r.Condition}
		if len(r.When) == 1 && r.When[0].If == "" {
			r = c.sentence(ctx, r, &report, at)
		}
		c.version.Rules = append(c.version.Rules, report)
		c.rules = append(c.rules, r)
	}
	if len(c.source.Config) > 0 && !isObject(c.source.Config) {
		problems.add("config", "should be an object of keys and values")
	}
	return problems.err()
}

// sentence compiles the condition of one rule, or notes what is open.
func (c *compilation) sentence(ctx context.Context, r governance.Rule, report *RuleReport, at string) governance.Rule {
	if c.words == nil {
		c.open = true
		c.version.Problems = append(c.version.Problems, Problem{at, "has no `when`, and this server compiles no conditions"})
		return r
	}
	own := map[string]string{}
	for id, answer := range c.answers {
		if rest, ok := strings.CutPrefix(id, r.ID+"/"); ok {
			own[rest] = answer
		}
	}
	s := c.words.Compile(ctx, Condition{Rule: r, Tools: c.tools, Answers: own, Kept: c.kept[r.ID], NoModel: c.noModel})
	if s.Kept != "" {
		if c.version.Kept == nil {
			c.version.Kept = map[string]string{}
		}
		c.version.Kept[r.ID] = s.Kept
	}
	report.Confidence, report.Notes = s.Confidence, s.Notes
	for i := range s.Questions {
		s.Questions[i].ID = r.ID + "/" + s.Questions[i].ID
	}
	report.Questions, report.Unknown, report.Means = s.Questions, s.Unknown, s.Means
	switch {
	case len(s.Questions) > 0 || len(s.Unknown) > 0:
		c.open = true
	case s.Problem != "":
		c.open = true
		c.version.Problems = append(c.version.Problems, Problem{at + ".condition", s.Problem})
	default:
		return unlined(s.Rule)
	}
	return r
}

// unlined takes away where a rule stood in its text: it stands in none.
func unlined(r governance.Rule) governance.Rule {
	r.Line = 0
	r.When = slices.Clone(r.When)
	for i := range r.When {
		r.When[i].Line = 0
	}
	r.Examples = slices.Clone(r.Examples)
	for i := range r.Examples {
		r.Examples[i].Line = 0
	}
	return r
}

// fits types every expression against the schemas of the tools that its rule names.
// A tool that only a glob covers is worth a warning.
func (c *compilation) fits() {
	for i, r := range c.rules {
		expressions := make([]string, 0, len(r.When)+1)
		for _, l := range r.When {
			expressions = append(expressions, l.If)
		}
		if r.Unless != "" {
			expressions = append(expressions, r.Unless)
		}
		for _, t := range c.tools {
			named := slices.Contains(r.Tools, t.Name)
			if !named && !governance.NamesTool(r.Tools, t.Name) {
				continue
			}
			for _, e := range expressions {
				if len(t.Schema) == 0 {
					continue // nothing to hold it against
				}
				if _, err := c.options.Evaluator.Compile(e, nil); err != nil {
					continue // said by check
				}
				if _, err := c.options.Evaluator.Compile(e, t.Schema); err == nil {
					continue
				} else if at := fmt.Sprintf("rules[%d]", i); named {
					c.version.Problems = append(c.version.Problems, Problem{at, fmt.Sprintf("%s does not fit the tool %s: %v", e, t.Name, err)})
				} else {
					c.version.Warnings = append(c.version.Warnings, fmt.Sprintf("%s: %s does not fit the tool %s, where it will count as an error: %v", at, e, t.Name, err))
				}
			}
		}
	}
}

// schemas are the hashes of the schemas of the tools that the rules name.
func (c *compilation) schemas() map[string]string {
	held := map[string]string{}
	for name, hash := range c.hashes {
		for _, r := range c.rules {
			if governance.NamesTool(r.Tools, name) {
				held[name] = hash
			}
		}
	}
	if len(held) == 0 {
		return nil
	}
	return held
}

// check compiles every expression and runs the examples. An expression that is no
// CEL is an error; an example that comes out wrong is a problem of the version.
func (c *compilation) check(p governance.Policy) error {
	plain := p
	plain.Rules = slices.Clone(p.Rules)
	examples := 0
	for i := range plain.Rules {
		examples += len(plain.Rules[i].Examples)
		plain.Rules[i].Examples = nil
	}
	options := c.options
	if len(plain.Rules) > maxLinted {
		if a, ok := options.Evaluator.(analyzing); ok {
			options.Evaluator = a.remembering // what cannot look into expressions compares no rules
		}
		c.version.Warnings = append(c.version.Warnings, fmt.Sprintf("the rules were not compared with one another: they are more than %d", maxLinted))
	}
	report := governance.Check([]governance.Policy{plain}, options, c.tools...)
	if !report.OK() {
		var problems Problems
		for _, f := range report.Findings {
			if f.Level == "error" {
				problems.add("", "%s", withFix(f.Text, f.Fix))
			}
		}
		return problems
	}
	for _, f := range report.Findings {
		if f.Code == governance.FindingType || f.Code == governance.FindingUnknownTool {
			continue // said by fits
		}
		c.version.Warnings = append(c.version.Warnings, withFix(f.Text, f.Fix))
	}
	for _, s := range report.Stops {
		c.version.Stops = append(c.version.Stops, fmt.Sprintf("rule %s takes %s over: the profile says %s, the rule %s", s.Rule, s.Tool, s.Default, verdicts(s.Outcomes)))
	}
	if examples == 0 {
		return nil
	}
	if _, err := governance.NewBundle([]governance.Policy{p}, c.options); err != nil {
		c.version.Problems = append(c.version.Problems, problemsOf("", err)...)
		return nil
	}
	c.version.Examples = examples
	return nil
}

func verdicts(list []governance.Verdict) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, " or ")
}

func withFix(text, fix string) string {
	if fix == "" {
		return text
	}
	return text + " (" + fix + ")"
}

// problemsOf are the mistakes inside an error of governance.
func problemsOf(at string, err error) Problems {
	var problems Problems
	for _, e := range governance.LoadErrors(err) {
		problems.add(at, "%s", withFix(e.Problem, e.Fix))
	}
	if len(problems) == 0 && err != nil {
		problems.add(at, "%s", err.Error())
	}
	return problems
}

// errOpen says that a version has no document.
var errOpen = errors.New("policies: the version is not compiled")

// policy is the version as governance decides by it.
func (v *Version) policy(name string) (governance.Policy, error) {
	if v.Document == nil {
		return governance.Policy{}, errOpen
	}
	list, err := governance.ParsePolicies("", v.Document, nil)
	if err != nil {
		return governance.Policy{}, err
	}
	p := list[0]
	p.Name, p.Source, p.Version = name, v.Policy, fmt.Sprint(v.Number)
	p.Schemas = maps.Clone(v.Schemas)
	for i := range p.Rules {
		p.Rules[i] = unlined(p.Rules[i])
	}
	return p, nil
}
