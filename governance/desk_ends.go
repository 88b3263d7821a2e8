package governance

import (
	"context"
	"errors"
	"slices"
	"time"

	"cadreen/store"
)

// Supersede records that the requester went on without answering. What a
// reviewer decides, or decided already, goes on without the calls that were
// passed over. Holds that were answered meanwhile stay as they are.
func (d *Desk) Supersede(ctx context.Context, workspace, id string) error {
	return d.change(ctx, workspace, id, func(h *Hold, now time.Time) (bool, []Record) {
		const why = "the requester went on without answering"
		switch {
		case h.State != StateHeld:
			return false, nil
		case h.overdue(now):
			h.expire(now, ChannelChat)
			return true, nil
		case !h.waits(Confirm):
			return false, nil
		case !slices.ContainsFunc(h.Items, Item.reviewed):
			h.close(StateSuperseded, now, h.Principal, ChannelChat, why)
			return true, nil
		}
		var records []Record
		for _, i := range h.Numbered() {
			it := &h.Items[i]
			it.answered(AnswerPassed, h.Principal, ChannelChat, now)
			r := h.itemRecord(EventSupersede, *it, now)
			r.Reason = why
			records = append(records, r)
		}
		h.settle(now, h.Principal, ChannelChat)
		return true, records
	})
}

// reviewed says that a call waits for a reviewer or was let go by one.
func (i Item) reviewed() bool {
	return i.Verdict == Escalate && i.Open() || i.Answer == AnswerApprove
}

// expireIfDue turns an overdue hold into its visible end.
func (d *Desk) expireIfDue(ctx context.Context, workspace, id string) error {
	return d.change(ctx, workspace, id, func(h *Hold, now time.Time) (bool, []Record) {
		if !h.overdue(now) {
			return false, nil
		}
		h.expire(now, ChannelSweep)
		return true, nil
	})
}

// change applies fn to a hold by compare-and-set, again after a lost race. fn
// answers false to leave it as it is, and what there is to record beside the end
// of the hold.
func (d *Desk) change(ctx context.Context, workspace, id string, fn func(*Hold, time.Time) (bool, []Record)) error {
	for range tries(ctx) {
		h, version, err := d.holds.Get(ctx, workspace, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return storeFault(err)
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return storeFault(err)
		}
		books := d.books(workspace)
		changed, records := fn(&h, now)
		if !changed {
			return nil
		}
		ops, err := appendRecords(nil, records)
		if err != nil {
			return err
		}
		more, err := d.closeOps(ctx, &h, version, now, books)
		if err != nil {
			return err
		}
		ledger, err := books.ops(now)
		if err != nil {
			return err
		}
		err = d.engine.Commit(ctx, workspace, slices.Concat(ops, more, ledger)...)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return storeFault(err)
		}
		return nil
	}
	return busy()
}

var eventOf = map[State]string{StateExpired: EventExpire, StateSuperseded: EventSupersede,
	StateDenied: EventDeny, StateCancelled: EventCancel, StateReleased: EventRelease}

// closeOps write a changed hold; where it ended, also its record, and the ends of
// its escalations and of its claim.
func (d *Desk) closeOps(ctx context.Context, h *Hold, version int64, now time.Time, books *books) ([]store.Op, error) {
	ops, err := d.keepOps(ctx, h, version, now, books)
	if err != nil || h.State == StateHeld {
		return ops, err
	}
	more, err := d.endEscalations(ctx, h)
	return append(append(ops, d.unclaim(h)), more...), err
}

// keepOps write a changed hold and, where it ended, its record. What it keeps
// back in the ledger follows it, in books.
func (d *Desk) keepOps(ctx context.Context, h *Hold, version int64, now time.Time, books *books) ([]store.Op, error) {
	if err := books.keep(ctx, h, now); err != nil {
		return nil, err
	}
	put, err := d.holds.Replace(h.ID, version, *h, h.index()...)
	if err != nil || h.State == StateHeld {
		return []store.Op{put}, err
	}
	rec, err := appendRecord(h.record(eventOf[h.State], h.Closed))
	return []store.Op{put, rec}, err
}

// retainEvery is how often the desk looks for what retention deletes.
const retainEvery = 10 * time.Minute

// Run expires overdue holds until ctx ends, looking once a second, and deletes
// what retention says.
func (d *Desk) Run(ctx context.Context) {
	tick, old := time.NewTicker(time.Second), time.NewTicker(retainEvery)
	defer tick.Stop()
	defer old.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-old.C:
			if err := d.Retain(ctx); err != nil && ctx.Err() == nil {
				d.o.Logger.Warn("deleting old evidence failed; it is tried again", "error", err)
			}
		case <-tick.C:
			if err := d.Sweep(ctx); err != nil && ctx.Err() == nil {
				d.o.Logger.Warn("sweeping expired holds failed; it is tried again", "error", err)
			}
		}
	}
}

// sweepPage is how many overdue holds are read at once.
const sweepPage = 100

// Sweep expires every overdue hold of every workspace now. A workspace where
// that fails does not keep the others waiting.
func (d *Desk) Sweep(ctx context.Context) error {
	return d.everywhere(ctx, func(workspace string, now time.Time) error { return d.sweep(ctx, workspace, now) })
}

// everywhere does something in every workspace, at one time of the engine's clock.
// Where it fails the others have their turn all the same.
func (d *Desk) everywhere(ctx context.Context, do func(workspace string, now time.Time) error) error {
	now, err := d.engine.Now(ctx)
	if err != nil {
		return storeFault(err)
	}
	workspaces, err := d.engine.Workspaces(ctx)
	if err != nil {
		return storeFault(err)
	}
	var errs []error
	for _, ws := range workspaces {
		errs = append(errs, do(ws, now))
	}
	return errors.Join(errs...)
}

func (d *Desk) sweep(ctx context.Context, workspace string, now time.Time) error {
	for {
		due, err := d.engine.List(ctx, workspace, kindHold, store.Query{Index: "open", Key: "all", Max: now.UnixMilli(), Limit: sweepPage})
		if err != nil {
			return storeFault(err)
		}
		var errs []error
		for _, doc := range due {
			errs = append(errs, d.expireIfDue(ctx, workspace, doc.ID))
		}
		if err := errors.Join(errs...); err != nil || len(due) < sweepPage {
			return err
		}
	}
}
