package governance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
	"cadreen/store/sqlite"
)

// verdicts is a decider whose answers a test sets by tool name.
type verdicts struct {
	mu sync.Mutex
	by map[string]governance.CallDecision
}

func (v *verdicts) set(tool string, verdict governance.Verdict) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by[tool] = governance.CallDecision{Verdict: verdict, Reason: governance.ReasonRule, Detail: "set by the test"}
}

func (v *verdicts) Decide(_ governance.Facts, calls []governance.Call) []governance.CallDecision {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]governance.CallDecision, len(calls))
	for i, c := range calls {
		out[i] = v.by[c.Name]
		out[i].Call = c
	}
	return out
}

func (v *verdicts) Hosted(governance.Facts, string) bool { return false }
func (v *verdicts) ReadsReleased(string) bool            { return true }

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type bench struct {
	t       *testing.T
	ctx     context.Context
	desk    *governance.Desk
	engine  store.Engine
	clock   *clock
	decider *verdicts
}

func newBench(t *testing.T, o governance.DeskOptions) *bench {
	c := &clock{t: time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)}
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "desk.db"), sqlite.WithClock(c.now))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	v := &verdicts{by: map[string]governance.CallDecision{}}
	for tool, verdict := range map[string]governance.Verdict{"read": governance.Allow, "refund": governance.Confirm,
		"email": governance.Confirm, "wire": governance.Escalate, "drop": governance.Block} {
		v.set(tool, verdict)
	}
	if o.Await == 0 {
		o.Await = time.Millisecond
	}
	return &bench{t: t, ctx: t.Context(), engine: engine, clock: c, decider: v, desk: governance.NewDesk(engine, v, o)}
}

var alice = governance.Requester{ID: "key_a", KeyID: "key_a"}
var reviewer = governance.Requester{ID: "key_r", KeyID: "key_r", Roles: []string{"reviewer"}}

func seal(tools ...string) *governance.Sealed {
	s := new(governance.Sealed)
	for i, tool := range tools {
		c := s.Start(0, governance.FormFunction)
		c.Member("id", []byte(`"call_`+tool+string(rune('0'+i))+`"`))
		c.Member("type", []byte(`"function"`))
		c.Inner("name", []byte(`"`+tool+`"`))
		c.Argument([]byte(`{\"amount\":`))
		c.Argument([]byte(`750.00,\"to\":\"Z\u00fcrich\"}`))
		s.Piece([]byte("frame of "+tool), 0)
	}
	return s
}

func (b *bench) plan(chat string, tools ...string) *governance.Plan {
	p, err := b.desk.Plan(b.ctx, &governance.Turn{TraceID: "cad_1", Sealed: seal(tools...), AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: "w", Conversation: chat, Requester: alice}})
	require.NoError(b.t, err)
	return p
}

func asked(words string) governance.Asked {
	return governance.Asked{Prompt: words, PromptPrint: words, Pair: "pair " + words, Transcript: "t " + words, CallsDigest: "d " + words, WithTools: true}
}

func (b *bench) hold(chat string, tools ...string) string {
	p := b.plan(chat, tools...)
	require.NotNil(b.t, p.Hold)
	out, err := b.desk.Commit(b.ctx, p, asked(chat))
	require.NoError(b.t, err)
	require.Empty(b.t, out.Calls)
	return p.Hold.ID
}

func (b *bench) answer(id string, a governance.Answer) governance.Answered {
	a.By = alice
	if a.Ask == nil {
		a.Ask = func(*governance.Hold, []governance.Call) governance.Asked { return asked("again") }
	}
	out, err := b.desk.Answer(b.ctx, "w", id, a)
	require.NoError(b.t, err)
	return out
}

func bytesOf(t *testing.T, r governance.Release) string {
	var b bytes.Buffer
	_, err := r.WriteTo(&b)
	require.NoError(t, err)
	return b.String()
}

func (b *bench) records() []governance.Record {
	entries, err := b.engine.Read(b.ctx, "w", governance.RecordLog, 0, 1000)
	require.NoError(b.t, err)
	var list []governance.Record
	for _, e := range entries {
		var r governance.Record
		require.NoError(b.t, json.Unmarshal(e.Value, &r))
		list = append(list, r)
	}
	return list
}

func TestAZeroReleaseGivesNothingOut(t *testing.T) {
	var out bytes.Buffer
	_, err := governance.Release{}.WriteTo(&out)
	require.ErrorIs(t, err, governance.ErrNotReleased)
	require.Empty(t, out.String())
}

