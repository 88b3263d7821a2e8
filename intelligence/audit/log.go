package audit

import (
	"context"
	"errors"
	"iter"
	"slices"

	"cadreen/store"
)

// Log answers questions about the records of a workspace. What stands in
// store.System about a workspace (its keys) is part of what is answered.
type Log struct {
	engine  store.Engine
	records string
	writer  *Writer // nil: nobody seals here
	memory  counts
}

// NewLog makes a Log. With a Writer everything is sealed before it is checked or
// exported, and the check knows the links that this process wrote.
func NewLog(engine store.Engine, records string, w *Writer) *Log {
	return &Log{engine: engine, records: records, writer: w}
}

// Verify checks the chains of a workspace and of store.System, and whether the
// heads, of an earlier check, export or log, are still there. An error means that
// the store could not be read; a broken chain is no error.
func (l *Log) Verify(ctx context.Context, workspace string, heads ...Head) (Report, error) {
	places := places(workspace)
	var outside []telling
	for _, h := range heads {
		outside = append(outside, telling{h, "a head that was kept outside"})
	}
	if l.writer != nil {
		for _, place := range places {
			if err := l.writer.Seal(ctx, place); err != nil {
				return Report{}, err
			}
			if h, ok := l.writer.Head(place); ok {
				outside = append(outside, telling{h, "the running writer"})
			}
		}
	}
	c := newChecker(engineSource{l.engine, l.records}, l.records)
	for _, place := range places {
		if err := c.workspace(ctx, place); err != nil {
			return Report{}, err
		}
	}
	return c.finish(outside, places...), nil
}

// Away says that an error means that the store cannot be reached now.
func Away(err error) bool { return errors.Is(err, store.ErrUnavailable) }

// places are where the records of a workspace stand.
func places(workspace string) []string {
	list := []string{workspace, store.System}
	return slices.Compact(list)
}

// engineSource reads a store.
type engineSource struct {
	store.Engine
	log string
}

func (s engineSource) links(ctx context.Context, workspace string) iter.Seq2[store.Entry, error] {
	last, err := lastOf(ctx, s.Engine, workspace, ChainLog, 0)
	return func(yield func(store.Entry, error) bool) {
		if err != nil {
			yield(store.Entry{}, err)
			return
		}
		for e, err := range entries(ctx, s.Engine, workspace, ChainLog, 0) {
			if err == nil && e.Seq > last || !yield(e, err) {
				return
			}
		}
	}
}

func (s engineSource) records(ctx context.Context, workspace string, after int64) iter.Seq2[store.Entry, error] {
	return entries(ctx, s.Engine, workspace, s.log, after)
}
