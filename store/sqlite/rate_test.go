package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestRates(t *testing.T) {
	storetest.RunLimiter(t, func(t *testing.T, offset func() time.Duration) [2]store.Limiter {
		e, err := Open(t.Context(), filepath.Join(t.TempDir(), "a.db"), WithOffset(offset))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, e.Close()) })
		return [2]store.Limiter{e, e}
	})
}
