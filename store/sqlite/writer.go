package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"cadreen/store"
)

// batch is the most Commits in one transaction. It bounds how much is lost to
// one failure and how long a reader's checkpoint waits.
const batch = 256

// job is one Commit (or one probe) on its way through the writer.
type job struct {
	workspace string
	ops       []store.Op
	probe     bool

	// state is moved once from waiting, by the writer to taken or by the
	// caller to abandoned, so that an abandoned job surely does nothing.
	state atomic.Int32
	done  chan error // capacity 1
	err   error      // the writer's own note until the transaction is durable
}

const (
	waiting int32 = iota
	taken
	abandoned
)

// writer is the one goroutine that writes. It opens its connection again after
// a failure, which is how the engine heals.
type writer struct {
	open   driver.Connector
	now    func() time.Time
	signal func(workspace string, commits int64)

	jobs chan *job
	quit chan struct{}
	gone chan struct{} // closed when the goroutine has ended

	steps   *steps
	touched []string
}

func newWriter(open driver.Connector, now func() time.Time, signal func(string, int64)) *writer {
	w := &writer{
		open: open, now: now, signal: signal,
		jobs: make(chan *job, 4*batch),
		quit: make(chan struct{}),
		gone: make(chan struct{}),
	}
	go w.run()
	return w
}

// do hands a job to the writer and waits for its outcome, for the end of ctx or
// for the end of the writer.
func (w *writer) do(ctx context.Context, op string, j *job) error {
	if ctx.Err() != nil {
		return readError(ctx, op, ctx.Err())
	}
	j.done = make(chan error, 1)
	select {
	case <-w.quit:
		return unavailable(op, errClosed)
	case <-ctx.Done():
		return readError(ctx, op, ctx.Err())
	case w.jobs <- j:
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.state.CompareAndSwap(waiting, abandoned) {
			return readError(ctx, op, ctx.Err())
		}
		return unavailable(op, ctx.Err()) // under way: its outcome is unknown here
	case <-w.gone:
		select {
		case err := <-j.done:
			return err
		default:
			return unavailable(op, errClosed)
		}
	}
}

// stop ends the goroutine after the transaction that has begun.
func (w *writer) stop() {
	close(w.quit)
	<-w.gone
}

// close closes the connection of a stopped writer.
func (w *writer) close() error {
	if w.steps == nil {
		return nil
	}
	return w.steps.close()
}

func (w *writer) run() {
	defer close(w.gone)
	jobs := make([]*job, 0, batch)
	for {
		select {
		case <-w.quit:
			return
		case j := <-w.jobs:
			jobs = append(jobs[:0], j)
		}
		// Whoever can run is let run first: in a busy process the next jobs are on
		// their way, and one transaction for many writes each page once.
		runtime.Gosched()
		for more := true; more && len(jobs) < batch; {
			select {
			case j := <-w.jobs:
				jobs = append(jobs, j)
			default:
				more = false
			}
		}
		w.transact(jobs)
		clear(jobs)
	}
}

// transact answers every job only after the transaction is durable: a conflict
// that was found against a state that then failed to commit is no conflict.
func (w *writer) transact(jobs []*job) {
	spoiled, err := w.try(jobs)
	if err != nil {
		w.reset()
	}
	if spoiled && len(jobs) > 1 {
		for i := range jobs {
			w.transact(jobs[i : i+1])
		}
		return
	}
	for _, j := range jobs {
		if !j.take() {
			continue
		}
		if err != nil {
			j.err = unavailable("commit", err)
		}
		j.done <- j.err
	}
}

// take makes a job the writer's, unless its caller has abandoned it.
func (j *job) take() bool {
	return j.state.CompareAndSwap(waiting, taken) || j.state.Load() == taken
}

// try runs one transaction. An error means that nothing of it may be assumed.
// There is no savepoint for each job, because it would cost a copy of every page
// that the job writes to: one that cannot be written spoils the transaction,
// nothing of which has happened then, and each is tried by itself.
func (w *writer) try(jobs []*job) (spoiled bool, err error) {
	if w.steps == nil {
		if w.steps, err = prepare(context.Background(), w.open); err != nil {
			return false, err
		}
	}
	if err := w.steps.exec(w.steps.begin); err != nil {
		return false, err
	}
	w.touched = w.touched[:0]
	for _, j := range jobs {
		if !j.take() {
			continue
		}
		if err := w.apply(j); err != nil {
			return true, err
		}
	}
	commits := make([]int64, len(w.touched))
	for i, workspace := range w.touched {
		if commits[i], err = w.steps.touch(workspace); err != nil {
			return false, err
		}
	}
	if err := w.steps.exec(w.steps.commit); err != nil {
		return false, err
	}
	for i, workspace := range w.touched {
		w.signal(workspace, commits[i])
	}
	return false, nil
}

// apply does one job inside the transaction and notes a conflict in the job. After
// an error the transaction must be given up: the job may be half done.
func (w *writer) apply(j *job) error {
	s := w.steps
	if j.probe {
		return s.exec(s.probe, w.now().UnixMicro())
	}
	now := w.now()
	plan, err := s.check(j.workspace, j.ops, now)
	if errors.Is(err, store.ErrConflict) {
		j.err = err
		return nil
	}
	if err != nil {
		return err
	}
	j.err = nil // of a transaction that was spoiled
	if err := s.write(j.workspace, plan, now); err != nil {
		return err
	}
	w.touch(j.workspace)
	return nil
}

func (w *writer) touch(workspace string) {
	for _, seen := range w.touched {
		if seen == workspace {
			return
		}
	}
	w.touched = append(w.touched, workspace)
}

// reset gives the connection up; closing it rolls back what is open.
func (w *writer) reset() {
	if w.steps != nil {
		_ = w.steps.close()
		w.steps = nil
	}
}

func conflict(kind, id, why string) error {
	return fmt.Errorf("%w: %s %q %s", store.ErrConflict, kind, id, why)
}
