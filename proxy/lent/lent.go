// Package lent lends room for the bodies of requests and replies: what one is done with, the next one gets.
//
// What lives here: buffers by size, and counting who holds one. What does not: what their bytes say. Who keeps bytes
// beyond the time that he holds their buffer copies them; with the build tag poison they are overwritten as soon as
// nobody holds it, so that the tests find who does not.
package lent

import (
	"io"
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// Buffer is room for bytes. Whoever got it holds it.
type Buffer struct {
	B       []byte
	holders atomic.Int32
}

const (
	smallest = 10 // as a power of two: 1 KiB
	largest  = 20 // 1 MiB: what is larger is not kept
)

// pools are by capacity: a small body does not keep the room of a large one while a stream lasts.
var pools [largest - smallest + 1]sync.Pool

// New is an empty buffer with room for size bytes and one more, so that a reader of so many sees the end.
func New(size int) *Buffer {
	class := max(bits.Len(uint(size)), smallest)
	if class > largest {
		return take(&Buffer{B: make([]byte, 0, size+1)})
	}
	if have := pools[class-smallest].Get(); have != nil {
		return take(have.(*Buffer))
	}
	return take(&Buffer{B: make([]byte, 0, 1<<class)})
}

func take(b *Buffer) *Buffer {
	b.holders.Store(1)
	return b
}

// All is the limit of who reads all there is.
const All = math.MaxInt64 - 1

// Read reads all of r, of which size bytes are expected. Of more than limit bytes it reads limit and one.
func Read(r io.Reader, size, limit int64) (*Buffer, error) {
	b := New(int(max(min(size, limit, firstRead), 0)))
	for {
		if len(b.B) == cap(b.B) {
			b = b.larger()
		}
		n, err := r.Read(b.B[len(b.B):min(int64(cap(b.B)), limit+1)])
		b.B = b.B[:len(b.B)+n]
		switch {
		case err == io.EOF, err == nil && int64(len(b.B)) > limit:
			return b, nil
		case err != nil:
			b.Release()
			return nil, err
		}
	}
}

// firstRead bounds what is made ready because somebody says that so much will come.
const firstRead = 1<<largest - 1

// larger is a buffer of twice the capacity with the same bytes, in place of b.
func (b *Buffer) larger() *Buffer {
	next := New(2*cap(b.B) - 1)
	next.B = append(next.B, b.B...)
	b.Release()
	return next
}

// Hold adds a holder.
func (b *Buffer) Hold() { b.holders.Add(1) }

// Release is said once by each holder. After the last one the bytes are somebody else's.
func (b *Buffer) Release() {
	left := b.holders.Add(-1)
	if left < 0 {
		panic("lent: a buffer is released by more than hold it")
	}
	if left > 0 {
		return
	}
	if Poisoned {
		all := b.B[:cap(b.B)]
		for i := range all {
			all[i] = poison
		}
		return
	}
	// One that has grown by appending is kept with those that it has room for.
	if class := bits.Len(uint(cap(b.B))) - 1; class >= smallest && class <= largest {
		b.B = b.B[:0]
		pools[class-smallest].Put(b)
	}
}

// poison is no JSON and no UTF-8.
const poison = 0xEE
