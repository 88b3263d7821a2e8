package governance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/store"
)

// The numbers are those of TRAPS, Approvals; 3 to 5, 8 and 12 in part are tested
// where requests are read, in conversations.

func (b *bench) resolve(h *governance.Hold, item int, r governance.Resolution) (governance.Escalation, error) {
	if r.By.ID == "" {
		r.By = reviewer
	}
	return b.desk.Resolve(b.ctx, "w", h.Items[item].Escalation, r)
}

func (b *bench) decide(h *governance.Hold, item int, decision string) {
	_, err := b.resolve(h, item, governance.Resolution{Decision: decision, Comment: "because"})
	require.NoError(b.t, err)
}

// asks holds a turn and answers the hold.
func (b *bench) asks(chat string, tools ...string) *governance.Hold {
	p := b.plan(chat, tools...)
	_, err := b.desk.Commit(b.ctx, p, asked(chat))
	require.NoError(b.t, err)
	return p.Hold
}

func (b *bench) now(h *governance.Hold) governance.Hold {
	list, err := b.desk.HoldsByConversation(b.ctx, "w", h.Principal, h.Conversation)
	require.NoError(b.t, err)
	for _, have := range list {
		if have.ID == h.ID {
			return have
		}
	}
	require.Fail(b.t, "no such hold")
	return governance.Hold{}
}

func names(list []governance.Release) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.Call().Name)
	}
	return out
}

func TestApprovals1OnlyAnAffirmativeReleases(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund")
	require.NoError(t, b.desk.Supersede(b.ctx, "w", h.ID))
	require.Equal(t, governance.StateSuperseded, b.now(h).State)
	out := b.answer(h.ID, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultOver, out.Result)
	require.Empty(t, out.Calls)
}

func TestApprovals2NumbersBeyondTheListReleaseNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund", "email")
	for _, items := range [][]int{{3}, {0}, {-1}} {
		out := b.answer(b.asks(fmt.Sprint(items), "refund", "email").ID, governance.Answer{Yes: true, Items: items})
		require.Empty(t, out.Calls, items)
	}
	require.Equal(t, governance.StateHeld, b.now(h).State)
}

func TestApprovals6ANewMessageOrphansNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund", "wire")
	require.NoError(t, b.desk.Supersede(b.ctx, "w", h.ID))
	now := b.now(h)
	require.Equal(t, governance.StateHeld, now.State, "the reviewer's part goes on")
	require.Equal(t, governance.AnswerPassed, now.Items[0].Answer, "nobody said no")
	require.Equal(t, governance.EventSupersede, b.last().Event)
	require.Equal(t, "refund", b.last().Tool)
	b.decide(h, 1, governance.DecideAuto)
	require.Equal(t, []string{"wire"}, names(b.answer(h.ID, governance.Answer{Pickup: true}).Calls))
}

func TestApprovals6WhatAReviewerLetGoOutlivesTheQuestionBesideIt(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund", "wire")
	b.decide(h, 1, governance.DecideAuto)
	require.NoError(t, b.desk.Supersede(b.ctx, "w", h.ID))
	require.True(t, b.now(h).Ready)
	require.Equal(t, []string{"wire"}, names(b.answer(h.ID, governance.Answer{Pickup: true}).Calls))
}

func (b *bench) last() governance.Record {
	list := b.records()
	return list[len(list)-1]
}

func TestApprovals9AnIdOfAnotherPrincipalReleasesNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund")
	for _, by := range []governance.Requester{reviewer, {}, {ID: "key_a/user", KeyID: "key_a"}} {
		_, err := b.desk.Answer(b.ctx, "w", h.ID, governance.Answer{Yes: true, By: by})
		require.ErrorContains(t, err, fault.Forbidden)
	}
	out, err := b.desk.Answer(b.ctx, "w", "hold_forged", governance.Answer{Yes: true, By: alice})
	require.NoError(t, err)
	require.Equal(t, governance.ResultOver, out.Result)
	out, err = b.desk.Answer(b.ctx, "other", h.ID, governance.Answer{Yes: true, By: alice})
	require.NoError(t, err)
	require.Empty(t, out.Calls)
}

