package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// killing is one run: a program that is killed at a step, and another one on the
// same store, which has to go on as if nothing had happened.
type killing struct {
	*witness
	t      *testing.T
	store  string
	model  *scripted.Server
	config string
	stream bool
	call   scripted.Call
	ask    *talk
}

// killedSteps are the steps of the walk. Each gets a program that stops there.
var killedSteps = []struct {
	step   string
	policy string
	run    func(k *killing, first *process)
}{
	// The question.
	{step: "before hold 1", run: func(k *killing, first *process) {
		k.nothing(k.killedIn(first, k.ask.body()))
		second := k.next()
		k.refused(second, k.ask.say(promptShort, "yes")) // nobody was asked
		k.releases(second, k.asks(second))
	}},
	{step: "after hold 1", run: func(k *killing, first *process) {
		k.nothing(k.killedIn(first, k.ask.body()))
		second := k.next()
		k.releases(second, k.asks(second)) // the question that nobody saw is replaced
		k.ends(governance.StateSuperseded, governance.StateReleased)
	}},
	// The yes.
	{step: "before released 1", run: func(k *killing, first *process) {
		yes := k.asks(first)
		k.nothing(k.killedIn(first, yes.body()))
		k.releases(k.next(), yes)
	}},
	{step: "after released 1", run: func(k *killing, first *process) {
		yes := k.asks(first)
		k.nothing(k.killedIn(first, yes.body())) // between the commit and the first byte
		k.releases(k.next(), yes)
	}},
	{step: "before delivery 1", run: func(k *killing, first *process) {
		yes := k.asks(first)
		s, ok := k.killedIn(first, yes.body())
		require.True(k.t, ok, "the reply was whole")
		s.released(k.t, k.call)
		// Nobody noted that it was, so the client may have it again, once.
		k.releases(k.next(), yes)
	}},
	{step: "after delivery 1", run: func(k *killing, first *process) {
		yes := k.asks(first)
		s, ok := k.killedIn(first, yes.body())
		require.True(k.t, ok)
		s.released(k.t, k.call)
		k.refused(k.next(), yes)
	}},
	// The no.
	{step: "before denied 1", run: func(k *killing, first *process) {
		asked := k.asks(first)
		no := asked.instead("no")
		k.nothing(k.killedIn(first, no.body()))
		second := k.next()
		k.silent(second, no)
		k.refused(second, asked)
		k.ends(governance.StateDenied)
	}},
	{step: "after denied 1", run: func(k *killing, first *process) {
		asked := k.asks(first)
		k.nothing(k.killedIn(first, asked.instead("no").body()))
		second := k.next()
		k.silent(second, asked.instead("no"))
		k.refused(second, asked)
		k.ends(governance.StateDenied)
	}},
	// Another message.
	{step: "before superseded 1", run: func(k *killing, first *process) {
		asked := k.asks(first)
		other := asked.instead("How are you?")
		k.nothing(k.killedIn(first, other.body()))
		second := k.next()
		k.model.Next(turnOf(k.stream, "fine"))
		k.silent(second, other)
		k.refused(second, asked)
		k.ends(governance.StateSuperseded)
	}},
	{step: "after superseded 1", run: func(k *killing, first *process) {
		asked := k.asks(first)
		k.nothing(k.killedIn(first, asked.instead("How are you?").body()))
		k.refused(k.next(), asked)
		k.ends(governance.StateSuperseded)
	}},
	// A call that needs nobody's word.
	{step: "before allow 1", policy: allowAll, run: func(k *killing, first *process) {
		k.model.Next(turnOf(k.stream, "", k.call))
		k.nothing(k.killedIn(first, k.ask.body()))
		require.Empty(k.t, readLedger(k.t, k.store, "shop").allowed)
		k.model.Next(turnOf(k.stream, "", k.call))
		k.releases(k.next(), k.ask)
	}},
	{step: "after allow 1", policy: allowAll, run: func(k *killing, first *process) {
		k.model.Next(turnOf(k.stream, "", k.call))
		k.nothing(k.killedIn(first, k.ask.body()))
		require.Equal(k.t, map[string]int{k.call.ID: 1}, readLedger(k.t, k.store, "shop").allowed)
		k.model.Next(turnOf(k.stream, "", k.call))
		k.releases(k.next(), k.ask)
	}},
	// A reviewer's word.
	{step: "before held 1", policy: reviewRefunds, run: reviewed},
	{step: "after held 1", policy: reviewRefunds, run: reviewed},
}

