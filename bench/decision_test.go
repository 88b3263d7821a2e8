package bench_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
)

// BenchmarkDecision is a decision at the size that the targets speak of: 20 rules that apply among so many, 4 KB of arguments,
// 200 messages. Beside the mean it reports the median and the 99th percentile.
func BenchmarkDecision(b *testing.B) {
	for _, rules := range []int{20, 1000} {
		b.Run(fmt.Sprintf("rules=%d", rules), func(b *testing.B) { decide(b, bundle(b, rules), "process_refund") })
	}
	b.Run("from_user", func(b *testing.B) {
		// The value stands in no message: all of them have to be looked into.
		decide(b, bundle(b, 19, governance.Rule{ID: "origin", Tools: []string{"process_refund"}, Mode: governance.Enforce,
			When: []governance.Line{{If: `from_user(args.order_id)`, Effect: governance.Confirm}}}), "process_refund")
	})
	b.Run("ledger", func(b *testing.B) {
		decide(b, bundle(b, 19, governance.Rule{ID: "limit", Tools: []string{"process_refund"}, Mode: governance.Enforce, When: []governance.Line{
			{If: `count("process_refund", "24h", args.order_id) > 3 || total("process_refund", "amount", "24h", requester.id) > 10000`, Effect: governance.Confirm}}}), "process_refund")
	})
	b.Run("unnamed", func(b *testing.B) { decide(b, bundle(b, 1000), "get_order") })
}

// bundle holds so many rules, of which the first 20 apply to process_refund and the others to a tool of their own each, and
// those that are given.
func bundle(b *testing.B, rules int, more ...governance.Rule) *governance.Bundle {
	b.Helper()
	p := governance.Policy{Name: "bench", Config: map[string]any{"over": int64(100_000)}}
	for i := range rules {
		tool := "process_refund"
		if i >= 20 {
			tool = fmt.Sprintf("tool_%d", i)
		}
		p.Rules = append(p.Rules, governance.Rule{ID: fmt.Sprintf("rule-%d", i), Tools: []string{tool}, Mode: governance.Enforce,
			When: []governance.Line{{If: fmt.Sprintf(`args.amount > config.over + %d && args.order_id != "0"`, i), Effect: governance.Confirm}}})
	}
	p.Rules = append(p.Rules, more...)
	evaluator, err := cel.New()
	require.NoError(b, err)
	made, err := governance.NewBundle([]governance.Policy{p}, governance.Options{Evaluator: evaluator})
	require.NoError(b, err)
	return made
}

func decide(b *testing.B, bundle *governance.Bundle, tool string) {
	schema := `{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"},"note":{"type":"string"}}}`
	arguments, err := json.Marshal(map[string]any{"order_id": "456", "amount": 750, "note": strings.Repeat("The parcel came late. ", 184)})
	require.NoError(b, err)
	require.InDelta(b, 4096, len(arguments), 64)
	facts := governance.Facts{Workspace: "w", Turns: 200, Requester: governance.Requester{ID: "key_1", Roles: []string{"support"}},
		Now: time.Unix(1767225600, 0), Tools: map[string]governance.Tool{tool: {Type: "function", Name: tool, Schema: []byte(schema)}}}
	for i := range 200 {
		facts.UserTexts = append(facts.UserTexts, fmt.Sprintf("Message %d: where is order %d?", i, i))
	}
	calls := []governance.Call{{ID: "call_1", Name: tool, Form: governance.FormFunction, Arguments: string(arguments)}}
	// What a rule reads of the ledger was loaded before.
	args, err := governance.ReadArguments(calls[0])
	require.NoError(b, err)
	facts.Ledger = map[string]governance.Tally{}
	for _, m := range bundle.Reads(tool).Meters {
		account, err := m.Account(&facts, args)
		require.NoError(b, err)
		facts.Ledger[account] = governance.Tally{Count: 1, Micro: 1}
	}
	require.Equal(b, governance.Allow, bundle.Decide(facts, calls)[0].Verdict)
	var spent []time.Duration
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		bundle.Decide(facts, calls)
		spent = append(spent, time.Since(start))
	}
	slices.Sort(spent)
	b.ReportMetric(float64(spent[len(spent)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(spent[len(spent)*99/100].Nanoseconds()), "p99-ns")
}
