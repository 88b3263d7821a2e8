package policies_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/governance/policies"
	"cadreen/store"
)

func TestTheLifeOfAPolicy(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		p := newPlace(t, open(), "")
		ctx := t.Context()
		require.Equal(t, governance.Confirm, p.verdict("w", "500"), "the profile decides")
		made := p.create(limit("Refunds", "100"))
		require.Equal(t, policies.Draft, made.Status)
		require.Equal(t, governance.Confirm, p.verdict("w", "500"), "a draft enforces nothing")

		out := p.confirm(made.ID, 1)
		require.Equal(t, policies.Active, out.Policy.Status)
		require.Equal(t, []any{1, 0, false}, []any{out.Version, out.Previous, out.Already})
		require.Equal(t, governance.Block, p.verdict("w", "500"))
		require.Equal(t, governance.Allow, p.verdict("w", "50"))
		require.Equal(t, governance.Confirm, p.verdict("other", "500"), "another workspace is not concerned")
		require.True(t, p.confirm(made.ID, 1).Already)
		require.True(t, p.confirm(made.ID, 0).Already)

		// A change is a new version; the old one enforces until it is confirmed.
		_, v, err := p.Revise(ctx, "w", made.ID, input(t, `{"rules":[{"id":"limit","tools":["process_refund"],"when":"args.amount > 1000","effect":"block"}]}`), "key_author")
		require.NoError(t, err)
		require.Equal(t, 2, v.Number)
		require.Equal(t, governance.Block, p.verdict("w", "500"))
		first, err := p.Version(ctx, "w", made.ID, 1)
		require.NoError(t, err)
		require.NotEqual(t, first.Digest, v.Digest)
		_, err = p.Confirm(ctx, "w", made.ID, 2, first.Digest, "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err), "another digest than was looked at")
		out = p.confirm(made.ID, 2)
		require.Equal(t, 1, out.Previous)
		require.Equal(t, governance.Allow, p.verdict("w", "500"))
		_, err = p.Confirm(ctx, "w", made.ID, 1, "", "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err), "a stale version")
		_, err = p.Confirm(ctx, "w", made.ID, 3, "", "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err), "a version that does not exist")

		back, err := p.Rollback(ctx, "w", made.ID, 0, "key_author")
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, []int{back.Version, back.Previous})
		require.Equal(t, governance.Block, p.verdict("w", "500"))
		_, err = p.Rollback(ctx, "w", made.ID, 7, "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err))

		require.NoError(t, p.Retire(ctx, "w", made.ID, "key_author"))
		require.NoError(t, p.Retire(ctx, "w", made.ID, "key_author"))
		require.Equal(t, governance.Confirm, p.verdict("w", "500"))
		list, _, _, err := p.List(ctx, "w", "", 0, 10)
		require.NoError(t, err)
		require.Empty(t, list)
		list, _, _, err = p.List(ctx, "w", policies.Retired, 0, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		_, err = p.Confirm(ctx, "w", made.ID, 2, "", "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err))

		// The name is free; the retired one comes back only under its own.
		p.create(limit("Refunds", "7"))
		_, err = p.Rollback(ctx, "w", made.ID, 0, "key_author")
		require.Equal(t, fault.PolicyConfirmFailed, code(err))

		events := recorded(t, p.engine)
		require.Equal(t, []string{"policy_create", "policy_confirm", "policy_change", "policy_confirm", "policy_confirm", "policy_retire", "policy_create"}, events)
	})
}

// recorded are the events of the decision log.
func recorded(t *testing.T, engine store.Engine) (events []string) {
	entries, err := engine.Read(t.Context(), "w", governance.RecordLog, 0, 1000)
	require.NoError(t, err)
	for _, e := range entries {
		var r governance.Record
		require.NoError(t, json.Unmarshal(e.Value, &r))
		require.NotEmpty(t, r.Subject)
		require.Equal(t, "key_author", r.Resolver)
		events = append(events, r.Event)
	}
	return events
}

func TestARetiredPolicyIsRolledBack(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		p := newPlace(t, open(), "")
		made := p.create(limit("Refunds", "100"))
		p.confirm(made.ID, 1)
		require.NoError(t, p.Retire(t.Context(), "w", made.ID, "k"))
		back, err := p.Rollback(t.Context(), "w", made.ID, 0, "k")
		require.NoError(t, err)
		require.Equal(t, []int{1, 0}, []int{back.Version, back.Previous})
		require.Equal(t, governance.Block, p.verdict("w", "500"))
		_, _, err = p.Create(t.Context(), "w", input(t, limit("Refunds", "1")), "k")
		require.Equal(t, fault.PolicyCreationFailed, code(err), "its name is taken again")
	})
}

func TestOpenConditionsStayDrafts(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		p := newPlace(t, open(), "")
		ctx := t.Context()
		p.tools.set(refundTool, governance.Tool{Type: "function", Name: "refund_shipping", Schema: refundTool.Schema})
		// Unknown words.
		made, v, err := p.Create(ctx, "w", input(t, `{"name":"a","rules":[{"rule":"Refunds over $100 need a flurble"}]}`), "k")
		require.NoError(t, err)
		require.NotEmpty(t, v.Rules[0].Unknown)
		_, err = p.Confirm(ctx, "w", made.ID, 1, "", "k")
		require.Equal(t, fault.PolicyConfirmFailed, code(err))
		require.NotEmpty(t, fault.From(err).Details)

		// Understood, once it is said differently.
		_, v, err = p.Revise(ctx, "w", made.ID, input(t, `{"rules":[{"condition":"Refunds over $100 need approval"}]}`), "k")
		require.NoError(t, err)
		for round := 0; !v.Ready() && round < 3; round++ {
			answers := map[string]string{}
			for _, q := range v.Rules[0].Questions {
				require.NotEmpty(t, q.Options, q.Text)
				answers[q.ID] = q.Options[0]
			}
			_, v, err = p.Compile(ctx, "w", made.ID, answers, "k")
			require.NoError(t, err)
		}
		require.True(t, v.Ready(), "%+v", v)
		require.NotEmpty(t, v.Rules[0].Means)
		number := v.Number
		_, v, err = p.Compile(ctx, "w", made.ID, nil, "k")
		require.NoError(t, err)
		require.Equal(t, number, v.Number, "compiling again what has not changed makes no version")
		p.confirm(made.ID, number)
		require.Equal(t, governance.Confirm, p.verdict("w", "500"))
		require.Equal(t, governance.Allow, p.verdict("w", "50"))
	})
}

