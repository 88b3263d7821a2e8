package audit

import (
	"context"
	"iter"

	"cadreen/store"
)

// block is how many entries are read at once going back.
const block = 500

// entries are those of a log from a number on, oldest first.
func entries(ctx context.Context, e store.Engine, workspace, log string, after int64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for {
			list, err := e.Read(ctx, workspace, log, after, page)
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for _, entry := range list {
				if !yield(entry, nil) {
					return
				}
				after = entry.Seq
			}
			if len(list) < page {
				return
			}
		}
	}
}

// backwards are the entries of a log up to a number, newest first.
func backwards(ctx context.Context, e store.Engine, workspace, log string, last int64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for last > 0 {
			after := max(last-block, 0)
			list, err := e.Read(ctx, workspace, log, after, int(last-after))
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].Seq <= last && !yield(list[i], nil) {
					return
				}
			}
			if len(list) == 0 {
				return // what is before was removed
			}
			last = after
		}
	}
}

// lastOf is the number of the newest entry of a log, 0 if there is none. A number
// that is known to have been there makes it quick.
func lastOf(ctx context.Context, e store.Engine, workspace, log string, known int64) (int64, error) {
	low, step := int64(0), int64(1)
	if known > 0 { // it was heard from a link, which may have claimed more
		list, err := e.Read(ctx, workspace, log, known-1, 1)
		if err != nil {
			return 0, err
		}
		if len(list) > 0 {
			low = list[0].Seq
		}
	}
	for { // entries exist after low
		list, err := e.Read(ctx, workspace, log, low+step-1, 1)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			break
		}
		low, step = list[0].Seq, 2*step
	}
	return highest(ctx, e, workspace, log, low, low+step-1)
}

// highest finds the newest entry, which is at least low (unless there is none at
// all) and at most high.
func highest(ctx context.Context, e store.Engine, workspace, log string, low, high int64) (int64, error) {
	for low < high {
		middle := low + (high-low)/2
		list, err := e.Read(ctx, workspace, log, middle, 1)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			high = middle
		} else {
			low = list[0].Seq
		}
	}
	return low, nil
}

// before is the number of the newest entry that is not later than micros, up to
// last; engines number entries in the order of their clock.
func before(ctx context.Context, e store.Engine, workspace, log string, last, micros int64) (int64, error) {
	low, high := int64(0), last
	for low < high {
		middle := low + (high-low+1)/2
		list, err := e.Read(ctx, workspace, log, middle-1, 1)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 || list[0].At.UnixMicro() > micros {
			high = middle - 1
		} else {
			low = middle
		}
	}
	return low, nil
}
