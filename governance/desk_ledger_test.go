package governance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
)

// ledgerBench is a bench whose rules count the calls of pay in an hour, escalate
// those over 100 and ask about those over 10.
func ledgerBench(t *testing.T) *bench {
	b := newBench(t, governance.DeskOptions{})
	b.desk = governance.NewDesk(b.engine, limits(t, governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{
		{If: `count("pay", "1h") > 3`, Effect: governance.Block},
		{If: `args.amount > 100`, Effect: governance.Escalate, Expires: 4 * time.Hour},
		{If: `args.amount > 10`, Effect: governance.Confirm}}}), governance.DeskOptions{})
	return b
}

// pay proposes calls, and answers the hold's id ("" for none).
func (b *bench) pay(chat string, amounts ...string) (hold string, released int) {
	var arguments []string
	for _, a := range amounts {
		arguments = append(arguments, `{"amount":`+a+`}`)
	}
	p, err := b.desk.Plan(b.ctx, payTurn(chat, alice, arguments...))
	require.NoError(b.t, err)
	out, err := b.desk.CommitWith(b.ctx, p, func() governance.Asked { return asked(chat) })
	require.NoError(b.t, err)
	if p.Hold != nil {
		hold = p.Hold.ID
	}
	return hold, len(out.Calls)
}

// counts is what the ledger says now.
func (b *bench) counts() int64 {
	t := payTurn("probe", alice, `{"amount":0}`)
	t.Transcript = nil
	_, err := b.desk.Plan(b.ctx, t)
	require.NoError(b.t, err)
	for _, tally := range t.Facts.Ledger {
		return tally.Count
	}
	require.Fail(b.t, "nothing was read")
	return -1
}

func TestWhatAHoldKeepsBackIsGivenBackWhenItMayNotGo(t *testing.T) {
	resolve := func(decision string) func(*bench, string) {
		return func(b *bench, hold string) {
			list, _, err := b.desk.Escalations(b.ctx, "w", governance.EscalationQuery{Limit: 10})
			require.NoError(b.t, err)
			_, err = b.desk.Resolve(b.ctx, "w", list[0].ID, governance.Resolution{Decision: decision, Comment: "x", By: reviewer})
			require.NoError(b.t, err)
		}
	}
	answer := func(a governance.Answer) func(*bench, string) {
		return func(b *bench, hold string) { a.By = alice; b.answer(hold, a) }
	}
	for name, c := range map[string]struct {
		amounts []string
		before  int64
		do      func(*bench, string)
		after   int64
	}{
		"a yes":                            {[]string{"50"}, 1, answer(governance.Answer{Yes: true}), 1},
		"a no":                             {[]string{"50"}, 1, answer(governance.Answer{}), 0},
		"a no to one of two":               {[]string{"50", "51"}, 2, answer(governance.Answer{Items: []int{2}}), 1},
		"a yes to one of two":              {[]string{"50", "51"}, 2, answer(governance.Answer{Yes: true, Items: []int{1}}), 1},
		"an allowed call that waits along": {[]string{"5", "50"}, 2, answer(governance.Answer{}), 1}, // it goes with the next request
		"superseded": {[]string{"50"}, 1, func(b *bench, hold string) {
			require.NoError(b.t, b.desk.Supersede(b.ctx, "w", hold))
		}, 0},
		"expired, before anybody looked": {[]string{"50"}, 1, func(b *bench, _ string) { b.clock.add(15 * time.Minute) }, 0},
		"expired and swept": {[]string{"50"}, 1, func(b *bench, _ string) {
			b.clock.add(15 * time.Minute)
			require.NoError(b.t, b.desk.Sweep(b.ctx))
		}, 0},
		"abstain":                              {[]string{"500"}, 1, resolve(governance.DecideAbstain), 0},
		"handoff":                              {[]string{"500"}, 1, resolve(governance.DecideHandoff), 0},
		"auto":                                 {[]string{"500"}, 1, resolve(governance.DecideAuto), 1},
		"escalate":                             {[]string{"500"}, 1, resolve(governance.DecideEscalate), 1},
		"a no to what a reviewer is to decide": {[]string{"500"}, 1, answer(governance.Answer{}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := ledgerBench(t)
			hold, _ := b.pay("chat", c.amounts...)
			require.NotEmpty(t, hold)
			require.Equal(t, c.before, b.counts())
			c.do(b, hold)
			require.Equal(t, c.after, b.counts())
		})
	}
}

