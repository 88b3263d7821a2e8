package governance_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// onEngines runs a test on both stores, with a clock that it moves.
func onEngines(t *testing.T, test func(t *testing.T, engine store.Engine, c *clock)) {
	t.Helper()
	for _, kind := range []string{"sqlite", "redis"} {
		t.Run(kind, func(t *testing.T) {
			c := &clock{t: time.Now()}
			offset := func() time.Duration { return time.Until(c.now()) }
			var engine store.Engine
			var err error
			if kind == "sqlite" {
				engine, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "e.db"), sqlite.WithOffset(offset))
			} else {
				engine, err = redis.Open(t.Context(), "redis://"+storetest.RedisServer(t), redis.WithOffset(offset))
			}
			require.NoError(t, err)
			t.Cleanup(func() { _ = engine.Close() })
			test(t, engine, c)
		})
	}
}

func bundleOf(t *testing.T, text string) *governance.Bundle {
	t.Helper()
	policies, err := governance.ParsePolicies("p.yaml", []byte(text), nil)
	require.NoError(t, err)
	b, err := governance.NewBundle(policies, policyOptions(t))
	require.NoError(t, err)
	return b
}

const refundPolicy = `
name: refunds
rules:
  - id: limit
    tools: [refund]
    message: "Refund of ${args.amount}"
    when: [{if: args.amount > %d, effect: confirm}]
`

// propose commits a turn of calls, name and arguments in turn, and answers its hold.
func propose(t *testing.T, d *governance.Desk, trace string, facts governance.Facts, released bool, calls ...string) *governance.Hold {
	t.Helper()
	sealed := new(governance.Sealed)
	if facts.Workspace == "" {
		facts.Workspace = "w"
	}
	facts.Conversation, facts.Requester, facts.Tools = "c", alice, map[string]governance.Tool{}
	facts.Tools["spare"] = governance.Tool{Type: "function", Name: "spare", Schema: []byte(`{"type":"object"}`)}
	for i := 0; i < len(calls); i += 2 {
		c := sealed.Start(0, governance.FormFunction)
		c.Member("id", fmt.Appendf(nil, `"call_%d"`, i))
		c.Inner("name", []byte(`"`+calls[i]+`"`))
		c.Argument([]byte(calls[i+1]))
		facts.Tools[calls[i]] = governance.Tool{Type: "function", Name: calls[i], Schema: []byte(`{"type":"object","properties":{"amount":{"type":"number"}}}`)}
	}
	p, err := d.Plan(t.Context(), &governance.Turn{TraceID: trace, Facts: facts, ReleasedRead: released, Sealed: sealed, AsCame: func(int) bool { return true }})
	require.NoError(t, err)
	_, err = d.Commit(t.Context(), p, asked(trace))
	require.NoError(t, err)
	return p.Hold
}

func TestARecordedDecisionIsMadeAgain(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		now := bundleOf(t, fmt.Sprintf(refundPolicy, 100))
		d := governance.NewDesk(engine, now, governance.DeskOptions{})
		propose(t, d, "cad_1", governance.Facts{UserTexts: []string{"refund it"}}, false, "refund", `{\"amount\":100}`, "refund", `{\"amount\":150.0}`)
		c.add(time.Second) // the list below goes by time
		propose(t, d, "cad_2", governance.Facts{}, false, "refund", `{\"amount\":9007199254740993}`)
		c.add(time.Second)
		propose(t, d, "cad_3", governance.Facts{}, false, "refund", `{\"amount\":`)
		list, err := d.Evidence(t.Context(), "w", "cad_1")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, now.Version(), list[0].Bundle)
		require.Nil(t, list[0].Facts.Tools["spare"].Schema, "what no decision reads is not kept")
		require.NotNil(t, list[0].Facts.Tools["refund"].Schema)
		for _, r := range list[0].Redecide(now) {
			require.False(t, r.Changed())
			require.Empty(t, r.CannotTell)
		}
		stricter := list[0].Redecide(bundleOf(t, fmt.Sprintf(refundPolicy, 50)))
		require.Equal(t, []bool{true, false}, []bool{stricter[0].Changed(), stricter[1].Changed()})
		require.Equal(t, governance.Confirm, stricter[0].After.Verdict)

		all, more, err := d.EvidenceBetween(t.Context(), "w", time.Time{}, time.Time{}, 0, 2)
		require.NoError(t, err)
		require.True(t, more)
		require.Equal(t, "cad_3", all[0].TraceID)
		for _, e := range all {
			for _, r := range e.Redecide(now) {
				require.False(t, r.Changed(), "%s", r.After.Detail)
			}
		}
		none, err := d.Evidence(t.Context(), "elsewhere", "cad_1")
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

