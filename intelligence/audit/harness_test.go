package audit

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"cadreen/store"
	redisstore "cadreen/store/redis"
	"cadreen/store/sqlite"
	"cadreen/store/storetest"
)

const (
	records = "records"
	shop    = "shop"
)

// place where a store is, as the program and as somebody with an editor sees it.
type stored struct {
	open func(t *testing.T) store.Engine
	// rewrite gives the entries of a log to fn and writes what it answers in their
	// place, past the engine.
	rewrite func(t *testing.T, workspace, log string, fn func([]store.Entry) []store.Entry)
	offset  *atomic.Int64
}

func onBothStores(t *testing.T, test func(t *testing.T, s stored)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.db")
		offset := &atomic.Int64{}
		test(t, stored{offset: offset, open: func(t *testing.T) store.Engine {
			e, err := sqlite.Open(t.Context(), path, sqlite.WithOffset(func() time.Duration { return time.Duration(offset.Load()) }))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			return e
		}, rewrite: func(t *testing.T, workspace, log string, fn func([]store.Entry) []store.Entry) {
			db, err := sql.Open("sqlite", path)
			require.NoError(t, err)
			defer db.Close()
			rows, err := db.Query(`SELECT seq, at, value FROM logs WHERE workspace = ? AND log = ? ORDER BY seq`, workspace, log)
			require.NoError(t, err)
			var list []store.Entry
			for rows.Next() {
				var e store.Entry
				var at int64
				require.NoError(t, rows.Scan(&e.Seq, &at, &e.Value))
				e.At = time.UnixMicro(at).UTC()
				list = append(list, e)
			}
			require.NoError(t, rows.Close())
			_, err = db.Exec(`DELETE FROM logs WHERE workspace = ? AND log = ?`, workspace, log)
			require.NoError(t, err)
			for _, e := range fn(list) {
				_, err = db.Exec(`INSERT INTO logs (workspace, log, seq, at, value) VALUES (?, ?, ?, ?, ?)`, workspace, log, e.Seq, e.At.UnixMicro(), e.Value)
				require.NoError(t, err)
			}
		}})
	})
	t.Run("redis", func(t *testing.T) {
		addr := storetest.RedisServer(t)
		offset := &atomic.Int64{}
		test(t, stored{offset: offset, open: func(t *testing.T) store.Engine {
			e, err := redisstore.Open(t.Context(), "redis://"+addr, redisstore.WithOffset(func() time.Duration { return time.Duration(offset.Load()) }))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, e.Close()) })
			return e
		}, rewrite: func(t *testing.T, workspace, log string, fn func([]store.Entry) []store.Entry) {
			ctx := context.Background()
			c := redis.NewClient(&redis.Options{Addr: addr})
			defer c.Close()
			key := "cadreen:{" + workspace + "}:l:" + log
			lines, err := c.XRange(ctx, key, "-", "+").Result()
			require.NoError(t, err)
			var list []store.Entry
			for _, l := range lines {
				number, _, _ := strings.Cut(l.ID, "-")
				seq, err := strconv.ParseInt(number, 10, 64)
				require.NoError(t, err)
				micros, err := strconv.ParseInt(l.Values["t"].(string), 10, 64)
				require.NoError(t, err)
				list = append(list, store.Entry{Seq: seq, At: time.UnixMicro(micros).UTC(), Value: []byte(l.Values["d"].(string))})
			}
			require.NoError(t, c.Del(ctx, key).Err())
			for _, e := range fn(list) {
				require.NoError(t, c.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: fmt.Sprintf("%d-0", e.Seq),
					Values: []any{"t", e.At.UnixMicro(), "d", e.Value}}).Err())
			}
		}})
	})
}

// writer is a process on the store: what it commits, it seals when it is told to.
type process struct {
	*Writer
	*Log
	engine store.Engine
}

func begin(t *testing.T, e store.Engine, o Options) *process {
	o.Engine, o.Records = e, records
	w := New(o)
	return &process{Writer: w, Log: NewLog(e, records, w), engine: w.Engine()}
}

// does commits records and seals them.
func (p *process) does(t *testing.T, values ...string) {
	t.Helper()
	p.commits(t, shop, values...)
	require.NoError(t, p.Seal(t.Context(), shop))
}

func (p *process) commits(t *testing.T, workspace string, values ...string) {
	t.Helper()
	var ops []store.Op
	for _, v := range values {
		ops = append(ops, store.Append{Log: records, Value: []byte(v)})
	}
	require.NoError(t, p.engine.Commit(t.Context(), workspace, ops...))
}

// event is a record of some execution.
func event(id, event, trace, hold string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"event":%q,"workspace":"shop","conversation":"c1","trace_id":%q,"hold":%q%s}`, id, event, trace, hold, strings.Join(more, ""))
}

func (p *process) check(t *testing.T, heads ...Head) Report {
	t.Helper()
	r, err := p.Verify(t.Context(), shop, heads...)
	require.NoError(t, err)
	return r
}
