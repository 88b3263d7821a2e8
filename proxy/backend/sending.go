package backend

import (
	"bytes"
	"io"
	"sync"

	"cadreen/proxy/lent"
)

// sending is the body of one attempt. A transport closes it when it is done with
// it, in whichever goroutine and even while another one reads: once Close has
// returned, no byte of it is read any more.
type sending struct {
	mu     sync.Mutex
	reader bytes.Reader
	lent   *lent.Buffer // held until Close, nil for none
}

func newSending(body []byte, room *lent.Buffer) *sending {
	s := &sending{lent: room}
	s.reader.Reset(body)
	if room != nil {
		room.Hold()
	}
	return s
}

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader.Read(p)
}

// WriteTo hands the body on in one piece.
func (s *sending) WriteTo(w io.Writer) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reader.WriteTo(w)
}

func (s *sending) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader.Reset(nil)
	if s.lent != nil {
		s.lent.Release()
		s.lent = nil
	}
	return nil
}
