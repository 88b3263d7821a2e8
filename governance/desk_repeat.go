package governance

import (
	"context"
	"errors"
	"time"

	"cadreen/fault"
	"cadreen/store"
)

// awaitStep is how often a delivery that is under way is looked at.
const awaitStep = 20 * time.Millisecond

// over answers for a hold that ended before. The same calls go out again for
// the same words with the same Idempotency-Key, or, within the replay time, for
// a declared retry or where the first reply was not written whole. Other words
// are no repeat: a no never brings out what a yes released.
func (d *Desk) over(ctx context.Context, h Hold, a Answer, now time.Time) (Answered, error) {
	if h.State != StateReleased {
		return Answered{Result: ResultOver, Hold: h}, nil
	}
	if !h.repeats(a) {
		return Answered{Result: ResultAlready, Hold: h}, nil
	}
	again := a.Key != "" && a.Key == h.ReleaseKey
	if !again && now.Sub(h.Closed) <= d.o.Replay {
		again = a.Retry || h.Failed && !h.Delivered
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
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Answered{}, storeFault(err)
	}
	if len(beside.Calls) != len(h.Items) {
		return Answered{Result: ResultErased, Hold: h}, nil
	}
	return Answered{Result: ResultReleased, Hold: h, Calls: h.releases(beside), Repeat: true}, nil
}

// repeats says whether an answer says what the one said that released the hold.
// A yes to what was picked up meanwhile asks for the same.
func (h *Hold) repeats(a Answer) bool {
	words := a.words()
	return words == h.ReleaseAnswer || words == "yes" && h.ReleaseAnswer == PickedUp
}

// awaitDelivery waits for the reply that another request is writing at this
// moment, so that a double click does not get the calls twice.
func (d *Desk) awaitDelivery(ctx context.Context, h Hold) (bool, error) {
	wait, cancel := context.WithTimeout(ctx, d.o.Await)
	defer cancel()
	tick := time.NewTicker(awaitStep)
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

// Delivered notes whether the reply that released a hold was written whole. Once
// it is known to have been, nothing takes that back. h is the hold as Answer gave
// it; of another one it is enough that its id is there.
func (d *Desk) Delivered(ctx context.Context, workspace string, h Hold, whole bool) error {
	id, version := h.ID, h.version
	for try := range tries(ctx) {
		if try > 0 || version == 0 {
			var err error
			if h, version, err = d.holds.Get(ctx, workspace, id); err != nil {
				return storeFault(err)
			}
		}
		if h.State != StateReleased || h.Delivered || h.Failed && !whole {
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
