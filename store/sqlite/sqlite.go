// Package sqlite is the embedded store engine: one SQLite file in WAL mode with
// synchronous=FULL, one writer that puts waiting Commits into one transaction,
// and a pool of readers.
//
// What lives here: everything that knows SQL or the file. What does not: what
// the documents mean, and the contract itself, which is store.Engine.
//
// One server process writes a file; short-lived commands may open it beside the
// server. The file must lie on a local disk: WAL needs shared memory.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	modernc "modernc.org/sqlite" // also named "sqlite" in database/sql

	"cadreen/store"
)

const (
	// readers is the number of connections that read at the same time.
	readers = 8
	// busyTimeout is how long a connection waits for a lock that another
	// process holds, in milliseconds.
	busyTimeout = 5000
)

var errClosed = errors.New("the engine is closed")

// Engine is a store.Engine on one SQLite file.
type Engine struct {
	clock  func() time.Time
	offset func() time.Duration

	read   *sql.DB
	get    *sql.Stmt
	list   *sql.Stmt
	listUp *sql.Stmt
	log    *sql.Stmt

	writer *writer
	hub    *hub
	rates  store.MemoryLimiter

	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

var (
	_ store.Engine  = (*Engine)(nil)
	_ store.Limiter = (*Engine)(nil)
)

// Option changes how an engine is opened.
type Option func(*Engine)

// WithClock replaces the wall clock, for tests. It is called from several
// goroutines at the same time.
func WithClock(clock func() time.Time) Option {
	return func(e *Engine) { e.clock = clock }
}

// WithOffset adds a duration to the clock, for tests that move time. It is
// called from several goroutines at the same time.
func WithOffset(offset func() time.Duration) Option {
	return func(e *Engine) { e.offset = offset }
}

// Open opens the file, creating it (mode 0600), its folder (mode 0700) and its
// tables where they are missing. A file that cannot be opened or written is an
// error that wraps store.ErrUnavailable.
func Open(ctx context.Context, path string, opts ...Option) (*Engine, error) {
	e := &Engine{clock: time.Now, offset: func() time.Duration { return 0 }}
	for _, opt := range opts {
		opt(e)
	}
	path, err := createFile(path)
	if err != nil {
		return nil, unavailable("open", err)
	}
	write, err := modernc.NewConnector(writerDSN(path))
	if err != nil {
		return nil, unavailable("open", err)
	}
	if err := createSchema(ctx, write); err != nil {
		return nil, readError(ctx, "open "+path, err)
	}
	if err := e.openReaders(ctx, path); err != nil {
		return nil, readError(ctx, "open "+path, err)
	}
	e.hub = newHub(e.read)
	e.writer = newWriter(write, e.now, e.hub.signal)
	return e, nil
}

func (e *Engine) openReaders(ctx context.Context, path string) (err error) {
	if e.read, err = sql.Open("sqlite", readerDSN(path)); err != nil {
		return err
	}
	e.read.SetMaxOpenConns(readers + 1) // one for the poller of Watch
	e.read.SetMaxIdleConns(readers + 1)
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&e.get, `SELECT version, positions, value FROM docs WHERE workspace = ? AND kind = ? AND id = ? AND (expires = 0 OR expires > ?)`},
		{&e.listUp, listText + ascending},
		{&e.list, listText + descending},
		{&e.log, `SELECT seq, at, value FROM logs WHERE workspace = ? AND log = ? AND seq > ? ORDER BY seq LIMIT ?`},
	} {
		if *s.stmt, err = e.read.PrepareContext(ctx, s.text); err != nil {
			return errors.Join(err, e.read.Close())
		}
	}
	return nil
}

// Now is the wall clock plus the offset, in microseconds, UTC.
func (e *Engine) Now(context.Context) (time.Time, error) {
	if e.closed.Load() {
		return time.Time{}, unavailable("now", errClosed)
	}
	return e.now(), nil
}

func (e *Engine) now() time.Time {
	return time.UnixMicro(e.clock().Add(e.offset()).UnixMicro()).UTC()
}

// Take counts in the memory of this process, which is the one that serves the file:
// a write for every request would cost more than the request. A restart begins with
// full bursts.
func (e *Engine) Take(_ context.Context, workspace string, rates ...store.Rate) ([]store.Quota, error) {
	if e.closed.Load() {
		return nil, unavailable("take", errClosed)
	}
	return e.rates.TakeAt(e.now(), workspace, rates...)
}

// Check writes a row, so that a full disk or a read-only file is noticed.
func (e *Engine) Check(ctx context.Context) error {
	return e.writer.do(ctx, "check", &job{probe: true})
}

// Commit waits for its place in the writer's next transaction. When ctx ends
// before that transaction has begun, nothing happens.
func (e *Engine) Commit(ctx context.Context, workspace string, ops ...store.Op) error {
	if err := store.CheckCommit(workspace, ops); err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	return e.writer.do(ctx, "commit", &job{workspace: workspace, ops: ops})
}

// Close finishes the transaction that has begun, refuses what still waits, and
// closes the file.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		e.closed.Store(true)
		e.writer.stop()
		e.hub.close()
		// The writer is closed last: the last connection folds the WAL into
		// the file, which the readers may not.
		e.closeErr = errors.Join(e.read.Close(), e.writer.close())
	})
	return e.closeErr
}

func unavailable(op string, err error) error {
	return fmt.Errorf("%w: sqlite: %s: %w", store.ErrUnavailable, op, err)
}

// readError tells the end of the caller's context from an outage.
func readError(ctx context.Context, op string, err error) error {
	switch ctx.Err() {
	case nil:
		return unavailable(op, err)
	case context.DeadlineExceeded:
		return unavailable(op, ctx.Err())
	default:
		return fmt.Errorf("store: sqlite: %s: %w", op, ctx.Err())
	}
}
