package governance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
)

// refused asserts the code of a fault.
func refused(t *testing.T, err error, code string) {
	t.Helper()
	require.ErrorContains(t, err, code)
}

func (b *bench) escalates(tool, to string, self bool, expires time.Duration) {
	b.decider.mu.Lock()
	defer b.decider.mu.Unlock()
	b.decider.by[tool] = governance.CallDecision{Verdict: governance.Escalate, To: to, SelfReview: self, Expires: expires}
}

func TestSixDecisions(t *testing.T) {
	for decision, c := range map[string]struct {
		status   string
		state    governance.State // of a hold of that one call
		ready    bool
		released []string // of a turn of wire, wire, refund where this is the decision on the first
	}{
		governance.DecideAuto:         {status: governance.EscalationResolved, state: governance.StateHeld, ready: true},
		governance.DecideAutoComplete: {status: governance.EscalationResolved, state: governance.StateHeld, ready: true, released: []string{"wire", "wire", "refund"}},
		governance.DecideHandoff:      {status: governance.EscalationResolved, state: governance.StateDenied},
		governance.DecideEscalate:     {status: governance.EscalationPending, state: governance.StateHeld},
		governance.DecideClarify:      {status: governance.EscalationPending, state: governance.StateHeld},
		governance.DecideAbstain:      {status: governance.EscalationRejected, state: governance.StateDenied},
	} {
		t.Run(decision, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			h := b.asks("c", "wire")
			b.decide(h, 0, decision)
			e, err := b.desk.Escalation(b.ctx, "w", h.Items[0].Escalation)
			require.NoError(t, err)
			require.Equal(t, c.status, e.Status)
			require.Equal(t, c.status != governance.EscalationPending, e.ResolvedBy == reviewer.ID)
			now := b.now(h)
			require.Equal(t, c.state, now.State)
			require.Equal(t, c.ready, now.Ready)
			out := b.answer(h.ID, governance.Answer{Pickup: true})
			require.Equal(t, c.ready, len(out.Calls) == 1)

			h = b.asks("d", "wire", "wire", "refund")
			b.decide(h, 0, decision)
			require.Equal(t, c.released, names(b.answer(h.ID, governance.Answer{Pickup: true}).Calls))
		})
	}
}

func TestWhatIsNoDecision(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire")
	for _, c := range []struct {
		r    governance.Resolution
		code string
	}{
		{governance.Resolution{}, fault.EscalationMissingDecision},
		{governance.Resolution{Decision: " "}, fault.EscalationMissingDecision},
		{governance.Resolution{Decision: "approve"}, fault.EscalationResolveFailed},
		{governance.Resolution{Decision: "AUTO"}, fault.EscalationResolveFailed},
		{governance.Resolution{Decision: governance.DecideClarify, Comment: " "}, fault.EscalationResolveFailed},
	} {
		_, err := b.resolve(h, 0, c.r)
		refused(t, err, c.code)
	}
	_, err := b.desk.Resolve(b.ctx, "w", "esc_none", governance.Resolution{Decision: "auto", By: reviewer})
	refused(t, err, fault.EscalationNotFound)
	require.True(t, func() bool { h := b.now(h); return h.Escalates() }())
}

func TestTheSameDecisionAgainIsNoError(t *testing.T) { // TRAPS Approvals 4
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire")
	b.decide(h, 0, governance.DecideAuto)
	lines := len(b.records())
	b.decide(h, 0, governance.DecideAuto)
	require.Len(t, b.records(), lines)
	_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAbstain})
	refused(t, err, fault.EscalationResolveFailed)
	_, err = b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: governance.Requester{ID: "key_s", KeyID: "key_s"}})
	refused(t, err, fault.EscalationResolveFailed)
}

func TestNobodyReviewsTheirOwnRequest(t *testing.T) { // TRAPS D 52
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire")
	// A narrowed principal of the same key is the same key.
	for _, by := range []governance.Requester{alice, {ID: "key_a/other", KeyID: "key_a", Roles: []string{"reviewer", "operator"}}} {
		_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: by})
		refused(t, err, fault.Forbidden)
	}
	b.escalates("wire", "", true, 0)
	h = b.asks("d", "wire")
	_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: alice})
	require.NoError(t, err)
	require.Len(t, b.answer(h.ID, governance.Answer{Pickup: true}).Calls, 1)
}

func TestAnOwnReviewFallsWhenTheRuleForbidsItMeanwhile(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.escalates("wire", "", true, 0)
	h := b.asks("c", "wire")
	_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: alice})
	require.NoError(t, err)
	b.escalates("wire", "", false, 0)
	out := b.answer(h.ID, governance.Answer{Pickup: true})
	require.Equal(t, governance.ResultChanged, out.Result)
	require.Empty(t, out.Calls)
	require.NotEqual(t, h.Items[0].Escalation, out.Hold.Items[0].Escalation)
	_, err = b.resolve(&out.Hold, 0, governance.Resolution{Decision: governance.DecideAuto, By: alice})
	refused(t, err, fault.Forbidden)
	b.decide(&out.Hold, 0, governance.DecideAuto)
	require.Len(t, b.answer(h.ID, governance.Answer{Pickup: true}).Calls, 1)
}

