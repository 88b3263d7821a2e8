package storetest

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

func indexReplacement(t *testing.T, s *suite) {
	s.commit(t, put("thing", "a", "", at("state", "open", 1), at("owner", "x", 5)))
	s.commit(t, put("thing", "a", "", at("state", "closed", 2), at("owner", "x", 6)))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "state", Key: "open"}))
	require.Equal(t, []string{"a"}, s.ids(t, "thing", store.Query{Index: "state", Key: "closed"}))
	require.Equal(t, []string{"a"}, s.ids(t, "thing", store.Query{Index: "owner", Key: "x", Min: 6}), "a new score under the same key")
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "owner", Key: "x", Max: 5}), "and not the old one as well")

	s.commit(t, put("thing", "a", "same positions", at("owner", "x", 6), at("state", "closed", 2)))
	require.Equal(t, []string{"a"}, s.ids(t, "thing", store.Query{Index: "state", Key: "closed"}))

	s.commit(t, put("thing", "a", ""))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "state", Key: "closed"}))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "owner", Key: "x"}))

	s.commit(t, put("thing", "a", "", at("state", "open", 1)))
	s.commit(t, store.Delete{Kind: "thing", ID: "a"})
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "state", Key: "open"}))
}

func manyPositions(t *testing.T, s *suite) {
	var index []store.Index
	for i := range store.MaxIndexes {
		index = append(index, at("by", fmt.Sprintf("k%04d", i), int64(i)))
	}
	s.commit(t, put("thing", "a", "v", index...))
	doc, err := s.Get(t.Context(), s.ws, "thing", "a")
	require.NoError(t, err)
	require.Equal(t, index, doc.Index)
	s.commit(t, put("thing", "a", "v", index[1:]...))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "by", Key: "k0000"}))
	require.Equal(t, []string{"a"}, s.ids(t, "thing", store.Query{Index: "by", Key: "k0999"}))
	s.commit(t, store.Delete{Kind: "thing", ID: "a"})
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "by", Key: "k0999"}))
}

func listOrder(t *testing.T, s *suite) {
	// Written in an order that is neither that of the scores nor that of the ids.
	for _, d := range []struct {
		id    string
		score int64
	}{{"b", 2}, {"z", 1}, {"a", 2}, {"B", 2}, {"é", 2}, {"\xff", 2}, {"aa", 2}, {"y", -3}, {"x", store.MaxScore}, {"w", store.MaxScore - 1}, {"u", -store.MaxScore}} {
		s.commit(t, put("thing", d.id, "v", at("by", "k", d.score)))
	}
	up := []string{"u", "y", "z", "B", "a", "aa", "b", "é", "\xff", "w", "x"}
	down := make([]string, len(up))
	for i, id := range up {
		down[len(up)-1-i] = id
	}
	require.Equal(t, up, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Min: math.MinInt64}))
	require.Equal(t, down, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Min: math.MinInt64, Desc: true}), "Desc reverses ids as well")
	docs, err := s.List(t.Context(), s.ws, "thing", store.Query{Index: "by", Key: "k", Min: store.MaxScore})
	require.NoError(t, err)
	require.Equal(t, []store.Doc{{Kind: "thing", ID: "x", Version: 1, Value: []byte("v"), Index: []store.Index{at("by", "k", store.MaxScore)}}}, docs, "the largest scores are told apart")
}

func listBounds(t *testing.T, s *suite) {
	for _, score := range []int64{-2, -1, 0, 1, 2, 3} {
		s.commit(t, put("thing", fmt.Sprint(score), "", at("by", "k", score)))
	}
	for _, c := range []struct {
		name     string
		min, max int64
		want     []string
	}{
		{"no bounds leave negative scores out", 0, 0, []string{"0", "1", "2", "3"}},
		{"both bounds are inclusive", 1, 2, []string{"1", "2"}},
		{"one point", 2, 2, []string{"2"}},
		{"below zero", -1, 0, []string{"-1", "0", "1", "2", "3"}},
		{"negative upper bound", -9, -1, []string{"-2", "-1"}},
		{"empty when turned round", 3, 1, []string{}},
		{"far beyond", 4, 0, []string{}},
		{"the extremes", math.MinInt64, math.MaxInt64, []string{"-2", "-1", "0", "1", "2", "3"}},
		{"beyond every score", math.MaxInt64, math.MaxInt64, []string{}},
		{"below every score", math.MinInt64, math.MinInt64, []string{}},
	} {
		require.Equal(t, c.want, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Min: c.min, Max: c.max}), c.name)
	}
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "by", Key: "other"}))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "other", Key: "k"}))
	require.Empty(t, s.ids(t, "other", store.Query{Index: "by", Key: "k"}))
}

func listPages(t *testing.T, s *suite) {
	const count = 120
	var want []string
	var ops []store.Op
	for i := range count {
		id := fmt.Sprintf("id%03d", i)
		want = append(want, id)
		ops = append(ops, put("thing", id, "", at("by", "k", int64(i/7)))) // ties across pages
	}
	s.commit(t, ops...)
	require.Equal(t, want[:store.DefaultLimit], s.ids(t, "thing", store.Query{Index: "by", Key: "k"}), "without a limit")
	require.Equal(t, want, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Limit: store.MaxLimit}))
	for _, size := range []int{1, 7, 50} {
		var got []string
		for {
			page := s.ids(t, "thing", store.Query{Index: "by", Key: "k", Offset: len(got), Limit: size})
			got = append(got, page...)
			if len(page) < size {
				break
			}
		}
		require.Equal(t, want, got, "pages of %d", size)
	}
	require.Equal(t, []string{"id118", "id117"}, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Desc: true, Offset: 1, Limit: 2}))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "by", Key: "k", Offset: count}))
}
