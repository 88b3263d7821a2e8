package governance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// after allows `after` only where `first` goes before it in the same turn, and
// asks about `first`.
type after struct{ verdicts }

func (a *after) Decide(_ governance.Facts, calls []governance.Call) []governance.CallDecision {
	out := make([]governance.CallDecision, len(calls))
	first := false
	for i, c := range calls {
		out[i] = governance.CallDecision{Call: c, Verdict: governance.Confirm, Reason: governance.ReasonRule}
		if c.Name == "after" && first {
			out[i].Verdict = governance.Allow
		}
		first = first || c.Name == "first"
	}
	return out
}

func TestACallAllowedOnlyBesideAHeldOneDoesNotLeaveBeforeIt(t *testing.T) {
	for _, tools := range [][]string{{"first", "after"}, {"first", "after", "after"}} {
		b := newBench(t, governance.DeskOptions{})
		b.desk = governance.NewDesk(b.engine, &after{}, governance.DeskOptions{ReleaseAllowed: true})
		p := b.plan("c", tools...)
		require.NotContains(t, p.Free, true)
		require.Len(t, p.Hold.Items, len(tools))
	}
}

func TestACallWithoutATypeGetsOneWhereItLeavesOnItsOwn(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	s := new(governance.Sealed)
	c := s.Start(0, governance.FormFunction)
	c.Member("id", []byte(`"call_1"`))
	c.Inner("name", []byte(`"refund"`))
	c.Argument([]byte(`{}`))
	p, err := b.desk.Plan(b.ctx, &governance.Turn{Sealed: s, AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: "w", Conversation: "c", Requester: alice}})
	require.NoError(t, err)
	_, err = b.desk.Commit(b.ctx, p, asked("c"))
	require.NoError(t, err)
	out := b.answer(p.Hold.ID, governance.Answer{Yes: true})
	require.Equal(t, `"type":"function","id":"call_1","function":{"name":"refund","arguments":"{}"}`, bytesOf(t, out.Calls[0]))
}

func TestTheOpenHoldIsNotHiddenByThoseItReplaced(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	open := b.plan("c", "refund") // planned first, committed last
	for range 30 {
		b.clock.add(time.Millisecond)
		b.hold("c", "refund")
	}
	_, err := b.desk.Commit(b.ctx, open, asked("c"))
	require.NoError(t, err)
	for name, find := range map[string]func() ([]governance.Hold, error){
		"pair": func() ([]governance.Hold, error) { return b.desk.HoldsByPair(b.ctx, "w", alice.ID, asked("c").Pair) },
		"place": func() ([]governance.Hold, error) {
			return b.desk.HoldsByPlace(b.ctx, "w", alice.ID, "", asked("c").Pair)
		},
		"conversation": func() ([]governance.Hold, error) { return b.desk.HoldsByConversation(b.ctx, "w", alice.ID, "c") },
	} {
		list, err := find()
		require.NoError(t, err, name)
		require.Equal(t, open.Hold.ID, list[0].ID, name)
		require.Equal(t, governance.StateHeld, list[0].State, name)
	}
}
