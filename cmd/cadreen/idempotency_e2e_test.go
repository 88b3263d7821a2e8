package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
	"cadreen/store/storetest"
)

const replayedHeader = "Idempotent-Replayed"

// key is the header pair of an Idempotency-Key.
func key(name string) []string { return []string{"Idempotency-Key", name} }

// asksAgain sends a request anew and requires the first answer, byte for byte.
func asksAgain(t *testing.T, p *proxyUnderTest, first reply, body string, headers ...string) {
	t.Helper()
	again := p.post(body, headers...)
	require.Equal(t, first.body, again.body)
	require.Equal(t, first.status, again.status)
	require.Equal(t, "true", again.header.Get(replayedHeader))
	require.Equal(t, first.trailer, again.trailer)
	for name := range first.header {
		if name != "Date" {
			require.Equal(t, first.header[name], again.header[name], name)
		}
	}
}

// One key, one request: sent twice it asks the model once and holds once.
func TestTheSameKeyAsksTheModelOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			p, model := startScripted(t, setup{store: storeURL})
			name := t.Name()
			ask := newChat("Refund order 456, " + name).streaming(stream)
			model.Next(turnOf(stream, "", refund("call_1", refundArgs)))
			first := p.post(ask.body(), key(name)...)
			first.read(t).held(t, "process_refund")
			require.Empty(t, first.header.Get(replayedHeader))
			asksAgain(t, p, first, ask.body(), key(name)...)
			// Older SDKs send the retry with an empty body.
			asksAgain(t, p, first, "", key(name)...)
			require.Len(t, model.Requests(), 1)

			other := p.post(newChat("something else").body(), key(name)...)
			require.Equal(t, 400, other.status)
			require.Contains(t, other.body, `"code":"invalid_request"`)
			require.Contains(t, other.body, `"param":"Idempotency-Key"`)
			require.Equal(t, "false", other.header.Get("X-Should-Retry"))
		})
	})
}

// A key is one within an API key, the person that the body names, and a route.
func TestTheScopeOfAKey(t *testing.T) {
	p, model := startScripted(t, setup{})
	ask := newChat("hello")
	says := func(text, body string, headers ...string) reply {
		t.Helper()
		model.Next(turnOf(false, text))
		r := p.post(body, append(key("k1"), headers...)...)
		require.Equal(t, text, r.read(t).text)
		return r
	}
	says("for Ann", ask.body())
	says("for Bob", ask.body(), as(keyBob)...)
	says("for another workspace", ask.body(), as(keyOther)...)
	says("for Ann's user", ask.with(`,"user_id":"u1"`).body())
	says("for Ann's end user", ask.with(`,"user":"u2"`).body())
	last := says("for Ann's other user", ask.with(`,"user_id":"u3"`).body())
	// Without a body nobody is named: it is a retry of the last request.
	asksAgain(t, p, last, "", key("k1")...)

	// The bases are one route, and another route is another key.
	_, body := p.exchange(t, "POST", "/api/v1/cadreen/chat/completions", keyAnn, ask.body(), key("k1")...)
	require.Contains(t, body, "for Ann")
	status, _ := p.call(t, "POST", "/v1/escalations/esc_none/resolve", keyRhea, `{"decision":"auto"}`, key("k1")...)
	require.Equal(t, 404, status)
	status, _ = p.call(t, "POST", "/v1/escalations/esc_other/resolve", keyRhea, `{"decision":"abstain"}`, key("k1")...)
	require.Equal(t, 404, status, "another escalation is another request")
	require.Zero(t, model.Pending())
}

func TestKeysThatAreNone(t *testing.T) {
	p, model := startScripted(t, setup{})
	for name, value := range map[string]string{"empty": "", "long": strings.Repeat("k", 256), "control": "a\tb", "not ASCII": "schlüssel"} {
		t.Run(name, func(t *testing.T) {
			r := p.post(newChat("hello").body(), key(value)...)
			require.Equal(t, 400, r.status, r.body)
			require.Contains(t, r.body, "Idempotency-Key")
		})
	}
	require.Empty(t, model.Requests())
	model.Next(turnOf(false, "fine"))
	require.Equal(t, "fine", p.post(newChat("hello").body(), key(strings.Repeat("~", 255))...).read(t).text)
}

