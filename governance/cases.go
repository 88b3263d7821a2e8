package governance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// CaseResult is one decision case: what was asked, what came out.
type CaseResult struct {
	Name     string
	File     string
	Line     int
	Want     string // "confirm", or "confirm by refund-limit"
	Decision CallDecision
	// Problem is "" if the case came out right.
	Problem string
}

// OK says that the case came out right.
func (c CaseResult) OK() bool { return c.Problem == "" }

// decisionCase is one case as written in a file.
type decisionCase struct {
	name, rule, reason string
	facts              Facts
	calls              []Call
	profile            Profile
	expect             Verdict
	line               int
}

// RunCases decides the cases of a YAML or JSON file: a list, or a mapping with the
// list under `cases`. A case has name, call {name, arguments}, expect (a verdict),
// and may have rule (the id of a determining rule), reason, requester, messages,
// domain, now, profile, forced, tool_messages, confirmed, truncated, before (calls
// of the same turn), released (calls of earlier turns: name, arguments, ago, result;
// the ledger holds just these), claimed (results of no such call) and tools: a list of names
// or a mapping from name to {type, description, schema}. Without tools, every tool
// that is called counts as offered. The bundle's own profile applies where a case
// names none. The error is about the file; cases that come out wrong are results.
func RunCases(bundle *Bundle, file string) ([]CaseResult, error) {
	text, err := readPolicyFile(file)
	if err != nil {
		return nil, err
	}
	cases, err := readCases(file, text)
	if err != nil {
		return nil, err
	}
	bundles := map[Profile]*Bundle{bundle.profile: bundle}
	var results []CaseResult
	for _, c := range cases {
		judge := bundle
		if c.profile != "" {
			if judge = bundles[c.profile]; judge == nil {
				opts := bundle.opts
				opts.Profile = c.profile
				if judge, err = NewBundle(bundle.policies, opts); err != nil {
					return nil, err
				}
				bundles[c.profile] = judge
			}
		}
		decisions := judge.Decide(c.facts, c.calls)
		d := decisions[len(decisions)-1]
		result := CaseResult{Name: c.name, File: file, Line: c.line, Want: c.expect.String(), Decision: d}
		if c.rule != "" {
			result.Want += " by " + c.rule
		}
		switch {
		case d.Verdict != c.expect:
			result.Problem = fmt.Sprintf("should be %s and is %s: %s", result.Want, d.Verdict, d.Detail)
		case c.reason != "" && d.Reason != c.reason:
			result.Problem = fmt.Sprintf("should be decided for reason %s and is for %s: %s", c.reason, d.Reason, d.Detail)
		case c.rule != "" && !determined(d, c.rule):
			result.Problem = fmt.Sprintf("should be %s and is decided otherwise: %s", result.Want, d.Detail)
		}
		results = append(results, result)
	}
	return results, nil
}

func determined(d CallDecision, rule string) bool {
	for _, f := range d.Fired {
		if f.Determining && f.Rule == rule {
			return true
		}
	}
	return false
}

// IsCaseFile says whether a YAML file holds decision cases rather than a policy.
func IsCaseFile(file string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	documents, err := parseDocuments(file, text)
	if err != nil || len(documents) != 1 {
		return false
	}
	n := documents[0]
	if n.Kind == yaml.SequenceNode {
		return true
	}
	return n.Kind == yaml.MappingNode && len(n.Content) >= 2 && n.Content[0].Value == "cases"
}

func readCases(file string, text []byte) ([]decisionCase, error) {
	documents, err := parseDocuments(file, text)
	if err != nil {
		return nil, err
	}
	r := &reader{file: file}
	var cases []decisionCase
	for _, n := range documents {
		if n.Kind == yaml.MappingNode {
			for _, e := range r.members(n) {
				if e.key != "cases" {
					r.unknown(e, "a file of cases", "cases")
				}
				n = e.value
			}
		}
		for _, c := range r.list(n) {
			cases = append(cases, r.decisionCase(c))
		}
	}
	if len(cases) == 0 && len(r.problems) == 0 {
		r.problems = append(r.problems, &LoadError{File: file, Problem: "holds no cases"})
	}
	return cases, errors.Join(r.problems...)
}

