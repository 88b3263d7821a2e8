package governance_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/store"
	"cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

// limits is a bundle of one policy over the tool pay.
func limits(t require.TestingT, rules ...governance.Rule) *governance.Bundle {
	e, err := cel.New()
	require.NoError(t, err)
	b, err := governance.NewBundle([]governance.Policy{{Name: "limits", Rules: rules}}, governance.Options{Evaluator: e})
	require.NoError(t, err)
	return b
}

// offering seals calls of a tool with the arguments of each.
func offering(tool string, arguments ...string) *governance.Sealed {
	s := new(governance.Sealed)
	for i, a := range arguments {
		c := s.Start(0, governance.FormFunction)
		c.Member("id", fmt.Appendf(nil, `"call_%d"`, i))
		c.Inner("name", fmt.Appendf(nil, "%q", tool))
		quoted := fmt.Appendf(nil, "%q", a)
		c.Argument(quoted[1 : len(quoted)-1])
		s.Piece([]byte(a), 0)
	}
	return s
}

func payTurn(chat string, by governance.Requester, arguments ...string) *governance.Turn {
	return &governance.Turn{TraceID: "trace", Sealed: offering("pay", arguments...), AsCame: func(int) bool { return true },
		Transcript: func() string { return "t " + chat },
		Facts: governance.Facts{Workspace: "w", Conversation: chat, Requester: by,
			Tools: map[string]governance.Tool{"pay": {Type: "function", Name: "pay"}}}}
}

const atOnce = 64 // goroutines of a race

// raceTen lets n turns race for ten calls: exactly ten go.
func raceTen(t *testing.T, n int, engines ...store.Engine) {
	bundle := limits(t, governance.Rule{ID: "ten", Tools: []string{"pay"}, When: []governance.Line{{If: `count("pay", "1d", requester.id) > 10`, Effect: governance.Block}}})
	ten := governance.Requester{ID: "key_ten", KeyID: "key_ten"}
	var released atomic.Int64
	var failed sync.Map
	for from := 0; from < n; from += atOnce {
		inParallel(from, min(n, from+atOnce), 1, func(i, _ int) error {
			d := governance.NewDesk(engines[i%len(engines)], bundle, governance.DeskOptions{}) // nothing is remembered
			plan, err := d.Plan(t.Context(), payTurn(fmt.Sprint("ten", i), ten, `{"customer":"ten","amount":0}`))
			if err != nil {
				return err
			}
			out, err := d.CommitWith(t.Context(), plan, func() governance.Asked { return governance.Asked{} })
			released.Add(int64(len(out.Calls)))
			return err
		}, &failed)
	}
	failed.Range(func(_, err any) bool { t.Error(err); return true })
	require.EqualValues(t, 10, released.Load())
}

// raceLimit lets n turns race for ten calls of three customers each, and for a sum.
func raceLimit(t *testing.T, n int, engines ...store.Engine) {
	bundle := limits(t, governance.Rule{ID: "few", Tools: []string{"pay"}, When: []governance.Line{
		{If: `count("pay", "24h", args.customer) > 10`, Effect: governance.Block},
		{If: `total("pay", "amount", "24h") > 25`, Effect: governance.Block}}})
	var desks []*governance.Desk
	for _, e := range engines {
		desks = append(desks, governance.NewDesk(e, bundle, governance.DeskOptions{}))
	}
	var released [3]atomic.Int64
	var failed sync.Map
	for from := 0; from < n; from += atOnce {
		inParallel(from, min(n, from+atOnce), 1, func(i, _ int) error {
			customer := i % 3
			d := desks[i%len(desks)]
			plan, err := d.Plan(t.Context(), payTurn(fmt.Sprint(i), alice, fmt.Sprintf(`{"customer":%d,"amount":1}`, customer)))
			if err != nil {
				return err
			}
			out, err := d.CommitWith(t.Context(), plan, func() governance.Asked { return governance.Asked{} })
			if err != nil {
				return err
			}
			released[customer].Add(int64(len(out.Calls)))
			return nil
		}, &failed)
	}
	failed.Range(func(_, err any) bool { t.Error(err); return true })
	sum := int64(0)
	for i := range released {
		require.LessOrEqual(t, released[i].Load(), int64(10))
		sum += released[i].Load()
	}
	require.EqualValues(t, 25, sum, "a sum of 25 over three customers with ten calls each")
}

