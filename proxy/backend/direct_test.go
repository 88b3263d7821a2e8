package backend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plainServer is a server that a test writes by hand: serve has each connection
// to itself, and its number, from 1 on. Its end closes the connection.
func plainServer(t *testing.T, serve func(c *net.TCPConn, in *bufio.Reader, number int64)) *url.URL {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var count atomic.Int64
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			number := count.Add(1)
			served.Go(func() {
				defer c.Close()
				serve(c.(*net.TCPConn), bufio.NewReader(c), number)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	return &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/v1"}
}

// takeRequest reads one request whole; false at the end of the connection.
func takeRequest(in *bufio.Reader) (*http.Request, []byte, bool) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, nil, false
	}
	body, err := io.ReadAll(r.Body)
	return r, body, err == nil
}

// untilGone returns when the other side has gone.
func untilGone(in io.Reader) { _, _ = io.Copy(io.Discard, in) }

func openDirect(t *testing.T, base *url.URL, maxConns int) *direct {
	t.Helper()
	d := newDirect(base, maxConns)
	t.Cleanup(d.CloseIdleConnections)
	return d
}

func post(ctx context.Context, base *url.URL, body []byte) *http.Request {
	return question{method: http.MethodPost, url: base, header: http.Header{}, body: body}.request(ctx)
}

func get(ctx context.Context, base *url.URL) *http.Request {
	return question{method: http.MethodGet, url: base, header: http.Header{}}.request(ctx)
}

// huge fills every buffer between two sockets.
var huge = bytes.Repeat([]byte("0123456789abcdef"), 1<<20)

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func wholeAnswer(t *testing.T, resp *http.Response, err error) string {
	t.Helper()
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return string(text)
}

func TestDirectIsCancelledAtOnceAtEveryStage(t *testing.T) {
	left := errors.New("left")
	for _, tc := range []struct {
		name string
		body []byte
		// serve calls reached when the stage is reached.
		serve  func(c net.Conn, in *bufio.Reader, reached func())
		change func(d *direct, reached func())
	}{
		{name: "waiting for a turn", change: func(d *direct, reached func()) {
			d.pool = newPool(1)
			d.pool.turns <- struct{}{}
			reached()
		}},
		{name: "connecting", change: func(d *direct, reached func()) {
			d.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				reached()
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}},
		{name: "writing a long body", body: huge, serve: func(_ net.Conn, in *bufio.Reader, reached func()) {
			_, _ = in.Peek(1)
			reached()
		}},
		{name: "writing a short body", body: huge[:100], change: func(d *direct, reached func()) {
			d.dial = func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe() // a Write waits for a Read
				go func() {
					_, _ = theirs.Read(make([]byte, 10))
					reached()
				}()
				return ours, nil
			}
		}},
		{name: "waiting for the answer", serve: func(_ net.Conn, in *bufio.Reader, reached func()) {
			takeRequest(in)
			reached()
		}},
		{name: "in the headers", serve: func(c net.Conn, in *bufio.Reader, reached func()) {
			takeRequest(in)
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-")
			reached()
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			reached := func() { cancel(left) }
			gone := make(chan struct{})
			base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
				tc.serve(c, in, reached)
				untilGone(in)
				close(gone)
			})
			d := openDirect(t, base, 0)
			if tc.change != nil {
				tc.change(d, reached)
			}
			_, err := d.RoundTrip(post(ctx, base, tc.body))
			require.ErrorIs(t, context.Cause(ctx), left)
			require.True(t, errors.Is(err, left) || errors.Is(err, context.Canceled), "%v", err)
			if tc.serve != nil {
				<-gone
			}
			require.Empty(t, d.pool.idle)
		})
	}
}

func TestDirectIsCancelledInTheBody(t *testing.T) {
	left := errors.New("left")
	gone := make(chan struct{})
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		takeRequest(in)
		_, _ = io.WriteString(c, okay[:len(okay)-1])
		untilGone(in)
		close(gone)
	})
	d := openDirect(t, base, 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	resp, err := d.RoundTrip(post(ctx, base, nil))
	require.NoError(t, err)
	first := make([]byte, 1)
	_, err = io.ReadFull(resp.Body, first)
	require.NoError(t, err)
	cancel(left)
	_, err = resp.Body.Read(first)
	require.ErrorIs(t, err, left)
	<-gone
	_, err = resp.Body.Read(first)
	require.Error(t, err, "it stays ended")
	require.Empty(t, d.pool.turns, "the turn is free again")
	require.NoError(t, resp.Body.Close())
	require.Empty(t, d.pool.turns)
}

func TestCancelAfterTheEndDoesNotTouchTheKeptConnection(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
		for _, _, ok := takeRequest(in); ok; _, _, ok = takeRequest(in) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", number)
		}
	})
	d := openDirect(t, base, 0)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := d.RoundTrip(post(ctx, base, []byte("{}")))
		require.Equal(t, "1", wholeAnswer(t, resp, err))
		cancel()
	}
}

