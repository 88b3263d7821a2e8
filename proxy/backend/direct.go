package backend

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"
)

// direct is the way to an http:// server with nothing in between: HTTP/1.1, one
// request at a time on a connection, written and read on the goroutine of the
// caller. http.Transport hands every request to two goroutines of its connection
// and back, which costs CPU, and two stacks and two buffers for each stream that
// waits. The codec is net/http's here too, and what can be seen from outside is
// the same, but for this: HTTP/1.0 is not kept alive, and trailers, which nobody
// here reads, may not be longer than readSize.
//
// A request's body has to lie in memory, with its length in ContentLength and
// with GetBody. It is not read any more once RoundTrip has failed or the answer's
// body is closed or was read to its end.
type direct struct {
	address string // host and port
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	pool    pool
}

const (
	// headLimit bounds an answer's headers, interim answers included, in bytes.
	headLimit = 256 << 10
	// readSize is what a connection reads ahead, in bytes: enough for the headers
	// of an answer. Longer reads of a body go straight to the reader's buffer.
	readSize = 4 << 10
	// copyLimit: copying so few bytes of a body costs less than a vector of two.
	copyLimit = 2 << 10
	// inlineLimit: a longer body, in bytes, may fill the buffers of the network
	// while the server already refuses it, so it is written beside the reading.
	inlineLimit = 32 << 10
	// writeGrace is how long the end of an answer waits for the end of its request.
	writeGrace = 50 * time.Millisecond
)

var (
	errHeadTooLong = errors.New("the headers of the answer are too long")
	errUnfit       = errors.New("no HTTP header can carry this")
	errEnded       = errors.New("the body of the answer was closed, or broke off before")
)

// newDirect makes the way to base; maxConns is that of Settings.
func newDirect(base *url.URL, maxConns int) *direct {
	port := base.Port()
	if port == "" {
		port = "80"
	}
	return &direct{
		address: net.JoinHostPort(base.Hostname(), port),
		dial:    newDialer().DialContext,
		pool:    newPool(maxConns),
	}
}

// CloseIdleConnections closes what is idle now, and what becomes idle before
// the next request.
func (d *direct) CloseIdleConnections() { d.pool.clear() }

// RoundTrip implements http.RoundTripper.
func (d *direct) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := fit(req); err != nil {
		return nil, unsent(req, err)
	}
	if trace := httptrace.ContextClientTrace(ctx); trace != nil && trace.GetConn != nil {
		trace.GetConn(d.address)
	}
	for {
		c, err := d.connect(ctx)
		if err != nil {
			return nil, unsent(req, err)
		}
		resp, err := c.exchange(req)
		if err == nil {
			return resp, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// A kept connection may have been closed by the server while the request
		// was on its way. It is sent again only as net/http would: if it changes
		// nothing, or if nothing of it has left.
		if !c.used || c.answered || c.wrote > 0 && req.Method != http.MethodGet {
			return nil, err
		}
		if req.GetBody != nil {
			next := *req
			if next.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
			req = &next
		}
	}
}

// unsent closes the body of a request that will not be sent: whoever made it may
// hold room for it until then.
func unsent(req *http.Request, err error) error {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return err
}

// fit refuses headers by which a value could become a line of its own.
func fit(req *http.Request) error {
	for name, values := range req.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("%w: a name", errUnfit)
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return fmt.Errorf("%w: the value of %s", errUnfit, name) // the value may be a key
			}
		}
	}
	return nil
}

// connect gives the idle connection that was used last, or a new one.
func (d *direct) connect(ctx context.Context) (*conn, error) {
	if err := d.pool.enter(ctx); err != nil {
		return nil, err
	}
	for c := d.pool.pop(); c != nil; c = d.pool.pop() {
		if c.alive() {
			c.used = true
			return c, nil
		}
		_ = c.Close()
	}
	inner, err := d.dial(ctx, "tcp", d.address)
	if err != nil {
		d.pool.leave()
		return nil, err
	}
	c := &conn{Conn: inner, pool: &d.pool}
	c.reader = bufio.NewReaderSize(c, readSize)
	c.cut = func() { _ = c.SetDeadline(time.Unix(1, 0)) }
	if socket, ok := inner.(syscall.Conn); ok {
		c.watch(socket)
	}
	return c, nil
}

// conn is a connection; one exchange at a time uses it.
type conn struct {
	net.Conn
	pool   *pool
	reader *bufio.Reader
	head   bytes.Buffer // of a request, until it is written
	parts  [2][]byte
	out    net.Buffers
	cut    func() // ends every read and write under way
	probe  probe
	since  time.Time // when it became idle

	used     bool  // for an earlier exchange
	answered bool  // a byte of the answer came
	wrote    int64 // bytes of the request
	room     int64 // bytes that may still be read
	reading  reading
}

