package policies_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/policies"
)

// Every spelling that clients of the API use, with a call on each side.
func TestSpellings(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), "")
	for name, tt := range map[string]struct {
		text          string
		below, above_ governance.Verdict // of refunds of 50 and of 500
	}{
		"our own":              {`{"name":"N","rules":[{"tools":["process_refund"],"when":[{"if":"args.amount > 400","effect":"block"},{"if":"args.amount > 100","effect":"confirm"}]}]}`, governance.Allow, governance.Block},
		"a sentence":           {`{"name":"N","rules":[{"condition":"Refunds over $100 are never allowed"}]}`, governance.Allow, governance.Block},
		"a sentence alone":     {`{"name":"N","rules":["Refunds over $100 are never allowed"]}`, governance.Allow, governance.Block},
		"the seeds' rule":      {`{"name":"N","rules":[{"rule":"Refunds over $100 need approval"}]}`, governance.Allow, governance.Confirm},
		"setup's entry":        {`{"name":"N","description":"d","rule":"Refunds over $100 need approval","severity":"high"}`, governance.Allow, governance.Confirm},
		"a sentence's effect":  {`{"name":"N","rules":[{"condition":"Refunds over $100","effect":"require_human_approval"}]}`, governance.Allow, governance.Confirm},
		"field, operator":      {`{"name":"N","rules":[{"condition":{"tool":"process_refund","field":"amount","operator":"gt","value":100},"effect":"deny"}]}`, governance.Allow, governance.Block},
		"context before it":    {`{"name":"N","rules":[{"tool":"process_refund","condition":{"field":"context.amount","operator":">=","value":1e2},"effect":"forbid"}]}`, governance.Allow, governance.Block},
		"action, require":      {`{"name":"N","rules":[{"condition":{"action":"process_refund","require":"approval"}}]}`, governance.Confirm, governance.Confirm},
		"both":                 {`{"name":"N","rules":[{"condition":{"action":"process_refund","require":"review","field":"amount","operator":"greater_than","value":100}}]}`, governance.Allow, governance.Escalate},
		"action as an effect":  {`{"name":"N","rules":[{"condition":{"action":"process_refund"},"action":"require_approval"}]}`, governance.Confirm, governance.Confirm},
		"a decision":           {`{"name":"N","rules":[{"condition":{"tool":"process_refund","field":"amount","operator":"over","value":100},"decision":"handoff"}]}`, governance.Allow, governance.Confirm},
		"abstain":              {`{"name":"N","rules":[{"tool":"process_refund","when":"args.amount > 100","effect":"abstain"}]}`, governance.Allow, governance.Block},
		"all":                  {`{"name":"N","rules":[{"tool":"process_refund","condition":{"all":[{"field":"amount","operator":"gt","value":100},{"field":"order_id","operator":"in","value":["1","2"]}]},"effect":"block"}]}`, governance.Allow, governance.Block},
		"any":                  {`{"name":"N","rules":[{"tool":"process_refund","condition":{"any":[{"field":"amount","operator":"lt","value":100},{"field":"order_id","operator":"eq","value":"7"}]},"effect":"block"}]}`, governance.Block, governance.Allow},
		"the tool as a field":  {`{"name":"N","rules":[{"condition":{"all":[{"field":"amount","operator":"gt","value":100}],"tool":"process_refund"},"effect":"block"}]}`, governance.Allow, governance.Block},
		"a tool compared":      {`{"name":"N","rules":[{"condition":{"field":"tool","operator":"equals","value":"process_refund"},"effect":"block"}]}`, governance.Block, governance.Block},
		"auto_draft":           {`{"name":"N","auto_draft":true,"rules":[{"tool":"process_refund","when":"args.amount > 100","effect":"block"}]}`, governance.Allow, governance.Block},
		"one rule, no list":    {`{"name":"N","tools":["process_refund"],"when":"args.amount > 100","effect":"block"}`, governance.Allow, governance.Block},
		"auto_approve":         {`{"name":"N","rules":[{"tool":"process_refund","when":"args.amount < 100","effect":"auto_approve"}]}`, governance.Allow, governance.Confirm},
		"quotes and backslash": {`{"name":"N","rules":[{"tool":"process_refund","condition":{"field":"order_id","operator":"ne","value":"a\"\\ü\n'"},"effect":"block"}]}`, governance.Block, governance.Block},
	} {
		t.Run(name, func(t *testing.T) {
			made, v, err := p.Create(t.Context(), "w", input(t, tt.text), "k")
			require.NoError(t, err)
			require.True(t, v.Ready(), "%+v %+v", v.Rules, v.Problems)
			p.confirm(made.ID, 1)
			require.Equal(t, []string{tt.below.String(), tt.above_.String()}, []string{p.verdict("w", "50").String(), p.verdict("w", "500").String()})
			require.NoError(t, p.Retire(t.Context(), "w", made.ID, "k"))
		})
	}
}

