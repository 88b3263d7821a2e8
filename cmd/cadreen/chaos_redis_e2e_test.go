package main

import (
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"cadreen/store/storetest"
)

// wire is a network between the program and a server that can be made bad.
type wire struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
}

func newWire(t *testing.T, upstream string) *wire {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	w := &wire{t: t, proxy: toxiproxy.NewProxy(server, "redis", "127.0.0.1:0", upstream)}
	require.NoError(t, w.proxy.Start())
	t.Cleanup(w.proxy.Stop)
	return w
}

// addr is where the program finds the server.
func (w *wire) addr() string { return w.proxy.Listen }

// bad makes it so; see the toxics of toxiproxy. "upstream" is towards the server.
func (w *wire) bad(kind, direction, attributes string) {
	w.t.Helper()
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"bad","type":"` + kind + `","stream":"` + direction + `","attributes":{` + attributes + `}}`))
	require.NoError(w.t, err)
}

func (w *wire) good() {
	w.t.Helper()
	require.NoError(w.t, w.proxy.Toxics.RemoveToxic(w.t.Context(), "bad"))
}

// faultTime is how long each fault lasts.
func faultTime() time.Duration { return time.Duration(chaosTimes()) * 700 * time.Millisecond }

// last lets a fault last.
func last() { <-time.After(faultTime()) }

// Two replicas on one Redis, under load, through everything that can happen to
// the server and to the way to it. After each fault they go on without a
// restart, and what was promised to any client is in the store.
func TestChaosReplicasOnOneRedis(t *testing.T) {
	server, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(server.Kill)
	chaosOnRedis(t, server)
}

func chaosOnRedis(t *testing.T, server *storetest.RedisProcess) {
	way := newWire(t, server.Addr)
	s := newStorm(t, "redis://"+server.Addr)
	config := setup{store: "redis://" + way.addr() + "?read_timeout=300ms&dial_timeout=300ms", backend: s.model.URL(), policy: stormPolicy, yaml: quickBeats}.file(t)
	one, two := s.join(config), s.join(config)
	say := func(words ...string) {
		t.Helper()
		_, err := server.Say(words...)
		require.NoError(t, err)
	}
	s.blow(last)
	before := []load{one.load(t), two.load(t)}
	for _, c := range []struct {
		name  string
		fault func()
	}{
		{"paused", func() {
			require.NoError(t, server.Pause())
			last()
			require.NoError(t, server.Resume())
		}},
		{"killed and started again", func() {
			server.Kill()
			last()
			require.NoError(t, server.Restart())
		}},
		{"full", func() {
			say("CONFIG", "SET", "maxmemory", "1")
			last()
			say("CONFIG", "SET", "maxmemory", "0")
		}},
		{"without its replicas", func() {
			say("CONFIG", "SET", "min-replicas-to-write", "1")
			last()
			say("CONFIG", "SET", "min-replicas-to-write", "0")
		}},
		{"slow by 200 ms", func() {
			way.bad("latency", "downstream", `"latency":200`)
			last()
			last()
			way.good()
		}},
		{"answers are lost", func() {
			way.bad("timeout", "downstream", `"timeout":0`)
			last()
			way.good()
		}},
		{"questions are lost", func() {
			way.bad("timeout", "upstream", `"timeout":0`)
			last()
			way.good()
		}},
		{"answers are cut in the middle", func() {
			way.bad("limit_data", "downstream", `"bytes":2500`)
			last()
			way.good()
		}},
		{"connections are reset", func() {
			way.bad("reset_peer", "downstream", `"timeout":20`)
			last()
			way.good()
		}},
		{"scripts and clients are thrown out", func() {
			for range 3 * chaosTimes() {
				<-time.After(100 * time.Millisecond)
				say("SCRIPT", "FLUSH")
				say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			}
		}},
	} {
		ok := t.Run(c.name, func(t *testing.T) {
			sofar := s.done.Load()
			s.blow(c.fault)
			s.recovers()
			s.audit()
			require.Greater(t, s.done.Load(), sofar+2, "there was a storm")
		})
		if !ok {
			return
		}
	}
	t.Run("one of the replicas is killed again and again", func(t *testing.T) {
		s.blow(func() {
			for range chaosTimes() {
				third := s.join(config)
				<-time.After(300 * time.Millisecond)
				third.kill()
				<-time.After(100 * time.Millisecond)
				s.leave(third)
			}
		})
		s.recovers()
		s.audit()
	})
	for i, p := range []*process{one, two} {
		s.settles(p, before[i])
		p.terminate(t)
	}
	t.Logf("%d conversations, replies by status %v", s.done.Load(), s.count)
}
