package governance_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"cadreen/governance"
)

type preconditionCase struct {
	Name      string
	Policy    any
	Arguments string
	Schema    string
	Messages  []string
	Roles     []string
	Released  []struct{ Name, Arguments string }
	Lacks     []string
	Verdict   string
	Expect    []struct{ State, Rule, Effect, Fact, Tool, Needs string }
}

func TestPreconditions(t *testing.T) {
	text, err := os.ReadFile("testdata/preconditions.yaml")
	require.NoError(t, err)
	var cases []preconditionCase
	require.NoError(t, yaml.Unmarshal(text, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			policy, err := yaml.Marshal(c.Policy)
			require.NoError(t, err)
			facts := governance.Facts{Workspace: "shop", Requester: governance.Requester{ID: "ann", Roles: c.Roles}, Now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
				UserTexts: c.Messages, Turns: len(c.Messages), Tools: map[string]governance.Tool{
					"process_refund": {Type: "function", Name: "process_refund", Schema: []byte(c.Schema)}, "get_order": {Type: "function", Name: "get_order"}}}
			for _, r := range c.Released {
				facts.Released = append(facts.Released, governance.Released{ID: "c", Name: r.Name, Arguments: r.Arguments, At: facts.Now})
			}
			lacks := governance.Unsupplied{}
			for _, l := range c.Lacks {
				*map[string]*bool{"arguments": &lacks.Arguments, "words": &lacks.Words, "conversation": &lacks.Conversation, "ledger": &lacks.Ledger}[l] = true
			}
			call := governance.Call{Name: "process_refund", Form: governance.FormFunction, Arguments: c.Arguments}
			list, decision := bundleOf(t, string(policy)).Preconditions(facts, call, lacks)
			require.Len(t, list, len(c.Expect), "%+v", list)
			for i, want := range c.Expect {
				got := list[i]
				require.Equal(t, want.State, got.State, "%+v", got)
				require.Equal(t, want.Rule, got.Rule)
				require.NotEmpty(t, got.Detail)
				if want.Effect != "" {
					require.Equal(t, want.Effect, got.Effect.String())
				}
				if want.Needs != "" {
					require.Contains(t, got.Needs, want.Needs)
				}
				if want.State != governance.Unknown {
					require.Empty(t, got.Needs)
				}
				require.Equal(t, want.Fact, cmpFact(want.Fact, got.Fact), "%+v", got)
				require.Equal(t, want.Tool, got.Tool, "%+v", got)
			}
			if c.Verdict != "" {
				require.Equal(t, c.Verdict, decision.Verdict.String())
			}
		})
	}
}

// cmpFact is the fact where one is expected by its text.
func cmpFact(want, got string) string {
	if want == "" {
		return ""
	}
	return got
}
