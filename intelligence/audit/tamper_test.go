package audit

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// world is a store with two writers that took turns, and a third one that looks at
// it afterwards.
func worked(t *testing.T, s stored) (first, second *process) {
	t.Helper()
	first, second = begin(t, s.open(t), Options{}), begin(t, s.open(t), Options{})
	for i := range 6 {
		p := []*process{first, second}[i%2]
		p.does(t, event(fmt.Sprint("rec_a", i), "decision", fmt.Sprint("cad_", i), ""), event(fmt.Sprint("rec_b", i), "release", fmt.Sprint("cad_", i), "hold_1"))
	}
	return first, second
}

func TestAnUntouchedStoreIsValid(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		worked(t, s)
		r := begin(t, s.open(t), Options{}).check(t)
		require.Empty(t, r.Broken)
		require.True(t, r.Valid)
		require.EqualValues(t, 12, r.Entries)
		require.EqualValues(t, 6, r.Links)
		require.Zero(t, r.Unsealed)
		require.Len(t, r.Writers, 2)
		require.True(t, r.Writers[0].Witnessed, "the second tells of the first")
		require.False(t, r.Writers[1].Witnessed, "nobody wrote after the last")
	})
}

// Whatever is changed by hand past the program is found, and the first place is
// named.
func TestATamperedStoreIsFound(t *testing.T) {
	change := func(at int, old, new string) func([]store.Entry) []store.Entry {
		return func(list []store.Entry) []store.Entry {
			was := list[at].Value
			list[at].Value = bytes.Replace(was, []byte(old), []byte(new), 1)
			if bytes.Equal(was, list[at].Value) {
				panic("nothing was changed")
			}
			return list
		}
	}
	swap := func(i, j int) func([]store.Entry) []store.Entry {
		return func(list []store.Entry) []store.Entry {
			list[i].Value, list[j].Value = list[j].Value, list[i].Value
			return list
		}
	}
	drop := func(from, to int) func([]store.Entry) []store.Entry {
		return func(list []store.Entry) []store.Entry { return slices.Delete(list, from, to) }
	}
	closeUp := func(from, to int) func([]store.Entry) []store.Entry {
		return func(list []store.Entry) []store.Entry {
			list = slices.Delete(list, from, to)
			for i := range list {
				list[i].Seq = int64(i + 1)
			}
			return list
		}
	}
	for name, c := range map[string]struct {
		log      string
		edit     func([]store.Entry) []store.Entry
		what     string
		sequence int64
		writer   int // 1 or 2, 0 for none
	}{
		"a record edited":                  {records, change(4, "rec_a2", "rec_x2"), BrokenRecord, 5, 1},
		"a record's time changed":          {records, func(l []store.Entry) []store.Entry { l[2].At = l[2].At.Add(1e6); return l }, BrokenRecord, 3, 2},
		"two records swapped":              {records, swap(2, 3), BrokenRecord, 3, 2},
		"a record removed":                 {records, drop(7, 8), MissingRecord, 8, 0},
		"a record removed, numbers mended": {records, closeUp(7, 8), BrokenRecord, 8, 2},
		"the first record removed":         {records, drop(0, 1), MissingRecord, 1, 0},
		"the last record removed":          {records, drop(11, 12), MissingRecord, 12, 0},
		"all records removed":              {records, drop(0, 12), MissingRecord, 1, 0},
		"a record put in": {records, func(l []store.Entry) []store.Entry {
			l = slices.Insert(l, 6, store.Entry{At: l[6].At, Value: []byte(event("rec_x", "release", "cad_3", ""))})
			for i := range l {
				l[i].Seq = int64(i + 1)
			}
			return l
		}, BrokenRecord, 7, 2},
		"a link edited":                  {ChainLog, change(2, `"from":5`, `"from":6`), BrokenLink, 2, 1},
		"a link that is none":            {ChainLog, change(2, `"writer"`, `"wrote"`), ForeignLink, 3, 0},
		"a link removed":                 {ChainLog, drop(2, 3), MissingLink, 3, 0},
		"a link removed, numbers mended": {ChainLog, closeUp(2, 3), MissingLink, 2, 1},
		"two links swapped":              {ChainLog, swap(0, 2), MissingLink, 1, 1},
		"a link twice": {ChainLog, func(l []store.Entry) []store.Entry {
			return append(l, store.Entry{Seq: 7, At: l[0].At, Value: l[0].Value})
		}, ForeignLink, 1, 1},
		"the last link of one removed": {ChainLog, closeUp(4, 5), MissingLink, 3, 1},
		"the first link removed":       {ChainLog, drop(0, 1), MissingLink, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, s stored) {
				first, second := worked(t, s)
				writers := []string{"", first.Writer.chains[shop].writer, second.Writer.chains[shop].writer}
				s.rewrite(t, shop, c.log, c.edit)
				r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop) // a program that knows nothing
				require.NoError(t, err)
				require.False(t, r.Valid)
				b := r.Broken[0]
				require.Equal(t, c.what, b.What, b)
				require.Equal(t, c.sequence, b.Sequence, b)
				require.Equal(t, writers[c.writer], b.Writer, b)
				require.Equal(t, c.sequence, r.BrokenAt)
			})
		})
	}
}

