package idempotency

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Work that nobody waits for any more ends after a while.
func TestARunThatNobodyWaitsForEnds(t *testing.T) {
	onBothStores(t, func(t *testing.T, e store.Engine) {
		running, cause := make(chan struct{}), make(chan error, 1)
		one := start(t, e, Options{Outlive: time.Millisecond}, func(ctx context.Context, _ http.ResponseWriter, _ store.Engine) error {
			close(running)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan reply)
		go func() { over <- one.post(ctx, "k", "body") }()
		<-running
		cancel()
		<-over
		require.ErrorIs(t, <-cause, errAlone)
	})
}

// A client that joined keeps the work alive when the first one leaves.
func TestAJoinedClientCounts(t *testing.T) {
	k := New(Options{Outlive: time.Hour})
	x := newTape(t.Context(), k, Request{}, "id", nil)
	x.leave()
	require.NotNil(t, x.alone)
	x.join()
	require.Nil(t, x.alone)
	x.join()
	x.leave()
	require.Nil(t, x.alone)
	x.leave()
	require.NotNil(t, x.alone)
	x.alone.Stop()
	x.claim.cancel(nil)
}

func TestStopEndsRuns(t *testing.T) {
	onBothStores(t, func(t *testing.T, e store.Engine) {
		running := make(chan struct{})
		one := start(t, e, Options{}, func(ctx context.Context, _ http.ResponseWriter, _ store.Engine) error {
			close(running)
			<-ctx.Done()
			return ctx.Err()
		})
		over := make(chan reply)
		go func() { over <- one.post(context.WithoutCancel(t.Context()), "k", "body") }()
		<-running
		one.keeper.Stop()
		require.Equal(t, http.StatusServiceUnavailable, (<-over).status)
	})
}

// Whoever follows a stream that becomes too long to be kept hears that the rest
// is missing; the client that it runs for gets all of it.
func TestFollowingAnAnswerThatBecomesTooLong(t *testing.T) {
	onBothStores(t, func(t *testing.T, e store.Engine) {
		running, goOn := make(chan struct{}), make(chan struct{})
		frame := "data: " + strings.Repeat("x", 100) + "\n\n"
		one := start(t, e, Options{Limit: 300}, func(_ context.Context, w http.ResponseWriter, _ store.Engine) error {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte(frame))
			_ = http.NewResponseController(w).Flush()
			close(running)
			<-goOn
			for range 4 {
				if _, err := w.Write([]byte(frame)); err != nil {
					return err
				}
			}
			return nil
		})
		first, second := make(chan reply, 1), make(chan reply, 1)
		go func() { first <- one.post(context.WithoutCancel(t.Context()), "k", "body") }()
		<-running
		part := make(chan struct{})
		go func() {
			q, _ := http.NewRequest(http.MethodPost, one.url, bytes.NewReader([]byte("body")))
			q.Close = true
			q.Header.Set(Header, "k")
			res, err := http.DefaultTransport.RoundTrip(q)
			if err != nil {
				second <- reply{err: err}
				return
			}
			defer res.Body.Close()
			got := make([]byte, len(frame))
			n, _ := res.Body.Read(got)
			close(part)
			var rest bytes.Buffer
			_, err = rest.ReadFrom(res.Body)
			second <- reply{res.StatusCode, res.Header, string(got[:n]) + rest.String(), err}
		}()
		<-part
		close(goOn)
		require.Equal(t, strings.Repeat(frame, 5), (<-first).body)
		got := <-second
		require.NoError(t, got.err)
		require.True(t, strings.HasPrefix(got.body, frame))
		require.Regexp(t, `\n\ndata: \{"error":\{.*\n\n$`, got.body)
		require.Regexp(t, `^data: \{"error":\{.*\n\n$`, one.post(t.Context(), "k", "body").body)
	})
}
