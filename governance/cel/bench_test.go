package cel_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// benchPolicies makes n rules of one line with else; the first `applicable` name
// process_refund, the others a tool of their own each.
func benchPolicies(n, applicable int) []governance.Policy {
	p := governance.Policy{Name: "bench", Config: map[string]any{"over": int64(100000)}}
	for i := range n {
		tool := "process_refund"
		if i >= applicable {
			tool = fmt.Sprintf("other_tool_%d", i)
		}
		p.Rules = append(p.Rules, governance.Rule{ID: fmt.Sprintf("r%d", i), Tools: []string{tool}, Mode: governance.Enforce,
			When: []governance.Line{{If: fmt.Sprintf(`args.amount > config.over + %d && args.order_id != "x"`, i), Effect: governance.Confirm}}})
	}
	return []governance.Policy{p}
}

const refundSchema = `{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"},"note":{"type":"string"},
	"items":{"type":"array","items":{"type":"object","properties":{"sku":{"type":"string"},"quantity":{"type":"integer"}}}}},"required":["order_id","amount"]}`

// benchTurn is 4 KB of arguments and 200 messages of the requester.
func benchTurn(tb testing.TB, tool string) (governance.Facts, []governance.Call) {
	var items []map[string]any
	for i := range 30 {
		items = append(items, map[string]any{"sku": fmt.Sprintf("SKU-%05d", i), "quantity": i})
	}
	args := map[string]any{"order_id": "456", "amount": 750, "items": items, "note": ""}
	text, err := json.Marshal(args)
	require.NoError(tb, err)
	args["note"] = strings.Repeat("The parcel came late. ", 200)[:4096-len(text)]
	text, err = json.Marshal(args)
	require.NoError(tb, err)
	require.Len(tb, text, 4096)
	facts := governance.Facts{Workspace: "w", Turns: 200, Requester: governance.Requester{ID: "key_1", Roles: []string{"support"}}, Now: time.Unix(1750000000, 0),
		Tools: map[string]governance.Tool{tool: {Type: "function", Name: tool, Description: "A tool", Schema: []byte(refundSchema)}}}
	for i := range 200 {
		facts.UserTexts = append(facts.UserTexts, fmt.Sprintf("Message %d: please refund order %d for $%d.50, thank you.", i, i+256, i+550))
	}
	return facts, []governance.Call{{ID: "call_1", Name: tool, Form: governance.FormFunction, Arguments: string(text)}}
}

func benchBundle(tb testing.TB, policies []governance.Policy) *governance.Bundle {
	b, err := governance.NewBundle(policies, governance.Options{Evaluator: evaluator(tb)})
	require.NoError(tb, err)
	return b
}

// Targets of a decision, of which the benchmarks report what they measure: the
// median and the 99th percentile in microseconds, and beside them the target.
var (
	targetRules  = target{p50: 25, p99: 100} // up to 20 rules, 4 KB of arguments, 200 messages
	targetNoRule = target{p50: 5, p99: 100}  // a tool that no rule names
)

type target struct{ p50, p99 float64 }

func decideLoop(b *testing.B, bundle *governance.Bundle, facts governance.Facts, calls []governance.Call, want governance.Verdict, goal target) {
	require.Equal(b, want, bundle.Decide(facts, calls)[0].Verdict)
	var took [1 << 14]time.Duration // the last ones, kept without allocating
	n := 0
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		start := time.Now()
		bundle.Decide(facts, calls)
		took[n%len(took)] = time.Since(start)
		n++
	}
	sorted := took[:min(n, len(took))]
	slices.Sort(sorted)
	b.ReportMetric(float64(sorted[len(sorted)/2].Nanoseconds())/1e3, "p50-µs")
	b.ReportMetric(goal.p50, "target-p50-µs")
	b.ReportMetric(float64(sorted[len(sorted)*99/100].Nanoseconds())/1e3, "p99-µs")
	b.ReportMetric(goal.p99, "target-p99-µs")
}

func BenchmarkDecide20Rules4KB(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	decideLoop(b, benchBundle(b, benchPolicies(20, 20)), facts, calls, governance.Allow, targetRules)
}

func BenchmarkDecide20Of1000Rules4KB(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	decideLoop(b, benchBundle(b, benchPolicies(1000, 20)), facts, calls, governance.Allow, targetRules)
}

func BenchmarkDecide20Rules4KBWithoutSchema(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	facts.Tools["process_refund"] = governance.Tool{Type: "function", Name: "process_refund"}
	decideLoop(b, benchBundle(b, benchPolicies(20, 20)), facts, calls, governance.Allow, targetRules)
}

