package governance_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
)

// drawOverlapping is a rule about some of a few tools, with conditions that meet one another.
func drawOverlapping(t *rapid.T, id string, named bool) governance.Rule {
	conditions := []string{"true", "args.amount > 100", "args.amount >= 100", "args.amount < 50", `args.currency == "EUR"`, `args.currency in ["EUR", "USD"]`, `"lead" in requester.roles`,
		"has(args.note)", `args.note.startsWith("a")`, "args.amount > 100 && args.currency == \"EUR\"", `called("get_order")`, `from_user(args.currency)`, `count("pay", "24h") > 2`, `weekday("UTC") == "friday"`}
	effects := []governance.Verdict{governance.Allow, governance.Clarify, governance.Confirm, governance.Escalate, governance.Block}
	r := governance.Rule{ID: id, Mode: governance.Enforce, Tools: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"pay", "refund", "p*", "*und", "get_order", "other"}), 1, 3, rapid.ID).Draw(t, "tools")}
	if !named && rapid.Bool().Draw(t, "everywhere") {
		r.Tools = nil
	}
	for range rapid.IntRange(1, 3).Draw(t, "lines") {
		r.When = append(r.When, governance.Line{If: rapid.SampledFrom(conditions).Draw(t, "if"), Effect: rapid.SampledFrom(effects).Draw(t, "effect")})
	}
	if rapid.Bool().Draw(t, "excepted") {
		r.Unless = rapid.SampledFrom(conditions).Draw(t, "unless")
	}
	if len(r.Tools) > 0 {
		r.Else = rapid.SampledFrom([]string{"", "allow", "profile"}).Draw(t, "else")
	}
	if rapid.IntRange(0, 9).Draw(t, "mode") == 0 {
		r.Mode = governance.Shadow
	}
	return r
}

// strictness of what a call gets, whatever else it says.
func drawnBundle(t *rapid.T, opts governance.Options, rules []governance.Rule) *governance.Bundle {
	b, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: rules}}, opts)
	require.NoError(t, err)
	return b
}

// Adding a rule never loosens a verdict among tools that are taken over already; where it takes one over itself, check says
// what it stops asking about. The order of rules changes nothing. Tried on the boundary grid of all the rules.
func TestAddingARuleNeverLoosensATakenTool(t *testing.T) {
	base := policyOptions(t)
	analyzer := base.Evaluator.(governance.Analyzer)
	rapid.Check(t, func(t *rapid.T) {
		opts := base
		opts.Profile = rapid.SampledFrom([]governance.Profile{governance.Guarded, governance.Observe, governance.Locked}).Draw(t, "profile")
		var rules []governance.Rule
		for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
			rules = append(rules, drawOverlapping(t, fmt.Sprintf("r%d", i), false))
		}
		added := drawOverlapping(t, "added", false)
		before, after := drawnBundle(t, opts, rules), drawnBundle(t, opts, append(rules[:len(rules):len(rules)], added))
		backwards := []governance.Rule{added}
		for i := range rules {
			backwards = append(backwards, rules[len(rules)-1-i])
		}
		reversed := drawnBundle(t, opts, backwards)
		var grid []governance.GridRule
		for _, r := range backwards {
			grid = append(grid, governance.GridRule{Rule: r})
		}
		for _, name := range []string{"pay", "refund", "get_order"} {
			g, err := governance.NewGrid(analyzer, grid, governance.Tool{Type: "function", Name: name}, 64)
			require.NoError(t, err)
			taken := covered(rules, name)
			for i := range g.Len() {
				p := g.Point(i)
				last := len(p.Calls) - 1
				was, is, other := before.Decide(p.Facts, p.Calls)[last], after.Decide(p.Facts, p.Calls)[last], reversed.Decide(p.Facts, p.Calls)[last]
				if is.Verdict != other.Verdict {
					t.Fatalf("%s %s: %s, and %s where the rules stand the other way round", p, p.Words, is.Verdict, other.Verdict)
				}
				if is.Verdict >= was.Verdict {
					continue
				}
				if taken {
					t.Fatalf("%s %s: %s, and %s with a rule more: %+v", p, p.Words, was.Verdict, is.Verdict, added)
				}
				if !covered([]governance.Rule{added}, name) {
					t.Fatalf("%s %s: %s, and %s with a rule that does not take it over", p, p.Words, was.Verdict, is.Verdict)
				}
				report := governance.Check([]governance.Policy{{Name: "p", Rules: []governance.Rule{added}}}, opts)
				said := false
				for _, s := range report.Stops {
					said = said || governance.MatchTool(s.Tool, name)
				}
				if !said && was.Reason == governance.ReasonProfile {
					t.Fatalf("%s %s is no longer %s but %s, and check does not say so", p, p.Words, was.Verdict, is.Verdict)
				}
			}
		}
	})
}

// covered: an enforced rule names the tool.
func covered(rules []governance.Rule, name string) bool {
	for _, r := range rules {
		for _, pattern := range r.Tools {
			if r.Mode == governance.Enforce && governance.MatchTool(pattern, name) {
				return true
			}
		}
	}
	return false
}

