package policies_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/sqlite"
)

func sqliteEngine(t testing.TB) store.Engine {
	engine, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "p.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

func TestEveryReplicaEnforcesWhatWasConfirmed(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		a, b := newPlace(t, open(), ""), newPlace(t, open(), "")
		a.follow()
		b.follow()
		require.Equal(t, governance.Confirm, b.verdict("w", "500"))
		id := a.create(limit("Refunds", "100")).ID
		a.confirm(id, 1)
		require.Equal(t, governance.Block, a.verdict("w", "500"), "where it was confirmed, at once")
		b.becomes("w", "500", governance.Block)
		require.NoError(t, b.Retire(t.Context(), "w", id, "k"))
		a.becomes("w", "500", governance.Confirm)
	})
}

// deaf is an engine whose signals are all lost.
type deaf struct{ store.Engine }

func (deaf) Watch(context.Context, string) (<-chan struct{}, error) {
	return make(chan struct{}), nil
}

func TestALostSignalDelaysAPolicyAndLosesNone(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		for _, follows := range []bool{true, false} { // without a follower the decision itself looks
			a, b := newPlace(t, open(), ""), newPlace(t, deaf{open()}, "")
			if follows {
				b.follow()
			}
			name := fmt.Sprint("Refunds ", follows)
			require.Equal(t, governance.Confirm, b.verdict("w2", "500"))
			made, _, err := a.Create(t.Context(), "w2", mustInput(limit(name, "100")), "k")
			require.NoError(t, err)
			_, err = a.Confirm(t.Context(), "w2", made.ID, 1, "", "k")
			require.NoError(t, err)
			b.becomes("w2", "500", governance.Block)
			require.NoError(t, a.Retire(t.Context(), "w2", made.ID, "k"))
			b.becomes("w2", "500", governance.Confirm)
		}
	})
}

// away is an engine that can be switched off.
type away struct {
	store.Engine
	off  atomic.Bool
	kind string // of what cannot be read then; "" is everything
}

func (a *away) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	if a.off.Load() && (a.kind == "" || a.kind == kind) {
		return store.Doc{}, fmt.Errorf("%w: switched off", store.ErrUnavailable)
	}
	return a.Engine.Get(ctx, workspace, kind, id)
}

// A store that is away at the start decides nothing: never by fewer rules.
func TestWithoutItsPoliciesAWorkspaceDecidesNothing(t *testing.T) {
	engine := &away{Engine: sqliteEngine(t)}
	made := newPlace(t, engine, "")
	made.confirm(made.create(limit("Refunds", "100")).ID, 1)
	engine.off.Store(true)
	p := newPlace(t, engine, "") // a new process
	p.follow()
	_, err := p.bundles.For(t.Context(), "w")
	require.Equal(t, fault.StoreUnavailable, code(err))
	d := p.bundles.Decide(governance.Facts{Workspace: "w", Tools: map[string]governance.Tool{"get_order": {Type: "function", Name: "get_order"}}},
		[]governance.Call{{ID: "1", Name: "get_order", Form: governance.FormFunction, Arguments: "{}"}})
	require.Equal(t, governance.Block, d[0].Verdict)
	require.Equal(t, governance.ReasonNoPolicies, d[0].Reason)
	require.False(t, p.bundles.Hosted(governance.Facts{Workspace: "w"}, "web_search"))

	// And through the desk: nothing is released.
	desk := governance.NewDesk(engine, p.bundles, governance.DeskOptions{})
	sealed := new(governance.Sealed)
	c := sealed.Start(0, governance.FormFunction)
	c.Inner("name", []byte(`"get_order"`))
	_, err = desk.Plan(t.Context(), &governance.Turn{Sealed: sealed, Facts: governance.Facts{Workspace: "w"}, AsCame: func(int) bool { return true }})
	require.Equal(t, fault.StoreUnavailable, code(err))

	engine.off.Store(false)
	p.becomes("w", "500", governance.Block) // it heals without a restart
}

// A store that dies between the list of what is active and what is on it does not
// leave a policy out.
func TestAPolicyThatCannotBeReadAtTheMomentIsNotLeftOut(t *testing.T) {
	engine := &away{Engine: sqliteEngine(t), kind: "policy_version"}
	made := newPlace(t, engine, "")
	made.confirm(made.create(limit("Refunds", "100")).ID, 1)
	engine.off.Store(true)
	p := newPlace(t, engine, "") // a new process
	_, err := p.bundles.For(t.Context(), "w")
	require.Equal(t, fault.StoreUnavailable, code(err))
	engine.off.Store(false)
	p.becomes("w", "500", governance.Block)
}

