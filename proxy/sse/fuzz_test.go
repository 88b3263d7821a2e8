package sse

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzReader holds for every input and every cut of it: the frames are the
// same, together they are the input, and a replaced payload is read back.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{"data: a\n\n", "data: a\r\n\r\ndata: b", "data: a\r\rdata:b\r\r\n", "\ufeffdata: a\n\n\ufeff\n", "event: e\ndata: a\ndata: b\n\n: c\r\n\r",
		"id: 1\nretry: 2\ndata\n\n", "\r\n\r\r\n\n\r", "data: Z\xc3\xbc\n\n data: x\n\n", "data: {\"a\":\ndata: 1}\n\ndata: [DONE]\n\n", ": a\u2028data: {}\n\n"} {
		f.Add(seed, uint16(3), uint8(40))
	}
	f.Fuzz(func(t *testing.T, input string, cut uint16, limit uint8) {
		want := whole(t, input)
		require.Equal(t, input, joinRaw(want))
		var list [][]byte
		for b, x := []byte(input), uint(cut); len(b) > 0; {
			x = x*25173 + 13849&0xffff
			n := min(int(x>>8%7)+1, len(b))
			list, b = append(list, b[:n]), b[n:]
		}
		got, _, err := all(NewReader(&pieces{list: list, err: io.EOF}, 0))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, want, got)

		short, _, err := all(NewReader(strings.NewReader(input), int(limit)+1))
		require.Equal(t, append([]kept{}, want[:len(short)]...), append([]kept{}, short...))
		for _, frame := range short {
			require.LessOrEqual(t, len(frame.Raw), int(limit)+1)
		}
		if errors.Is(err, ErrFrameTooLarge) {
			require.Greater(t, len(want[len(short)].Raw), int(limit)+1)
		} else {
			require.Len(t, short, len(want))
		}

		r := NewReader(strings.NewReader(input), 0)
		for {
			frame, err := r.Next()
			if err != nil {
				return
			}
			out, at := frame.ReplaceAt(nil, []byte("{}"))
			require.Equal(t, "{}", string(out[at:at+2]))
			if frame.Odd || frame.lead == 0 && strings.HasPrefix(string(out), "\ufeff") {
				continue
			}
			back, err := NewReader(strings.NewReader(string(out)), 0).Next()
			require.NoError(t, err)
			require.Equal(t, "{}", string(back.Data))
			require.Equal(t, at, back.At)
		}
	})
}
