package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/governance/rule"
	"cadreen/proxy/backend"
)

// writerOf is the model that may help to write rules: that of the settings, where
// they name one and the proxy has a key of its own for it. nil is none.
func writerOf(cfg *config.Config, server backend.Backend) governance.Completer {
	if server == nil || server.Rehearsal() || cfg.Backend.Model == "" || cfg.Backend.Auth == "passthrough" {
		return nil
	}
	return backend.Completer{Backend: server, Model: cfg.Backend.Model}
}

// openWriter is writerOf for commands, which say what is missing.
func openWriter(cfg *config.Config) (governance.Completer, error) {
	server, err := openBackend(cfg.Backend)
	if err != nil {
		return nil, err
	}
	writer := writerOf(cfg, server)
	if writer == nil {
		return nil, usageError{errors.New("--model needs backend.url, backend.model and, where the server asks for one, backend.api_key")}
	}
	return writer, nil
}

// read compiles a condition with the grammar, takes what a person confirmed of it
// before, or lets a model read it and a person decide.
func (c *compilation) read(ctx context.Context, r governance.Rule, tools []governance.Tool) (rule.Result, governance.Pin, error) {
	answers := c.answers.of(r)
	if kept, ok := c.answers.kept[governance.ConditionHash(r.Condition)]; ok && kept.Confidence > 0 && len(rule.CompileRule(r, c.tools, answers).Unknown) > 0 {
		if applied, err := kept.Apply(r); err == nil && c.typed(applied, tools, func(string, string) {}) {
			c.print(kept, r.ID)
			fmt.Fprintf(c.Stdout, "  model   confidence %.2f, as it was confirmed before\n", kept.Confidence)
			return rule.Result{Rule: applied, ReadBack: kept.ReadBack}, kept, nil
		}
	}
	d := c.author.Compile(ctx, r, c.tools, answers, "")
	if len(d.Unknown) > 0 && c.author.Completer != nil {
		for _, why := range d.Refused {
			fmt.Fprintf(c.Stderr, "%s: %s\n", r.ID, oneLine(why))
		}
	}
	if c.Terminal && len(d.Questions) > 0 && !d.Model {
		fmt.Fprintf(c.Stdout, "%s: %s\n", r.ID, strings.TrimSpace(r.Condition))
	}
	for c.Terminal && len(d.Questions) > 0 && !d.Model {
		q := d.Questions[0]
		answer, err := c.ask(q)
		if errors.Is(err, errNobody) {
			break // what is open is printed, as where nobody is asked
		}
		if err != nil {
			return d.Result, governance.Pin{}, err
		}
		answers[q.ID] = answer
		d = c.author.Compile(ctx, r, c.tools, answers, "")
	}
	if !d.Model {
		return d.Result, d.Pin(), nil
	}
	for len(d.Questions) > 0 {
		fmt.Fprintf(c.Stdout, "%s: %s\nThe readings of the model differ:\n", r.ID, strings.TrimSpace(r.Condition))
		for _, q := range d.Questions {
			answer, err := c.ask(q)
			if err != nil {
				return d.Result, governance.Pin{}, err
			}
			answers[q.ID] = answer
		}
		d = c.author.Compile(ctx, r, c.tools, answers, d.Kept)
	}
	if !d.OK() {
		return d.Result, governance.Pin{}, nil
	}
	pin := d.Pin()
	c.print(pin, r.ID)
	fmt.Fprintf(c.Stdout, "  model   confidence %.2f\n", d.Confidence)
	answer, err := c.ask(rule.Question{Text: "A model read this. Is it what is meant?", Options: []string{"yes", "no"}})
	if err != nil {
		return d.Result, pin, err
	}
	if answer != "yes" {
		return d.Result, pin, errors.New("the model's reading was not confirmed: write the condition more plainly, or as CEL in `when`")
	}
	return d.Result, pin, nil
}

// errNobody says that a question has nobody to answer it.
var errNobody = errors.New("a model read the condition and nobody is there to answer: run this where standard input is yours")

// ask puts a question on standard output until standard input answers it with the
// number or the words of an option, or in words of its own where it takes them.
func (c *compilation) ask(q rule.Question) (string, error) {
	if c.Stdin == nil {
		return "", errNobody
	}
	if c.lines == nil {
		c.lines = bufio.NewReader(c.Stdin)
	}
	for {
		fmt.Fprintf(c.Stdout, "%s\n", q.Text)
		for i, o := range q.Options {
			fmt.Fprintf(c.Stdout, "  %d) %s\n", i+1, o)
		}
		if q.Other != "" {
			fmt.Fprintf(c.Stdout, "  or %s\n", strings.TrimPrefix(q.Other, "or "))
		}
		if q.Many {
			fmt.Fprintln(c.Stdout, "  several with commas between")
		}
		fmt.Fprint(c.Stdout, "> ")
		line, err := c.lines.ReadString('\n')
		line = strings.TrimSpace(line)
		if answer, ok := chosen(q, line); ok {
			return answer, nil
		}
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(c.Stdout)
			return "", errNobody
		}
		if err != nil {
			return "", err
		}
	}
}

// chosen is what a line answers: options by number or in their words, or words of
// its own, which the compiler then takes or asks about again.
func chosen(q rule.Question, line string) (string, bool) {
	parts := []string{line}
	if q.Many {
		parts = strings.Split(line, ",")
	}
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if n, err := strconv.Atoi(p); err == nil && n >= 1 && n <= len(q.Options) {
			parts[i] = q.Options[n-1]
			continue
		}
		at := slices.IndexFunc(q.Options, func(o string) bool { return strings.EqualFold(o, p) })
		switch {
		case at >= 0:
			parts[i] = q.Options[at]
		case q.Other == "" || p == "":
			return "", false
		}
	}
	return strings.Join(parts, ", "), true
}
