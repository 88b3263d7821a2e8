package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// soon is a TTL that a test can wait for.
const soon = 20 * time.Millisecond

func expiring(id, value string, ttl time.Duration) store.Put {
	p := put("thing", id, value)
	p.TTL = ttl
	return p
}

// gone asks until a document has expired. The limit is no measure: it makes a
// document that stays fail the test instead of hanging it.
func (s *suite) gone(t *testing.T, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, err := s.Get(ctx, s.ws, "thing", id)
		if errors.Is(err, store.ErrNotFound) {
			return
		}
		require.NoError(t, err)
	}
}

func expiryEnds(t *testing.T, s *suite) {
	ctx := t.Context()
	s.commit(t, expiring("a", "one", soon), expiring("b", "stays", time.Hour), expiring("c", "one", soon), expiring("d", "one", 1))
	for _, id := range []string{"a", "c", "d"} {
		s.gone(t, id)
	}
	doc, err := s.Get(ctx, s.ws, "thing", "b")
	require.NoError(t, err)
	require.Equal(t, store.Doc{Kind: "thing", ID: "b", Version: 1, Value: []byte("stays")}, doc)

	// For conditions it does not exist either.
	require.ErrorIs(t, s.Commit(ctx, s.ws, store.Put{Doc: put("thing", "a", "x").Doc, IfVersion: 1}), store.ErrConflict)
	require.ErrorIs(t, s.Commit(ctx, s.ws, store.Delete{Kind: "thing", ID: "a", IfVersion: 1}), store.ErrConflict)
	s.commit(t, store.Delete{Kind: "thing", ID: "c"},
		store.Put{Create: true, Doc: put("thing", "a", "two", at("by", "k", 7)).Doc}, expiring("e", "", time.Hour))
	docs, err := s.List(ctx, s.ws, "thing", store.Query{Index: "by", Key: "k"})
	require.NoError(t, err)
	require.Equal(t, []store.Doc{{Kind: "thing", ID: "a", Version: 1, Value: []byte("two"), Index: []store.Index{at("by", "k", 7)}}}, docs)
}

// expiryReplaced uses the end of a later TTL as its clock: when that has passed,
// an earlier one of the same length has passed as well.
func expiryReplaced(t *testing.T, s *suite) {
	s.commit(t, put("thing", "shortened", "", at("by", "k", 1)), expiring("kept", "", soon), expiring("longer", "", soon))
	s.commit(t, put("thing", "kept", "now for good"), expiring("longer", "", time.Hour))
	s.commit(t, expiring("shortened", "", soon))
	require.Empty(t, s.ids(t, "thing", store.Query{Index: "by", Key: "k"}))
	s.gone(t, "shortened")
	for _, id := range []string{"kept", "longer"} {
		_, err := s.Get(t.Context(), s.ws, "thing", id)
		require.NoError(t, err, id)
	}
}
