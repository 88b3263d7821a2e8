package governance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/store"
)

// Answer is what a requester said to a prompt, or, with Pickup, the arrival of
// the next request after a reviewer's decision.
type Answer struct {
	Yes     bool
	Items   []int // numbers of the prompt, from 1; none means all of them
	Pickup  bool  // no words: take what is ready
	By      Requester
	TraceID string
	Key     string // Idempotency-Key of the request, "" if none
	Retry   bool   // the client says that it sends this again
	// Read is the hold as this request has read it; nil is read anew.
	Read *Hold
	// Ask renders the question anew where some of it stays open, with the calls
	// behind the hold's items.
	Ask func(*Hold, []Call) Asked
}

// words are the answer in a form that can be compared: only the same answer is
// a repeat of an earlier one.
func (a Answer) words() string {
	word := "no"
	switch {
	case a.Pickup:
		return PickedUp
	case a.Yes:
		word = "yes"
	}
	if len(a.Items) > 0 {
		return fmt.Sprint(word, " ", a.Items)
	}
	return word
}

// Result is how an answer ended.
type Result string

const (
	ResultReleased Result = "released" // Calls go out
	ResultDenied   Result = "denied"   // nothing goes out, by the requester's word
	ResultOpen     Result = "open"     // some of it is still asked: Hold.Prompt
	ResultWaiting  Result = "waiting"  // a reviewer is still to decide
	ResultAlready  Result = "already"  // released earlier, at Hold.Closed
	ResultOver     Result = "over"     // ended otherwise earlier: Hold.State
	ResultChanged  Result = "changed"  // today's policies do not let it go; where Hold is still held: Hold.Prompt
	ResultErased   Result = "erased"   // the argument bytes are not kept any more
)

// Answered is the outcome of an Answer.
type Answered struct {
	Result Result
	Hold   Hold
	Calls  []Release // ResultReleased: in the order the model proposed them
	Repeat bool      // the same release again
}

// Answer takes an answer to a hold. The release, the record and the end of the
// hold are one commit: of any number of racing answers one wins, and the others
// learn what was recorded. Errors: forbidden for anybody but the one who was
// asked; store_unavailable, and then nothing was released.
func (d *Desk) Answer(ctx context.Context, workspace, id string, a Answer) (Answered, error) {
	for try := range tries(ctx) {
		h, version, err := d.heldOr(ctx, workspace, id, a.Read, try)
		if errors.Is(err, store.ErrNotFound) {
			return Answered{Result: ResultOver}, nil
		}
		if err != nil {
			return Answered{}, storeFault(err)
		}
		if a.By.ID != h.Principal {
			return Answered{}, fault.New(fault.Forbidden, "this was asked of somebody else")
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return Answered{}, storeFault(err)
		}
		if h.overdue(now) {
			if err := d.expireIfDue(ctx, workspace, id); err != nil {
				return Answered{}, err
			}
			continue
		}
		if h.State != StateHeld {
			return d.over(ctx, h, a, now)
		}
		books := d.books(workspace)
		out, ops, err := d.take(ctx, &h, version, a, now, books)
		if err != nil {
			return Answered{}, err
		}
		out.Hold = h
		if len(ops) == 0 {
			return out, nil
		}
		out.Hold.version = version + 1
		ledger, err := books.ops(now)
		if err != nil {
			return Answered{}, err
		}
		err = d.engine.Commit(ctx, workspace, append(ops, ledger...)...)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return Answered{}, storeFault(err)
		}
		return out, nil
	}
	return Answered{}, busy()
}

// heldOr is a hold with its version: as it was read before, the first time and
// where it was held, else as it is now. A commit on what is so no more conflicts.
func (d *Desk) heldOr(ctx context.Context, workspace, id string, read *Hold, try int) (Hold, int64, error) {
	if try > 0 || read == nil || read.version == 0 || read.State != StateHeld {
		h, version, err := d.holds.Get(ctx, workspace, id)
		h.version = version
		return h, version, err
	}
	h := *read
	h.Items, h.Reserved = slices.Clone(h.Items), slices.Clone(h.Reserved)
	return h, h.version, nil
}

