package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// storm is load on one or more processes while a fault is on: clients that ask,
// answer yes, no, twice or not at all, and try again until they are told. What
// they saw is audited against the store.
type storm struct {
	*witness
	t       *testing.T
	store   string // as the audit reaches it
	model   *scripted.Server
	mu      sync.Mutex
	members []*process
	want    map[string]governance.State // call id -> how its question must end
	next    atomic.Int64                // numbers conversations
	turn    atomic.Int64                // spreads requests
	done    atomic.Int64                // conversations that came to their end
}

// stormPolicy asks about refunds and lets lookups go.
const stormPolicy = `
name: Storm
rules:
  - id: lookups
    condition: "Reading is free"
    tools: [get_order]
    when: [{if: 'true', effect: allow}]
`

const stormClients = 12

func newStorm(t *testing.T, storeURL string) *storm {
	s := &storm{witness: newWitness(), t: t, store: storeURL, model: scripted.New(t), want: map[string]governance.State{}}
	s.model.Otherwise(stormModel)
	return s
}

// join starts one more process with these settings.
func (s *storm) join(config string) *process {
	command := exec.Command("cadreen", "serve", "--config", config)
	command.Env = append(os.Environ(), "GOGC=100") // so that its heap shows what is alive, not what may be garbage
	p := startCommand(s.t, command)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = append(s.members, p)
	return p
}

// leave takes a process out, dead or alive.
func (s *storm) leave(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range s.members {
		if m == p {
			s.members = append(s.members[:i:i], s.members[i+1:]...)
			return
		}
	}
}

// member is the process that the next request goes to.
func (s *storm) member() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[int(s.turn.Add(1))%len(s.members)]
}

// stormOrder is what a conversation of the storm is about, and what the model calls.
var stormOrder = regexp.MustCompile(`(Refund|Look up|Tell me of|Break off at) order (\d+)`)

// stormModel answers the same request always in the same way.
func stormModel(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
	found := stormOrder.FindAllStringSubmatch(string(got.Body), -1)
	stream := strings.Contains(string(got.Body), `"stream":true`)
	if len(found) == 0 {
		turnOf(stream, "Well.")(w, r, got)
		return
	}
	what, n := found[len(found)-1][1], found[len(found)-1][2]
	h := scripted.Head{}
	switch what {
	case "Refund":
		turnOf(stream, "", stormCall(n))(w, r, got)
	case "Look up":
		turnOf(stream, "Let me see.", scripted.Call{ID: "call_look" + n, Name: "get_order", Arguments: `{"order_id":"` + n + `"}`})(w, r, got)
	case "Break off at":
		// A call whose end never comes, behind a text that did.
		part := scripted.Wire{NoDone: true}.Steps(append([]string{h.Role(0), h.Text(0, halfTold)}, h.CallChunks(0, 0, stormCall(n), 3)[:3]...)...)
		scripted.Stream(append(part, scripted.Cut())...)(w, r, got)
	default:
		turnOf(stream, "It was order "+n+".")(w, r, got)
	}
}

func stormCall(n string) scripted.Call {
	return refund("call_storm"+n, `{"order_id":"`+n+`", "amount":1.50}`)
}

// blow keeps the clients busy while f runs, and until each has finished what it
// had begun: nobody is left without an answer.
func (s *storm) blow(f func()) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	var clients sync.WaitGroup
	late := atomic.Int64{}
	for range stormClients {
		clients.Go(func() {
			for ctx.Err() == nil && s.t.Context().Err() == nil {
				if !s.converse(int(s.next.Add(1))) {
					late.Add(1)
				}
			}
		})
	}
	f()
	stop()
	clients.Wait()
	require.Zero(s.t, late.Load(), "a client was never answered, with status %v", s.count)
}