func (r *reader) decisionCase(n *yaml.Node) decisionCase {
	c := decisionCase{line: n.Line, facts: Facts{Workspace: "case", Conversation: "case", Now: exampleTime, Requester: Requester{ID: "requester"}}}
	call := Call{ID: "call_case", Form: FormFunction}
	var offered map[string]Tool
	var before []Call
	called := false
	var past []casePast
	for _, e := range r.members(n) {
		switch e.key {
		case "name":
			c.name = r.text(e.value)
		case "call":
			called = true
			x := r.call(e.value)
			call.Name, call.Arguments = x.Name, string(x.Arguments)
		case "form":
			call.Form = Form(r.text(e.value))
		case "truncated":
			call.Truncated = r.boolean(e.value)
		case "malformed":
			call.Malformed = r.text(e.value)
		case "before":
			for i, x := range r.list(e.value) {
				b := r.call(x)
				before = append(before, Call{ID: fmt.Sprintf("call_before_%d", i+1), Form: FormFunction, Name: b.Name, Arguments: string(b.Arguments)})
			}
		case "released":
			for _, x := range r.list(e.value) {
				past = append(past, r.past(x))
			}
		case "claimed":
			for _, x := range r.list(e.value) {
				c.facts.Results = append(c.facts.Results, r.claimed(x))
			}
		case "requester":
			c.facts.Requester = r.requester(e.value)
		case "messages":
			c.facts.UserTexts = r.texts(e.value)
			c.facts.Turns = len(c.facts.UserTexts)
		case "domain":
			c.facts.Domain = r.text(e.value)
		case "workspace":
			c.facts.Workspace = r.text(e.value)
		case "now":
			c.facts.Now = r.time(e.value)
		case "forced":
			c.facts.Forced = r.text(e.value)
		case "tool_messages":
			c.facts.ToolMessages = r.boolean(e.value)
		case "confirmed":
			c.facts.Confirmed = r.boolean(e.value)
		case "profile":
			c.profile = Profile(r.text(e.value))
			if _, err := ParseProfile(string(c.profile)); err != nil {
				r.complain(e.value, err.Error(), "")
			}
		case "tools":
			offered = r.offered(e.value)
		case "expect":
			c.expect = r.effect(e.value)
		case "rule":
			c.rule = r.text(e.value)
		case "reason":
			c.reason = r.text(e.value)
		default:
			r.unknown(e, "a case", "name", "call", "form", "truncated", "malformed", "before", "released", "claimed", "requester", "messages", "domain",
				"workspace", "now", "forced", "tool_messages", "confirmed", "profile", "tools", "expect", "rule", "reason")
		}
	}
	c.facts.remember(past)
	c.calls = append(before, call)
	if offered == nil {
		offered = map[string]Tool{}
		for _, x := range c.calls {
			kind := "function"
			if x.Form == FormCustom {
				kind = "custom"
			}
			offered[x.Name] = Tool{Type: kind, Name: x.Name}
		}
	}
	c.facts.Tools = offered
	if strings.TrimSpace(c.name) == "" {
		c.name = "case at line " + fmt.Sprint(n.Line)
	}
	if !called {
		r.complain(n, "the case has no call", "add call: {name: …, arguments: {…}}")
	}
	if c.expect == 0 {
		r.complain(n, "the case expects nothing", "add expect: allow, clarify, confirm, escalate or block")
	}
	return c
}

func (r *reader) offered(n *yaml.Node) map[string]Tool {
	tools := map[string]Tool{}
	if n.Kind != yaml.MappingNode {
		for _, name := range r.texts(n) {
			tools[name] = Tool{Type: "function", Name: name, Assumed: true}
		}
		return tools
	}
	for _, e := range r.members(n) {
		t := Tool{Type: "function", Name: e.key}
		if e.value.ShortTag() != "!!null" {
			for _, m := range r.members(e.value) {
				switch m.key {
				case "type":
					t.Type = r.text(m.value)
				case "description":
					t.Description = r.text(m.value)
				case "schema", "parameters":
					t.Schema = json.RawMessage(r.schema(m.value))
				default:
					r.unknown(m, "a tool", "type", "description", "schema")
				}
			}
		}
		t.Assumed = len(t.Schema) == 0
		tools[e.key] = t
	}
	return tools
}
