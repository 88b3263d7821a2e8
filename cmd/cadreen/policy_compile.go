package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"cadreen/governance"
	"cadreen/governance/rule"
)

type policyCompileCommand struct {
	policyFlags
	Path      string   `arg:"" optional:"" help:"Policy file or folder; the same as --policies."`
	Tools     string   `help:"JSON file with the tools that the conditions speak of, as a chat completion request lists them." placeholder:"FILE" type:"existingfile"`
	Workspace string   `help:"Take the tools that requests of this workspace offered, from the store of the settings." placeholder:"NAME"`
	Model     bool     `help:"Let the model of the settings read conditions that the grammar does not understand. What its readings differ in is asked, and what it comes to is written only if you say yes."`
	Answer    []string `help:"Answer to a question of an earlier run, as it was printed: RULE/ID=ANSWER; may be given more than once. Answers are kept in policies.lock." placeholder:"ANSWER" sep:"none"`
}

// Run compiles every condition that has no CEL of its own and writes
// policies.lock. Where one of them does not compile, nothing is written.
func (c policyCompileCommand) Run(ctx context.Context, p program) error {
	cfg, err := c.loadNamed(p, c.Path)
	if err != nil {
		return err
	}
	tools, err := c.tools(ctx, p)
	if err != nil {
		return err
	}
	lock := governance.LockPath(cfg.Policies)
	answers, err := readAnswers(p, lock, c.Answer)
	if err != nil {
		return err
	}
	opts, err := policyOptions(cfg)
	if err != nil {
		return err
	}
	var report governance.Report
	policies, err := governance.LoadOpen(cfg.Policies)
	report.AddErrors(err)
	run := compilation{program: p, tools: tools, evaluator: opts.Evaluator, report: &report, answers: answers, author: rule.Author{Evaluator: opts.Evaluator}}
	if c.Model {
		if run.author.Completer, err = openWriter(cfg); err != nil {
			return err
		}
	}
	for _, policy := range policies {
		for _, r := range policy.Rules {
			if len(r.When) == 1 && r.When[0].If == "" {
				run.compile(ctx, policy, r)
			}
		}
	}
	if err := answers.unused(); err != nil && len(report.Findings) == 0 {
		return err
	}
	if len(report.Findings) == 0 {
		// Everything together, as the server would load it: examples run here.
		pinned, err := governance.LoadPinned(cfg.Policies, run.pins)
		if err == nil {
			_, err = governance.NewBundle(pinned, opts)
		}
		report.AddErrors(err)
	}
	if len(report.Findings) > 0 {
		for _, f := range report.Findings {
			fmt.Fprintln(p.Stdout, f)
		}
		fmt.Fprintln(p.Stdout, "Nothing was written.")
		return errReported
	}
	if len(run.pins) == 0 {
		fmt.Fprintln(p.Stdout, "No condition needs compiling: every rule has its own `when`.")
		return nil
	}
	if err := governance.WriteLock(lock, run.pins); err != nil {
		return err
	}
	fmt.Fprintf(p.Stdout, "%d conditions compiled: %s\n", len(run.pins), lock)
	return nil
}

// compilation is one run over all policies.
type compilation struct {
	program
	tools     []governance.Tool
	evaluator governance.Evaluator
	report    *governance.Report
	answers   *answers
	author    rule.Author
	lines     *bufio.Reader // of standard input, once something was asked
	pins      []governance.Pin
}