// What could still reach into a connection must not meet the next request on it.
func TestConnectionThatMayBeTouchedIsNotKept(t *testing.T) {
	for name, meddle := range map[string]func(*answer){
		"the cancel is under way":         func(a *answer) { a.stop = func() bool { return false } },
		"the request is being written":    func(a *answer) { a.sent = later() },
		"the request was not all written": func(a *answer) { sent := make(chan error, 1); sent <- io.ErrShortWrite; a.sent = sent },
		"nothing":                         func(*answer) {},
	} {
		base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
			for _, _, ok := takeRequest(in); ok; _, _, ok = takeRequest(in) {
				_, _ = io.WriteString(c, okay)
			}
		})
		d := openDirect(t, base, 0)
		resp, err := d.RoundTrip(post(t.Context(), base, nil))
		require.NoError(t, err)
		a := resp.Body.(*answer)
		stop := a.stop
		meddle(a)
		require.Equal(t, "ok", wholeAnswer(t, resp, nil))
		require.Equal(t, name == "nothing", kept(d) == 1, name)
		stop()
	}
}

// later is told of the end of a write only after it was asked about once.
func later() <-chan error {
	sent := make(chan error)
	go func() {
		time.Sleep(10 * time.Millisecond)
		sent <- net.ErrClosed
	}()
	return sent
}

func TestDirectBodyIsClosedWhileAReadWaits(t *testing.T) {
	gone := make(chan struct{})
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		takeRequest(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		untilGone(in)
		close(gone)
	})
	resp, err := openDirect(t, base, 0).RoundTrip(post(t.Context(), base, nil))
	require.NoError(t, err)
	failed := make(chan error)
	go func() {
		_, err := resp.Body.Read(make([]byte, 1))
		failed <- err
	}()
	require.NoError(t, resp.Body.Close())
	err = <-failed
	require.Error(t, err)
	require.NotEqual(t, io.EOF, err)
	<-gone
}

// A server may refuse a body before it has read it, and read no more.
func TestAnswerBeforeTheRequestIsWritten(t *testing.T) {
	const refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"
	var over chan struct{}
	for name, after := range map[string]func(c *net.TCPConn, in *bufio.Reader){
		"and reads on": func(_ *net.TCPConn, in *bufio.Reader) { untilGone(in) },
		"and ends":     func(c *net.TCPConn, in *bufio.Reader) { _ = c.CloseWrite(); untilGone(in) },
		"and waits":    func(*net.TCPConn, *bufio.Reader) { <-over },
	} {
		t.Run(name, func(t *testing.T) {
			over = make(chan struct{})
			base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
				_, _ = http.ReadRequest(in)
				_, _ = io.WriteString(c, refusal)
				after(c, in)
			})
			d := openDirect(t, base, 0)
			req, body := watchedPost(t.Context(), base)
			resp, err := d.RoundTrip(req)
			require.NoError(t, err)
			require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "big", string(text))
			close(over)
			require.True(t, body.closed.Load(), "somebody may still be reading it")
			if name == "and waits" {
				require.Empty(t, d.pool.idle, "half a request has gone out on it")
			}
		})
	}
}

// watched is the body of a request that shows when nobody reads it any more.
type watched struct {
	*bytes.Reader
	closed atomic.Bool
}

func (w *watched) Close() error { w.closed.Store(true); return nil }

func watchedPost(ctx context.Context, base *url.URL) (*http.Request, *watched) {
	req, body := post(ctx, base, huge), &watched{Reader: bytes.NewReader(huge)}
	req.Body = body
	return req, body
}

// waitForReset returns when the other side has closed, without reading what it sent.
func waitForReset(c *net.TCPConn) {
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFailedRequestsBodyIsNotReadAnyMore(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		_, _ = http.ReadRequest(in)
		_, _ = io.WriteString(c, "nonsense\r\n")
		waitForReset(c)
	})
	req, body := watchedPost(t.Context(), base)
	_, err := openDirect(t, base, 0).RoundTrip(req)
	require.Error(t, err)
	require.True(t, body.closed.Load())
}

// Room that a body lies in is given back when it is closed.
func TestBodyOfARequestThatIsNotSentIsClosed(t *testing.T) {
	nobody := func() *url.URL {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, l.Close()) }()
		return &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}
	}()
	for name, try := range map[string]func(d *direct, req *http.Request) *http.Request{
		"nobody there": func(_ *direct, req *http.Request) *http.Request { return req },
		"a header that would be two": func(_ *direct, req *http.Request) *http.Request {
			req.Header = http.Header{"X": {"a\r\nY: b"}}
			return req
		},
		"no turn": func(d *direct, req *http.Request) *http.Request {
			require.NoError(t, d.pool.enter(t.Context()))
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			return req.WithContext(ctx)
		},
	} {
		d := openDirect(t, nobody, 1)
		req, body := watchedPost(t.Context(), nobody)
		_, err := d.RoundTrip(try(d, req))
		require.Error(t, err, name)
		require.True(t, body.closed.Load(), name)
	}
}