// What was confirmed and cannot be loaded is not left out.
func TestAVersionThatCannotBeLoadedStopsItsWorkspaceOnly(t *testing.T) {
	for name, break_ := range map[string]func(p *place, id string) store.Op{
		"gone": func(_ *place, id string) store.Op { return store.Delete{Kind: "policy_version", ID: id + ".1"} },
		"changed": func(p *place, id string) store.Op {
			doc, err := p.engine.Get(context.Background(), "w", "policy_version", id+".1")
			require.NoError(p.t, err)
			doc.Value = []byte(strings.Replace(string(doc.Value), `"digest":"`, `"digest":"0`, 1))
			return store.Put{Doc: doc}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, sqliteEngine(t), "")
			id := p.create(limit("Refunds", "100")).ID
			p.confirm(id, 1)
			require.NoError(t, p.engine.Commit(t.Context(), "w", break_(p, id)))
			fresh := newPlace(t, p.engine, "")
			_, err := fresh.bundles.For(t.Context(), "w")
			require.Equal(t, fault.GovernanceUnavailable, code(err))
			require.Equal(t, governance.Confirm, fresh.verdict("other", "500"))
			// Taking it away mends it.
			require.NoError(t, fresh.Retire(t.Context(), "w", id, "k"))
		})
	}
}

// thousand is a policy of so many rules about tools of their own, and one that
// decides about refunds.
func thousand(name string, rules int, amount string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"name":%q,"rules":[{"id":"limit","tools":["process_refund"],"when":"args.amount > %s","effect":"block"}`, name, amount)
	for i := 1; i < rules; i++ {
		fmt.Fprintf(&b, `,{"id":"r%d","tools":["tool_%d"],"when":"args.amount > %d && !(requester.id in ['a','b'])","effect":"confirm"}`, i, i, i)
	}
	b.WriteString("]}")
	return b.String()
}

// A bundle of 1,000 rules is exchanged again and again while decisions are made:
// none fails, each is by the old one or the new one.
func TestALargeBundleIsSwappedUnderLoad(t *testing.T) {
	onStores(t, func(t *testing.T, open func() store.Engine) {
		a, b := newPlace(t, open(), ""), newPlace(t, open(), "")
		a.follow()
		b.follow()
		id := a.create(thousand("Large", 1000, "100")).ID
		a.confirm(id, 1)
		b.becomes("w", "500", governance.Block)
		var stop atomic.Bool
		var decisions, failures atomic.Int64
		var odd atomic.Value
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for !stop.Load() {
					bundle, err := b.bundles.For(context.Background(), "w")
					decisions.Add(1)
					if err != nil {
						failures.Add(1)
						odd.Store(err)
						continue
					}
					if v := judge(bundle, "w", "500", refundTool).Verdict; v != governance.Block {
						failures.Add(1)
						odd.Store(errors.New(v.String()))
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		for i := range 3 {
			_, v, err := a.Revise(t.Context(), "w", id, mustInput(thousand("Large", 1000, fmt.Sprint(110+i))), "k")
			require.NoError(t, err)
			a.confirm(id, v.Number)
			b.becomes("w", fmt.Sprint(110+i), governance.Allow)
		}
		stop.Store(true)
		work.Wait()
		require.Zero(t, failures.Load(), "%v", odd.Load())
		require.Positive(t, decisions.Load())
		t.Log(decisions.Load(), "decisions")
	})
}

func BenchmarkSwapOfAThousandRules(b *testing.B) {
	p := newPlace(b, sqliteEngine(b), "")
	id := p.create(thousand("Large", 1000, "100")).ID
	p.confirm(id, 1)
	other := p.create(limit("Small", "5")).ID
	p.confirm(other, 1)
	n := 5
	for b.Loop() {
		b.StopTimer()
		n++
		_, v, err := p.Revise(b.Context(), "w", other, mustInput(limit("Small", fmt.Sprint(n))), "k")
		require.NoError(b, err)
		b.StartTimer()
		_, err = p.Confirm(b.Context(), "w", other, v.Number, "", "k")
		require.NoError(b, err)
	}
}

func BenchmarkFor(b *testing.B) {
	for _, rules := range []int{20, 1000} {
		b.Run(fmt.Sprintf("%d rules", rules), func(b *testing.B) {
			p := newPlace(b, sqliteEngine(b), "")
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			go p.bundles.Run(ctx)
			p.confirm(p.create(thousand("Large", rules, "100")).ID, 1)
			facts := governance.Facts{Workspace: "w", Conversation: "c", Requester: governance.Requester{ID: "k"}, Now: time.Now(),
				Tools: map[string]governance.Tool{"process_refund": refundTool}}
			calls := []governance.Call{{ID: "1", Name: "process_refund", Form: governance.FormFunction, Arguments: `{"order_id":"1","amount":500}`}}
			b.ReportAllocs()
			for b.Loop() {
				bundle, err := p.bundles.For(ctx, "w")
				if err != nil {
					b.Fatal(err)
				}
				if bundle.Decide(facts, calls)[0].Verdict != governance.Block {
					b.Fatal("not blocked")
				}
			}
		})
	}
}