// A retry while the first request still runs joins it; it is never a 409.
func TestTheSameKeyJoinsARunningRequest(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			gate := make(chan struct{})
			p, model := startScripted(t, setup{store: storeURL})
			model.Next(waiting(gate, stream, "joined"))
			joins(t, model, gate, newChat("hello").streaming(stream), p, p, p)
		})
	})
}

// Replicas share a store and nothing else.
func TestTheSameKeyJoinsARequestOfAnotherReplica(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		gate := make(chan struct{})
		s := setup{store: engines[1].url(t)}
		one, model := startScripted(t, s)
		s.backend = model.URL()
		two := start(t, s)
		model.Next(waiting(gate, stream, "joined"))
		joins(t, model, gate, newChat("hello").streaming(stream), one, two, two)
	})
}

// waiting is a model that answers when the gate opens.
func waiting(gate chan struct{}, stream bool, text string) scripted.Reply {
	h := scripted.Head{}
	if stream {
		return scripted.Stream(append([]scripted.Step{scripted.Wait(gate)}, scripted.Wire{}.Steps(h.Turn(text)...)...)...)
	}
	return func(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
		select {
		case <-gate:
			scripted.JSON(h.Completion(text))(w, r, got)
		case <-r.Context().Done():
		}
	}
}

// joins sends one request through each of the proxies before the model answers.
func joins(t *testing.T, model *scripted.Server, gate chan struct{}, ask *talk, through ...*proxyUnderTest) {
	t.Helper()
	answers := make(chan reply, len(through))
	for _, p := range through {
		go func() {
			r, err := p.try(context.WithoutCancel(t.Context()), ask.body(), key(t.Name())...)
			if err != nil {
				r.broken = err
			}
			answers <- r
		}()
	}
	_, err := model.Await(t.Context(), 1)
	require.NoError(t, err)
	close(gate)
	var first reply
	for range through {
		r := <-answers
		require.NoError(t, r.broken)
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "joined", r.read(t).text)
		if first.body != "" {
			require.Equal(t, first.body, r.body)
		}
		first = r
	}
	require.Len(t, model.Requests(), 1)
}

func TestAnAnswerIsReplayedAfterARestart(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			s := setup{store: storeURL}
			one, model := startScripted(t, s)
			s.backend = model.URL()
			ask := newChat("Refund order 456").streaming(stream).with(`,"user_id":"` + map[bool]string{true: "s", false: "j"}[stream] + `"`)
			model.Next(turnOf(stream, "Well.", refund("call_1", `{"order_id":"Z\u00fcrich", "amount":750.00}`)))
			first := one.post(ask.body(), key("k1")...)
			require.NoError(t, one.main.Close())

			two := start(t, s)
			asksAgain(t, two, first, ask.body(), key("k1")...)
			asksAgain(t, two, first, "", key("k1")...)
			require.Len(t, model.Requests(), 1)
			require.NoError(t, two.main.Close())
		})
	})
}

func TestAKeyIsFreeAfterADay(t *testing.T) {
	c := &clock{}
	p, model := startScripted(t, setup{clock: c})
	model.Next(turnOf(false, "today"), turnOf(false, "tomorrow"))
	first := p.post(newChat("hello").body(), key("k1")...)
	c.forward(24*time.Hour - time.Minute)
	asksAgain(t, p, first, newChat("hello").body(), key("k1")...)
	c.forward(time.Minute)
	require.Equal(t, "tomorrow", p.post(newChat("something else").body(), key("k1")...).read(t).text)
}

