package storetest

import (
	"cmp"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/store"
)

// The model draws from so few names that operations meet often.
var (
	modelKinds = []string{"thing", "other"}
	modelIDs   = []string{"a", "b", "{}", "a:b", "é"}
	modelNames = []string{"by", "on"}
	modelKeys  = []string{"", "k", "k:k", "\x00"}
	modelLogs  = []string{"l", "m"}
)

type modelKey struct{ kind, id string }

// world is the in-memory model of one workspace.
type world struct {
	docs map[modelKey]store.Doc
	logs map[string][]string // trimmed entries included
	gone map[string]int      // how many of them were trimmed
}

// model runs random commits, also conflicting ones, on the engine and on the
// model and compares every answer and, now and then, everything.
func model(t *testing.T, s *suite) {
	rapid.Check(t, func(t *rapid.T) {
		ctx, ws := t.Context(), fresh()
		w := &world{docs: map[modelKey]store.Doc{}, logs: map[string][]string{}, gone: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"commit": func(t *rapid.T) {
				ops := drawOps(t, w)
				want := w.commit(ops)
				got := s.Commit(ctx, ws, ops...)
				if want {
					require.NoError(t, got, "%+v", ops)
				} else {
					require.ErrorIs(t, got, store.ErrConflict, "%+v", ops)
				}
			},
			"list": func(t *rapid.T) {
				kind, q := drawQuery(t)
				docs, err := s.List(ctx, ws, kind, q)
				require.NoError(t, err)
				require.Equal(t, w.list(kind, q), docs, "%s %+v", kind, q)
			},
			"get": func(t *rapid.T) {
				k := modelKey{rapid.SampledFrom(modelKinds).Draw(t, "kind"), rapid.SampledFrom(modelIDs).Draw(t, "id")}
				doc, err := s.Get(ctx, ws, k.kind, k.id)
				want, there := w.docs[k]
				require.Equal(t, !there, errors.Is(err, store.ErrNotFound))
				if there {
					require.NoError(t, err)
					require.Equal(t, want, doc)
				}
			},
			"read": func(t *rapid.T) {
				log := rapid.SampledFrom(modelLogs).Draw(t, "log")
				after := rapid.Int64Range(0, 12).Draw(t, "after")
				limit := rapid.IntRange(1, 8).Draw(t, "limit")
				lines, err := s.Read(ctx, ws, log, after, limit)
				require.NoError(t, err)
				all := w.logs[log]
				from := min(max(int(after), w.gone[log]), len(all))
				want := all[from:min(from+limit, len(all))]
				require.Len(t, lines, len(want))
				for i, l := range lines {
					require.EqualValues(t, from+i+1, l.Seq)
					require.Equal(t, want[i], string(l.Value))
				}
			},
		})
	})
}

func drawOps(t *rapid.T, w *world) []store.Op {
	var ops []store.Op
	used := map[modelKey]bool{}
	for range rapid.IntRange(1, 4).Draw(t, "ops") {
		k := modelKey{rapid.SampledFrom(modelKinds).Draw(t, "kind"), rapid.SampledFrom(modelIDs).Draw(t, "id")}
		what := rapid.SampledFrom([]string{"set", "create", "replace", "delete", "remove", "append", "trim"}).Draw(t, "what")
		if what != "append" && what != "trim" && used[k] {
			continue
		}
		version := w.docs[k].Version
		if version == 0 || rapid.IntRange(0, 3).Draw(t, "stale") == 0 {
			version++
		}
		value := []byte(rapid.SampledFrom([]string{"x", "\x00", "yy"}).Draw(t, "value"))
		switch what {
		case "append":
			ops = append(ops, store.Append{Log: rapid.SampledFrom(modelLogs).Draw(t, "log"), Value: value})
			continue
		case "trim":
			ops = append(ops, store.Trim{Log: rapid.SampledFrom(modelLogs).Draw(t, "log"), Through: rapid.Int64Range(1, 12).Draw(t, "through")})
			continue
		case "delete":
			ops = append(ops, store.Delete{Kind: k.kind, ID: k.id})
		case "remove":
			ops = append(ops, store.Delete{Kind: k.kind, ID: k.id, IfVersion: version})
		default:
			p := store.Put{Doc: store.Doc{Kind: k.kind, ID: k.id, Value: value, Index: drawIndex(t)}, Create: what == "create"}
			if len(p.Doc.Index) == 0 && rapid.Bool().Draw(t, "expires") {
				p.TTL = time.Hour // as good as never here
			}
			if what == "replace" {
				p.IfVersion = version
			}
			ops = append(ops, p)
		}
		used[k] = true
	}
	return ops
}