func TestApprovals10ADoubleSubmitReleasesOnce(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund")
	require.False(t, b.answer(h.ID, governance.Answer{Yes: true}).Repeat)
	require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: h.ID}, true))
	second := governance.NewDesk(b.engine, b.decider, governance.DeskOptions{Await: time.Millisecond})
	out, err := second.Answer(b.ctx, "w", h.ID, governance.Answer{Yes: true, By: alice})
	require.NoError(t, err)
	require.Equal(t, governance.ResultAlready, out.Result)
}

func TestApprovals11ALostReplyIsRepeatedForTheSameWordsOnly(t *testing.T) {
	for name, c := range map[string]struct {
		first, again governance.Answer
		repeat       bool
	}{
		"yes, yes":                {governance.Answer{Yes: true}, governance.Answer{Yes: true}, true},
		"yes, no":                 {governance.Answer{Yes: true}, governance.Answer{}, false},
		"yes, no, as a retry":     {governance.Answer{Yes: true}, governance.Answer{Retry: true}, false},
		"yes, no, with the key":   {governance.Answer{Yes: true, Key: "k"}, governance.Answer{Key: "k"}, false},
		"number, other number":    {governance.Answer{Yes: true, Items: []int{1}}, governance.Answer{Yes: true, Items: []int{2}}, false},
		"number, all":             {governance.Answer{Yes: true, Items: []int{1}}, governance.Answer{Yes: true}, false},
		"number, the same number": {governance.Answer{Yes: true, Items: []int{1}}, governance.Answer{Yes: true, Items: []int{1}}, true},
		"a declared retry":        {governance.Answer{Yes: true}, governance.Answer{Yes: true, Retry: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			h := b.asks("c", "refund", "email")
			first := b.answer(h.ID, c.first)
			require.NoError(t, b.desk.Delivered(b.ctx, "w", governance.Hold{ID: h.ID}, false))
			out := b.answer(h.ID, c.again)
			require.Equal(t, c.repeat, out.Repeat)
			if !c.repeat {
				require.Equal(t, governance.ResultAlready, out.Result)
				require.Empty(t, out.Calls)
				return
			}
			require.Equal(t, names(first.Calls), names(out.Calls))
		})
	}
}

func TestApprovals11ACrashBetweenReleaseAndReplyLosesNothing(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund")
	b.answer(h.ID, governance.Answer{Yes: true}) // and the replica dies
	b.desk = governance.NewDesk(b.engine, b.decider, governance.DeskOptions{Await: time.Millisecond})
	require.True(t, b.answer(h.ID, governance.Answer{Yes: true}).Repeat)
	b.clock.add(3 * time.Minute)
	require.Equal(t, governance.ResultAlready, b.answer(h.ID, governance.Answer{Yes: true}).Result)
}

