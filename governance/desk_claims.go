package governance

import (
	"context"
	"errors"
	"time"

	"cadreen/store"
)

// claim keeps two open holds from being asked about in the same words.
type claim struct {
	Hold string `json:"hold"`
}

// claimID is the place of a question: who was asked, in which group, in which
// words after which message.
func (h *Hold) claimID() string { return placeKey(h.Principal, h.Group, h.Pair) }

// claimOps take the claim on the question. The same transcript asking again
// about the same calls replaces its old hold.
func (d *Desk) claimOps(ctx context.Context, h *Hold, books *books) ([]store.Op, error) {
	c := claim{Hold: h.ID}
	old, version, err := d.claims.Get(ctx, h.Workspace, h.claimID())
	if errors.Is(err, store.ErrNotFound) {
		op, err := d.claims.Create(h.claimID(), c)
		return []store.Op{op}, err
	}
	if err != nil {
		return nil, storeFault(err)
	}
	take, err := d.claims.Replace(h.claimID(), version, c)
	if err != nil {
		return nil, err
	}
	prior, priorVersion, err := d.holds.Get(ctx, h.Workspace, old.Hold)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return []store.Op{take}, nil
	case err != nil:
		return nil, storeFault(err)
	case prior.State != StateHeld:
		return []store.Op{take}, nil
	case !h.Created.Before(prior.Expires):
		prior.expire(h.Created, ChannelAsk)
	case prior.Transcript != h.Transcript || prior.CallsDigest != h.CallsDigest:
		return nil, ErrClaimed
	default:
		prior.close(StateSuperseded, h.Created, h.Principal, ChannelAsk, "the same conversation asked again")
	}
	// The claim itself is taken over, not given free.
	ops, err := d.keepOps(ctx, &prior, priorVersion, h.Created, books)
	if err != nil {
		return nil, err
	}
	more, err := d.endEscalations(ctx, &prior)
	return append(append(ops, more...), take), err
}

// reask puts the hold's question anew and moves its claim there.
func (d *Desk) reask(h *Hold, ask Asked, now time.Time) ([]store.Op, error) {
	before := h.claimID()
	old := d.unclaim(h)
	h.asked(ask)
	line, err := appendRecord(h.record(EventAsk, now))
	if err != nil {
		return nil, err
	}
	if h.claimID() == before {
		return []store.Op{line}, nil
	}
	put, err := d.claims.Create(h.claimID(), claim{Hold: h.ID})
	return []store.Op{old, put, line}, err
}

// unclaim gives the question's words free again. They are this hold's as long as
// it is held in the version that the same commit replaces: whoever takes them over
// ends it in that commit.
func (d *Desk) unclaim(h *Hold) store.Op { return d.claims.Remove(h.claimID(), 0) }
