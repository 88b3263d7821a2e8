package audit

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/sqlite"
)

// nowhere is an engine whose commits cost nothing.
type nowhere struct{ store.Engine }

// What a commit pays for being heard of: the digest of its record, twice a lock.
func BenchmarkCommitIsHeard(b *testing.B) {
	e, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "a.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close()) })
	w := New(Options{Engine: nowhere{e}, Records: records})
	ops := []store.Op{store.Append{Log: records, Value: []byte(event("rec_1", "decision", "cad_1", "hold_1", `,"details":"about as long as a record is"`))}}
	b.ReportAllocs()
	for b.Loop() {
		w.ends(shop, w.begins(shop, ops), true)
	}
}

// What sealing costs behind the requests, for each record, in links of 100.
func BenchmarkSeal(b *testing.B) {
	e, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "a.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close()) })
	w := New(Options{Engine: e, Records: records})
	n := 0
	for b.Loop() {
		b.StopTimer()
		var ops []store.Op
		for range 100 {
			n++
			ops = append(ops, store.Append{Log: records, Value: []byte(event(fmt.Sprint("rec_", n), "decision", fmt.Sprint("cad_", n), fmt.Sprint("hold_", n)))})
		}
		require.NoError(b, w.Engine().Commit(b.Context(), shop, ops...))
		b.StartTimer()
		require.NoError(b, w.Seal(b.Context(), shop))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/record")
}

// What a check costs for each record.
func BenchmarkVerify(b *testing.B) {
	e, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "a.db"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, e.Close()) })
	w := New(Options{Engine: e, Records: records})
	const all = 20_000
	for n := 0; n < all; n += 100 {
		var ops []store.Op
		for i := range 100 {
			ops = append(ops, store.Append{Log: records, Value: []byte(event(fmt.Sprint("rec_", n+i), "decision", fmt.Sprint("cad_", n+i), ""))})
		}
		require.NoError(b, w.Engine().Commit(b.Context(), shop, ops...))
		require.NoError(b, w.Seal(b.Context(), shop))
	}
	l := NewLog(e, records, nil)
	for b.Loop() {
		r, err := l.Verify(b.Context(), shop)
		require.NoError(b, err)
		require.EqualValues(b, all, r.Entries)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/all, "ns/record")
}
