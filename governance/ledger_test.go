package governance

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var ledgerNow = time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)

func nobody(reserved) bool { return false }

func TestACallLeavesTheWindowExactlyWhenItIsOver(t *testing.T) {
	a := &account{Window: 24 * time.Hour}
	a.settle(ledgerNow, 1, 5)
	for _, c := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {24*time.Hour - time.Microsecond, 1}, {24 * time.Hour, 0}, {25 * time.Hour, 0}} {
		require.Equal(t, c.want, a.tally(ledgerNow.Add(c.after), nobody).Count, c.after)
	}
	a.prune(ledgerNow.Add(24*time.Hour - time.Microsecond))
	require.Len(t, a.Settled, 1)
	a.prune(ledgerNow.Add(24 * time.Hour))
	require.Empty(t, a.Settled)
}

func TestAReservationCountsUntilItsHoldEndsWhateverTheWindow(t *testing.T) {
	a := &account{Window: time.Minute}
	end := ledgerNow.Add(4 * time.Hour)
	a.reserve(reserved{Hold: "h", Until: end.UnixMicro(), Count: 2, Micro: 7})
	require.Equal(t, Tally{Count: 2, Micro: 7}, a.tally(end.Add(-time.Microsecond), nobody))
	require.Equal(t, Tally{}, a.tally(end, nobody), "a hold whose time is up keeps nothing back, swept or not")
	require.Equal(t, Tally{}, a.tally(ledgerNow, func(r reserved) bool { return r.Hold == "h" }))
	a.reserve(reserved{Hold: "h", Until: end.UnixMicro(), Count: 1, Micro: 3})
	require.Equal(t, Tally{Count: 1, Micro: 3}, a.tally(ledgerNow, nobody), "it stands in the place of what was kept back before")
	require.GreaterOrEqual(t, a.life(ledgerNow), 4*time.Hour, "the account outlives the hold")
	a.reserve(reserved{Hold: "h"})
	require.Empty(t, a.Held)
}

// However many calls, an account stays small, never counts too little, and counts
// a call at most one step too long.
func TestAnAccountStaysSmallAndNeverCountsTooLittle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := time.Duration(rapid.Int64Range(int64(time.Second), int64(30*24*time.Hour)).Draw(t, "window")).Truncate(time.Microsecond)
		a := &account{Window: window}
		now := ledgerNow
		var at []time.Time
		for range rapid.IntRange(0, 2000).Draw(t, "calls") {
			now = now.Add(window * time.Duration(rapid.IntRange(0, 3).Draw(t, "steps")) / 1500).Truncate(time.Microsecond)
			a.settle(now, 1, 2)
			a.prune(now)
			at = append(at, now)
			require.LessOrEqual(t, len(a.Settled), maxSettled+2)
		}
		step := window/maxSettled + time.Microsecond
		exact, late := int64(0), int64(0)
		for _, x := range at {
			if now.Sub(x) < window {
				exact++
			}
			if now.Sub(x) < window+step {
				late++
			}
		}
		got := a.tally(now, nobody)
		require.GreaterOrEqual(t, got.Count, exact)
		require.LessOrEqual(t, got.Count, late)
		require.Equal(t, 2*got.Count, got.Micro)
		if len(at) <= maxSettled {
			require.Equal(t, exact, got.Count)
		}
	})
}

func TestCallsThatCommitOutOfOrderStayInTheOrderOfTime(t *testing.T) {
	a := &account{Window: time.Hour}
	for _, s := range []int{5, 3, 4, 4, 9, 1} {
		a.settle(ledgerNow.Add(time.Duration(s)*time.Second), 1, 0)
	}
	last := int64(0)
	for _, s := range a.Settled {
		require.GreaterOrEqual(t, s.At, last)
		last = s.At
	}
	require.Len(t, a.Settled, 6)
}