func TestMistakesNameTheirFieldAndStoreNothing(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), `{name: In a file, rules: [{id: x, when: "false", effect: block}]}`)
	p.create(limit("Taken", "1"))
	for _, tt := range []struct{ name, text, code, field string }{
		{"no name", `{"rules":[{"when":"true","effect":"block"}]}`, fault.PolicyMissingName, ""},
		{"white space for a name", `{"name":"  ","rules":[{"when":"true","effect":"block"}]}`, fault.PolicyMissingName, ""},
		{"a name that is taken", limit("Taken", "1"), fault.PolicyCreationFailed, "name"},
		{"a file's name", limit("In a file", "1"), fault.PolicyCreationFailed, "name"},
		{"no rules", `{"name":"x"}`, fault.PolicyCreationFailed, "rules"},
		{"empty rules", `{"name":"x","rules":[]}`, fault.PolicyCreationFailed, "rules"},
		{"unknown effect", `{"name":"x","rules":[{"when":"true","effect":"explode"}]}`, fault.PolicyCreationFailed, "rules[0]"},
		{"no CEL", `{"name":"x","rules":[{"when":"args.amount >","effect":"block"}]}`, fault.PolicyCreationFailed, ""},
		{"one id twice", `{"name":"x","rules":[{"id":"a","when":"true","effect":"block"},{"id":"a","when":"true","effect":"block"}]}`, fault.PolicyCreationFailed, "rules[1].id"},
		{"a duration", `{"name":"x","rules":[{"when":"true","effect":"confirm","expires":"soon"}]}`, fault.PolicyCreationFailed, "rules[0]"},
		{"config that is not there", `{"name":"x","rules":[{"when":"args.amount > config.limit","effect":"block"}]}`, fault.PolicyCreationFailed, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := p.Create(t.Context(), "w", input(t, tt.text), "k")
			require.Equal(t, tt.code, code(err), "%v", err)
			if tt.code == fault.PolicyCreationFailed {
				require.Equal(t, tt.field, fault.From(err).Details[0].Field)
			}
		})
	}
	list, _, _, err := p.List(t.Context(), "w", "", 0, 10)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