func TestLongBodyArrivesWhole(t *testing.T) {
	for _, length := range []int{0, 1, copyLimit, copyLimit + 1, inlineLimit, inlineLimit + 1, len(huge)} {
		bodies := make(chan []byte, 1)
		base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
			for _, body, ok := takeRequest(in); ok; _, body, ok = takeRequest(in) {
				bodies <- body
				_, _ = io.WriteString(c, okay)
			}
		})
		d := openDirect(t, base, 0)
		for range 2 {
			resp, err := d.RoundTrip(post(t.Context(), base, huge[:length]))
			require.Equal(t, "ok", wholeAnswer(t, resp, err))
			require.True(t, bytes.Equal(huge[:length], <-bodies), "%d", length)
		}
	}
}

// deadlines notes the last one that was set for writing.
type deadlines struct {
	net.Conn
	last time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.last = t
	return d.Conn.SetWriteDeadline(t)
}

func TestKeptConnectionHasNoDeadlineOfTheRequestBefore(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		for _, _, ok := takeRequest(in); ok; _, _, ok = takeRequest(in) {
			_, _ = io.WriteString(c, okay)
		}
	})
	d := openDirect(t, base, 0)
	var noted *deadlines
	d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		inner, err := newDialer().DialContext(ctx, network, address)
		noted = &deadlines{inner, time.Unix(1, 0)}
		return noted, err
	}
	resp, err := d.RoundTrip(post(t.Context(), base, huge[:inlineLimit+1]))
	require.Equal(t, "ok", wholeAnswer(t, resp, err))
	require.Equal(t, 1, kept(d))
	require.Zero(t, noted.last)
}

func TestConnectionClosedWhileIdleIsNotUsed(t *testing.T) {
	closed := make(chan struct{})
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
		takeRequest(in)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", number)
		if number == 1 {
			_ = c.Close()
			close(closed)
		}
		untilGone(in)
	})
	d := openDirect(t, base, 0)
	resp, err := d.RoundTrip(post(t.Context(), base, []byte("{}")))
	require.Equal(t, "1", wholeAnswer(t, resp, err))
	<-closed
	resp, err = d.RoundTrip(post(t.Context(), base, []byte("{}")))
	require.Equal(t, "2", wholeAnswer(t, resp, err))
}

// The server closes a kept connection just when a request is on its way: what
// changes something is not sent a second time, what changes nothing is, once.
func TestStaleConnection(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ask   func(ctx context.Context, base *url.URL) *http.Request
		then  string // what a second connection answers; nothing: it closes too
		begun string // what the first one says to the second request before it closes
		good  bool
		asked int64
	}{
		{"POST", func(ctx context.Context, base *url.URL) *http.Request { return post(ctx, base, []byte("{}")) }, okay, "", false, 2},
		{"GET", get, okay, "", true, 3},
		{"GET, and again", get, "", "", false, 3},
		{"GET after the first byte of an answer", get, okay, "H", false, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked atomic.Int64
			base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, number int64) {
				answers := []string{okay, tc.begun}
				if number > 1 {
					answers = []string{tc.then}
				}
				for _, answer := range answers {
					if _, _, ok := takeRequest(in); !ok {
						return
					}
					asked.Add(1)
					_, _ = io.WriteString(c, answer)
				}
			})
			d := openDirect(t, base, 0)
			resp, err := d.RoundTrip(tc.ask(t.Context(), base))
			require.Equal(t, "ok", wholeAnswer(t, resp, err))
			resp, err = d.RoundTrip(tc.ask(t.Context(), base))
			require.Equal(t, tc.good, err == nil, "%v", err)
			if tc.good {
				require.Equal(t, "ok", wholeAnswer(t, resp, err))
			}
			require.Equal(t, tc.asked, asked.Load())
		})
	}
}

// refusing is a connection that no longer takes a byte.
type refusing struct{ net.Conn }

func (refusing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRequestOfWhichNothingLeftIsSentOnAnotherConnection(t *testing.T) {
	bodies := make(chan string, 9)
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		for _, body, ok := takeRequest(in); ok; _, body, ok = takeRequest(in) {
			bodies <- string(body)
			_, _ = io.WriteString(c, okay)
		}
	})
	d := openDirect(t, base, 0)
	resp, err := d.RoundTrip(post(t.Context(), base, []byte("1")))
	require.Equal(t, "ok", wholeAnswer(t, resp, err))
	kept := d.pool.idle[0]
	require.NoError(t, kept.SetReadDeadline(time.Unix(1, 0)))
	kept.Conn, kept.probe = refusing{kept.Conn}, probe{}
	resp, err = d.RoundTrip(post(t.Context(), base, []byte("2")))
	require.Equal(t, "ok", wholeAnswer(t, resp, err))
	require.Len(t, bodies, 2)
	require.Equal(t, "1", <-bodies)
	require.Equal(t, "2", <-bodies)
}

