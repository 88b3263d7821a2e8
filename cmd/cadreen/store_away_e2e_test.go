//go:build linux

package main

import (
	"bytes"
	"errors"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

// outage is one way in which a store goes away and comes back.
type outage struct {
	name string
	// reads says that it can still be read.
	reads bool
	make  func(t *testing.T) (storeURL string, away, back func(p *process))
}

// outages end in "it cannot be reached" or in "it cannot write".
var outages = []outage{
	{"redis killed", false, func(t *testing.T) (string, func(*process), func(*process)) {
		redis := redisOf(t)
		return "redis://" + redis.Addr, func(*process) { redis.Kill() }, func(*process) { require.NoError(t, redis.Restart()) }
	}},
	{"redis hangs", false, func(t *testing.T) (string, func(*process), func(*process)) {
		redis := redisOf(t)
		return "redis://" + redis.Addr + "?read_timeout=200ms", func(*process) { require.NoError(t, redis.Pause()) }, func(*process) { require.NoError(t, redis.Resume()) }
	}},
	{"redis full", true, func(t *testing.T) (string, func(*process), func(*process)) {
		redis := redisOf(t)
		set := func(limit string) func(*process) {
			return func(*process) {
				_, err := redis.Say("CONFIG", "SET", "maxmemory", limit)
				require.NoError(t, err)
			}
		}
		return "redis://" + redis.Addr, set("1"), set("0")
	}},
	{"disk full", true, func(t *testing.T) (string, func(*process), func(*process)) {
		return engines[0].url(t), func(p *process) { p.limitFiles(t, 512) }, func(p *process) { p.limitFiles(t, unix.RLIM_INFINITY) }
	}},
}

func redisOf(t *testing.T) *storetest.RedisProcess {
	t.Helper()
	redis, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	return redis
}

// limitFiles makes every write of the program beyond so many bytes of a file
// fail, as a full disk does.
func (p *process) limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	require.NoError(t, unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: unix.RLIM_INFINITY}, nil))
}

// awayPolicy lets lookups go, and sends large refunds to a reviewer.
const awayPolicy = `
name: Away
rules:
  - id: lookups
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
  - id: refunds
    condition: "Large refunds need a reviewer"
    tools: [process_refund]
    when:
      - {if: 'args.amount > 1000', effect: escalate}
      - {if: 'true', effect: confirm}
`

var largeRefund = refund("call_large", `{"amount":5000}`)

// away is a program whose store goes away, with everything that was begun before.
type away struct {
	*process
	model      *scripted.Server
	remembered string // a key of the store that was used a moment ago
	forgotten  string // one that was not
	ask        *talk
	call       scripted.Call
	answer     *talk  // the yes to what was asked before
	place      string // of an escalation
	pickUp     *talk  // the next request of its conversation
	reads      bool
}

// The page docs/operate.md says what happens when the store is away. Each of its
// sentences is one test, under every outage.
func TestWhenTheStoreIsAway(t *testing.T) {
	for _, o := range outages {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			url, begin, end := o.make(t)
			a := newAway(t, url, o.reads)
			begin(a.process)
			t.Run("chats without calls go on with a key that was verified lately", a.textGoesOn)
			t.Run("a turn with calls gets 503", a.callsDoNot)
			t.Run("after the first byte of a stream it is the error event", a.errorEvent)
			t.Run("an answer gets 503", a.answersDoNot)
			t.Run("a key that is not remembered gets 503", a.unknownKey)
			t.Run("a request with an Idempotency-Key gets 503", a.keyedDoNot)
			t.Run("everything about escalations gets 503", a.escalationsDoNot)
			t.Run("readyz says so and healthz does not", a.probes)
			end(a.process)
			t.Run("it heals without a restart", a.heals)
			a.terminate(t)
			t.Run("nothing was released meanwhile", func(t *testing.T) {
				l := readLedger(t, url, "shop")
				require.Equal(t, map[string]int{a.call.ID: 1, largeRefund.ID: 1}, l.released)
				require.Empty(t, l.allowed)
			})
		})
	}
}

