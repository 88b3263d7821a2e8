package intelligence

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"cadreen/store"
)

// Reasons for a loss.
const (
	LostFull  = "queue_full" // more traces than the store takes
	LostStore = "store"      // the store was away for too long, or refused them
)

// Options build a Recorder. Engine is required; the zero value of every other
// field is its default.
type Options struct {
	Engine store.Engine
	Logger *slog.Logger
	// Retention is how long traces are kept: 30 days.
	Retention time.Duration
	// Every is the longest that a trace waits for others to be written with it:
	// 100 ms.
	Every time.Duration
	// Queue is how many traces may wait: 8,192. The next one is lost.
	Queue int
	// Patience is how long a batch is tried again while the store is away: 30 s.
	Patience time.Duration
	// Stored and Lost are told of every trace, n at a time; Lost with a reason.
	// They are called by one goroutine or several and must return at once.
	Stored func(n int)
	Lost   func(n int, reason string)
}

// Recorder stores traces behind the answers, many in one write. What it cannot
// store is counted and logged.
type Recorder struct {
	o Options
	// first says that something waits, full that as much waits as one write takes:
	// the writer is not woken for each trace.
	first, full chan struct{}
	// nudge asks for what waits to be written now.
	nudge chan chan struct{}
	hours map[string]*hour // by workspace; the writer's own
	spare []waiting        // the writer's own: room that was written

	mu     sync.Mutex
	queue  []waiting
	closed bool
	done   chan struct{}
}

type waiting struct {
	workspace string
	entry     Entry
}

const (
	// mostInBatch bounds one write, mostInSegment what has to be read for one trace.
	mostInBatch   = 1024
	mostInSegment = 256
	// longestBatch bounds the time between the first and the last trace of a
	// segment, which readers rely on.
	longestBatch = 10 * time.Second
	// flushTime bounds what is written when the program ends.
	flushTime = 5 * time.Second
)

// NewRecorder makes a recorder. Run must run for anything to be stored.
func NewRecorder(o Options) *Recorder {
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Retention = cmp.Or(o.Retention, 30*24*time.Hour)
	o.Every = cmp.Or(o.Every, 100*time.Millisecond)
	o.Queue = cmp.Or(o.Queue, 8192)
	o.Patience = cmp.Or(o.Patience, 30*time.Second)
	if o.Stored == nil {
		o.Stored = func(int) {}
	}
	if o.Lost == nil {
		o.Lost = func(int, string) {}
	}
	return &Recorder{o: o, first: make(chan struct{}, 1), full: make(chan struct{}, 1),
		nudge: make(chan chan struct{}), hours: map[string]*hour{}, done: make(chan struct{})}
}

// Record takes a trace to be stored in a workspace. It never waits.
func (r *Recorder) Record(workspace string, e Entry) {
	if r == nil || workspace == "" {
		return
	}
	r.mu.Lock()
	taken := !r.closed && len(r.queue) < r.o.Queue
	if taken {
		r.queue = append(r.queue, waiting{workspace, e})
	}
	n := len(r.queue)
	r.mu.Unlock()
	switch {
	case !taken:
		r.o.Lost(1, LostFull)
	case n == 1:
		say(r.first)
	case n >= mostInBatch:
		say(r.full)
	}
}

// say says something to the writer, unless it was said and not yet heard.
func say(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// Run writes until ctx ends, and then what still waits, for at most five
// seconds. It also takes away what is older than Retention.
func (r *Recorder) Run(ctx context.Context) {
	defer close(r.done)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { r.sweepEvery(ctx, 10*time.Minute) })
	defer sweeping.Wait()
	// What is being written when ctx ends still has its time.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, stop) })()
	timer := time.NewTimer(r.o.Every)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			r.close()
			r.writeAll(work)
			return
		case <-r.first:
			timer.Reset(r.o.Every)
		case <-timer.C:
			r.writeAll(work)
		case <-r.full:
			r.writeAll(work)
		case written := <-r.nudge:
			r.writeAll(work)
			close(written)
		}
	}
}

// close lets nothing more in.
func (r *Recorder) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// writeAll writes what waits.
func (r *Recorder) writeAll(ctx context.Context) {
	r.mu.Lock()
	batch := r.queue
	r.queue = r.spare
	r.mu.Unlock()
	r.write(ctx, batch)
	clear(batch) // what was written is not kept
	r.spare = nil
	if cap(batch) <= 2*mostInBatch {
		r.spare = batch[:0]
	}
}

// flushWait bounds Flush: a store that is away must not hold those up who ask.
const flushWait = 2 * time.Second

// Flush waits until what was recorded before is stored or lost, two seconds at
// most.
func (r *Recorder) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWait)
	defer cancel()
	written := make(chan struct{})
	select {
	case r.nudge <- written:
	case <-r.done:
		return
	case <-ctx.Done():
		return
	}
	select {
	case <-written:
	case <-ctx.Done():
	}
}

// write stores a batch, one Commit for each workspace and 1,024 traces.
func (r *Recorder) write(ctx context.Context, batch []waiting) {
	byWorkspace := map[string][]*Entry{}
	for i := range batch {
		w := &batch[i]
		byWorkspace[w.workspace] = append(byWorkspace[w.workspace], &w.entry)
	}
	for workspace, list := range byWorkspace {
		for len(list) > 0 {
			n := min(len(list), mostInBatch)
			r.commit(ctx, workspace, list[:n])
			list = list[n:]
		}
	}
}

// commit stores traces of a workspace. While the store is away it is tried again:
// a segment has one id, so a write that took place unseen is a conflict.
func (r *Recorder) commit(ctx context.Context, workspace string, list []*Entry) {
	ops, err := r.ops(workspace, list)
	begun := time.Now()
	for pause := 50 * time.Millisecond; err == nil; pause = min(2*pause, 2*time.Second) {
		err = r.o.Engine.Commit(ctx, workspace, ops...)
		switch {
		case err == nil, errors.Is(err, store.ErrConflict):
			r.o.Stored(len(list))
			return
		case !errors.Is(err, store.ErrUnavailable) || time.Since(begun) > r.o.Patience:
		case wait(ctx, pause):
			err = nil
		}
	}
	delete(r.hours, workspace) // what is stored of it is right, what is here counts the lost ones
	r.o.Lost(len(list), LostStore)
	r.o.Logger.Warn("traces are lost", "traces", len(list), "workspace", workspace, "error", err)
}

// wait pauses; it answers false when ctx ended first.
func wait(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}
