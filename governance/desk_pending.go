package governance

import (
	"context"
	"errors"
	"slices"
	"time"

	"cadreen/fault"
	"cadreen/store"
)

// ConfirmHold takes the requester's yes to everything that a hold still asks of
// them, said outside of the chat: the calls go out with the next request of their
// conversation, as after a reviewer's decision. It answers the hold as it is
// afterwards, and whether it was answered so before. Errors: policy_not_found for an
// unknown hold, forbidden for anybody but the one who was asked, and
// policy_confirm_failed for one that ended otherwise or waits for a reviewer alone.
func (d *Desk) ConfirmHold(ctx context.Context, workspace, id string, by Requester, traceID string) (out Hold, already bool, err error) {
	if _, _, err := d.holds.Get(ctx, workspace, id); errors.Is(err, store.ErrNotFound) {
		return out, false, fault.New(fault.PolicyNotFound, "no held call %.80q", id)
	} else if err != nil {
		return out, false, storeFault(err)
	}
	var refused error
	err = d.change(ctx, workspace, id, func(h *Hold, now time.Time) (bool, []Record) {
		already, refused = false, nil
		defer func() { out = *h }()
		if by.ID != h.Principal {
			refused = fault.New(fault.Forbidden, "this was asked of somebody else")
			return false, nil
		}
		if h.overdue(now) {
			h.expire(now, ChannelAPI)
			refused = fault.New(fault.PolicyConfirmFailed, "Nothing was confirmed: the question is over (%s)", h.State)
			return true, nil
		}
		numbered := h.Numbered()
		yes := slices.ContainsFunc(h.Items, func(i Item) bool { return i.Answer == AnswerYes })
		switch {
		case h.State == StateReleased || h.State == StateHeld && len(numbered) == 0 && yes:
			already = true
			return false, nil
		case h.State != StateHeld:
			refused = fault.New(fault.PolicyConfirmFailed, "Nothing was confirmed: the question is over (%s)", h.State)
			return false, nil
		case len(numbered) == 0:
			refused = fault.New(fault.PolicyConfirmFailed, "Nothing was confirmed: this waits for a reviewer, whose decision is about its escalation")
			return false, nil
		}
		var records []Record
		for _, i := range numbered {
			it := &h.Items[i]
			it.answered(AnswerYes, by.ID, ChannelAPI, now)
			r := h.itemRecord(EventAnswer, *it, now)
			r.Via = traceID
			records = append(records, r)
		}
		h.settle(now, by.ID, ChannelAPI)
		return true, records
	})
	if err == nil {
		err = refused
	}
	return out, already, err
}
