package main

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// The run has 400 questions and their answers, and 200 plain chats: 1,000 keys. A
// quarter of them are sent by two clients at once.
const (
	keyedNumbers = 600
	keyedKeys    = 1000
	keyedClients = 32
	keyedKills   = 4
)

// keyedRun is keyed requests on processes that are killed and started again.
type keyedRun struct {
	t        *testing.T
	model    *scripted.Server
	progress chan struct{}

	mu      sync.Mutex
	members []*process
	answers map[string]string // by key: the whole answer
	bodies  map[string]string // by key: the request
	wrong   []string
	lost    int // keys that were told that there will be no answer
}

// A thousand keyed requests while processes are killed -9 and started again at
// random: no key has two holds, two releases or two different answers.
func TestAThousandKeyedRequestsAndKills(t *testing.T) {
	for i, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for the claims of the dead to run out
			seed := uint64(mathrand.Uint32())
			t.Logf("seed %d", seed)
			dice := mathrand.New(mathrand.NewPCG(seed, 1))
			k := &keyedRun{t: t, model: scripted.New(t), progress: make(chan struct{}, keyedKeys), answers: map[string]string{}, bodies: map[string]string{}}
			k.model.Otherwise(keyedModel)
			s := setup{store: e.url(t), backend: k.model.URL()}
			config := s.file(t)
			for range i + 1 { // SQLite is served by one process, Redis by two
				k.members = append(k.members, startProcess(t, config))
			}
			var over sync.WaitGroup
			over.Go(func() { k.run(context.WithoutCancel(t.Context())) })
			at := map[int]bool{}
			for len(at) < keyedKills {
				at[30+dice.IntN(keyedKeys-200)] = true
			}
			for n := range keyedKeys {
				<-k.progress
				if at[n] {
					k.replace(dice.IntN(len(k.members)), config)
				}
			}
			over.Wait()
			for _, p := range k.members {
				p.kill()
			}
			last := start(t, s)
			k.compare(last)
			k.count(last)
			require.Empty(t, k.wrong)
			var report struct {
				Valid    bool
				Unsealed int
				Broken   []any
			}
			require.Equal(t, 200, last.get(t, "/v1/audit/verify", keyOmar, &report))
			require.True(t, report.Valid, "%v", report.Broken)
			t.Logf("%d whole answers, %d keys without one, %d requests to the model", len(k.answers), k.lost, len(k.model.Requests()))
			require.Greater(t, len(k.answers), keyedKeys*9/10)
		})
	}
}

// replace kills a process and starts another in its place.
func (k *keyedRun) replace(i int, config string) {
	k.members[i].kill()
	p := startProcess(k.t, config)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.members[i] = p
}

func (k *keyedRun) member(n int) *process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.members[n%len(k.members)]
}

// keyedModel never says the same twice, but always calls with the same arguments.
func keyedModel(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
	stream := strings.Contains(string(got.Body), `"stream":true`)
	if m := keyedOrder.FindStringSubmatch(string(got.Body)); m != nil {
		turnOf(stream, "Well, "+rand.Text()+".", refund("call_"+rand.Text(), `{"order_id":"`+m[1]+`", "amount":1.50}`))(w, r, got)
		return
	}
	turnOf(stream, "I say "+rand.Text())(w, r, got)
}

var keyedOrder = regexp.MustCompile(`Refund order (\d+)`)

func (k *keyedRun) run(ctx context.Context) {
	numbers := make(chan int)
	var clients sync.WaitGroup
	for range keyedClients {
		clients.Go(func() {
			for n := range numbers {
				k.converse(ctx, n)
			}
		})
	}
	for n := range keyedNumbers {
		numbers <- n
	}
	close(numbers)
	clients.Wait()
}

