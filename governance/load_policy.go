package governance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns the nodes of one file into policies and collects every mistake.
type reader struct {
	file     string
	pinned   map[string]Pin    // by ConditionHash
	schemas  map[string]string // that the pins of the policy at hand were made for
	open     bool              // conditions without CEL are wanted: see LoadOpen
	problems []error
}

func (r *reader) complain(n *yaml.Node, problem, fix string) {
	r.problems = append(r.problems, &LoadError{File: r.file, Line: n.Line, Problem: problem, Fix: fix})
}

func (r *reader) unknown(e entry, where string, known ...string) {
	fix := "use one of " + strings.Join(known, ", ")
	if near := Nearest(e.key, known); near != "" {
		fix = "did you mean " + near + "?"
	}
	r.complain(e.keyNode, fmt.Sprintf("unknown key %q in %s", e.key, where), fix)
}

func (r *reader) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		r.complain(n, fmt.Sprintf("%.40q should be text", n.Value), "put it in quotes")
		return ""
	}
	return n.Value
}

// expression is CEL; a bare true or false needs no quotes.
func (r *reader) expression(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.ToLower(n.Value)
	}
	return r.text(n)
}

func (r *reader) boolean(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.complain(n, fmt.Sprintf("%.40q should be true or false", n.Value), "")
		return false
	}
	return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
}

// confidence is above 0 and at most 1.
func (r *reader) confidence(n *yaml.Node) float64 {
	var f float64
	if n.Kind != yaml.ScalarNode || n.Decode(&f) != nil || !(f > 0 && f <= 1) {
		r.complain(n, fmt.Sprintf("%.40q is no confidence", n.Value), "write a number above 0, at most 1")
	}
	return f
}

func (r *reader) duration(n *yaml.Node) time.Duration {
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d <= 0 {
		r.complain(n, fmt.Sprintf("%.40q is no duration", n.Value), "write it like 15m or 4h")
		return 0
	}
	return d
}

func (r *reader) effect(n *yaml.Node) Verdict {
	v, err := ParseVerdict(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		fix := "use one of allow, clarify, confirm, escalate, block"
		if near := Nearest(n.Value, []string{"allow", "clarify", "confirm", "escalate", "block"}); near != "" {
			fix = "did you mean " + near + "?"
		}
		r.complain(n, fmt.Sprintf("unknown effect %.40q", n.Value), fix)
		return 0
	}
	return v
}

func (r *reader) list(n *yaml.Node) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		r.complain(n, "should be a list", "")
		return nil
	}
	return n.Content
}

// texts reads a text or a list of texts.
func (r *reader) texts(n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode {
		return []string{r.text(n)}
	}
	var out []string
	for _, c := range r.list(n) {
		out = append(out, r.text(c))
	}
	return out
}

func (r *reader) policy(n *yaml.Node) Policy {
	p := Policy{Source: r.file}
	var rules *yaml.Node
	for _, e := range r.members(n) {
		switch e.key {
		case "name":
			p.Name = r.text(e.value)
		case "domain":
			p.Domain = r.text(e.value)
		case "config":
			if m, ok := r.plain(e.value).(map[string]any); ok {
				p.Config = m
			} else {
				r.complain(e.value, "config should be a mapping of keys and values", "")
			}
		case "rules":
			rules = e.value
		default:
			r.unknown(e, "a policy", "name", "domain", "config", "rules")
		}
	}
	if strings.TrimSpace(p.Name) == "" {
		r.complain(n, "the policy has no name", "give it one: name: Refund policy")
	}
	if rules == nil {
		r.complain(n, "the policy has no rules", "add rules:")
		return p
	}
	list := r.list(rules)
	if rules.Kind == yaml.SequenceNode && len(list) == 0 {
		r.complain(rules, "the policy has no rules", "add one, or take the file away")
	}
	r.schemas = nil
	for i, node := range list {
		p.Rules = append(p.Rules, r.rule(node, i))
	}
	p.Schemas = r.schemas
	p.Version = p.Digest()
	return p
}

