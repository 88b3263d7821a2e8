package backend

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// socket gives its pieces out, one a read at most, and then ends; it counts the reads.
type socket struct {
	net.Conn
	pieces [][]byte
	glued  bool // the end comes with the last piece
	reads  int
}

func (s *socket) Read(p []byte) (int, error) {
	s.reads++
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 && s.glued {
		return n, io.EOF
	}
	return n, nil
}

// However much comes at once, what is read is what was sent, and no lent buffer is kept: each that came back is spoilt.
func TestWhatIsReadThickIsWhatWasSent(t *testing.T) {
	spoil := func() {
		list := make([]*[largeRead]byte, 4)
		for i := range list {
			list[i] = largeReads.Get().(*[largeRead]byte)
			for j := range list[i] {
				list[i][j] = 0xff
			}
		}
		for _, b := range list {
			largeReads.Put(b)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := &socket{glued: rapid.Bool().Draw(t, "glued")}
		var want []byte
		for i := range rapid.IntRange(0, 12).Draw(t, "pieces") {
			n := rapid.SampledFrom([]int{1, 100, readSize - 1, readSize, readSize + 1, 3 * readSize, largeRead, largeRead + 1, 50_000}).Draw(t, "bytes")
			piece := bytes.Repeat([]byte{byte(i + 1)}, n)
			want, s.pieces = append(want, piece...), append(s.pieces, piece)
		}
		c := &conn{Conn: s, room: math.MaxInt64}
		c.reader = bufio.NewReaderSize(c, readSize)
		got := []byte{}
		for {
			b := make([]byte, rapid.SampledFrom([]int{1, 10, 1000, readSize, 40_000}).Draw(t, "room"))
			n, err := c.reader.Read(b)
			got = append(got, b[:n]...)
			spoil()
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
		}
		require.True(t, bytes.Equal(want, got))
		require.Nil(t, c.reading.lent)
		require.EqualValues(t, math.MaxInt64-len(want), c.room)
	})
}

// A stream that comes in many small chunks at once is read in few reads, and one that trickles borrows nothing.
func TestThickAnswersTakeFewReads(t *testing.T) {
	read := func(bytesAtOnce, times int) (reads int, c *conn) {
		s := &socket{}
		for range times {
			s.pieces = append(s.pieces, make([]byte, bytesAtOnce))
		}
		c = &conn{Conn: s, room: math.MaxInt64}
		c.reader = bufio.NewReaderSize(c, readSize)
		for range bytesAtOnce * times {
			_, err := c.reader.ReadByte() // as chunks are read
			require.NoError(t, err)
		}
		return s.reads, c
	}
	reads, _ := read(10_000, 10)
	require.LessOrEqual(t, reads, 12)
	reads, c := read(250, 40)
	require.Equal(t, 40, reads)
	require.False(t, c.reading.thick)
}
