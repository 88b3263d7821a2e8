package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/store/storetest"
)

// Replicas behind Sentinel: the master dies under load and another one takes
// over. What the dead master had not yet given to its replica would be lost, so
// it dies while nobody writes; that window is Redis's, and documented.
func TestChaosSentinelFailsOver(t *testing.T) {
	redis, err := storetest.StartRedisSentinel(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	s := newStorm(t, redis.URL())
	config := setup{store: redis.URL() + "?read_timeout=500ms&dial_timeout=500ms", backend: s.model.URL(), policy: stormPolicy, yaml: quickBeats}.file(t)
	one, two := s.join(config), s.join(config)
	s.blow(last)
	before := []load{one.load(t), two.load(t)}
	asked := newChat("Refund order 999")
	prompt, ok := s.hear(asked)
	require.True(t, ok)
	require.NoError(t, redis.Replicated())
	redis.Master.Kill()
	sofar := s.done.Load()
	s.blow(func() {
		require.NoError(t, redis.FailedOver())
		last()
	})
	require.Greater(t, s.done.Load(), sofar)
	// What was asked before is answered after, on the other machine.
	got, ok := s.hear(asked.say(prompt.text, "yes"))
	require.True(t, ok)
	got.released(t, stormCall("999"))
	s.recovers()
	s.audit()
	for i, p := range []*process{one, two} {
		s.settles(p, before[i])
		p.terminate(t)
	}
	t.Logf("%d conversations, replies by status %v", s.done.Load(), s.count)
}

// Replicas on a Cluster of three, while the slot of their workspace is moved
// from master to master, some keys at a time, under load.
func TestChaosClusterMovesTheSlot(t *testing.T) {
	nodes := storetest.RedisCluster(t)
	var addrs []string
	for _, n := range nodes {
		addrs = append(addrs, n.Addr)
	}
	url := "redis+cluster://" + strings.Join(addrs, ",")
	s := newStorm(t, url)
	config := setup{store: url, backend: s.model.URL(), policy: stormPolicy, yaml: quickBeats}.file(t)
	one, two := s.join(config), s.join(config)
	s.blow(last)
	before := []load{one.load(t), two.load(t)}
	for range 1 + chaosTimes() {
		s.blow(func() {
			require.NoError(t, storetest.MoveSlot(nodes, "cadreen:{shop}:x", func() { <-time.After(20 * time.Millisecond) }))
			last()
		})
		s.recovers()
		s.audit()
	}
	for i, p := range []*process{one, two} {
		s.settles(p, before[i])
		p.terminate(t)
	}
	t.Logf("%d conversations, replies by status %v", s.done.Load(), s.count)
}

// The same storm on Valkey's own server.
func TestChaosReplicasOnOneValkey(t *testing.T) {
	if !storetest.HaveValkey() {
		t.Skip("valkey-server is not here: install Valkey 8 (Debian 12: bookworm-backports) to run this")
	}
	server, err := storetest.StartValkey(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Kill)
	if !chaosWhole() {
		s := newStorm(t, "redis://"+server.Addr)
		config := setup{store: s.store, backend: s.model.URL(), policy: stormPolicy}.file(t)
		s.join(config)
		s.join(config)
		s.blow(last)
		s.recovers()
		s.audit()
		return
	}
	chaosOnRedis(t, server)
}
