package backend

import "sync"

// reading is how a connection reads from its socket. The reader ahead is small,
// because most streams wait most of the time. Where more comes than it holds, as
// in many small chunks at once, the socket is read into a larger buffer, which is
// lent until what it holds is read.
type reading struct {
	thick bool // what comes is more than the reader ahead holds, or was and is not little yet
	lent  *[largeRead]byte
	rest  []byte // of lent
}

// largeRead is the size of a buffer that is lent, in bytes.
const largeRead = 16 << 10

var largeReads = sync.Pool{New: func() any { return new([largeRead]byte) }}

// Read is for the reader ahead.
func (c *conn) Read(p []byte) (n int, err error) {
	if c.room <= 0 {
		return 0, errHeadTooLong
	}
	p = p[:min(int64(len(p)), c.room)]
	r := &c.reading
	switch {
	case len(r.rest) > 0:
		n = r.take(p)
	case r.thick && len(p) <= readSize:
		r.lent = largeReads.Get().(*[largeRead]byte)
		n, err = c.Conn.Read(r.lent[:])
		r.thick, r.rest = n >= readSize/4, r.lent[:n]
		if n = r.take(p); len(r.rest) > 0 {
			err = nil // the next read from the socket says it again
		}
	default:
		n, err = c.Conn.Read(p)
		r.thick = n == len(p) && n >= readSize/2
	}
	c.room -= int64(n)
	return n, err
}

// take copies from what was read, and gives the buffer back when that was all.
func (r *reading) take(p []byte) int {
	n := copy(p, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		largeReads.Put(r.lent)
		r.lent, r.rest = nil, nil
	}
	return n
}