func TestSumsThatDoNotFitAreSaidToBeSo(t *testing.T) {
	a := &account{Window: time.Hour}
	a.settle(ledgerNow, 1, math.MaxInt64)
	require.False(t, a.tally(ledgerNow, nobody).Overflow)
	a.reserve(reserved{Hold: "h", Until: ledgerNow.Add(time.Hour).UnixMicro(), Count: 1, Micro: 1})
	got := a.tally(ledgerNow, nobody)
	require.True(t, got.Overflow)
	_, err := got.Units()
	require.ErrorIs(t, err, errOverflow)
	// Merging entries never hides it.
	for i := range 3 * maxSettled {
		a.settle(ledgerNow.Add(time.Duration(i)), 1, 1)
		a.prune(ledgerNow)
	}
	require.True(t, a.tally(ledgerNow, nobody).Overflow)
}

func TestAmountsAreWholeMillionthsOrNone(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.0": 0, "0e99": 0, "1": 1e6, "100.01": 100010000, "1e3": 1e9, "1.5e-6": -1, "0.000001": 1, "1e-6": 1, "0.0000010": 1,
		"0.0000001": -1, "-1": -1, "-0.000001": -1, "9223372036854.775807": math.MaxInt64, "9223372036854.775808": -1, "1e13": -1, "1e999999999": -1,
		"12345678901234567890": -1, "750.00": 750e6,
	} {
		got, err := inMicro(text)
		if want < 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestUnitsAreTheSumToTheLastMillionthOrAnError(t *testing.T) {
	for millionths, want := range map[int64]float64{0: 0, 1: 0.000001, 100100000: 100.1, 1000500000: 1000.5, 9000000000000000000: 9e12, 1<<53 - 1: 9007199254.740991} {
		got, err := Tally{Micro: millionths}.Units()
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := Tally{Micro: 1<<53 + 1}.Units()
	require.Error(t, err)
}

func TestWindows(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "24h": 24 * time.Hour, "1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour, "1d12h": 36 * time.Hour, "366d": 366 * 24 * time.Hour,
		"": 0, "d": 0, "0s": 0, "0d": 0, "-1h": 0, "1d-1h": 0, "367d": 0, "366d1s": 0, "24": 0, "1w": 0, "day": 0, "999999999h": 0, "99999999999d": 0, "1.5d": 0, "100ms": 0,
	} {
		got, err := ParseWindow(text)
		if want == 0 {
			require.Error(t, err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestAnotherSpellingIsNoOtherAccount(t *testing.T) {
	m := Meter{Tool: "pay", Window: time.Hour, By: []string{"args.who.id"}}
	of := func(args string) string {
		read, err := ReadArguments(Call{Arguments: args})
		require.NoError(t, err)
		id, err := m.Account(&Facts{}, read)
		require.NoError(t, err, args)
		return id
	}
	same := of(`{"who":{"id":"C-7"}}`)
	for _, args := range []string{`{"who":{"id":"c-7"}}`, `{"who":{"id":" C-7\t"}}`, `{"who":{"\u0069d":"C\u002d7"}}`, `{"x":1, "who":{"id":"C-7"}}`} {
		require.Equal(t, same, of(args), args)
	}
	require.Equal(t, of(`{"who":{"id":1000}}`), of(`{"who":{"id":1e3}}`))
	require.Equal(t, of(`{"who":{"id":1000}}`), of(`{"who":{"id":"1000"}}`))
	require.NotEqual(t, same, of(`{"who":{"id":"C-8"}}`))
	require.NotEqual(t, of(`{"who":{"id":12345678901234567890}}`), of(`{"who":{"id":12345678901234567891}}`))
	for _, args := range []string{`{}`, `{"who":"C-7"}`, `{"who":{"id":null}}`, `{"who":{"id":["C-7"]}}`, `{"who":{"id":{}}}`} {
		read, err := ReadArguments(Call{Arguments: args})
		require.NoError(t, err)
		_, err = m.Account(&Facts{}, read)
		require.Error(t, err, args)
	}
}

func TestMillionthsAreThoseOfExactArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		value, ok := new(big.Rat).SetString(text)
		require.True(t, ok)
		value.Mul(value, big.NewRat(micro, 1))
		fits := value.Sign() >= 0 && value.IsInt() && value.Num().IsInt64()
		got, err := inMicro(text)
		require.Equal(t, fits, err == nil, text)
		if fits {
			require.Equal(t, value.Num().Int64(), got, text)
		}
	})
}