// A record that stands among sealed ones and that no link covers is not taken for one
// that is still to be sealed.
func TestARecordThatWasNeverSealedIsToldFromANewOne(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		worked(t, s)
		s.rewrite(t, shop, ChainLog, func(l []store.Entry) []store.Entry { return slices.Delete(l, 2, 3) }) // which sealed 5 and 6
		r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
		require.NoError(t, err)
		var never []int64
		for _, b := range r.Broken {
			if b.What == InsertedRecord {
				never = append(never, b.Sequence)
			}
		}
		require.Equal(t, []int64{5, 6}, never, r.Broken)
		require.Zero(t, r.Unsealed)
	})
}

// A store that was set back as a whole looks whole. What is outside of it tells.
func TestATruncatedStoreIsFound(t *testing.T) {
	truncate := func(t *testing.T, s stored) {
		s.rewrite(t, shop, records, func(l []store.Entry) []store.Entry { return l[:8] })
		s.rewrite(t, shop, ChainLog, func(l []store.Entry) []store.Entry { return l[:4] })
	}
	onBothStores(t, func(t *testing.T, s stored) {
		first, second := worked(t, s)
		head, ok := second.Head(shop)
		require.True(t, ok)
		kept := first.check(t).Heads
		require.Equal(t, []string{head.String()}, kept, "one head tells of all")
		truncate(t, s)

		stranger := NewLog(s.open(t), records, nil)
		r, err := stranger.Verify(t.Context(), shop)
		require.NoError(t, err)
		require.True(t, r.Valid, "from the store alone it cannot be known")

		outside, err := ParseHead(kept[0])
		require.NoError(t, err)
		r, err = stranger.Verify(t.Context(), shop, outside)
		require.NoError(t, err)
		require.Equal(t, MissingLink, r.Broken[0].What)
		require.Equal(t, head.Writer, r.Broken[0].Writer)
		require.EqualValues(t, 3, r.BrokenAt)

		// The writers that still run know.
		require.False(t, first.check(t).Valid)
		require.False(t, second.check(t).Valid)
		// And once one of them writes on, everybody does.
		second.does(t, event("rec_z", "decision", "cad_z", ""))
		r, err = stranger.Verify(t.Context(), shop)
		require.NoError(t, err)
		require.False(t, r.Valid)
	})
}

// The heads of a workspace stand in the chain of the system, so that a workspace
// cannot be set back or removed alone.
func TestAWorkspaceThatIsCutIsMissed(t *testing.T) {
	for name, keep := range map[string]int{"its end": 4, "all of it": 0} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, s stored) {
				first, second := worked(t, s)
				require.NoError(t, first.anchor(t.Context()))
				s.rewrite(t, shop, records, func(l []store.Entry) []store.Entry { return l[:2*keep] })
				s.rewrite(t, shop, ChainLog, func(l []store.Entry) []store.Entry { return l[:keep] })
				r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
				require.NoError(t, err)
				require.False(t, r.Valid)
				require.Equal(t, MissingLink, r.Broken[0].What)
				_ = second
			})
		})
	}
}

// A link that was made to fit an edited record is found by what comes after it.
func TestAForgedLinkIsFound(t *testing.T) {
	onBothStores(t, func(t *testing.T, s stored) {
		first, _ := worked(t, s)
		s.rewrite(t, shop, records, func(l []store.Entry) []store.Entry {
			l[0].Value = bytes.Replace(l[0].Value, []byte("decision"), []byte("deciding"), 1)
			return l
		})
		var forged Digest
		s.rewrite(t, shop, records, func(l []store.Entry) []store.Entry { forged = entryDigest(l[0]); return l })
		s.rewrite(t, shop, ChainLog, func(l []store.Entry) []store.Entry {
			link, _, err := decodeLink(l[0])
			require.NoError(t, err)
			l[0].Value = bytes.Replace(l[0].Value, []byte(link.Records[0].String()), []byte(forged.String()), 1)
			return l
		})
		r, err := NewLog(s.open(t), records, nil).Verify(t.Context(), shop)
		require.NoError(t, err)
		require.Equal(t, BrokenLink, r.Broken[0].What)
		require.Equal(t, first.Writer.chains[shop].writer, r.Broken[0].Writer)
		require.EqualValues(t, 1, r.BrokenAt)
	})
}
