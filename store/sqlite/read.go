package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"cadreen/store"
)

const (
	listText = `SELECT d.id, d.version, d.positions, d.value
	FROM positions p CROSS JOIN docs d ON d.n = p.doc
	WHERE p.list = (SELECT n FROM lists WHERE workspace = ? AND kind = ? AND name = ?) AND p.key = ? AND p.score BETWEEN ? AND ? `
	ascending  = `ORDER BY p.score, d.id LIMIT ? OFFSET ?`
	descending = `ORDER BY p.score DESC, d.id DESC LIMIT ? OFFSET ?`
)

// Get reads one document.
func (e *Engine) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	if err := store.CheckGet(workspace, kind, id); err != nil {
		return store.Doc{}, err
	}
	doc := store.Doc{Kind: kind, ID: id}
	var packed []byte
	err := e.get.QueryRowContext(ctx, workspace, kind, []byte(id), e.now().UnixMilli()).Scan(&doc.Version, &packed, &doc.Value)
	if errors.Is(err, sql.ErrNoRows) {
		return store.Doc{}, fmt.Errorf("%w: %s %q", store.ErrNotFound, kind, id)
	}
	if err == nil {
		doc.Index, err = unpack(packed)
	}
	if err != nil {
		return store.Doc{}, readError(ctx, "get", err)
	}
	return doc, nil
}

// List reads in one statement, which is one snapshot.
func (e *Engine) List(ctx context.Context, workspace, kind string, q store.Query) ([]store.Doc, error) {
	q, err := store.CheckList(workspace, kind, q)
	if err != nil {
		return nil, err
	}
	stmt := e.listUp
	if q.Desc {
		stmt = e.list
	}
	rows, err := stmt.QueryContext(ctx, workspace, kind, q.Index, []byte(q.Key), q.Min, q.Max, q.Limit, q.Offset)
	if err != nil {
		return nil, readError(ctx, "list", err)
	}
	var docs []store.Doc
	err = each(rows, func() error {
		doc := store.Doc{Kind: kind}
		var id, packed []byte
		if err := rows.Scan(&id, &doc.Version, &packed, &doc.Value); err != nil {
			return err
		}
		doc.ID = string(id)
		doc.Index, err = unpack(packed)
		docs = append(docs, doc)
		return err
	})
	if err != nil {
		return nil, readError(ctx, "list", err)
	}
	return docs, nil
}

// Read reads a part of a log.
func (e *Engine) Read(ctx context.Context, workspace, log string, after int64, limit int) ([]store.Entry, error) {
	after, limit, err := store.CheckRead(workspace, log, after, limit)
	if err != nil {
		return nil, err
	}
	rows, err := e.log.QueryContext(ctx, workspace, log, after, limit)
	if err != nil {
		return nil, readError(ctx, "read", err)
	}
	var entries []store.Entry
	err = each(rows, func() error {
		var entry store.Entry
		var at int64
		if err := rows.Scan(&entry.Seq, &at, &entry.Value); err != nil {
			return err
		}
		entry.At = time.UnixMicro(at).UTC()
		entries = append(entries, entry)
		return nil
	})
	if err != nil {
		return nil, readError(ctx, "read", err)
	}
	return entries, nil
}

// Workspaces lists what was committed to, sorted.
func (e *Engine) Workspaces(ctx context.Context) ([]string, error) {
	rows, err := e.read.QueryContext(ctx, `SELECT name FROM workspaces ORDER BY name`)
	if err != nil {
		return nil, readError(ctx, "workspaces", err)
	}
	var names []string
	err = each(rows, func() error {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, readError(ctx, "workspaces", err)
	}
	return names, nil
}

// each closes rows in any case and never takes a broken result for a short one.
func each(rows *sql.Rows, row func() error) error {
	for rows.Next() {
		if err := row(); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