// compile one rule's condition: print what it means and keep it, or say why not.
func (c *compilation) compile(ctx context.Context, policy governance.Policy, r governance.Rule) {
	complain := func(problem, fix string) {
		c.report.AddErrors(&governance.LoadError{File: policy.Source, Line: r.Line, Problem: fmt.Sprintf("rule %q: %s", r.ID, problem), Fix: fix})
	}
	tools := slices.DeleteFunc(slices.Clone(c.tools), func(t governance.Tool) bool { return !rule.Covers(r.Tools, t.Name) })
	result, pin, err := c.read(ctx, r, tools)
	if err != nil {
		complain(err.Error(), "")
		return
	}
	if !result.OK() {
		fix := ""
		if len(tools) == 0 {
			fix = "no tools are known for this rule: name them with --tools FILE or --workspace NAME"
		}
		if len(result.Questions) > 0 {
			q := result.Questions[0]
			fix = fmt.Sprintf("say it in the condition, or answer with --answer '%s/%s=…'", r.ID, q.ID)
			if q.Other != "" {
				fix += "; or " + q.Other
			}
		}
		complain(result.Err().Error(), fix)
		return
	}
	if !c.typed(result.Rule, tools, complain) {
		return
	}
	pin = pin.For(r, tools)
	if i := slices.IndexFunc(c.pins, func(other governance.Pin) bool {
		return governance.ConditionHash(other.Condition) == governance.ConditionHash(pin.Condition)
	}); i >= 0 {
		if !samePin(c.pins[i], pin) {
			complain("the same condition stands in another rule, where it means something else", "word one of them differently")
			return
		}
		if c.pins[i].Schemas == nil {
			c.pins[i].Schemas = pin.Schemas
		}
		maps.Copy(c.pins[i].Schemas, pin.Schemas)
		return
	}
	c.pins = append(c.pins, pin)
	if pin.Confidence == 0 { // else it was shown before it was confirmed
		c.print(pin, r.ID)
	}
}

// typed checks every expression against the schema of every tool it is for.
func (c *compilation) typed(r governance.Rule, tools []governance.Tool, complain func(problem, fix string)) bool {
	expressions := make([]string, 0, len(r.When)+1)
	for _, l := range r.When {
		expressions = append(expressions, l.If)
	}
	if r.Unless != "" {
		expressions = append(expressions, r.Unless)
	}
	ok := true
	for _, t := range tools {
		if !rule.Covers(r.Tools, t.Name) {
			continue
		}
		for _, e := range expressions {
			if _, err := c.evaluator.Compile(e, t.Schema); err != nil {
				complain(fmt.Sprintf("%s does not fit the tool %s: %v", e, t.Name, err), "")
				ok = false
			}
		}
	}
	return ok
}

func (c *compilation) print(pin governance.Pin, id string) {
	fmt.Fprintf(c.Stdout, "%s: %s\n", id, strings.TrimSpace(pin.Condition))
	if len(pin.Tools) > 0 {
		fmt.Fprintf(c.Stdout, "  tools   %s\n", strings.Join(pin.Tools, ", "))
	}
	for _, l := range pin.When {
		effect := l.Effect.String()
		if l.To != "" {
			effect += " to " + l.To
		}
		fmt.Fprintf(c.Stdout, "  when    %s → %s\n", l.If, effect)
	}
	if pin.Unless != "" {
		fmt.Fprintf(c.Stdout, "  unless  %s\n", pin.Unless)
	}
	fmt.Fprintf(c.Stdout, "  means   %s\n", pin.ReadBack)
}

// samePin says that two pins of a condition do the same, for whatever tools.
func samePin(a, b governance.Pin) bool {
	a.Schemas, b.Schemas = nil, nil
	x, errX := governance.EncodeLock([]governance.Pin{a})
	y, errY := governance.EncodeLock([]governance.Pin{b})
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// readTools reads a list of tools as a request has them, or a whole request.
func readTools(file string) ([]governance.Tool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	type listed struct {
		Type     string `json:"type"`
		Function *struct {
			Name        string          `json:"name"`
			Description string          `json:"description"`
			Parameters  json.RawMessage `json:"parameters"`
		} `json:"function"`
		Custom *struct {
			Name        string `json:"name"`
			Description string `json:"description"`
		} `json:"custom"`
	}
	var list []listed
	if err := json.Unmarshal(text, &list); err != nil {
		var request struct {
			Tools []listed `json:"tools"`
		}
		if json.Unmarshal(text, &request) != nil || len(request.Tools) == 0 {
			return nil, fmt.Errorf("%s: is no list of tools: %w", file, err)
		}
		list = request.Tools
	}
	tools := make([]governance.Tool, 0, len(list))
	for i, l := range list {
		switch {
		case l.Function != nil && governance.ValidName(l.Function.Name):
			tools = append(tools, governance.Tool{Type: "function", Name: l.Function.Name, Description: l.Function.Description, Schema: l.Function.Parameters})
		case l.Custom != nil && governance.ValidName(l.Custom.Name):
			tools = append(tools, governance.Tool{Type: "custom", Name: l.Custom.Name, Description: l.Custom.Description})
		default:
			return nil, fmt.Errorf("%s: tool %d has no name: tools are written {\"type\": \"function\", \"function\": {\"name\": …}}", file, i+1)
		}
	}
	return tools, nil
}
