package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func getReadsPut(t *testing.T, s *suite) {
	ctx := t.Context()
	_, err := s.Get(ctx, s.ws, "thing", "a")
	require.ErrorIs(t, err, store.ErrNotFound)

	s.commit(t, put("thing", "a", "one", at("by_z", "k", 2), at("by_a", "", -1)))
	doc, err := s.Get(ctx, s.ws, "thing", "a")
	require.NoError(t, err)
	require.Equal(t, store.Doc{
		Kind: "thing", ID: "a", Version: 1, Value: []byte("one"),
		Index: []store.Index{at("by_a", "", -1), at("by_z", "k", 2)},
	}, doc, "positions come back sorted")

	s.commit(t, put("thing", "a", "two"))
	doc, err = s.Get(ctx, s.ws, "thing", "a")
	require.NoError(t, err)
	require.Equal(t, store.Doc{Kind: "thing", ID: "a", Version: 2, Value: []byte("two")}, doc)

	s.commit(t, store.Delete{Kind: "thing", ID: "a"})
	_, err = s.Get(ctx, s.ws, "thing", "a")
	require.ErrorIs(t, err, store.ErrNotFound)

	s.commit(t, put("thing", "a", "three"))
	doc, err = s.Get(ctx, s.ws, "thing", "a")
	require.NoError(t, err)
	require.EqualValues(t, 1, doc.Version, "versions begin anew after a delete")

	s.commit(t)
}

// conditioned is a step on document "a" and whether it may be done when the
// document is missing, has version 1, or has version 2.
type conditioned struct {
	name string
	op   store.Op
	may  [3]bool
}

func holdConditions(t *testing.T, s *suite, cases []conditioned) {
	for _, c := range cases {
		for version, may := range c.may {
			t.Run(fmt.Sprintf("%s at version %d", c.name, version), func(t *testing.T) {
				s := &suite{Engine: s.Engine, ws: fresh()}
				for range version {
					s.commit(t, put("thing", "a", "before"))
				}
				err := s.Commit(t.Context(), s.ws, c.op, store.Append{Log: "seen", Value: []byte("x")})
				lines, readErr := s.Read(t.Context(), s.ws, "seen", 0, 10)
				require.NoError(t, readErr)
				if may {
					require.NoError(t, err)
					require.Len(t, lines, 1)
				} else {
					require.ErrorIs(t, err, store.ErrConflict)
					require.NotErrorIs(t, err, store.ErrUnavailable)
					require.Empty(t, lines, "nothing of a conflicting commit happens")
				}
			})
		}
	}
}

func putConditions(t *testing.T, s *suite) {
	doc := store.Doc{Kind: "thing", ID: "a", Version: 77, Value: []byte("after")}
	holdConditions(t, s, []conditioned{
		{"create", store.Put{Doc: doc, Create: true}, [3]bool{true, false, false}},
		{"version 1", store.Put{Doc: doc, IfVersion: 1}, [3]bool{false, true, false}},
		{"version 2", store.Put{Doc: doc, IfVersion: 2}, [3]bool{false, false, true}},
		{"any", store.Put{Doc: doc}, [3]bool{true, true, true}},
	})
}

func deleteConditions(t *testing.T, s *suite) {
	holdConditions(t, s, []conditioned{
		{"version 1", store.Delete{Kind: "thing", ID: "a", IfVersion: 1}, [3]bool{false, true, false}},
		{"version 2", store.Delete{Kind: "thing", ID: "a", IfVersion: 2}, [3]bool{false, false, true}},
		{"any", store.Delete{Kind: "thing", ID: "a"}, [3]bool{true, true, true}},
	})
}