// exchange sends a request and reads the head of the answer. After an error
// the connection is closed.
func (c *conn) exchange(req *http.Request) (*http.Response, error) {
	c.answered, c.wrote, c.room, c.reading = false, 0, headLimit, reading{}
	a := &answer{conn: c, ctx: req.Context()}
	a.stop = context.AfterFunc(a.ctx, c.cut)
	c.writeHead(req)
	var failed error
	if req.ContentLength > inlineLimit {
		sent := make(chan error, 1)
		a.sent = sent
		go func() { sent <- c.send(req) }()
	} else {
		failed = c.send(req)
	}
	// Even if it could not all be sent: the server may have said why.
	resp, err := c.receive(req)
	if err != nil {
		a.end(ended)
		if failed != nil {
			err = failed
		}
		return nil, err
	}
	c.room = math.MaxInt64
	a.ReadCloser = resp.Body
	a.keep = failed == nil && !resp.Close && resp.ProtoAtLeast(1, 1) && resp.StatusCode >= 200
	if resp.Body == http.NoBody {
		a.end(whole)
		return resp, nil
	}
	resp.Body = a
	return resp, nil
}

// framing headers are written here, not taken from the request's.
var framing = map[string]bool{"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true}

func (c *conn) writeHead(req *http.Request) {
	h := &c.head
	h.Reset()
	for _, text := range []string{req.Method, " ", req.URL.RequestURI(), " HTTP/1.1\r\nHost: ", req.Host, "\r\n"} {
		h.WriteString(text)
	}
	if req.Body != nil {
		h.WriteString("Content-Length: ")
		h.Write(strconv.AppendInt(h.AvailableBuffer(), req.ContentLength, 10))
		h.WriteString("\r\n")
	}
	_ = req.Header.WriteSubset(h, framing) // a bytes.Buffer takes everything
	h.WriteString("\r\n")
}

// send writes the head and the body. A body in memory comes here as one Write,
// so that both leave together and nothing is copied.
func (c *conn) send(req *http.Request) error {
	if req.ContentLength == 0 {
		_, err := request{c}.Write(nil)
		return err
	}
	n, err := io.Copy(request{c}, req.Body)
	if err == nil && n != req.ContentLength {
		err = fmt.Errorf("a body of %d bytes was announced with %d", n, req.ContentLength)
	}
	return errors.Join(err, req.Body.Close())
}

// request writes the body of a request, with what is there of the head before it.
type request struct{ c *conn }

func (r request) Write(p []byte) (int, error) {
	c := r.c
	head := int64(c.head.Len())
	var n int64
	var err error
	if len(p) <= copyLimit {
		c.head.Write(p)
		n, err = c.head.WriteTo(c.Conn)
	} else {
		c.parts = [2][]byte{c.head.Bytes(), p}
		c.out = c.parts[:]
		n, err = c.out.WriteTo(c.Conn)
		c.parts = [2][]byte{} // p is not ours to keep
	}
	c.wrote += n
	c.head.Reset()
	if c.head.Cap() > readSize {
		c.head = bytes.Buffer{}
	}
	return int(max(n-head, 0)), err
}

// receive reads the head of the answer. Interim answers are passed over; how
// many they may be is bounded by headLimit.
func (c *conn) receive(req *http.Request) (*http.Response, error) {
	if _, err := c.reader.Peek(1); err != nil {
		return nil, err
	}
	c.answered = true
	for {
		resp, err := http.ReadResponse(c.reader, req)
		if err != nil || resp.StatusCode < 100 || resp.StatusCode > 199 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// answer is an answer's body. Where it ends, the connection is free again.
type answer struct {
	io.ReadCloser // net/http's view of it
	conn          *conn
	ctx           context.Context
	stop          func() bool  // of what cuts the connection when ctx ends
	sent          <-chan error // of a body that is written beside; else nil
	keep          bool         // the connection may serve again
	state         atomic.Int32
}

const (
	running int32 = iota
	whole
	ended
)

func (a *answer) Read(p []byte) (int, error) {
	switch a.state.Load() {
	case whole:
		return 0, io.EOF
	case ended:
		return 0, errEnded
	}
	n, err := a.ReadCloser.Read(p)
	switch {
	case err == io.EOF:
		a.end(whole)
	case err != nil:
		a.end(ended)
		if a.ctx.Err() != nil {
			err = context.Cause(a.ctx)
		}
	}
	return n, err
}

// Close may be called while a Read waits, which then fails.
func (a *answer) Close() error {
	a.end(ended)
	return nil
}

// end gives the connection back, or closes it unless its use has come to its
// proper end.
func (a *answer) end(state int32) {
	if !a.state.CompareAndSwap(running, state) {
		return
	}
	c := a.conn
	untouched := a.stop() // otherwise cut may come at any time
	keep := untouched && a.keep && state == whole && c.reader.Buffered() == 0 && len(c.reading.rest) == 0
	if a.sent != nil && keep {
		// Mostly all of it is written, and only not told yet.
		_ = c.SetWriteDeadline(time.Now().Add(writeGrace))
		keep = <-a.sent == nil && c.SetWriteDeadline(time.Time{}) == nil
		a.sent = nil
	}
	if !keep || !c.pool.put(c) {
		_ = c.Close()
	}
	if a.sent != nil {
		<-a.sent
	}
	c.pool.leave()
}

// isPlain tells whether a host is in the form that goes out as it is: net/http
// spells others anew.
func isPlain(host string) bool {
	return httpguts.ValidHostHeader(host) && !strings.Contains(host, "%") &&
		strings.IndexFunc(host, func(r rune) bool { return r >= 0x80 }) < 0
}