// rule reads the full form and the short form.
func (r *reader) rule(n *yaml.Node, index int) Rule {
	rule := Rule{Line: n.Line}
	var every Line // what the rule says for lines that do not say it themselves
	var when, condition, effect *yaml.Node
	for _, e := range r.members(n) {
		switch e.key {
		case "id":
			rule.ID = r.text(e.value)
		case "condition", "rule":
			if condition != nil {
				r.complain(e.keyNode, "`condition` and its alias `rule` stand together", "keep one")
			}
			condition = e.value
			rule.Condition = r.text(e.value)
		case "tools":
			rule.Tools = r.tools(e.value)
		case "when":
			when = e.value
		case "effect":
			effect = e.value
			every.Effect = r.effect(e.value)
		case "to":
			every.To = r.text(e.value)
		case "expires":
			every.Expires = r.duration(e.value)
		case "missing":
			every.Missing = r.text(e.value)
		case "from":
			every.From = r.text(e.value)
		case "else":
			if rule.Else = r.text(e.value); rule.Else != "profile" {
				if v, err := ParseVerdict(rule.Else); err != nil || v != Allow {
					r.complain(e.value, fmt.Sprintf("unknown else %.40q", rule.Else), "use allow or profile; a stricter outcome is a last line with `if: \"true\"`")
				}
				rule.Else = "allow"
			}
		case "unless":
			rule.Unless = r.expression(e.value)
		case "message":
			rule.Message = r.text(e.value)
		case "mode":
			rule.Mode = Mode(r.text(e.value))
			if !slices.Contains([]Mode{Enforce, Shadow, Off}, rule.Mode) {
				r.complain(e.value, fmt.Sprintf("unknown mode %.40q", e.value.Value), "use enforce, shadow or off")
			}
		case "self_review":
			rule.SelfReview = r.boolean(e.value)
		case "confidence":
			rule.Confidence = r.confidence(e.value)
		case "examples":
			for _, x := range r.list(e.value) {
				rule.Examples = append(rule.Examples, r.example(x))
			}
		default:
			r.unknown(e, "a rule", "id", "condition", "tools", "when", "effect", "to", "expires", "missing", "from", "else", "unless", "message", "mode", "self_review", "examples", "confidence")
		}
	}
	if rule.ID == "" {
		rule.ID = fmt.Sprintf("rule-%d", index+1)
	}
	rule.When = r.lines(n, when, every, effect, &rule)
	if rule.Mode == "" {
		rule.Mode = Enforce
	}
	if rule.Else == "allow" && len(rule.Tools) == 0 {
		r.complain(n, "`else: allow` needs `tools`: a rule without tools takes none over", "name the tools, or leave `else` out")
	}
	return rule
}

func (r *reader) tools(n *yaml.Node) []string {
	tools := r.texts(n)
	if n.Kind == yaml.SequenceNode && len(tools) == 0 {
		r.complain(n, "`tools` is empty", "name a tool, or leave it out for every tool")
	}
	for _, t := range tools {
		if !ValidName(strings.NewReplacer("*", "x", "?", "x").Replace(t)) {
			r.complain(n, fmt.Sprintf("%.60q is no tool name or glob", t), "use letters, digits, _ . : / - and the wildcards * and ?")
		}
	}
	return tools
}

// lines reads `when` in all its spellings, or takes the CEL from policies.lock.
func (r *reader) lines(rule, when *yaml.Node, every Line, effect *yaml.Node, into *Rule) []Line {
	line := func(n *yaml.Node, expr string) Line {
		l := every
		l.If, l.Line = expr, n.Line
		if effect == nil {
			r.complain(rule, "the rule has no effect", "add `effect:`, or give every line of `when` its own")
		}
		return l
	}
	switch {
	case when == nil && strings.TrimSpace(into.Condition) == "":
		r.complain(rule, "the rule has neither `when` nor `condition`", `add when: "<CEL>"`)
	case when == nil:
		return r.pinnedLines(rule, every, effect, into)
	case when.Kind == yaml.ScalarNode:
		return []Line{line(when, r.expression(when))}
	case when.Kind == yaml.MappingNode:
		return []Line{r.line(when, every)}
	default:
		list := r.list(when)
		if when.Kind == yaml.SequenceNode && len(list) == 0 {
			r.complain(when, "`when` is empty", "add a line")
		}
		var lines []Line
		for _, n := range list {
			if n.Kind == yaml.ScalarNode {
				lines = append(lines, line(n, r.expression(n)))
			} else {
				lines = append(lines, r.line(n, every))
			}
		}
		return lines
	}
	return nil
}

