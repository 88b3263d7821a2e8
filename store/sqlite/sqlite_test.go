package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestTheSuite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "cadreen.db")
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, path) })
}

func open(t testing.TB, path string, opts ...Option) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}