// Whatever compiles can be linted and compared: conditions of odd shapes are no reason to fall over.
func TestOddConditionsAreLintedAndCompared(t *testing.T) {
	opts := policyOptions(t)
	for _, expr := range []string{`"" in requester.roles`, `domain == ""`, `args["a b"]["c"] > -1`, `args.x == null`, `args.x == {"a": 1}`, `[] == args.x`, `args.x in []`, `args.x in [1, "a", true]`,
		`size(args) > 3`, `"x" in args`, `args.size() == 0`, `args.a.b.c.d.e == 1 && has(args.a)`, `args.x.matches("^$") || args.x.matches("(?i)[^\\x00-\\x7f]{3,}")`, `args.x.matches("a{0,1000}")`,
		`requester.claims.a.b == 5`, `requester.claims["x"] in ["a"]`, `requester.roles.exists(r, r == "" || r.startsWith("a"))`, `["a", "b"].exists(p, args.x.startsWith(p))`, `args.l.all(x, x.all(y, y > 3))`,
		`args.l.map(x, x * 2).exists(y, y > 3)`, `args.?a.?b.orValue(3) > 2`, `conversation.turns > 9223372036854775806`, `call.index >= 0 && call.count < 2`, `size(args.x) > 100000000`, `args.n > 1e300`, `args.n < -9223372036854775807`,
		`count("*", "1h") > 1000000`, `total("pay", "a.b", "1h", args.c, requester.id) >= 0.0`, `now > timestamp("2026-01-01T00:00:00Z")`, `args.x ? true : false`, `called("a", {"b": args.c.d, "e": [1]})`, `result("a").?x.orValue("") == "y"`,
		`in_hours("UTC", config.h)`, `args.x.split(",").size() > 2`, `-args.x > 3`, `!(args.x)`, `args.x == args.y`, `args.x[0] == 1`, `args.x[args.y] == 1`, `domain_of(args.x) in ["a.b", ""]`, `origin(args.x) in ["user", "tool:", "claimed:x"]`} {
		one := governance.Rule{ID: "a", Tools: []string{"pay"}, Mode: governance.Enforce, When: []governance.Line{{If: expr, Effect: governance.Confirm}, {If: "!(" + expr + ")", Effect: governance.Block}}}
		two := one
		two.ID, two.When = "b", []governance.Line{{If: "true", Effect: governance.Escalate}}
		config := map[string]any{"h": "9-17"}
		b, err := governance.NewBundle([]governance.Policy{{Name: "p", Config: config, Rules: []governance.Rule{one, two}}}, opts)
		require.NoError(t, err, expr)
		governance.Lint(b, []governance.Tool{{Type: "custom", Name: "pay"}})
		for _, f := range governance.Lint(b, nil) {
			require.NotEmpty(t, f.Text)
		}
		_, err = governance.Differences(opts, []governance.GridRule{{Rule: one, Config: config}, {Rule: two, Config: config}}, nil)
		require.NoError(t, err, expr)
		b.Explain(offer("pay"), []governance.Call{function("pay", `{"x": [1], "n": 5}`)})
	}
}

// A grid is the same each time, holds nothing twice, stays in its bound, and every call of it is one that can be judged: a JSON
// object, offered.
func TestAGridIsDeterministicAndBounded(t *testing.T) {
	analyzer := policyOptions(t).Evaluator.(governance.Analyzer)
	rapid.Check(t, func(t *rapid.T) {
		var rules []governance.GridRule
		for i := range rapid.IntRange(1, 6).Draw(t, "rules") {
			rules = append(rules, governance.GridRule{Rule: drawOverlapping(t, fmt.Sprintf("r%d", i), true)})
		}
		limit := rapid.IntRange(1, 400).Draw(t, "limit")
		tool := governance.Tool{Type: "function", Name: "pay"}
		if rapid.Bool().Draw(t, "typed") {
			tool.Schema = []byte(`{"type":"object","properties":{"amount":{"type":"integer"},"currency":{"type":"string","enum":["EUR","CHF"]},"note":{"type":"string"},"id":{"type":"string"}},"required":["amount","id"]}`)
		}
		one, err := governance.NewGrid(analyzer, rules, tool, limit)
		require.NoError(t, err)
		two, err := governance.NewGrid(analyzer, rules, tool, limit)
		require.NoError(t, err)
		require.LessOrEqual(t, one.Len(), limit)
		require.Positive(t, one.Len())
		seen := map[string]bool{}
		for i := range one.Len() {
			a, err := json.Marshal(one.Point(i))
			require.NoError(t, err)
			b, err := json.Marshal(two.Point(i))
			require.NoError(t, err)
			require.JSONEq(t, string(a), string(b))
			_, err = governance.ReadArguments(one.Point(i).Call())
			require.NoError(t, err)
			require.Contains(t, one.Point(i).Facts.Tools, "pay")
			seen[string(a)] = true
		}
	})
}
