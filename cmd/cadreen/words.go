package main

import (
	"context"

	"cadreen/governance/policies"
	"cadreen/governance/rule"
)

// sentences compiles conditions in plain words with the grammar, and where that
// does not understand one and there is a model, with the model.
type sentences struct{ author rule.Author }

// Compile implements policies.Compiler.
func (s sentences) Compile(ctx context.Context, c policies.Condition) policies.Sentence {
	author := s.author
	if c.NoModel {
		author.Completer = nil
	}
	d := author.Compile(ctx, c.Rule, c.Tools, c.Answers, c.Kept)
	out := policies.Sentence{Rule: d.Rule, Means: d.ReadBack, Problem: d.Problem, Kept: d.Kept, Notes: d.Refused}
	if d.Model {
		out.Confidence = d.Confidence
	}
	for _, q := range d.Questions {
		out.Questions = append(out.Questions, policies.Question{ID: q.ID, Text: q.Text, Options: q.Options, Many: q.Many, Other: q.Other})
	}
	for _, w := range d.Unknown {
		out.Unknown = append(out.Unknown, policies.Word{Text: w.Text, Start: w.Start, End: w.End, Hint: w.Hint})
	}
	return out
}