// reviewed is killed while the reviewer's decision is written.
func reviewed(k *killing, first *process) {
	asked, place := escalates(k.t, &first.proxyUnderTest, k.model, k.ask, k.call)
	over := make(chan error, 1)
	go func() {
		r, err := http.NewRequestWithContext(context.WithoutCancel(k.t.Context()), http.MethodPost, place+"/resolve", strings.NewReader(`{"decision":"auto"}`))
		if err == nil {
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Authorization", "Bearer "+keyRhea)
			var res *http.Response
			if res, err = http.DefaultTransport.RoundTrip(r); err == nil {
				err = errors.Join(errors.New("it was answered: "+res.Status), res.Body.Close())
			}
		}
		over <- err
	}()
	first.awaitStop(k.t)
	first.kill()
	require.NotContains(k.t, (<-over).Error(), "it was answered")
	second := k.next()
	place = strings.TrimSuffix(second.url, "/v1") + place[strings.Index(place, "/api/v1"):]
	status, body := resolve(k.t, place, "auto", keyRhea)
	require.Equal(k.t, 200, status, body)
	var again governance.Escalation
	require.Equal(k.t, 200, second.get(k.t, place, keyRhea, &again))
	require.Equal(k.t, "auto", again.Resolution)
	k.releases(second, k.ask.say(asked.text, "And now?"))
	k.ends(governance.StateReleased)
}

// Kill -9 at every step of the walk: nothing leaves without its record, nothing
// is recorded twice, and the next process answers for all of it.
func TestChaosKillAtEveryStep(t *testing.T) {
	for i, c := range killedSteps {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			for j, e := range engines {
				for _, stream := range []bool{false, true} {
					if !chaosWhole() && stream == ((i+j)%2 == 0) {
						continue // a bounded run takes every other one
					}
					t.Run(fmt.Sprintf("%s stream %v", e.name, stream), func(t *testing.T) {
						t.Parallel()
						k := newKilling(t, e.url(t), c.policy, stream)
						c.run(k, startStepped(t, k.config, c.step, 0))
						k.audit(t, k.store, "shop")
					})
				}
			}
		})
	}
}

func newKilling(t *testing.T, storeURL, policy string, stream bool) *killing {
	model := scripted.New(t)
	return &killing{witness: newWitness(), t: t, store: storeURL, model: model, stream: stream,
		config: setup{store: storeURL, backend: model.URL(), policy: policy}.file(t),
		call:   refund("call_killed", `{"order_id":"Z\u00fcrich", "amount":750.00}`), ask: newChat("Refund order 456").streaming(stream)}
}

// next is the process that comes after, the program as it is.
func (k *killing) next() *process { return startProcess(k.t, k.config) }

// killedIn sends a request, waits until the program stops at its step and kills
// it; what the client then has is the outcome.
func (k *killing) killedIn(p *process, body string) (seen, bool) {
	k.t.Helper()
	if !strings.Contains(body, `"role":"assistant"`) && k.model.Pending() == 0 {
		k.model.Next(turnOf(k.stream, "", k.call))
	}
	type outcome struct {
		s  seen
		ok bool
	}
	over := make(chan outcome, 1)
	go func() {
		s, ok := k.saw(p.try(context.WithoutCancel(k.t.Context()), body))
		over <- outcome{s, ok}
	}()
	p.awaitStop(k.t)
	p.kill()
	got := <-over
	return got.s, got.ok
}

// nothing asserts that a client got no call and no tidy end.
func (k *killing) nothing(s seen, ok bool) {
	k.t.Helper()
	require.False(k.t, ok, "the reply was whole")
	require.False(k.t, s.done)
	s.silent(k.t)
}

// asks brings the conversation to its question and answers it with the yes to that.
func (k *killing) asks(p *process) *talk {
	k.t.Helper()
	k.model.Next(turnOf(k.stream, "", k.call))
	s, ok := k.saw(p.try(k.t.Context(), k.ask.body()))
	require.True(k.t, ok)
	s.held(k.t, k.call.Name)
	return k.ask.say(s.text, "yes")
}

// instead is the same conversation with another last message.
func (c *talk) instead(user string) *talk {
	next := *c
	next.messages = append(append([]string(nil), c.messages[:len(c.messages)-1]...), said("user", user))
	return &next
}

func (k *killing) releases(p *process, c *talk) {
	k.t.Helper()
	s, ok := k.saw(p.try(k.t.Context(), c.body()))
	require.True(k.t, ok, s.text)
	s.released(k.t, k.call)
	if len(c.messages) > 1 {
		k.refused(p, c) // once
	}
}

