package redis

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestTheSuiteOnOneServer(t *testing.T) {
	addr := storetest.RedisServer(t)
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, "redis://"+addr+"/3") })
}

func TestTheSuiteOnACluster(t *testing.T) {
	url := clusterURL(storetest.RedisCluster(t))
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, url) })
}

func TestTheSuiteOnValkey(t *testing.T) {
	if !storetest.HaveValkey() {
		t.Skip("valkey-server is not here: install Valkey 8 (Debian 12: bookworm-backports) to run the suite on it")
	}
	server, err := storetest.StartValkey(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Kill)
	version, err := server.Say("INFO", "server")
	require.NoError(t, err)
	require.Contains(t, version, "valkey_version:8.")
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, "redis://"+server.Addr) })
}

func TestTheSuiteBehindSentinel(t *testing.T) {
	servers, err := storetest.StartRedisSentinel(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(servers.Kill)
	storetest.Run(t, func(t *testing.T) store.Engine { return open(t, servers.URL()) })
}

func BenchmarkRedis(b *testing.B) {
	storetest.Bench(b, open(b, "redis://"+storetest.RedisServer(b)))
}

func TestOffsetMovesTheClockAndTheLogs(t *testing.T) {
	var offset atomic.Int64
	e := open(t, "redis://"+storetest.RedisServer(t), WithOffset(func() time.Duration { return time.Duration(offset.Load()) }))
	for _, hours := range []int64{0, 1000, -1000} {
		offset.Store(hours * int64(time.Hour))
		before, err := e.Now(t.Context())
		require.NoError(t, err)
		require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
		after, err := e.Now(t.Context())
		require.NoError(t, err)
		lines, err := e.Read(t.Context(), "w", "l", 0, 0)
		require.NoError(t, err)
		at := lines[len(lines)-1].At
		require.False(t, at.Before(before) || at.After(after), "%v not within %v and %v", at, before, after)
	}
}

func TestScriptsAreLoadedAgainAfterAFlush(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	for range 2 {
		require.NoError(t, e.Commit(t.Context(), "w", thing("a", "v")))
		_, err := e.List(t.Context(), "w", "thing", store.Query{Index: "by", Key: "k"})
		require.NoError(t, err)
		require.NoError(t, e.client.ScriptFlush(t.Context()).Err())
	}
	doc, err := e.Get(t.Context(), "w", "thing", "a")
	require.NoError(t, err)
	require.EqualValues(t, 2, doc.Version)
}

// Nothing but the token and the probe may carry an expiry.
func TestOnlyTokensAndProbesExpire(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	require.NoError(t, e.Commit(t.Context(), "w", thing("a", "v"), store.Append{Log: "l"}))
	require.NoError(t, e.Check(t.Context()))
	keys, err := e.client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Len(t, keys, 6)
	for _, key := range keys {
		left, err := e.client.TTL(t.Context(), key).Result()
		require.NoError(t, err)
		passing := strings.HasPrefix(key, "cadreen:{w}:t:") || strings.HasPrefix(key, "cadreen:{probe-")
		require.Equal(t, passing, left > 0, key)
	}
}

func TestDurabilityReadsWhatDoctorJudges(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	r, err := e.Durability(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Nodes, 1)
	require.Empty(t, r.Problems())

	for name, value := range map[string]string{"appendonly": "no", "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"} {
		require.NoError(t, e.client.ConfigSet(t.Context(), name, value).Err())
	}
	r, err = e.Durability(t.Context())
	require.NoError(t, err)
	problems := r.Problems()
	require.Len(t, problems, 3)
	require.Contains(t, problems[1], "fix: CONFIG SET appendfsync always")
}

func TestDurabilityWithoutTheRightToAsk(t *testing.T) {
	e := open(t, "redis://"+storetest.RedisServer(t))
	require.NoError(t, e.client.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	r, err := e.Durability(t.Context())
	require.NoError(t, err)
	require.Equal(t, "", r.Nodes[0].AppendFsync)
	require.Len(t, r.Problems(), 3)
}

// refusals are the ways in which a server that answers will not write. Each
// meets a Commit of several steps: either all of it is written or nothing.
func TestAServerThatWillNotWriteIsUnavailableAndWritesNothing(t *testing.T) {
	addr := storetest.RedisServer(t)
	e := open(t, "redis://"+addr)
	for _, c := range []struct{ name, setting, bad, good string }{
		{"memory is full", "maxmemory", "1", "0"},
		{"replicas are missing", "min-replicas-to-write", "1", "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops := []store.Op{thing("a", "v"), thing("b", "v"), store.Append{Log: "l"}, store.Delete{Kind: "other", ID: "x"}}
			require.NoError(t, e.Commit(t.Context(), "enrolled", store.Append{Log: "l"}))
			require.NoError(t, e.Commit(t.Context(), "old", thing("a", "v")))
			e.known.Store("w", struct{}{})
			require.NoError(t, e.client.ConfigSet(t.Context(), c.setting, c.bad).Err())
			require.ErrorIs(t, e.Commit(t.Context(), "w", ops...), store.ErrUnavailable)
			require.ErrorIs(t, e.Check(t.Context()), store.ErrUnavailable)
			_, err := e.Get(t.Context(), "w", "thing", "a")
			require.ErrorIs(t, err, store.ErrNotFound, "reading goes on")
			left, err := e.client.Keys(t.Context(), "cadreen:{w}:*").Result()
			require.NoError(t, err)
			require.Empty(t, left)
			// A full server lets removals through, and replacing begins with one.
			for _, op := range []store.Op{thing("a", "w"), store.Delete{Kind: "thing", ID: "a"}} {
				require.ErrorIs(t, e.Commit(t.Context(), "old", op, store.Append{Log: "l"}), store.ErrUnavailable)
			}
			doc, err := e.Get(t.Context(), "old", "thing", "a")
			require.NoError(t, err)
			require.Equal(t, "v", string(doc.Value))

			require.NoError(t, e.client.ConfigSet(t.Context(), c.setting, c.good).Err())
			require.NoError(t, e.Check(t.Context()))
			require.NoError(t, e.Commit(t.Context(), "w", ops...))
			require.NoError(t, e.Commit(t.Context(), "w", store.Delete{Kind: "thing", ID: "a"}, store.Delete{Kind: "thing", ID: "b"}))
			require.NoError(t, e.client.FlushAll(t.Context()).Err())
		})
	}
}

func TestKillMinusNineLosesNothingThatWasAnswered(t *testing.T) {
	server := started(t)
	e := open(t, "redis://"+server.Addr)
	signals, err := e.Watch(t.Context(), "w")
	require.NoError(t, err)
	answered := make(chan int, 1<<16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; ; n++ {
			if e.Commit(context.Background(), "w", thing(fmt.Sprint(n), "v"), store.Append{Log: "l", Value: fmt.Append(nil, n)}) != nil {
				return
			}
			answered <- n
		}
	}()
	for range 50 {
		<-answered
	}
	server.Kill()
	<-done
	require.ErrorIs(t, e.Check(t.Context()), store.ErrUnavailable)
	_, err = e.Get(t.Context(), "w", "thing", "1")
	require.ErrorIs(t, err, store.ErrUnavailable)
	_, err = e.Watch(t.Context(), "other")
	require.ErrorIs(t, err, store.ErrUnavailable)
	select {
	case <-signals: // of the commits before
	default:
	}
	require.NoError(t, server.Restart())

	<-signals // it heals by itself and says so
	lines, err := e.Read(t.Context(), "w", "l", 0, 1<<20)
	require.NoError(t, err)
	total := 50 + len(answered)
	require.GreaterOrEqual(t, len(lines), total)
	require.LessOrEqual(t, len(lines), total+1, "at most the one that was under way")
	for i, l := range lines {
		require.EqualValues(t, i+1, l.Seq)
		_, err := e.Get(t.Context(), "w", "thing", string(l.Value))
		require.NoError(t, err, "a line without its document would be half a commit")
	}
	require.NoError(t, e.Commit(t.Context(), "w", store.Append{Log: "l"}))
	<-signals
}

func TestAHangingServerDoesNotHoldTheCaller(t *testing.T) {
	server := started(t)
	e := open(t, "redis://"+server.Addr+"?read_timeout=20s")
	require.NoError(t, e.Commit(t.Context(), "w", thing("a", "v")))
	require.NoError(t, server.Pause())

	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 2)
	go func() { answers <- e.Commit(ctx, "w", thing("a", "v")) }()
	go func() {
		_, err := e.Get(ctx, "w", "thing", "a")
		answers <- err
	}()
	cancel()
	for range 2 {
		require.ErrorIs(t, <-answers, context.Canceled) // comes while the server still hangs
	}
	ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := e.Commit(ctx, "w", thing("a", "v"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, store.ErrUnavailable)

	require.NoError(t, server.Resume())
	require.NoError(t, e.Commit(t.Context(), "w", thing("b", "v")))
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	server := started(t)
	server.Kill()
	for _, url := range []string{"redis://" + server.Addr, "redis+cluster://" + server.Addr, "redis+sentinel://m@" + server.Addr} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := Open(ctx, url)
		cancel()
		require.ErrorIs(t, err, store.ErrUnavailable, url)
	}
}

func open(t testing.TB, url string, opts ...Option) *Engine {
	t.Helper()
	e, err := Open(t.Context(), url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Close()) })
	return e
}

// started is a server that the test itself ends or hangs.
func started(t testing.TB) *storetest.RedisProcess {
	t.Helper()
	p, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func thing(id, value string) store.Put {
	return store.Put{Doc: store.Doc{Kind: "thing", ID: id, Value: []byte(value), Index: []store.Index{{Name: "by", Key: "k", Score: 1}}}}
}

func clusterURL(nodes []*storetest.RedisProcess) string {
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}
