package lent

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestAllIsReadWhateverWasExpected(t *testing.T) {
	for _, size := range []int{0, 1, 1023, 1024, 1025, 4096, 70_000, 1<<20 - 1, 1 << 20, 3 << 20} {
		text := strings.Repeat("0123456789abcdef", size/16+1)[:size]
		for _, expected := range []int64{-1, 0, 7, int64(size), int64(size) + 9, 1 << 40} {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "halves": iotest.HalfReader(strings.NewReader(text)), "the end with the last bytes": iotest.DataErrReader(strings.NewReader(text))} {
				b, err := Read(r, expected, All)
				require.NoError(t, err)
				require.True(t, text == string(b.B), "%d bytes, %d expected, %s: %d read", size, expected, name, len(b.B))
				b.Release()
			}
		}
	}
}

func TestMoreThanTheLimitIsSeenAndNotRead(t *testing.T) {
	for _, size := range []int{9, 10, 11, 12, 5000} {
		r := strings.NewReader(strings.Repeat("x", size))
		b, err := Read(r, -1, 10)
		require.NoError(t, err)
		require.Len(t, b.B, min(size, 11))
		require.Equal(t, max(size-11, 0), r.Len())
	}
}

func TestABodyThatBreaksOffIsAnError(t *testing.T) {
	broken := errors.New("broken")
	_, err := Read(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 8, All)
	require.ErrorIs(t, err, broken)
}

// What one holds nobody else is given, however many hold and let go at once.
func TestABufferIsLentToOneAtATime(t *testing.T) {
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for range 2000 {
				size := rand.IntN(5000)
				b := New(size)
				if len(b.B) != 0 || cap(b.B) <= size {
					panic("no room")
				}
				b.B = append(b.B, bytes.Repeat([]byte{byte(n)}, size)...)
				b.Hold()
				other := make(chan bool)
				go func() {
					mine := bytes.Count(b.B, []byte{byte(n)}) == size
					b.Release()
					other <- mine
				}()
				b.Release()
				if !<-other {
					panic("somebody else wrote into it")
				}
			}
		})
	}
	all.Wait()
	b := New(1)
	b.Release()
	require.Panics(t, b.Release, "released twice")
}
