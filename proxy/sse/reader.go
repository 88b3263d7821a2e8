package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// DefaultMaxFrame is the largest frame, in bytes, when the caller names no
// limit.
const DefaultMaxFrame = 4 << 20

// ErrFrameTooLarge says that a frame is longer than the reader's limit. It is
// final: nothing after it can be read.
var ErrFrameTooLarge = errors.New("sse: frame exceeds the size limit")

const (
	// A stream that trickles needs little room; one whose reads fill it gets more, up to largeBuffer.
	firstBuffer  = 4 << 10
	largeBuffer  = 32 << 10
	maxEmptyRead = 100
)

// Reader cuts a byte stream into frames. It is not safe for concurrent use.
type Reader struct {
	src io.Reader
	max int
	buf []byte // buf[pos:] is what has been read and not yet delivered
	pos int
	err error // what ended the reading, delivered once the buffer is empty

	full   bool // the last read filled the buffer
	large  *[largeBuffer]byte
	cut    cutter
	joined []byte // payload of a frame with several data lines
	first  bool   // the next frame is the first one and may start with a BOM
}

// NewReader returns a reader of frames of at most maxFrame bytes each
// (DefaultMaxFrame if maxFrame is 0 or less).
func NewReader(r io.Reader, maxFrame int) *Reader {
	if maxFrame <= 0 {
		maxFrame = DefaultMaxFrame
	}
	return &Reader{src: r, max: maxFrame, first: true}
}

// Reset makes the reader start afresh on another stream, with the limit it
// has. Its buffers are kept.
func (r *Reader) Reset(src io.Reader) {
	*r = Reader{src: src, max: r.max, buf: r.buf[:0], large: r.large, joined: r.joined[:0], first: true}
}

// Next returns the next frame. The frame's slices are valid until the
// following call of Next or Reset.
//
// At a clean end it returns io.EOF. If the stream ends, or fails, within a
// frame, that frame comes first with Complete false, then io.EOF or the error
// of the underlying reader. Errors are sticky.
func (r *Reader) Next() (Frame, error) {
	for {
		if end, ok := r.cut.find(r.buf[r.pos:], r.err != nil, r.first); ok {
			if end > r.max {
				return Frame{}, r.tooLarge()
			}
			return r.deliver(end, true), nil
		}
		if len(r.buf)-r.pos > r.max {
			return Frame{}, r.tooLarge()
		}
		if r.err != nil {
			if r.pos < len(r.buf) {
				return r.deliver(len(r.buf)-r.pos, false), nil
			}
			return Frame{}, r.err
		}
		r.fill()
	}
}

// Buffered reports whether another whole frame has already been read, so that
// the next call of Next will not wait. While it says true there is no need to
// flush what was written.
func (r *Reader) Buffered() bool {
	_, ok := r.cut.find(r.buf[r.pos:], r.err != nil, r.first)
	return ok
}

// Ahead is what has been read and not yet delivered, at most one frame's limit of it. Whoever knows the frame that it
// begins with can take that with Skip instead of Next. It is valid until the next call.
func (r *Reader) Ahead() []byte { return r.buf[r.pos:min(len(r.buf), r.pos+r.max)] }

// Skip takes the first n bytes of Ahead, which are one frame: those that Next would deliver.
func (r *Reader) Skip(n int) {
	r.pos += n
	r.first = false
	r.cut.consume(n)
}

// Fill reads once more, waiting for what comes. false: nothing came, and Next says why.
func (r *Reader) Fill() bool {
	if r.err != nil {
		return false
	}
	before := len(r.buf) - r.pos
	r.fill()
	return len(r.buf)-r.pos > before
}

func (r *Reader) tooLarge() error {
	r.err = fmt.Errorf("%w of %d bytes", ErrFrameTooLarge, r.max)
	r.pos = len(r.buf)
	r.cut = cutter{}
	return r.err
}

