package governance

import (
	"context"
	"errors"
	"time"

	"cadreen/store"
)

// Erase takes away the arguments, the facts and what was rendered of them, of all
// calls that a request proposed. The records and the verdicts stay. A hold whose
// bytes are gone can no longer be released. It answers how many turns it was.
func (d *Desk) Erase(ctx context.Context, workspace, traceID string) (int, error) {
	list, err := d.evidence.List(ctx, workspace, store.Query{Index: "trace", Key: traceID, Limit: store.MaxLimit})
	if err != nil {
		return 0, storeFault(err)
	}
	for _, it := range list {
		e := it.Value
		e.strip(MissingErased)
		put, err := d.evidence.Set(it.ID, e, e.index()...)
		if err != nil {
			return 0, err
		}
		if err := d.eraseTurn(ctx, workspace, e, put); err != nil {
			return 0, err
		}
	}
	calls, err := d.calls.List(ctx, workspace, store.Query{Index: "trace", Key: traceID, Limit: store.MaxLimit})
	if err != nil {
		return 0, storeFault(err)
	}
	var ops []store.Op
	for _, c := range calls {
		ops = append(ops, d.calls.Remove(c.ID, 0))
	}
	if err := d.engine.Commit(ctx, workspace, ops...); err != nil {
		return 0, storeFault(err)
	}
	return len(list), nil
}

// eraseTurn takes away what is kept of a turn beside its evidence, together with
// what is to become of that.
func (d *Desk) eraseTurn(ctx context.Context, workspace string, e Evidence, op store.Op) error {
	for range tries(ctx) {
		ops := []store.Op{op}
		h, version, err := d.holds.Get(ctx, workspace, e.Hold)
		switch {
		case e.Hold == "" || errors.Is(err, store.ErrNotFound):
		case err != nil:
			return storeFault(err)
		default:
			more, err := d.eraseHold(ctx, &h, version)
			if err != nil {
				return err
			}
			ops = append(ops, more...)
		}
		err = d.engine.Commit(ctx, workspace, ops...)
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

// eraseHold are the steps that take the arguments out of a hold, of its bytes and
// of its escalations.
func (d *Desk) eraseHold(ctx context.Context, h *Hold, version int64) ([]store.Op, error) {
	var ops []store.Op
	for i := range h.Items {
		it := &h.Items[i]
		it.Message, it.Decision.Message = "", ""
		it.Decision.Fired = withoutArguments(it.Decision.Fired)
		if it.Escalation == "" {
			continue
		}
		e, version, err := d.escalations.Get(ctx, h.Workspace, it.Escalation)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, storeFault(err)
		}
		e.Arguments, e.HumanPrompt, e.ErrorMessage = "", "", ""
		put, err := d.escalations.Replace(e.ID, version, e, e.index()...)
		if err != nil {
			return nil, err
		}
		ops = append(ops, put)
	}
	put, err := d.holds.Replace(h.ID, version, *h, h.index()...)
	return append(ops, put, d.bytes.Remove(h.ID, 0)), err
}

// Retain deletes what is older than DeskOptions.Retention in every workspace:
// evidence, the bytes of holds that ended, and released calls that rules could ask
// for. The records stay.
func (d *Desk) Retain(ctx context.Context) error {
	return d.everywhere(ctx, func(workspace string, now time.Time) error {
		before := now.Add(-d.o.Retention)
		return errors.Join(d.retainEvidence(ctx, workspace, before), d.retainCalls(ctx, workspace, before))
	})
}

func (d *Desk) retainEvidence(ctx context.Context, workspace string, before time.Time) error {
	for stays := 0; ; {
		old, err := d.evidence.List(ctx, workspace, store.Query{Index: "kept", Max: before.UnixMilli(), Offset: stays, Limit: sweepPage})
		if err != nil {
			return storeFault(err)
		}
		for _, it := range old {
			if open, err := d.isOpen(ctx, workspace, it.Value.Hold); err != nil {
				return err
			} else if open {
				stays++ // its question waits longer than that
				continue
			}
			if err := d.eraseTurn(ctx, workspace, it.Value, d.evidence.Remove(it.ID, 0)); err != nil {
				return err
			}
		}
		if len(old) < sweepPage {
			return nil
		}
	}
}

func (d *Desk) isOpen(ctx context.Context, workspace, hold string) (bool, error) {
	if hold == "" {
		return false, nil
	}
	h, _, err := d.holds.Get(ctx, workspace, hold)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, storeFault(err)
	}
	return h.State == StateHeld, nil
}

func (d *Desk) retainCalls(ctx context.Context, workspace string, before time.Time) error {
	for {
		old, err := d.calls.List(ctx, workspace, store.Query{Index: "kept", Max: before.UnixMilli(), Limit: sweepPage})
		if err != nil {
			return storeFault(err)
		}
		var ops []store.Op
		for _, it := range old {
			ops = append(ops, d.calls.Remove(it.ID, 0))
		}
		if err := d.engine.Commit(ctx, workspace, ops...); err != nil {
			return storeFault(err)
		}
		if len(old) < sweepPage {
			return nil
		}
	}
}
