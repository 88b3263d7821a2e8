package audit

import (
	"encoding/json"
	"iter"
	"math"
	"testing"
	"time"

	"context"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Whoever may write to the store may append links that claim anything. They are
// found, cost little, and keep nothing from being sealed or listed.
func TestForgedLinksThatClaimTooMuch(t *testing.T) {
	for name, l := range map[string]Link{
		"a number far away":      {Workspace: shop, Writer: "wr_forged", N: math.MaxInt64},
		"records that are none":  {Workspace: shop, Writer: "wr_forged", N: 1, From: 1_000_000_000_000, Records: []Digest{{1}}},
		"records without an end": {Workspace: shop, Writer: "wr_forged", N: 1, From: math.MaxInt64, Records: []Digest{{1}, {2}}},
		"heads of links to come": {Workspace: shop, Writer: "wr_forged", N: 1, Heads: []Head{{Writer: "wr_x", N: math.MaxInt64}}},
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, s stored) {
				p := begin(t, s.open(t), Options{})
				p.does(t, event("rec_1", "decision", "cad_1", ""))
				value, err := json.Marshal(l)
				require.NoError(t, err)
				require.NoError(t, p.engine.Commit(t.Context(), shop, store.Append{Log: ChainLog, Value: value}))
				for _, p := range []*process{p, begin(t, s.open(t), Options{})} {
					p.does(t, event("rec_2", "decision", "cad_2", ""))
					r := p.check(t)
					require.False(t, r.Valid)
					require.Zero(t, r.Unsealed)
					list, _, err := p.List(t.Context(), shop, Query{Limit: 10, Type: "decision"})
					require.NoError(t, err)
					require.Equal(t, "rec_2", list[0].ID)
				}
			})
		})
	}
}

// kept is a source in memory.
type kept map[string][]store.Entry

func (k kept) links(context.Context, string) iter.Seq2[store.Entry, error] {
	return k.from(ChainLog, 0)
}

func (k kept) records(_ context.Context, _ string, after int64) iter.Seq2[store.Entry, error] {
	return k.from(records, after)
}

func (k kept) from(log string, after int64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for _, e := range k[log] {
			if e.Seq > after && !yield(e, nil) {
				return
			}
		}
	}
}

// A store may hold any bytes: the check ends and says something.
func FuzzCheck(f *testing.F) {
	good := Link{Workspace: shop, Writer: "w", N: 1, From: 1, Records: []Digest{entryDigest(store.Entry{Seq: 1, At: time.Unix(0, 0), Value: []byte("{}")})}}
	value, err := json.Marshal(good)
	require.NoError(f, err)
	f.Add(value, value, []byte("{}"))
	f.Add([]byte(`{"workspace":"shop","writer":"w","n":2,"prev":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","from":-5,"records":[]}`), value, []byte("x"))
	f.Add([]byte(`{"workspace":"shop","writer":"w","n":1,"removed":9223372036854775807,"heads":[{"writer":"w","n":-1}]}`), []byte("null"), []byte(""))
	f.Fuzz(func(t *testing.T, one, two, record []byte) {
		at := time.Unix(0, 0)
		k := kept{ChainLog: {{Seq: 1, At: at, Value: one}, {Seq: 2, At: at, Value: two}}, records: {{Seq: 1, At: at, Value: record}}}
		c := newChecker(k, records)
		require.NoError(t, c.workspace(t.Context(), shop))
		r := c.finish(nil, shop)
		require.Equal(t, r.Valid, len(r.Broken) == 0)
		for _, h := range r.Heads {
			_, err := ParseHead(h)
			_ = err // a writer may be called anything
		}
		show(store.Entry{Seq: 1, At: at, Value: record})
	})
}

func FuzzParseHead(f *testing.F) {
	f.Add(Head{Workspace: "shop", Writer: "wr_1", N: 3, Hash: Digest{1}}.String())
	f.Add("shop:wr:1:")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHead(text)
		if err != nil {
			return
		}
		again, err := ParseHead(h.String())
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}
