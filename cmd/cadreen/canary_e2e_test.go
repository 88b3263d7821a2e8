package main

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
)

// Words that must stand in one place only. Those of people and models may lie where held calls and evidence lie, which can
// be erased; secrets may lie nowhere.
const (
	canaryKey      = "sk-canary-upstream-4d5e6f7a8b9c"
	canaryWords    = "canary-words-1f2e3d4c"
	canaryArgument = "canary-argument-9a8b7c6d"
	canarySecret   = "sk_live_canary5544332211"
	canaryStranger = "sk_cadreen_canarycanarycanarycanarycanary00"
)

// Everything is done once that can be done; then the canaries are searched for in the log, the traces, the audit, the
// metrics, the errors and every answer that is not the chat's own.
func TestCanariesStandNowhere(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		model := scripted.New(t)
		path := setup{backend: model.URL(), store: storeURL, keys: twoOperators, policy: reviewRefunds}.file(t)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, bytes.Replace(text, []byte("model: ''"), []byte("model: '', api_key: "+canaryKey), 1), 0o600))
		cfg, err := config.Load(path, nil)
		require.NoError(t, err)
		log := newJournal()
		m := &Main{Config: cfg, Stderr: log, LogLevel: slog.LevelDebug}
		require.NoError(t, m.Run(t.Context()))
		closed := false
		defer func() {
			if !closed {
				_ = m.Close()
			}
		}()
		p := &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m, loose: true}

		argument := `{"order_id":"` + canaryArgument + `","amount":%,"key":"` + canarySecret + `"}`
		var heard []string // answers that are not the chat's own words
		for _, stream := range []bool{false, true} {
			for _, amount := range []string{"20", "750"} { // allowed by the rule, and for a reviewer
				ask := newChat("Refund " + canaryWords + ", my key is " + canarySecret).streaming(stream).with(`,"user_id":"u1","context":{"domain":"shop"}`)
				model.Next(turnOf(stream, "Of course, "+canaryWords, refund("call_"+amount, strings.Replace(argument, "%", amount, 1))))
				got := p.post(ask.body(), "Accept", `application/json; profile="audit"`).read(t)
				if amount == "750" {
					require.Equal(t, "escalate", got.gate)
					p.post(ask.say(got.text, "no").body())
				}
			}
			held := newChat("Look up " + canaryWords).streaming(stream)
			held.tools = []string{`{"type":"function","function":{"name":"send_mail","description":"` + canaryWords + `","parameters":{"type":"object","properties":{"to":{"type":"string"}}}}}`}
			model.Next(turnOf(stream, "", scripted.Call{ID: "call_mail", Name: "send_mail", Arguments: `{"to":"` + canaryArgument + `"}`}))
			asked := p.post(held.body()).read(t)
			p.post(held.say(asked.text, "yes").body(), "Idempotency-Key", "canary").read(t)
			model.Next(scripted.Error(401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: "+canaryKey))
			heard = append(heard, p.post(newChat(canaryWords).streaming(stream).body()).body)
			model.Next(scripted.Error(500, "server_error", "", canaryKey+" "+canaryWords))
			heard = append(heard, p.post(newChat(canaryWords).streaming(stream).body()).body)
			heard = append(heard, p.post(`{"messages":[{"role":"user","content":"`+canaryWords+`"}],"n":0}`).body)
		}
		for _, c := range []struct{ method, path, key, body string }{
			{"POST", "/v1/chat/completions", canaryStranger, `{}`},
			{"POST", "/v1/policies/evaluate", keyOwner, `{"action":"process_refund","context":{"order_id":"` + canaryArgument + `","amount":20}}`},
			{"POST", "/v1/preconditions/check", keyOwner, `{"action":"process_refund","context":{"order_id":"` + canaryArgument + `","amount":20}}`},
			{"POST", "/v1/intent", keyOwner, `{"messages":[{"role":"user","content":"` + canaryWords + `"}],"mode":"execution"}`},
			{"GET", "/v1/escalations/esc_unknown", keyOwner, ""},
			{"GET", "/v1/nothing/" + canarySecret, keyOwner, ""},
		} {
			model.Otherwise(turnOf(false, "Well."))
			_, body := p.call(t, c.method, c.path, c.key, c.body)
			if c.path != "/v1/policies/evaluate" && c.path != "/v1/intent" {
				heard = append(heard, body)
			}
		}
		places := map[string]string{"errors": strings.Join(heard, "\n")}
		awaitTrue(t, "the traces are stored", func() bool {
			_, places["traces"] = p.call(t, "GET", "/v1/intelligence?limit=200", keyOwner, "")
			return strings.Count(places["traces"], `"request_path":`) >= 10
		})
		_, places["audit"] = p.call(t, "GET", "/v1/audit?limit=200", keyOwner, "")
		_, places["audit export"] = p.call(t, "GET", "/v1/audit/export", keyOwner, "")
		_, places["statistics"] = p.call(t, "GET", "/v1/intelligence/stats", keyOwner, "")
		_, places["metrics"] = p.call(t, "GET", "/metrics", "", "")
		for _, r := range p.records() {
			places["records"] += r.Reason + r.Tool + r.CallID + r.Principal + r.Conversation
		}
		require.NoError(t, m.Close())
		closed = true
		places["log"] = log.text.String()
		for place, text := range places {
			require.NotEmpty(t, text, place)
			for _, canary := range []string{canaryKey, canaryWords, canaryArgument, canarySecret, canaryStranger, keyAnn, keyOwner, keyRhea} {
				if strings.Contains(text, canary) {
					at := strings.Index(text, canary)
					t.Errorf("%s stands in the %s: …%s", canary, place, text[max(0, at-120):at+len(canary)])
				}
			}
		}
	})
}
