package governance_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
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

// The limits of the machine: so many calls of a customer and so much of all in an
// hour, which no sum of ticks meets.
const (
	machineWindow = time.Hour
	machineCalls  = 4
	machineSum    = 300
	machineAsks   = 50
)

func machineRule() governance.Rule {
	return governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{
		{If: fmt.Sprintf(`count("p*", "1h", args.customer) > %d`, machineCalls), Effect: governance.Block},
		{If: fmt.Sprintf(`total("pay", "amount", "1h") > %d`, machineSum), Effect: governance.Escalate, Expires: escalateLife},
		{If: fmt.Sprintf(`args.amount > %d`, machineAsks), Effect: governance.Confirm, Expires: confirmLife}}}
}

// ledgerMachine is the machine of the desk with rules that count, beside a model
// that counts what was let go and what waits.
type ledgerMachine struct {
	*machine
	turns map[string][]modelItem // what was proposed after a transcript
}

// counted is what the model's ledger says now.
func (m *deskModel) counted(customer string, except func(*modelHold) bool) (calls, sum int64) {
	add := func(it modelItem) {
		sum += it.amount
		if it.customer == customer {
			calls++
		}
	}
	for _, g := range m.gone {
		if m.now-g.at < machineWindow {
			add(g.item)
		}
	}
	for _, h := range m.holds {
		if h.state != governance.StateHeld || m.now >= h.expires || except(h) {
			continue
		}
		for _, it := range h.items {
			if it.answer == "" || it.goes() {
				add(it)
			}
		}
	}
	return calls, sum
}

func (m *deskModel) count(turn []modelItem, except func(*modelHold) bool) []governance.Verdict {
	var list []governance.Verdict
	for i, it := range turn {
		calls, sum := m.counted(it.customer, except)
		for j, before := range turn[:i] {
			if list[j] == governance.Block {
				continue
			}
			sum += before.amount
			if before.customer == it.customer {
				calls++
			}
		}
		switch {
		case calls+1 > machineCalls:
			list = append(list, governance.Block)
		case sum+it.amount > machineSum:
			list = append(list, governance.Escalate)
		case it.amount > machineAsks:
			list = append(list, governance.Confirm)
		default:
			list = append(list, governance.Allow)
		}
	}
	return list
}

func (m *ledgerMachine) turn(calls []modelItem, transcript string) *governance.Turn {
	var arguments []string
	for _, c := range calls {
		arguments = append(arguments, fmt.Sprintf(`{"customer":%q,"amount":%d}`, c.customer, c.amount))
	}
	t := payTurn("c", alice)
	t.Facts.Workspace = m.ws
	t.Transcript = func() string { return transcript }
	for i, c := range calls {
		call := t.Sealed.Start(0, governance.FormFunction)
		call.Member("id", fmt.Appendf(nil, "%q", c.id))
		call.Member("type", []byte(`"function"`))
		call.Inner("name", []byte(`"pay"`))
		quoted := fmt.Appendf(nil, "%q", arguments[i])
		call.Argument(quoted[1 : len(quoted)-1])
		m.bytes[c.id] = fmt.Sprintf(`"id":%q,"type":"function","function":{"name":"pay","arguments":%s}`, c.id, quoted)
	}
	return t
}

// propose lets a model propose new calls, or those of an earlier turn again.
func (m *ledgerMachine) propose(again *modelHold) {
	m.asks++
	place, transcript := fmt.Sprint("place ", m.asks), fmt.Sprint("transcript ", m.asks)
	var calls []modelItem
	if again != nil {
		place, transcript, calls = again.place, again.print, slices.Clone(m.turns[again.print])
		if again.transcript != again.print {
			return // it was asked anew meanwhile: there is no such transcript any more
		}
	} else {
		for range rapid.IntRange(1, 3).Draw(m.T, "calls") {
			calls = append(calls, modelItem{tool: "pay", customer: rapid.SampledFrom([]string{"a", "b"}).Draw(m.T, "customer"),
				amount: rapid.SampledFrom([]int64{0, 7, 60, 70, 90}).Draw(m.T, "amount")})
		}
		m.turns[transcript] = slices.Clone(calls)
	}
	for i := range calls {
		calls[i].id = fmt.Sprintf("call_%d_%d", m.asks, i)
	}
	desk := m.desk()
	p, err := desk.Plan(m.Context(), m.turn(calls, transcript))
	require.NoError(m, err)
	out, err := desk.CommitWith(m.Context(), p, func() governance.Asked {
		return governance.Asked{Prompt: place, PromptPrint: place, Pair: place, Transcript: transcript, CallsDigest: transcript}
	})
	require.NoError(m, err)
	free, _, hold := m.model.ask(calls, place, transcript)
	m.handOut(out.Calls, free)
	require.Equal(m, hold != nil, p.Hold != nil)
	if hold != nil {
		hold.id = p.Hold.ID
	}
}