func TestAnEscalationForARoleIsForThatRole(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.escalates("wire", "role:finance", false, 0)
	h := b.asks("c", "wire")
	_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto})
	refused(t, err, fault.Forbidden)
	_, err = b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: governance.Requester{ID: "f", KeyID: "f", Roles: []string{"finance"}}})
	require.NoError(t, err)
}

func TestAutoCompleteDecidesNothingThatIsNotTheReviewers(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.escalates("wire", "", true, 0)
	b.escalates("pay", "role:finance", false, 0)
	h := b.asks("c", "wire", "pay")
	for _, by := range []governance.Requester{alice, reviewer} {
		_, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAutoComplete, By: by})
		refused(t, err, fault.Forbidden)
	}
	now := b.now(h)
	require.True(t, now.Items[0].Open() && now.Items[1].Open())
	b.decide(h, 0, governance.DecideAuto)
}

func TestTheNextReviewerGetsTheWholeTime(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.escalates("wire", "role:reviewer", false, time.Hour)
	h := b.asks("c", "wire", "wire")
	b.clock.add(50 * time.Minute)
	e, err := b.resolve(h, 0, governance.Resolution{Decision: governance.DecideEscalate, To: "role:cfo"})
	require.NoError(t, err)
	require.Equal(t, 2, e.Level)
	want := h.Created.Add(110 * time.Minute)
	require.Equal(t, want.Unix(), e.ExpiresAt)
	require.Equal(t, want, b.now(h).Expires)
	other, err := b.desk.Escalation(b.ctx, "w", h.Items[1].Escalation)
	require.NoError(t, err)
	require.Equal(t, want.Unix(), other.ExpiresAt, "the turn waits as a whole")
	_, err = b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto})
	refused(t, err, fault.Forbidden)
	_, err = b.resolve(h, 0, governance.Resolution{Decision: governance.DecideAuto, By: governance.Requester{ID: "cfo", KeyID: "cfo", Roles: []string{"cfo"}}})
	require.NoError(t, err)
}

func TestTheLongestExpiryOfAMixedTurnCounts(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.escalates("wire", "", false, 4*time.Hour)
	h := b.asks("c", "refund", "wire")
	require.Equal(t, h.Created.Add(4*time.Hour), h.Expires)
	b.clock.add(time.Hour)
	require.Equal(t, governance.ResultWaiting, b.answer(h.ID, governance.Answer{Yes: true}).Result, "the yes is recorded")
	b.decide(h, 1, governance.DecideAuto)
	require.Equal(t, []string{"refund", "wire"}, names(b.answer(h.ID, governance.Answer{Pickup: true}).Calls))
}

func TestANewEscalationAtReleaseTimeHasItsOwnTime(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund")
	b.clock.add(14 * time.Minute)
	b.escalates("refund", "", false, time.Hour)
	out := b.answer(h.ID, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultChanged, out.Result)
	want := h.Created.Add(74 * time.Minute)
	require.Equal(t, want, out.Hold.Expires)
	e, err := b.desk.Escalation(b.ctx, "w", out.Hold.Items[0].Escalation)
	require.NoError(t, err)
	require.Equal(t, want.Unix(), e.ExpiresAt)
}

func TestOneQuestionToTheRequesterAtATime(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire", "wire")
	b.decide(h, 0, governance.DecideClarify)
	_, err := b.resolve(h, 1, governance.Resolution{Decision: governance.DecideClarify, Comment: "and this?"})
	refused(t, err, fault.EscalationResolveFailed)
	require.NoError(t, b.desk.Reply(b.ctx, "w", h.ID, "so that"))
	_, err = b.resolve(h, 1, governance.Resolution{Decision: governance.DecideClarify, Comment: "and this?"})
	require.NoError(t, err)
	require.Equal(t, "and this?", b.now(h).Question)
	b.decide(h, 1, governance.DecideAuto)
	require.Empty(t, b.now(h).Question, "nobody waits for the answer any more")
	require.NoError(t, b.desk.Reply(b.ctx, "w", h.ID, "too late"))
	e, err := b.desk.Escalation(b.ctx, "w", h.Items[1].Escalation)
	require.NoError(t, err)
	require.Empty(t, e.Answer)
}

func TestANoNeverReleasesWhatIsReady(t *testing.T) {
	for name, a := range map[string]governance.Answer{"no": {}, "no 1": {Items: []int{1}}, "no 9": {Items: []int{9}}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			h := b.asks("c", "refund", "wire")
			b.answer(h.ID, governance.Answer{Yes: true})
			b.decide(h, 1, governance.DecideAuto)
			out := b.answer(h.ID, a)
			require.Equal(t, governance.ResultDenied, out.Result)
			require.Empty(t, out.Calls)
			require.Equal(t, governance.StateCancelled, b.now(h).State)
			require.Empty(t, b.answer(h.ID, governance.Answer{Pickup: true}).Calls)
			require.Equal(t, alice.ID, b.last().Resolver)
		})
	}
}

