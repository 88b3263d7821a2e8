package governance_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// manyRules makes n rules over tools: each with a limit of its own, some with an
// allow line, a role or an hour.
func manyRules(n, tools int) []governance.Policy {
	p := governance.Policy{Name: "many", Config: map[string]any{"over": int64(100)}}
	for i := range n {
		r := governance.Rule{ID: fmt.Sprintf("r%d", i), Tools: []string{fmt.Sprintf("tool_%d", i%tools)}, Mode: governance.Enforce,
			When: []governance.Line{{If: fmt.Sprintf(`args.amount > config.over + %d && args.currency == "EUR"`, i), Effect: governance.Confirm}}}
		switch i % 5 {
		case 1:
			r.Unless = `"lead" in requester.roles`
		case 2:
			r.When = append([]governance.Line{{If: fmt.Sprintf("args.amount > %d", 10*i), Effect: governance.Escalate}}, r.When...)
		case 3:
			r.When[0] = governance.Line{If: `weekday("Europe/Berlin") == "friday" && in_hours("Europe/Berlin", "17-24")`, Effect: governance.Block}
		case 4:
			r.When[0].Effect, r.When[0].If = governance.Allow, fmt.Sprintf("args.amount < %d", i)
		}
		p.Rules = append(p.Rules, r)
	}
	return []governance.Policy{p}
}

func benchLint(b *testing.B, n, tools int) {
	bundle, err := governance.NewBundle(manyRules(n, tools), policyOptions(b))
	require.NoError(b, err)
	found := 0
	for b.Loop() {
		found = len(governance.Lint(bundle, nil))
	}
	b.ReportMetric(float64(found), "findings")
}

func BenchmarkLint1000RulesOf100Tools(b *testing.B)  { benchLint(b, 1000, 100) }
func BenchmarkLint1000RulesOfOneTool(b *testing.B)   { benchLint(b, 1000, 1) }
func BenchmarkLint1000RulesOf1000Tools(b *testing.B) { benchLint(b, 1000, 1000) }
