package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// With little alive garbage is collected at the floor, with much as Go does it.
func TestTheHeapHasAFloorAndNoMore(t *testing.T) {
	t.Setenv("GOGC", "")
	keepHeapFloor() // stays for the other tests of this process, which it does not touch
	little := make([]byte, 12<<20)
	goalWithin := func(low, high uint64) func() bool {
		return func() bool {
			runtime.GC()
			goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
			metrics.Read(goal)
			return low <= goal[0].Value.Uint64() && goal[0].Value.Uint64() <= high
		}
	}
	require.Eventually(t, goalWithin(heapFloor*9/10, heapFloor), 10*time.Second, time.Millisecond, "little is alive")
	much := make([]byte, 2*heapFloor)
	require.Eventually(t, goalWithin(4*heapFloor, 5*heapFloor), 10*time.Second, time.Millisecond, "much is alive")
	runtime.KeepAlive(much)
	require.Eventually(t, goalWithin(heapFloor*9/10, heapFloor), 10*time.Second, time.Millisecond, "little again")
	runtime.KeepAlive(little)
}

func TestWhoeverSetsGOGCHasDecided(t *testing.T) {
	t.Setenv("GOGC", "70")
	before := debug.SetGCPercent(70)
	defer debug.SetGCPercent(before)
	keepHeapFloor()
	require.Equal(t, 70, debug.SetGCPercent(70))
}

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		heap, roots uint64
		percent     int
	}{
		{0, 0, maxPercent},
		{3 * mib, mib, maxPercent},
		{14 * mib, 2 * mib, 310}, // 14 + 16*3.1 = 63.6
		{30 * mib, mib, 100},     // 30 + 31*1.09
		{31 * mib, mib, 100},
		{500 * mib, 10 * mib, 100},
	} {
		require.Equal(t, c.percent, percentFor(c.heap, c.roots), "%d MiB and %d MiB", c.heap/mib, c.roots/mib)
	}
}
