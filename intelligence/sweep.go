package intelligence

import (
	"context"
	"errors"
	"time"

	"cadreen/store"
)

// sweepEvery sweeps now and then until ctx ends.
func (r *Recorder) sweepEvery(ctx context.Context, pause time.Duration) {
	for {
		if _, err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.o.Logger.Warn("old traces could not be taken away", "error", err)
		}
		if !wait(ctx, pause) {
			return
		}
	}
}

// Sweep takes away the segments and counts whose newest trace is older than the
// retention, in every workspace, and answers how many it took.
func (r *Recorder) Sweep(ctx context.Context) (taken int, err error) {
	now, err := r.o.Engine.Now(ctx)
	if err != nil {
		return 0, err
	}
	cut := now.Add(-r.o.Retention).UnixMilli()
	workspaces, err := r.o.Engine.Workspaces(ctx)
	if err != nil {
		return 0, err
	}
	for _, workspace := range workspaces {
		// An hour is old when its last minute is.
		for kind, last := range map[string]int64{kindSegment: cut, kindHour: cut - time.Hour.Milliseconds()} {
			n, err := r.sweep(ctx, workspace, kind, last)
			taken += n
			if err != nil {
				return taken, err
			}
		}
	}
	return taken, nil
}

// atOnce is how many documents one Commit takes away: each has up to some
// hundred index positions.
const atOnce = 16

func (r *Recorder) sweep(ctx context.Context, workspace, kind string, last int64) (taken int, err error) {
	if last <= 0 {
		return 0, nil
	}
	for {
		docs, err := r.o.Engine.List(ctx, workspace, kind, store.Query{Index: indexAt, Min: -store.MaxScore, Max: last, Limit: atOnce})
		if err != nil || len(docs) == 0 {
			return taken, err
		}
		var ops []store.Op
		for _, doc := range docs {
			ops = append(ops, store.Delete{Kind: kind, ID: doc.ID})
		}
		if err := r.o.Engine.Commit(ctx, workspace, ops...); err != nil && !errors.Is(err, store.ErrConflict) {
			return taken, err
		}
		taken += len(docs)
	}
}
