package backend

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// scripted is a round tripper without a network, for tests in synctest's time.
type scripted struct {
	asked int
	next  func(*http.Request) (*http.Response, error)
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked++
	return s.next(r)
}

func say(status int, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func scriptedBackend(t *testing.T) (*scripted, Backend) {
	t.Helper()
	s := &scripted{next: say(200, "{}")}
	return s, open(t, "http://model.test/v1", func(cfg *Settings) {
		cfg.Transport, cfg.Retries = s, -1
	})
}

func TestBreakerOpensHalfOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		ask := func() error {
			resp, err := b.Chat(t.Context(), chatRequest(false))
			if err == nil {
				_ = resp.Body.Close()
			}
			return err
		}
		s.next = say(500, "{}")
		for range 5 {
			requireUnavailable(t, ask())
		}
		require.Equal(t, 5, s.asked)

		time.Sleep(3 * time.Second) // synctest's clock, not the wall's
		f := requireUnavailable(t, ask())
		require.ErrorIs(t, f, errOpen)
		require.Equal(t, 7, f.RetryAfter)
		require.Equal(t, 5, s.asked, "an open breaker asks nobody")

		// Half open: one request tries, and fails.
		time.Sleep(7*time.Second + 1)
		require.NotErrorIs(t, ask(), errOpen)
		require.Equal(t, 6, s.asked)
		require.ErrorIs(t, ask(), errOpen)

		// While one tries, others are turned away; it succeeds and all may ask.
		time.Sleep(10*time.Second + 1)
		s.next = func(r *http.Request) (*http.Response, error) {
			other := requireUnavailable(t, ask())
			require.ErrorIs(t, other, errOpen)
			require.Equal(t, 1, other.RetryAfter)
			return say(200, "{}")(r)
		}
		require.NoError(t, ask())
		s.next = say(200, "{}")
		require.NoError(t, ask())
		require.Equal(t, 8, s.asked)
	})
}

func TestBreakerCountsOnlyTheServersFailures(t *testing.T) {
	reset := func(*http.Request) (*http.Response, error) { return nil, io.EOF }
	for _, tc := range []struct {
		name  string
		next  func(*http.Request) (*http.Response, error)
		opens bool
	}{
		{"connection", reset, true}, {"500", say(500, ""), true}, {"503", say(503, ""), true}, {"504", say(504, ""), true},
		{"400", say(400, "{}"), false}, {"401", say(401, "{}"), false}, {"429", say(429, "{}"), false},
		{"418 in words of its own", say(418, "<p>"), false}, {"302", say(302, ""), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, b := scriptedBackend(t)
			s.next = tc.next
			for range 20 {
				_, err := b.Chat(t.Context(), chatRequest(false))
				require.Error(t, err)
			}
			if tc.opens {
				require.Equal(t, 5, s.asked)
			} else {
				require.Equal(t, 20, s.asked)
			}
		})
	}
}

func TestBreakerForgetsFailuresAfterASuccess(t *testing.T) {
	s, b := scriptedBackend(t)
	for i := range 40 {
		s.next = say(500, "")
		if i%5 == 4 {
			s.next = say(400, "{}")
		}
		_, err := b.Chat(t.Context(), chatRequest(false))
		require.NotErrorIs(t, err, errOpen)
	}
	require.Equal(t, 40, s.asked)
}

func TestCancelDoesNotCountForTheBreaker(t *testing.T) {
	s, b := scriptedBackend(t)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		s.next = func(r *http.Request) (*http.Response, error) {
			cancel()
			<-r.Context().Done()
			return nil, errors.New("connection broken by the cancel")
		}
		_, err := b.Chat(ctx, chatRequest(false))
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, 20, s.asked)
}

func TestTrialThatIsCancelledDoesNotWedgeTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = say(500, "")
		for range 5 {
			_, err := b.Chat(t.Context(), chatRequest(false))
			require.Error(t, err)
		}
		time.Sleep(10*time.Second + 1) // synctest's clock, not the wall's
		ctx, cancel := context.WithCancel(t.Context())
		s.next = func(*http.Request) (*http.Response, error) {
			cancel()
			return nil, io.EOF
		}
		_, err := b.Chat(ctx, chatRequest(false))
		require.ErrorIs(t, err, context.Canceled)
		s.next = say(200, "{}")
		resp, err := b.Chat(t.Context(), chatRequest(false))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	})
}

func TestTimeoutsCountForTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, b := scriptedBackend(t)
		s.next = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		for range 5 {
			start := time.Now()
			_, err := b.Chat(t.Context(), chatRequest(true))
			requireUnavailable(t, err)
			require.ErrorIs(t, err, errTimeout)
			require.Equal(t, 10*time.Minute, time.Since(start))
		}
		_, err := b.Chat(t.Context(), chatRequest(true))
		require.ErrorIs(t, err, errOpen)
	})
}

func TestCheckLooksPastAnOpenBreaker(t *testing.T) {
	s, b := scriptedBackend(t)
	s.next = say(500, "")
	for range 6 {
		_, err := b.Chat(t.Context(), chatRequest(false))
		require.Error(t, err)
	}
	s.next = say(200, "{}")
	require.NoError(t, b.Check(t.Context()))
}

func TestBreakerOverRealSockets(t *testing.T) {
	u := newUpstream(t, status(500))
	b := u.open(t, func(cfg *Settings) { cfg.BreakFor = time.Millisecond })
	for range 5 {
		_, err := b.Chat(background(), chatRequest(false))
		requireUnavailable(t, err)
	}
	u.handler = answerJSON("{}")
	require.Eventually(t, func() bool {
		resp, err := b.Chat(background(), chatRequest(false))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return true
	}, 10*time.Second, time.Millisecond)
}