func TestApprovals13ExpiryIsVisibleWhoeverLooksFirst(t *testing.T) {
	look := map[string]func(b *bench, h *governance.Hold){
		"the sweeper":            func(b *bench, h *governance.Hold) { require.NoError(b.t, b.desk.Sweep(b.ctx)) },
		"an answer":              func(b *bench, h *governance.Hold) { b.answer(h.ID, governance.Answer{Yes: true}) },
		"a pickup":               func(b *bench, h *governance.Hold) { b.answer(h.ID, governance.Answer{Pickup: true}) },
		"a request":              func(b *bench, h *governance.Hold) { b.now(h) },
		"a message without a no": func(b *bench, h *governance.Hold) { require.NoError(b.t, b.desk.Supersede(b.ctx, "w", h.ID)) },
		"a newcomer":             func(b *bench, h *governance.Hold) { b.asks("c", "email") },
		"a reviewer":             func(b *bench, h *governance.Hold) { _, _ = b.resolve(h, 1, governance.Resolution{Decision: "auto"}) },
		"a reader": func(b *bench, h *governance.Hold) {
			e, err := b.desk.Escalation(b.ctx, "w", h.Items[1].Escalation)
			require.NoError(b.t, err)
			require.Equal(b.t, governance.EscalationRejected, e.Status)
		},
		"a list": func(b *bench, h *governance.Hold) {
			list, _, err := b.desk.Escalations(b.ctx, "w", governance.EscalationQuery{Limit: 10})
			require.NoError(b.t, err)
			require.Equal(b.t, "expired", list[0].Resolution)
			require.Empty(b.t, list[0].ResolvedBy)
		},
		"a reply to a question": func(b *bench, h *governance.Hold) { require.NoError(b.t, b.desk.Reply(b.ctx, "w", h.ID, "x")) },
	}
	for name, first := range look {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, governance.DeskOptions{})
			h := b.asks("c", "refund", "wire")
			b.answer(h.ID, governance.Answer{Yes: true})
			b.clock.add(15 * time.Minute)
			first(b, h)
			now := b.now(h)
			require.Equal(t, governance.StateExpired, now.State)
			require.Empty(t, now.Resolver, "a time-out is nobody's no")
			ends := 0
			for _, r := range b.records() {
				if r.Event == governance.EventExpire {
					ends++
					require.Empty(t, r.Resolver)
					require.Empty(t, r.Answer)
				}
				require.NotEqual(t, governance.AnswerNo, r.Answer)
			}
			require.Equal(t, 1, ends)
			require.Empty(t, b.answer(h.ID, governance.Answer{Yes: true}).Calls)
			_, err := b.resolve(h, 1, governance.Resolution{Decision: governance.DecideAuto})
			require.ErrorContains(t, err, fault.EscalationResolveFailed)
		})
	}
}

func TestApprovals13AnApprovalThatNobodyPicksUpExpires(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire")
	b.clock.add(14 * time.Minute)
	b.decide(h, 0, governance.DecideAuto)
	b.clock.add(14 * time.Minute)
	require.True(t, b.now(h).Ready, "it has its whole time again from the approval on")
	b.clock.add(time.Minute)
	out := b.answer(h.ID, governance.Answer{Pickup: true})
	require.Equal(t, governance.StateExpired, out.Hold.State)
	require.Empty(t, out.Calls)
}

func TestApprovals16EachCallOfATurnEndsOnItsOwn(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "wire", "refund", "read", "wire", "email")
	require.Equal(t, governance.ResultWaiting, b.answer(h.ID, governance.Answer{Yes: true, Items: []int{2}}).Result)
	b.decide(h, 0, governance.DecideAbstain)
	require.False(t, b.now(h).Ready)
	b.decide(h, 3, governance.DecideAuto)
	out := b.answer(h.ID, governance.Answer{Pickup: true})
	require.Equal(t, []string{"read", "wire", "email"}, names(out.Calls))
	require.Equal(t, "call_wire3", out.Calls[1].Call().ID, "by its id, not by its name")
	byID := map[string]governance.Record{}
	for _, r := range b.records() {
		if r.Event == governance.EventRelease || r.Event == governance.EventDeny {
			byID[r.CallID] = r
		}
	}
	for id, want := range map[string][3]string{"call_wire0": {"deny", reviewer.ID, "api"}, "call_refund1": {"deny", alice.ID, "chat"},
		"call_read2": {"release", "policy", "policy"}, "call_wire3": {"release", reviewer.ID, "api"}, "call_email4": {"release", alice.ID, "chat"}} {
		r := byID[id]
		require.Equal(t, want, [3]string{r.Event, r.Resolver, r.Channel}, id)
	}
}

