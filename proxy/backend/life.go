package backend

import (
	"context"
	"errors"
	"fmt"
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
	limit  *time.Timer
}

func begin(caller context.Context, limit time.Duration) *life {
	l := &life{caller: caller}
	l.ctx, l.cancel = context.WithCancelCause(caller)
	l.limit = time.AfterFunc(limit, func() { l.cancel(errTimeout) })
	return l
}

// unbounded lifts the limit on the whole, not the one on silence.
func (l *life) unbounded() { l.limit.Stop() }

// end releases what the life holds and cancels the upstream if it still works.
func (l *life) end(cause error) {
	l.limit.Stop()
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