// What was not loaded at the time cannot be told; what was is judged.
func TestARuleThatAsksForMoreThanWasReadCannotBeToldOfThePast(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		d := governance.NewDesk(engine, bundleOf(t, fmt.Sprintf(refundPolicy, 100)), governance.DeskOptions{})
		propose(t, d, "cad_1", governance.Facts{}, false, "refund", `{\"amount\":1}`)
		propose(t, d, "cad_2", governance.Facts{Released: []governance.Released{{Name: "check", Arguments: "{}"}}}, true, "refund", `{\"amount\":1}`)
		asks := bundleOf(t, `{name: p, rules: [{id: after, tools: [refund], when: '!called("check")', effect: block}]}`)
		list, err := d.Evidence(t.Context(), "w", "cad_1")
		require.NoError(t, err)
		require.NotEmpty(t, list[0].Redecide(asks)[0].CannotTell)
		list, err = d.Evidence(t.Context(), "w", "cad_2")
		require.NoError(t, err)
		require.Empty(t, list[0].Redecide(asks)[0].CannotTell)
		require.Equal(t, governance.Allow, list[0].Redecide(asks)[0].After.Verdict)
	})
}

// stored are all values that the store holds of a workspace, logs left out.
func stored(t *testing.T, d *governance.Desk, engine store.Engine, traces ...string) string {
	t.Helper()
	var b strings.Builder
	for _, trace := range traces {
		for _, kind := range []string{"evidence", "call"} {
			docs, err := engine.List(t.Context(), "w", kind, store.Query{Index: "trace", Key: trace})
			require.NoError(t, err)
			for _, doc := range docs {
				b.Write(doc.Value)
			}
		}
	}
	holds, err := d.HoldsByConversation(t.Context(), "w", alice.ID, "c")
	require.NoError(t, err)
	for _, h := range holds {
		fmt.Fprintf(&b, "%+v", h)
		if doc, err := engine.Get(t.Context(), "w", "hold_bytes", h.ID); err == nil {
			b.Write(doc.Value)
		} else {
			require.ErrorIs(t, err, store.ErrNotFound)
		}
	}
	return b.String()
}

func TestErasedArgumentsAreGoneEverywhereAndNobodyCanTell(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		b := bundleOf(t, fmt.Sprintf(refundPolicy, 100))
		d := governance.NewDesk(engine, b, governance.DeskOptions{})
		h := propose(t, d, "cad_1", governance.Facts{UserTexts: []string{"word 31337"}}, false, "refund", `{\"amount\":31337}`)
		propose(t, d, "cad_2", governance.Facts{}, false, "refund", `{\"amount\":31}`)
		require.Contains(t, stored(t, d, engine, "cad_1", "cad_2"), "31337")
		n, err := d.Erase(t.Context(), "w", "cad_1")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = d.Erase(t.Context(), "w", "cad_2")
		require.NoError(t, err)
		require.NotContains(t, stored(t, d, engine, "cad_1", "cad_2"), "31337")
		calls, err := engine.List(t.Context(), "w", "call", store.Query{Index: "kept"})
		require.NoError(t, err)
		require.Empty(t, calls)

		list, err := d.Evidence(t.Context(), "w", "cad_1")
		require.NoError(t, err)
		told := list[0].Redecide(b)
		require.Equal(t, governance.MissingErased, told[0].CannotTell)
		require.Equal(t, governance.Confirm, told[0].Before)
		require.Equal(t, "refunds/limit", told[0].Rule)
		out, err := d.Answer(t.Context(), "w", h.ID, governance.Answer{Yes: true, By: alice})
		require.NoError(t, err)
		require.Equal(t, governance.ResultErased, out.Result)

		n, err = d.Erase(t.Context(), "elsewhere", "cad_1")
		require.NoError(t, err)
		require.Zero(t, n)
	})
}

