package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cadreen/fault"
)

// No test of this package may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "sk-upstream-0123456789"

// upstream is a scripted model server on a real socket.
type upstream struct {
	*httptest.Server
	asked   atomic.Int64 // requests
	opened  atomic.Int64 // connections
	handler http.HandlerFunc
}

func newUpstream(t *testing.T, handler http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{handler: handler}
	u.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.asked.Add(1)
		u.handler(w, r)
	}))
	u.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			u.opened.Add(1)
		}
	}
	u.Start()
	t.Cleanup(u.Close)
	return u
}

// throughNetHTTP has backends opened with net/http's transport, where the direct way is the default.
var throughNetHTTP bool

// open makes a backend for the upstream; retries are quick, all else as shipped.
func (u *upstream) open(t *testing.T, change func(*Settings)) Backend {
	t.Helper()
	return open(t, u.URL+"/v1", change)
}

func open(t *testing.T, url string, change func(*Settings)) Backend {
	t.Helper()
	cfg := Settings{URL: url, APIKey: testKey, RetryWait: time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	if throughNetHTTP && cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.MaxConns)
	}
	b, err := Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.(io.Closer).Close() })
	return b
}

// answerJSON is a handler with a good JSON answer.
func answerJSON(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// startStream sends the headers and a first frame of a stream.
func startStream(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = io.WriteString(w, firstFrame)
	_ = http.NewResponseController(w).Flush()
}

const firstFrame = "data: {\"choices\":[]}\n\n"

// reset breaks the connection with a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func chatRequest(stream bool) Request {
	return Request{Body: []byte(`{"model":"m"}`), Stream: stream}
}

// asFault is the fault in an error; the test fails if there is none.
func asFault(t *testing.T, err error) *fault.Error {
	t.Helper()
	var f *fault.Error
	require.True(t, errors.As(err, &f), "%v", err)
	return f
}

func requireUnavailable(t *testing.T, err error) *fault.Error {
	t.Helper()
	f := asFault(t, err)
	require.Equal(t, fault.ServiceUnavailable, f.Code, f.Error())
	require.Equal(t, http.StatusServiceUnavailable, f.HTTPStatus())
	return f
}

func readAll(t *testing.T, resp *Response) string {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

// readFirst reads the first frame of a stream.
func readFirst(t *testing.T, resp *Response) {
	t.Helper()
	buf := make([]byte, len(firstFrame))
	_, err := io.ReadFull(resp.Body, buf)
	require.NoError(t, err)
	require.Equal(t, firstFrame, string(buf))
}

func background() context.Context { return context.Background() }