func drawIndex(t *rapid.T) []store.Index {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) store.Index {
		return at(rapid.SampledFrom(modelNames).Draw(t, "name"), rapid.SampledFrom(modelKeys).Draw(t, "key"), rapid.Int64Range(-2, 3).Draw(t, "score"))
	}), 0, 3, func(x store.Index) modelKey { return modelKey{x.Name, x.Key} }).Draw(t, "index")
}

func drawQuery(t *rapid.T) (string, store.Query) {
	return rapid.SampledFrom(modelKinds).Draw(t, "kind"), store.Query{
		Index: rapid.SampledFrom(modelNames).Draw(t, "name"), Key: rapid.SampledFrom(modelKeys).Draw(t, "key"),
		Min: rapid.Int64Range(-3, 3).Draw(t, "min"), Max: rapid.Int64Range(-3, 3).Draw(t, "max"),
		Desc: rapid.Bool().Draw(t, "desc"), Offset: rapid.IntRange(0, 2).Draw(t, "offset"), Limit: rapid.IntRange(0, 3).Draw(t, "limit"),
	}
}

// commit answers whether all conditions hold, and then does it.
func (w *world) commit(ops []store.Op) bool {
	for _, op := range ops {
		switch op := op.(type) {
		case store.Put:
			version := w.docs[modelKey{op.Doc.Kind, op.Doc.ID}].Version
			if op.Create && version != 0 || op.IfVersion > 0 && op.IfVersion != version {
				return false
			}
		case store.Delete:
			if op.IfVersion > 0 && op.IfVersion != w.docs[modelKey{op.Kind, op.ID}].Version {
				return false
			}
		}
	}
	for _, op := range ops {
		switch op := op.(type) {
		case store.Put:
			k := modelKey{op.Doc.Kind, op.Doc.ID}
			doc := op.Doc
			doc.Version = w.docs[k].Version + 1
			doc.Index = store.SortedIndex(doc.Index)
			if len(doc.Index) == 0 {
				doc.Index = nil
			}
			w.docs[k] = doc
		case store.Delete:
			delete(w.docs, modelKey{op.Kind, op.ID})
		case store.Append:
			w.logs[op.Log] = append(w.logs[op.Log], string(op.Value))
		case store.Trim:
			w.gone[op.Log] = max(w.gone[op.Log], min(int(op.Through), len(w.logs[op.Log])-1))
		}
	}
	return true
}

func (w *world) list(kind string, q store.Query) []store.Doc {
	type hit struct {
		score int64
		doc   store.Doc
	}
	var hits []hit
	for k, doc := range w.docs {
		for _, x := range doc.Index {
			if k.kind == kind && x.Name == q.Index && x.Key == q.Key && x.Score >= q.Min && (q.Max == 0 || x.Score <= q.Max) {
				hits = append(hits, hit{x.Score, doc})
			}
		}
	}
	slices.SortFunc(hits, func(a, b hit) int {
		c := cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.doc.ID, b.doc.ID))
		if q.Desc {
			return -c
		}
		return c
	})
	limit := cmp.Or(q.Limit, store.DefaultLimit)
	from := min(q.Offset, len(hits))
	var docs []store.Doc
	for _, h := range hits[from:min(from+limit, len(hits))] {
		docs = append(docs, h.doc)
	}
	return docs
}
