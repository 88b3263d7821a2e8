package idempotency

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// tape is the response writer of a run. It records the answer, and holds it back
// until it is whole and stored. Only a stream, and what is too long to be stored,
// leaves as it comes, after the claim says so.
type tape struct {
	k      *Keeper
	claim  *claim
	client http.ResponseWriter // of the request that runs
	header http.Header         // as the handler sets them
	failed error               // nothing has left, and nothing may

	mu      sync.Mutex
	got     answer // Status is 0 until the handler has said it
	seen    int    // how much of got.Body those who follow may have
	open    bool   // bytes have left
	tooLong bool   // got.Body is not all
	ended   bool
	err     error         // how it ended
	changed chan struct{} // closed at the next change, nil while nobody waits
	waiting int           // clients
	alone   *time.Timer
}

func newTape(ctx context.Context, k *Keeper, q Request, id string, client http.ResponseWriter) *tape {
	return &tape{k: k, claim: newClaim(ctx, k, q.Workspace, id), client: client, header: http.Header{}, waiting: 1}
}

// run runs h to its end, also when its client, whose context ctx is, is gone.
func (t *tape) run(ctx context.Context, h Handler) (err error) {
	t.claim.hold()
	defer context.AfterFunc(ctx, t.leave)()
	defer context.AfterFunc(t.k.stopped, func() { t.claim.cancel(errStop) })()
	err = errors.New("idempotency: the handler panicked")
	defer func() {
		if err == nil && !t.got.whole() {
			err = context.Cause(t.claim.work) // it was cancelled half-way
		}
		err = t.end(err)
	}()
	return h(t.claim.work, t)
}

// end decides what becomes of the key, and gives the answer out if it is still
// held back.
func (t *tape) end(err error) error {
	t.WriteHeader(http.StatusOK)
	if t.failed != nil {
		err = t.failed
	}
	t.got.trailer(t.header)
	switch {
	case err != nil || t.tooLong:
	case t.open:
		t.note(t.keep())
	default:
		err = t.settle()
	}
	t.note(t.claim.drop()) // if there is no answer by now, there will be none
	if err == nil {
		t.got.tail(t.client)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended, t.err = true, err
	if t.alone != nil {
		t.alone.Stop()
	}
	t.publish()
	return err
}

// close ends a tape for good. One that never ran has followers if the store
// took the claim and could not say so.
func (t *tape) close() {
	t.k.tapes.Delete(t.claim.owner)
	t.claim.cancel(nil)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.ended, t.err = true, errNever
		t.publish()
	}
}

func (t *tape) keep() error {
	if t.claim.over() {
		return nil
	}
	return t.claim.keep(&t.got)
}

// settle stores an answer of which nothing has left, or gives the key free, and
// sends it.
func (t *tape) settle() error {
	if t.got.final() {
		t.failed = t.keep()
	} else {
		t.note(t.claim.drop())
	}
	if t.failed == nil {
		t.send()
	}
	return t.failed
}

func (t *tape) note(err error) {
	if err != nil {
		t.k.o.Logger.Warn("the end of a keyed request could not be stored", "error", err)
	}
}

// send gives out what was held back.
func (t *tape) send() {
	t.got.head(t.client)
	_, _ = t.client.Write(t.got.Body) // the run goes on without its client
	t.flush()
}

func (t *tape) flush() {
	if t.got.streams() {
		_ = http.NewResponseController(t.client).Flush()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open = true
	t.publish()
}

// Header is the handler's.
func (t *tape) Header() http.Header { return t.header }

// WriteHeader fixes status and headers, the first time.
func (t *tape) WriteHeader(status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.got.Status == 0 && status >= 200 {
		t.got.Status, t.got.Header = status, t.header.Clone()
	}
}

// Write records, and passes on what is no longer held back. That a client is
// gone is no error.
func (t *tape) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	if t.failed != nil {
		return 0, t.failed
	}
	if t.tooLong || len(t.got.Body)+len(p) > t.k.o.Limit {
		return t.pass(p)
	}
	t.mu.Lock()
	t.got.Body = append(t.got.Body, p...)
	t.mu.Unlock()
	if t.open {
		_, _ = t.client.Write(p)
	}
	return len(p), nil
}

// pass gives out what is beyond the limit.
func (t *tape) pass(p []byte) (int, error) {
	if !t.open {
		if err := t.release(); err != nil {
			return 0, err
		}
	}
	if !t.tooLong {
		t.mu.Lock()
		t.tooLong = true
		t.publish()
		t.mu.Unlock()
	}
	_, _ = t.client.Write(p)
	return len(p), nil
}

// FlushError gives out what may go: an answer that is whole, or the first part
// of a stream.
func (t *tape) FlushError() error {
	t.WriteHeader(http.StatusOK) // unless the handler has
	switch {
	case t.failed != nil:
		return t.failed
	case t.open:
		t.flush()
	case t.got.whole():
		return t.settle()
	case t.got.streams():
		return t.release()
	}
	return nil
}

// release lets bytes out before the answer is whole.
func (t *tape) release() error {
	if t.failed = t.claim.leaves(t.got.streams()); t.failed == nil {
		t.send()
	}
	return t.failed
}
