package idempotency

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cadreen/store"
)

// record is a key's document.
type record struct {
	// Owner is the run that has the claim, "" once it has ended.
	Owner string `json:"owner,omitempty"`
	Print []byte `json:"print"` // SHA-256 of the request body
	// Once: this must not be run again. Without an Answer it is lost when its
	// owner is.
	Once   bool    `json:"once,omitempty"`
	Stream bool    `json:"stream,omitempty"` // a stream has begun
	Answer *answer `json:"answer,omitempty"`
}

func (r *record) same(q Request) bool { return bytes.Equal(r.Print, q.print()) }

// fits says whether a request may have the answer: it asks for the same, or is
// a retry without a body.
func (r *record) fits(q Request) bool { return len(q.Body) == 0 || r.same(q) }

// claim is one run's hold on its key. Every change is a compare-and-set on the
// document, so that a run whose claim was taken over learns of it at the latest
// when it wants to change something.
type claim struct {
	k         *Keeper
	workspace string
	id        string
	owner     string
	work      context.Context // of the run; it outlives the client's
	cancel    context.CancelCauseFunc
	asked     atomic.Bool // somebody outside, a model most likely, was asked

	mu      sync.Mutex
	rec     record
	version int64 // 0 where the outcome of the last write is unknown
	ended   bool
	beat    *time.Timer
}

func newClaim(ctx context.Context, k *Keeper, workspace, id string) *claim {
	c := &claim{k: k, workspace: workspace, id: id, owner: rand.Text()}
	c.work, c.cancel = context.WithCancelCause(c.within(context.WithoutCancel(ctx)))
	return c
}

// take claims a key that nobody has.
func (c *claim) take(ctx context.Context, q Request) (bool, error) {
	return c.own(ctx, record{Owner: c.owner, Print: q.print()}, 0, q)
}

// takeOver claims a key whose owner is gone. Where the owner has done what must
// not be done twice, only that is noted.
func (c *claim) takeOver(ctx context.Context, rec record, version int64, q Request) (bool, error) {
	if !rec.Once && !rec.same(q) {
		return false, bodyNeeded()
	}
	rec.Owner = ""
	if !rec.Once {
		rec.Owner = c.owner
	}
	taken, err := c.own(ctx, rec, version, q)
	return taken && !rec.Once, err
}

// own writes the first record of a claim, in place of the given version; false
// means that another was faster.
func (c *claim) own(ctx context.Context, rec record, version int64, q Request) (bool, error) {
	put, err := c.k.claims.Set(c.id, rec)
	if err != nil {
		return false, err
	}
	put.Create, put.IfVersion, put.TTL = version == 0, version, c.k.o.Keep
	ops := []store.Op{put}
	if q.Person != "" {
		name, err := c.k.aliases.Set(q.id(""), alias{c.id})
		if err != nil {
			return false, err
		}
		name.TTL = c.k.o.Keep
		ops = append(ops, name)
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	err = c.k.o.Engine.Commit(ctx, c.workspace, ops...)
	if errors.Is(err, store.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.rec, c.version = rec, version+1
	return true, nil
}

// hold renews the claim until it ends.
func (c *claim) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beat = time.AfterFunc(c.k.o.Lease/3, c.renew)
}

func (c *claim) renew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.k.o.Lease/3)
	defer cancel()
	if err := c.change(ctx, func(*record) {}); err != nil {
		c.k.o.Logger.Warn("the claim of a keyed request could not be renewed", "error", err)
	}
	c.beat.Reset(c.k.o.Lease / 3)
}

// over says that the claim has ended.
func (c *claim) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// leaves notes that bytes of the answer leave before it is whole.
func (c *claim) leaves(stream bool) error {
	return c.write(false, func(r *record) { r.Once, r.Stream = true, stream })
}

// keep ends the claim with an answer.
func (c *claim) keep(a *answer) error {
	return c.write(true, func(r *record) { *r = record{Print: r.Print, Answer: a} })
}

// drop ends the claim without an answer: the next request runs again, unless
// that must not be.
func (c *claim) drop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return nil
	}
	c.ended = true
	c.beat.Stop()
	ctx, cancel := detached(context.Background())
	defer cancel()
	if c.version == 0 {
		if err := c.look(ctx); err != nil {
			return err
		}
	}
	if !c.rec.Once {
		err := c.k.o.Engine.Commit(ctx, c.workspace, c.k.claims.Remove(c.id, c.version))
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if err := c.look(ctx); err != nil {
			return err
		}
	}
	return c.change(ctx, func(r *record) { r.Owner, r.Once = "", true })
}

func (c *claim) write(last bool, edit func(*record)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := detached(context.Background())
	defer cancel()
	err := c.change(ctx, edit)
	if last && err == nil {
		c.ended = true
		c.beat.Stop()
	}
	return err
}

// act commits on behalf of the run, if the claim is still its own.
func (c *claim) act(ctx context.Context, ops []store.Op) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return c.k.o.Engine.Commit(ctx, c.workspace, ops...)
	}
	return c.change(ctx, func(r *record) { r.Once = r.Once || c.asked.Load() }, ops...)
}

// change writes the record together with ops. ErrConflict is about the ops.
func (c *claim) change(ctx context.Context, edit func(*record), ops ...store.Op) error {
	for {
		if c.version == 0 {
			if err := c.look(ctx); err != nil {
				return err
			}
		}
		next, was := c.rec, c.version
		edit(&next)
		put, err := c.k.claims.Replace(c.id, was, next)
		if err != nil {
			return err
		}
		put.TTL = c.k.o.Keep
		err = c.k.o.Engine.Commit(ctx, c.workspace, append([]store.Op{put}, ops...)...)
		switch {
		case err == nil:
			c.rec, c.version = next, was+1
			return nil
		case !errors.Is(err, store.ErrConflict):
			c.version = 0
			return err
		}
		if err := c.look(ctx); err != nil {
			return err
		}
		if len(ops) > 0 {
			return err // whoever made the ops looks again as well
		}
	}
}

// look reads the document again. A claim that another has ends the run.
func (c *claim) look(ctx context.Context) error {
	rec, version, err := c.k.claims.Get(ctx, c.workspace, c.id)
	if err == nil && rec.Owner != c.owner || errors.Is(err, store.ErrNotFound) {
		c.cancel(errTaken)
		return errTaken
	}
	if err != nil {
		return err
	}
	c.rec, c.version = rec, version
	return nil
}
