package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// schemas are the steps from an empty file to today's tables. How many of them
// a file has taken is kept in its user_version.
var schemas = []string{schema, expiry, numbered}

// A document's positions are kept twice: as rows of positions, which List
// walks, and packed in the document, so that reading a document and removing
// its rows need no second search.
const schema = `
CREATE TABLE workspaces (
	name    TEXT PRIMARY KEY,
	commits INTEGER NOT NULL -- grows with every transaction that wrote to it
) WITHOUT ROWID;
CREATE TABLE docs (
	n         INTEGER PRIMARY KEY,
	workspace TEXT NOT NULL,
	kind      TEXT NOT NULL,
	id        BLOB NOT NULL,
	version   INTEGER NOT NULL,
	positions BLOB NOT NULL,
	value     BLOB NOT NULL,
	UNIQUE (workspace, kind, id)
);
CREATE TABLE positions (
	workspace TEXT NOT NULL,
	kind      TEXT NOT NULL,
	name      TEXT NOT NULL,
	key       BLOB NOT NULL,
	score     INTEGER NOT NULL,
	id        BLOB NOT NULL,
	doc       INTEGER NOT NULL, -- docs.n
	PRIMARY KEY (workspace, kind, name, key, score, id)
) WITHOUT ROWID;
CREATE TABLE logs (
	workspace TEXT NOT NULL,
	log       TEXT NOT NULL,
	seq       INTEGER NOT NULL,
	at        INTEGER NOT NULL, -- unix microseconds
	value     BLOB NOT NULL,
	UNIQUE (workspace, log, seq)
);
CREATE TABLE probe (n INTEGER PRIMARY KEY, at INTEGER NOT NULL);
`

// Documents that expire: unix milliseconds, 0 for never. They stay in the file
// until later ones of their sort push them out.
const expiry = `
ALTER TABLE docs ADD COLUMN expires INTEGER NOT NULL DEFAULT 0;
CREATE INDEX docs_expires ON docs (expires) WHERE expires > 0;
`

// What the positions of a workspace, a kind and an index share stands once, as a
// number, and a document by its own: half the bytes, and as many fewer pages to
// write. The ids, by which equal scores are ordered, are those of the documents.
const numbered = `
CREATE TABLE lists (
	n         INTEGER PRIMARY KEY,
	workspace TEXT NOT NULL,
	kind      TEXT NOT NULL,
	name      TEXT NOT NULL,
	UNIQUE (workspace, kind, name)
);
INSERT INTO lists (workspace, kind, name) SELECT DISTINCT workspace, kind, name FROM positions;
CREATE TABLE numbered (
	list  INTEGER NOT NULL, -- lists.n
	key   BLOB NOT NULL,
	score INTEGER NOT NULL,
	doc   INTEGER NOT NULL, -- docs.n
	PRIMARY KEY (list, key, score, doc)
) WITHOUT ROWID;
INSERT INTO numbered SELECT l.n, p.key, p.score, p.doc FROM lists l CROSS JOIN positions p USING (workspace, kind, name) ORDER BY l.n;
DROP TABLE positions;
ALTER TABLE numbered RENAME TO positions;
`

// createFile makes the folder and an empty file, readable by the owner only.
// SQLite gives its -wal and -shm files the mode of the file.
func createFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("the path is empty")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

func writerDSN(path string) string {
	return dsn(path, url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
		// A WAL that grew once is cut back at the next checkpoint.
		// What SQLite keeps to undo half a statement is small and needs no file.
		"_pragma": {"journal_size_limit(67108864)", "temp_store(memory)"},
	})
}

func readerDSN(path string) string {
	return dsn(path, url.Values{"_query_only": {"1"}})
}

func dsn(path string, q url.Values) string {
	q.Set("_busy_timeout", strconv.Itoa(busyTimeout))
	q.Set("_dqs", "0")
	q.Set("_error_rc", "1")
	// mode=rw: a connection that is opened again later must not conjure up an
	// empty file where the data was.
	q.Set("mode", "rw")
	// EscapedPath hides the characters that mean something in a SQLite URI.
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// errShared says that a file of an earlier schema is in use.
var errShared = errors.New("another process has the file open, perhaps a server of an older version: it must end first")

// sharedWait is how long a file of an earlier schema is waited for.
var sharedWait = busyTimeout * time.Millisecond

// createSchema makes the tables of a new file, and brings a file of an earlier
// schema to today's. Several processes may do so at the same time. An older
// program that runs could write to the file no more: while one has it open, which a
// command of a newer version cannot know, it stays as it is.
func createSchema(ctx context.Context, open driver.Connector) error {
	for begun := time.Now(); ; {
		err := bringSchema(ctx, open)
		if !errors.Is(err, errShared) || time.Since(begun) >= sharedWait {
			return err
		}
		// Whoever else looks at the file at the same moment is in each other's way.
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10*time.Millisecond + rand.N(50*time.Millisecond)):
		}
	}
}

func bringSchema(ctx context.Context, open driver.Connector) (err error) {
	db := sql.OpenDB(open)
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	exec := func(texts ...string) error {
		for _, text := range texts {
			if _, err := conn.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}
	// A write transaction, so that the second of two finds the tables of the first.
	if err := exec(`BEGIN IMMEDIATE`); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) }() // an error when all is done
	version, err := schemaOf(ctx, conn)
	if err != nil || version == len(schemas) {
		return err
	}
	if version > 0 {
		if err := exec(`ROLLBACK`, `PRAGMA busy_timeout = 0`); err != nil {
			return err
		}
		if err := leaveWAL(ctx, conn); err != nil {
			return fmt.Errorf("the file has schema %d, this program %d: %w", version, len(schemas), err)
		}
		if err := exec(fmt.Sprintf(`PRAGMA busy_timeout = %d`, busyTimeout), `BEGIN EXCLUSIVE`); err != nil {
			return err
		}
		if version, err = schemaOf(ctx, conn); err != nil {
			return err
		}
	}
	return exec(slices.Concat(schemas[version:], []string{fmt.Sprintf(`PRAGMA user_version = %d`, len(schemas)), `COMMIT`, `PRAGMA journal_mode = WAL`})...)
}

// leaveWAL takes a file out of WAL, which only who is alone with it can.
func leaveWAL(ctx context.Context, conn *sql.Conn) error {
	var mode string
	err := conn.QueryRowContext(ctx, `PRAGMA journal_mode = DELETE`).Scan(&mode)
	var refused *modernc.Error
	switch {
	case err == nil && mode != "delete", errors.As(err, &refused) && refused.Code()&0xff == sqlite3.SQLITE_BUSY:
		return errShared
	}
	return err
}

// schemaOf is how many of the steps a file has taken.
func schemaOf(ctx context.Context, conn *sql.Conn) (version int, err error) {
	if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
		return 0, err
	}
	if version < 0 || version > len(schemas) {
		return 0, fmt.Errorf("the file has schema %d, this program knows %d: it was written by a newer version", version, len(schemas))
	}
	return version, nil
}
