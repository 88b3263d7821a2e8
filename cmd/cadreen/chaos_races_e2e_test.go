package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/proxy/scripted"
)

// numbered lets the model answer any request with a call that carries the number in its last message.
func numbered(model *scripted.Server) {
	model.Otherwise(func(w http.ResponseWriter, r *http.Request, got *scripted.Request) {
		body := string(got.Body)
		n := body[strings.LastIndex(body, "<")+1 : strings.LastIndex(body, ">")]
		turnOf(strings.Contains(body, `"stream":true`), "", refund("call_"+n, `{"order_id":"`+n+`"}`))(w, r, got)
	})
}

// releasesOf counts the release records of each call.
func (p *proxyUnderTest) releasesOf() map[string]int {
	p.t.Helper()
	list := map[string]int{}
	for _, r := range p.records() {
		if r.Event == governance.EventRelease && r.CallID != "" {
			list[r.CallID]++
		}
	}
	return list
}

// Two yeses to each question, at the same time, one to each of two replicas: one release record each, and never more
// than the calls of that record. Ten thousand in make chaos, in batches.
func TestChaosDoubleAnswersOverTwoReplicas(t *testing.T) {
	const batch = 50
	model := scripted.New(t)
	numbered(model)
	storeURL := engines[1].url(t)
	replicas := []*proxyUnderTest{start(t, setup{store: storeURL, backend: model.URL()}), start(t, setup{store: storeURL, backend: model.URL()})}
	total := 500 * chaosTimes()
	for from := 0; from < total; from += batch {
		answers := make([][2]reply, batch)
		var group sync.WaitGroup
		for i := range batch {
			group.Go(func() {
				ask := newChat(fmt.Sprintf("Refund <%d>", from+i)).streaming(i%2 == 0)
				asked, err := atOnce(t, replicas[i%2], ask.body()).parse()
				if err != nil {
					return // and no call will be found below
				}
				yes := ask.say(asked.text, "yes").body()
				var both sync.WaitGroup
				for j, p := range replicas {
					both.Go(func() { answers[i][j] = atOnce(t, p, yes) })
				}
				both.Wait()
			})
		}
		group.Wait()
		for i, pair := range answers {
			released := 0
			for _, r := range pair {
				require.NoError(t, r.broken)
				if got := r.read(t); len(got.calls) > 0 {
					got.released(t, refund(fmt.Sprint("call_", from+i), fmt.Sprintf(`{"order_id":"%d"}`, from+i)))
					released++
				} else {
					require.Contains(t, got.text, "Nothing was done")
				}
			}
			// The second is only given the same calls while the first reply is not known to have been written.
			require.GreaterOrEqual(t, released, 1, "order %d", from+i)
		}
	}
	records := replicas[0].releasesOf()
	require.Len(t, records, total)
	for id, n := range records {
		require.Equal(t, 1, n, id)
	}
}

// raced is a store with one or two replicas, and a policy that blocks refunds while it is enforced.
type raced struct {
	one, two *proxyUnderTest
	model    *scripted.Server
	clock    *clock
	policy   string
}

// makesPolicy makes a policy that was confirmed once and retired.
func makesPolicy(t *testing.T, p *proxyUnderTest) string {
	status, body := p.call(t, http.MethodPost, "/v1/policies", keyOmar, `{"name":"Closed","rules":[{"tools":["process_refund"],"when":"true","effect":"block"}]}`)
	require.Equal(t, http.StatusOK, status, body)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	status, body = p.call(t, http.MethodPost, "/v1/policies/"+made.ID+"/confirm", keyOmar, `{"version":1}`)
	require.Equal(t, http.StatusOK, status, body)
	status, body = p.call(t, http.MethodDelete, "/v1/policies/"+made.ID, keyOmar, "")
	require.Equal(t, http.StatusNoContent, status, body)
	return made.ID
}

