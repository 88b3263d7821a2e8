package governance_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// tool names of the machine; their verdicts change as it runs.
var machineTools = []string{"t0", "t1", "t2", "t3", "t4"}

// The clock moves in steps of seven minutes, which no sum of the expiries below
// meets: what a test takes in real time never decides.
const (
	tick          = 7 * time.Minute
	confirmLife   = 15 * time.Minute
	escalateLife  = 243 * time.Minute
	machineReplay = 2 * time.Minute
)

// machine is two desks on one engine beside a model of what they should do.
type machine struct {
	*rapid.T
	engine  *watchedEngine
	ws      string
	decider *verdicts
	rules   governance.Decider // in the place of decider, where it is not nil
	desks   [2]*governance.Desk
	offset  *atomic.Int64
	model   *deskModel
	asks    int
	bytes   map[string]string // by call id: what a release must send
	handed  map[string]int    // by call id: releases that were no repeats
}

func (m *machine) newDesk() *governance.Desk {
	judge := m.rules
	if judge == nil {
		judge = m.decider
	}
	return governance.NewDesk(m.engine, judge, governance.DeskOptions{ConfirmExpires: confirmLife, Replay: machineReplay, Await: time.Nanosecond})
}

func (m *machine) desk() *governance.Desk {
	return m.desks[rapid.IntRange(0, 1).Draw(m.T, "desk")]
}

func (m *machine) hold() *modelHold {
	if len(m.model.holds) == 0 {
		return nil
	}
	recent := m.model.holds[max(0, len(m.model.holds)-2):] // few, so that much happens to each
	return rapid.SampledFrom(recent).Draw(m.T, "hold")
}

// weights say how often a step is taken beside the others.
var weights = map[string]int{"answer": 4, "resolve": 5, "pickup": 2, "policy": 2, "ask again": 2, "supersede": 2}

// steps are what can happen.
var steps = map[string]func(m *machine){
	"ask": func(m *machine) { m.ask(nil) },
	"ask again": func(m *machine) {
		if h := m.hold(); h != nil {
			m.ask(h)
		}
	},
	"answer": func(m *machine) { m.answer(false) },
	"pickup": func(m *machine) { m.answer(true) },
	"clock": func(m *machine) {
		n := rapid.SampledFrom([]int{1, 1, 2, 2, 33}).Draw(m.T, "ticks")
		m.offset.Add(int64(n) * int64(tick))
		m.model.now += time.Duration(n) * tick
	},
	"sweep":   func(m *machine) { require.NoError(m, m.desk().Sweep(m.Context())); m.model.sweep() },
	"policy":  func(m *machine) { m.policy() },
	"crash":   func(m *machine) { m.desks[rapid.IntRange(0, 1).Draw(m.T, "which")] = m.newDesk() },
	"resolve": func(m *machine) { m.resolve() },
	"supersede": func(m *machine) {
		if h := m.hold(); h != nil {
			require.NoError(m, m.desk().Supersede(m.Context(), m.ws, h.id))
			m.model.supersede(h)
		}
	},
	"delivered": func(m *machine) {
		if h := m.hold(); h != nil {
			whole := rapid.Bool().Draw(m.T, "whole")
			require.NoError(m, m.desk().Delivered(m.Context(), m.ws, governance.Hold{ID: h.id}, whole))
			m.model.delivery(h, whole)
		}
	},
	"reply": func(m *machine) {
		if h := m.hold(); h != nil {
			require.NoError(m, m.desk().Reply(m.Context(), m.ws, h.id, "so that"))
			m.model.reply(h)
		}
	},
}

func (m *machine) policy() {
	tool := rapid.SampledFrom(machineTools).Draw(m.T, "tool")
	m.setPolicy(tool, rapid.SampledFrom([]governance.Verdict{governance.Allow, governance.Clarify, governance.Confirm, governance.Confirm,
		governance.Escalate, governance.Block}).Draw(m.T, "verdict"))
}

func (m *machine) setPolicy(tool string, v governance.Verdict) {
	d := governance.CallDecision{Verdict: v}
	if v == governance.Escalate {
		d.Expires = escalateLife
	}
	m.decider.mu.Lock()
	m.decider.by[tool] = d
	m.decider.mu.Unlock()
	m.model.policy[tool] = v
}

