package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		os.Exit(child(what))
	}
	goleak.VerifyTestMain(m)
}

func TestTheSuite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "cadreen.db")
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, path) })
}

func BenchmarkSQLite(b *testing.B) {
	storetest.Bench(b, open(b, filepath.Join(b.TempDir(), "cadreen.db")))
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	e := open(t, filepath.Join(folder, "cadreen.db"))
	require.NoError(t, e.Check(t.Context()))
	for _, name := range []string{folder, filepath.Dir(folder)} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), name)
	}
	for _, end := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(filepath.Join(folder, "cadreen.db"+end))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), end)
	}
}

func TestPathsWithCharactersThatMeanSomethingInAURI(t *testing.T) {
	for _, name := range []string{"a b.db", "a?mode=memory.db", "a#b.db", "a%41.db", "é.db", "a&b=c;d.db", "file:x.db"} {
		path := filepath.Join(t.TempDir(), name)
		e := open(t, path)
		require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}), name)
		require.NoError(t, e.Close())
		info, err := os.Stat(path)
		require.NoError(t, err, name)
		require.Positive(t, info.Size(), name)
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, entries, 1, "Close folds the WAL into the file and leaves nothing else")
	}
}

func TestARelativePathStaysWhereItWasOpened(t *testing.T) {
	t.Chdir(t.TempDir())
	e := open(t, "data/cadreen.db")
	t.Chdir(t.TempDir())
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
}

// TRAPS 90.
func TestSQLiteRunsInWALWithFullSyncAndABusyTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	// The writer keeps its one connection, so a second one of the same kind
	// tells how it was made.
	db, err := sql.Open("sqlite", writerDSN(path))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	setting := func(db *sql.DB, name string) (value string) {
		require.NoError(t, db.QueryRow("PRAGMA "+name).Scan(&value))
		return value
	}
	require.Equal(t, "wal", setting(db, "journal_mode"))
	require.Equal(t, "2", setting(db, "synchronous"), "2 is FULL")
	require.Equal(t, "5000", setting(db, "busy_timeout"))
	require.Equal(t, "wal", setting(e.read, "journal_mode"))
	require.Equal(t, "5000", setting(e.read, "busy_timeout"))
	require.Equal(t, "1", setting(e.read, "query_only"))
}

func TestWhatCannotBeOpenedIsUnavailable(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, []byte("this is no database, however long it may be: it has no header"), 0o600))
	newer := filepath.Join(folder, "newer.db")
	e := open(t, newer)
	require.NoError(t, e.Close())
	db, err := sql.Open("sqlite", newer)
	require.NoError(t, err)
	_, err = db.Exec(`PRAGMA user_version = 99`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	for name, path := range map[string]string{
		"empty path": "", "a folder": folder, "below a file": filepath.Join(file, "x.db"), "no database": file, "newer schema": newer,
	} {
		_, err := Open(t.Context(), path)
		require.ErrorIs(t, err, store.ErrUnavailable, name)
	}
	_, err = Open(t.Context(), newer)
	require.ErrorContains(t, err, "newer version")
}

func TestClockAndOffset(t *testing.T) {
	now := time.Date(2031, 2, 3, 4, 5, 6, 7890, time.FixedZone("", 3600))
	var offset time.Duration
	e := open(t, filepath.Join(t.TempDir(), "cadreen.db"),
		WithClock(func() time.Time { return now }), WithOffset(func() time.Duration { return offset }))
	want := time.Date(2031, 2, 3, 3, 5, 6, 7000, time.UTC)
	got, err := e.Now(t.Context())
	require.NoError(t, err)
	require.Equal(t, want, got, "UTC, whole microseconds")
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
	offset = -15 * time.Minute // read by the writer only after the next commit is handed over
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Equal(t, want, lines[0].At)
	require.Equal(t, want.Add(-15*time.Minute), lines[1].At)
}

// lock holds the file's write lock as another process would, so that commits
// pile up at the writer.
func lock(t *testing.T, path string) (release func()) {
	t.Helper()
	db, err := sql.Open("sqlite", writerDSN(path))
	require.NoError(t, err)
	tx, err := db.BeginTx(context.Background(), nil)
	require.NoError(t, err)
	return func() {
		require.NoError(t, tx.Rollback())
		require.NoError(t, db.Close())
	}
}