func TestAReservationLastsAsLongAsItsHoldIsPutOff(t *testing.T) {
	b := ledgerBench(t)
	b.pay("chat", "500")
	b.clock.add(3 * time.Hour)
	list, _, err := b.desk.Escalations(b.ctx, "w", governance.EscalationQuery{Limit: 10})
	require.NoError(t, err)
	_, err = b.desk.Resolve(b.ctx, "w", list[0].ID, governance.Resolution{Decision: governance.DecideAuto, By: reviewer})
	require.NoError(t, err)
	b.clock.add(2 * time.Hour) // the old end is over, and the call may still be picked up
	require.EqualValues(t, 1, b.counts())
	b.clock.add(2 * time.Hour)
	require.EqualValues(t, 0, b.counts())
}

func TestAReleasedCallCountsFromItsReleaseOn(t *testing.T) {
	b := ledgerBench(t)
	hold, _ := b.pay("chat", "50")
	b.clock.add(10 * time.Minute)
	require.Equal(t, governance.ResultReleased, b.answer(hold, governance.Answer{Yes: true, By: alice}).Result)
	b.clock.add(time.Hour - time.Microsecond)
	require.EqualValues(t, 1, b.counts())
	b.clock.add(time.Microsecond)
	require.EqualValues(t, 0, b.counts())
}

func TestACallIsJudgedOnceMoreWithTodaysLedgerWithoutItself(t *testing.T) {
	b := ledgerBench(t)
	first, _ := b.pay("one", "50")
	b.pay("two", "50")
	b.pay("three", "50")
	hold, released := b.pay("four", "50")
	require.Empty(t, hold)
	require.Zero(t, released, "the fourth is blocked while three wait")
	// The third counts itself once: three are not more than three.
	require.Equal(t, governance.ResultReleased, b.answer(first, governance.Answer{Yes: true, By: alice}).Result)
}

func TestTheSameQuestionAgainIsNotCountedBesideItself(t *testing.T) {
	b := ledgerBench(t)
	b.pay("one", "50")
	b.pay("two", "50")
	first, _ := b.pay("three", "50")
	again, _ := b.pay("three", "50") // the same transcript: the client sends it again
	require.NotEmpty(t, again)
	require.NotEqual(t, first, again)
	require.EqualValues(t, 3, b.counts())
	require.Equal(t, governance.ResultReleased, b.answer(again, governance.Answer{Yes: true, By: alice}).Result)
	require.EqualValues(t, 3, b.counts())
}

func TestParallelCallsOfATurnCountOneAfterAnother(t *testing.T) {
	b := ledgerBench(t)
	_, released := b.pay("chat", "1", "2", "3", "4", "5")
	require.Equal(t, 3, released)
	require.EqualValues(t, 3, b.counts())
}

// Choices are alternatives, and a client may take two all the same.
func TestCallsOfAnotherChoiceCountToo(t *testing.T) {
	b := ledgerBench(t)
	turn := payTurn("chat", alice)
	for choice := range 5 {
		c := turn.Sealed.Start(choice, governance.FormFunction)
		c.Member("id", []byte(`"c"`))
		c.Inner("name", []byte(`"pay"`))
		c.Argument([]byte(`{\"amount\":1}`))
		turn.Sealed.Piece([]byte("frame"), choice)
	}
	p, err := b.desk.Plan(b.ctx, turn)
	require.NoError(t, err)
	out, err := b.desk.CommitWith(b.ctx, p, func() governance.Asked { return governance.Asked{} })
	require.NoError(t, err)
	require.Len(t, out.Calls, 3)
	require.EqualValues(t, 3, b.counts())
}

