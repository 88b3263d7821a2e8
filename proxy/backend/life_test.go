package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hung is a server that starts to answer, or does not, and then waits for its
// client to go.
type hung struct {
	arrived, left chan struct{}
	started       bool
}

func newHung(started bool) *hung {
	return &hung{arrived: make(chan struct{}), left: make(chan struct{}), started: started}
}

func (h *hung) answer(w http.ResponseWriter, r *http.Request) {
	if h.started {
		startStream(w, r)
	} else {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices only then
	}
	close(h.arrived)
	<-r.Context().Done()
	close(h.left)
}

func TestCancelReachesTheUpstream(t *testing.T) {
	t.Run("while it thinks", func(t *testing.T) {
		h := newHung(false)
		u := newUpstream(t, h.answer)
		b := u.open(t, nil)
		ctx, cancel := context.WithCancelCause(background())
		left := errors.New("the tab was closed")
		go func() {
			<-h.arrived
			cancel(left)
		}()
		_, err := b.Chat(ctx, chatRequest(true))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, left)
		<-h.left
		require.Equal(t, int64(1), u.asked.Load())
	})
	t.Run("while it streams", func(t *testing.T) {
		h := newHung(true)
		ctx, cancel := context.WithCancel(background())
		resp, err := newUpstream(t, h.answer).open(t, nil).Chat(ctx, chatRequest(true))
		require.NoError(t, err)
		defer resp.Body.Close()
		readFirst(t, resp)
		cancel()
		_, err = resp.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, context.Canceled)
		<-h.left
	})
	t.Run("by closing the body", func(t *testing.T) {
		h := newHung(true)
		resp, err := newUpstream(t, h.answer).open(t, nil).Chat(background(), chatRequest(true))
		require.NoError(t, err)
		readFirst(t, resp)
		require.NoError(t, resp.Body.Close())
		<-h.left
		require.NoError(t, resp.Body.Close(), "twice does no harm")
		_, err = resp.Body.Read(make([]byte, 1))
		require.ErrorIs(t, err, errClosed)
	})
	t.Run("by closing the body while a read waits", func(t *testing.T) {
		h := newHung(true)
		resp, err := newUpstream(t, h.answer).open(t, nil).Chat(background(), chatRequest(true))
		require.NoError(t, err)
		readFirst(t, resp)
		failed := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			failed <- err
		}()
		require.NoError(t, resp.Body.Close())
		require.ErrorIs(t, <-failed, errClosed)
		<-h.left
	})
}

func TestCancelledBeforehandAsksNobody(t *testing.T) {
	u := newUpstream(t, answerJSON("{}"))
	b := u.open(t, nil)
	ctx, cancel := context.WithCancel(background())
	cancel()
	_, err := b.Chat(ctx, chatRequest(false))
	require.ErrorIs(t, err, context.Canceled)
	_, err = b.Models(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, b.Check(ctx), context.Canceled)
	require.NoError(t, b.Check(background()), "a check that was given up proves nothing")
	require.Equal(t, int64(1), u.asked.Load())
}

func TestCancelDuringAPauseBetweenRetries(t *testing.T) {
	ctx, cancel := context.WithCancel(background())
	u := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(502)
		defer cancel()
	})
	b := u.open(t, func(cfg *Settings) { cfg.RetryWait, cfg.RetryBudget = time.Hour, 3*time.Hour })
	_, err := b.Chat(ctx, chatRequest(false))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, int64(1), u.asked.Load())
}

func TestSlowHeadersAreUnavailable(t *testing.T) {
	u := newUpstream(t, newHung(false).answer) // closing it waits for its handlers
	b := u.open(t, func(cfg *Settings) { cfg.Timeout = 30 * time.Millisecond })
	_, err := b.Chat(background(), chatRequest(true))
	requireUnavailable(t, err)
	require.ErrorIs(t, err, errTimeout)
	require.LessOrEqual(t, u.asked.Load(), int64(1), "a timeout is not tried again")
}

