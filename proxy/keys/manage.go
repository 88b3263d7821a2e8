package keys

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/governance"
	"cadreen/store"
)

// Kinds and indexes in the workspace store.System.
const (
	kind      = "api_key"
	indexAll  = "all" // every key, by time of creation
	indexID   = "id"  // by the public id
	firstKind = "first_key"
	firstID   = "made" // there is at most one: it says that a first key was made
)

// pageSize bounds one List of the store.
const pageSize = 500

// Create makes a key. The plaintext is returned here and never again. Errors
// wrap ErrInvalid or come from the store.
func (r *Ring) Create(ctx context.Context, t Template) (plaintext string, rec Record, err error) {
	return r.create(ctx, t)
}

// CreateFirst makes a key if none was ever made here and none is configured;
// made says whether it did. Of several processes that start at once, one does.
func (r *Ring) CreateFirst(ctx context.Context, t Template) (plaintext string, rec Record, made bool, err error) {
	if len(r.configured) > 0 {
		return "", Record{}, false, nil
	}
	docs, err := r.engine.List(ctx, store.System, kind, store.Query{Index: indexAll, Limit: 1})
	if err != nil || len(docs) > 0 {
		return "", Record{}, false, err
	}
	mark := store.Put{Doc: store.Doc{Kind: firstKind, ID: firstID, Value: []byte("{}")}, Create: true}
	plaintext, rec, err = r.create(ctx, t, mark)
	if errors.Is(err, store.ErrConflict) {
		return "", Record{}, false, nil
	}
	return plaintext, rec, err == nil, err
}

func (r *Ring) create(ctx context.Context, t Template, more ...store.Op) (string, Record, error) {
	t, err := t.complete()
	if err != nil {
		return "", Record{}, err
	}
	key, now := newSecret(), r.now().UTC()
	rec := Record{
		ID:        "key_" + ulid.MustNew(ulid.Timestamp(now), rand.Reader).String(),
		Name:      t.Name,
		Prefix:    shown(key),
		Workspace: t.Workspace,
		Roles:     t.Roles,
		CreatedAt: now.Truncate(time.Millisecond),
	}
	doc, err := document(hashOf(key).id(), rec)
	if err != nil {
		return "", Record{}, err
	}
	line, err := changed(governance.EventKeyCreate, rec, now)
	if err != nil {
		return "", Record{}, err
	}
	if err := r.engine.Commit(ctx, store.System, append(more, store.Put{Doc: doc, Create: true}, line)...); err != nil {
		return "", Record{}, err
	}
	r.memory.stale()
	return key, rec, nil
}

// List answers every stored key, oldest first, revoked ones included.
func (r *Ring) List(ctx context.Context) ([]Record, error) {
	var list []Record
	for offset := 0; ; offset += pageSize {
		docs, err := r.engine.List(ctx, store.System, kind, store.Query{Index: indexAll, Offset: offset, Limit: pageSize})
		if err != nil {
			return nil, err
		}
		for _, doc := range docs {
			rec, err := record(doc)
			if err != nil {
				return nil, err
			}
			list = append(list, rec)
		}
		if len(docs) < pageSize {
			return list, nil
		}
	}
}

// Revoke ends a key by its id. Its record stays. Revoking again changes
// nothing. ErrUnknown: there is no such key in the store.
func (r *Ring) Revoke(ctx context.Context, id string) (Record, error) {
	for {
		docs, err := r.engine.List(ctx, store.System, kind, store.Query{Index: indexID, Key: id, Limit: 1})
		if err != nil {
			return Record{}, err
		}
		if len(docs) == 0 {
			return Record{}, ErrUnknown
		}
		rec, err := record(docs[0])
		if err != nil || rec.RevokedAt != nil {
			return rec, err
		}
		now := r.now().UTC().Truncate(time.Millisecond)
		rec.RevokedAt = &now
		doc, err := document(docs[0].ID, rec)
		if err != nil {
			return Record{}, err
		}
		line, err := changed(governance.EventKeyRevoke, rec, now)
		if err != nil {
			return Record{}, err
		}
		err = r.engine.Commit(ctx, store.System, store.Put{Doc: doc, IfVersion: docs[0].Version}, line)
		if errors.Is(err, store.ErrConflict) {
			continue // somebody else revoked it: read what they wrote
		}
		if err == nil {
			r.memory.stale()
		}
		return rec, err
	}
}

// changed is the step that records a change of a key for the audit. Who did it is
// whoever may write to the store: keys are made and revoked on the command line.
func changed(event string, rec Record, at time.Time) (store.Op, error) {
	return governance.AppendRecord(governance.Record{Event: event, Workspace: rec.Workspace, Subject: rec.ID,
		SubjectName: rec.Name, Roles: rec.Roles, At: at, Channel: governance.ChannelCommand})
}

func document(sum string, rec Record) (store.Doc, error) {
	value, err := json.Marshal(rec)
	if err != nil {
		return store.Doc{}, fmt.Errorf("keys: encode %s: %w", rec.ID, err)
	}
	created := rec.CreatedAt.UnixMilli()
	return store.Doc{Kind: kind, ID: sum, Value: value, Index: []store.Index{
		{Name: indexAll, Score: created},
		{Name: indexID, Key: rec.ID, Score: created},
	}}, nil
}

func record(doc store.Doc) (Record, error) {
	var rec Record
	if err := json.Unmarshal(doc.Value, &rec); err != nil {
		return rec, fmt.Errorf("keys: the stored key %.8s… cannot be read: %w", doc.ID, err)
	}
	return rec, nil
}