func conflictUndoesAll(t *testing.T, s *suite) {
	ctx := t.Context()
	s.commit(t, put("thing", "kept", "before", at("by", "k", 1)), put("thing", "blocker", ""))
	err := s.Commit(ctx, s.ws,
		put("thing", "kept", "after", at("by", "k", 9)),
		put("thing", "new", "", at("by", "k", 5)),
		store.Append{Log: "seen", Value: []byte("x")},
		store.Delete{Kind: "thing", ID: "blocker"},
		store.Put{Doc: store.Doc{Kind: "other", ID: "late"}, IfVersion: 3}, // the last step fails
	)
	require.ErrorIs(t, err, store.ErrConflict)

	docs, err := s.List(ctx, s.ws, "thing", store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, []store.Doc{{Kind: "thing", ID: "kept", Version: 1, Value: []byte("before"), Index: []store.Index{at("by", "k", 1)}}}, docs)
	_, err = s.Get(ctx, s.ws, "thing", "blocker")
	require.NoError(t, err)
	lines, err := s.Read(ctx, s.ws, "seen", 0, 10)
	require.NoError(t, err)
	require.Empty(t, lines)

	s.commit(t, store.Append{Log: "seen", Value: []byte("y")})
	lines, err = s.Read(ctx, s.ws, "seen", 0, 10)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	require.EqualValues(t, 1, lines[0].Seq, "a conflict leaves no gap")
}

func separation(t *testing.T, s *suite) {
	ctx := t.Context()
	other := &suite{Engine: s.Engine, ws: fresh()}
	s.commit(t, put("thing", "a", "mine", at("by", "k", 1)), put("other", "a", "kind", at("by", "k", 2)), store.Append{Log: "l", Value: []byte("1")}, store.Append{Log: "m", Value: []byte("2")})
	other.commit(t, put("thing", "a", "theirs", at("by", "k", 3)))

	doc, err := s.Get(ctx, s.ws, "thing", "a")
	require.NoError(t, err)
	require.Equal(t, "mine", string(doc.Value))
	docs, err := s.List(ctx, s.ws, "thing", store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Len(t, docs, 1)
	require.Equal(t, "mine", string(docs[0].Value))
	lines, err := s.Read(ctx, s.ws, "m", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
	require.EqualValues(t, 1, lines[0].Seq)
	lines, err = s.Read(ctx, other.ws, "l", 0, 0)
	require.NoError(t, err)
	require.Empty(t, lines)
}

func binaryValues(t *testing.T, s *suite) {
	ctx := t.Context()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, value := range map[string][]byte{
		"nil": nil, "empty": {}, "every byte": all, "one NUL": {0}, "newlines": []byte("\r\n\r\n"),
		"large": []byte(strings.Repeat("0123456789abcdef", 1<<17)),
	} {
		s := &suite{Engine: s.Engine, ws: fresh()}
		s.commit(t, store.Put{Doc: store.Doc{Kind: "thing", ID: "a", Value: value, Index: []store.Index{at("by", "k", 1)}}}, store.Append{Log: "l", Value: value})
		doc, err := s.Get(ctx, s.ws, "thing", "a")
		require.NoError(t, err, name)
		docs, err := s.List(ctx, s.ws, "thing", store.Query{Index: "by", Key: "k"})
		require.NoError(t, err, name)
		lines, err := s.Read(ctx, s.ws, "l", 0, 0)
		require.NoError(t, err, name)
		// string makes nil and empty equal, and a failure readable.
		require.True(t, string(value) == string(doc.Value), name)
		require.True(t, len(docs) == 1 && string(value) == string(docs[0].Value), name)
		require.True(t, len(lines) == 1 && string(value) == string(lines[0].Value), name)
	}
}

func oddIDs(t *testing.T, s *suite) {
	ctx := t.Context()
	odd := []string{
		"{", "}", "{}", "{other}", "a:b", ":", "a b", " ", "\n", "\r\n", "*", "?", "[a]", "'", "\"", "--", ";", "%", "%s", "\\",
		"é", "日本", "👍", "\xff\xfe", "\x01", "a'; DROP TABLE docs; --", "v", "d", "i", strings.Repeat("x", store.MaxID),
	}
	for _, id := range odd {
		s.commit(t, put("thing", id, "doc of "+id, at("by", id, 5), at("all", "", 0)))
	}
	for _, id := range odd {
		doc, err := s.Get(ctx, s.ws, "thing", id)
		require.NoError(t, err, "%q", id)
		require.Equal(t, "doc of "+id, string(doc.Value))
		require.Equal(t, []store.Index{at("all", "", 0), at("by", id, 5)}, doc.Index)
		require.Equal(t, []string{id}, s.ids(t, "thing", store.Query{Index: "by", Key: id}))
	}
	require.Len(t, s.ids(t, "thing", store.Query{Index: "all"}), len(odd))
	// An index key is any string, also what no id may be.
	for _, key := range []string{"", "\x00", strings.Repeat("k", 4000)} {
		s.commit(t, put("keyed", "a", "", at("by", key, 1)))
		require.Equal(t, []string{"a"}, s.ids(t, "keyed", store.Query{Index: "by", Key: key}))
	}
	for _, id := range odd {
		s.commit(t, store.Delete{Kind: "thing", ID: id, IfVersion: 1})
	}
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "all"}))
}

