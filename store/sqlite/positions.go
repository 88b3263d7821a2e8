package sqlite

import (
	"encoding/binary"
	"errors"

	"cadreen/store"
)

var errPositions = errors.New("a document's index positions cannot be read")

// pack writes sorted positions as name, key and score, each text with its
// length before it. No positions are no bytes.
func pack(sorted []store.Index) []byte {
	size := 0
	for _, x := range sorted {
		size += len(x.Name) + len(x.Key) + 3*binary.MaxVarintLen64
	}
	b := make([]byte, 0, size)
	for _, x := range sorted {
		b = binary.AppendUvarint(b, uint64(len(x.Name)))
		b = append(b, x.Name...)
		b = binary.AppendUvarint(b, uint64(len(x.Key)))
		b = append(b, x.Key...)
		b = binary.AppendVarint(b, x.Score)
	}
	return b
}

func unpack(b []byte) ([]store.Index, error) {
	var out []store.Index
	for len(b) > 0 {
		var x store.Index
		var ok bool
		if x.Name, b, ok = text(b); !ok {
			return nil, errPositions
		}
		if x.Key, b, ok = text(b); !ok {
			return nil, errPositions
		}
		score, n := binary.Varint(b)
		if n <= 0 {
			return nil, errPositions
		}
		x.Score, b = score, b[n:]
		out = append(out, x)
	}
	return out, nil
}

func text(b []byte) (string, []byte, bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return "", nil, false
	}
	end := n + int(size)
	return string(b[n:end]), b[end:], true
}