func TestAConflictDoesNotUndoItsNeighboursInTheBatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	release := lock(t, path)
	create := func(id string) store.Put {
		return store.Put{Doc: store.Doc{Kind: "thing", ID: id}, Create: true}
	}
	var jobs []*job
	for _, id := range []string{"first", "x", "x", "y", "y", "z"} {
		j := &job{workspace: "w", ops: []store.Op{store.Append{Log: "l", Value: []byte(id)}, create(id)}, done: make(chan error, 1)}
		jobs = append(jobs, j)
		e.writer.jobs <- j
	}
	release()
	require.Equal(t, []bool{true, true, false, true, false, true}, succeeded(t, jobs, store.ErrConflict))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 4)
	// However the six met the writer, they took fewer than six transactions.
	commits, err := e.hub.count(t.Context(), e.read, "w")
	require.NoError(t, err)
	require.Less(t, commits, int64(4))
}

// succeeded says which jobs did; the others failed by the given error.
func succeeded(t *testing.T, jobs []*job, failure error) []bool {
	var list []bool
	for _, j := range jobs {
		err := <-j.done
		if err != nil {
			require.ErrorIs(t, err, failure)
		}
		list = append(list, err == nil)
	}
	return list
}

func TestACommitThatCannotBeWrittenLeavesNothingAndItsNeighboursHappen(t *testing.T) {
	for _, way := range []string{"ABORT", "FAIL", "ROLLBACK"} {
		t.Run(way, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cadreen.db")
			e := open(t, path)
			refuse(t, path, way)
			release := lock(t, path)
			var jobs []*job
			for i, kind := range []string{"good", "poison", "good", "poison", "good", "good"} {
				// The document that is refused comes in the middle of what is written.
				j := &job{workspace: "w", done: make(chan error, 1), ops: []store.Op{
					store.Append{Log: "l", Value: []byte(kind)},
					store.Put{Doc: store.Doc{Kind: "thing", ID: fmt.Sprint(i / 5), Index: []store.Index{{Name: "by", Score: int64(i)}}}},
					store.Put{Doc: store.Doc{Kind: kind, ID: fmt.Sprint(i)}, Create: true},
					store.Append{Log: "l", Value: []byte(kind)}}}
				jobs = append(jobs, j)
				e.writer.jobs <- j
			}
			release()
			require.Equal(t, []bool{true, false, true, false, true, true}, succeeded(t, jobs, store.ErrUnavailable))
			lines, err := e.Read(t.Context(), "w", "l", 0, 0)
			require.NoError(t, err)
			require.Len(t, lines, 8)
			for _, line := range lines {
				require.Equal(t, "good", string(line.Value))
			}
			doc, err := e.Get(t.Context(), "w", "thing", "0")
			require.NoError(t, err)
			require.Equal(t, int64(3), doc.Version)
			docs, err := e.List(t.Context(), "w", "thing", store.Query{Index: "by"})
			require.NoError(t, err)
			require.Len(t, docs, 2)
			require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
		})
	}
}

// refuse makes SQLite refuse documents of the kind poison.
func refuse(t *testing.T, path, way string) {
	db, err := sql.Open("sqlite", writerDSN(path))
	require.NoError(t, err)
	_, err = db.Exec(`CREATE TRIGGER refused AFTER INSERT ON docs WHEN NEW.kind = 'poison' BEGIN SELECT RAISE(` + way + `, 'refused'); END`)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}

func TestAnEndedContextLeavesTheQueueAndNothingHappens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	release := lock(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 3)
	for i := range cap(answers) {
		go func() { answers <- e.Commit(ctx, "w", store.Append{Log: "l", Value: fmt.Append(nil, i)}) }()
	}
	cancel()
	for range cap(answers) {
		err := <-answers // comes while the lock is still held
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, store.ErrUnavailable)
	}
	release()
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l", Value: []byte("after")}))
	lines, err := e.Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 1)
}

func TestCloseAnswersThoseWhoWait(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	release := lock(t, path)
	answers := make(chan error, 8)
	for range cap(answers) {
		go func() { answers <- e.Commit(context.Background(), "w", store.Append{Log: "l"}) }()
	}
	closed := make(chan error, 1)
	go func() { closed <- e.Close() }()
	release()
	require.NoError(t, <-closed)
	done := 0
	for range cap(answers) {
		if err := <-answers; err == nil {
			done++
		} else {
			require.ErrorIs(t, err, store.ErrUnavailable)
		}
	}
	lines, err := open(t, path).Read(t.Context(), "w", "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, done, "what was answered with nil is there, what was refused is not")
}

func open(t testing.TB, path string, opts ...Option) *Engine {
	t.Helper()
	e, err := Open(t.Context(), path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}
