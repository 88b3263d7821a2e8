package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// Rows of expired documents do not gather: each new one takes up to four away.
func TestExpiredDocumentsLeaveTheFile(t *testing.T) {
	var offset time.Duration
	e := open(t, filepath.Join(t.TempDir(), "cadreen.db"), WithOffset(func() time.Duration { return offset }))
	expiring := func(id string, ttl time.Duration) store.Put {
		return store.Put{Doc: store.Doc{Kind: "thing", ID: id, Value: []byte("x")}, TTL: ttl}
	}
	rows := func() (n int) {
		require.NoError(t, e.read.QueryRow(`SELECT count(*) FROM docs`).Scan(&n))
		return n
	}
	for i := range 7 {
		require.NoError(t, e.Commit(t.Context(), "w", expiring(fmt.Sprint(i), time.Minute)))
	}
	require.NoError(t, e.Commit(t.Context(), "w", expiring("later", time.Hour), store.Put{Doc: store.Doc{Kind: "thing", ID: "ever"}}))
	require.Equal(t, 9, rows())

	offset = time.Minute
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
	require.Equal(t, 9, rows(), "what does not expire clears nothing away")
	// The commit builds on the row of an expired document while it clears.
	require.NoError(t, e.Commit(t.Context(), "w", expiring("new", time.Hour), store.Put{Create: true, Doc: store.Doc{Kind: "thing", ID: "0", Value: []byte("anew")}}))
	require.Equal(t, 6, rows())
	require.NoError(t, e.Commit(t.Context(), "w", expiring("newer", time.Hour)))
	require.Equal(t, 5, rows())
	for id, value := range map[string]string{"0": "anew", "later": "x", "new": "x", "newer": "x", "ever": ""} {
		doc, err := e.Get(t.Context(), "w", "thing", id)
		require.NoError(t, err, id)
		require.Equal(t, value, string(doc.Value))
	}
}
