package backend

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"time"
)

// body is an answer's body that ends with its life. It is what makes a broken
// answer look broken: only the proper end of the message is io.EOF.
type body struct {
	life   *life
	inner  io.ReadCloser
	silent time.Duration
	stream bool
	ahead  []byte // looked at already, not yet read

	mu      sync.Mutex
	reading bool
	closed  bool
	failed  error // sticky: io.EOF or why not
	last    [tailLen]byte
	lastLen int
}

const (
	// tailLen bytes are enough to see that a stream said [DONE].
	tailLen = 16
	// drainLimit and drainTime bound what Close reads after [DONE].
	drainLimit = 512
	drainTime  = 100 * time.Millisecond
)

func (b *body) Read(p []byte) (int, error) {
	if len(b.ahead) > 0 {
		n := copy(p, b.ahead)
		b.ahead = b.ahead[n:]
		return n, nil
	}
	if err := b.enter(); err != nil {
		return 0, err
	}
	// The clock runs only while we wait for the upstream: a slow client is
	// not its silence.
	b.life.listen(b.silent)
	n, err := b.inner.Read(p)
	b.life.heard()
	return n, b.leave(p[:n], err)
}

func (b *body) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil && b.closed {
		b.failed = errClosed
	}
	b.reading = b.failed == nil
	return b.failed
}

func (b *body) leave(got []byte, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if b.stream && len(got) > 0 {
		b.remember(got)
	}
	if err == nil {
		return nil
	}
	if err != io.EOF {
		err = b.broken(err)
	}
	b.failed = err
	b.life.end(err)
	return err
}

// broken turns a failed read into what the caller may see: no address of the
// upstream, and the reason why.
func (b *body) broken(err error) error {
	if b.closed {
		return errClosed
	}
	if ended := b.life.failure(); ended != nil {
		return ended.Unwrap()
	}
	return unavailable("The model server broke off its answer.", errors.Join(errBroken, plain(err)))
}

// remember keeps the last bytes of the stream.
func (b *body) remember(got []byte) {
	if len(got) >= tailLen {
		b.lastLen = copy(b.last[:], got[len(got)-tailLen:])
		return
	}
	kept := b.last[:b.lastLen]
	if over := len(kept) + len(got) - tailLen; over > 0 {
		copy(b.last[:], kept[over:])
		kept = b.last[:len(kept)-over]
	}
	b.lastLen = len(append(kept, got...))
}

// Close ends the answer. Unless it was read to its end, the upstream is
// cancelled at once, which costs the connection. A stream that said [DONE] has
// only the end of its last packet left, so that is read, within narrow bounds:
// otherwise every reader that stops at [DONE] would cost a connection.
func (b *body) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	drain := b.stream && !b.reading && b.failed == nil && b.life.ctx.Err() == nil &&
		bytes.HasSuffix(bytes.TrimRight(b.last[:b.lastLen], "\r\n"), []byte("[DONE]"))
	b.closed = true
	b.mu.Unlock()

	if drain {
		b.life.listen(min(b.silent, drainTime))
		_, _ = io.CopyN(io.Discard, b.inner, drainLimit)
	}
	b.life.end(errClosed)
	_ = b.inner.Close() // nothing that the caller could do about it
	return nil
}
