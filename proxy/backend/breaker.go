package backend

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// errOpen: the breaker is open; nothing was sent.
var errOpen = errors.New("the circuit breaker is open")

// breaker stops asking a server that is down. It opens after so many requests
// in a row that could not be delivered, timed out or were answered 5xx; after a
// pause one request may try, and its success closes it. A 4xx, 429 included,
// shows that the server lives; a caller that goes away shows nothing.
type breaker struct {
	circuit *gobreaker.CircuitBreaker[*reply]
	pause   time.Duration
	now     func() time.Time
	opened  atomic.Int64 // Unix nanoseconds
}

func newBreaker(after int, pause time.Duration, now func() time.Time) *breaker {
	b := &breaker{pause: pause, now: now}
	b.circuit = gobreaker.NewCircuitBreaker[*reply](gobreaker.Settings{
		Name:        "backend",
		MaxRequests: 1,
		Timeout:     pause,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return after > 0 && counts.ConsecutiveFailures >= uint32(after)
		},
		IsExcluded: func(err error) bool {
			if err == nil {
				return false
			}
			var fail *failure
			return errors.As(err, &fail) && !fail.down && fail.status == 0
		},
		IsSuccessful: func(err error) bool {
			if err == nil {
				return true
			}
			var fail *failure
			return errors.As(err, &fail) && !fail.down
		},
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.opened.Store(now().UnixNano())
			}
		},
	})
	return b
}

// do runs one request unless the breaker is open; then the error is a fault
// that says when to come again.
func (b *breaker) do(run func() (*reply, error)) (*reply, error) {
	resp, err := b.circuit.Execute(run)
	if err == nil || !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests) {
		return resp, err
	}
	f := unavailable("The model server has failed repeatedly and is given a pause.", errOpen)
	left := b.pause - b.now().Sub(time.Unix(0, b.opened.Load()))
	f.RetryAfter = wholeSeconds(min(max(left, time.Second), b.pause))
	return nil, f
}
