package audit

import (
	"context"
	"errors"
	"fmt"

	"cadreen/store"
)

// removeAtOnce bounds what one commit of retention removes.
const removeAtOnce = 5000

// retain removes what is older than the retention, in all workspaces. The links
// stay, so that the chain can be followed from its beginning; they say what was
// removed, and their digests still tell whether a copy of a record is genuine.
func (w *Writer) retain(ctx context.Context) error {
	if w.o.Retention == 0 {
		return nil
	}
	list, err := w.o.Engine.Workspaces(ctx)
	errs := []error{err}
	for _, workspace := range list {
		if err := w.retainOf(ctx, workspace); err != nil {
			errs = append(errs, fmt.Errorf("workspace %s: %w", workspace, err))
		}
	}
	return errors.Join(errs...)
}

func (w *Writer) retainOf(ctx context.Context, workspace string) error {
	now, err := w.o.Engine.Now(ctx)
	if err != nil {
		return err
	}
	w.sealing.Lock()
	defer w.sealing.Unlock()
	w.mu.Lock()
	c := w.chain(workspace)
	w.mu.Unlock()
	if err := w.follow(ctx, c); err != nil {
		return err
	}
	oldest, err := w.o.Engine.Read(ctx, workspace, w.o.Records, c.removed, 1)
	end := now.Add(-w.o.Retention)
	if err != nil || len(oldest) == 0 || oldest[0].At.After(end) {
		return err
	}
	last, err := before(ctx, w.o.Engine, workspace, w.o.Records, c.sealed, end.UnixMicro())
	if err != nil {
		return err
	}
	// The newest entry of a log always stays.
	last = min(last, c.sealed-1, c.removed+removeAtOnce)
	if last <= c.removed {
		return nil
	}
	return w.write(ctx, c, Link{Workspace: workspace, At: now, Removed: last}, newIndex())
}

// removal are the steps that remove records and the pages that name only such.
func (w *Writer) removal(ctx context.Context, c *chain, through int64) ([]store.Op, error) {
	ops := []store.Op{store.Trim{Log: w.o.Records, Through: through}}
	pages, err := store.Of[span](w.o.Engine, kindPage).List(ctx, c.workspace, store.Query{Index: pageAll, Max: through, Limit: store.MaxLimit})
	if err != nil {
		return nil, err
	}
	for _, p := range pages {
		if p.Value.To <= through {
			ops = append(ops, store.Delete{Kind: kindPage, ID: p.ID})
		}
	}
	return ops, nil
}
