package governance

import (
	"context"
	"errors"
	"time"

	"cadreen/fault"
	"cadreen/store"
)

// Answer is what a requester said to a prompt, or, with Pickup, the arrival of
// the next request after a reviewer's decision.
type Answer struct {
	Yes     bool
	Items   []int // numbers of the prompt, from 1; nil means all of them
	Pickup  bool  // no words: take what is ready
	By      Requester
	TraceID string
	Key     string // Idempotency-Key of the request, "" if none
	Retry   bool   // the client says that it sends this again
	// Ask renders the question anew where some of it stays open.
	Ask func(*Hold) Asked
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
	ResultChanged  Result = "changed"  // today's policies do not let it go
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
// learn what was recorded.
func (d *Desk) Answer(ctx context.Context, workspace, id string, a Answer) (Answered, error) {
	for range attempts {
		h, version, err := d.holds.Get(ctx, workspace, id)
		if err != nil {
			return Answered{}, storeFault(err)
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return Answered{}, storeFault(err)
		}
		if h.State == StateHeld && !now.Before(h.Expires) {
			if err := d.expireIfDue(ctx, workspace, id); err != nil {
				return Answered{}, err
			}
			continue
		}
		if h.State != StateHeld {
			return d.over(ctx, h, a, now)
		}
		out, ops, err := d.take(ctx, &h, version, a, now)
		if err != nil {
			return Answered{}, err
		}
		out.Hold = h
		if len(ops) == 0 {
			return out, nil
		}
		err = d.engine.Commit(ctx, workspace, ops...)
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

// take applies the words to the hold and answers what to commit.
func (d *Desk) take(ctx context.Context, h *Hold, version int64, a Answer, now time.Time) (Answered, []store.Op, error) {
	var ops []store.Op
	var took []Item
	if !a.Pickup {
		took = h.apply(a, now)
	}
	out := Answered{Result: ResultWaiting}
	switch {
	case len(took) > 0:
	case !a.Pickup && !a.Yes && a.Items == nil:
		// A no where only a reviewer could say yes takes the request back.
		h.close(StateCancelled, now, a.By.ID, "chat", "the requester took it back")
		out.Result = ResultDenied
		more, err := d.closeOps(ctx, h, version, true)
		return out, more, err
	case !h.Ready:
		return out, nil, nil // only a reviewer can move this hold
	}
	h.settle(now, a.By.ID, "chat")
	if h.Ready {
		beside, _, err := d.bytes.Get(ctx, h.Workspace, h.ID)
		switch {
		case errors.Is(err, store.ErrNotFound):
			h.close(StateCancelled, now, a.By.ID, "chat", "the argument bytes were erased")
			out.Result = ResultErased
		case err != nil:
			return out, nil, storeFault(err)
		default:
			fresh, err := d.decideAgain(h, beside, a.By, now)
			if err != nil {
				return out, nil, err
			}
			ops = append(ops, fresh...)
			if h.Ready {
				more, err := d.releaseOps(h, beside, a, now, &out)
				if err != nil {
					return out, nil, err
				}
				ops = append(ops, more...)
			} else {
				out.Result = ResultChanged
			}
		}
	} else if h.State == StateDenied {
		out.Result = ResultDenied
	}
	if h.State == StateHeld {
		if h.waits(Confirm) {
			out.Result = ResultOpen
		}
		if a.Ask != nil && (h.waits(Confirm) || out.Result == ResultChanged) {
			more, err := d.reask(ctx, h, a.Ask(h))
			if err != nil {
				return out, nil, err
			}
			ops = append(ops, more...)
		}
	}
	for _, it := range took {
		rec, err := appendRecord(h.itemRecord(EventAnswer, it))
		if err != nil {
			return out, nil, err
		}
		ops = append(ops, rec)
	}
	more, err := d.closeOps(ctx, h, version, true)
	return out, append(ops, more...), err
}

// reask moves the hold's claim to its new question.
func (d *Desk) reask(ctx context.Context, h *Hold, ask Asked) ([]store.Op, error) {
	before, ops := h.claimID(), d.unclaim(ctx, h)
	h.asked(ask)
	if h.claimID() == before {
		return nil, nil
	}
	put, err := d.claims.Create(h.claimID(), claim{Hold: h.ID})
	return append(ops, put), err
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
	var took []Item
	for _, i := range numbered {
		it := &h.Items[i]
		switch {
		case a.Items == nil && a.Yes, chosen[i] && a.Yes:
			it.Answer = AnswerYes
		case a.Items == nil, chosen[i], a.Yes:
			// A plain no, a no to this number, or a yes to other numbers.
			it.Answer = AnswerNo
		default:
			continue // "no 2" leaves the rest open
		}
		it.By, it.At = a.By.ID, now
		took = append(took, *it)
	}
	return took
}

// decideAgain judges the calls under today's policies with the facts of the
// time they were held. Where the verdict is stricter than what was lifted, it
// counts: the call is refused, or waits again.
func (d *Desk) decideAgain(h *Hold, beside holdBytes, by Requester, now time.Time) ([]store.Op, error) {
	facts := beside.Facts
	facts.Now = now
	facts.Requester.Roles, facts.Requester.Claims = by.Roles, by.Claims
	var calls []Call
	var at []int
	for i, it := range h.Items {
		if it.May() {
			calls, at = append(calls, beside.Calls[i].Call), append(at, i)
		}
	}
	var ops []store.Op
	stricter := false
	for j, i := range at {
		it := &h.Items[i]
		facts.Confirmed = it.Answer == AnswerYes
		cd := d.decider.Decide(facts, calls)[j]
		if cd.Verdict <= it.lifted() && cd.Verdict != Clarify {
			continue
		}
		stricter = true
		it.Decision, it.Message, it.Verdict = cd, cd.Message, cd.Verdict
		it.By, it.At = "policy", now
		switch cd.Verdict {
		case Confirm, Escalate:
			it.Answer, it.To, it.SelfReview = AnswerNone, cd.To, cd.SelfReview
			if cd.Verdict == Escalate {
				it.Escalation = newEscalationID()
				e := newEscalation(h, *it, beside.Calls[i].Call)
				e.CreatedAt = now
				op, err := d.escalations.Create(e.ID, e, e.index()...)
				if err != nil {
					return nil, err
				}
				ops = append(ops, op)
			}
		default:
			it.Answer = AnswerPolicy
		}
		rec, err := appendRecord(h.itemRecord(EventDecision, *it))
		if err != nil {
			return nil, err
		}
		ops = append(ops, rec)
	}
	if stricter {
		h.Ready = false
		h.settle(now, "policy", "policy")
	}
	return ops, nil
}

// lifted is the strictest verdict that the item's answer lifts.
func (i Item) lifted() Verdict {
	switch i.Answer {
	case AnswerApprove:
		return Escalate
	case AnswerYes:
		return Confirm
	}
	return Allow
}

// releaseOps end the hold with a release.
func (d *Desk) releaseOps(h *Hold, beside holdBytes, a Answer, now time.Time, out *Answered) ([]store.Op, error) {
	h.close(StateReleased, now, a.By.ID, "chat", "")
	h.ReleaseKey = a.Key
	out.Result = ResultReleased
	out.Calls = h.releases(beside)
	facts := beside.Facts
	facts.Now = now
	var ops []store.Op
	for i, it := range h.Items {
		event := EventRelease
		if !it.May() {
			event = EventDeny
		} else {
			op, err := d.observe(&facts, a.TraceID, beside.Calls[i].Call)
			if err != nil {
				return nil, err
			}
			ops = append(ops, op)
		}
		rec, err := appendRecord(h.itemRecord(event, it))
		if err != nil {
			return nil, err
		}
		ops = append(ops, rec)
	}
	return ops, nil
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

// over answers for a hold that ended before. The same calls go out again for
// the same Idempotency-Key, a declared retry, or a first reply that was not
// written whole, within the replay time.
func (d *Desk) over(ctx context.Context, h Hold, a Answer, now time.Time) (Answered, error) {
	if h.State != StateReleased {
		return Answered{Result: ResultOver, Hold: h}, nil
	}
	again := a.Key != "" && a.Key == h.ReleaseKey
	if !again && now.Sub(h.Closed) <= d.o.Replay {
		again = a.Retry || h.Failed
		if !again && !h.Delivered {
			delivered, err := d.awaitDelivery(ctx, h)
			if err != nil {
				return Answered{}, err
			}
			again = !delivered
		}
	}
	if !again {
		return Answered{Result: ResultAlready, Hold: h}, nil
	}
	beside, _, err := d.bytes.Get(ctx, h.Workspace, h.ID)
	if errors.Is(err, store.ErrNotFound) {
		return Answered{Result: ResultErased, Hold: h}, nil
	}
	if err != nil {
		return Answered{}, storeFault(err)
	}
	return Answered{Result: ResultReleased, Hold: h, Calls: h.releases(beside), Repeat: true}, nil
}

// awaitDelivery waits for the reply that another request is writing at this
// moment, so that a double click does not get the calls twice.
func (d *Desk) awaitDelivery(ctx context.Context, h Hold) (bool, error) {
	wait, cancel := context.WithTimeout(ctx, d.o.Await)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		now, _, err := d.holds.Get(ctx, h.Workspace, h.ID)
		if err != nil {
			return false, storeFault(err)
		}
		if now.Delivered || now.Failed {
			return now.Delivered, nil
		}
		select {
		case <-wait.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
	}
}

// Delivered notes whether the reply that released a hold was written whole.
func (d *Desk) Delivered(ctx context.Context, workspace, id string, whole bool) error {
	for range attempts {
		h, version, err := d.holds.Get(ctx, workspace, id)
		if err != nil {
			return storeFault(err)
		}
		if h.Delivered {
			return nil
		}
		h.Delivered, h.Failed = whole, !whole
		put, err := d.holds.Replace(id, version, h, h.index()...)
		if err != nil {
			return err
		}
		err = d.engine.Commit(ctx, workspace, put)
		if err == nil {
			return nil
		}
		if !errors.Is(err, store.ErrConflict) {
			return storeFault(err)
		}
	}
	return fault.New(fault.StoreUnavailable, "the delivery could not be noted")
}