func TestAllowedCallsLeaveAtOnceAndAreRecordedFirst(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	p := b.plan("c", "read")
	require.Nil(t, p.Hold)
	require.Equal(t, governance.GateOK, p.Gate())
	out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
	require.NoError(t, err)
	require.Equal(t, "frame of read", bytesOf(t, out.Pieces[0]))
	require.Len(t, b.records(), 1)
	require.Equal(t, governance.StateReleased, b.records()[0].State)
	seen, err := b.desk.Observed(b.ctx, "w", alice.ID, "c", nil)
	require.NoError(t, err)
	require.Len(t, seen, 1)
}

func TestNothingIsReleasedWhenTheRecordCannotBeWritten(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	p := b.plan("c", "read")
	require.NoError(t, b.engine.Close())
	out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
	require.ErrorContains(t, err, "store_unavailable")
	require.Empty(t, out.Calls)
	require.Empty(t, out.Pieces)
}

func TestAYesReleasesTheStoredCharacters(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	out := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultReleased, out.Result)
	require.Equal(t, `"id":"call_refund0","type":"function","function":{"name":"refund","arguments":"{\"amount\":750.00,\"to\":\"Z\u00fcrich\"}"}`, bytesOf(t, out.Calls[0]))
	require.Equal(t, `{"amount":750.00,"to":"Zürich"}`, out.Calls[0].Call().Arguments)
}

func TestANoReleasesNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	require.Equal(t, governance.ResultDenied, b.answer(id, governance.Answer{}).Result)
	again := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultOver, again.Result)
	require.Equal(t, governance.StateDenied, again.Hold.State)
	require.Empty(t, again.Calls)
}

func TestNumbersReleaseTheirItemsAndRefuseTheRest(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	out := b.answer(b.hold("c", "read", "refund", "email"), governance.Answer{Yes: true, Items: []int{2}})
	require.Equal(t, governance.ResultReleased, out.Result)
	require.Len(t, out.Calls, 2)
	require.Equal(t, "read", out.Calls[0].Call().Name)
	require.Equal(t, "email", out.Calls[1].Call().Name)
}

func TestANoToOneItemLeavesTheRestOpenAndReleasesNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund", "email")
	out := b.answer(id, governance.Answer{Items: []int{1}})
	require.Equal(t, governance.ResultOpen, out.Result)
	require.Empty(t, out.Calls)
	require.Equal(t, "again", out.Hold.Prompt)
	out = b.answer(id, governance.Answer{Yes: true, Items: []int{1}})
	require.Equal(t, governance.ResultReleased, out.Result)
	require.Equal(t, "email", out.Calls[0].Call().Name)
	require.Len(t, out.Calls, 1)
}

func TestAYesAfterTheExpiryIsNoYes(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	b.clock.add(15*time.Minute - time.Millisecond)
	require.NoError(t, b.desk.Sweep(b.ctx))
	live, err := b.desk.LiveHolds(b.ctx, "w", alice.ID, "c")
	require.NoError(t, err)
	require.Len(t, live, 1)
	b.clock.add(time.Millisecond)
	out := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultOver, out.Result)
	require.Equal(t, governance.StateExpired, out.Hold.State)
}

func TestTheSweeperExpiresVisiblyAndIsNoHumanNo(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.hold("c", "refund")
	b.clock.add(time.Hour)
	require.NoError(t, b.desk.Sweep(b.ctx))
	list := b.records()
	require.Equal(t, governance.EventExpire, list[len(list)-1].Event)
	require.Empty(t, list[len(list)-1].Answer)
	live, err := b.desk.LiveHolds(b.ctx, "w", alice.ID, "c")
	require.NoError(t, err)
	require.Empty(t, live)
}

func TestRacingAnswersReleaseOnce(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	const racers = 64
	results := make(chan governance.Answered, racers)
	var wg sync.WaitGroup
	for range racers {
		wg.Go(func() {
			out, err := b.desk.Answer(context.Background(), "w", id, governance.Answer{Yes: true, By: alice})
			if err == nil {
				results <- out
			}
		})
	}
	wg.Wait()
	close(results)
	first := 0
	for out := range results {
		if out.Result == governance.ResultReleased && !out.Repeat {
			first++
		}
	}
	require.Equal(t, 1, first)
	released := 0
	for _, r := range b.records() {
		if r.Event == governance.EventRelease && r.CallID != "" {
			released++
		}
	}
	require.Equal(t, 1, released)
}

func TestARepeatedYesHearsThatItWasDone(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	b.answer(id, governance.Answer{Yes: true, Key: "k1"})
	require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: id}, true))
	require.Equal(t, governance.ResultAlready, b.answer(id, governance.Answer{Yes: true}).Result)
	for name, a := range map[string]governance.Answer{"same key": {Yes: true, Key: "k1"}, "declared retry": {Yes: true, Retry: true}} {
		out := b.answer(id, a)
		require.Equal(t, governance.ResultReleased, out.Result, name)
		require.True(t, out.Repeat, name)
	}
	b.clock.add(3 * time.Minute)
	require.Equal(t, governance.ResultAlready, b.answer(id, governance.Answer{Yes: true, Retry: true}).Result)
}

