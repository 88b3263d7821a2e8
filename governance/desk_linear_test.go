package governance_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// linearInput is one thing that somebody does to a hold.
type linearInput struct {
	hold         string
	review       bool // the hold waits for a reviewer
	what         string
	began, ended int64
}

// linearOutput is what they hear.
type linearOutput struct {
	result governance.Result
	repeat bool
	state  governance.State // of "read"
	err    string           // code of the refusal, "" if none
}

// linearState is a hold of one call as the contract describes it.
type linearState struct {
	state    governance.State
	approved bool   // by the reviewer
	resolved string // the reviewer's word
	late     int64  // when its time was over for everybody, 0 if it is not
	blocked  int64  // when today's policies blocked the call for everybody, 0 if they do not
}

// moments are the states that an operation may meet. The clock and the policies are read while an operation runs: what
// changed before it began counts, what changed meanwhile may count or not.
func (s linearState) moments(in linearInput) []linearState {
	if s.late == 0 || s.state != governance.StateHeld {
		return []linearState{s}
	}
	over := s
	over.state = governance.StateExpired
	if s.late < in.began {
		return []linearState{over}
	}
	return []linearState{s, over}
}

// steps is the sequential specification: what each operation may leave behind, given what was heard.
func (s linearState) steps(in linearInput, out linearOutput) (list []any) {
	switch in.what {
	case "time":
		s.late = in.ended
		return []any{s}
	case "policy":
		if s.blocked == 0 {
			s.blocked = in.ended
		}
		return []any{s}
	}
	for _, m := range s.moments(in) {
		if m.blocked == 0 || m.blocked >= in.began {
			if ok, next := m.step(in, out, false); ok {
				list = append(list, next)
			}
		}
		if m.blocked != 0 {
			if ok, next := m.step(in, out, true); ok {
				list = append(list, next)
			}
		}
	}
	return list
}

func (s linearState) step(in linearInput, out linearOutput, blocked bool) (bool, linearState) {
	held := s.state == governance.StateHeld
	switch in.what {
	case "sweep":
		return out.err == "", s
	case "read":
		return out.state == s.state, s
	case "supersede":
		if held && !in.review {
			s.state = governance.StateSuperseded
		}
		return out.err == "", s
	case "auto", "abstain":
		switch {
		case s.resolved == in.what:
			return out.err == "", s
		case !held || s.resolved != "":
			return out.err == fault.EscalationResolveFailed, s
		case in.what == "abstain":
			s.state = governance.StateDenied
		default:
			s.approved = true
		}
		s.resolved = in.what
		return out.err == "", s
	case "yes", "pickup":
		switch {
		case s.state == governance.StateReleased:
			// Heard of, or given once more to somebody whose reply may have been lost.
			return out.result == governance.ResultAlready || out.result == governance.ResultReleased && out.repeat, s
		case !held:
			return out.result == governance.ResultOver, s
		case in.review && !s.approved:
			return out.result == governance.ResultWaiting, s
		case blocked:
			s.state = governance.StateDenied
			return out.result == governance.ResultChanged, s
		}
		s.state = governance.StateReleased
		return out.result == governance.ResultReleased && !out.repeat, s
	case "no":
		switch {
		case s.state == governance.StateReleased:
			return out.result == governance.ResultAlready, s
		case !held:
			return out.result == governance.ResultOver, s
		case in.review:
			s.state = governance.StateCancelled
		default:
			s.state = governance.StateDenied
		}
		return out.result == governance.ResultDenied, s
	}
	return false, s
}