func newAway(t *testing.T, storeURL string, reads bool) *away {
	model := scripted.New(t)
	// /readyz asks the model's server too.
	model.Otherwise(scripted.JSON(`{"object":"list","data":[]}`))
	config := setup{store: storeURL, backend: model.URL(), policy: awayPolicy}.file(t)
	a := &away{model: model, reads: reads, ask: newChat("Refund order 456"), call: refund("call_before", refundArgs)}
	a.process = startStepped(t, config, "", 0)
	a.remembered, a.forgotten = createKey(t, config), createKey(t, config)
	model.Next(turnOf(false, "words"))
	require.Equal(t, "words", a.post(newChat("hi").body(), as(a.remembered)...).read(t).text)
	asked := asks(t, &a.proxyUnderTest, model, a.ask, a.call)
	a.answer = a.ask.say(asked.text, "yes")
	large := newChat("Refund a lot")
	asked, a.place = escalates(t, &a.proxyUnderTest, model, large, largeRefund)
	a.pickUp = large.say(asked.text, "And now?")
	return a
}

// createKey makes a key in the store, as an operator does.
func createKey(t *testing.T, config string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("cadreen", "key", "create", "--config", config, "--workspace", "shop")
	cmd.Stdout, cmd.Stderr = &out, t.Output()
	require.NoError(t, cmd.Run())
	return strings.TrimSpace(out.String())
}

func (a *away) unavailable(t *testing.T, r reply) {
	t.Helper()
	require.Equal(t, 503, r.status, r.body)
	require.Contains(t, r.body, `"code":"store_unavailable"`)
	require.NotContains(t, r.body, "arguments")
}

func (a *away) textGoesOn(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		for _, key := range []string{a.remembered, keyAnn} {
			a.model.Next(turnOf(stream, "just words"))
			r := a.post(newChat("hello").streaming(stream).body(), as(key)...)
			require.Equal(t, "just words", r.read(t).text)
		}
	})
}

var (
	awayLookup = scripted.Call{ID: "call_lookup", Name: "get_order", Arguments: `{"order_id":"1"}`}
	awayCalls  = map[string]scripted.Call{"asked": refund("call_away", refundArgs), "allowed": awayLookup, "reviewed": refund("call_review", `{"amount":5000}`)}
)

func (a *away) callsDoNot(t *testing.T) {
	for name, call := range awayCalls {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				a.model.Next(turnOf(stream, "", call))
				r := a.post(newChat("do it").streaming(stream).body(), as(a.remembered)...)
				if stream && r.status == 200 { // its first byte was the role
					require.Equal(t, "store_unavailable", r.read(t).failed)
					r.read(t).silent(t)
					return
				}
				a.unavailable(t, r)
			})
		})
	}
}

func (a *away) errorEvent(t *testing.T) {
	for name, call := range awayCalls {
		t.Run(name, func(t *testing.T) {
			a.model.Next(turnOf(true, "One moment.", call))
			r := a.post(newChat("do it").streaming(true).body())
			got := r.read(t)
			got.silent(t)
			require.Equal(t, 200, r.status)
			require.True(t, strings.HasPrefix(got.text, "One moment."), got.text)
			require.Equal(t, "store_unavailable", got.failed)
			require.False(t, got.done, "no tidy end")
			require.NotContains(t, r.body, call.ID)
		})
	}
}

func (a *away) answersDoNot(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		for _, word := range []string{"yes", "no"} {
			r := a.post(a.answer.instead(word).streaming(stream).body())
			if stream && r.status == 200 {
				require.Equal(t, "store_unavailable", r.read(t).failed)
				r.read(t).silent(t)
				continue
			}
			a.unavailable(t, r)
		}
	})
}

// A store that can be read knows its keys.
func (a *away) unknownKey(t *testing.T) {
	if a.reads {
		a.model.Next(turnOf(false, "just words"))
		require.Equal(t, "just words", a.post(newChat("hello").body(), as(a.forgotten)...).read(t).text)
		return
	}
	a.unavailable(t, a.post(newChat("hello").body(), as(a.forgotten)...))
}

func (a *away) keyedDoNot(t *testing.T) {
	sofar := len(a.model.Requests())
	bothWays(t, func(t *testing.T, stream bool) {
		a.unavailable(t, a.post(newChat("hello").streaming(stream).body(), key("away")...))
	})
	require.Len(t, a.model.Requests(), sofar, "the model is not asked")
}

