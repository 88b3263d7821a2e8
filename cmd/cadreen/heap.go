package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the heap that the program may have before garbage is collected,
// in bytes, however little of it is alive. What stays alive is some 15 MiB, and
// Go by itself would collect at twice that, many times a second under load.
const heapFloor = 64 << 20

// keepHeapFloor has garbage collected at heapFloor or at twice what is alive,
// whichever is more: a server that holds much is as Go makes it. Whoever sets
// GOGC has decided otherwise. GOMEMLIMIT bounds the program as ever.
func keepHeapFloor() {
	if os.Getenv("GOGC") != "" {
		return
	}
	new(heapTuner).tune()
}

// heapTuner follows what is alive: the runtime knows a ratio only.
type heapTuner struct{ percent int }

// tune sets the ratio, and comes again after each collection, as the finalizer
// of something that nobody holds.
func (t *heapTuner) tune() {
	if p := percentFor(aliveBytes()); p != t.percent {
		t.percent = p
		debug.SetGCPercent(p)
	}
	runtime.SetFinalizer(&sentinel{t}, func(s *sentinel) { s.tuner.tune() })
}

type sentinel struct{ tuner *heapTuner }

// percentFor is the GOGC at which a heap of which so much is alive grows to
// heapFloor. GOGC counts the roots too. A multiple of 10, because setting it
// stops the program for a moment.
func percentFor(heap, roots uint64) int {
	if heap+roots >= heapFloor/2 {
		return 100
	}
	return min(int((heapFloor-heap)*100/max(heap+roots, 1))/10*10, maxPercent)
}

// maxPercent is for the time before the first collection has found anything.
const maxPercent = 1000

// aliveBytes is what the last collection found alive in the heap, and the roots
// that it set out from.
func aliveBytes() (heap, roots uint64) {
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(read)
	return read[0].Value.Uint64(), read[1].Value.Uint64() + read[2].Value.Uint64()
}