// holdModel is the specification in the checker's form: holds do not touch one another.
var holdModel = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[string][]porcupine.Operation{}
		for _, op := range history {
			in := op.Input.(linearInput)
			by[in.hold] = append(by[in.hold], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range by {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() []any { return []any{linearState{state: governance.StateHeld}} },
	Step: func(state, input, output any) []any {
		return state.(linearState).steps(input.(linearInput), output.(linearOutput))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}).ToModel()

// historian lets clients loose on holds and writes down when each operation began, ended and what it said.
type historian struct {
	t       *testing.T
	desks   [2]*governance.Desk
	decider *verdicts
	late    func() // moves the clock past every expiry
	ws      string
	tick    atomic.Int64
	mu      sync.Mutex
	history []porcupine.Operation
	holds   []*linearHold
}

type linearHold struct{ id, tool, chat, escalation string }

func (h *historian) open(i int, review bool) {
	hold := &linearHold{tool: fmt.Sprint("tool", i), chat: fmt.Sprint("chat", i)}
	verdict := governance.Confirm
	if review {
		verdict = governance.Escalate
	}
	h.decider.set(hold.tool, verdict)
	p, err := h.desks[i%2].Plan(h.t.Context(), &governance.Turn{Sealed: seal(hold.tool), AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: h.ws, Conversation: hold.chat, Requester: alice}})
	require.NoError(h.t, err)
	_, err = h.desks[i%2].Commit(h.t.Context(), p, asked(h.ws+hold.chat))
	require.NoError(h.t, err)
	hold.id, hold.escalation = p.Hold.ID, p.Hold.Items[0].Escalation
	h.holds = append(h.holds, hold)
}

// do runs one operation and notes it. client is 0 or more.
func (h *historian) do(client int, hold *linearHold, what string) {
	in := linearInput{hold: hold.id, review: hold.escalation != "", what: what, began: h.tick.Add(1)}
	out := h.run(h.desks[client%2], hold, what)
	in.ended = h.tick.Add(1)
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: in.began, Return: in.ended}
	h.mu.Lock()
	h.history = append(h.history, op)
	h.mu.Unlock()
}

func (h *historian) run(desk *governance.Desk, hold *linearHold, what string) (out linearOutput) {
	ctx := h.t.Context()
	var err error
	switch what {
	case "yes", "no", "pickup":
		var got governance.Answered
		got, err = desk.Answer(ctx, h.ws, hold.id, governance.Answer{Yes: what == "yes", Pickup: what == "pickup", By: alice})
		out.result, out.repeat = got.Result, got.Repeat
	case "supersede":
		err = desk.Supersede(ctx, h.ws, hold.id)
	case "auto", "abstain":
		_, err = desk.Resolve(ctx, h.ws, hold.escalation, governance.Resolution{Decision: what, By: reviewer})
	case "sweep":
		err = desk.Sweep(ctx)
	case "policy":
		h.decider.set(hold.tool, governance.Block)
	case "read":
		var list []governance.Hold
		list, err = desk.HoldsByConversation(ctx, h.ws, alice.ID, hold.chat)
		if err == nil {
			out.state = list[0].State
		}
	}
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		out.err = f.Code
	case err != nil:
		out.err = err.Error()
	}
	return out
}

// pass moves the clock once. Everybody's time is over then.
func (h *historian) pass(client int) {
	call := h.tick.Add(1)
	h.late()
	end := h.tick.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hold := range h.holds {
		h.history = append(h.history, porcupine.Operation{ClientId: client, Call: call, Return: end,
			Input: linearInput{hold: hold.id, review: hold.escalation != "", what: "time", began: call, ended: end}, Output: linearOutput{}})
	}
}

// told is a history for people, in the order the operations began.
func told(part []porcupine.Operation) string {
	slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	for _, op := range part {
		fmt.Fprintf(&b, "%d to %d, client %d: %s\n", op.Call, op.Return, op.ClientId, holdModel.DescribeOperation(op.Input, op.Output))
	}
	return b.String()
}

// script is what one client does to one hold.
func script(review bool, r *rand.Rand) string {
	if review {
		return []string{"auto", "auto", "pickup", "pickup", "pickup", "no", "abstain", "read", "supersede", "policy", "sweep"}[r.IntN(11)]
	}
	return []string{"yes", "yes", "yes", "no", "supersede", "read", "read", "policy", "sweep"}[r.IntN(9)]
}

