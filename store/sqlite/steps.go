package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cadreen/store"
)

var errForeign = errors.New("a row holds what this program did not write")

// steps are the writer's prepared statements on its one connection. OR FAIL saves
// SQLite keeping what it would take to undo half a statement: one that fails ends
// its transaction.
//
// They speak to the driver itself: what database/sql adds (a pool, retries,
// conversions of every value) is of no use on one connection of one goroutine.
type steps struct {
	conn driver.Conn
	all  []driver.Stmt
	args []driver.NamedValue // of the statement that runs
	row  [3]driver.Value     // that it answered

	begin, commit                       statement
	probe, touched                      statement
	find, insert, update, remove, purge statement
	unplace                             statement
	place                               [mostPlaces]statement // of so many positions and one
	list, enlist                        statement
	add, trim                           statement

	lists map[list]int64 // numbers of lists that were asked for
}

// list is what positions share.
type list struct{ workspace, kind, name string }

// mostLists is how many numbers of lists are remembered.
const mostLists = 1 << 16

type statement interface {
	driver.StmtExecContext
	driver.StmtQueryContext
}

// planned is one op with what the check found about its document. One that has
// expired has version 0: its row is there, the document is not.
type planned struct {
	op      store.Op
	n       int64 // docs.n, 0 when there is no row
	version int64
	packed  []byte
}