// Names out of order, escapes and spaces: nothing can be copied as it stands.
func BenchmarkDecide20Rules4KBSpelledOddly(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	calls[0].Arguments = `{ "note": "` + strings.Repeat(`The parcel came late.\u0020\/ `, 48) + `",
		"items": [` + strings.TrimSuffix(strings.Repeat(`{"sku": "SKU-1", "quantity": 1.0, "gift": false}, `, 48), ", ") + `], "order_id": "456", "amount": 7.5e2 }`
	decideLoop(b, benchBundle(b, benchPolicies(20, 20)), facts, calls, governance.Allow, targetRules)
}

func BenchmarkDecide20RulesSmall(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	calls[0].Arguments = `{"order_id":"456","amount":750}`
	decideLoop(b, benchBundle(b, benchPolicies(20, 20)), facts, calls, governance.Allow, targetRules)
}

func BenchmarkDecideNoRuleNamesTheTool(b *testing.B) {
	facts, calls := benchTurn(b, "get_order")
	calls[0].Arguments = `{"order_id":"456","amount":750}`
	decideLoop(b, benchBundle(b, benchPolicies(1000, 20)), facts, calls, governance.Allow, targetNoRule)
}

func BenchmarkDecideNoRuleNamesTheTool4KB(b *testing.B) {
	facts, calls := benchTurn(b, "get_order")
	decideLoop(b, benchBundle(b, benchPolicies(1000, 20)), facts, calls, governance.Allow, targetNoRule)
}

// One of 20 rules looks for an argument in 200 messages.
func benchFromUser(b *testing.B, argument, newest string, want governance.Verdict) {
	facts, calls := benchTurn(b, "process_refund")
	policies := benchPolicies(19, 19)
	policies[0].Rules = append(policies[0].Rules, governance.Rule{ID: "origin", Tools: []string{"process_refund"},
		When: []governance.Line{{If: `!from_user(` + argument + `)`, Effect: governance.Confirm}}})
	facts.UserTexts[199] = newest
	decideLoop(b, benchBundle(b, policies), facts, calls, want, targetRules)
}

func BenchmarkDecideFromUserInTheNewestOf200Messages(b *testing.B) {
	benchFromUser(b, "args.order_id", "Refund order 456", governance.Allow)
}

func BenchmarkDecideFromUserNumberInNoneOf200Messages(b *testing.B) {
	benchFromUser(b, "args.amount + 50000", "Refund it", governance.Confirm)
}

// Letters only: every message is folded and searched.
func BenchmarkDecideFromUserWordInNoneOf200Messages(b *testing.B) {
	benchFromUser(b, "args.order_id.replace('456', 'nobody')", "Refund it", governance.Confirm)
}

// A rule of 20 reads the ledger: what it said was loaded before.
func BenchmarkDecideLedgerRule(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	policies := benchPolicies(19, 19)
	policies[0].Rules = append(policies[0].Rules, governance.Rule{ID: "limit", Tools: []string{"process_refund"}, When: []governance.Line{
		{If: `count("process_refund", "24h", args.order_id) > 3 || total("process_refund", "amount", "24h", requester.id) > 10000`, Effect: governance.Confirm}}})
	bundle := benchBundle(b, policies)
	args, err := governance.ReadArguments(calls[0])
	require.NoError(b, err)
	facts.Ledger = map[string]governance.Tally{}
	for _, m := range bundle.Reads("process_refund").Meters {
		id, err := m.Account(&facts, args)
		require.NoError(b, err)
		facts.Ledger[id] = governance.Tally{Count: 1, Micro: 100}
	}
	decideLoop(b, bundle, facts, calls, governance.Allow, targetRules)
}

// A rule of 20 asks where an argument came from: 200 messages and 20 results.
func BenchmarkDecideOriginInNone(b *testing.B) {
	facts, calls := benchTurn(b, "process_refund")
	policies := benchPolicies(19, 19)
	policies[0].Rules = append(policies[0].Rules, governance.Rule{ID: "origin", Tools: []string{"process_refund"}, When: []governance.Line{
		{If: `origin(args.order_id) == "model"`, Effect: governance.Confirm}}})
	calls[0].Arguments = strings.Replace(calls[0].Arguments, `"456"`, `"999999"`, 1)
	for i := range 20 {
		facts.Results = append(facts.Results, governance.ToolResult{CallID: fmt.Sprint(i), Name: "get_order", Arguments: `{}`,
			Text: fmt.Sprintf(`{"order_id":"%d","status":"shipped","total":%d.50,"items":[{"sku":"A-1"},{"sku":"A-2"}]}`, i+256, i)})
	}
	decideLoop(b, benchBundle(b, policies), facts, calls, governance.Confirm, targetRules)
}