// linearizable records histories of holds that several clients of two desks answer, review, pass over, expire, sweep and
// forbid at the same time, and checks that each could have happened one step after the other.
func linearizable(t *testing.T, rounds int, open func(offset func() time.Duration) [2]store.Engine) {
	const clients, holds, steps = 6, 12, 14
	for round := range rounds {
		var offset atomic.Int64
		engines := open(func() time.Duration { return time.Duration(offset.Load()) })
		h := &historian{t: t, decider: &verdicts{by: map[string]governance.CallDecision{}}, ws: fmt.Sprint("w", round)}
		h.late = func() { offset.Add(int64(1000 * time.Hour)) }
		for i, e := range engines {
			// A tiny replay time: what matters is who released, not who hears it again.
			h.desks[i] = governance.NewDesk(e, h.decider, governance.DeskOptions{Replay: time.Nanosecond, Await: time.Nanosecond})
		}
		for i := range holds {
			h.open(i, i%2 == 1)
		}
		var group sync.WaitGroup
		for client := range clients {
			r := rand.New(rand.NewPCG(uint64(round), uint64(client)))
			group.Go(func() {
				for step := range steps {
					if client == 0 && step == steps*2/3 {
						h.pass(client)
					}
					hold := h.holds[r.IntN(holds)]
					h.do(client, hold, script(hold.escalation != "", r))
				}
			})
		}
		group.Wait()
		for _, hold := range h.holds {
			h.do(clients, hold, "read")
		}
		for _, part := range holdModel.Partition(h.history) {
			require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(holdModel, part, time.Minute),
				"round %d: no order of these operations explains what was heard:\n%s", round, told(part))
		}
		endsOnce(t, engines[0], h.ws)
	}
}

// endsOnce reads the log: each hold ended once, and no call was released twice.
func endsOnce(t *testing.T, engine store.Engine, ws string) {
	t.Helper()
	ends, released := map[string][]governance.State{}, map[string]int{}
	entries, err := engine.Read(t.Context(), ws, governance.RecordLog, 0, 100_000)
	require.NoError(t, err)
	for _, e := range entries {
		r := decodeRecord(t, e.Value)
		if r.Hold == "" {
			continue
		}
		if r.CallID == "" && r.State != governance.StateHeld {
			ends[r.Hold] = append(ends[r.Hold], r.State)
		}
		if r.CallID != "" && r.Event == governance.EventRelease {
			released[r.Hold]++
		}
	}
	require.NotEmpty(t, ends)
	for hold, states := range ends {
		require.Len(t, states, 1, "%s ended as %v", hold, states)
	}
	for hold, n := range released {
		require.Equal(t, 1, n, hold)
		require.Equal(t, []governance.State{governance.StateReleased}, ends[hold])
	}
}

func TestHoldsAreLinearizableOnSQLite(t *testing.T) {
	linearizable(t, 40, func(offset func() time.Duration) [2]store.Engine {
		engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), sqlite.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		return [2]store.Engine{engine, engine}
	})
}

func TestHoldsAreLinearizableOnRedis(t *testing.T) {
	url := "redis://" + storetest.RedisServer(t)
	linearizable(t, 40, func(offset func() time.Duration) (engines [2]store.Engine) {
		for i := range engines {
			engine, err := redis.Open(t.Context(), url, redis.WithOffset(offset))
			require.NoError(t, err)
			t.Cleanup(func() { _ = engine.Close() })
			engines[i] = engine
		}
		return engines
	})
}

// The checker itself, held to a history that no order explains: two first releases of one hold.
func TestTheCheckerOfHistoriesSeesADoubleRelease(t *testing.T) {
	in := linearInput{hold: "h", what: "yes"}
	first := linearOutput{result: governance.ResultReleased}
	history := []porcupine.Operation{
		{ClientId: 0, Input: in, Output: first, Call: 1, Return: 4},
		{ClientId: 1, Input: in, Output: first, Call: 2, Return: 3},
	}
	require.False(t, porcupine.CheckOperations(holdModel, history))
	history[1].Output = linearOutput{result: governance.ResultAlready}
	require.True(t, porcupine.CheckOperations(holdModel, history))
}