// ask lets a model propose calls. again is a hold whose question is put once
// more, by the same transcript or by another one.
func (m *machine) ask(again *modelHold) {
	tools := rapid.SliceOfN(rapid.SampledFrom(machineTools), 1, 4).Draw(m.T, "tools")
	place, transcript := fmt.Sprint("place ", m.asks), fmt.Sprint("transcript ", m.asks)
	if again != nil {
		place = again.place
		if rapid.Bool().Draw(m.T, "same transcript") {
			transcript = again.transcript
		}
	}
	sealed := new(governance.Sealed)
	var calls []modelItem
	for i, tool := range tools {
		id := fmt.Sprintf("call_%d_%d", m.asks, i)
		c := sealed.Start(0, governance.FormFunction)
		c.Member("id", fmt.Appendf(nil, "%q", id))
		c.Member("type", []byte(`"function"`))
		c.Inner("name", fmt.Appendf(nil, "%q", tool))
		c.Argument(fmt.Appendf(nil, `{\"n\": %d.0}`, m.asks))
		m.bytes[id] = fmt.Sprintf(`"id":%q,"type":"function","function":{"name":%q,"arguments":"{\"n\": %d.0}"}`, id, tool, m.asks)
		calls = append(calls, modelItem{tool: tool, id: id})
	}
	m.asks++
	desk := m.desk()
	p, err := desk.Plan(m.Context(), &governance.Turn{Sealed: sealed, AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: m.ws, Conversation: "c", Requester: alice}})
	require.NoError(m, err)
	out, err := desk.Commit(m.Context(), p, governance.Asked{Prompt: place, PromptPrint: place, Pair: place, Transcript: transcript, CallsDigest: transcript})
	free, claimed, hold := m.model.ask(calls, place, transcript)
	if claimed {
		require.ErrorIs(m, err, governance.ErrClaimed)
		require.Empty(m, out.Calls)
		return
	}
	require.NoError(m, err)
	m.handOut(out.Calls, free)
	require.Equal(m, hold != nil, p.Hold != nil)
	if hold != nil {
		hold.id = p.Hold.ID
	}
}

// handOut notes releases and compares them with what should go.
func (m *machine) handOut(list []governance.Release, want []string) {
	var got []string
	for _, r := range list {
		id := r.Call().ID
		got = append(got, id)
		m.handed[id]++
		m.sends(r)
	}
	require.Equal(m, want, got)
}

func (m *machine) sends(r governance.Release) {
	var b strings.Builder
	_, err := r.WriteTo(&b)
	require.NoError(m, err)
	require.Equal(m, m.bytes[r.Call().ID], b.String())
}

func (m *machine) answer(pickup bool) {
	h := m.hold()
	if h == nil {
		return
	}
	a := governance.Answer{Pickup: pickup, By: alice, Key: rapid.SampledFrom([]string{"", "k1", "k2"}).Draw(m.T, "key"),
		Retry: rapid.IntRange(0, 3).Draw(m.T, "retry") == 0}
	if !pickup {
		a.Yes = rapid.Bool().Draw(m.T, "yes")
		if rapid.Bool().Draw(m.T, "numbers") {
			a.Items = rapid.SliceOfNDistinct(rapid.IntRange(1, 4), 1, 3, rapid.ID).Draw(m.T, "items")
			slices.Sort(a.Items)
		}
	}
	fresh := ""
	a.Ask = func(*governance.Hold, []governance.Call) governance.Asked {
		m.asks++
		fresh = fmt.Sprint("place ", m.asks)
		return governance.Asked{PromptPrint: fresh, Pair: fresh, Transcript: fresh, CallsDigest: fresh}
	}
	out, err := m.desk().Answer(m.Context(), m.ws, h.id, a)
	require.NoError(m, err)
	want := m.model.answer(h, a)
	if fresh != "" {
		h.place, h.transcript = fresh, fresh
	}
	require.Equal(m, want.result, out.Result)
	require.Equal(m, want.repeat, out.Repeat)
	if out.Repeat {
		var got []string
		for _, r := range out.Calls {
			got = append(got, r.Call().ID)
			m.sends(r)
		}
		require.Equal(m, h.released(), got)
		return
	}
	m.handOut(out.Calls, want.calls)
}

