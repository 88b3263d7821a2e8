package governance

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What is kept of castings is all of them, byte for byte, whatever becomes of the buffers that they came in.
func TestCastingsLeaveByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytesOf := rapid.Custom(func(t *rapid.T) []byte {
			return bytes.Repeat([]byte(rapid.StringN(0, 5, -1).Draw(t, "text")), rapid.SampledFrom([]int{1, 1, 1, 60}).Draw(t, "times"))
		})
		poison := func(b []byte) {
			for i := range b {
				b[i] = 0xff
			}
		}
		s := new(Sealed)
		first := bytesOf.Draw(t, "first")
		want := slices.Clone(first)
		s.Piece(first, 0)
		poison(first)
		var moulds []*Mould
		var around [][][]byte
		for range rapid.IntRange(1, 3).Draw(t, "moulds") {
			parts := rapid.SliceOfN(bytesOf, 1, 4).Draw(t, "around")
			kept := make([][]byte, len(parts))
			for i := range parts {
				kept[i] = slices.Clone(parts[i])
			}
			moulds, around = append(moulds, NewMould(parts...)), append(around, kept)
			for _, b := range parts {
				poison(b)
			}
		}
		for range rapid.IntRange(0, 20).Draw(t, "castings") {
			i := rapid.IntRange(0, len(moulds)-1).Draw(t, "mould")
			want = append(want, around[i][0]...)
			var in [][]byte
			for _, behind := range around[i][1:] {
				in = append(in, bytesOf.Draw(t, "string"))
				want = append(append(want, in[len(in)-1]...), behind...)
			}
			s.Extend(moulds[i], in...)
			for _, b := range in {
				poison(b)
			}
		}
		var got bytes.Buffer
		s.Start(0, FormFunction)
		_, err := s.release(make([]Call, 1), []bool{false}, func(int) bool { return true }).Pieces[0].WriteTo(&got)
		require.ErrorIs(t, err, ErrNotReleased)
		n, err := s.release(make([]Call, 1), []bool{true}, func(int) bool { return true }).Pieces[0].WriteTo(&got)
		require.NoError(t, err)
		require.Equal(t, want, append([]byte{}, got.Bytes()...))
		require.Equal(t, int64(len(want)), n)
		require.Equal(t, int64(len(want)), s.Size())
	})
}

func TestACastingHasOneStringForEachGap(t *testing.T) {
	s := new(Sealed)
	s.Piece([]byte("a"), 0)
	require.Panics(t, func() { s.Extend(NewMould([]byte("b"), []byte("c"))) })
	require.Panics(t, func() { s.Extend(NewMould([]byte("b")), []byte("x")) })
}

// full takes so many bytes and no more.
type full struct {
	strings.Builder
	room int
}

func (f *full) Write(b []byte) (int, error) {
	if f.Len()+len(b) > f.room {
		return 0, errors.New("full")
	}
	return f.Builder.Write(b)
}

func TestACastingThatCannotBeWrittenIsAnError(t *testing.T) {
	m := NewMould([]byte("<"), []byte(">"))
	r := run{mould: m}
	for range 3 {
		r.add([][]byte{[]byte("x")})
	}
	out := &full{room: 7}
	n, err := r.writeTo(out)
	require.EqualError(t, err, "full")
	require.EqualValues(t, 6, n)
	require.Equal(t, "<x><x>", out.String())
}