// kill -9 while the model is still thinking: nothing has happened, so the retry
// runs. Once a part of a stream has left it cannot be taken back.
func TestTheOwnerIsKilledWhileTheModelAnswers(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel() // the retries wait until the claims of the dead run out
			model := scripted.New(t)
			config := setup{store: e.url(t), backend: model.URL()}.file(t)
			one := startProcess(t, config)
			h := scripted.Head{}
			model.Next(scripted.Stream(scripted.Frame("data: "+h.Role(0)+"\n\ndata: "+h.Text(0, "Half")+"\n\n"), scripted.Stall()), scripted.Hang(), scripted.Hang())
			half := newChat("Half").streaming(true).body()
			res, err := one.open(t.Context(), half, key("half")...)
			require.NoError(t, err)
			defer res.Body.Close()
			lines := bufio.NewScanner(res.Body)
			for lines.Scan() && !strings.Contains(lines.Text(), "Half") {
				continue
			}
			var over sync.WaitGroup
			for _, stream := range []bool{false, true} {
				over.Go(func() {
					_, _ = one.try(context.WithoutCancel(t.Context()), newChat("Hang").streaming(stream).body(), key(fmt.Sprint(stream))...)
				})
			}
			_, err = model.Await(t.Context(), 3)
			require.NoError(t, err)
			one.kill()
			over.Wait()

			two := startProcess(t, config)
			retries := make(chan reply, 3)
			retry := func(body string, headers []string) {
				r, err := two.try(context.WithoutCancel(t.Context()), body, headers...)
				if err != nil {
					r.broken = err
				}
				retries <- r
			}
			model.Otherwise(func(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
				turnOf(strings.Contains(string(got.Body), `"stream":true`), "again")(w, r, got)
			})
			go retry(half, key("half"))
			go retry(newChat("Hang").body(), key("false"))
			go retry(newChat("Hang").streaming(true).body(), key("true"))
			again := 0
			for range 3 {
				r := <-retries
				require.NoError(t, r.broken)
				require.Equal(t, 200, r.status, r.body)
				if got := r.read(t); got.failed == "" {
					require.Equal(t, "again", got.text)
					require.Empty(t, r.header.Get(replayedHeader))
					again++
				}
			}
			require.Equal(t, 2, again)
			require.Len(t, model.Requests(), 5, "what had left was not asked for again")
			r := two.post(half, key("half")...)
			require.Equal(t, "true", r.header.Get(replayedHeader))
			require.True(t, strings.HasPrefix(r.body, `data: {"error":{`), r.body)
			require.Equal(t, "service_unavailable", r.read(t).failed)
			require.False(t, r.read(t).done)
		})
	}
}

// kill -9 after an answer released: the same key gets the same calls, from
// whichever of the two stores of the answer.
func TestTheOwnerIsKilledAfterARelease(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		model := scripted.New(t)
		config := setup{store: storeURL, backend: model.URL()}.file(t)
		one := startProcess(t, config)
		ask, call := newChat("Refund order 456"), refund("call_1", refundArgs)
		yes := ask.say(asks(t, &one.proxyUnderTest, model, ask, call).text, "yes").body()
		one.post(yes, key(t.Name())...).read(t).released(t, call)
		one.kill()
		two := startProcess(t, config)
		two.post(yes, key(t.Name())...).read(t).released(t, call)
		refused(t, &two.proxyUnderTest, model, yes)
	})
}

// A failure is not kept: the retry is a new attempt. A final refusal is kept.
func TestWhichErrorsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		reply  scripted.Reply
		status int
		kept   bool
	}{
		"503": {scripted.Status(200, "<html>"), 503, false},
		"429": {scripted.Error(429, "rate_limit_error", "slow", "slow down", "X-Should-Retry", "false"), 429, false},
		"400": {scripted.Error(400, "invalid_request_error", "too_long", "too long"), 400, true},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, stream bool) {
				p, model := startScripted(t, setup{})
				p.loose = true
				model.Next(c.reply)
				ask := newChat("hello").streaming(stream)
				first := p.post(ask.body(), key("k1")...)
				require.Equal(t, c.status, first.status, first.body)
				if c.kept {
					asksAgain(t, p, first, ask.body(), key("k1")...)
					return
				}
				model.Next(turnOf(stream, "now"))
				again := p.post(ask.body(), key("k1")...)
				require.Equal(t, "now", again.read(t).text)
				require.Empty(t, again.header.Get(replayedHeader))
			})
		})
	}
}