func (k *killing) silent(p *process, c *talk) seen {
	k.t.Helper()
	s, ok := k.saw(p.try(k.t.Context(), c.body()))
	require.True(k.t, ok, s.text)
	s.silent(k.t)
	return s
}

func (k *killing) refused(p *process, c *talk) {
	k.t.Helper()
	require.Regexp(k.t, "Nothing was done|already released|has expired|And now", k.silentOrModel(p, c))
}

// silentOrModel answers what was said, by us or by the model.
func (k *killing) silentOrModel(p *process, c *talk) string {
	k.t.Helper()
	if !strings.HasSuffix(c.messages[len(c.messages)-1], `"content":"yes"}`) {
		k.model.Next(turnOf(k.stream, "And now?"))
	}
	return k.silent(p, c).text
}

// ends asserts the ends of the holds, in any order.
func (k *killing) ends(want ...governance.State) {
	k.t.Helper()
	var got []governance.State
	for _, list := range readLedger(k.t, k.store, "shop").ends {
		got = append(got, list...)
	}
	require.ElementsMatch(k.t, want, got)
}

// The sweeper is killed in the middle of its work: what it had not done is done
// by the next, and nothing twice.
func TestChaosKillDuringTheSweep(t *testing.T) {
	for i, e := range engines {
		for j, when := range []string{"before", "after"} {
			if !chaosWhole() && (i+j)%2 == 0 {
				continue
			}
			t.Run(e.name+" "+when, func(t *testing.T) {
				t.Parallel()
				k := newKilling(t, e.url(t), "", false)
				first := k.next()
				const holds = 4
				for n := range holds {
					k.ask, k.call = newChat(fmt.Sprint("Refund order ", n)), refund(fmt.Sprint("call_sweep", n), refundArgs)
					k.asks(first)
				}
				first.kill()
				second := startStepped(t, k.config, when+" expired 3", 16*time.Minute)
				second.awaitStop(t)
				second.kill()
				require.Len(t, readLedger(t, k.store, "shop").ends, map[string]int{"before": 2, "after": 3}[when])
				third := startStepped(t, k.config, "", 16*time.Minute)
				awaitTrue(t, "every hold is over", func() bool { return len(readLedger(t, k.store, "shop").ends) == holds })
				k.refused(third, k.ask.say(promptShort, "yes"))
				third.terminate(t)
				for _, h := range k.audit(t, k.store, "shop").holds {
					require.Equal(t, governance.StateExpired, h.State)
				}
			})
		}
	}
}

// Killed while a release is being written: the client has a part of it, knows
// that it is not whole, and gets all of it from the next process.
func TestChaosKillInTheMiddleOfARelease(t *testing.T) {
	for i, e := range engines {
		for _, stream := range []bool{false, true} {
			if !chaosWhole() && stream == (i == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s stream %v", e.name, stream), func(t *testing.T) {
				t.Parallel()
				k := newKilling(t, e.url(t), "", stream)
				k.config = setup{store: k.store, backend: k.model.URL(), yaml: "limits: {kept: 64 MiB}\n"}.file(t)
				// More than the network's buffers hold.
				k.call = refund("call_killed", `{"order_id":"`+strings.Repeat("x", 12<<20)+`"}`)
				first := k.next()
				yes := k.asks(first)
				part := k.halfOf(first, yes.body())
				require.Contains(t, part.body, "xxxx")
				s, ok := k.saw(part, nil)
				require.False(t, ok)
				require.False(t, s.done)
				k.releases(k.next(), yes)
				k.audit(t, k.store, "shop")
			})
		}
	}
}

// halfOf reads the beginning of a reply, kills the program, and reads the rest.
func (k *killing) halfOf(p *process, body string) reply {
	k.t.Helper()
	res, err := p.open(k.t.Context(), body)
	require.NoError(k.t, err)
	defer res.Body.Close()
	var b bytes.Buffer
	_, err = io.CopyN(&b, res.Body, 64<<10)
	require.NoError(k.t, err)
	p.kill()
	_, broken := io.Copy(&b, res.Body)
	require.ErrorIs(k.t, broken, io.ErrUnexpectedEOF)
	return reply{status: res.StatusCode, header: res.Header, body: b.String(), broken: broken}
}

// A process that dies takes its connections along; one that was not answered
// is a broken connection and nothing else.
func TestChaosAKilledProcessAnswersNothing(t *testing.T) {
	k := newKilling(t, engines[0].url(t), "", false)
	p := k.next()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(p.url, "http://"), "/v1"))
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	require.NoError(t, err)
	p.kill()
	_, err = bufio.NewReader(conn).ReadByte()
	require.Error(t, err)
}
