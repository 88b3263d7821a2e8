package store

import (
	"context"
	"errors"
	"time"
)

// Observe answers an engine that tells failed of every operation that could not
// be done: not of what is not found, conflicts or breaks a limit, nor of what a
// caller gave up. operation is get, list, read, commit, watch, workspaces, now or
// check.
func Observe(e Engine, failed func(operation string)) Engine { return observed{e, failed} }

type observed struct {
	Engine
	failed func(operation string)
}

func (o observed) note(operation string, err error) {
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrInvalid), errors.Is(err, context.Canceled):
	default:
		o.failed(operation)
	}
}

func (o observed) Get(ctx context.Context, workspace, kind, id string) (Doc, error) {
	doc, err := o.Engine.Get(ctx, workspace, kind, id)
	o.note("get", err)
	return doc, err
}

func (o observed) List(ctx context.Context, workspace, kind string, q Query) ([]Doc, error) {
	docs, err := o.Engine.List(ctx, workspace, kind, q)
	o.note("list", err)
	return docs, err
}

func (o observed) Read(ctx context.Context, workspace, log string, after int64, limit int) ([]Entry, error) {
	entries, err := o.Engine.Read(ctx, workspace, log, after, limit)
	o.note("read", err)
	return entries, err
}

func (o observed) Commit(ctx context.Context, workspace string, ops ...Op) error {
	err := o.Engine.Commit(ctx, workspace, ops...)
	o.note("commit", err)
	return err
}

func (o observed) Watch(ctx context.Context, workspace string) (<-chan struct{}, error) {
	signals, err := o.Engine.Watch(ctx, workspace)
	o.note("watch", err)
	return signals, err
}

func (o observed) Workspaces(ctx context.Context) ([]string, error) {
	names, err := o.Engine.Workspaces(ctx)
	o.note("workspaces", err)
	return names, err
}

func (o observed) Now(ctx context.Context) (time.Time, error) {
	now, err := o.Engine.Now(ctx)
	o.note("now", err)
	return now, err
}

func (o observed) Check(ctx context.Context) error {
	err := o.Engine.Check(ctx)
	o.note("check", err)
	return err
}