// A misspelt argument names the right one, and a wrong example its verdict.
func TestWhatDoesNotFitTheToolsCannotBeConfirmed(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), "")
	for _, tt := range []struct{ text, says string }{
		{`{"name":"a","rules":[{"tools":["process_refund"],"when":"args.amonut > 5","effect":"block"}]}`, "amount"},
		{`{"name":"b","rules":[{"tools":["process_refund"],"when":"args.amount > 5","effect":"block","examples":[{"call":{"name":"process_refund","arguments":{"amount":5}},"expect":"block"}]}]}`, "should be block"},
	} {
		made, v, err := p.Create(t.Context(), "w", input(t, tt.text), "k")
		require.NoError(t, err)
		require.False(t, v.Ready())
		require.Contains(t, v.Problems[0].String(), tt.says)
		_, err = p.Confirm(t.Context(), "w", made.ID, 1, "", "k")
		require.Equal(t, fault.PolicyConfirmFailed, code(err))
	}
}

func TestPoliciesOfAnotherWorkspaceDoNotExist(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		p := newPlace(t, open(), "")
		ctx := t.Context()
		id := p.create(limit("Refunds", "100")).ID
		p.confirm(id, 1)
		_, _, err := p.Get(ctx, "other", id)
		require.Equal(t, fault.PolicyNotFound, code(err))
		_, _, err = p.Revise(ctx, "other", id, input(t, `{"name":"mine"}`), "k")
		require.Equal(t, fault.PolicyNotFound, code(err))
		_, _, err = p.Compile(ctx, "other", id, nil, "k")
		require.Equal(t, fault.PolicyNotFound, code(err))
		_, _, _, err = p.Versions(ctx, "other", id, 0, 10)
		require.Equal(t, fault.PolicyNotFound, code(err))
		_, err = p.Confirm(ctx, "other", id, 1, "", "k")
		require.Equal(t, fault.PolicyNotFound, code(err))
		_, err = p.Rollback(ctx, "other", id, 0, "k")
		require.Equal(t, fault.PolicyNotFound, code(err))
		require.Equal(t, fault.PolicyNotFound, code(p.Retire(ctx, "other", id, "k")))
		require.Equal(t, governance.Block, p.verdict("w", "500"))
		for _, odd := range []string{"", "..", "pol_\x00", "pol.1", "pol_" + id + "." + "1"} {
			_, _, err := p.Get(ctx, "w", odd)
			require.Equal(t, fault.PolicyNotFound, code(err), "%q", odd)
		}
	})
}

func TestANewNameIsSaidOfDecisionsAtOnce(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		p := newPlace(t, open(), `{name: House, rules: [{id: limit, tools: [process_refund], when: "args.amount > 900", effect: block}]}`)
		made := p.create(limit("Refunds", "100"))
		p.create(limit("Second", "100"))
		p.confirm(made.ID, 1)
		_, _, err := p.Revise(t.Context(), "w", made.ID, input(t, `{"name":"Second"}`), "k")
		require.Equal(t, fault.PolicyCreationFailed, code(err))
		q, v, err := p.Revise(t.Context(), "w", made.ID, input(t, `{"name":"Money back"}`), "k")
		require.NoError(t, err)
		require.Equal(t, []any{"Money back", 1}, []any{q.Name, v.Number})
		b, err := p.bundles.For(t.Context(), "w")
		require.NoError(t, err)
		require.Equal(t, "Money back", judge(b, "w", "500", refundTool).Fired[1].Policy)
		p.create(limit("Refunds", "1")) // the old name is free
		require.Equal(t, governance.Block, p.verdict("other", "1000"), "files apply everywhere")
	})
}