func TestApprovals17WhatWasJudgedIsWhatIsReleased(t *testing.T) {
	whole := func(members string) *governance.Sealed {
		s := new(governance.Sealed)
		c := s.Start(0, governance.FormFunction)
		c.Member("id", []byte(`"call_1"`))
		c.Inner("name", []byte(`"refund"`))
		c.Argument([]byte(`{\"amount\":1}`))
		c.Whole([]byte(members))
		return s
	}
	t.Run("the members say what was read", func(t *testing.T) {
		for _, members := range []string{
			`"id":"call_1","type":"function","function":{"name":"refund","arguments":"{\"amount\":1}"}`,
			`"function":{"arguments":"{\u0022amount\":1}","name":"re\u0066und","x":1},"index":0,"id":"call_1","vendor":{}`,
		} {
			require.Empty(t, whole(members).Calls()[0].Malformed, members)
		}
		for _, members := range []string{
			`"id":"call_1","function":{"name":"refund","arguments":"{\"amount\":2}"}`,
			`"id":"call_1","function":{"name":"drop","arguments":"{\"amount\":1}"}`,
			`"id":"call_2","function":{"name":"refund","arguments":"{\"amount\":1}"}`,
			`"id":"call_1","function":{"name":"refund","name":"drop","arguments":"{\"amount\":1}"}`,
			`"id":"call_1","function":{"name":"refund","arguments":"{\"amount\":1}"},"function":{}`,
			`"id":"call_1","function":{"name":"refund","arguments":{"amount":1}}`,
			`"id":"call_1","custom":{"name":"refund","input":"{\"amount\":1}"}`,
			`"id":"call_1"},{"id":"call_1"`,
			``,
		} {
			require.NotEmpty(t, whole(members).Calls()[0].Malformed, members)
		}
	})
	t.Run("nothing is added after the judgement", func(t *testing.T) {
		for name, add := range map[string]func(s *governance.Sealed, c *governance.SealedCall){
			"argument characters": func(_ *governance.Sealed, c *governance.SealedCall) { c.Argument([]byte("x")) },
			"a call":              func(s *governance.Sealed, _ *governance.SealedCall) { s.Start(0, governance.FormFunction) },
			"a piece":             func(s *governance.Sealed, _ *governance.SealedCall) { s.Piece([]byte("frame"), 0) },
			"a longer piece": func(s *governance.Sealed, _ *governance.SealedCall) {
				s.Extend(governance.NewMould(nil, nil), nil)
			},
			"a member":    func(_ *governance.Sealed, c *governance.SealedCall) { c.Member("x", []byte("1")) },
			"a name":      func(_ *governance.Sealed, c *governance.SealedCall) { c.Inner("name", []byte(`"drop"`)) },
			"a container": func(_ *governance.Sealed, c *governance.SealedCall) { c.Container() },
			"the whole": func(_ *governance.Sealed, c *governance.SealedCall) {
				c.Whole([]byte(`"function":{"name":"read","arguments":"{}"}`))
			},
			"a doubt":   func(_ *governance.Sealed, c *governance.SealedCall) { c.Malform("odd") },
			"no ending": func(_ *governance.Sealed, c *governance.SealedCall) { c.Truncate() },
		} {
			b := newBench(t, governance.DeskOptions{})
			s := new(governance.Sealed)
			c := s.Start(0, governance.FormFunction)
			c.Inner("name", []byte(`"read"`))
			c.Argument([]byte("{}"))
			s.Piece([]byte("frame"), 0)
			p, err := b.desk.Plan(b.ctx, &governance.Turn{Sealed: s, AsCame: func(int) bool { return true },
				Facts: governance.Facts{Workspace: "w", Requester: alice}})
			require.NoError(t, err)
			add(s, c)
			out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
			require.Error(t, err, name)
			require.Empty(t, out.Calls, name)
			require.Empty(t, b.records(), name)
		}
	})
	t.Run("a plan's list of calls is not what is released", func(t *testing.T) {
		b := newBench(t, governance.DeskOptions{})
		p := b.plan("c", "read")
		p.Calls[0].Arguments = "{}"
		out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
		require.Error(t, err)
		require.Empty(t, out.Calls)
		require.Empty(t, b.records())
	})
	t.Run("a plan's list of free calls opens nothing", func(t *testing.T) {
		b := newBench(t, governance.DeskOptions{})
		p := b.plan("c", "drop")
		p.Free[0] = true
		out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
		require.NoError(t, err)
		require.Empty(t, out.Calls)
		require.False(t, out.Pieces[0].Granted())
	})
	t.Run("a piece of no choice stays", func(t *testing.T) {
		b := newBench(t, governance.DeskOptions{})
		s := seal("read")
		s.Piece([]byte("who knows"))
		p, err := b.desk.Plan(b.ctx, &governance.Turn{Sealed: s, AsCame: func(int) bool { return true },
			Facts: governance.Facts{Workspace: "w", Requester: alice}})
		require.NoError(t, err)
		out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
		require.NoError(t, err)
		require.True(t, out.Pieces[0].Granted())
		require.False(t, out.Pieces[1].Granted())
	})
	t.Run("bytes do not leave through a log line", func(t *testing.T) {
		b := newBench(t, governance.DeskOptions{})
		s := seal("read")
		p, err := b.desk.Plan(b.ctx, &governance.Turn{Sealed: s, AsCame: func(int) bool { return true },
			Facts: governance.Facts{Workspace: "w", Requester: alice}})
		require.NoError(t, err)
		out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
		require.NoError(t, err)
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			line := fmt.Sprintf(verb+" "+verb+" "+verb, s, out.Calls, out.Pieces[0])
			require.NotContains(t, line, "750")
			require.NotContains(t, line, "frame of")
			require.NotContains(t, line, fmt.Sprintf("%x", "750"))
		}
	})
}

