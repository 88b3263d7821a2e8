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
