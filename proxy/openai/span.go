package openai

import (
	"fmt"
	"slices"
)

// Span is a stretch of bytes, from Start up to and without End. The zero Span
// means that there is no such thing.
type Span struct{ Start, End int }

// Of is the stretch of b, empty for the zero Span.
func (s Span) Of(b []byte) []byte { return b[s.Start:s.End] }

// Present says that the Span is not zero.
func (s Span) Present() bool { return s.End > 0 }

// Edit replaces a stretch; with Start equal to End it inserts.
type Edit struct {
	Span
	With []byte
}

// Splice appends src with the edits applied to dst. The edits may come in any
// order, and it sorts them in place; inserts at one place keep their order.
// Overlapping edits are a mistake in the program and panic.
func Splice(dst, src []byte, edits ...Edit) []byte {
	if !slices.IsSortedFunc(edits, byPlace) {
		slices.SortStableFunc(edits, byPlace)
	}
	dst = slices.Grow(dst, SpliceRoom(src, edits))
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(src) {
			panic(fmt.Sprintf("openai: edit %d..%d overlaps what stands before %d", e.Start, e.End, at))
		}
		dst = append(append(dst, src[at:e.Start]...), e.With...)
		at = e.End
	}
	return append(dst, src[at:]...)
}

// SpliceRoom is how many bytes Splice appends at most.
func SpliceRoom(src []byte, edits []Edit) int {
	room := len(src)
	for _, e := range edits {
		room += len(e.With)
	}
	return room
}

func byPlace(a, b Edit) int {
	if a.Start != b.Start {
		return a.Start - b.Start
	}
	return a.End - b.End
}
