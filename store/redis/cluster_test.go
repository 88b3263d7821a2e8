package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"cadreen/store"
	"cadreen/store/storetest"
)

func TestOnACluster(t *testing.T) {
	nodes := storetest.RedisCluster(t)
	e := open(t, clusterURL(nodes))
	t.Run("slots are counted as the server counts them", func(t *testing.T) { slotsAgree(t, e) })
	t.Run("TRAPS 89 no CROSSSLOT in any workspace", func(t *testing.T) { noCrossSlot(t, e) })
	t.Run("check and durability reach every master", func(t *testing.T) { everyMaster(t, e) })
	t.Run("a slot on the move", func(t *testing.T) { movingSlot(t, e) })
	t.Run("a missing node is noticed", func(t *testing.T) { missingNode(t, e, nodes) })
}

func slotsAgree(t *testing.T, e *Engine) {
	require.Equal(t, 0x31C3, slot("123456789"), "the check value of the specification")
	for _, tag := range []string{"", "a", store.System, "probe-0", "some.workspace_NAME-1", strings.Repeat("w", 64)} {
		if tag == "" {
			continue // an empty tag is none
		}
		want, err := e.cluster.ClusterKeySlot(t.Context(), "cadreen:{"+tag+"}:x{y}").Result()
		require.NoError(t, err)
		require.EqualValues(t, want, slot(tag), tag)
	}
}

// noCrossSlot commits many documents with odd ids and keys to workspaces that
// lie on different masters, then looks where their keys are.
func noCrossSlot(t *testing.T, e *Engine) {
	for n := range 12 {
		ws := fmt.Sprint("w", n)
		var ops []store.Op
		for _, id := range []string{"{other}", "}{", "a", "b:c", "{}"} {
			ops = append(ops, store.Put{Doc: store.Doc{Kind: "thing", ID: id, Index: []store.Index{{Name: "by", Key: id, Score: 1}, {Name: "all", Score: 2}}}})
		}
		ops = append(ops, store.Append{Log: "l"}, store.Append{Log: "m"})
		require.NoError(t, e.Commit(t.Context(), ws, ops...))
		require.NoError(t, e.Commit(t.Context(), ws, ops...), "replacing removes positions that are not declared")
		docs, err := e.List(t.Context(), ws, "thing", store.Query{Index: "all"})
		require.NoError(t, err)
		require.Len(t, docs, 5)
	}
	err := e.cluster.ForEachMaster(t.Context(), func(ctx context.Context, c *redis.Client) error {
		keys, err := c.Keys(ctx, "cadreen:{w*").Result()
		for _, key := range keys {
			ws, _, _ := strings.Cut(strings.TrimPrefix(key, "cadreen:{"), "}")
			here, err := c.ClusterKeySlot(ctx, key).Result()
			if err != nil || int(here) != slot(ws) {
				return fmt.Errorf("%q lies in slot %d, its workspace in %d (%v)", key, here, slot(ws), err)
			}
		}
		return err
	})
	require.NoError(t, err)
}

func everyMaster(t *testing.T, e *Engine) {
	r, err := e.Durability(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Nodes, 3)
	require.Empty(t, r.Problems())
	require.NoError(t, e.Check(t.Context()))
	for i := range r.Nodes {
		full := redis.NewClient(&redis.Options{Addr: r.Nodes[i].Addr, Protocol: 2})
		require.NoError(t, full.ConfigSet(t.Context(), "maxmemory", "1").Err())
		require.ErrorIs(t, e.Check(t.Context()), store.ErrUnavailable, "one master of three is full")
		require.NoError(t, full.ConfigSet(t.Context(), "maxmemory", "0").Err())
		require.NoError(t, full.Close())
	}
	require.NoError(t, e.Check(t.Context()))
}