func TestMistakesInAnInputNameTheirField(t *testing.T) {
	for _, tt := range []struct{ text, says string }{
		{`{"nmae":"x"}`, "nmae: is not known; did you mean name?"},
		{`{"rules":{}}`, "rules: should be a list"},
		{`{"rules":[1]}`, "rules[0]: should be an object"},
		{`{"rules":[],"when":"true"}`, "rules: stand beside the fields of a single rule"},
		{`{"name":7}`, "name: should be a text"},
		{`{"config":[]}`, "config: should be an object"},
		{`{"rules":[{"tool":"a","tools":["b"]}]}`, "is said twice"},
		{`{"rules":[{"effect":"block","decision":"deny"}]}`, "is said twice"},
		{`{"rules":[{"condition":{}}]}`, "rules[0].condition: says nothing"},
		{`{"rules":[{"condition":{"field":"a","operator":"roughly","value":1}}]}`, `"roughly" is not known`},
		{`{"rules":[{"condition":{"field":"a b","operator":"eq","value":1}}]}`, "is no name of an argument"},
		{`{"rules":[{"condition":{"operator":"eq","value":1}}]}`, "field: is missing"},
		{`{"rules":[{"condition":{"field":"a","operator":"eq"}}]}`, "value: is missing"},
		{`{"rules":[{"condition":{"field":"a","operator":"eq","value":{}}}]}`, "should be a text, a number"},
		{`{"rules":[{"condition":{"amount_gt":5}}]}`, "amount_gt: is not known"},
		{`{"rules":[{"condition":{"action":"x","require":"magic"}}]}`, `unknown effect "magic"`},
		{`{"rules":[{"condition":{"field":"a","operator":"eq","value":1},"when":"true"}]}`, "stands beside a condition"},
		{`{"rules":[{"condition":{"any":[]}}]}`, "should be a list of conditions"},
		{`{"rules":[{"condition":{"any":[{"tool":"x"}]}}]}`, "names a tool or an effect"},
	} {
		var body map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(tt.text), &body))
		_, err := policies.ReadInput(body)
		require.ErrorContains(t, err, tt.says, tt.text)
	}
}

// A compiled document is the policy that it was made of: to the last digest.
func TestADocumentReadAgainIsTheSamePolicy(t *testing.T) {
	seen := 0
	for _, folder := range []string{"../testdata/decisions", "../../examples/*"} {
		folders, err := filepath.Glob(folder)
		require.NoError(t, err)
		for _, f := range folders {
			if info, err := os.Stat(f); err != nil || !info.IsDir() {
				continue
			}
			list, err := governance.LoadFiles(f)
			if err != nil {
				continue // a folder of something else
			}
			for _, p := range list {
				p.Config = nil // written apart, as it was sent
				text, err := json.Marshal(policies.DocumentOf(p))
				require.NoError(t, err)
				again, err := governance.ParsePolicies("", text, nil)
				require.NoError(t, err, "%s: %s", p.Name, text)
				require.Equal(t, p.FullDigest(), again[0].FullDigest(), "%s: %s", p.Name, text)
				seen++
			}
		}
	}
	require.GreaterOrEqual(t, seen, 3)
}

// Whatever is sent, the answer is a policy or a mistake; and what is a policy
// compiles to one that can be read again.
func FuzzInput(f *testing.F) {
	for _, seed := range []string{limit("a", "5"), `{"name":"x","rules":["Refunds over $100 need approval"]}`,
		`{"name":"x","rules":[{"condition":{"all":[{"field":"a","operator":"in","value":[1,"b",true]}]},"effect":"block","examples":[{"call":{"name":"a","arguments":{"a":1}},"expect":"block"}]}]}`,
		`{"name":"x","config":{"n":9007199254740993},"rules":[{"id":"a","tools":["x*"],"when":[{"if":"args.n > config.n","effect":"escalate","to":"role:x","expires":"4h"}],"else":"profile","unless":"false","message":"${args.n}","mode":"shadow","self_review":true}]}`} {
		f.Add(seed)
	}
	p := newPlace(f, sqliteEngine(f), "")
	f.Fuzz(func(t *testing.T, text string) {
		var body map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &body) != nil || strings.Count(text, "(") > 20 {
			return
		}
		in, err := policies.ReadInput(body)
		if err != nil {
			return
		}
		v, err := p.Inline(t.Context(), "w", in)
		if err != nil || !v.Ready() {
			return
		}
		parsed, err := governance.ParsePolicies("", v.Document, nil)
		require.NoError(t, err, "%s", v.Document)
		_, err = p.Evaluate(t.Context(), "w", []policies.Trial{{Tool: "process_refund", Arguments: []byte(`{"amount":5}`)}}, &v)
		require.NoError(t, err, "%v", parsed)
	})
}
