package main

import (
	"context"

	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/governance/rule"
)

// sentences compiles conditions in plain words with the grammar.
type sentences struct{}

// Compile implements policies.Compiler.
func (sentences) Compile(_ context.Context, r governance.Rule, tools []governance.Tool, answers map[string]string) policies.Sentence {
	result := rule.CompileRule(r, tools, answers)
	out := policies.Sentence{Rule: result.Rule, Means: result.ReadBack, Problem: result.Problem}
	for _, q := range result.Questions {
		out.Questions = append(out.Questions, policies.Question{ID: q.ID, Text: q.Text, Options: q.Options, Many: q.Many, Other: q.Other})
	}
	for _, w := range result.Unknown {
		out.Unknown = append(out.Unknown, policies.Word{Text: w.Text, Start: w.Start, End: w.End, Hint: w.Hint})
	}
	return out
}
