package governance_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/store/sqlite"
)

// Any recorded decision whose facts are kept is made again the same, whatever was
// called, said, released before, and however the turn was put together.
func TestAnyRecordedDecisionIsMadeAgainTheSame(t *testing.T) {
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "e.db"))
	require.NoError(t, err)
	defer func() { _ = engine.Close() }()
	conditions := []string{"args.amount > %d", "args.amount < %d", "!from_user(args.to)", `called("check")`, `!called("pay")`, "call.index > 0 && %d > 5",
		`origin(args.to) == "model"`, "conversation.turns > 1", `"lead" in requester.roles`, `weekday("UTC") == "monday"`, "args.missing == %d", "domain == 'd'"}
	effects := []string{"allow", "confirm", "escalate", "block", "clarify"}
	names := []string{"pay", "check", "get_order", "odd name", "delete_all"}
	arguments := []string{`{\"amount\":5,\"to\":\"Zoë\"}`, `{\"amount\":7.5}`, `{\"amount\":9007199254740993,\"to\":\"x\"}`, `{\"amount\":1e3,\"to\":\"a\\u0062\"}`,
		`{}`, ``, `{\"amount\":`, `{\"a\":1,\"a\":2}`, `[1]`}
	turns, options := 0, policyOptions(t)
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		text.WriteString("name: p\nrules:\n")
		for i := range rapid.IntRange(0, 4).Draw(t, "rules") {
			expr := rapid.SampledFrom(conditions).Draw(t, "if")
			if strings.Contains(expr, "%d") {
				expr = fmt.Sprintf(expr, rapid.IntRange(0, 10).Draw(t, "n"))
			}
			fmt.Fprintf(&text, "  - {id: r%d, tools: [%q], when: %q, effect: %s, else: %s}\n", i, rapid.SampledFrom([]string{"pay", "check", "*_all", "get_order"}).Draw(t, "tool"),
				expr, rapid.SampledFrom(effects).Draw(t, "effect"), rapid.SampledFrom([]string{"allow", "profile"}).Draw(t, "else"))
		}
		var policies []governance.Policy
		if strings.Contains(text.String(), "id:") {
			var err error
			policies, err = governance.ParsePolicies("p.yaml", []byte(text.String()), nil)
			require.NoError(t, err)
		}
		opts := options
		opts.Profile = rapid.SampledFrom([]governance.Profile{governance.Guarded, governance.Observe, governance.Locked}).Draw(t, "profile")
		b, err := governance.NewBundle(policies, opts)
		require.NoError(t, err)

		turns++
		trace := fmt.Sprint("cad_", turns)
		facts := governance.Facts{Workspace: "w", Conversation: "c", Turns: rapid.IntRange(0, 3).Draw(t, "turns"), Domain: rapid.SampledFrom([]string{"", "d"}).Draw(t, "domain"),
			Requester: governance.Requester{ID: "k", Roles: rapid.SliceOfN(rapid.SampledFrom([]string{"lead", "x"}), 0, 2).Draw(t, "roles")},
			UserTexts: rapid.SliceOfN(rapid.SampledFrom([]string{"pay Zoë 5", "send 9007199254740993 to x", ""}), 0, 2).Draw(t, "texts"), Tools: map[string]governance.Tool{},
			ToolMessages: rapid.Bool().Draw(t, "results")}
		for _, n := range names {
			if rapid.Bool().Draw(t, "offered "+n) {
				facts.Tools[n] = governance.Tool{Type: rapid.SampledFrom([]string{"function", "custom"}).Draw(t, "type"), Name: n, Description: rapid.SampledFrom([]string{"", "Deletes it"}).Draw(t, "says"),
					Schema: rapid.SampledFrom([][]byte{nil, []byte(`{"type":"object","properties":{"amount":{"type":"number"},"to":{"type":"string"}}}`)}).Draw(t, "schema")}
			}
		}
		if rapid.Bool().Draw(t, "forced") {
			facts.Forced = "get_order"
		}
		if rapid.Bool().Draw(t, "released") {
			facts.Released = []governance.Released{{ID: "1", Name: "check", Arguments: `{"amount":5}`}}
		}
		sealed := new(governance.Sealed)
		for i := range rapid.IntRange(1, 4).Draw(t, "calls") {
			c := sealed.Start(rapid.IntRange(0, 1).Draw(t, "choice"), rapid.SampledFrom([]governance.Form{governance.FormFunction, governance.FormCustom, governance.FormLegacy}).Draw(t, "form"))
			c.Member("id", fmt.Appendf(nil, `"call_%d"`, i))
			c.Inner("name", []byte(`"`+rapid.SampledFrom(names).Draw(t, "name")+`"`))
			c.Argument([]byte(rapid.SampledFrom(arguments).Draw(t, "arguments")))
			if rapid.IntRange(0, 9).Draw(t, "cut") == 0 {
				c.Truncate()
			}
		}
		d := governance.NewDesk(engine, b, governance.DeskOptions{ReleaseAllowed: rapid.Bool().Draw(t, "release allowed")})
		p, err := d.Plan(t.Context(), &governance.Turn{TraceID: trace, Facts: facts, ReleasedRead: true, ResultsRead: true, Sealed: sealed, AsCame: func(int) bool { return true }})
		require.NoError(t, err)
		_, err = d.Commit(t.Context(), p, asked(trace))
		require.NoError(t, err)
		list, err := d.Evidence(t.Context(), "w", trace)
		require.NoError(t, err)
		require.Len(t, list, 1)
		for i, r := range list[0].Redecide(b) {
			require.Empty(t, r.CannotTell)
			require.Equal(t, p.Decisions[i].Verdict, r.Before)
			require.Equal(t, r.Before, r.After.Verdict, "%s: %s", text.String(), r.After.Detail)
			require.Equal(t, p.Decisions[i].Detail, r.After.Detail)
		}
	})
}

func BenchmarkEvidenceOfATurn(b *testing.B) {
	engine, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "e.db"))
	require.NoError(b, err)
	defer func() { _ = engine.Close() }()
	d := governance.NewDesk(engine, &verdicts{by: map[string]governance.CallDecision{"read": {Verdict: governance.Allow, Reason: "rule"}}}, governance.DeskOptions{})
	facts := governance.Facts{Workspace: "w", Conversation: "c", Requester: alice, Tools: map[string]governance.Tool{}}
	for i := range 20 { // 19 KB of tools
		name := fmt.Sprint("tool_", i)
		facts.Tools[name] = governance.Tool{Type: "function", Name: name, Schema: []byte(`{"description":"` + strings.Repeat("x", 950) + `"}`)}
	}
	for range 10 {
		facts.UserTexts = append(facts.UserTexts, strings.Repeat("some words ", 20))
	}
	for i := range b.N {
		_, err := d.Plan(b.Context(), &governance.Turn{TraceID: fmt.Sprint("cad_", i), Facts: facts, Sealed: seal("read"), AsCame: func(int) bool { return true }})
		require.NoError(b, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p, err := d.Plan(b.Context(), &governance.Turn{TraceID: fmt.Sprint("cad_", i), Facts: facts, Sealed: seal("read"), AsCame: func(int) bool { return true }})
		require.NoError(b, err)
		_, err = d.Commit(b.Context(), p, asked("x"))
		require.NoError(b, err)
	}
}
