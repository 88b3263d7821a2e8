//go:build unix

package sqlite

import (
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// A limit on the size of files is what a full disk looks like to SQLite: the
// write comes back short.
func TestAFullDiskIsUnavailableAndHeals(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	e := open(t, filepath.Join(t.TempDir(), "cadreen.db"))
	small := func(id string) store.Op { return store.Put{Doc: store.Doc{Kind: "thing", ID: id}, Create: true} }
	large := store.Put{Doc: store.Doc{Kind: "thing", ID: "large", Value: make([]byte, 4<<20)}}
	require.NoError(t, e.Commit(t.Context(), "w", small("before")))

	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	full := was
	full.Cur = 1 << 20
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full))
	defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)) }()

	var all sync.WaitGroup
	answers := make(chan error, 8)
	for range cap(answers) {
		all.Go(func() { answers <- e.Commit(t.Context(), "w", large, store.Append{Log: "l"}) })
	}
	all.Wait()
	for range cap(answers) {
		require.ErrorIs(t, <-answers, store.ErrUnavailable)
	}
	_, err := e.Get(t.Context(), "w", "thing", "before")
	require.NoError(t, err, "reading goes on")
	_, err = e.Get(t.Context(), "w", "thing", "large")
	require.ErrorIs(t, err, store.ErrNotFound)

	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
	require.NoError(t, e.Check(t.Context()))
	require.NoError(t, e.Commit(t.Context(), "w", large, small("after"), store.Append{Log: "l"}))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
}

func TestCheckNoticesAFullDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	e := open(t, filepath.Join(t.TempDir(), "cadreen.db"))
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	full := was
	full.Cur = 512
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &full))
	defer func() { require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was)) }()
	require.ErrorIs(t, e.Check(t.Context()), store.ErrUnavailable)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was))
	require.NoError(t, e.Check(t.Context()))
}
