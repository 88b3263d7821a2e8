// Package scripted is a model for tests: a real HTTP server on 127.0.0.1 that
// speaks OpenAI chat completions, well and badly, exactly as it is told, and
// keeps every byte that it was sent.
//
// What lives here: the server and its queue of replies (this file), what a
// reply may do to its connection (reply.go, step.go), the text of chunks
// (chunk.go, call.go), how chunks become bytes of an event stream (wire.go)
// and recorded streams as replies (recorded.go). What does not: any knowledge
// of the proxy. Nothing here sleeps; a reply that has to wait does so on a
// channel that the test holds.
package scripted

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// Server is one scripted model. All methods are safe for concurrent use.
type Server struct {
	t        testing.TB
	url      string
	server   *http.Server
	stop     context.CancelFunc
	finished chan struct{} // closed when the accept loop has ended

	mu       sync.Mutex
	queue    []Reply
	fallback Reply
	got      []*Request
	changed  chan struct{} // closed and replaced at every change of got or closed
	closed   int           // connections that ended, from either side
	handlers sync.WaitGroup
}

// Request is one request as it arrived.
type Request struct {
	Method string
	Path   string // with the query
	Host   string
	Header http.Header
	Body   []byte
	// ContentLength as announced; -1 when the body came chunked.
	ContentLength int64

	served chan struct{} // closed when the reply has been given, or given up
	gone   chan struct{} // closed when the client left before that
}

// Served is closed when this request's reply is over.
func (r *Request) Served() <-chan struct{} { return r.served }

// Gone is closed when the client went away before the reply was over.
func (r *Request) Gone() <-chan struct{} { return r.gone }

// New starts a model that lives as long as the test. Requests for which
// nothing is queued fail the test and get a 500, unless Otherwise was called.
func New(t testing.TB) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("scripted model: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		t: t, url: "http://" + listener.Addr().String() + "/v1",
		stop: cancel, finished: make(chan struct{}), changed: make(chan struct{}),
	}
	s.server = &http.Server{
		Handler:     http.HandlerFunc(s.serve),
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				s.change(func() { s.closed++ })
			}
		},
	}
	go func() {
		defer close(s.finished)
		_ = s.server.Serve(listener)
	}()
	t.Cleanup(s.Close)
	return s
}

// URL is the base url of the model, ending in /v1.
func (s *Server) URL() string { return s.url }

// Next queues replies; every request takes one, in order of arrival.
func (s *Server) Next(replies ...Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, replies...)
}

// Otherwise sets the reply to requests that find the queue empty.
func (s *Server) Otherwise(reply Reply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fallback = reply
}

// Requests answers what has arrived so far, oldest first.
func (s *Server) Requests() []*Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Request(nil), s.got...)
}

// Last answers the newest request; it fails the test if there is none.
func (s *Server) Last() *Request {
	s.t.Helper()
	all := s.Requests()
	if len(all) == 0 {
		s.t.Fatal("scripted model: no request arrived")
	}
	return all[len(all)-1]
}

// Pending answers how many queued replies nobody has asked for.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// Await blocks until n requests have arrived since the start and answers the
// n-th (from 1). It ends with the test's context.
func (s *Server) Await(ctx context.Context, n int) (*Request, error) {
	for {
		s.mu.Lock()
		if len(s.got) >= n {
			r := s.got[n-1]
			s.mu.Unlock()
			return r, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// AwaitClosed blocks until n connections have ended since the start.
func (s *Server) AwaitClosed(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		enough, changed := s.closed >= n, s.changed
		s.mu.Unlock()
		if enough {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends the server and every reply that is still waiting. The cleanup of
// the test calls it; calling it earlier plays a model that died.
func (s *Server) Close() {
	s.stop()
	_ = s.server.Close()
	<-s.finished
	s.handlers.Wait()
}

func (s *Server) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.handlers.Add(1)
	defer s.handlers.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left while it was still sending: nothing to record
	}
	got := &Request{
		Method: r.Method, Path: r.URL.RequestURI(), Host: r.Host, Header: r.Header.Clone(),
		Body: body, ContentLength: r.ContentLength,
		served: make(chan struct{}), gone: make(chan struct{}),
	}
	var reply Reply
	s.change(func() {
		s.got = append(s.got, got)
		if len(s.queue) > 0 {
			reply, s.queue = s.queue[0], s.queue[1:]
		} else {
			reply = s.fallback
		}
	})
	if reply == nil {
		s.t.Errorf("scripted model: nothing queued for %s %s\n%s", r.Method, got.Path, body)
		http.Error(w, `{"error":{"message":"nothing queued","type":"test","param":null,"code":null}}`, http.StatusInternalServerError)
		close(got.served)
		return
	}
	// The context ends with the connection, and only later with this function.
	watch := context.AfterFunc(r.Context(), func() { close(got.gone) })
	defer func() { // also when the reply breaks the connection by panicking
		watch()
		close(got.served)
	}()
	reply(w, r, got)
}