// A yes against whatever else can happen to its question at that moment. Whoever wins, the log has one end of each hold,
// a call left if and only if that end is a release, and everybody heard the truth.
func TestChaosAYesAgainst(t *testing.T) {
	for name, against := range map[string]func(w *raced, ask *talk, asked seen){
		"a no": func(w *raced, ask *talk, asked seen) { atOnce(t, w.two, ask.say(asked.text, "no").body()) },
		"the user going on": func(w *raced, ask *talk, asked seen) {
			atOnce(t, w.two, ask.say(asked.text, "What is the weather?").body())
		},
		"the end of its time": func(w *raced, _ *talk, _ seen) { w.clock.forward(16 * time.Minute) },
		"the same transcript asking again": func(w *raced, ask *talk, _ seen) {
			atOnce(t, w.two, ask.body())
		},
		"a policy that blocks it": func(w *raced, ask *talk, _ seen) {
			sendAtOnce(t, w.two.url+"/policies/"+w.policy+"/rollback", keyOmar, "{}")
			// Where it was confirmed it counts from then on.
			if later := atOnce(t, w.two, ask.body()); later.broken != nil || !strings.Contains(later.body, `"gate":"blocked"`) {
				t.Errorf("after the policy was confirmed: %v %s", later.broken, later.body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, storeURL string) {
				w := &raced{model: scripted.New(t), clock: &clock{}}
				numbered(w.model)
				s := setup{store: storeURL, backend: w.model.URL(), clock: w.clock}
				w.one = start(t, s)
				w.two = w.one
				if strings.HasPrefix(storeURL, "redis") {
					w.two = start(t, s)
				}
				w.policy = makesPolicy(t, w.one)
				left := map[string]bool{}
				rounds := 30 * chaosTimes()
				for i := range rounds {
					ask := newChat(fmt.Sprintf("Refund it <%d>", i))
					asked := w.one.post(ask.body()).read(t)
					asked.held(t, "process_refund")
					var yes reply
					var group sync.WaitGroup
					group.Go(func() { yes = atOnce(t, w.one, ask.say(asked.text, "yes").body()) })
					group.Go(func() { against(w, ask, asked) })
					group.Wait()
					require.NoError(t, yes.broken)
					got := yes.read(t)
					if len(got.calls) > 0 {
						got.released(t, refund(fmt.Sprint("call_", i), fmt.Sprintf(`{"order_id":"%d"}`, i)))
						left[fmt.Sprint("call_", i)] = true
					} else {
						got.silent(t)
						require.Regexp(t, "Nothing was done|it was not done", got.text)
					}
					if name == "a policy that blocks it" {
						status, body := w.one.call(t, http.MethodDelete, "/v1/policies/"+w.policy, keyOmar, "")
						require.Equal(t, http.StatusNoContent, status, body)
					}
				}
				w.clock.forward(time.Hour) // whatever is still open ends
				w.one.awaitEnds(t)
				records := w.one.releasesOf()
				for id, n := range records {
					require.Equal(t, 1, n, id)
					require.True(t, left[id], "%s was released, and nobody got it", id)
				}
				require.Len(t, records, len(left))
			})
		})
	}
}

// awaitEnds waits until every hold has ended, and asserts that each did once.
func (p *proxyUnderTest) awaitEnds(t *testing.T) {
	t.Helper()
	awaitTrue(t, "every hold has ended", func() bool {
		holds, ends := map[string]bool{}, map[string]int{}
		for _, r := range p.records() {
			if r.Hold == "" {
				continue
			}
			holds[r.Hold] = true
			if r.CallID == "" && r.State != governance.StateHeld {
				ends[r.Hold]++
			}
		}
		for hold, n := range ends {
			require.Equal(t, 1, n, "%s ended %d times", hold, n)
		}
		return len(holds) > 0 && len(ends) == len(holds)
	})
}

// A reviewer's decision against everything the requester can do.
func TestChaosAReviewerAgainst(t *testing.T) {
	for name, against := range map[string]func(p *proxyUnderTest, ask *talk, asked seen, place string){
		"a no of the requester": func(p *proxyUnderTest, ask *talk, asked seen, _ string) {
			atOnce(t, p, ask.say(asked.text, "no").body())
		},
		"the other decision": func(_ *proxyUnderTest, _ *talk, _ seen, place string) { decideAtOnce(t, place, "abstain") },
		"the same decision":  func(_ *proxyUnderTest, _ *talk, _ seen, place string) { decideAtOnce(t, place, "auto") },
	} {
		t.Run(name, func(t *testing.T) {
			onBothStores(t, func(t *testing.T, storeURL string) {
				model := scripted.New(t)
				numbered(model)
				p := start(t, setup{store: storeURL, backend: model.URL(), policy: reviewRefunds})
				rounds := 20 * chaosTimes()
				var later []string // the next request of each conversation
				for i := range rounds {
					ask := newChat(fmt.Sprintf("Refund it <%d>", i)).with(fmt.Sprintf(`,"conversation_id":"conv_%d"`, i))
					asked := p.post(ask.body()).read(t)
					require.Equal(t, "escalate", asked.gate)
					var place string
					require.NoError(t, json.Unmarshal(asked.pending[0]["approve_url"], &place))
					var group sync.WaitGroup
					group.Go(func() { decideAtOnce(t, place, "auto") })
					group.Go(func() { against(p, ask, asked, place) })
					group.Wait()
					later = append(later, ask.say(asked.text, "And now?").body())
				}
				decisions, released := map[string]int{}, p.releasesOf()
				for _, r := range p.records() {
					if r.Event == governance.EventEscalation {
						decisions[r.Hold]++
					}
				}
				for hold, n := range decisions {
					require.Equal(t, 1, n, "%s was decided %d times", hold, n)
				}
				if name != "a no of the requester" { // which may come first, and then there is nothing to decide
					require.Len(t, decisions, rounds)
				}
				require.Empty(t, released, "nothing leaves before the next request of the conversation")
				for _, body := range later {
					require.NoError(t, atOnce(t, p, body).broken)
				}
				released = p.releasesOf()
				switch name {
				case "a no of the requester":
					require.Empty(t, released, "a no before or after the decision takes the request back")
				case "the same decision":
					require.Len(t, released, rounds)
				}
				for id, n := range released {
					require.Equal(t, 1, n, id)
				}
			})
		})
	}
}

// decideAtOnce posts a reviewer's decision, for goroutines.
func decideAtOnce(t *testing.T, place, decision string) {
	sendAtOnce(t, place+"/resolve", keyRhea, `{"decision":"`+decision+`"}`)
}

// sendAtOnce posts whatever comes of it, for goroutines.
func sendAtOnce(t *testing.T, url, key, body string) {
	r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	_ = res.Body.Close()
}