func (r *reader) line(n *yaml.Node, every Line) Line {
	l := every
	l.Line = n.Line
	hasIf := false
	for _, e := range r.members(n) {
		switch e.key {
		case "if":
			hasIf = true
			l.If = r.expression(e.value)
		case "effect":
			l.Effect = r.effect(e.value)
		case "to":
			l.To = r.text(e.value)
		case "expires":
			l.Expires = r.duration(e.value)
		case "missing":
			l.Missing = r.text(e.value)
		case "from":
			l.From = r.text(e.value)
		default:
			r.unknown(e, "a line of `when`", "if", "effect", "to", "expires", "missing", "from")
			return l
		}
	}
	if !hasIf {
		r.complain(n, "a line has no `if`", `write if: "true" for a line that always holds`)
	}
	if l.Effect == 0 {
		r.complain(n, "a line has no effect", "add effect: allow, clarify, confirm, escalate or block")
	}
	return l
}

func (r *reader) example(n *yaml.Node) Example {
	x := Example{Line: n.Line}
	for _, e := range r.members(n) {
		switch e.key {
		case "call":
			x.Call = r.call(e.value)
		case "requester":
			q := r.requester(e.value)
			x.Requester = &q
		case "messages":
			x.Messages = r.texts(e.value)
		case "domain":
			x.Domain = r.text(e.value)
		case "now":
			x.Now = r.time(e.value)
		case "expect":
			x.Expect = r.effect(e.value)
		default:
			r.unknown(e, "an example", "call", "requester", "messages", "domain", "now", "expect")
		}
	}
	if x.Call.Name == "" {
		r.complain(n, "the example has no call", "add call: {name: …, arguments: {…}}")
	}
	if x.Expect == 0 {
		r.complain(n, "the example expects nothing", "add expect: allow, clarify, confirm, escalate or block")
	}
	return x
}

func (r *reader) call(n *yaml.Node) ExampleCall {
	c := ExampleCall{Arguments: []byte("{}")}
	for _, e := range r.members(n) {
		switch e.key {
		case "name":
			c.Name = r.text(e.value)
		case "arguments":
			c.Arguments = r.arguments(e.value)
		default:
			r.unknown(e, "a call", "name", "arguments")
		}
	}
	return c
}

// arguments are a mapping, or the text as a model writes it.
func (r *reader) arguments(n *yaml.Node) []byte {
	if n.Kind == yaml.ScalarNode {
		return []byte(r.text(n))
	}
	text, err := json.Marshal(r.plain(n))
	if err != nil {
		r.complain(n, "cannot be written as JSON", "")
	}
	return text
}

func (r *reader) requester(n *yaml.Node) Requester {
	q := Requester{ID: "requester"}
	for _, e := range r.members(n) {
		switch e.key {
		case "id":
			q.ID = r.text(e.value)
		case "roles":
			q.Roles = r.texts(e.value)
		case "claims":
			q.Claims, _ = r.plain(e.value).(map[string]any)
		default:
			r.unknown(e, "a requester", "id", "roles", "claims")
		}
	}
	return q
}

func (r *reader) time(n *yaml.Node) time.Time {
	t, err := time.Parse(time.RFC3339, n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		r.complain(n, fmt.Sprintf("%.40q is no time", n.Value), "write it like 2026-01-02T17:30:00Z")
	}
	return t
}

// schema is a JSON Schema written as a mapping.
func (r *reader) schema(n *yaml.Node) []byte {
	text, err := json.Marshal(r.plain(n))
	if err != nil || n.Kind != yaml.MappingNode {
		r.complain(n, "should be a JSON Schema", "")
		return nil
	}
	return text
}
