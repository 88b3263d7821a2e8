package backend

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

var (
	errTimeout = errors.New("the answer took longer than backend.timeout")
	errSilence = errors.New("no byte came for backend.idle_timeout")
	errClosed  = errors.New("the answer was closed by its reader")
)

// life is the span of one request to the upstream, from the first attempt to
// the end of the answer's body: the caller's context, cut short by our limits.
type life struct {
	caller context.Context
	ctx    context.Context
	cancel context.CancelCauseFunc
	until  time.Time   // the limit of the whole; zero if there is none
	clock  *time.Timer // for whichever limit comes first
	silent atomic.Bool // and that is the one on silence
}

func begin(caller context.Context, limit time.Duration) *life {
	l := &life{caller: caller, until: time.Now().Add(limit)}
	l.ctx, l.cancel = context.WithCancelCause(caller)
	l.clock = time.AfterFunc(limit, l.expire)
	return l
}

func (l *life) expire() {
	if l.silent.Load() {
		l.cancel(errSilence)
		return
	}
	l.cancel(errTimeout)
}

// unbounded lifts the limit on the whole, not the one on silence.
func (l *life) unbounded() {
	l.until = time.Time{}
	l.clock.Stop()
}

// listen begins to wait for bytes that have to come within so much time.
func (l *life) listen(longest time.Duration) {
	silent := true
	if !l.until.IsZero() {
		if left := time.Until(l.until); left < longest {
			longest, silent = left, false
		}
	}
	l.silent.Store(silent)
	l.clock.Reset(longest)
}

// heard ends what listen began. The limit on the whole counts again when more is waited for.
func (l *life) heard() { l.clock.Stop() }

// end releases what the life holds and cancels the upstream if it still works.
func (l *life) end(cause error) {
	l.clock.Stop()
	l.cancel(cause)
}

// failure says whether the caller or one of our limits ended the life, and
// which; nil if it goes on or came to its natural end.
func (l *life) failure() *failure {
	switch {
	case l.ctx.Err() == nil:
		return nil
	case errors.Is(l.caller.Err(), context.Canceled):
		return &failure{gone: gone(l.caller)}
	case l.caller.Err() != nil:
		// A deadline of the caller's is its own affair, not a fault of the server's.
		return &failure{fault: unavailable("The model server did not answer in time.", l.caller.Err())}
	}
	cause := context.Cause(l.ctx)
	if !errors.Is(cause, errTimeout) && !errors.Is(cause, errSilence) {
		return nil
	}
	return &failure{fault: unavailable("The model server did not answer in time.", cause), down: true}
}

// gone is the error for a caller that cancelled its own request.
func gone(caller context.Context) error {
	err := caller.Err()
	if cause := context.Cause(caller); cause != nil && !errors.Is(cause, err) {
		return fmt.Errorf("backend: the caller went away: %w: %w", err, cause)
	}
	return fmt.Errorf("backend: the caller went away: %w", err)
}