func TestApprovals20TheSameTurnIsAskedAboutOnce(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	first, second := b.asks("c", "refund"), b.asks("c", "refund")
	require.Equal(t, governance.StateSuperseded, b.now(first).State)
	live, err := b.desk.LiveHolds(b.ctx, "w", alice.ID, "c")
	require.NoError(t, err)
	require.Len(t, live, 1)
	require.Equal(t, second.ID, live[0].ID)
}

func TestApprovals21AnAnswerIsForItsHoldNotForTheNewestOfThatTool(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	older, newer := b.asks("one", "refund"), b.asks("two", "refund")
	out := b.answer(older.ID, governance.Answer{Yes: true})
	require.Equal(t, older.ID, out.Hold.ID)
	require.Len(t, out.Calls, 1)
	require.Equal(t, governance.StateHeld, b.now(newer).State)
}

func TestErasedBytesCannotBeReleased(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h, later := b.asks("c", "refund"), b.asks("d", "refund")
	b.answer(later.ID, governance.Answer{Yes: true})
	for _, id := range []string{h.ID, later.ID} {
		require.NoError(t, b.engine.Commit(b.ctx, "w", store.Delete{Kind: "hold_bytes", ID: id}))
	}
	out := b.answer(h.ID, governance.Answer{Yes: true})
	require.Equal(t, governance.ResultErased, out.Result)
	require.Equal(t, governance.StateCancelled, b.now(h).State)
	require.Equal(t, governance.ResultErased, b.answer(later.ID, governance.Answer{Yes: true}).Result, "a repeat has nothing to send either")
	calls, err := b.desk.HeldCalls(b.ctx, "w", h.ID)
	require.NoError(t, err)
	require.Equal(t, "refund", calls[0].Name)
	require.Empty(t, calls[0].Arguments)
}