func (m *machine) resolve() {
	h := m.hold()
	if h == nil {
		return
	}
	i := rapid.IntRange(0, len(h.items)-1).Draw(m.T, "item")
	for n := 0; n < len(h.items) && h.items[i].escalation == ""; n++ {
		i = (i + 1) % len(h.items)
	}
	decision := rapid.SampledFrom([]string{governance.DecideAuto, governance.DecideAuto, governance.DecideAutoComplete, governance.DecideHandoff,
		governance.DecideEscalate, governance.DecideClarify, governance.DecideAbstain}).Draw(m.T, "decision")
	list, err := m.desk().HoldsByConversation(m.Context(), m.ws, alice.ID, "c")
	require.NoError(m, err)
	m.model.sweep() // reading ends what is overdue
	at := slices.IndexFunc(list, func(have governance.Hold) bool { return have.ID == h.id })
	if at < 0 { // beyond the newest
		return
	}
	id := list[at].Items[i].Escalation
	require.Equal(m, h.items[i].escalation != "", id != "")
	if id == "" {
		return
	}
	_, err = m.desk().Resolve(m.Context(), m.ws, id, governance.Resolution{Decision: decision, Comment: "because", By: reviewer})
	if m.model.resolve(h, i, decision) {
		require.NoError(m, err)
	} else {
		require.Error(m, err)
	}
}

// check compares everything at the end: states, records, and what went out.
func (m *machine) check() {
	require.NoError(m, m.desks[0].Sweep(m.Context()))
	m.model.sweep()
	terminal := map[string][]governance.State{}
	released := map[string]int{}
	for after := int64(0); ; {
		entries, err := m.engine.Read(m.Context(), m.ws, governance.RecordLog, after, 500)
		require.NoError(m, err)
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			after = e.Seq
			r := decodeRecord(m, e.Value)
			switch {
			case r.Tool == "" && r.State != governance.StateHeld:
				terminal[r.Hold] = append(terminal[r.Hold], r.State)
			case r.Event == governance.EventRelease, r.Event == governance.EventDecision && r.State == governance.StateReleased:
				released[r.CallID]++
			}
		}
	}
	require.Equal(m, released, m.handed, "every release has its record, and nothing is recorded that did not go")
	for id, n := range m.handed {
		require.Equal(m, 1, n, id)
		require.True(m, m.model.may[id], "%s was let go by nobody", id)
	}
	for _, h := range m.model.holds {
		want := []governance.State{h.state}
		if h.state == governance.StateHeld {
			want = nil
		}
		require.Equal(m, want, terminal[h.id])
	}
}

// watchedEngine looks at every commit.
type watchedEngine struct {
	store.Engine
	workspace string // the one in use; the sweeper need not look at those of earlier runs
	broken    func(format string, args ...any)
}

func (e *watchedEngine) Workspaces(contextT) ([]string, error) { return []string{e.workspace}, nil }

func (e *watchedEngine) Commit(ctx contextT, workspace string, ops ...store.Op) error {
	seen := map[[2]string]bool{}
	releases := map[string]bool{}
	var ended []governance.Hold
	for _, op := range ops {
		key := [2]string{}
		switch op := op.(type) {
		case store.Put:
			key = [2]string{op.Doc.Kind, op.Doc.ID}
			if op.Doc.Kind == "hold" {
				if h := decodeHold(op.Doc.Value); h.State == governance.StateReleased && !h.Delivered && !h.Failed {
					ended = append(ended, h)
				}
			}
		case store.Delete:
			key = [2]string{op.Kind, op.ID}
		case store.Append:
			if r := decodeLine(op.Value); r.Event == governance.EventRelease && r.CallID != "" {
				releases[r.CallID] = true
			}
			continue
		}
		if seen[key] {
			e.broken("%v stands twice in one commit", key)
		}
		seen[key] = true
	}
	for _, h := range ended {
		for _, it := range h.Items {
			if it.May() && !releases[it.CallID] {
				e.broken("the release of %s is not recorded in its commit", it.CallID)
			}
		}
	}
	return e.Engine.Commit(ctx, workspace, ops...)
}

