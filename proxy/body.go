package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"cadreen/fault"
)

// boundedBody is a request body that may be only so long and arrive only so
// slowly. It remembers which bound was passed: the server then answers for it,
// whatever the reader made of the error.
type boundedBody struct {
	io.ReadCloser
	control http.ResponseController
	start   time.Time
	grace   time.Duration
	rate    int64
	limit   int64
	read    int64
	failure *fault.Error
}

// bound puts the bounds on every request that has a body, whatever becomes of
// it: net/http reads the rest of a body that nobody wanted, and must not wait
// for it forever. The deadline stands from now on; it ends with the body, or,
// where nobody reads all of it, with the request.
func (s *Server) bound(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody {
		return
	}
	set := &s.o.Settings
	b := &boundedBody{
		ReadCloser: r.Body,
		control:    *http.NewResponseController(w),
		start:      time.Now(), // a deadline of the connection: always the machine's clock
		grace:      set.BodyGrace,
		rate:       set.BodyRate,
		limit:      set.BodyLimit,
	}
	if r.ContentLength < 0 || r.ContentLength > set.BodyLimit { // else net/http holds it to its length
		b.ReadCloser = http.MaxBytesReader(w, r.Body, set.BodyLimit)
	}
	r.Body = b
	b.deadline()
}

// acceptable checks what the headers say about the body.
func (s *Server) acceptable(h http.Header, r *http.Request) error {
	if coding := strings.TrimSpace(r.Header.Get("Content-Encoding")); coding != "" && !strings.EqualFold(coding, "identity") {
		e := fault.New(fault.InvalidRequest, "The request body is compressed")
		e.Status = http.StatusUnsupportedMediaType
		e.Hint = "Send the body as it is, without Content-Encoding."
		return e
	}
	if r.ContentLength > s.o.Settings.BodyLimit {
		h.Set("Connection", "close") // the body is not read
		return tooLong(nil, s.o.Settings.BodyLimit)
	}
	return nil
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err == nil {
		b.deadline()
		return n, nil
	}
	var long *http.MaxBytesError
	switch {
	case err == io.EOF:
		// From here on the client only listens: a deadline would look like its
		// going away.
		b.control.SetReadDeadline(time.Time{})
	case errors.As(err, &long):
		b.failure = tooLong(err, b.limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.failure = fault.Wrap(err, fault.InvalidRequest, "The request body did not arrive in time")
		b.failure.Status = http.StatusRequestTimeout
		b.failure.Hint = "Send the body without pauses."
	case errors.Is(err, io.ErrUnexpectedEOF):
		b.failure = fault.Wrap(err, fault.InvalidRequest, "The request body ended early")
	case !errors.Is(err, http.ErrBodyReadAfterClose) && !errors.As(err, new(*net.OpError)):
		b.failure = fault.Wrap(err, fault.InvalidRequest, "The chunks of the request body are malformed")
	}
	return n, err
}

// deadline moves the connection's read deadline. A connection without
// deadlines (a recorder in a test) goes without.
func (b *boundedBody) deadline() {
	b.control.SetReadDeadline(b.start.Add(b.grace + time.Duration(b.read/b.rate)*time.Second))
}

func tooLong(cause error, limit int64) *fault.Error {
	e := fault.Wrap(cause, fault.InvalidRequest, "The request body is longer than %d bytes", limit)
	e.Hint = "Send less, or raise limits.body."
	return e
}
