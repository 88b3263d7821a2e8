package storetest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Bench measures a Commit of a new document of 1 KB with one index position and a
// log entry of 512 bytes for 1 and for 64 callers, one as an allowed call makes it
// for 1 and for 16, and a Get. The figure cpu-ns/op is of the whole process.
func Bench(b *testing.B, e store.Engine) {
	value, line := make([]byte, 1024), make([]byte, 512)
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("Commit/callers=%d", callers), func(b *testing.B) {
			ws := fresh()
			Share(b, callers, func(i int64) error {
				return e.Commit(context.Background(), ws,
					store.Put{Create: true, Doc: store.Doc{Kind: "thing", ID: fmt.Sprintf("id%09d", i), Value: value, Index: []store.Index{at("by", "k", i)}}},
					store.Append{Log: "l", Value: line})
			})
		})
	}
	for _, callers := range []int{1, 16} {
		b.Run(fmt.Sprintf("Decided/callers=%d", callers), func(b *testing.B) {
			ws := fresh()
			Share(b, callers, func(i int64) error {
				return e.Commit(context.Background(), ws, decided(i, value, line)...)
			})
		})
	}
	b.Run("Get", func(b *testing.B) {
		ws := fresh()
		require.NoError(b, e.Commit(b.Context(), ws, store.Put{Doc: store.Doc{Kind: "thing", ID: "a", Value: value, Index: []store.Index{at("by", "k", 1)}}}))
		Share(b, 1, func(int64) error {
			_, err := e.Get(context.Background(), ws, "thing", "a")
			return err
		})
	})
}

// decided are the steps of an allowed call: what was released, what it was judged
// by, and the record. Ids ascend, keys are those of one conversation and of one
// request and call.
func decided(i int64, value, line []byte) []store.Op {
	trace := fmt.Sprintf("cad_01M8C0ZC3NY0S8%010d", i)
	call := store.Doc{Kind: "call", ID: fmt.Sprintf("call_01M8C0ZC3NY0S8%010d", i), Value: value[:400], Index: []store.Index{
		at("chat", "key_01M8C0ZC3NY0S84G22CKT5YWNF/conv_01M8C0ZC3NY0S84G22CKT5YWNF", i), at("trace", trace, i), at("kept", "", i),
		at("tool", "get_order", i), at("call_id", fmt.Sprintf("key_01M8C0ZC3NY0S84G22CKT5YWNF/%x", sha256.Sum256([]byte(trace))), i)}}
	evidence := store.Doc{Kind: "evidence", ID: fmt.Sprintf("ev_01M8C0ZC3NY0S8%010d", i), Value: value, Index: []store.Index{
		at("trace", trace, i), at("kept", "", i)}}
	return []store.Op{store.Put{Doc: call, Create: true}, store.Append{Log: "records", Value: line}, store.Put{Doc: evidence, Create: true}}
}

// processor is the time that this process has had on a processor.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Share spreads b.N calls, numbered from 1, over exactly so many callers.
func Share(b *testing.B, callers int, call func(n int64) error) {
	b.ReportAllocs()
	before := processor(b)
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	failed := make(chan error, callers)
	for range callers {
		all.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				if err := call(n + 1); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	require.NoError(b, <-failed)
	b.ReportMetric(float64(processor(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
