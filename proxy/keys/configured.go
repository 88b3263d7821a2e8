package keys

import (
	"context"
	"errors"
	"maps"
	"slices"

	"cadreen/governance"
	"cadreen/store"
)

// configuredKind is the document that says which keys stood in the configuration of
// the last program that started on the store.
const configuredKind = "configured_keys"

// noted is what is known of a configured key afterwards.
type noted struct {
	Workspace string   `json:"workspace"`
	Roles     []string `json:"roles"`
}

// RecordConfigured records which keys of the configuration are new, other than
// before, or gone since a program last started on the store. It is called at a start.
// Replicas with different configurations record the difference at each start.
func (r *Ring) RecordConfigured(ctx context.Context) error {
	now := map[string]noted{}
	for _, p := range r.configured {
		now[p.KeyID] = noted{p.Workspace, p.Roles}
	}
	before := store.Of[map[string]noted](r.engine, configuredKind)
	for {
		was, version, err := before.Get(ctx, store.System, "last")
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		ops, err := r.differences(was, now)
		if err != nil || len(ops) == 0 {
			return err
		}
		put, err := before.Set("last", now)
		if err != nil {
			return err
		}
		put.Create, put.IfVersion = version == 0, version
		if err = r.engine.Commit(ctx, store.System, append(ops, put)...); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

func (r *Ring) differences(was, now map[string]noted) ([]store.Op, error) {
	var ops []store.Op
	add := func(event, id string, n noted) error {
		op, err := governance.AppendRecord(governance.Record{Event: event, Workspace: n.Workspace, Subject: id, Roles: n.Roles,
			At: r.now().UTC(), Channel: governance.ChannelConfiguration})
		ops = append(ops, op)
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if n, ok := now[id]; !ok || n.Workspace != was[id].Workspace {
			if err := add(governance.EventKeyRevoke, id, was[id]); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		n := now[id]
		if w, ok := was[id]; !ok || n.Workspace != w.Workspace || !slices.Equal(n.Roles, w.Roles) {
			if err := add(governance.EventKeyCreate, id, n); err != nil {
				return nil, err
			}
		}
	}
	return ops, nil
}