func (k *keyedRun) converse(ctx context.Context, n int) {
	stream := n%2 == 0
	if n%3 == 2 {
		k.twice(ctx, n, fmt.Sprint("chat ", n), newChat(fmt.Sprint("Say ", n)).without().streaming(stream).body())
		return
	}
	ask := newChat(fmt.Sprint("Refund order ", n)).streaming(stream)
	asked := k.twice(ctx, n, fmt.Sprint("ask ", n), ask.body())
	if asked.text == "" {
		k.progress <- struct{}{} // the question was lost, so there is no answer
		return
	}
	k.twice(ctx, n, fmt.Sprint("yes ", n), ask.say(asked.text, "yes").body())
}

// twice sends a keyed request from one client, or from two at once, until each has
// its answer, or is told that there is none.
func (k *keyedRun) twice(ctx context.Context, n int, name, body string) seen {
	k.mu.Lock()
	k.bodies[name] = body
	k.mu.Unlock()
	var twin sync.WaitGroup
	if n%4 == 0 {
		twin.Go(func() { k.insist(ctx, n+1, name, body) })
	}
	s := k.insist(ctx, n, name, body)
	twin.Wait()
	k.progress <- struct{}{}
	return s
}

func (k *keyedRun) insist(ctx context.Context, n int, name, body string) seen {
	for {
		r, err := k.member(n).try(ctx, body, key(name)...)
		if err == nil {
			if s, whole := k.heard(name, r); whole {
				return s
			}
			if r.header.Get("X-Should-Retry") == "false" || r.header.Get(replayedHeader) == "true" && strings.HasPrefix(r.body, `data: {"error":{`) {
				k.note(func() {
					k.lost++
					if r.status != 503 && r.status != 200 {
						k.wrong = append(k.wrong, fmt.Sprintf("%s: %d %s", name, r.status, r.body))
					}
				})
				return seen{}
			}
		}
		n++
		select {
		case <-ctx.Done():
			return seen{}
		case <-time.After(20 * time.Millisecond): // a process may be on its way up
		}
	}
}

// heard takes an answer that is whole, and holds it against others of its key.
func (k *keyedRun) heard(name string, r reply) (seen, bool) {
	s, err := r.parse()
	stream := strings.HasPrefix(r.header.Get("Content-Type"), "text/event-stream")
	if err != nil || r.status != 200 || s.failed != "" || s.finish == "" || stream && !s.done || !stream && r.broken != nil {
		return s, false
	}
	k.note(func() {
		if first, ok := k.answers[name]; ok && first != r.body {
			k.wrong = append(k.wrong, fmt.Sprintf("%s has two answers:\n%s\n%s", name, first, r.body))
		}
		k.answers[name] = r.body
	})
	return s, true
}

func (k *keyedRun) note(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}

// compare sends every key once more, when all is over.
func (k *keyedRun) compare(p *proxyUnderTest) {
	names := make(chan string)
	var clients sync.WaitGroup
	for range keyedClients / 2 {
		clients.Go(func() {
			for name := range names {
				r, err := p.try(context.WithoutCancel(k.t.Context()), k.bodies[name], key(name)...)
				if err != nil {
					k.note(func() { k.wrong = append(k.wrong, name+": "+err.Error()) })
					continue
				}
				k.heard(name, r)
			}
		})
	}
	for name := range k.bodies {
		names <- name
	}
	close(names)
	clients.Wait()
}

// count looks at what is recorded about each order: one hold, and one release.
func (k *keyedRun) count(p *proxyUnderTest) {
	holds, releases := map[string]map[string]bool{}, map[string]int{}
	for _, r := range p.records() {
		switch {
		case r.Event == governance.EventDecision && r.State == governance.StateHeld:
			if holds[r.ActionDigest] == nil {
				holds[r.ActionDigest] = map[string]bool{}
			}
			holds[r.ActionDigest][r.Hold] = true
		case r.Event == governance.EventRelease && r.CallID != "":
			releases[r.ActionDigest]++
		}
	}
	for digest, ids := range holds {
		if len(ids) > 1 || releases[digest] > 1 {
			k.wrong = append(k.wrong, fmt.Sprintf("an order has %d holds and %d releases", len(ids), releases[digest]))
		}
	}
	require.Greater(k.t, len(holds), keyedNumbers/2)
	require.Greater(k.t, len(releases), keyedNumbers/2)
}