func prepare(ctx context.Context, connector driver.Connector) (*steps, error) {
	conn, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &steps{conn: conn, lists: map[list]int64{}}
	for _, p := range []struct {
		into *statement
		text string
	}{
		{&s.begin, `BEGIN IMMEDIATE`},
		{&s.commit, `COMMIT`},
		{&s.probe, `INSERT INTO probe (n, at) VALUES (1, ?) ON CONFLICT DO UPDATE SET at = excluded.at`},
		{&s.touched, `INSERT OR FAIL INTO workspaces (name, commits) VALUES (?, 1) ON CONFLICT DO UPDATE SET commits = commits + 1 RETURNING commits`},
		{&s.find, `SELECT n, iif(expires = 0 OR expires > ?, version, 0), positions FROM docs WHERE workspace = ? AND kind = ? AND id = ?`},
		{&s.insert, `INSERT INTO docs (workspace, kind, id, version, positions, value, expires) VALUES (?, ?, ?, 1, ?, ?, ?)`},
		{&s.update, `UPDATE docs SET version = ?, positions = ?, value = ?, expires = ? WHERE n = ?`},
		{&s.remove, `DELETE FROM docs WHERE n = ?`},
		{&s.purge, `DELETE FROM docs WHERE n IN (SELECT n FROM docs WHERE expires > 0 AND expires <= ? ORDER BY expires LIMIT 4)`},
		{&s.unplace, `DELETE FROM positions WHERE list = ? AND key = ? AND score = ? AND doc = ?`},
		{&s.list, `SELECT n FROM lists WHERE workspace = ? AND kind = ? AND name = ?`},
		{&s.enlist, `INSERT INTO lists (workspace, kind, name) VALUES (?, ?, ?)`},
		{&s.add, `INSERT INTO logs (workspace, log, at, value, seq) VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(seq), 0) + 1 FROM logs WHERE workspace = ?1 AND log = ?2))`},
		{&s.trim, `DELETE FROM logs WHERE workspace = ?1 AND log = ?2 AND seq <= ?3 AND seq < (SELECT max(seq) FROM logs WHERE workspace = ?1 AND log = ?2)`},
	} {
		if err := s.prepare(p.into, p.text); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	text := `INSERT OR FAIL INTO positions (doc, list, key, score) VALUES (?1, ?, ?, ?)`
	for i := range s.place {
		if err := s.prepare(&s.place[i], text); err != nil {
			return nil, errors.Join(err, s.close())
		}
		text += `, (?1, ?, ?, ?)`
	}
	return s, nil
}

// mostPlaces is how many positions one statement writes.
const mostPlaces = 8

func (s *steps) prepare(into *statement, text string) error {
	stmt, err := s.conn.Prepare(text)
	if err != nil {
		return err
	}
	s.all = append(s.all, stmt)
	var ok bool
	if *into, ok = stmt.(statement); !ok {
		return fmt.Errorf("the driver's statements are %T", stmt)
	}
	return nil
}

// close closes the connection; what is open on it is rolled back. One statement
// left open would keep the file open.
func (s *steps) close() error {
	var err error
	for _, stmt := range s.all {
		err = errors.Join(err, stmt.Close())
	}
	return errors.Join(err, s.conn.Close())
}

func (s *steps) exec(stmt statement, args ...driver.Value) error {
	_, err := s.run(stmt, args...)
	return err
}

func (s *steps) run(stmt statement, args ...driver.Value) (driver.Result, error) {
	s.bind(args)
	defer clear(s.args)
	return stmt.ExecContext(context.Background(), s.args)
}

// first answers the first row of so many columns, which is good until the next
// statement; ok is false where there is none.
func (s *steps) first(stmt statement, columns int, args ...driver.Value) (row []driver.Value, ok bool, err error) {
	s.bind(args)
	defer clear(s.args)
	rows, err := stmt.QueryContext(context.Background(), s.args)
	if err != nil {
		return nil, false, err
	}
	row = s.row[:columns]
	err = rows.Next(row)
	ok = err == nil
	if err == io.EOF {
		err = nil
	}
	return row, ok, errors.Join(err, rows.Close())
}

// bind keeps the arguments where they are used again: the driver copies what they
// hold before it returns.
func (s *steps) bind(args []driver.Value) {
	s.args = s.args[:0]
	for i, v := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
}

// check finds the documents and holds the conditions against them. It writes
// nothing, so a conflict leaves nothing to undo.
func (s *steps) check(workspace string, ops []store.Op, now time.Time) ([]planned, error) {
	plan := make([]planned, len(ops))
	for i, op := range ops {
		p := &plan[i]
		p.op = op
		var kind, id string
		var create bool
		var version int64
		switch op := op.(type) {
		case store.Put:
			kind, id, create, version = op.Doc.Kind, op.Doc.ID, op.Create, op.IfVersion
		case store.Delete:
			kind, id, version = op.Kind, op.ID, op.IfVersion
		default:
			continue
		}
		row, ok, err := s.first(s.find, 3, now.UnixMilli(), workspace, kind, []byte(id))
		if err != nil {
			return nil, err
		}
		if ok {
			var ok1, ok2 bool
			p.n, ok1 = row[0].(int64)
			p.version, ok2 = row[1].(int64)
			if !ok1 || !ok2 {
				return nil, errForeign
			}
			p.packed, _ = row[2].([]byte)
		}
		if create && p.version != 0 {
			return nil, conflict(kind, id, "exists")
		}
		if version > 0 && p.version != version {
			return nil, conflict(kind, id, fmt.Sprintf("has version %d, not %d", p.version, version))
		}
	}
	return plan, nil
}

// write does the ops. One that leaves a document with a TTL behind also takes a
// few expired ones away, so that they do not gather; it does so at the end,
// because the plan may build on the row of one.
func (s *steps) write(workspace string, plan []planned, now time.Time) error {
	purge := false
	for i := range plan {
		var err error
		switch op := plan[i].op.(type) {
		case store.Put:
			purge = purge || op.TTL > 0
			err = s.put(workspace, op.Doc, expires(op.TTL, now), &plan[i])
		case store.Delete:
			err = s.delete(workspace, op, &plan[i])
		case store.Append:
			err = s.append(workspace, op, now)
		case store.Trim:
			err = s.exec(s.trim, workspace, op.Log, op.Through)
		}
		if err != nil {
			return err
		}
	}
	if purge {
		return s.exec(s.purge, now.UnixMilli())
	}
	return nil
}

// expires is the end of a TTL in unix milliseconds, 0 for none.
func expires(ttl time.Duration, now time.Time) int64 {
	if ttl == 0 {
		return 0
	}
	return now.UnixMilli() + store.Milliseconds(ttl)
}

func (s *steps) put(workspace string, doc store.Doc, expires int64, p *planned) error {
	sorted := store.SortedIndex(doc.Index)
	packed := pack(sorted)
	if p.n == 0 {
		res, err := s.run(s.insert, workspace, doc.Kind, []byte(doc.ID), packed, bytesOf(doc.Value), expires)
		if err != nil {
			return err
		}
		if p.n, err = res.LastInsertId(); err != nil {
			return err
		}
	} else if err := s.exec(s.update, p.version+1, packed, bytesOf(doc.Value), expires, p.n); err != nil {
		return err
	}
	if string(packed) == string(p.packed) {
		return nil
	}
	if err := s.unplaceAll(workspace, doc.Kind, p); err != nil {
		return err
	}
	for some := range slices.Chunk(sorted, mostPlaces) {
		args := append(make([]driver.Value, 0, 1+3*mostPlaces), p.n)
		for _, x := range some {
			n, err := s.listOf(workspace, doc.Kind, x.Name)
			if err != nil {
				return err
			}
			args = append(args, n, []byte(x.Key), x.Score)
		}
		if err := s.exec(s.place[len(some)-1], args...); err != nil {
			return err
		}
	}
	return nil
}

func (s *steps) delete(workspace string, op store.Delete, p *planned) error {
	if p.n == 0 {
		return nil
	}
	if err := s.unplaceAll(workspace, op.Kind, p); err != nil {
		return err
	}
	return s.exec(s.remove, p.n)
}

func (s *steps) unplaceAll(workspace, kind string, p *planned) error {
	old, err := unpack(p.packed)
	if err != nil {
		return err
	}
	for _, x := range old {
		n, err := s.listOf(workspace, kind, x.Name)
		if err != nil {
			return err
		}
		if err := s.exec(s.unplace, n, []byte(x.Key), x.Score, p.n); err != nil {
			return err
		}
	}
	return nil
}

// listOf is the number of a list, which it is given here where it has none. A
// number that is remembered is true: lists are never taken away, and a transaction
// that fails takes the connection, and what is remembered, with it.
func (s *steps) listOf(workspace, kind, name string) (int64, error) {
	of := list{workspace, kind, name}
	if n, known := s.lists[of]; known {
		return n, nil
	}
	row, ok, err := s.first(s.list, 1, workspace, kind, name)
	if err != nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	if !ok {
		res, err := s.run(s.enlist, workspace, kind, name)
		if err != nil {
			return 0, err
		}
		if n, err = res.LastInsertId(); err != nil {
			return 0, err
		}
	}
	if len(s.lists) >= mostLists {
		clear(s.lists)
	}
	s.lists[of] = n
	return n, nil
}

func (s *steps) append(workspace string, op store.Append, now time.Time) error {
	return s.exec(s.add, workspace, op.Log, now.UnixMicro(), bytesOf(op.Value))
}

// touch counts a transaction against a workspace; Watch of another process
// sees by the count which workspaces have changed.
func (s *steps) touch(workspace string) (commits int64, err error) {
	row, ok, err := s.first(s.touched, 1, workspace)
	if err != nil {
		return 0, err
	}
	if commits, there := row[0].(int64); ok && there {
		return commits, nil
	}
	return 0, errForeign
}

// bytesOf keeps a nil value from becoming NULL.
func bytesOf(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}
