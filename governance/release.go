package governance

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// ErrNotReleased is the answer of a zero Release.
var ErrNotReleased = errors.New("governance: these bytes are not released")

// Release is the permission to send the bytes of a call. Only a committed
// decision makes one; the zero Release gives nothing out.
type Release struct {
	granted bool
	bytes   []byte
	runs    []run // behind bytes
	call    Call
}

// WriteTo writes the released bytes: the stored members of one call (without
// braces and index), or one kept piece of the reply. What the piece was extended
// by comes in writes of its own, one for each time.
func (r Release) WriteTo(w io.Writer) (int64, error) {
	if !r.granted {
		return 0, ErrNotReleased
	}
	n, err := w.Write(r.bytes)
	written := int64(n)
	for i := 0; i < len(r.runs) && err == nil; i++ {
		var more int64
		more, err = r.runs[i].writeTo(w)
		written += more
	}
	return written, err
}

// Format keeps bytes and arguments out of logs, whatever the verb.
func (r Release) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "governance.Release of "+strconv.Quote(r.call.Name))
}

// Granted says whether there is anything to write.
func (r Release) Granted() bool { return r.granted }

// Call describes the released call; of a piece it is zero.
func (r Release) Call() Call { return r.call }

// ReleasedTurn is what a committed decision lets out of one reply.
type ReleasedTurn struct {
	// Pieces are by piece number; a piece is granted when every call in it is
	// allowed and stands in a choice that is released whole.
	Pieces []Release
	// Calls are the released calls on their own, in order.
	Calls []Release
}

// release makes the permissions for a turn: calls[i] is what was judged of call
// i, and allowed[i] belongs to it. asCame[choice] false forces the calls of that
// choice to leave on their own.
func (s *Sealed) release(calls []Call, allowed []bool, asCame func(choice int) bool) ReleasedTurn {
	whole := map[int]bool{}
	for i, c := range s.calls {
		ok, seen := whole[c.choice]
		whole[c.choice] = (ok || !seen) && allowed[i] && asCame(c.choice)
	}
	// Choices that share a piece go the same way.
	for changed := true; changed; {
		changed = false
		for _, p := range s.pieces {
			all := true
			for _, ch := range p.choices {
				all = all && whole[ch]
			}
			for _, ch := range p.choices {
				if whole[ch] && !all {
					whole[ch], changed = false, true
				}
			}
		}
	}
	out := ReleasedTurn{Pieces: make([]Release, len(s.pieces))}
	for i, p := range s.pieces {
		granted := len(p.choices) > 0 // nobody decided about a piece of no choice
		for _, ch := range p.choices {
			granted = granted && whole[ch]
		}
		if granted {
			out.Pieces[i] = Release{granted: true, bytes: p.raw, runs: p.runs}
		}
	}
	for i, c := range s.calls {
		if allowed[i] {
			out.Calls = append(out.Calls, Release{granted: true, bytes: c.members(), call: calls[i]})
		}
	}
	return out
}

// Whole says whether the calls of a choice left as they came.
func (t ReleasedTurn) Whole(s *Sealed, choice int) bool {
	for i, p := range s.pieces {
		if slices.Contains(p.choices, choice) {
			return i < len(t.Pieces) && t.Pieces[i].granted
		}
	}
	return false
}
