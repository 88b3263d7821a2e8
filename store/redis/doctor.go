package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Check writes a key, on a Cluster one on every master, so that a full disk, a
// full memory, a missing node or a lost replica is noticed.
func (e *Engine) Check(ctx context.Context) error {
	_, err := ask(ctx, e, "check", func(ctx context.Context) (struct{}, error) {
		tags := []int{0}
		if e.cluster != nil {
			shards, err := e.cluster.ClusterShards(ctx).Result()
			if err != nil {
				return struct{}{}, err
			}
			if tags, err = probes(shards); err != nil {
				return struct{}{}, err
			}
		}
		for _, n := range tags {
			if err := e.client.Set(ctx, "cadreen:{"+probeTag(n)+"}", "", time.Minute).Err(); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// probes chooses for every shard that holds slots a probe whose slot is in its
// widest range.
func probes(shards []redis.ClusterShard) ([]int, error) {
	var out []int
	var covered int64
	for _, shard := range shards {
		widest := redis.SlotRange{Start: 0, End: -1}
		for _, r := range shard.Slots {
			covered += r.End - r.Start + 1
			if r.End-r.Start > widest.End-widest.Start {
				widest = r
			}
		}
		if widest.End < widest.Start {
			continue
		}
		n := 0
		for s := slot(probeTag(n)); int64(s) < widest.Start || int64(s) > widest.End; s = slot(probeTag(n)) {
			n++
		}
		out = append(out, n)
	}
	if covered != slots {
		return nil, fmt.Errorf("the Cluster covers %d of %d slots", covered, slots)
	}
	return out, nil
}

func probeTag(n int) string { return fmt.Sprintf("probe-%d", n) }

// Report is what Durability found, one line for each master.
type Report struct {
	Nodes []Node
}

// Node holds the settings of one master on which the durability of a Commit
// rests, as CONFIG GET answers them. A setting that the server will not tell
// (managed services forbid CONFIG) is empty.
type Node struct {
	Addr            string
	AppendOnly      string // yes
	AppendFsync     string // always
	MaxmemoryPolicy string // noeviction
}

// Problems answers one sentence, with the fix, for each setting under which a
// crash or a full memory could take back a Commit. None means durable.
func (r Report) Problems() []string {
	var out []string
	for _, n := range r.Nodes {
		for _, s := range []struct{ name, is, want, why string }{
			{"appendonly", n.AppendOnly, "yes", "a restart loses commits"},
			{"appendfsync", n.AppendFsync, "always", "a crash of the machine loses the last commits"},
			{"maxmemory-policy", n.MaxmemoryPolicy, "noeviction", "a full memory deletes data"},
		} {
			switch s.is {
			case s.want:
			case "":
				out = append(out, fmt.Sprintf("%s: %s cannot be read; it must be %s, else %s", n.Addr, s.name, s.want, s.why))
			default:
				out = append(out, fmt.Sprintf("%s: %s is %s: %s; fix: CONFIG SET %s %s", n.Addr, s.name, s.is, s.why, s.name, s.want))
			}
		}
	}
	return out
}

// Durability reads the settings of every master.
func (e *Engine) Durability(ctx context.Context) (Report, error) {
	return ask(ctx, e, "durability", func(ctx context.Context) (Report, error) {
		var mu sync.Mutex
		var r Report
		node := func(ctx context.Context, c redis.UniversalClient, addr string) error {
			n, err := inspect(ctx, c, addr)
			mu.Lock()
			defer mu.Unlock()
			r.Nodes = append(r.Nodes, n)
			return err
		}
		if e.cluster == nil {
			addr := "redis"
			if c, ok := e.client.(*redis.Client); ok {
				addr = c.Options().Addr
			}
			err := node(ctx, e.client, addr)
			return r, err
		}
		err := e.cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error {
			return node(ctx, c, c.Options().Addr)
		})
		slices.SortFunc(r.Nodes, func(a, b Node) int { return strings.Compare(a.Addr, b.Addr) })
		return r, err
	})
}

func inspect(ctx context.Context, c redis.UniversalClient, addr string) (Node, error) {
	n := Node{Addr: addr}
	for name, value := range map[string]*string{
		"appendonly":       &n.AppendOnly,
		"appendfsync":      &n.AppendFsync,
		"maxmemory-policy": &n.MaxmemoryPolicy,
	} {
		settings, err := c.ConfigGet(ctx, name).Result()
		var refused redis.Error
		if err != nil && !errors.As(err, &refused) {
			return n, err
		}
		*value = settings[name]
	}
	return n, nil
}