func runMachine(t *testing.T, longest int, open func(offset func() time.Duration) store.Engine) {
	var offset atomic.Int64
	engine := &watchedEngine{Engine: open(func() time.Duration { return time.Duration(offset.Load()) }), broken: t.Errorf}
	var names []string
	for _, name := range slices.Sorted(mapKeys(steps)) {
		names = append(names, slices.Repeat([]string{name}, max(1, weights[name]))...)
	}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &machine{T: rt, engine: engine, ws: fmt.Sprint("w", runs), decider: &verdicts{by: map[string]governance.CallDecision{}},
			offset: &offset, model: newDeskModel(), bytes: map[string]string{}, handed: map[string]int{}}
		engine.workspace = m.ws
		for i, v := range []governance.Verdict{governance.Allow, governance.Confirm, governance.Confirm, governance.Escalate, governance.Block} {
			m.setPolicy(machineTools[i], v)
		}
		m.desks = [2]*governance.Desk{m.newDesk(), m.newDesk()}
		m.ask(nil)
		for range rapid.IntRange(1, longest).Draw(rt, "steps") {
			steps[rapid.SampledFrom(names).Draw(rt, "step")](m)
		}
		m.check()
	})
}

func TestDeskMachineOnSQLite(t *testing.T) {
	runMachine(t, 160, func(offset func() time.Duration) store.Engine {
		engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), sqlite.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		return engine
	})
}

func TestDeskMachineOnRedis(t *testing.T) {
	runMachine(t, 40, func(offset func() time.Duration) store.Engine {
		engine, err := redis.Open(t.Context(), "redis://"+storetest.RedisServer(t), redis.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		return engine
	})
}

// raceDoubles lets two desks take the same yes at the same time, many times.
func raceDoubles(t *testing.T, n int, engine store.Engine) {
	v := &verdicts{by: map[string]governance.CallDecision{"refund": {Verdict: governance.Confirm}}}
	var desks [2]*governance.Desk
	for i := range desks {
		desks[i] = governance.NewDesk(engine, v, governance.DeskOptions{})
	}
	ids := make([]string, n)
	firsts := make([]atomic.Int32, n)
	var failed sync.Map
	const batch = 64 // goroutines at once
	for from := 0; from < n; from += batch / 2 {
		to := min(n, from+batch/2)
		inParallel(from, to, 1, func(i, _ int) error {
			p, err := desks[i%2].Plan(t.Context(), &governance.Turn{Sealed: seal("refund"), AsCame: func(int) bool { return true },
				Facts: governance.Facts{Workspace: "w", Conversation: fmt.Sprint(i), Requester: alice}})
			if err != nil {
				return err
			}
			ids[i] = p.Hold.ID
			_, err = desks[i%2].Commit(t.Context(), p, asked(fmt.Sprint(i)))
			return err
		}, &failed)
		inParallel(from, to, len(desks), func(i, j int) error {
			out, err := desks[j].Answer(t.Context(), "w", ids[i], governance.Answer{Yes: true, By: alice})
			if err != nil {
				return err
			}
			switch {
			case out.Result == governance.ResultReleased && !out.Repeat:
				firsts[i].Add(1)
				return desks[j].Delivered(t.Context(), "w", governance.Hold{ID: ids[i]}, true)
			case out.Result != governance.ResultAlready:
				return fmt.Errorf("answer %d heard %q, repeat %t", i, out.Result, out.Repeat)
			}
			return nil
		}, &failed)
	}
	failed.Range(func(_, err any) bool { t.Error(err); return true })
	for i := range firsts {
		require.EqualValues(t, 1, firsts[i].Load(), "hold %d", i)
	}
	lines := map[string]int{}
	for after := int64(0); ; {
		entries, err := engine.Read(t.Context(), "w", governance.RecordLog, after, 1000)
		require.NoError(t, err)
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			after = e.Seq
			if r := decodeRecord(t, e.Value); r.Event == governance.EventRelease && r.CallID != "" {
				lines[r.Hold]++
			}
		}
	}
	require.Len(t, lines, n)
	for id, count := range lines {
		require.Equal(t, 1, count, id)
	}
}

// inParallel runs fn(i, j) for all i in [from, to) and j below times at once.
func inParallel(from, to, times int, fn func(i, j int) error, failed *sync.Map) {
	var wg sync.WaitGroup
	for i := from; i < to; i++ {
		for j := range times {
			wg.Go(func() {
				if err := fn(i, j); err != nil {
					failed.Store([2]int{i, j}, fmt.Errorf("%d, %d: %w", i, j, err))
				}
			})
		}
	}
	wg.Wait()
}

func TestAThousandDoubleAnswersReleaseOnceOnSQLite(t *testing.T) {
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	raceDoubles(t, 1000, engine)
}

func TestAThousandDoubleAnswersReleaseOnceOnRedis(t *testing.T) {
	engine, err := redis.Open(t.Context(), "redis://"+storetest.RedisServer(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	raceDoubles(t, 1000, engine)
}