// A file that comes later with the name of a policy takes nothing away.
func TestOneNameInAFileAndInTheWorkspaceEnforcesBoth(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), "")
	made := p.create(limit("Refunds", "100"))
	p.confirm(made.ID, 1)
	p.files.Swap(filesOf(t, `{name: Refunds, rules: [{id: low, tools: [process_refund], when: "args.amount < 5", effect: block}]}`))
	require.Equal(t, governance.Block, p.verdict("w", "500"))
	require.Equal(t, governance.Block, p.verdict("w", "1"))
	require.Equal(t, governance.Allow, p.verdict("w", "50"))
	b, err := p.bundles.For(t.Context(), "w")
	require.NoError(t, err)
	require.Equal(t, "Refunds ("+made.ID+")", b.Policies()[1].Name)
}

// The schema of a named tool changed: the rule is enforced as it was written, the
// tool counts as unknown, and everything says so.
func TestAChangedSchemaMakesARuleStale(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), "")
	ctx := t.Context()
	read := governance.Tool{Type: "function", Name: "process_refund", Schema: refundTool.Schema}
	p.tools.set(read)
	made := p.create(`{"name":"Refunds","rules":[{"id":"limit","tools":["process_refund"],"when":[{"if":"args.amount > 100","effect":"block"}],"else":"profile"}]}`)
	p.confirm(made.ID, 1)
	b, err := p.bundles.For(ctx, "w")
	require.NoError(t, err)
	changed := read
	changed.Schema = []byte(`{"type":"object","properties":{"total":{"type":"number"}}}`)
	d := judge(b, "w", "500", changed)
	require.Equal(t, governance.Block, d.Verdict, "the old form")
	require.True(t, d.Stale && d.Fired[0].Stale)
	require.Contains(t, d.Detail, "schema has changed")
	require.Equal(t, governance.KindUnknown, d.Kind)
	require.Equal(t, governance.Block, b.Judge(governance.Facts{Now: time.Now(), Tools: map[string]governance.Tool{"process_refund": changed}},
		governance.Call{Name: "process_refund", Form: governance.FormFunction, Arguments: `{"total":1}`}).Verdict, "what it asks for is not there: the strictest")
	require.False(t, judge(b, "w", "500", read).Stale)
	respelled := read
	respelled.Schema = []byte(`{ "properties": {"amount":{"type":"number"}, "order_id":{"type":"string"}}, "type":"obj\u0065ct"}`)
	require.False(t, judge(b, "w", "500", respelled).Stale, "another client spells the same schema its own way")

	p.tools.set(changed)
	_, v, err := p.Get(ctx, "w", made.ID)
	require.NoError(t, err)
	stale, err := p.StaleTools(ctx, "w", &v)
	require.NoError(t, err)
	require.Equal(t, []string{"process_refund"}, stale)

	// A draft that was compiled for the old schema is not confirmed blindly.
	draft := p.create(`{"name":"New","rules":[{"tools":["process_refund"],"when":"args.total > 5","effect":"block"}]}`)
	p.tools.set(read)
	_, err = p.Confirm(ctx, "w", draft.ID, 1, "", "k")
	require.Equal(t, fault.PolicyConfirmFailed, code(err))
	_, v, err = p.Compile(ctx, "w", draft.ID, nil, "k")
	require.NoError(t, err)
	require.Equal(t, 2, v.Number)
	require.False(t, v.Ready(), "its argument does not exist in this one")
}

