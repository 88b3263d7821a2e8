package governance

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Mould is what many stretches of a reply have in common that differ in a few strings only: the bytes around the gaps.
// A stream sends the arguments of a call in hundreds of frames that say the same but for some characters; of such frames
// the characters are kept, and what is around them once.
type Mould struct {
	around [][]byte // one more than there are gaps
	size   int64    // bytes of around
}

// NewMould is a mould with these bytes before, between and behind its gaps: one more than there are gaps. They are copied.
func NewMould(around ...[]byte) *Mould {
	m := &Mould{around: make([][]byte, len(around))}
	all := bytes.Join(around, nil)
	m.size = int64(len(all))
	for i, b := range around {
		m.around[i], all = all[:len(b):len(b)], all[len(b):]
	}
	return m
}

// run are castings of one mould in a row.
type run struct {
	mould    *Mould
	castings int
	text     []byte // the strings of all castings
	lengths  []byte // of each string, as a varint
}

// add appends a casting and answers its size.
func (r *run) add(strings [][]byte) (size int64) {
	if len(strings) != len(r.mould.around)-1 {
		panic("governance: not one string for each gap of the mould")
	}
	before := len(r.text)
	for _, s := range strings {
		r.text = append(r.text, s...)
		r.lengths = binary.AppendUvarint(r.lengths, uint64(len(s)))
	}
	r.castings++
	return r.mould.size + int64(len(r.text)-before)
}

// writeTo writes the castings, each in one.
func (r *run) writeTo(w io.Writer) (written int64, err error) {
	casting := make([]byte, 0, r.mould.size+64)
	text, lengths := r.text, r.lengths
	for range r.castings {
		casting = append(casting[:0], r.mould.around[0]...)
		for _, behind := range r.mould.around[1:] {
			n, size := binary.Uvarint(lengths)
			casting = append(append(casting, text[:n]...), behind...)
			text, lengths = text[n:], lengths[size:]
		}
		n, err := w.Write(casting)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
