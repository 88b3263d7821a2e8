// Package idempotency makes a request that carries an Idempotency-Key happen
// once: the first one runs, those that come while it runs get its answer too,
// and those that come later get the stored bytes.
//
// What lives here: the claim on a key in the store, the tape that an answer is
// recorded on, and the fence that lets a run commit only while it has the claim.
// What does not: routes and who asks (proxy), and what a request does.
//
// A key is claimed by a document in the workspace of the request. Its owner
// renews the claim while it works. A claim that stands still for Lease belongs
// to nobody: the next request takes it over and runs again, unless something has
// happened that must not happen twice. That is so from the moment when
//   - a byte of the answer leaves (a stream, or an answer over Limit), or
//   - something is committed after a model was asked, which would perhaps not
//     say the same again.
//
// Such a claim answers with an error from then on. Every other answer is stored
// before its first byte leaves.
package idempotency

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"cadreen/store"
)

// Options build a Keeper. Engine is required; the zero value of every other
// field is its default.
type Options struct {
	Engine store.Engine
	Logger *slog.Logger
	// Keep is how long an answer is kept: 24 h.
	Keep time.Duration
	// Limit is the longest body that is kept, in bytes: 8 MiB.
	Limit int
	// Outlive is how long a run goes on that nobody waits for: 130 s, which is
	// four attempts of 30 s and the pauses between them.
	Outlive time.Duration
	// Lease is how long a claim may stand still before another takes it over: 5 s.
	Lease time.Duration
	// Poll is how often the store is asked about a run of another replica: 200 ms.
	Poll time.Duration
}

// Keeper serves keyed requests. Any number of keepers may work on one store.
type Keeper struct {
	o       Options
	claims  *store.Collection[record]
	aliases *store.Collection[alias]
	tapes   sync.Map // *tape by owner: what runs in this process
	stopped context.Context
	stop    context.CancelFunc
}

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Keep = cmp.Or(o.Keep, 24*time.Hour)
	o.Limit = cmp.Or(o.Limit, 8<<20)
	o.Outlive = cmp.Or(o.Outlive, 130*time.Second)
	o.Lease = cmp.Or(o.Lease, 5*time.Second)
	o.Poll = cmp.Or(o.Poll, 200*time.Millisecond)
	k := &Keeper{o: o, claims: store.Of[record](o.Engine, "idempotency"), aliases: store.Of[alias](o.Engine, "idempotency_alias")}
	k.stopped, k.stop = context.WithCancel(context.Background())
	return k
}

// Stop cancels every run. It is for the end of the program, when open requests
// have had their time.
func (k *Keeper) Stop() { k.stop() }

// Handler answers a request by writing to w, errors of the request included. An
// error means that the answer broke off.
type Handler func(ctx context.Context, w http.ResponseWriter) error

// Serve answers a keyed request on w: by running h, by following a run of the
// same key, or from the store. The context of a run outlives ctx. Errors are
// *fault.Error or come from the store or from h; where headers have already gone
// out, the connection must be broken.
func (k *Keeper) Serve(ctx context.Context, w http.ResponseWriter, q Request, h Handler) error {
	id, err := k.find(ctx, q)
	if err != nil {
		return err
	}
	t := newTape(ctx, k, q, id, w)
	k.tapes.Store(t.claim.owner, t)
	defer t.close()
	var last sighting
	for {
		taken, err := t.claim.take(ctx, q)
		if err != nil {
			return err
		}
		if taken {
			return t.run(ctx, h)
		}
		rec, version, err := k.claims.Get(ctx, q.Workspace, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue // it ended in between
		case err != nil:
			return err
		case !rec.fits(q):
			return otherBody()
		case rec.Answer != nil:
			return rec.Answer.replay(w)
		case rec.Owner == "":
			return lost(w, q, rec.Stream)
		}
		if running, ok := k.tapes.Load(rec.Owner); ok {
			if err := running.(*tape).follow(ctx, w, q); !errors.Is(err, errNever) {
				return err
			}
		}
		if last.stands(version, k.o.Lease) {
			taken, err := t.claim.takeOver(ctx, rec, version, q)
			if err != nil {
				return err
			}
			if taken {
				return t.run(ctx, h)
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(k.o.Poll):
		}
	}
}

// sighting is a claim as it was seen last. It compares versions and not times
// of day, so that clocks need not agree.
type sighting struct {
	version int64
	since   time.Time
}

// stands says that the claim has not been renewed for so long.
func (s *sighting) stands(version int64, lease time.Duration) bool {
	if version != s.version {
		s.version, s.since = version, time.Now()
	}
	return time.Since(s.since) >= lease
}

// storeTimeout bounds what must reach the store although the client is gone.
const storeTimeout = 5 * time.Second

func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
}
