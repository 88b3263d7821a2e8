package governance_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
)

// counting counts what is read, by kind.
type counting struct {
	store.Engine
	got map[string]int
}

func (c *counting) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	c.got[kind]++
	return c.Engine.Get(ctx, workspace, kind, id)
}

// A hold that the request has read is not read again, neither for its answer nor when that was delivered.
func TestAHoldThatWasReadIsNotReadAgain(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	engine := &counting{Engine: b.engine, got: map[string]int{}}
	desk := governance.NewDesk(engine, b.decider, governance.DeskOptions{})
	list, err := desk.HoldsByConversation(b.ctx, "w", alice.ID, "c")
	require.NoError(t, err)
	require.Len(t, list, 1)
	out, err := desk.Answer(b.ctx, "w", id, governance.Answer{Yes: true, By: alice, Read: &list[0]})
	require.NoError(t, err)
	require.Equal(t, governance.ResultReleased, out.Result)
	require.Equal(t, governance.StateHeld, list[0].State, "what was read stays as it was")
	require.Empty(t, list[0].Items[0].Answer)
	require.NoError(t, desk.Delivered(b.ctx, "w", out.Hold, true))
	require.Equal(t, map[string]int{"hold_bytes": 1}, engine.got)
	now, err := desk.HoldsByConversation(b.ctx, "w", alice.ID, "c")
	require.NoError(t, err)
	require.True(t, now[0].Delivered)
	// The words are free again.
	require.NotEqual(t, id, b.hold("c", "refund"))
}

// What was read may be over by now: then the answer is about what is.
func TestAnAnswerToWhatWasReadIsAboutWhatIs(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(b *bench, id string)
		want      governance.Result
	}{
		"released":   {func(b *bench, id string) { b.answer(id, governance.Answer{Yes: true}) }, governance.ResultAlready},
		"refused":    {func(b *bench, id string) { b.answer(id, governance.Answer{}) }, governance.ResultOver},
		"superseded": {func(b *bench, id string) { require.NoError(b.t, b.desk.Supersede(b.ctx, "w", id)) }, governance.ResultOver},
		"expired":    {func(b *bench, _ string) { b.clock.add(16 * time.Minute) }, governance.ResultOver},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			id := b.hold("c", "refund")
			list, err := b.desk.HoldsByConversation(b.ctx, "w", alice.ID, "c")
			require.NoError(t, err)
			c.meanwhile(b, id)
			if name == "released" {
				require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: id}, true))
			}
			out := b.answer(id, governance.Answer{Yes: true, Read: &list[0]})
			require.Equal(t, c.want, out.Result)
			require.Empty(t, out.Calls)
		})
	}
}
