package governance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"cadreen/store"
)

// scoped is an index key inside one principal.
func scoped(principal, key string) string {
	h := sha256.New()
	h.Write([]byte(principal))
	h.Write([]byte{0})
	h.Write([]byte(key))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// placeKey names a place of a transcript: in a group ("" for none) of a principal
// or in a conversation, a question after a message.
func placeKey(principal, group, pair string) string { return scoped(principal+"\x00"+group, pair) }

// openFirst is above every unix time in milliseconds and below the largest score.
const openFirst = 1 << 50

// index positions of a hold: `pair`, `place` and `chat` for finding it by what
// the transcript shows, `live` for what a request of its conversation may be
// about, `open` for the sweeper.
func (h *Hold) index() []store.Index {
	at := h.Created.UnixMilli()
	if h.State == StateHeld {
		// Before all that ended: those of a question that is asked again and again
		// must not hide the one that is open.
		at += openFirst
	}
	list := []store.Index{
		{Name: "pair", Key: scoped(h.Principal, h.Pair), Score: at},
		{Name: "place", Key: placeKey(h.Principal, h.Conversation, h.Pair), Score: at},
		{Name: "chat", Key: scoped(h.Principal, h.Conversation), Score: at},
	}
	if h.Group == "" {
		list = append(list, store.Index{Name: "place", Key: placeKey(h.Principal, "", h.Pair), Score: at})
	}
	if h.live() {
		list = append(list, store.Index{Name: "live", Key: scoped(h.Principal, h.Conversation), Score: at})
	}
	if h.State == StateHeld {
		list = append(list, store.Index{Name: "open", Key: "all", Score: h.Expires.UnixMilli()})
	}
	return list
}

// HoldsByPlace are the newest holds of a principal that were asked about in this
// place of a transcript: with a group those of that conversation, without one
// those whose client named none. Open ones first, then the newest first.
func (d *Desk) HoldsByPlace(ctx context.Context, workspace, principal, group, pair string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "place", Key: placeKey(principal, group, pair), Desc: true, Limit: 20})
}

// HoldsByPair are the newest holds of a principal that were asked about in these
// words after this message, in whatever group; open ones first, then the newest
// first.
func (d *Desk) HoldsByPair(ctx context.Context, workspace, principal, pair string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "pair", Key: scoped(principal, pair), Desc: true, Limit: 20})
}

// HoldsByConversation are the newest holds of a conversation; open ones first,
// then the newest first.
func (d *Desk) HoldsByConversation(ctx context.Context, workspace, principal, conversation string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "chat", Key: scoped(principal, conversation), Desc: true, Limit: 50})
}

// live says that a hold is still held, or that its calls were picked up by a
// request and are not known to have arrived.
func (h *Hold) live() bool {
	return h.State == StateHeld || h.State == StateReleased && h.ReleaseAnswer == PickedUp && !h.Delivered
}

// LiveHolds are the holds of a conversation that are still held, and those whose
// calls were picked up and are not known to have arrived, newest first.
func (d *Desk) LiveHolds(ctx context.Context, workspace, principal, conversation string) ([]Hold, error) {
	list, err := d.list(ctx, workspace, store.Query{Index: "live", Key: scoped(principal, conversation), Desc: true, Limit: 50})
	return slices.DeleteFunc(list, func(h Hold) bool { return !h.live() }), err
}

// list reads holds as they are now: what is overdue is expired first.
func (d *Desk) list(ctx context.Context, workspace string, q store.Query) ([]Hold, error) {
	items, err := d.holds.List(ctx, workspace, q)
	if err != nil {
		return nil, storeFault(err)
	}
	var now time.Time
	list := make([]Hold, len(items))
	for i, it := range items {
		list[i] = it.Value
		list[i].version = it.Version
		if list[i].State != StateHeld {
			continue
		}
		if now.IsZero() {
			if now, err = d.engine.Now(ctx); err != nil {
				return nil, storeFault(err)
			}
		}
		if !list[i].overdue(now) {
			continue
		}
		if err := d.expireIfDue(ctx, workspace, it.ID); err != nil {
			return nil, err
		}
		h, version, err := d.holds.Get(ctx, workspace, it.ID)
		if err != nil {
			return nil, storeFault(err)
		}
		list[i], list[i].version = h, version
	}
	return list, nil
}

// HeldCalls are the calls behind a hold's items, in their order; without
// arguments where those were erased.
func (d *Desk) HeldCalls(ctx context.Context, workspace, id string) ([]Call, error) {
	h, _, err := d.holds.Get(ctx, workspace, id)
	if err != nil {
		return nil, storeFault(err)
	}
	return d.heldCalls(ctx, &h)
}

func (d *Desk) heldCalls(ctx context.Context, h *Hold) ([]Call, error) {
	beside, _, err := d.bytes.Get(ctx, h.Workspace, h.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, storeFault(err)
	}
	calls := make([]Call, len(h.Items))
	for i, it := range h.Items {
		calls[i] = Call{ID: it.CallID, Name: it.Name, Form: it.Form}
		if len(beside.Calls) == len(h.Items) {
			calls[i] = beside.Calls[i].Call
		}
	}
	return calls, nil
}
