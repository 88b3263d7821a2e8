package governance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestCheckSaysWhatIsProbablyNotMeant(t *testing.T) {
	policies, err := governance.ParsePolicies("p.yaml", []byte(`name: p
rules:
  - id: a
    tools: [delete_order, get_order, "x.*"]
    when:
      - {if: "args.n > 5", effect: confirm, to: "role:x"}
      - {if: "args.n > 5", effect: block}
      - {if: "true", effect: allow}
      - {if: "args.n > 6", effect: block}
  - {id: b, when: "1 > 2", effect: block}
  - {id: c, when: "args.n > 1", effect: allow}
  - {id: d, tools: [e], when: "args.n > 1", effect: clarify}
`), nil)
	require.NoError(t, err)
	report := governance.Check(policies, policyOptions(t))
	require.True(t, report.OK())
	var lines []string
	for _, f := range report.Findings {
		lines = append(lines, f.String())
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"p.yaml:6: warning: rule \"a\": `to` means something only with escalate", "p.yaml:7: warning: rule \"a\": an earlier line has the same condition",
		"p.yaml:9: warning: rule \"a\": this line is never reached", "p.yaml:10: warning: rule \"b\": the condition 1 > 2 never holds",
		"p.yaml:11: warning: rule \"c\": an allow of a rule without tools changes nothing", "p.yaml:12: warning: rule \"d\": clarify does not say what is missing"} {
		require.Contains(t, text, want)
	}
	var stops []string
	for _, s := range report.Stops {
		stops = append(stops, s.String())
	}
	require.Equal(t, []string{
		"p: rule a takes delete_order over: the profile says confirm, the rule allow or confirm or block",
		"p: rule a takes x.* over: the profile says confirm, the rule allow or confirm or block",
		"p: rule d takes e over: the profile says confirm, the rule allow or clarify",
	}, stops)

	policies[0].Rules[0].When[0].If = "args.n >"
	report = governance.Check(policies, policyOptions(t))
	require.False(t, report.OK())
	require.Equal(t, "error", report.Findings[0].Level)
}

func TestExplainDrawsWhatDecidedWithItsValues(t *testing.T) {
	policies, err := governance.LoadFiles("testdata/decisions")
	require.NoError(t, err)
	b, err := governance.NewBundle(policies, policyOptions(t))
	require.NoError(t, err)
	facts := offer("process_refund")
	facts.Domain = "ecommerce"
	require.Equal(t, `process_refund → confirm (rule)
├─ rule refund-limit says confirm: args.amount > config.confirm_over
├─ message: Refund of 750 is above 100
├─ expires: 20m0s
├─ the tool looks like: write
├─ Refund policy/refund-limit: confirm, decides
│  ├─ line 2: args.amount > config.confirm_over
│  ├─ args.amount = 750
│  └─ in words: Refunds over $100 need the requester's approval, over $2,000 a reviewer's
└─ Refund policy/refund-needs-status: clarify, shadow: recorded only
   ├─ line 1: !called("get_order", {"order_id": args.order_id})
   └─ args.order_id = "456"
`, governance.Explain(b.Judge(facts, function("process_refund", `{"order_id":"456","amount":750}`))))
}

func TestExplainShowsEveryPartWithItsValue(t *testing.T) {
	b := policyBundle(t, `name: Pay
config: {over: 100}
rules:
  - id: big
    tools: [pay]
    when:
      - {if: 'args.amount > config.over * 10 && args.currency == "EUR"', effect: escalate}
      - {if: 'args.amount > config.over', effect: confirm}
    unless: '"lead" in requester.roles'
  - {id: night, when: 'in_hours("UTC", "22-6")', effect: block}
  - {id: later, tools: [pay], when: args.note.contains("x"), effect: block, mode: shadow}
`, "")
	facts := offer("pay")
	call := function("pay", `{"amount":750,"currency":"USD"}`)
	tree := b.Explain(facts, []governance.Call{call})
	require.Equal(t, `pay → confirm (rule)
├─ rule big says confirm: args.amount > config.over
├─ expires: 15m0s
├─ the tool looks like: write
├─ the profile would say confirm, but rules take the tool over
├─ Pay/big: confirm, decides
│  ├─ line 1 does not hold: args.amount > config.over * 10 && args.currency == "EUR"
│  │  ├─ args.amount > config.over * 10 = false
│  │  │  ├─ args.amount = 750
│  │  │  └─ config.over * 10 = 1000
│  │  │     └─ config.over = 100
│  │  └─ args.currency == "EUR" = not reached
│  ├─ line 2 holds: args.amount > config.over
│  │  ├─ args.amount = 750
│  │  └─ config.over = 100
│  └─ unless does not hold: "lead" in requester.roles
│     └─ requester.roles = []
├─ Pay/later: block, shadow: recorded only
│  ├─ line 1 could not be evaluated: args.note.contains("x")
│  │  └─ args.note = error: no such key: note
│  └─ the error (no such key: note) counts as the strictest effect from its line on: block
└─ Pay/night: says nothing
   └─ line 1 does not hold: in_hours("UTC", "22-6")
`, tree.String())
	facts.Requester.Roles = []string{"lead"}
	require.Contains(t, b.Explain(facts, []governance.Call{call}).String(), "unless holds, as if no line did")
	// What it says is what Decide says, whatever the call.
	for _, args := range []string{`{}`, `{"amount":"x"}`, `{"amount":1}`, `{"amount":1e9,"currency":"EUR","note":"x"}`, `[]`} {
		call := function("pay", args)
		require.True(t, strings.HasPrefix(b.Explain(facts, []governance.Call{call}).Text, "pay → "+b.Judge(facts, call).Verdict.String()), args)
	}
}

func TestAFileOfCasesIsReadStrictly(t *testing.T) {
	b := policyBundle(t, watchedGood, "")
	file := filepath.Join(t.TempDir(), "cases.yaml")
	for text, want := range map[string]string{
		"- {call: {name: pay}, expects: allow}\n":                 "did you mean expect?",
		"- {call: {name: pay}}\n":                                 "the case expects nothing",
		"cases: []\n":                                             "holds no cases",
		"- {call: {name: pay}, expect: allow, profile: strict}\n": "unknown profile",
	} {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := governance.RunCases(b, file)
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(file, []byte("- {name: wrong, call: {name: pay, arguments: {amount: 500}}, expect: allow}\n"), 0o600))
	results, err := governance.RunCases(b, file)
	require.NoError(t, err)
	require.False(t, results[0].OK())
	require.Contains(t, results[0].Problem, "should be allow and is confirm")
	require.True(t, governance.IsCaseFile(file))
	require.False(t, governance.IsCaseFile("testdata/decisions/refunds.yaml"))
}
