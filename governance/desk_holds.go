package governance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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

func (h *Hold) claimID() string { return scoped(h.Principal+"\x00"+h.Group, h.Pair) }

// index positions of a hold: `pair` and `chat` for finding it by what the
// transcript shows, `live` while it is held, `open` for the sweeper.
func (h *Hold) index() []store.Index {
	at := h.Created.UnixMilli()
	list := []store.Index{
		{Name: "pair", Key: scoped(h.Principal, h.Pair), Score: at},
		{Name: "chat", Key: scoped(h.Principal, h.Conversation), Score: at},
	}
	if h.State == StateHeld {
		list = append(list,
			store.Index{Name: "live", Key: scoped(h.Principal, h.Conversation), Score: at},
			store.Index{Name: "open", Key: "all", Score: h.Expires.UnixMilli()})
	}
	return list
}

// HoldsByPair are the newest holds of a principal that were asked about in this
// place of a transcript, open or not, newest first.
func (d *Desk) HoldsByPair(ctx context.Context, workspace, principal, pair string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "pair", Key: scoped(principal, pair), Desc: true, Limit: 20})
}

// HoldsByConversation are the newest holds of a conversation, open or not,
// newest first.
func (d *Desk) HoldsByConversation(ctx context.Context, workspace, principal, conversation string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "chat", Key: scoped(principal, conversation), Desc: true, Limit: 50})
}

// LiveHolds are the holds of a conversation that are still held, newest first.
func (d *Desk) LiveHolds(ctx context.Context, workspace, principal, conversation string) ([]Hold, error) {
	return d.list(ctx, workspace, store.Query{Index: "live", Key: scoped(principal, conversation), Desc: true, Limit: 50})
}

func (d *Desk) list(ctx context.Context, workspace string, q store.Query) ([]Hold, error) {
	items, err := d.holds.List(ctx, workspace, q)
	if err != nil {
		return nil, storeFault(err)
	}
	list := make([]Hold, len(items))
	for i, it := range items {
		list[i] = it.Value
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
	calls := make([]Call, len(h.Items))
	beside, _, err := d.bytes.Get(ctx, workspace, id)
	if errors.Is(err, store.ErrNotFound) {
		for i, it := range h.Items {
			calls[i] = Call{ID: it.CallID, Name: it.Name, Form: it.Form}
		}
		return calls, nil
	}
	if err != nil {
		return nil, storeFault(err)
	}
	for i, c := range beside.Calls {
		calls[i] = c.Call
	}
	return calls, nil
}

// Observed are the calls of a conversation that went out through this proxy:
// those stored under the conversation when the client named it in the body, and
// those whose ids stand in the transcript.
func (d *Desk) Observed(ctx context.Context, workspace, principal, conversation string, ids []string) ([]Released, error) {
	seen := map[string]bool{}
	var out []Released
	add := func(q store.Query) error {
		items, err := d.calls.List(ctx, workspace, q)
		if err != nil {
			return storeFault(err)
		}
		for _, it := range items {
			if !seen[it.ID] {
				seen[it.ID] = true
				out = append(out, it.Value.Released)
			}
		}
		return nil
	}
	if conversation != "" {
		if err := add(store.Query{Index: "chat", Key: scoped(principal, conversation), Limit: 1000}); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := add(store.Query{Index: "call_id", Key: scoped(principal, id), Limit: 10}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Supersede records that the requester went on without answering. Escalations
// go on waiting. Holds that were answered meanwhile stay as they are.
func (d *Desk) Supersede(ctx context.Context, workspace, id string) error {
	return d.change(ctx, workspace, id, func(h *Hold, now time.Time) (bool, error) {
		const why = "the requester went on without answering"
		if h.State != StateHeld || !h.waits(Confirm) {
			return false, nil
		}
		if !h.waits(Escalate) {
			h.close(StateSuperseded, now, h.Principal, "chat", why)
			return true, nil
		}
		for _, i := range h.Numbered() {
			it := &h.Items[i]
			it.Answer, it.By, it.At = AnswerNo, h.Principal, now
		}
		h.settle(now, h.Principal, "chat")
		h.Reason = why
		return true, nil
	})
}

// expireIfDue turns an overdue hold into its visible end; it answers the hold
// as it now stands.
func (d *Desk) expireIfDue(ctx context.Context, workspace, id string) error {
	return d.change(ctx, workspace, id, func(h *Hold, now time.Time) (bool, error) {
		if h.State != StateHeld || now.Before(h.Expires) {
			return false, nil
		}
		h.close(StateExpired, now, "", "sweep", "no answer in time")
		return true, nil
	})
}

// change applies fn to a hold by compare-and-set, again after a lost race. fn
// answers false to leave it as it is. Changes that end the hold are recorded.
func (d *Desk) change(ctx context.Context, workspace, id string, fn func(*Hold, time.Time) (bool, error)) error {
	for range attempts {
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
		changed, err := fn(&h, now)
		if err != nil || !changed {
			return err
		}
		ops, err := d.closeOps(ctx, &h, version, true)
		if err != nil {
			return err
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

var eventOf = map[State]string{StateExpired: EventExpire, StateSuperseded: EventSupersede,
	StateDenied: EventDeny, StateCancelled: EventCancel, StateReleased: EventRelease, StateHeld: EventAnswer}

// closeOps write a hold that ended without a release: the hold, its record, its
// escalations, and, if asked, its claim.
func (d *Desk) closeOps(ctx context.Context, h *Hold, version int64, claimToo bool) ([]store.Op, error) {
	put, err := d.holds.Replace(h.ID, version, *h, h.index()...)
	if err != nil {
		return nil, err
	}
	rec, err := appendRecord(h.record(eventOf[h.State]))
	if err != nil {
		return nil, err
	}
	ops := []store.Op{put, rec}
	if claimToo && h.State != StateHeld {
		ops = append(ops, d.unclaim(ctx, h)...)
	}
	more, err := d.endEscalations(ctx, h, h.Closed)
	return append(ops, more...), err
}

// unclaim gives the question's words free again, if they are still this hold's.
func (d *Desk) unclaim(ctx context.Context, h *Hold) []store.Op {
	c, version, err := d.claims.Get(ctx, h.Workspace, h.claimID())
	if err != nil || c.Hold != h.ID {
		return nil // a stale claim is harmless: the next asker takes it over
	}
	return []store.Op{d.claims.Remove(h.claimID(), version)}
}

// Run expires overdue holds until ctx ends, looking once a second.
func (d *Desk) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.Sweep(ctx); err != nil && ctx.Err() == nil {
				d.o.Logger.Warn("sweeping expired holds failed; it is tried again", "error", err)
			}
		}
	}
}

// Sweep expires every overdue hold of every workspace now.
func (d *Desk) Sweep(ctx context.Context) error {
	now, err := d.engine.Now(ctx)
	if err != nil {
		return storeFault(err)
	}
	workspaces, err := d.engine.Workspaces(ctx)
	if err != nil {
		return storeFault(err)
	}
	for _, ws := range workspaces {
		for {
			due, err := d.list(ctx, ws, store.Query{Index: "open", Key: "all", Max: now.UnixMilli(), Limit: 100})
			if err != nil {
				return err
			}
			for _, h := range due {
				if err := d.expireIfDue(ctx, ws, h.ID); err != nil {
					return err
				}
			}
			if len(due) < 100 {
				break
			}
		}
	}
	return nil
}

func appendRecord(r Record) (store.Op, error) {
	b, err := json.Marshal(r)
	return store.Append{Log: RecordLog, Value: b}, err
}