func TestEvidenceIsKeptForTheRetentionAndNotLonger(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		b := bundleOf(t, fmt.Sprintf(refundPolicy, 100))
		d := governance.NewDesk(engine, b, governance.DeskOptions{Retention: 24 * time.Hour, ConfirmExpires: time.Hour})
		for i := range 120 { // more than a page
			propose(t, d, fmt.Sprint("cad_", i), governance.Facts{}, false, "refund", `{\"amount\":1}`)
		}
		propose(t, d, "cad_held", governance.Facts{}, false, "refund", `{\"amount\":31337}`)
		c.add(25 * time.Hour)
		propose(t, d, "cad_new", governance.Facts{}, false, "refund", `{\"amount\":1}`)
		// The hold is overdue and nobody has looked: its bytes stay until it ended.
		require.NoError(t, d.Retain(t.Context()))
		require.Contains(t, stored(t, d, engine, "cad_held"), "31337")
		require.NoError(t, d.Sweep(t.Context()))
		require.NoError(t, d.Retain(t.Context()))
		require.NotContains(t, stored(t, d, engine, "cad_held"), "31337")
		all, _, err := d.EvidenceBetween(t.Context(), "w", time.Time{}, time.Time{}, 0, 1000)
		require.NoError(t, err)
		require.Len(t, all, 1)
		require.Equal(t, "cad_new", all[0].TraceID)
		calls, err := engine.List(t.Context(), "w", "call", store.Query{Index: "kept"})
		require.NoError(t, err)
		require.Len(t, calls, 1)
	})
}

// A turn out of all proportion is decided and recorded, and says that it was not kept.
func TestATurnThatIsTooLargeIsNotKept(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		b := bundleOf(t, fmt.Sprintf(refundPolicy, 100))
		d := governance.NewDesk(engine, b, governance.DeskOptions{})
		propose(t, d, "cad_1", governance.Facts{UserTexts: []string{strings.Repeat("x", 5<<20)}}, false, "refund", `{\"amount\":1}`)
		list, err := d.Evidence(t.Context(), "w", "cad_1")
		require.NoError(t, err)
		require.Equal(t, governance.MissingSize, list[0].Redecide(b)[0].CannotTell)
	})
}

// A decision without its evidence does not exist.
func TestEvidenceIsInTheCommitOfTheDecision(t *testing.T) {
	onEngines(t, func(t *testing.T, engine store.Engine, c *clock) {
		fails := &failing{Engine: engine}
		d := governance.NewDesk(fails, bundleOf(t, fmt.Sprintf(refundPolicy, 100)), governance.DeskOptions{})
		propose(t, d, "cad_1", governance.Facts{}, false, "refund", `{\"amount\":1}`)
		require.Equal(t, 1, fails.commits)
	})
}

// failing counts commits.
type failing struct {
	store.Engine
	commits int
}

func (f *failing) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	f.commits++
	kinds := map[string]bool{}
	for _, op := range ops {
		if p, ok := op.(store.Put); ok {
			kinds[p.Doc.Kind] = true
		}
	}
	if !kinds["evidence"] {
		return errors.New("a decision without evidence")
	}
	return f.Engine.Commit(ctx, workspace, ops...)
}