func (r *Reader) deliver(n int, complete bool) Frame {
	raw := r.buf[r.pos : r.pos+n : r.pos+n]
	f := Frame{Raw: raw, At: -1, Complete: complete}
	r.joined = f.read(r.joined[:0], r.first)
	r.Skip(n)
	return f
}

// fill reads once more, making room first.
func (r *Reader) fill() {
	if r.pos > 0 {
		n := copy(r.buf, r.buf[r.pos:])
		r.buf = r.buf[:n]
		r.pos = 0
	}
	switch {
	case r.full && cap(r.buf) < largeBuffer:
		grown := large.Get().(*[largeBuffer]byte)
		r.grow(grown[:])
		r.large = grown
	case len(r.buf) == cap(r.buf):
		r.grow(make([]byte, max(firstBuffer, 2*cap(r.buf))))
	}
	for range maxEmptyRead {
		n, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		r.full = len(r.buf) == cap(r.buf)
		if err != nil {
			r.err = err
			return
		}
		if n > 0 {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// grow goes on in a larger buffer.
func (r *Reader) grow(room []byte) {
	n := copy(room, r.buf)
	r.release()
	r.buf = room[:n]
}

// large buffers are lent to streams whose reads come thick.
var large = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

func (r *Reader) release() {
	if r.large != nil {
		large.Put(r.large)
		r.large = nil
	}
}

// Release gives the reader's buffer back. Nothing may be read from it, and no
// frame of its be looked at, afterwards.
func (r *Reader) Release() {
	r.release()
	r.buf, r.pos, r.err = nil, 0, errReleased
}

var errReleased = errors.New("sse: the reader was released")

var bom = []byte("\xef\xbb\xbf")

// cutter finds the end of the first frame in a buffer that grows. It goes on
// where it stopped, so that a frame that comes in many reads is looked at
// once. All its offsets count from the start of the frame.
type cutter struct {
	line   int  // start of the line being read
	loneCR bool // the line before ended with a CR that no LF followed
	lf, cr seeker
}

// find returns the length of the frame, its blank line included. last says
// that no byte will follow, first that this is the start of the stream.
//
// A CR is only known to end its line once the next byte is seen, because the
// LF of a CRLF may still be on its way. After a line that ended with a lone CR
// the blank line's CR is taken at once: a sender of bare CRs would otherwise
// be one frame late for ever. Whether to wait depends on bytes of the frame
// alone, so the cut does not depend on how the bytes arrived.
func (c *cutter) find(b []byte, last, first bool) (int, bool) {
	for {
		at, lf := c.cr.next(b, c.line, '\r'), c.lf.next(b, c.line, '\n')
		if lf >= 0 && (at < 0 || lf < at) {
			at = lf
		}
		if at < 0 {
			return 0, false
		}
		next, loneCR := at+1, false
		blank := at == c.line || first && c.line == 0 && bytes.Equal(b[:at], bom)
		if b[at] == '\r' {
			switch {
			case blank && c.loneCR:
				loneCR = true
			case next < len(b):
				if b[next] == '\n' {
					next++
				} else {
					loneCR = true
				}
			case !last:
				return 0, false
			}
		}
		if blank {
			return next, true
		}
		c.line, c.loneCR = next, loneCR
	}
}

func (c *cutter) consume(n int) {
	c.line, c.loneCR = 0, false
	c.lf.consume(n)
	c.cr.consume(n)
}

// seeker remembers where the next such byte is and how far it has looked, so
// that no byte is searched twice.
type seeker struct {
	at   int // a hit if seen > at
	seen int // bytes searched
}

func (s *seeker) next(b []byte, from int, c byte) int {
	if s.seen > s.at && s.at >= from {
		return s.at
	}
	start := max(from, s.seen)
	i := bytes.IndexByte(b[start:], c)
	if i < 0 {
		s.at, s.seen = len(b), len(b)
		return -1
	}
	s.at, s.seen = start+i, start+i+1
	return s.at
}

func (s *seeker) consume(n int) { s.at, s.seen = s.at-n, max(0, s.seen-n) }