func invalid(t *testing.T, s *suite) {
	ctx := t.Context()
	ok := put("thing", "a", "")
	with := func(change func(p *store.Put)) store.Put {
		p := ok
		change(&p)
		return p
	}
	for name, op := range map[string]store.Op{
		"no kind":             put("", "a", ""),
		"kind in capitals":    put("Thing", "a", ""),
		"kind too long":       put(strings.Repeat("k", 33), "a", ""),
		"no id":               put("thing", "", ""),
		"id with NUL":         put("thing", "a\x00b", ""),
		"id too long":         put("thing", strings.Repeat("x", store.MaxID+1), ""),
		"value too large":     with(func(p *store.Put) { p.Doc.Value = make([]byte, store.MaxValue+1) }),
		"create and version":  with(func(p *store.Put) { p.Create, p.IfVersion = true, 1 }),
		"negative version":    with(func(p *store.Put) { p.IfVersion = -1 }),
		"index name":          put("thing", "a", "", at("by-name", "", 0)),
		"score too high":      put("thing", "a", "", at("by", "", store.MaxScore+1)),
		"score too low":       put("thing", "a", "", at("by", "", -store.MaxScore-1)),
		"one position twice":  put("thing", "a", "", at("by", "k", 1), at("by", "k", 2)),
		"too many positions":  with(func(p *store.Put) { p.Doc.Index = make([]store.Index, store.MaxIndexes+1) }),
		"negative TTL":        with(func(p *store.Put) { p.TTL = -1 }),
		"positions and a TTL": with(func(p *store.Put) { p.TTL, p.Doc.Index = 1, []store.Index{at("by", "", 0)} }),
		"delete without kind": store.Delete{ID: "a"},
		"delete without id":   store.Delete{Kind: "thing"},
		"delete negative":     store.Delete{Kind: "thing", ID: "a", IfVersion: -1},
		"append without log":  store.Append{},
		"append too large":    store.Append{Log: "l", Value: make([]byte, store.MaxValue+1)},
		"no operation":        nil,
		"a pointer":           &ok,
	} {
		require.ErrorIs(t, s.Commit(ctx, s.ws, op), store.ErrInvalid, name)
	}
	require.ErrorIs(t, s.Commit(ctx, s.ws, ok, store.Delete{Kind: "thing", ID: "a"}), store.ErrInvalid, "one document twice")
	many := []store.Op{ok}
	for i := range 20 {
		many = append(many, put("thing", fmt.Sprint(i), ""))
	}
	require.ErrorIs(t, s.Commit(ctx, s.ws, append(many, ok)...), store.ErrInvalid, "one document twice among many")
	for _, ws := range []string{"", "a b", "a{b}", "a:b", "é", strings.Repeat("w", 65)} {
		require.ErrorIs(t, s.Commit(ctx, ws, ok), store.ErrInvalid, ws)
		_, err := s.Get(ctx, ws, "thing", "a")
		require.ErrorIs(t, err, store.ErrInvalid, ws)
		_, err = s.Watch(ctx, ws)
		require.ErrorIs(t, err, store.ErrInvalid, ws)
	}
	for _, q := range []store.Query{{}, {Index: "by", Limit: store.MaxLimit + 1}, {Index: "by", Limit: -1}, {Index: "by", Offset: -1}} {
		_, err := s.List(ctx, s.ws, "thing", q)
		require.ErrorIs(t, err, store.ErrInvalid, "%+v", q)
	}
	_, err := s.Read(ctx, s.ws, "l", 0, -1)
	require.ErrorIs(t, err, store.ErrInvalid)
	_, err = s.Get(ctx, s.ws, "thing", "a")
	require.ErrorIs(t, err, store.ErrNotFound, "nothing was written")
}