func TestTheLogHoldsNoArgumentBytes(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	secret := governance.CallDecision{Verdict: governance.Confirm, Message: "Refund of 750.00 to Zürich", Detail: "750.00",
		Fired: []governance.Fired{{Policy: "p", Version: "v1", Rule: "limit", Effect: governance.Confirm, Message: "Refund of 750.00",
			Error: `parsing "750.00"`, UnlessError: `parsing "750.00"`, Determining: true}}}
	b.decider.mu.Lock()
	b.decider.by["refund"] = secret
	b.decider.mu.Unlock()
	h := b.asks("c", "refund")
	b.answer(h.ID, governance.Answer{Yes: true})
	entries, err := b.engine.Read(b.ctx, "w", governance.RecordLog, 0, 100)
	require.NoError(t, err)
	for _, e := range entries {
		require.NotContains(t, string(e.Value), "750")
		require.NotContains(t, string(e.Value), "Z\u00fcrich")
	}
	require.Equal(t, "limit", b.records()[0].Fired[0].Rule)
	require.Equal(t, "v1", b.records()[0].Fired[0].Version)
	doc, err := b.engine.Get(b.ctx, "w", "hold", h.ID)
	require.NoError(t, err)
	require.NotContains(t, string(doc.Value), `"prompt":`)
}

func TestRecordsTellTheWholeStory(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	bundle, err := governance.NewBundle(nil, policyOptions(t))
	require.NoError(t, err)
	b.desk = governance.NewDesk(b.engine, governance.NewLive(bundle), governance.DeskOptions{})
	p, err := b.desk.Plan(b.ctx, &governance.Turn{TraceID: "cad_1", Sealed: seal("refund", "read"), AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: "w", Conversation: "c", Requester: alice, Tools: map[string]governance.Tool{
			"refund": {Type: "function", Name: "refund"}, "read": {Type: "function", Name: "read"}}}})
	require.NoError(t, err)
	_, err = b.desk.Commit(b.ctx, p, asked("c"))
	require.NoError(t, err)
	h := p.Hold
	b.answer(h.ID, governance.Answer{Yes: true, TraceID: "cad_2"})
	list := b.records()
	type line struct{ event, tool, answer, resolver, channel string }
	var story []line
	ids := map[string]bool{}
	for _, r := range list {
		story = append(story, line{r.Event, r.Tool, r.Answer, r.Resolver, r.Channel})
		ids[r.ID] = true
		require.Equal(t, "w", r.Workspace)
		require.Equal(t, "c", r.Conversation)
		require.Equal(t, "cad_1", r.TraceID)
		require.Equal(t, h.ID, r.Hold)
		require.Equal(t, "c", r.PromptHash)
		require.Equal(t, h.Expires, r.Expires)
		require.False(t, r.At.IsZero())
		if r.Tool != "" {
			require.NotEmpty(t, r.ActionDigest)
			require.NotEmpty(t, r.CallID)
		}
		if r.Event == governance.EventDecision || r.Event == governance.EventRelease && r.Tool != "" {
			require.Equal(t, bundle.Version(), r.Bundle)
		}
		if r.Event == governance.EventAnswer {
			require.Equal(t, "cad_2", r.Via)
		}
	}
	require.Len(t, ids, len(list))
	require.Equal(t, []line{
		{"decision", "refund", "", "", ""},
		{"decision", "read", "", "", ""},
		{"answer", "refund", "yes", "key_a", "chat"},
		{"release", "refund", "yes", "key_a", "chat"},
		{"release", "read", "along", "policy", "policy"},
		{"release", "", "", "key_a", "chat"},
	}, story)
}

func TestAnAnswerIsRecordedWithTheQuestionItWasGivenTo(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	h := b.asks("c", "refund", "email")
	b.answer(h.ID, governance.Answer{Items: []int{1}})
	var hashes []string
	for _, r := range b.records()[2:] {
		hashes = append(hashes, r.Event+" "+r.PromptHash)
	}
	require.Equal(t, []string{"answer c", "ask again"}, hashes)
}