func TestABrokenReleaseReplyIsRepeatedWithinTheReplayTime(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	b.answer(id, governance.Answer{Yes: true})
	require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: id}, false))
	out := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultReleased, out.Result)
	require.True(t, out.Repeat)
	require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: id}, true))
	require.Equal(t, governance.ResultAlready, b.answer(id, governance.Answer{Yes: true}).Result)
}

func TestAStricterPolicyAtReleaseTimeCounts(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	b.decider.set("refund", governance.Block)
	out := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultChanged, out.Result)
	require.Equal(t, governance.StateDenied, out.Hold.State)
	require.Empty(t, out.Calls)
}

func TestAPolicyThatNowWantsAReviewerTakesTheYesBack(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	id := b.hold("c", "refund")
	b.decider.set("refund", governance.Escalate)
	out := b.answer(id, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultChanged, out.Result)
	require.Equal(t, governance.StateHeld, out.Hold.State)
	list, _, err := b.desk.Escalations(b.ctx, "w", governance.EscalationQuery{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, governance.ResultWaiting, b.answer(id, governance.Answer{Yes: true}).Result)
}

func TestSupersedeEndsAConfirmHoldAndLeavesAnEscalation(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	confirm, escalate := b.hold("c1", "refund"), b.hold("c2", "wire")
	require.NoError(t, b.desk.Supersede(b.ctx, "w", confirm))
	require.NoError(t, b.desk.Supersede(b.ctx, "w", escalate))
	require.Equal(t, governance.StateSuperseded, b.answer(confirm, governance.Answer{Yes: true}).Hold.State)
	require.Equal(t, governance.ResultWaiting, b.answer(escalate, governance.Answer{Yes: true}).Result)
}

func TestTheSameTranscriptReplacesItsHoldAndANewcomerMustDiffer(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	first := b.hold("c", "refund")
	p := b.plan("c", "refund")
	_, err := b.desk.Commit(b.ctx, p, asked("c"))
	require.NoError(t, err)
	require.Equal(t, governance.StateSuperseded, b.answer(first, governance.Answer{Yes: true}).Hold.State)

	other := asked("c")
	other.Transcript = "another chat"
	p = b.plan("c", "refund")
	_, err = b.desk.Commit(b.ctx, p, other)
	require.ErrorIs(t, err, governance.ErrClaimed)
	other.Pair = "pair with a tag"
	_, err = b.desk.Commit(b.ctx, p, other)
	require.NoError(t, err)
}

func TestATurnIsHeldAsAWholeAndABlockedCallIsSaid(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	p := b.plan("c", "read", "refund", "drop")
	require.Equal(t, []bool{false, false, false}, p.Free)
	require.Equal(t, []int{2}, p.Said)
	require.Len(t, p.Hold.Items, 2)
	require.Equal(t, governance.GateNeedsInput, p.Gate())
}

func TestBatchReleaseAllowedSendsTheAllowedOnesAtOnce(t *testing.T) {
	b := newBench(t, governance.DeskOptions{ReleaseAllowed: true})
	p := b.plan("c", "read", "refund")
	out, err := b.desk.Commit(b.ctx, p, asked("c"))
	require.NoError(t, err)
	require.Len(t, out.Calls, 1)
	require.Equal(t, "read", out.Calls[0].Call().Name)
	require.False(t, out.Pieces[0].Granted(), "a turn that is split leaves call by call")
	require.Len(t, p.Hold.Items, 1)
}

func TestRefusalsBesideAllowedCallsReleaseTheAllowedOnes(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	p := b.plan("c", "read", "drop")
	require.Nil(t, p.Hold)
	out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
	require.NoError(t, err)
	require.Len(t, out.Calls, 1)
	require.Equal(t, governance.GateOK, p.Gate())
	require.Equal(t, governance.GateBlocked, b.plan("c", "drop").Gate())
}

func TestTwoNamesForOneCallMakeItMalformed(t *testing.T) {
	s := new(governance.Sealed)
	c := s.Start(0, governance.FormFunction)
	c.Inner("name", []byte(`"read"`))
	c.Inner("name", []byte(`"drop_table"`))
	require.NotEmpty(t, s.Calls()[0].Malformed)
}

func TestASurrogatePairSplitOverFragmentsStaysWhole(t *testing.T) {
	s := new(governance.Sealed)
	c := s.Start(0, governance.FormFunction)
	c.Inner("name", []byte(`"say"`))
	c.Argument([]byte(`{\"t\":\"\ud83d`))
	c.Argument([]byte(`\ude00\"}`))
	require.Equal(t, `{"t":"😀"}`, s.Calls()[0].Arguments)
	require.False(t, strings.Contains(s.Calls()[0].Arguments, "\uFFFD"))
}