func TestRacingChangesLeaveOneTruth(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		a, b := newPlace(t, open(), ""), newPlace(t, open(), "")
		id := a.create(limit("Refunds", "100")).ID
		ctx := t.Context()
		var mu sync.Mutex
		confirmed := map[int]int{}
		var work sync.WaitGroup
		for i := range 12 {
			p := []*place{a, b}[i%2]
			work.Go(func() {
				for j := range 6 {
					switch (i + j) % 4 {
					case 0:
						_, _, err := p.Revise(ctx, "w", id, mustInput(fmt.Sprintf(`{"config":{"n":%d}}`, i*100+j)), "k")
						expect(t, err, fault.PolicyCreationFailed)
					case 1, 2:
						out, err := p.Confirm(ctx, "w", id, 0, "", "k")
						expect(t, err, fault.PolicyConfirmFailed)
						if err == nil && !out.Already {
							mu.Lock()
							confirmed[out.Version]++
							mu.Unlock()
						}
					case 3:
						_, err := p.Rollback(ctx, "w", id, 0, "k")
						expect(t, err, fault.PolicyConfirmFailed)
					}
				}
			})
		}
		work.Wait()
		q, _, err := a.Get(ctx, "w", id)
		require.NoError(t, err)
		last := q.Confirmations[len(q.Confirmations)-1]
		require.Equal(t, q.Active, last.Version)
		previous := 0
		for _, c := range q.Confirmations {
			require.Equal(t, previous, c.Previous, "every change followed from the one before")
			previous = c.Version
			if !c.Rollback {
				confirmed[c.Version]--
			}
		}
		for version, n := range confirmed {
			require.Zero(t, n, "version %d was said to be confirmed as often as it was", version)
		}
		for _, p := range []*place{a, b} {
			require.NoError(t, p.bundles.Refresh(ctx, "w"))
			bundle, err := p.bundles.For(ctx, "w")
			require.NoError(t, err)
			require.Len(t, bundle.Policies(), 1)
			require.Equal(t, fmt.Sprint(q.Active), bundle.Policies()[0].Version)
		}
		// Deleting against confirming: either way nothing of it enforces at the end.
		for range 10 {
			work.Go(func() { _, err := a.Confirm(ctx, "w", id, 0, "", "k"); expect(t, err, fault.PolicyConfirmFailed) })
			work.Go(func() { expect(t, b.Retire(ctx, "w", id, "k")) })
		}
		work.Wait()
		require.NoError(t, a.bundles.Refresh(ctx, "w"))
		require.Equal(t, governance.Confirm, a.verdict("w", "500"))
	})
}

func mustInput(text string) policies.Input {
	var body map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		panic(err)
	}
	in, err := policies.ReadInput(body)
	if err != nil {
		panic(err)
	}
	return in
}

// expect allows no error, these codes, and being too many.
func expect(t *testing.T, err error, codes ...string) {
	if err == nil || code(err) == fault.StoreUnavailable {
		return
	}
	for _, c := range codes {
		if code(err) == c {
			return
		}
	}
	t.Errorf("unexpected: %v", err)
}

// Two of one name: exactly one of them is stored.
func TestOneNameIsGivenOnce(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		a, b := newPlace(t, open(), ""), newPlace(t, open(), "")
		var work sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for i := range 16 {
			p := []*place{a, b}[i%2]
			work.Go(func() {
				_, _, err := p.Create(context.Background(), "w", mustInput(limit("Refunds", "1")), "k")
				expect(t, err, fault.PolicyCreationFailed)
				if err == nil {
					mu.Lock()
					made++
					mu.Unlock()
				}
			})
		}
		work.Wait()
		require.Equal(t, 1, made)
	})
}

// A document that cannot be read is said to be so.
func TestABrokenDocumentIsAQueryFailure(t *testing.T) {
	p := newPlace(t, sqliteEngine(t), "")
	id := p.create(limit("Refunds", "100")).ID
	require.NoError(t, p.engine.Commit(t.Context(), "w", store.Put{Doc: store.Doc{Kind: "policy", ID: id, Value: []byte("{"),
		Index: []store.Index{{Name: "list", Key: "current", Score: 1}}}}))
	_, _, err := p.Get(t.Context(), "w", id)
	require.Equal(t, fault.PolicyQueryFailed, code(err))
	_, _, _, err = p.List(t.Context(), "w", "", 0, 10)
	require.Equal(t, fault.PolicyQueryFailed, code(err))
	require.False(t, errors.Is(err, store.ErrUnavailable))
}
