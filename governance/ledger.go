package governance

import (
	"slices"
	"time"
)

// account is the stored document of one Meter.Account: the calls that count there.
// What has left the window is taken out whenever the account is written, and the
// document itself ends when nothing in it counts any more.
type account struct {
	Window  time.Duration `json:"window"`
	Settled []settled     `json:"settled,omitempty"` // released calls, oldest first
	Held    []reserved    `json:"held,omitempty"`    // calls that wait for an answer
}

// settled are calls that went out at a time.
type settled struct {
	At    int64 `json:"at"` // unix microseconds
	Count int64 `json:"n"`
	Micro int64 `json:"a,omitempty"`
}

// reserved are the calls of one hold. They count until the hold ends, whatever
// the window, because they may still go out.
type reserved struct {
	Hold  string `json:"hold"`
	Ask   string `json:"ask,omitempty"` // Hold.Ask
	Until int64  `json:"until"`         // unix microseconds: the end of the hold
	Count int64  `json:"n"`
	Micro int64  `json:"a,omitempty"`
}

// maxSettled bounds the entries of an account. Up to so many calls each leaves the
// window to the microsecond; beyond, the window is kept in so many steps and a
// call leaves it up to one step later.
const maxSettled = 256

// tally is what counts now, without the reservations that except names.
func (a *account) tally(now time.Time, except func(reserved) bool) Tally {
	var t Tally
	at := now.UnixMicro()
	for _, s := range a.Settled {
		if at-s.At < a.Window.Microseconds() {
			t.Add(s.Count, s.Micro)
		}
	}
	for _, r := range a.Held {
		if at < r.Until && !except(r) {
			t.Add(r.Count, r.Micro)
		}
	}
	return t
}

// settle notes calls that go out now.
func (a *account) settle(now time.Time, count, millionths int64) {
	s := settled{At: now.UnixMicro(), Count: count, Micro: millionths}
	at, _ := slices.BinarySearchFunc(a.Settled, s.At+1, func(x settled, t int64) int {
		return int(min(max(x.At-t, -1), 1))
	})
	a.Settled = slices.Insert(a.Settled, at, s)
}

// reserve writes what a hold keeps back, in place of what it kept before.
func (a *account) reserve(r reserved) {
	a.Held = slices.DeleteFunc(a.Held, func(have reserved) bool { return have.Hold == r.Hold })
	if r.Count > 0 {
		a.Held = append(a.Held, r)
	}
}

// prune takes out what does not count any more and keeps the rest small.
func (a *account) prune(now time.Time) {
	at := now.UnixMicro()
	a.Settled = slices.DeleteFunc(a.Settled, func(s settled) bool { return at-s.At >= a.Window.Microseconds() })
	a.Held = slices.DeleteFunc(a.Held, func(r reserved) bool { return at >= r.Until })
	if len(a.Settled) <= maxSettled {
		return
	}
	step := max(1, a.Window.Microseconds()/maxSettled)
	kept := a.Settled[:1]
	for _, s := range a.Settled[1:] {
		last := &kept[len(kept)-1]
		sum := Tally{Count: last.Count, Micro: last.Micro}
		if sum.Add(s.Count, s.Micro); s.At/step == last.At/step && !sum.Overflow {
			*last = settled{At: s.At, Count: sum.Count, Micro: sum.Micro}
			continue
		}
		kept = append(kept, s)
	}
	a.Settled = kept
}

// accountSlack is how much longer than needed an account is kept: longer than any
// request that has read it takes to write it.
const accountSlack = time.Hour

// life is how long the account says anything at all.
func (a *account) life(now time.Time) time.Duration {
	last := now.UnixMicro()
	for _, r := range a.Held {
		last = max(last, r.Until)
	}
	return time.UnixMicro(last).Sub(now) + a.Window + accountSlack
}