func TestACancelledHoldTakesItsEscalationsWithIt(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire", "wire")
	require.Equal(t, governance.ResultDenied, b.answer(h.ID, governance.Answer{}).Result)
	for _, it := range h.Items {
		e, err := b.desk.Escalation(b.ctx, "w", it.Escalation)
		require.NoError(t, err)
		require.Equal(t, governance.EscalationRejected, e.Status)
		require.Equal(t, "cancelled", e.Resolution)
		require.Equal(t, alice.ID, e.ResolvedBy)
	}
}

func TestAReviewerWhoAnsweredForTheRequesterLiftsNoMoreThanThat(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund", "wire")
	b.decide(h, 1, governance.DecideAutoComplete)
	b.escalates("refund", "role:finance", false, 0)
	out := b.answer(h.ID, governance.Answer{Pickup: true})
	require.Equal(t, governance.ResultChanged, out.Result)
	require.Empty(t, out.Calls)
	require.True(t, out.Hold.Items[0].Open())
}

func TestReleaseJudgesAnewByTodaysPolicies(t *testing.T) {
	for name, c := range map[string]struct {
		tools    []string
		now      map[string]governance.Verdict
		result   governance.Result
		released []string
		open     []string // still asked or escalated
	}{
		"looser":                           {[]string{"refund"}, map[string]governance.Verdict{"refund": governance.Allow}, governance.ResultReleased, []string{"refund"}, nil},
		"blocked":                          {[]string{"refund"}, map[string]governance.Verdict{"refund": governance.Block}, governance.ResultChanged, nil, nil},
		"one blocked":                      {[]string{"refund", "email"}, map[string]governance.Verdict{"refund": governance.Block}, governance.ResultReleased, []string{"email"}, nil},
		"a fact is missing":                {[]string{"refund"}, map[string]governance.Verdict{"refund": governance.Clarify}, governance.ResultChanged, nil, nil},
		"a companion is asked about":       {[]string{"refund", "read"}, map[string]governance.Verdict{"read": governance.Confirm}, governance.ResultChanged, nil, []string{"read"}},
		"a companion is blocked":           {[]string{"refund", "read"}, map[string]governance.Verdict{"read": governance.Block}, governance.ResultReleased, []string{"refund"}, nil},
		"a companion lacks a fact":         {[]string{"refund", "read"}, map[string]governance.Verdict{"read": governance.Clarify}, governance.ResultReleased, []string{"refund"}, nil},
		"a reviewer is wanted":             {[]string{"refund", "email"}, map[string]governance.Verdict{"refund": governance.Escalate}, governance.ResultChanged, nil, []string{"refund"}},
		"one is asked and another blocked": {[]string{"refund", "read"}, map[string]governance.Verdict{"read": governance.Confirm, "refund": governance.Block}, governance.ResultChanged, nil, []string{"read"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			h := b.asks("c", c.tools...)
			for tool, v := range c.now {
				b.decider.set(tool, v)
			}
			out := b.answer(h.ID, governance.Answer{Yes: true})
			require.Equal(t, c.result, out.Result)
			require.Equal(t, c.released, names(out.Calls))
			var open []string
			for _, it := range out.Hold.Items {
				if it.Open() {
					open = append(open, it.Name)
				}
			}
			require.Equal(t, c.open, open)
			if open != nil {
				require.Equal(t, "again", out.Hold.Prompt)
			}
		})
	}
}

// roles is a decider that goes by the requester's roles and by the yes.
type roles struct{}

func (roles) Decide(f governance.Facts, calls []governance.Call) []governance.CallDecision {
	out := make([]governance.CallDecision, len(calls))
	for i := range calls {
		out[i].Verdict = governance.Block
		if len(f.Requester.Roles) > 0 {
			out[i].Verdict = governance.Confirm
			if f.Confirmed {
				out[i].Verdict = governance.Allow
			}
		}
	}
	return out
}
func (roles) Hosted(governance.Facts, string) bool { return false }
func (roles) ReadsReleased(string) bool            { return false }

func TestReleaseJudgesAnewByTodaysRoles(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.desk = governance.NewDesk(b.engine, roles{}, governance.DeskOptions{})
	ask := func(chat string) string {
		p, err := b.desk.Plan(b.ctx, &governance.Turn{Sealed: seal("refund"), AsCame: func(int) bool { return true },
			Facts: governance.Facts{Workspace: "w", Conversation: chat, Requester: governance.Requester{ID: alice.ID, KeyID: alice.KeyID, Roles: []string{"agent"}}}})
		require.NoError(t, err)
		_, err = b.desk.Commit(b.ctx, p, asked(chat))
		require.NoError(t, err)
		return p.Hold.ID
	}
	require.Equal(t, governance.ResultChanged, b.answer(ask("c"), governance.Answer{Yes: true}).Result, "the role was taken away")
	by := alice
	by.Roles = []string{"agent"}
	out, err := b.desk.Answer(b.ctx, "w", ask("d"), governance.Answer{Yes: true, By: by})
	require.NoError(t, err)
	require.Equal(t, governance.ResultReleased, out.Result)
}
