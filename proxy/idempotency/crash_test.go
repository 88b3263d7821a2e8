package idempotency

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// A run that lost its claim, because its replica could not reach the store for a
// while, must not hold or release anything when it comes back.
func TestARunWhoseClaimWasTakenOverChangesNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, e store.Engine) {
		running, goOn := make(chan struct{}), make(chan struct{})
		outcome := make(chan error, 1)
		one := start(t, e, Options{}, func(ctx context.Context, _ http.ResponseWriter, fenced store.Engine) error {
			close(running)
			<-goOn
			err := holds(ctx, fenced, "by the first")
			outcome <- err
			return err
		})
		two := start(t, e, Options{}, func(ctx context.Context, w http.ResponseWriter, fenced store.Engine) error {
			_, _ = w.Write([]byte("second"))
			return holds(ctx, fenced, "by the second")
		})
		first := make(chan reply, 1)
		go func() { first <- one.post(context.WithoutCancel(t.Context()), "k", "body") }()
		<-running
		one.engine.cut.Store(true)
		second := two.post(t.Context(), "k", "body")
		require.Equal(t, "second", second.body)
		one.engine.cut.Store(false)
		close(goOn)
		require.Error(t, <-outcome)
		require.Equal(t, 1, held(t, e))
		got := <-first
		require.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
		require.Equal(t, "second", one.post(t.Context(), "k", "body").body)
	})
}

// What a run did before its replica died decides what the retry gets.
func TestWhatARetryGetsFromADeadRun(t *testing.T) {
	for name, c := range map[string]struct {
		before func(ctx context.Context, w http.ResponseWriter, fenced store.Engine) error
		again  bool // the retry runs
		event  bool // or hears the error as an event
	}{
		"nothing happened":    {func(context.Context, http.ResponseWriter, store.Engine) error { return nil }, true, false},
		"a model was asked":   {func(ctx context.Context, _ http.ResponseWriter, _ store.Engine) error { ask(ctx); return nil }, true, false},
		"an answer was taken": {func(ctx context.Context, _ http.ResponseWriter, e store.Engine) error { return holds(ctx, e, "a") }, true, false},
		"a model's call was held": {func(ctx context.Context, _ http.ResponseWriter, e store.Engine) error {
			ask(ctx)
			return holds(ctx, e, "a")
		}, false, false},
		"a stream has begun": {func(_ context.Context, w http.ResponseWriter, _ store.Engine) error {
			w.Header().Set("Content-Type", "text/event-stream")
			return http.NewResponseController(w).Flush()
		}, false, true},
		"a stream is recorded, and nothing has left": {func(_ context.Context, w http.ResponseWriter, _ store.Engine) error {
			w.Header().Set("Content-Type", "text/event-stream")
			_, err := w.Write([]byte("data: {}\n\n"))
			return err
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, e store.Engine) {
				ready, die := make(chan error, 1), make(chan struct{})
				one := start(t, e, Options{}, func(ctx context.Context, w http.ResponseWriter, fenced store.Engine) error {
					ready <- c.before(ctx, w, fenced)
					<-die
					return errors.New("dead")
				})
				gone := make(chan reply, 1)
				go func() { gone <- one.post(context.WithoutCancel(t.Context()), "k", "body") }()
				require.NoError(t, <-ready)
				one.engine.cut.Store(true) // from here on it is as good as dead
				var ran atomic.Bool
				two := start(t, e, Options{}, func(_ context.Context, w http.ResponseWriter, _ store.Engine) error {
					ran.Store(true)
					_, err := w.Write([]byte("again"))
					return err
				})
				if c.again {
					// The body has died with the run.
					empty := two.post(t.Context(), "k", "")
					require.Equal(t, http.StatusServiceUnavailable, empty.status)
					require.Equal(t, "false", empty.header.Get("X-Should-Retry"))
					require.False(t, ran.Load())
				}
				for range 2 {
					got := two.post(t.Context(), "k", "body")
					switch {
					case c.again:
						require.Equal(t, "again", got.body)
					case c.event:
						require.Equal(t, http.StatusOK, got.status)
						require.Equal(t, "text/event-stream", got.header.Get("Content-Type"))
						require.Regexp(t, `^data: \{"error":\{.*"code":"service_unavailable".*\}\n\n$`, got.body)
					default:
						require.Equal(t, http.StatusServiceUnavailable, got.status, got.body)
						require.Equal(t, "false", got.header.Get("X-Should-Retry"))
					}
				}
				require.Equal(t, c.again, ran.Load())
				close(die)
				<-gone
			})
		})
	}
}

// A run that fails after something was held is not run again.
func TestAFailureAfterSomethingWasHeld(t *testing.T) {
	for name, fails := range map[string]failure{"known": never, "unknown": after} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, e store.Engine) {
				runs := 0
				var one *replica
				one = start(t, e, Options{Lease: time.Minute}, func(ctx context.Context, _ http.ResponseWriter, fenced store.Engine) error {
					runs++
					ask(ctx)
					left := 1
					one.engine.fails = func() failure {
						if left--; left == 0 {
							return fails
						}
						return never
					}
					_ = holds(ctx, fenced, rand.Text())
					return errors.New("something else went wrong")
				})
				for range 3 {
					require.Equal(t, http.StatusServiceUnavailable, one.post(t.Context(), "k", "body").status)
				}
				require.Equal(t, 1, runs)
				require.Equal(t, 1, held(t, e))
			})
		})
	}
}

func TestAPanicGivesTheKeyFree(t *testing.T) {
	onBothStores(t, func(t *testing.T, e store.Engine) {
		runs := 0
		one := start(t, e, Options{Lease: time.Minute}, func(_ context.Context, w http.ResponseWriter, _ store.Engine) error {
			if runs++; runs == 1 {
				panic(http.ErrAbortHandler)
			}
			_, err := w.Write([]byte("fine"))
			return err
		})
		require.Error(t, one.post(t.Context(), "k", "body").err)
		require.Equal(t, "fine", one.post(t.Context(), "k", "body").body)
	})
}
