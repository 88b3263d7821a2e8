package governance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/governance/cel"
)

func policyOptions(t testing.TB) governance.Options {
	e, err := cel.New()
	require.NoError(t, err)
	return governance.Options{Evaluator: e}
}

func policyBundle(t testing.TB, yaml string, profile governance.Profile) *governance.Bundle {
	t.Helper()
	policies, err := governance.ParsePolicies("test.yaml", []byte(yaml), nil)
	require.NoError(t, err)
	opts := policyOptions(t)
	opts.Profile = profile
	b, err := governance.NewBundle(policies, opts)
	require.NoError(t, err)
	return b
}

func offer(names ...string) governance.Facts {
	f := governance.Facts{Workspace: "w", Conversation: "c", Requester: governance.Requester{ID: "key_1"}, Tools: map[string]governance.Tool{},
		Now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	for _, n := range names {
		f.Tools[n] = governance.Tool{Type: "function", Name: n}
	}
	return f
}

func function(name, arguments string) governance.Call {
	return governance.Call{ID: "call_1", Name: name, Form: governance.FormFunction, Arguments: arguments}
}

func TestDecisionCases(t *testing.T) {
	policies, err := governance.LoadFiles("testdata/decisions")
	require.NoError(t, err)
	b, err := governance.NewBundle(policies, policyOptions(t))
	require.NoError(t, err)
	results, err := governance.RunCases(b, "testdata/decisions.cases.yaml")
	require.NoError(t, err)
	require.Greater(t, len(results), 40)
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			require.Empty(t, r.Problem, "%s:%d\n%s", r.File, r.Line, governance.Explain(r.Decision))
		})
	}
}

func TestWhatTheAskingNeedsComesFromTheDeterminingRules(t *testing.T) {
	b := policyBundle(t, `
name: p
config: {over: 10, text: "≥"}
rules:
  - {id: a, tools: [pay], when: "args.amount > 1", effect: escalate, expires: 2h, message: "A ${args.amount}", self_review: true}
  - {id: b, tools: [pay], when: "args.amount > 2", effect: escalate, to: "role:finance", expires: 1h, message: "B ${args.to} ${config.text}"}
  - {id: c, tools: [pay], when: "args.amount > 3", effect: confirm, expires: 1m, message: "C"}
  - {id: d, tools: [pay], when: "args.amount > 1", effect: block, mode: shadow}
`, "")
	d := b.Judge(offer("pay"), function("pay", `{"amount":5,"to":"x\u202ey\n\nSay \"yes\""}`))
	require.Equal(t, governance.Escalate, d.Verdict)
	require.Equal(t, "role:finance", d.To)
	require.Equal(t, time.Hour, d.Expires)
	require.False(t, d.SelfReview, "one of the determining rules does not let the requester resolve")
	require.Equal(t, "A 5\nB x\\u202Ey\\u000A\\u000ASay \"yes\" ≥", d.Message)
	require.Len(t, d.Fired, 4, "all rules that fired are reported")
	for _, f := range d.Fired {
		require.Equal(t, f.Rule == "a" || f.Rule == "b", f.Determining, f.Rule)
	}

	d = b.Judge(offer("pay"), function("pay", `{"amount":2}`))
	require.True(t, d.SelfReview)
	require.Equal(t, "A 2", d.Message)
	d = b.Judge(offer("pay"), function("pay", `{"amount":3}`))
	require.Contains(t, d.Message, "B ${args.to} ${config.text}", "a message that cannot be filled is shown as it was written")
	require.Equal(t, governance.Escalate, d.Verdict)

	d = b.Judge(offer("send_mail"), function("send_mail", `{}`))
	require.Equal(t, governance.DefaultExpires, d.Expires)
	require.Equal(t, governance.ActionDigest(function("send_mail", ``)), d.ArgsDigest)
}

func TestClarifyNamesTheSupplierOnlyIfItIsOffered(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [cancel], when: '!called("get_order")', effect: clarify, missing: order_status, from: get_order}
`, "")
	d := b.Judge(offer("cancel", "get_order"), function("cancel", `{}`))
	require.Equal(t, []string{"order_status", "get_order"}, []string{d.Missing, d.Supplier})
	d = b.Judge(offer("cancel"), function("cancel", `{}`))
	require.Equal(t, []string{"order_status", ""}, []string{d.Missing, d.Supplier})
}

func TestABlockedCallIsNotSeenByLaterCallsOfTheTurn(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [check], when: "args.ok != true", effect: block}
  - {id: b, tools: [pay], when: '!called("check")', effect: block}
`, "")
	facts := offer("check", "pay")
	verdicts := func(calls ...governance.Call) (out []governance.Verdict) {
		for _, d := range b.Decide(facts, calls) {
			out = append(out, d.Verdict)
		}
		return out
	}
	require.Equal(t, []governance.Verdict{governance.Allow, governance.Allow}, verdicts(function("check", `{"ok":true}`), function("pay", `{}`)))
	require.Equal(t, []governance.Verdict{governance.Block, governance.Block}, verdicts(function("check", `{"ok":false}`), function("pay", `{}`)))
	require.Equal(t, []governance.Verdict{governance.Block, governance.Allow}, verdicts(function("pay", `{}`), function("check", `{"ok":true}`)))
	other := function("check", `{"ok":true}`)
	other.Choice = 1
	require.Equal(t, []governance.Verdict{governance.Allow, governance.Block}, verdicts(other, function("pay", `{}`)), "choices are alternatives")
}

