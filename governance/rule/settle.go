package rule

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"cadreen/governance"
)

// noneOfThese is the answer that none of the readings is what was meant.
const noneOfThese = "none of these"

// settle takes the reading that the examples and the answers leave, or asks what
// they leave open. What the readings do differently is never chosen by itself.
func (a *Author) settle(r governance.Rule, tools []governance.Tool, answers Answers, list readings, d Draft) Draft {
	grammar := d.Result
	d.Result = Result{Answers: Answers{}}
	d.Model, d.Refused, d.Confidence = true, list.Refused, 0
	if text, err := json.Marshal(list, json.Deterministic(true)); err == nil {
		d.Kept = string(text)
	}
	var rules []governance.Rule
	for _, one := range list.List {
		applied, err := a.apply(one, r, tools)
		if err != nil {
			// The tools are what they were, so it was not kept by us.
			d.Result, d.Kept = grammar, ""
			return d
		}
		rules = append(rules, applied)
	}
	left := a.byExamples(rules)
	if len(left) == 0 {
		d.Problem = "no reading of the model gives every example its verdict: correct the sentence or the examples"
		return d
	}
	for {
		differences, err := a.differences(left, tools)
		if err != nil {
			d.Problem = err.Error()
			return d
		}
		if len(differences) == 0 {
			break
		}
		next, open := answered(left, differences, answers, d.Answers)
		switch len(next) {
		case 0:
			d.Problem = "no reading of the model is what the answers say: write the sentence more plainly, or as CEL in `when`"
			return d
		case len(left):
			d.Questions = open
			return d
		}
		left = next
	}
	chosen := left[0]
	alike := 0
	for _, other := range rules {
		if x, err := a.differences([]governance.Rule{chosen, other}, tools); err == nil && len(x) == 0 {
			alike++
		}
	}
	d.Confidence = float64(alike) / float64(max(1, list.Asked)) // and every example passed
	chosen.Confidence = d.Confidence
	d.Rule, d.ReadBack = chosen, ReadBack(chosen, a.Evaluator)
	d.pin = governance.Pin{Condition: r.Condition, ReadBack: d.ReadBack, Tools: chosen.Tools, When: pinned(chosen), Unless: chosen.Unless, Confidence: d.Confidence}
	if len(d.Answers) > 0 {
		d.pin.Answers = d.Answers
	}
	return d
}

// pinned are the lines of a rule as policies.lock keeps them.
func pinned(r governance.Rule) []governance.Line {
	var lines []governance.Line
	for _, l := range r.When {
		lines = append(lines, governance.Line{If: l.If, Effect: l.Effect, To: l.To})
	}
	return lines
}

// byExamples leaves the readings that give every example of the rule its verdict.
func (a *Author) byExamples(rules []governance.Rule) (left []governance.Rule) {
	for _, r := range rules {
		if _, err := governance.NewBundle([]governance.Policy{{Name: "reading", Rules: []governance.Rule{r}}}, governance.Options{Evaluator: a.Evaluator}); err == nil {
			left = append(left, r)
		}
	}
	return left
}

// answered leaves the readings that do what the answers say, and the questions that
// have none. used gets the answers.
func answered(left []governance.Rule, differences []governance.Difference, answers, used Answers) (next []governance.Rule, open []Question) {
	out := make([]bool, len(left))
	for _, x := range differences {
		q := questionOf(x)
		given, ok := answers[q.ID]
		at := slices.IndexFunc(q.Options, func(o string) bool { return strings.EqualFold(o, strings.TrimSpace(given)) })
		if ok && at < 0 {
			q.Text = fmt.Sprintf("%.60q is no answer. %s", given, q.Text)
		}
		if at < 0 {
			open = append(open, q)
			continue
		}
		used[q.ID] = q.Options[at]
		for i, does := range x.Does {
			out[i] = out[i] || does.String() != q.Options[at]
		}
	}
	for i, r := range left {
		if !out[i] {
			next = append(next, r)
		}
	}
	return next, open
}

func (a *Author) differences(rules []governance.Rule, tools []governance.Tool) ([]governance.Difference, error) {
	if len(rules) < 2 {
		return nil, nil
	}
	var list []governance.GridRule
	for _, r := range rules {
		list = append(list, governance.GridRule{Rule: r})
	}
	return governance.Differences(governance.Options{Evaluator: a.Evaluator}, list, tools)
}

// questionOf a difference: one call, and what could be done with it.
func questionOf(x governance.Difference) Question {
	call := x.Point.Call()
	what := call.Name
	if x.Point.Words != "" {
		what += " with " + x.Point.Words
	}
	var options []string
	for _, does := range x.Does {
		options = append(options, does.String())
	}
	options = unique(options)
	sum := sha256.Sum256([]byte(call.Name + "\x00" + call.Arguments + "\x00" + x.Point.Words))
	text := fmt.Sprintf("%s, as in %s: %s?", governance.Shown(what), governance.Shown(call.Arguments), strings.Join(options, " or "))
	return Question{ID: "differ@" + hex.EncodeToString(sum[:4]), Text: text, Options: append(options, noneOfThese)}
}