// converse is one conversation, from the question to the last word.
func (s *storm) converse(n int) bool {
	defer s.done.Add(1)
	id := strconv.Itoa(n)
	stream := n%2 == 0
	switch n % 12 {
	case 0, 1:
		return s.until(newChat("Tell me of order " + id).without().streaming(stream))
	case 2, 3:
		return s.until(newChat("Look up order " + id).streaming(stream))
	case 4:
		s.once(newChat("Break off at order " + id).streaming(true))
		return true
	}
	ask := newChat("Refund order " + id).streaming(stream)
	asked, ok := s.hear(ask)
	if !ok {
		return false
	}
	switch n % 12 {
	case 5:
		return true // never answered
	case 6:
		s.wants(id, governance.StateDenied)
		return s.until(ask.say(asked.text, "no"))
	case 7:
		s.wants(id, governance.StateSuperseded)
		return s.until(ask.say(asked.text, "Tell me of order "+id))
	case 8:
		s.wants(id, governance.StateReleased)
		var both sync.WaitGroup
		var good atomic.Int64
		for range 2 {
			both.Go(func() {
				if s.until(ask.say(asked.text, "yes")) {
					good.Add(1)
				}
			})
		}
		both.Wait()
		return good.Load() == 2
	default:
		s.wants(id, governance.StateReleased)
		return s.until(ask.say(asked.text, "yes"))
	}
}

// wants notes how the question about an order has to end.
func (s *storm) wants(id string, end governance.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.want[stormCall(id).ID] = end
}

// audit also looks that every question that was answered ended as the client
// said, once; questions that nobody saw were replaced by those that somebody did.
func (s *storm) audit() {
	s.t.Helper()
	l := s.witness.audit(s.t, s.store, "shop")
	ends := map[string][]governance.State{}
	for hold, calls := range l.calls {
		for _, id := range calls {
			if st := l.holds[hold].State; st != governance.StateSuperseded || s.want[id] == st {
				ends[id] = append(ends[id], st)
			}
		}
	}
	for id, want := range s.want {
		got := ends[id]
		if want == governance.StateSuperseded && len(got) > 0 {
			got = got[:1]
		}
		require.Equal(s.t, []governance.State{want}, got, "the question about %s", id)
		arguments, left := s.whole[id]
		require.Equal(s.t, want == governance.StateReleased, left, "%s, and the client has it: %v", id, left)
		if left {
			require.Equal(s.t, stormCall(strings.TrimPrefix(id, "call_storm")).Arguments, arguments)
		}
	}
}

func (s *storm) until(c *talk) bool {
	_, ok := s.hear(c)
	return ok
}

// hear sends a request again and again until it is answered whole.
func (s *storm) hear(c *talk) (seen, bool) {
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) && s.t.Context().Err() == nil {
		if got, ok := s.once(c); ok {
			return got, true
		}
		<-tick.C
	}
	return seen{}, false
}

func (s *storm) once(c *talk) (seen, bool) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	return s.saw(s.member().try(ctx, c.body()))
}

// recovers asserts that every process does the whole of it, without a restart.
func (s *storm) recovers() {
	s.t.Helper()
	s.mu.Lock()
	members := append([]*process(nil), s.members...)
	s.mu.Unlock()
	for _, p := range members {
		alone := &storm{witness: s.witness, t: s.t, members: []*process{p}}
		ask := newChat(fmt.Sprint("Refund order ", s.next.Add(1)))
		asked, ok := alone.hear(ask)
		require.True(s.t, ok, "no question after the fault")
		got, ok := alone.hear(ask.say(asked.text, "yes"))
		require.True(s.t, ok, "no release after the fault")
		require.Len(s.t, got.calls, 1)
	}
}

// load is what a process says of itself.
type load struct{ goroutines, heap, memory float64 }

func (p *process) load(t *testing.T) load {
	t.Helper()
	res, err := http.Get(strings.TrimSuffix(p.url, "/v1") + "/metrics")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	read := func(name string) float64 {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		require.NotNil(t, m, name)
		v, err := strconv.ParseFloat(string(m[1]), 64)
		require.NoError(t, err)
		return v
	}
	return load{read("go_goroutines"), read("go_memstats_heap_inuse_bytes"), read("process_resident_memory_bytes")}
}

// settles asserts that a process comes back to where it was before the faults:
// its goroutines, and its heap once a few requests have made it collect. What
// the system counts is given back late and has a wide bound; the soak watches it.
func (s *storm) settles(p *process, before load) {
	s.t.Helper()
	alone := &storm{witness: s.witness, t: s.t, members: []*process{p}}
	var now load
	defer func() {
		if s.t.Failed() {
			s.t.Logf("before: %+v, now: %+v", before, now)
		}
	}()
	awaitTrue(s.t, "goroutines and heap are back", func() bool {
		for range 50 {
			alone.once(newChat("Tell me of order 1").without())
		}
		now = p.load(s.t)
		return now.goroutines <= before.goroutines+10 && now.heap <= before.heap+24<<20
	})
	require.Less(s.t, now.memory, before.memory+300<<20)
}
