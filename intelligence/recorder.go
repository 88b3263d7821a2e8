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
	o     Options
	queue chan waiting
	// nudge asks for what waits to be written now.
	nudge chan chan struct{}
	hours map[string]*hour // by workspace; the writer's own

	mu     sync.Mutex
	closed bool
	done   chan struct{}
}

type waiting struct {
	workspace string
	entry     Entry
}

const (
	// mostInBatch bounds one segment, and with its index positions one write.
	mostInBatch = 256
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
	return &Recorder{o: o, queue: make(chan waiting, o.Queue),
		nudge: make(chan chan struct{}), hours: map[string]*hour{}, done: make(chan struct{})}
}

// Record takes a trace to be stored in a workspace. It never waits.
func (r *Recorder) Record(workspace string, e Entry) {
	if r == nil || workspace == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		select {
		case r.queue <- waiting{workspace, e}:
			return
		default:
		}
	}
	r.o.Lost(1, LostFull)
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
	batch := make([]waiting, 0, mostInBatch)
	for {
		select {
		case <-ctx.Done():
			r.last(work, batch)
			return
		case w := <-r.queue:
			if len(batch) == 0 {
				timer.Reset(r.o.Every)
			}
			if batch = append(batch, w); len(batch) < mostInBatch {
				continue
			}
		case <-timer.C:
		case written := <-r.nudge:
			r.write(work, r.drain(batch))
			batch = emptied(batch)
			timer.Stop()
			close(written)
			continue
		}
		r.write(work, batch)
		batch = emptied(batch)
		timer.Stop()
	}
}

// emptied is the room of a batch that was written, which keeps nothing of it.
func emptied(batch []waiting) []waiting {
	clear(batch)
	return batch[:0]
}

// drain adds all that waits.
func (r *Recorder) drain(batch []waiting) []waiting {
	for {
		select {
		case w := <-r.queue:
			batch = append(batch, w)
		default:
			return batch
		}
	}
}

// last writes what waits when the program ends.
func (r *Recorder) last(ctx context.Context, batch []waiting) {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.write(ctx, r.drain(batch))
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

// write stores a batch, one Commit for each workspace and 256 traces.
func (r *Recorder) write(ctx context.Context, batch []waiting) {
	byWorkspace := map[string][]*Entry{}
	for i := range batch {
		w := &batch[i]
		byWorkspace[w.workspace] = append(byWorkspace[w.workspace], &w.entry)
	}
	for workspace, list := range byWorkspace {
		for len(list) > 0 {
			n := portion(list)
			r.commit(ctx, workspace, list[:n])
			list = list[n:]
		}
	}
}

// portion is how many of the list go into one segment.
func portion(list []*Entry) int {
	first := list[0].Created()
	for n, e := range list {
		if away := e.Created().Sub(first).Abs(); n == mostInBatch || away > longestBatch/2 {
			return n
		}
	}
	return len(list)
}

// commit stores one segment. While the store is away it is tried again: the
// segment has one id, so a write that took place unseen is a conflict.
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
