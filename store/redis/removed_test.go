package redis

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

// Somebody takes the last entry of a log away by hand: what follows leaves the gap,
// and commits go on whole.
func TestALogWhoseEndWasRemovedGoesOn(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	line := store.Append{Log: "l", Value: []byte("x")}
	require.NoError(t, e.Commit(t.Context(), "w", line, line, line))
	require.NoError(t, e.client.XDel(t.Context(), logKey("w", "l"), "3-0").Err())
	require.NoError(t, e.Commit(t.Context(), "w", line, store.Put{Doc: store.Doc{Kind: "thing", ID: "a"}}, line))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	var numbers []int64
	for _, l := range lines {
		numbers = append(numbers, l.Seq)
	}
	require.Equal(t, []int64{1, 2, 4, 5}, numbers)
	_, err = e.Get(t.Context(), "w", "thing", "a")
	require.NoError(t, err)
}