// A store that can be read shows them.
func (a *away) escalationsDoNot(t *testing.T) {
	status, body := resolve(t, a.place, "auto", keyRhea)
	a.unavailable(t, reply{status: status, body: body})
	for _, place := range []string{a.place, "/v1/escalations?status=pending"} {
		status, body := a.proxyUnderTest.call(t, http.MethodGet, place, keyRhea, "")
		if a.reads {
			require.Equal(t, 200, status, body)
			continue
		}
		require.Equal(t, 503, status, body)
		require.Contains(t, body, `"code":"store_unavailable"`)
	}
}

func (a *away) probes(t *testing.T) {
	awaitTrue(t, "readyz says that the store is away", func() bool {
		status, body := a.proxyUnderTest.call(t, http.MethodGet, "/readyz", "", "")
		return status == 503 && strings.Contains(body, `"store":"unavailable"`) && strings.Contains(body, `"backend":"ok"`)
	})
	status, _ := a.proxyUnderTest.call(t, http.MethodGet, "/healthz", "", "")
	require.Equal(t, 200, status)
}

// heals asks again where 503 says so: the pool of connections looks once a
// second whether the server is back.
func (a *away) heals(t *testing.T) {
	again := func(what string, ask func() reply) reply {
		var r reply
		awaitTrue(t, what, func() bool {
			r = ask()
			return r.status != 503
		})
		return r
	}
	again("the answer", func() reply { return a.post(a.answer.body()) }).read(t).released(t, a.call)
	r := again("the decision", func() reply {
		status, body := resolve(t, a.place, "auto", keyRhea)
		return reply{status: status, body: body}
	})
	require.Equal(t, 200, r.status, r.body)
	again("the pick-up", func() reply { return a.post(a.pickUp.body()) }).read(t).released(t, largeRefund)
	a.model.Next(turnOf(false, "just words"))
	r = again("a keyed request with a key of the store", func() reply {
		return a.post(newChat("hello").body(), append(as(a.forgotten), key("back")...)...)
	})
	require.Equal(t, "just words", r.read(t).text)
	again("readyz", func() reply {
		status, body := a.proxyUnderTest.call(t, http.MethodGet, "/readyz", "", "")
		return reply{status: status, body: body}
	})
}

// Five minutes after it was verified a key is unknown again, if the store is
// still away.
func TestWhenTheStoreIsAwayAKeyIsRememberedForFiveMinutes(t *testing.T) {
	redis := redisOf(t)
	now, model := &clock{}, scripted.New(t)
	s := setup{store: "redis://" + redis.Addr, backend: model.URL(), clock: now}
	p := start(t, s)
	k := createKey(t, s.file(t))
	text := func(status int) {
		t.Helper()
		if status == 200 {
			model.Next(turnOf(false, "just words"))
		}
		r := p.post(newChat("hello").body(), as(k)...)
		require.Equal(t, status, r.status, r.body)
	}
	text(200)
	redis.Kill()
	text(200)
	now.forward(5*time.Minute - 10*time.Second)
	text(200)
	now.forward(11 * time.Second)
	text(503)
	require.NoError(t, redis.Restart())
	now.forward(2 * time.Second)
	var r reply
	awaitTrue(t, "it is known again", func() bool {
		if model.Pending() == 0 {
			model.Next(turnOf(false, "just words"))
		}
		r = p.post(newChat("hello").body(), as(k)...)
		now.forward(time.Second)
		return r.status == 200
	})
}

// A file system that cannot be written is said at the start, with the file's
// name, and nothing is served.
func TestWhenTheStoreIsReadOnlyTheStartSaysSo(t *testing.T) {
	const readOnly = `mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" || exit 99; exec cadreen serve --config "$2"`
	path := filepath.Join(t.TempDir(), "cadreen.db")
	config := setup{store: sqlitePrefix + path}.file(t)
	startProcess(t, config).terminate(t)
	out, err := exec.Command("unshare", "--mount", "sh", "-c", readOnly, "sh", filepath.Dir(path), config).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == 99 || strings.Contains(string(out), "unshare") {
		t.Skipf("this machine does not let a test make a file system read-only: %v %s", err, out)
	}
	require.Equal(t, 1, exit.ExitCode(), string(out))
	require.Contains(t, string(out), "cadreen.db: read-only file system")
	require.NotContains(t, string(out), "listens on")
}