func TestAThousandRacingCallsStopAtTheLimitOnSQLite(t *testing.T) {
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	raceTen(t, 1000, engine)
	raceLimit(t, 1000, engine, engine)
	raceHolds(t, 200, engine, engine)
}

// Two replicas, each with connections of its own.
func TestAThousandRacingCallsStopAtTheLimitOnRedis(t *testing.T) {
	address := storetest.RedisServer(t)
	var engines []store.Engine
	for range 2 {
		engine, err := redis.Open(t.Context(), "redis://"+address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		engines = append(engines, engine)
	}
	raceTen(t, 1000, engines...)
	raceLimit(t, 1000, engines...)
	raceHolds(t, 200, engines...)
}

// raceHolds lets calls be held, answered yes by two at the same time, and end at
// the limit: what waits keeps its place, what is refused gives it back.
func raceHolds(t *testing.T, n int, engines ...store.Engine) {
	bundle := limits(t, governance.Rule{ID: "few", Tools: []string{"pay"}, When: []governance.Line{
		{If: `count("pay", "24h", requester.id) > 10`, Effect: governance.Block},
		{If: "true", Effect: governance.Confirm}}})
	var desks []*governance.Desk
	for _, e := range engines {
		desks = append(desks, governance.NewDesk(e, bundle, governance.DeskOptions{}))
	}
	bob := governance.Requester{ID: "key_b", KeyID: "key_b"}
	var held sync.Map
	var failed sync.Map
	ask := func(i, _ int) error {
		d := desks[i%len(desks)]
		plan, err := d.Plan(t.Context(), payTurn(fmt.Sprint("b", i), bob, `{"amount":1}`))
		if err != nil {
			return err
		}
		_, err = d.CommitWith(t.Context(), plan, func() governance.Asked { return asked(fmt.Sprint("b", i)) })
		if err == nil && plan.Hold != nil {
			held.Store(plan.Hold.ID, true)
		}
		return err
	}
	size := func() (n int) {
		held.Range(func(any, any) bool { n++; return true })
		return n
	}
	for from := 0; from < n; from += atOnce {
		inParallel(from, min(n, from+atOnce), 1, ask, &failed)
	}
	require.Equal(t, 10, size(), "ten wait, nobody else may even be asked about")

	// Half of them are refused, which makes room for as many, and for no more.
	var ids []string
	held.Range(func(id, _ any) bool { ids = append(ids, id.(string)); return true })
	inParallel(0, 5, 1, func(i, _ int) error {
		_, err := desks[i%len(desks)].Answer(t.Context(), "w", ids[i], governance.Answer{By: bob})
		held.Delete(ids[i])
		return err
	}, &failed)
	inParallel(n, n+40, 1, ask, &failed)
	require.Equal(t, 10, size())

	var released atomic.Int64
	ids = nil
	held.Range(func(id, _ any) bool { ids = append(ids, id.(string)); return true })
	inParallel(0, len(ids), 2, func(i, j int) error {
		d := desks[j%len(desks)]
		out, err := d.Answer(t.Context(), "w", ids[i], governance.Answer{Yes: true, By: bob})
		switch {
		case err != nil:
			return err
		case out.Result == governance.ResultReleased && !out.Repeat:
			released.Add(1)
			return d.Delivered(t.Context(), "w", governance.Hold{ID: ids[i]}, true)
		case out.Result == governance.ResultAlready || out.Repeat:
			return nil
		}
		return errors.New(string(out.Result))
	}, &failed)
	require.EqualValues(t, 10, released.Load())
	inParallel(2*n, 2*n+10, 1, ask, &failed)
	require.Equal(t, 10, size(), "what was released counts as what waited")
	failed.Range(func(_, err any) bool { t.Error(err); return true })
}

// All that a limit reads and writes lies in the slot of its workspace.
func TestRacingCallsStopAtTheLimitOnARedisCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	var addresses []string
	for _, n := range storetest.RedisCluster(t) {
		addresses = append(addresses, n.Addr)
	}
	var engines []store.Engine
	for range 2 {
		engine, err := redis.Open(t.Context(), "redis+cluster://"+strings.Join(addresses, ","))
		require.NoError(t, err)
		t.Cleanup(func() { _ = engine.Close() })
		engines = append(engines, engine)
	}
	raceLimit(t, 200, engines...)
	raceHolds(t, 64, engines...)
}