// take applies the words to the hold and answers what to commit.
func (d *Desk) take(ctx context.Context, h *Hold, version int64, a Answer, now time.Time, books *books) (Answered, []store.Op, error) {
	out := Answered{Result: ResultWaiting}
	var took []Item
	if !a.Pickup {
		took = h.apply(a, now)
	}
	switch {
	case len(took) > 0:
	case !a.Pickup && !a.Yes && (h.Ready || len(a.Items) == 0):
		// A no where nothing is asked of the requester any more takes the request
		// back: what a reviewer let go, or has not yet decided, is not wanted.
		h.close(StateCancelled, now, a.By.ID, ChannelChat, "the requester took it back")
		out.Result = ResultDenied
		ops, err := d.closeOps(ctx, h, version, now, books)
		return out, ops, err
	case !h.Ready:
		return out, nil, nil // only a reviewer can move this hold
	}
	var records []Record
	for _, it := range took {
		r := h.itemRecord(EventAnswer, it, now)
		r.Via = a.TraceID
		records = append(records, r)
	}
	ops, err := appendRecords(nil, records)
	if err != nil {
		return out, nil, err
	}
	h.settle(now, a.By.ID, ChannelChat)
	if h.Ready {
		more, err := d.letGo(ctx, h, a, now, &out, books)
		if err != nil {
			return out, nil, err
		}
		ops = append(ops, more...)
	}
	switch {
	case h.State == StateDenied && out.Result == ResultWaiting:
		out.Result = ResultDenied
	case h.Confirms() && out.Result == ResultWaiting:
		out.Result = ResultOpen
	}
	if a.Ask != nil && h.State == StateHeld && out.Result != ResultWaiting {
		calls, err := d.heldCalls(ctx, h)
		if err != nil {
			return out, nil, err
		}
		more, err := d.reask(h, a.Ask(h, calls), now)
		if err != nil {
			return out, nil, err
		}
		ops = append(ops, more...)
	}
	more, err := d.closeOps(ctx, h, version, now, books)
	return out, append(ops, more...), err
}

// apply writes the words into the open items and answers those it touched.
func (h *Hold) apply(a Answer, now time.Time) []Item {
	numbered := h.Numbered()
	chosen := map[int]bool{}
	for _, n := range a.Items {
		if n >= 1 && n <= len(numbered) {
			chosen[numbered[n-1]] = true
		}
	}
	all := len(a.Items) == 0
	var took []Item
	for _, i := range numbered {
		it := &h.Items[i]
		switch {
		case all && a.Yes, chosen[i] && a.Yes:
			it.answered(AnswerYes, a.By.ID, ChannelChat, now)
		case all, chosen[i], a.Yes:
			// A plain no, a no to this number, or a yes to other numbers.
			it.answered(AnswerNo, a.By.ID, ChannelChat, now)
		default:
			continue // "no 2" leaves the rest open
		}
		took = append(took, *it)
	}
	return took
}

// letGo releases a ready hold, unless its bytes were erased or today's policies
// say otherwise.
func (d *Desk) letGo(ctx context.Context, h *Hold, a Answer, now time.Time, out *Answered, books *books) ([]store.Op, error) {
	beside, _, err := d.bytes.Get(ctx, h.Workspace, h.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, storeFault(err)
	}
	if len(beside.Calls) != len(h.Items) {
		h.close(StateCancelled, now, "", ChannelErasure, "the argument bytes were erased")
		out.Result = ResultErased
		return nil, nil
	}
	judge, bundle, err := d.judge(ctx, h.Workspace)
	if err != nil {
		return nil, err
	}
	ops, err := d.decideAgain(ctx, judge, bundle, h, beside, a, now, books)
	if err != nil {
		return nil, err
	}
	if !h.Ready {
		out.Result = ResultChanged
		return ops, nil
	}
	for i, it := range h.Items {
		if !it.May() {
			continue
		}
		if err := books.settle(ctx, now, postings(judge, &beside.Facts, beside.Calls[i].Call)); err != nil {
			return nil, err
		}
	}
	more, err := d.releaseOps(h, beside, a, now, bundle)
	out.Result, out.Calls = ResultReleased, h.releases(beside)
	return append(ops, more...), err
}