func TestHostedToolsNeedARuleOfTheirOwnOrObserve(t *testing.T) {
	policies, err := governance.LoadFiles("testdata/decisions")
	require.NoError(t, err)
	opts := policyOptions(t)
	guarded, err := governance.NewBundle(policies, opts)
	require.NoError(t, err)
	opts.Profile = governance.Observe
	observe, err := governance.NewBundle(policies, opts)
	require.NoError(t, err)
	facts := offer()
	require.False(t, guarded.Hosted(facts, "web_search"))
	require.True(t, observe.Hosted(facts, "web_search"))
	require.True(t, observe.Hosted(facts, "code_interpreter"))
	require.False(t, observe.Hosted(facts, "code interpreter"))
	facts.Domain = "research"
	require.True(t, guarded.Hosted(facts, "web_search"))
	require.False(t, guarded.Hosted(facts, "code_interpreter"))
	wide := policyBundle(t, "name: p\nrules: [{tools: ['*search*'], when: 'true', effect: allow}]", "")
	require.False(t, wide.Hosted(facts, "web_search"), "a glob without the prefix does not reach hosted tools")
	kill := policyBundle(t, "name: p\nrules: [{when: 'true', effect: block}]", governance.Observe)
	require.False(t, kill.Hosted(facts, "web_search"))
}

// A misspelt argument is found when the request's schema is known, counts as the
// line's effect, and the record names the right one.
func TestATypeErrorAtRunTimeNamesTheArgument(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [pay], when: "args.ammount > 5", effect: block}
`, "")
	facts := offer("pay")
	facts.Tools["pay"] = governance.Tool{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"amount":{"type":"number"}}}`)}
	d := b.Judge(facts, function("pay", `{"amount":1}`))
	require.Equal(t, governance.Block, d.Verdict)
	require.Equal(t, governance.ReasonError, d.Reason)
	require.Contains(t, d.Fired[0].Error, "did you mean amount?")
	require.Equal(t, facts.Tools["pay"].SchemaHash(), d.SchemaHash)
}

func TestAnUnlessThatErrsCountsAsFalse(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [pay], when: "true", effect: block, unless: "args.waived"}
`, "")
	d := b.Judge(offer("pay"), function("pay", `{}`))
	require.Equal(t, governance.Block, d.Verdict)
	require.NotEmpty(t, d.Fired[0].UnlessError)
	require.Equal(t, governance.Allow, b.Judge(offer("pay"), function("pay", `{"waived":true}`)).Verdict)
}

// drawRule makes a restricting rule that may err.
func drawRule(t *rapid.T, i int) governance.Rule {
	r := governance.Rule{ID: fmt.Sprintf("r%d", i), Mode: governance.Enforce, Tools: rapid.SampledFrom([][]string{{"pay"}, {"pa*"}, nil, {"*"}, {"pay", "other"}}).Draw(t, "tools")}
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		r.When = append(r.When, governance.Line{
			If:     rapid.SampledFrom([]string{"true", "false", "args.amount > 5", "args.missing == 1", `args.name == "x"`, "called('pay')"}).Draw(t, "if"),
			Effect: governance.Verdict(rapid.IntRange(1, 5).Draw(t, "effect"))})
	}
	r.Unless = rapid.SampledFrom([]string{"", "false", "args.amount == 7", "args.absent"}).Draw(t, "unless")
	if len(r.Tools) > 0 {
		r.Else = rapid.SampledFrom([]string{"", "allow", "profile"}).Draw(t, "else")
	}
	return r
}

func TestAddingARuleNeverLoosensAToolThatIsTakenOver(t *testing.T) {
	opts := policyOptions(t)
	rapid.Check(t, func(t *rapid.T) {
		opts.Profile = rapid.SampledFrom([]governance.Profile{governance.Guarded, governance.Observe, governance.Locked}).Draw(t, "profile")
		rules := []governance.Rule{{ID: "first", Tools: []string{"pay"}, Mode: governance.Enforce, When: []governance.Line{{If: "args.amount > 9", Effect: governance.Confirm}}}}
		for i := range rapid.IntRange(0, 3).Draw(t, "more") {
			rules = append(rules, drawRule(t, i))
		}
		added := drawRule(t, 99)
		fewer, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: rules}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		more, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: append(append([]governance.Rule{}, rules...), added)}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		args, _ := json.Marshal(map[string]any{"amount": rapid.IntRange(0, 12).Draw(t, "amount"), "name": rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")})
		call := function("pay", string(args))
		a, b := fewer.Judge(offer("pay"), call), more.Judge(offer("pay"), call)
		if b.Verdict < a.Verdict {
			t.Fatalf("from %s to %s by adding %+v", a.Verdict, b.Verdict, added)
		}
		// The verdict is the strictest of what was reported, and it is deterministic.
		strictest := governance.Verdict(0)
		for _, f := range b.Fired {
			strictest = max(strictest, f.Effect)
			if f.Determining != (f.Effect == b.Verdict) {
				t.Fatalf("determining is wrong: %+v", f)
			}
		}
		if strictest != b.Verdict {
			t.Fatalf("strictest reported is %s, verdict %s", strictest, b.Verdict)
		}
		again := more.Judge(offer("pay"), call)
		x, _ := json.Marshal(b)
		y, _ := json.Marshal(again)
		if string(x) != string(y) {
			t.Fatalf("not deterministic:\n%s\n%s", x, y)
		}
	})
}

func TestGatesFollowTheVerdict(t *testing.T) {
	for v, want := range map[governance.Verdict][2]string{governance.Allow: {"ok", "approved"}, governance.Clarify: {"needs_input", "conditional"},
		governance.Confirm: {"needs_input", "conditional"}, governance.Escalate: {"escalate", "conditional"}, governance.Block: {"blocked", "blocked"}} {
		require.Equal(t, want, [2]string{string(v.Gate()), v.Decision()})
	}
}

func TestKindsOfTheTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "kinds", "names.tsv"))
	require.NoError(t, err)
	checkKinds(t, string(text))
}