func TestSilentStreamIsGivenUp(t *testing.T) {
	h := newHung(true)
	b := newUpstream(t, h.answer).open(t, func(cfg *Settings) { cfg.IdleTimeout = 300 * time.Millisecond })
	resp, err := b.Chat(background(), chatRequest(true))
	require.NoError(t, err)
	defer resp.Body.Close()
	readFirst(t, resp)
	_, err = resp.Body.Read(make([]byte, 1))
	requireUnavailable(t, err)
	require.ErrorIs(t, err, errSilence)
	<-h.left
	_, err = resp.Body.Read(make([]byte, 1))
	require.ErrorIs(t, err, errSilence, "the error stays")
}

func TestCallersDeadlineIsUnavailable(t *testing.T) {
	ctx, cancel := context.WithTimeout(background(), 30*time.Millisecond)
	defer cancel()
	_, err := newUpstream(t, newHung(false).answer).open(t, nil).Chat(ctx, chatRequest(true))
	requireUnavailable(t, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// slowly is a body whose bytes come at intervals.
type slowly struct {
	ctx  context.Context
	wait time.Duration
	left int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(s.wait):
		s.left--
		p[0] = ' '
		return 1, nil
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
}

func (s *slowly) Close() error { return nil }

func answerSlowly(kind string, wait time.Duration, count int) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {kind}},
			Body: &slowly{ctx: r.Context(), wait: wait, left: count},
		}, nil
	}
}

func TestLongStreamHasNoLimitAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = answerSlowly("text/event-stream", 4*time.Minute, 100)
		start := time.Now()
		resp, err := b.Chat(t.Context(), chatRequest(true))
		require.NoError(t, err)
		require.Len(t, readAll(t, resp), 100)
		require.Equal(t, 400*time.Minute, time.Since(start))
	})
}

func TestJSONAnswerIsLimitedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = answerSlowly("application/json", 4*time.Minute, 100)
		resp, err := b.Chat(t.Context(), chatRequest(false))
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.Len(t, text, 2)
		requireUnavailable(t, err)
		require.ErrorIs(t, err, errTimeout)
	})
}

func TestSlowReaderIsNotTheUpstreamsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = answerSlowly("text/event-stream", time.Second, 3)
		resp, err := b.Chat(t.Context(), chatRequest(true))
		require.NoError(t, err)
		defer resp.Body.Close()
		for range 3 {
			time.Sleep(time.Hour) // synctest's clock, not the wall's
			_, err := resp.Body.Read(make([]byte, 1))
			require.NoError(t, err)
		}
		_, err = resp.Body.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
	})
}

func TestCloseDoesNotWaitForAnUpstreamThatStaysAfterDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = func(r *http.Request) (*http.Response, error) {
			end := &slowly{ctx: r.Context(), wait: time.Hour, left: 1}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
				Body: readCloser{io.MultiReader(oneByOne("data: [DONE]\n\n"), end), end}}, nil
		}
		resp, err := b.Chat(t.Context(), chatRequest(true))
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, len("data: [DONE]\n\n")))
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, resp.Body.Close())
		require.Equal(t, drainTime, time.Since(start))
	})
}

type readCloser struct {
	io.Reader
	io.Closer
}

// oneByOne gives one byte a read.
func oneByOne(text string) io.Reader {
	var all []io.Reader
	for i := range len(text) {
		all = append(all, &single{text[i], false})
	}
	return io.MultiReader(all...)
}

type single struct {
	b    byte
	done bool
}

func (s *single) Read(p []byte) (int, error) {
	if s.done {
		return 0, io.EOF
	}
	s.done, p[0] = true, s.b
	return 1, nil
}

func TestBrokenOffAnswerIsNotACleanEnd(t *testing.T) {
	for _, tc := range []struct {
		name    string
		stream  bool
		handler http.HandlerFunc
	}{
		{"reset in a stream", true, func(w http.ResponseWriter, r *http.Request) {
			startStream(w, r)
			reset(w)
		}},
		{"closed in a chunked stream", true, func(w http.ResponseWriter, r *http.Request) {
			startStream(w, r)
			conn, _, _ := http.NewResponseController(w).Hijack()
			_ = conn.Close()
		}},
		{"short of its length", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"half":`)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, err := newUpstream(t, tc.handler).open(t, nil).Chat(background(), chatRequest(tc.stream))
			require.NoError(t, err)
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			f := requireUnavailable(t, err)
			require.ErrorIs(t, f, errBroken)
			require.NotContains(t, f.Error(), "127.0.0.1")
		})
	}
}
