package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/store"
)

// A file of an earlier schema is brought to today's when it is opened, and what is
// in it is listed, replaced and deleted like what was written today.
func TestFilesOfEarlierSchemas(t *testing.T) {
	for version := 1; version < len(schemas); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			path := earlier(t, version)
			var e *Engine
			for range 2 {
				e = open(t, path)
				require.Equal(t, "b10 a20 c20 d30", listed(t, e, "w", "thing", "by", "k"))
				require.Equal(t, "d30 c20 a20 b10", listed(t, e, "w", "thing", "by", "k", store.Query{Desc: true}))
				require.Equal(t, "c20", listed(t, e, "w", "thing", "by", "k", store.Query{Offset: 2, Limit: 1}))
				require.Equal(t, "a5", listed(t, e, "w", "thing", "in", ""))
				require.Equal(t, "a1", listed(t, e, "w", "other", "by", "k"))
				require.Equal(t, "a2", listed(t, e, "v", "thing", "by", "k"))
				doc, err := e.Get(t.Context(), "w", "thing", "a")
				require.NoError(t, err)
				require.Equal(t, store.Doc{Kind: "thing", ID: "a", Version: 3, Value: []byte("old"),
					Index: []store.Index{{Name: "by", Key: "k", Score: 20}, {Name: "in", Score: 5}}}, doc)
				require.NoError(t, e.Close())
			}
			e = open(t, path)
			require.NoError(t, e.Commit(t.Context(), "w",
				store.Put{Doc: store.Doc{Kind: "thing", ID: "a", Index: []store.Index{{Name: "by", Key: "k", Score: 40}, {Name: "new", Score: 1}}}, IfVersion: 3},
				store.Delete{Kind: "thing", ID: "b"}))
			require.Equal(t, "c20 d30 a40", listed(t, e, "w", "thing", "by", "k"))
			require.Empty(t, listed(t, e, "w", "thing", "in", ""))
			require.Equal(t, "a1", listed(t, e, "w", "thing", "new", ""))
			require.Equal(t, "a1", listed(t, e, "w", "other", "by", "k"))
		})
	}
}

// earlier is a file as a program of that schema left it.
func earlier(t *testing.T, version int) string {
	path, err := createFile(filepath.Join(t.TempDir(), "cadreen.db"))
	require.NoError(t, err)
	db, err := sql.Open("sqlite", writerDSN(path))
	require.NoError(t, err)
	exec := func(text string, args ...any) {
		_, err := db.Exec(text, args...)
		require.NoError(t, err, text)
	}
	for _, step := range schemas[:version] {
		exec(step)
	}
	exec(fmt.Sprintf(`PRAGMA user_version = %d`, version))
	n := 0
	for _, d := range []struct {
		workspace, kind, id string
		index               []store.Index
	}{
		{"w", "thing", "d", []store.Index{{Name: "by", Key: "k", Score: 30}}},
		{"w", "thing", "c", []store.Index{{Name: "by", Key: "k", Score: 20}}}, // later than a, but stored before it
		{"w", "thing", "a", []store.Index{{Name: "by", Key: "k", Score: 20}, {Name: "in", Score: 5}}},
		{"w", "thing", "b", []store.Index{{Name: "by", Key: "k", Score: 10}}},
		{"w", "other", "a", []store.Index{{Name: "by", Key: "k", Score: 1}}},
		{"v", "thing", "a", []store.Index{{Name: "by", Key: "k", Score: 2}}},
		{"v", "thing", "x", nil},
	} {
		n++
		exec(`INSERT INTO docs (n, workspace, kind, id, version, positions, value) VALUES (?, ?, ?, ?, 3, ?, CAST('old' AS BLOB))`,
			n, d.workspace, d.kind, []byte(d.id), pack(d.index))
		for _, x := range d.index {
			exec(`INSERT INTO positions (workspace, kind, name, key, score, id, doc) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				d.workspace, d.kind, x.Name, []byte(x.Key), x.Score, []byte(d.id), n)
		}
	}
	require.NoError(t, db.Close())
	return path
}

// A command of a newer version that is run beside an older server leaves it working:
// the file is brought to today's schema when nobody else has it open.
func TestAFileThatAnOlderServerHasOpenStaysAsItIs(t *testing.T) {
	wait := sharedWait
	sharedWait = 0
	t.Cleanup(func() { sharedWait = wait })
	for version := 1; version < len(schemas); version++ {
		path := earlier(t, version)
		older, err := sql.Open("sqlite", writerDSN(path))
		require.NoError(t, err)
		var n int
		require.NoError(t, older.QueryRow(`SELECT count(*) FROM positions`).Scan(&n))
		_, err = Open(t.Context(), path)
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "another process has the file open")
		_, err = older.Exec(`INSERT INTO positions (workspace, kind, name, key, score, id, doc) VALUES ('w', 'thing', 'later', x'', 7, CAST('d' AS BLOB), 1)`)
		require.NoError(t, err, "the older program writes as ever")
		require.NoError(t, older.Close())
		require.Equal(t, "d30", listed(t, open(t, path), "w", "thing", "by", "k", store.Query{Min: 30}))
	}
}

func TestSeveralOpenAFileOfAnEarlierSchemaAtTheSameTime(t *testing.T) {
	for range 5 {
		path := earlier(t, len(schemas)-1)
		var all sync.WaitGroup
		engines, failed := make([]*Engine, 6), make([]error, 6)
		for i := range engines {
			all.Go(func() { engines[i], failed[i] = Open(context.Background(), path) })
		}
		all.Wait()
		for i, e := range engines {
			require.NoError(t, failed[i])
			require.Equal(t, "b10 a20 c20 d30", listed(t, e, "w", "thing", "by", "k"))
			require.NoError(t, e.Close())
		}
	}
}

// listed are the ids of a list with their scores in it.
func listed(t *testing.T, e *Engine, workspace, kind, name, key string, more ...store.Query) string {
	var q store.Query
	for _, m := range more {
		q = m
	}
	q.Index, q.Key = name, key
	docs, err := e.List(t.Context(), workspace, kind, q)
	require.NoError(t, err)
	var said []string
	for _, d := range docs {
		for _, x := range d.Index {
			if x.Name == name && x.Key == key {
				said = append(said, fmt.Sprint(d.ID, x.Score))
			}
		}
	}
	return strings.Join(said, " ")
}

// A list is read in the order of its scores: what is sorted is only what has equal
// ones, however long the list is.
func TestAListIsNotSortedAsAWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cadreen.db")
	e := open(t, path)
	for _, order := range []string{ascending, descending} {
		rows, err := e.read.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+listText+order, "w", "thing", "by", []byte("k"), 0, 1, 10, 0)
		require.NoError(t, err)
		var plan []string
		require.NoError(t, each(rows, func() error {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		}))
		require.Contains(t, plan, "SEARCH p USING PRIMARY KEY (list=? AND key=? AND score>? AND score<?)")
		require.Contains(t, plan, "USE TEMP B-TREE FOR LAST TERM OF ORDER BY")
	}
}