// movingSlot moves the slot of a workspace to another master, key by key, with
// a Commit at every stage. A Commit may be refused meanwhile, but none may be
// done by half, and afterwards everything and the watch are there.
func movingSlot(t *testing.T, e *Engine) {
	const ws = "mover"
	ctx := t.Context()
	put := func(n int) store.Op {
		return store.Put{IfVersion: int64(n), Doc: store.Doc{Kind: "thing", ID: "a", Index: []store.Index{{Name: "turn", Key: fmt.Sprint(n % 2), Score: 1}, {Name: "all", Score: int64(n)}}}}
	}
	require.NoError(t, e.Commit(ctx, ws, put(0), store.Append{Log: "l"}))
	signals, err := e.Watch(ctx, ws)
	require.NoError(t, err)

	number := fmt.Sprint(slot(ws))
	from, to, fromID, toID := ends(t, e, slot(ws))
	require.NoError(t, to.Do(ctx, "CLUSTER", "SETSLOT", number, "IMPORTING", fromID).Err())
	require.NoError(t, from.Do(ctx, "CLUSTER", "SETSLOT", number, "MIGRATING", toID).Err())
	done := 1
	attempt := func() {
		err := e.Commit(ctx, ws, put(done), store.Append{Log: "l"})
		if err == nil {
			done++
			return
		}
		require.ErrorIs(t, err, store.ErrUnavailable)
		require.ErrorContains(t, err, "TRYAGAIN")
	}
	attempt()
	keys, err := from.Do(ctx, "CLUSTER", "GETKEYSINSLOT", number, 100).StringSlice()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	host, port, _ := strings.Cut(to.Options().Addr, ":")
	for i, key := range keys {
		require.NoError(t, from.Do(ctx, "MIGRATE", host, port, key, 0, 5000).Err())
		if i == len(keys)/2 {
			attempt()
		}
	}
	attempt()
	for _, c := range []*redis.Client{to, from} {
		require.NoError(t, c.Do(ctx, "CLUSTER", "SETSLOT", number, "NODE", toID).Err())
	}
	require.NoError(t, e.Commit(ctx, ws, put(done), store.Append{Log: "l"}))
	done++

	doc, err := e.Get(ctx, ws, "thing", "a")
	require.NoError(t, err)
	require.EqualValues(t, done, doc.Version)
	lines, err := e.Read(ctx, ws, "l", 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, done, "every commit is whole")
	for turn := range 2 {
		docs, err := e.List(ctx, ws, "thing", store.Query{Index: "turn", Key: fmt.Sprint(turn)})
		require.NoError(t, err)
		require.Equal(t, turn == (done-1)%2, len(docs) == 1, "no position was left behind")
	}
	<-signals // the subscription has moved as well, or had heard before
	require.NoError(t, e.Commit(ctx, ws, store.Append{Log: "l"}))
	<-signals
}

// ends answers the master of a slot and another one.
func ends(t *testing.T, e *Engine, n int) (from, to *redis.Client, fromID, toID string) {
	t.Helper()
	shards, err := e.cluster.ClusterShards(t.Context()).Result()
	require.NoError(t, err)
	for _, shard := range shards {
		node := shard.Nodes[0]
		c := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("%s:%d", node.IP, node.Port), Protocol: 2})
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		if r := shard.Slots[0]; int(r.Start) <= n && n <= int(r.End) {
			from, fromID = c, node.ID
		} else {
			to, toID = c, node.ID
		}
	}
	return from, to, fromID, toID
}

func missingNode(t *testing.T, e *Engine, nodes []*storetest.RedisProcess) {
	nodes[1].Kill()
	require.ErrorIs(t, e.Check(t.Context()), store.ErrUnavailable)
	require.NoError(t, nodes[1].Restart())
	for e.Check(t.Context()) != nil { // ends, or the test's own limit does
		require.NoError(t, t.Context().Err())
	}
	require.NoError(t, e.Commit(t.Context(), "after", store.Append{Log: "l"}))
}