func TestHeaderThatWouldBeTwoIsRefused(t *testing.T) {
	d := newDirect(&url.URL{Scheme: "http", Host: "model.test"}, 0)
	d.dial = func(context.Context, string, string) (net.Conn, error) { panic("nothing may be sent") }
	for name, value := range map[string]string{"X-A": "1\r\nX-B: 2", "X-C": "1\n2", "X-D": "\x00", "X A": "1", "X\r\nY": "1", "": "1"} {
		req := get(t.Context(), &url.URL{Scheme: "http", Host: "model.test"})
		req.Header = http.Header{name: {value}}
		_, err := d.RoundTrip(req)
		require.ErrorIs(t, err, errUnfit, "%q", name)
		require.NotContains(t, err.Error(), value)
	}
}

// The idempotency of replies counts on it: who asked a model may get another answer next time.
func TestDirectTellsTheTraceBeforeItConnects(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "model.test"}
	d := newDirect(base, 0)
	var told string
	d.dial = func(context.Context, string, string) (net.Conn, error) {
		require.Equal(t, "model.test:80", told)
		return nil, net.ErrClosed
	}
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GetConn: func(address string) { told = address }})
	_, err := d.RoundTrip(get(ctx, base))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestWhichWay(t *testing.T) {
	none := func(*http.Request) (*url.URL, error) { return nil, nil }
	through := func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "proxy:3128"}, nil }
	broken := func(*http.Request) (*url.URL, error) { return nil, errors.New("no URL") }
	for _, tc := range []struct {
		base  string
		proxy func(*http.Request) (*url.URL, error)
		to    string // empty: net/http's
	}{
		{"http://model.test/v1", none, "model.test:80"},
		{"http://model.test:/v1", none, "model.test:80"},
		{"http://127.0.0.1:8000/v1", none, "127.0.0.1:8000"},
		{"http://[::1]:8000/v1", none, "[::1]:8000"},
		{"http://[::1]/v1", none, "[::1]:80"},
		{"https://model.test/v1", none, ""},
		{"http://model.test/v1", through, ""},
		{"http://model.test/v1", broken, ""},
		{"http://modèle.test/v1", none, ""},
		{"http://[fe80::1%25eth0]/v1", none, ""},
	} {
		base, err := url.Parse(tc.base)
		require.NoError(t, err)
		way := newWay(base, tc.proxy, 7)
		if tc.to == "" {
			require.IsType(t, &http.Transport{}, way, tc.base)
			continue
		}
		require.IsType(t, &direct{}, way, tc.base)
		require.Equal(t, tc.to, way.(*direct).address)
		require.Equal(t, 7, way.(*direct).pool.keep)
	}
	cfg := Settings{}
	cfg.setDefaults(&url.URL{Scheme: "http", Host: "127.0.0.1:1"})
	require.IsType(t, &direct{}, cfg.Transport, "as shipped")
}

// Under load, with requests that are cancelled and bodies that are left, nobody
// gets the answer to another's request, and all turns are free at the end.
func TestNobodyGetsTheAnswerToAnothersRequest(t *testing.T) {
	base := plainServer(t, func(c *net.TCPConn, in *bufio.Reader, _ int64) {
		for _, body, ok := takeRequest(in); ok; _, body, ok = takeRequest(in) {
			if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
				return
			}
		}
	})
	d := openDirect(t, base, 8)
	var done sync.WaitGroup
	for worker := range 24 {
		done.Go(func() {
			for i := range 60 {
				ask := strings.Repeat(fmt.Sprintf("%d/%d ", worker, i), 1+i*i)
				ctx, cancel := context.WithCancel(t.Context())
				if i%5 == 0 {
					go cancel()
				}
				resp, err := d.RoundTrip(post(ctx, base, []byte(ask)))
				if err == nil && i%7 == 0 {
					_, _ = resp.Body.Read(make([]byte, 3))
					_ = resp.Body.Close()
				} else if err == nil {
					var text []byte
					if text, err = io.ReadAll(resp.Body); err == nil && string(text) != ask {
						t.Errorf("%d/%d got %.40q", worker, i, text)
					}
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("%d/%d: %v", worker, i, err)
				}
				cancel()
			}
		})
	}
	done.Wait()
	require.Empty(t, d.pool.turns)
	require.LessOrEqual(t, len(d.pool.idle), 8)
}