// decideAgain judges the calls under today's policies and roles with the facts of
// the time they were held. Where the verdict is stricter than what was lifted, it
// counts: the call is refused, or waits again.
//
// The ledger is read anew, without what this hold itself keeps back.
func (d *Desk) decideAgain(ctx context.Context, judge Decider, bundle string, h *Hold, beside holdBytes, a Answer, now time.Time, books *books) (ops []store.Op, err error) {
	facts := beside.Facts
	facts.Now = now
	facts.Requester.Roles, facts.Requester.Claims = a.By.Roles, a.By.Claims
	var calls []Call
	var at []int
	for i, it := range h.Items {
		if it.May() {
			calls, at = append(calls, beside.Calls[i].Call), append(at, i)
		}
	}
	if facts.Ledger, err = books.read(ctx, judge, &facts, calls, func(r reserved) bool { return r.Hold == h.ID }); err != nil {
		return nil, err
	}
	var back []int // items that the answers do not lift
	for j, i := range at {
		it := &h.Items[i]
		facts.Confirmed = it.Answer == AnswerYes
		cd := judge.Decide(facts, calls)[j]
		if it.lifts(cd) {
			it.Decision = cd // what the release stands on
			continue
		}
		back = append(back, i)
		h.holdBack(it, cd, now, d.o.ConfirmExpires)
	}
	if len(back) == 0 {
		return nil, nil
	}
	for _, i := range back {
		it := h.Items[i]
		if it.Open() && it.Verdict == Escalate {
			e := newEscalation(h, it, beside.Calls[i].Call, now)
			op, err := d.escalations.Create(e.ID, e, e.index()...)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		r := h.itemRecord(EventDecision, it, now)
		r.Resolver, r.Channel, r.Bundle, r.Via = byPolicy, ChannelPolicy, bundle, a.TraceID
		line, err := appendRecord(r)
		if err != nil {
			return nil, err
		}
		ops = append(ops, line)
	}
	h.Ready = false
	h.settle(now, byPolicy, ChannelPolicy)
	return ops, nil
}

// holdBack applies a verdict that the item's answer does not lift: the call is
// refused, or asked about anew with a new expiry.
func (h *Hold) holdBack(it *Item, cd CallDecision, now time.Time, expires time.Duration) {
	it.Decision, it.Message, it.Verdict = cd, cd.Message, cd.Verdict
	it.OwnReview, it.Escalation = false, ""
	if cd.Verdict != Confirm && cd.Verdict != Escalate {
		it.answered(AnswerPolicy, byPolicy, ChannelPolicy, now)
		return
	}
	it.answered(AnswerNone, "", "", time.Time{})
	it.To, it.SelfReview, it.Expires = cd.To, cd.SelfReview, cmp.Or(cd.Expires, expires)
	h.extend(now.Add(it.Expires))
	if cd.Verdict == Escalate {
		it.Escalation = newEscalationID()
	}
}

// lifts says whether the item's answer is enough for a verdict. A missing fact
// is lifted by the fact alone, and an approval with the requester's own key only
// where the rules still allow that.
func (i Item) lifts(cd CallDecision) bool {
	if cd.Verdict == Clarify || cd.Verdict == Escalate && i.OwnReview && !cd.SelfReview {
		return false
	}
	switch i.Answer {
	case AnswerApprove:
		return cd.Verdict <= i.Verdict // a reviewer may have answered for the requester
	case AnswerYes:
		return cd.Verdict <= Confirm
	}
	return cd.Verdict <= Allow
}

// releaseOps end the hold with a release.
func (d *Desk) releaseOps(h *Hold, beside holdBytes, a Answer, now time.Time, bundle string) ([]store.Op, error) {
	h.close(StateReleased, now, a.By.ID, ChannelChat, "")
	h.ReleaseKey, h.ReleaseAnswer = a.Key, a.words()
	facts := beside.Facts
	facts.Now = now
	var ops []store.Op
	var records []Record
	for i, it := range h.Items {
		event := EventDeny
		if it.May() {
			event = EventRelease
			op, err := d.observe(&facts, a.TraceID, beside.Calls[i].Call)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		r := h.itemRecord(event, it, now)
		r.Bundle, r.Via = bundle, a.TraceID
		if event == EventDeny {
			r.State = StateDenied
		}
		records = append(records, r)
	}
	return appendRecords(ops, records)
}

func (h *Hold) releases(beside holdBytes) []Release {
	var list []Release
	for i, it := range h.Items {
		if it.May() {
			list = append(list, Release{granted: true, bytes: beside.Calls[i].Members, call: beside.Calls[i].Call})
		}
	}
	return list
}
