// Package redis is the store engine beyond one machine: Redis or Valkey, single,
// with Sentinel, or as a Cluster (which needs Redis 7.0 or Valkey, for sharded
// pub/sub). A Commit is one Lua script; every key of a workspace carries the
// hash tag {workspace}, so a workspace is one slot.
//
// What lives here: everything that knows Redis. What does not: what the
// documents mean, and the contract itself, which is store.Engine.
//
// Commit is as durable as Redis is told to be: Durability reads what doctor
// judges. Replication is asynchronous, so a failover may lose the last commits;
// min-replicas-to-write bounds that on the server.
//
// Keys, all persistent but the token, the rates, the probe and documents with a TTL:
//
//	cadreen:{workspace}:d:kind:id         hash, a document
//	cadreen:{workspace}:i:kind:name:key   sorted set, document ids by score
//	cadreen:{workspace}:l:log             stream, ids 1-0, 2-0, 3-0 …
//	cadreen:{workspace}:t:token           a Commit that was done, for a minute
//	cadreen:{workspace}:r:name:key        a rate, until its burst is whole again
//	cadreen:{workspace}:w                 channel of Watch, not a key
//	cadreen:workspaces                    set of workspace names
//	cadreen:{probe-n}                     what Check writes
//
// The scripts reach two sorts of keys that they cannot declare: the positions
// that a replaced document leaves, and the documents that an index names. They
// lie in the slot of the declared keys, which is what Cluster asks for; a
// service that shards by anything finer is not supported.
package redis

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"cadreen/store"
)

var (
	//go:embed commit.lua
	commitText string
	//go:embed list.lua
	listText string

	commitScript = redis.NewScript(commitText)
	listScript   = redis.NewScript(listText)
	// timeScript is for a Cluster: its key leads to the same node every time.
	timeScript = redis.NewScript(`return redis.call('TIME')`)
)

var errClosed = errors.New("the engine is closed")

// Engine is a store.Engine on Redis.
type Engine struct {
	client  redis.UniversalClient
	cluster *redis.ClusterClient // nil unless it is a Cluster
	publish string
	offset  func() time.Duration
	keep    string // a token's life in milliseconds

	token string // random, of this engine
	sent  atomic.Uint64
	known sync.Map // workspaces that are surely in the set

	group     *group // nil on a Cluster
	hub       *hub
	closed    atomic.Bool
	closeOnce sync.Once
	closeErr  error
}

var _ store.Engine = (*Engine)(nil)

// Option changes how an engine is opened.
type Option func(*Engine)

// WithOffset adds a duration to the clock of Redis, for tests that move time.
// It is called from several goroutines at the same time. TTLs run by the clock
// of Redis itself, which no offset moves.
func WithOffset(offset func() time.Duration) Option {
	return func(e *Engine) { e.offset = offset }
}

// Open connects to one of
//
//	redis://[user:password@]host[:port][/db]
//	rediss://…                                  the same over TLS
//	redis+cluster://[user:password@]h1,h2
//	redis+sentinel://[user:password@]master@h1,h2[/db]
//
// User and password are percent-encoded. Parameters: tls=true, tls_ca=FILE (PEM,
// instead of the system's authorities), pool_size=N (per node), dial_timeout
// and read_timeout (such as 3s, at most 30s), and for Sentinel
// sentinel_username and sentinel_password. A mistake in the address wraps
// store.ErrInvalid and never quotes the password; a server that does not answer
// wraps store.ErrUnavailable.
func Open(ctx context.Context, url string, opts ...Option) (*Engine, error) {
	o, err := parse(url)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		client:  redis.NewUniversalClient(o),
		publish: "PUBLISH",
		offset:  func() time.Duration { return 0 },
		keep:    strconv.FormatInt(tokenLife(o).Milliseconds(), 10),
		token:   rand.Text(),
	}
	if cluster, ok := e.client.(*redis.ClusterClient); ok {
		e.cluster, e.publish = cluster, "SPUBLISH"
	}
	for _, opt := range opts {
		opt(e)
	}
	e.hub = newHub(e.subscribe)
	if e.cluster == nil {
		e.group = newGroup(e.client)
	}
	if _, err := e.Now(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Now is the clock of the node that holds the system workspace, plus the
// offset, in microseconds, UTC.
func (e *Engine) Now(ctx context.Context) (time.Time, error) {
	q := &question{}
	if e.cluster != nil {
		q.script, q.keys = timeScript, []string{keyPrefix(store.System) + "clock"}
	}
	cmd, err := e.put(ctx, q)
	if err != nil {
		return time.Time{}, e.failed(ctx, "now", err)
	}
	t, err := cmd.StringSlice()
	if err != nil {
		return time.Time{}, unavailable("now", err)
	}
	if len(t) != 2 {
		return time.Time{}, unavailable("now", fmt.Errorf("TIME answered %q", t))
	}
	seconds, err1 := strconv.ParseInt(t[0], 10, 64)
	micros, err2 := strconv.ParseInt(t[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return time.Time{}, unavailable("now", err)
	}
	return time.UnixMicro(seconds*1e6 + micros + e.offset().Microseconds()).UTC(), nil
}

// Workspaces reads the set of names.
func (e *Engine) Workspaces(ctx context.Context) ([]string, error) {
	names, err := ask(ctx, e, "workspaces", func(ctx context.Context) ([]string, error) {
		return e.client.SMembers(ctx, workspacesKey).Result()
	})
	slices.Sort(names)
	return names, err
}

// Close ends the watches and closes the connections.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		e.closed.Store(true)
		if e.group != nil {
			e.group.stop()
		}
		e.hub.close()
		e.closeErr = e.client.Close()
		if e.group != nil {
			<-e.group.gone
		}
	})
	return e.closeErr
}

// ask runs one reading call and returns when ctx ends even if the server hangs;
// the call itself then ends by its own timeout.
func ask[T any](ctx context.Context, e *Engine, op string, call func(context.Context) (T, error)) (T, error) {
	v, err := await(ctx, e, call)
	if err == nil {
		return v, nil
	}
	var none T
	return none, e.failed(ctx, op, err)
}

// failed tells the end of the caller's context from an outage.
func (e *Engine) failed(ctx context.Context, op string, err error) error {
	switch {
	case e.closed.Load():
		return unavailable(op, errClosed)
	case ctx.Err() == nil:
		return unavailable(op, err)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return unavailable(op, ctx.Err())
	default:
		return fmt.Errorf("store: redis: %s: %w", op, ctx.Err())
	}
}

func await[T any](ctx context.Context, e *Engine, call func(context.Context) (T, error)) (T, error) {
	var none T
	if e.closed.Load() {
		return none, errClosed
	}
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	if ctx.Done() == nil {
		return call(ctx)
	}
	type outcome struct {
		v   T
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := call(ctx)
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.v, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func unavailable(op string, err error) error {
	return fmt.Errorf("%w: redis: %s: %w", store.ErrUnavailable, op, err)
}