func TestABlockedTurnMovesNothing(t *testing.T) {
	b := ledgerBench(t)
	b.pay("chat", "1", "2", "3")
	before, err := b.engine.Read(b.ctx, "w", governance.RecordLog, 0, 100)
	require.NoError(t, err)
	_, released := b.pay("other", "1")
	require.Zero(t, released)
	after, err := b.engine.Read(b.ctx, "w", governance.RecordLog, 0, 100)
	require.NoError(t, err)
	require.Len(t, after, len(before)+1, "it is recorded")
	require.EqualValues(t, 3, b.counts())
}

// A plan that was made by a reading which is no longer true is not committed.
func TestAPlanWhoseReadingMovedIsMadeAnew(t *testing.T) {
	b := ledgerBench(t)
	p, err := b.desk.Plan(b.ctx, payTurn("one", alice, `{"amount":1}`))
	require.NoError(t, err)
	b.pay("two", "1", "1", "1")
	_, err = b.desk.Commit(b.ctx, p, governance.Asked{})
	require.ErrorIs(t, err, governance.ErrReadings)
	out, err := b.desk.CommitWith(b.ctx, p, func() governance.Asked { return governance.Asked{} })
	require.NoError(t, err)
	require.Empty(t, out.Calls)
	require.Equal(t, governance.Block, p.Decisions[0].Verdict)
}

// moving is an engine whose accounts move before every commit.
type moving struct {
	store.Engine
	move func()
}

func (m *moving) Commit(ctx contextT, workspace string, ops ...store.Op) error {
	m.move()
	return m.Engine.Commit(ctx, workspace, ops...)
}

func TestALedgerThatNeverStandsStillIsUnavailable(t *testing.T) {
	b := ledgerBench(t)
	rule := governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{{If: `count("pay", "1h") > 1000000`, Effect: governance.Block}}}
	other := governance.NewDesk(b.engine, limits(t, rule), governance.DeskOptions{})
	desk := governance.NewDesk(&moving{Engine: b.engine, move: func() {
		p, err := other.Plan(b.ctx, payTurn("other", alice, `{"amount":1}`))
		require.NoError(t, err)
		_, err = other.Commit(b.ctx, p, governance.Asked{})
		require.NoError(t, err)
	}}, limits(t, rule), governance.DeskOptions{})
	p, err := desk.Plan(b.ctx, payTurn("one", alice, `{"amount":1}`))
	require.NoError(t, err)
	out, err := desk.CommitWith(b.ctx, p, func() governance.Asked { return governance.Asked{} })
	require.ErrorContains(t, err, "nothing was released")
	require.Empty(t, out.Calls)
}

func TestReplayCannotTellWhatTheLedgerWouldHaveSaid(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.desk = governance.NewDesk(b.engine, limits(t, governance.Rule{ID: "a", Tools: []string{"pay"}, When: []governance.Line{{If: `args.amount > 10`, Effect: governance.Block}}}), governance.DeskOptions{})
	b.pay("chat", "1")
	list, err := b.desk.Evidence(b.ctx, "w", "trace")
	require.NoError(t, err)
	require.Len(t, list, 1)
	for expr, says := range map[string]string{
		`args.amount > 5`:                "",
		`count("pay", "1h") > 3`:         "ledger",
		`result("pay").hasValue()`:       "results",
		`count("pay", "1h", args.x) > 3`: "", // errs whatever the ledger said
	} {
		judge := limits(t, governance.Rule{ID: "a", Tools: []string{"pay"}, When: []governance.Line{{If: expr, Effect: governance.Block}}})
		got := list[0].Redecide(judge)
		if says == "" {
			require.Empty(t, got[0].CannotTell, expr)
		} else {
			require.NotEmpty(t, got[0].CannotTell, expr)
		}
	}
}

