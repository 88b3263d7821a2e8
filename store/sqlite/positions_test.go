package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func FuzzPositions(f *testing.F) {
	f.Add(pack([]store.Index{{Name: "by", Key: "k", Score: -5}, {Name: "on", Key: "\x00", Score: store.MaxScore}}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := unpack(b)
		if err != nil {
			return
		}
		again, err := unpack(pack(read))
		require.NoError(t, err)
		require.Equal(t, read, again)
	})
}
