package backend

import (
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// failFirst lets the first requests fail in some way and answers the others.
func failFirst(n int64, fail, then http.HandlerFunc) http.HandlerFunc {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) <= n {
			fail(w, r)
			return
		}
		then(w, r)
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func resetHandler(w http.ResponseWriter, _ *http.Request) { reset(w) }

func TestRetryBeforeTheFirstByte(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fail  http.HandlerFunc
		fails int64
		asked int64
		good  bool
	}{
		{"reset once", resetHandler, 1, 2, true},
		{"reset twice", resetHandler, 2, 3, true},
		{"reset for ever", resetHandler, 99, 3, false},
		{"502", status(502), 2, 3, true},
		{"503", status(503), 1, 2, true},
		{"503, wait a little", status(503, "Retry-After-Ms", "1"), 1, 2, true},
		{"503, wait longer than we may", status(503, "Retry-After", "60"), 1, 1, false},
		{"503, do not", status(503, "X-Should-Retry", "false"), 1, 1, false},
		{"500", status(500), 1, 1, false},
		{"504", status(504), 1, 1, false},
		{"429", status(429), 1, 1, false},
		{"400", status(400), 1, 1, false},
		{"408", status(408), 1, 1, false},
		{"wrong kind", answerJSON("{}"), 1, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := newUpstream(t, failFirst(tc.fails, tc.fail, func(w http.ResponseWriter, r *http.Request) {
				startStream(w, r)
			}))
			resp, err := u.open(t, nil).Chat(background(), chatRequest(true))
			require.Equal(t, tc.good, err == nil, "%v", err)
			if tc.good {
				require.Equal(t, firstFrame, readAll(t, resp))
			}
			require.Equal(t, tc.asked, u.asked.Load())
		})
	}
}

func TestRetrySendsTheSameBytes(t *testing.T) {
	var bodies []string
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(text))
		if len(bodies) < 3 {
			w.WriteHeader(502)
			return
		}
		answerJSON("{}")(w, r)
	})
	resp, err := u.open(t, nil).Chat(background(), Request{Body: []byte(`{"a":1}`)})
	require.NoError(t, err)
	readAll(t, resp)
	require.Equal(t, []string{`{"a":1}`, `{"a":1}`, `{"a":1}`}, bodies)
}

func TestRetriesCanBeTurnedOff(t *testing.T) {
	u := newUpstream(t, status(502))
	_, err := u.open(t, func(cfg *Settings) { cfg.Retries = -1 }).Chat(background(), chatRequest(false))
	requireUnavailable(t, err)
	require.Equal(t, int64(1), u.asked.Load())
}

func TestNoRetryOnceTheBudgetIsSpent(t *testing.T) {
	u := newUpstream(t, status(502))
	b := u.open(t, func(cfg *Settings) { cfg.RetryBudget = time.Nanosecond })
	_, err := b.Chat(background(), chatRequest(false))
	requireUnavailable(t, err)
	require.Equal(t, int64(1), u.asked.Load())
}

// What the first attempt took is part of the budget.
func TestNoRetryAfterAFirstAttemptThatTookTheBudget(t *testing.T) {
	const budget = 20 * time.Millisecond
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		<-time.After(budget)
		w.WriteHeader(http.StatusBadGateway)
	})
	b := u.open(t, func(cfg *Settings) { cfg.RetryWait, cfg.RetryBudget = 1, budget })
	_, err := b.Chat(background(), chatRequest(false))
	requireUnavailable(t, err)
	require.Equal(t, int64(1), u.asked.Load())
}

func TestNoRetryAfterTheFirstByteOfAStream(t *testing.T) {
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		startStream(w, r)
		reset(w)
	})
	resp, err := u.open(t, nil).Chat(background(), chatRequest(true))
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.LessOrEqual(t, len(text), len(firstFrame))
	requireUnavailable(t, err)
	require.Equal(t, int64(1), u.asked.Load())
}

func TestRefusedConnectionIsUnavailableWithoutItsAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, err = open(t, "http://"+address+"/v1", nil).Chat(background(), chatRequest(false))
	f := requireUnavailable(t, err)
	require.NotContains(t, f.Error(), address)
	require.NotContains(t, f.Error(), "127.0.0.1")
	require.ErrorContains(t, f, "refused")
}
