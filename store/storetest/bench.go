package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Bench measures a Commit as the proxy makes it (a new document of 1 KB with
// one index position and a log entry of 512 bytes) for 1 and for 64 callers,
// and a Get.
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
	b.Run("Get", func(b *testing.B) {
		ws := fresh()
		require.NoError(b, e.Commit(b.Context(), ws, store.Put{Doc: store.Doc{Kind: "thing", ID: "a", Value: value, Index: []store.Index{at("by", "k", 1)}}}))
		Share(b, 1, func(int64) error {
			_, err := e.Get(context.Background(), ws, "thing", "a")
			return err
		})
	})
}

// Share spreads b.N calls, numbered from 1, over exactly so many callers.
func Share(b *testing.B, callers int, call func(n int64) error) {
	b.ReportAllocs()
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