// A client that goes away takes its request with it, unless it gave a key: then
// the work goes on and the retry gets the answer.
func TestAClientThatGoesAway(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{})
		gate := make(chan struct{})
		model.Next(waiting(gate, stream, "worth waiting for"), scripted.Hang())
		leave := func(n int, body string, headers ...string) *scripted.Request {
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan struct{})
			go func() {
				defer close(over)
				_, _ = p.try(ctx, body, headers...)
			}()
			got, err := model.Await(t.Context(), n)
			require.NoError(t, err)
			cancel()
			<-over
			return got
		}
		ask := newChat("hello").streaming(stream)
		keyed := leave(1, ask.body(), key("k1")...)
		keyless := leave(2, ask.body())
		<-keyless.Gone()
		select {
		case <-keyed.Gone():
			require.Fail(t, "the work ended with its client")
		default:
		}
		close(gate)
		got := p.post(ask.body(), key("k1")...)
		require.Equal(t, "worth waiting for", got.read(t).text)
		require.Equal(t, "true", got.header.Get(replayedHeader))
		require.Len(t, model.Requests(), 2)
	})
}

func TestAYesWithAKeyTwice(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		bothWays(t, func(t *testing.T, stream bool) {
			p, model := startScripted(t, setup{store: storeURL})
			ask := newChat("Refund order 456").streaming(stream)
			call := refund("call_y", `{"order_id":"Z\u00fcrich", "amount":750.00}`)
			asked := asks(t, p, model, ask, call)
			yes := ask.say(asked.text, "yes").body()
			first := p.post(yes, key(t.Name())...)
			first.read(t).released(t, call)
			asksAgain(t, p, first, yes, key(t.Name())...)
			releases := 0
			for _, r := range p.records() {
				if r.Event == governance.EventRelease && r.CallID != "" {
					releases++
				}
			}
			require.Equal(t, map[bool]int{false: 1, true: 2}[stream], releases, "one for each form so far")
		})
	})
}

func TestAnEscalationIsResolvedOnceAKey(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL, policy: reviewRefunds})
		_, place := escalates(t, p, model, newChat("Refund order 456"), refund("call_e", refundArgs))
		decide := func(body string) (*http.Response, string) {
			return p.exchange(t, "POST", place+"/resolve", keyRhea, body, key("k1")...)
		}
		res, first := decide(`{"decision":"auto"}`)
		require.Equal(t, 200, res.StatusCode, first)
		for _, body := range []string{`{"decision":"auto"}`, ""} {
			again, text := decide(body)
			require.Equal(t, first, text)
			require.Equal(t, res.StatusCode, again.StatusCode)
			require.Equal(t, "true", again.Header.Get(replayedHeader))
			require.Equal(t, res.Header.Get("X-Cadreen-Trace-Id"), again.Header.Get("X-Cadreen-Trace-Id"))
		}
		other, text := decide(`{"decision":"abstain"}`)
		require.Equal(t, 400, other.StatusCode, text)
	})
}

// What is too long to be kept goes through, once.
func TestAnAnswerThatIsTooLongToBeKept(t *testing.T) {
	bothWays(t, func(t *testing.T, stream bool) {
		p, model := startScripted(t, setup{})
		text := strings.Repeat("0123456789abcdef", 9<<16)
		model.Next(turnOf(stream, text))
		ask := newChat("tell me everything").streaming(stream)
		require.Equal(t, len(text), len(p.post(ask.body(), key("k1")...).read(t).text))
		again := p.post(ask.body(), key("k1")...)
		require.Equal(t, "service_unavailable", again.read(t).failed)
		require.Equal(t, map[bool]int{false: 503, true: 200}[stream], again.status)
		require.Len(t, model.Requests(), 1)
	})
}

// OPERATE: without the store no key can be honoured.
func TestAKeyedRequestWhileTheStoreIsAway(t *testing.T) {
	redis, err := storetest.StartRedis(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(redis.Kill)
	p, model := startScripted(t, setup{store: "redis://" + redis.Addr})
	model.Next(turnOf(false, "just words"))
	require.Equal(t, "just words", p.post(newChat("hello").body()).read(t).text)
	redis.Kill()
	r := p.post(newChat("hello").body(), key("k1")...)
	require.Equal(t, 503, r.status)
	require.Contains(t, r.body, `"code":"store_unavailable"`)
	require.Len(t, model.Requests(), 1)
}
