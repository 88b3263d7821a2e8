package rule_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance/rule"
)

// answered is an entry of answers.yaml.
type answered struct {
	Says  string
	Steps []struct {
		ID      string
		Options []string
		Answer  string
	}
	Calls []string
}

func TestAnswersSettleQuestions(t *testing.T) {
	for _, a := range read[[]answered](t, "answers.yaml") {
		t.Run(a.Says, func(t *testing.T) {
			answers := rule.Answers{}
			result := rule.Compile(a.Says, tools(t), answers)
			for _, step := range a.Steps {
				require.Len(t, result.Questions, 1, "%+v", result)
				q := result.Questions[0]
				require.Equal(t, step.ID, q.ID)
				require.Equal(t, step.Options, q.Options)

				// What is no answer asks again, and says so.
				wrong := maps.Clone(answers)
				wrong[q.ID] = "whatever"
				again := rule.Compile(a.Says, tools(t), wrong)
				require.Len(t, again.Questions, 1)
				require.Equal(t, q.ID, again.Questions[0].ID)
				require.Contains(t, again.Questions[0].Text, `"whatever" is no answer`)

				answers[q.ID] = step.Answer
				result = rule.Compile(a.Says, tools(t), answers)
			}
			require.NoError(t, result.Err())
			require.Len(t, result.Answers, len(a.Steps), "the answers that were used")
			require.Equal(t, map[string]string(result.Answers), result.Pin().Answers)
			b := bundle(t, a.Says, result)
			for _, call := range a.Calls {
				got, want := judge(t, b, call)
				require.Equal(t, want, got, "%s\n%s", call, result.ReadBack)
			}

			// The answers that were used are enough, and others do not count.
			more := maps.Clone(result.Answers)
			more["argument@999"] = "amount"
			require.Equal(t, result, rule.Compile(a.Says, tools(t), more))
		})
	}
}