// The evidence of a decision by the ledger gives the same verdict again, whatever
// the ledger says by then.
func TestReplayReadsTheLedgerOfThen(t *testing.T) {
	b := ledgerBench(t)
	b.pay("chat", "1", "2", "3", "4")
	b.clock.add(48 * time.Hour)
	list, err := b.desk.Evidence(b.ctx, "w", "trace")
	require.NoError(t, err)
	judge := limits(t, governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{{If: `count("pay", "1h") > 3`, Effect: governance.Block}}})
	for _, r := range list[0].Redecide(judge) {
		require.Empty(t, r.CannotTell)
		require.False(t, r.Changed())
	}
}

// A limit that is new, or counts in another way, begins with what went out before
// it, and counts each call once.
func TestANewLimitBeginsWithWhatWentOutBeforeIt(t *testing.T) {
	for _, when := range []string{
		`count("pay", "1h", args.customer) > 4`,
		`count("p*", "1h", args.customer, requester.id, conversation.id) > 3`,
		`total("pay", "amount", "1h", args.customer) > 8`,
	} {
		t.Run(when, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			under := func(when string) {
				b.desk = governance.NewDesk(b.engine, limits(t, governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{{If: when, Effect: governance.Block}}}), governance.DeskOptions{})
			}
			pay := func(chat, arguments string) int {
				p, err := b.desk.Plan(b.ctx, payTurn(chat, alice, arguments))
				require.NoError(t, err)
				out, err := b.desk.CommitWith(b.ctx, p, func() governance.Asked { return governance.Asked{} })
				require.NoError(t, err)
				return len(out.Calls)
			}
			under(`args.amount > 100`)
			require.Equal(t, 1, pay("old", `{"customer":"a","amount":3}`))
			b.clock.add(50 * time.Minute)
			for range 2 {
				require.Equal(t, 1, pay("c", `{"customer":"A","amount":2}`))
			}
			require.Equal(t, 1, pay("c", `{"amount":2}`), "of no customer")
			b.clock.add(time.Second)

			under(when)
			require.Equal(t, 1, pay("c", `{"customer":"a","amount":1}`))
			require.Equal(t, 0, pay("c", `{"customer":"a","amount":1}`))
			under(when) // another replica, or the same after a restart
			require.Equal(t, 0, pay("c", `{"customer":"a","amount":1}`))
			require.Equal(t, 1, pay("c", `{"customer":"b","amount":1}`))
			b.clock.add(time.Hour)
			require.Equal(t, 1, pay("c", `{"customer":"a","amount":1}`))
		})
	}
}

// forgetful is an engine whose commits happen and whose answers are lost.
type forgetful struct {
	store.Engine
	lost bool
}

func (f *forgetful) Commit(ctx contextT, workspace string, ops ...store.Op) error {
	if err := f.Engine.Commit(ctx, workspace, ops...); err != nil || !f.lost {
		return err
	}
	return store.ErrUnavailable
}

// A replica that dies between the commit and its answer leaves a hold and what it
// keeps back, both or none, and the hold's end gives it back.
func TestACrashLeavesNoReservationBehind(t *testing.T) {
	b := ledgerBench(t)
	b.counts() // the meter is known
	engine := &forgetful{Engine: b.engine}
	dying := governance.NewDesk(engine, limits(t, governance.Rule{ID: "limits", Tools: []string{"pay"}, When: []governance.Line{
		{If: `count("pay", "1h") > 3`, Effect: governance.Block}, {If: `args.amount > 10`, Effect: governance.Confirm}}}), governance.DeskOptions{})
	p, err := dying.Plan(b.ctx, payTurn("chat", alice, `{"amount":50}`))
	require.NoError(t, err)
	engine.lost = true
	_, err = dying.CommitWith(b.ctx, p, func() governance.Asked { return asked("chat") })
	require.ErrorContains(t, err, "nothing was released")
	require.EqualValues(t, 1, b.counts())
	b.clock.add(15 * time.Minute)
	require.EqualValues(t, 0, b.counts())
	require.NoError(t, b.desk.Sweep(b.ctx))
	require.EqualValues(t, 0, b.counts())
	_, released := b.pay("next", "1", "1", "1")
	require.Equal(t, 3, released)
}