// read compares what a rule reads with what the model counts.
func (m *ledgerMachine) read() {
	for _, customer := range []string{"a", "b"} {
		t := m.turn([]modelItem{{id: "probe", customer: customer}}, "")
		t.Transcript = nil
		_, err := m.desk().Plan(m.Context(), t)
		require.NoError(m, err)
		calls, sum := m.model.counted(customer, nobodyElse)
		others, _ := m.model.counted(map[string]string{"a": "b", "b": "a"}[customer], nobodyElse)
		require.ElementsMatch(m, []governance.Tally{{Count: calls}, {Count: calls + others, Micro: sum * 1e6}}, slices.Collect(maps.Values(t.Facts.Ledger)))
	}
}

func nobodyElse(*modelHold) bool { return false }

var ledgerSteps = map[string]func(m *ledgerMachine){
	"propose": func(m *ledgerMachine) { m.propose(nil) },
	"propose again": func(m *ledgerMachine) {
		if h := m.hold(); h != nil {
			m.propose(h)
		}
	},
	"read": func(m *ledgerMachine) { m.read() },
}

func runLedgerMachine(t *testing.T, longest int, open func(offset func() time.Duration) store.Engine) {
	bundle := limits(t, machineRule())
	var offset atomic.Int64
	engine := &watchedEngine{Engine: open(func() time.Duration { return time.Duration(offset.Load()) }), broken: t.Errorf}
	weigh := map[string]int{"propose": 5, "propose again": 2, "answer": 3, "resolve": 6, "clock": 2, "read": 3}
	var names []string
	all := map[string]func(m *ledgerMachine){}
	for name, step := range steps {
		all[name] = func(m *ledgerMachine) { step(m.machine) }
	}
	for name, step := range ledgerSteps {
		all[name] = step
	}
	for _, name := range slices.Sorted(mapKeys(all)) {
		if name != "delivered" && name != "reply" && name != "ask" && name != "ask again" && name != "policy" {
			names = append(names, slices.Repeat([]string{name}, max(1, weigh[name]))...)
		}
	}
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		m := &ledgerMachine{turns: map[string][]modelItem{}, machine: &machine{T: rt, engine: engine, ws: fmt.Sprint("w", runs), rules: bundle,
			offset: &offset, model: newDeskModel(), bytes: map[string]string{}, handed: map[string]int{}}}
		m.model.judge = m.model.count
		engine.workspace = m.ws
		m.desks = [2]*governance.Desk{m.newDesk(), m.newDesk()}
		for range rapid.IntRange(longest/4, longest).Draw(rt, "steps") {
			all[rapid.SampledFrom(names).Draw(rt, "step")](m)
		}
		m.read()
		m.check()
		m.read()
		m.bounds()
	})
}

// bounds: in no hour did more calls of a customer go out than the limit.
func (m *ledgerMachine) bounds() {
	for _, last := range m.model.gone {
		calls := 0
		for _, g := range m.model.gone {
			if g.item.customer == last.item.customer && g.at <= last.at && last.at-g.at < machineWindow {
				calls++
			}
		}
		require.LessOrEqual(m, calls, machineCalls)
	}
}

func TestLedgerMachineOnSQLite(t *testing.T) {
	runLedgerMachine(t, 160, func(offset func() time.Duration) store.Engine {
		engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), sqlite.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		return engine
	})
}

func TestLedgerMachineOnRedis(t *testing.T) {
	runLedgerMachine(t, 40, func(offset func() time.Duration) store.Engine {
		engine, err := redis.Open(t.Context(), "redis://"+storetest.RedisServer(t), redis.WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		return engine
	})
}
