package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/config"
	"cadreen/proxy/scripted"
)

// journal is a log that a test waits on.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newJournal() *journal { return &journal{more: make(chan struct{}, 1)} }

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	select {
	case j.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await answers the first line after the mark that holds the words.
func (j *journal) await(t *testing.T, mark int, words string) string {
	t.Helper()
	for {
		j.mu.Lock()
		text := j.text.String()[mark:]
		j.mu.Unlock()
		for line := range strings.Lines(text) {
			if strings.Contains(line, words) {
				return line
			}
		}
		select {
		case <-j.more:
		case <-t.Context().Done():
			require.Fail(t, "the log never said", words)
		}
	}
}

func (j *journal) mark() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Len()
}

// startWithPolicies is startScripted with a policy file that the test edits.
func startWithPolicies(t *testing.T, policy string) (p *proxyUnderTest, model *scripted.Server, edit func(string), log *journal) {
	t.Helper()
	model = scripted.New(t)
	path := setup{backend: model.URL(), policy: policy}.file(t)
	cfg, err := config.Load(path, nil)
	require.NoError(t, err)
	log = newJournal()
	m := &Main{Config: cfg, Stderr: log}
	require.NoError(t, m.Run(t.Context()))
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	file := filepath.Join(filepath.Dir(path), "policies", "policy.yaml")
	edit = func(text string) {
		t.Helper()
		// As editors do: a new file in the place of the old one.
		require.NoError(t, os.WriteFile(file+"~", []byte(text), 0o600))
		require.NoError(t, os.Rename(file+"~", file))
	}
	return &proxyUnderTest{t: t, url: m.URL() + "/v1", main: m}, model, edit, log
}

// A good edit counts from the next call on; a bad one is refused with its place
// and the old rules stay, and so on until it is mended.
func TestPoliciesChangeWhileTheProgramRuns(t *testing.T) {
	p, model, edit, log := startWithPolicies(t, allowAll)
	proposes := func() seen {
		t.Helper()
		model.Next(turnOf(false, "", refund("call_1", refundArgs)))
		return p.post(newChat("Refund it").body()).read(t)
	}
	proposes().released(t, refund("call_1", refundArgs))

	mark := log.mark()
	edit(blockRefunds)
	log.await(t, mark, "policies changed")
	require.Equal(t, "blocked", proposes().gate)

	for name, c := range map[string]struct{ text, says string }{
		"unknown field":  {strings.Replace(allowAll, "condition:", "conditoin:", 1), `policy\.yaml:5`},
		"bad condition":  {strings.Replace(allowAll, "'true'", "'args.amount >'", 1), `policy\.yaml:8`},
		"unknown effect": {strings.Replace(allowAll, "effect: allow", "effect: alow", 1), `policy\.yaml:8`},
		"no YAML":        {"name: [", `policy\.yaml:1`},
		"no CEL":         {"name: x\nrules:\n  - {id: a, condition: \"Refunds feel wrong\", tools: [process_refund]}\n", `policy\.yaml:3`},
	} {
		mark = log.mark()
		edit(c.text)
		line := log.await(t, mark, "changed policies are refused")
		require.Regexp(t, regexp.MustCompile(c.says), line, name)
		require.Equal(t, "blocked", proposes().gate, name)
	}
	mark = log.mark()
	edit(reviewRefunds)
	log.await(t, mark, "policies changed")
	require.Equal(t, "escalate", proposes().gate)
}

// What was approved is judged again when it leaves: a policy that became
// stricter counts, one that became looser releases.
func TestAYesAfterThePolicyChanged(t *testing.T) {
	ask := func(stream bool, words string) *talk { return newChat(words).streaming(stream) }
	bothWays(t, func(t *testing.T, stream bool) {
		p, model, edit, log := startWithPolicies(t, asksAll)
		call := refund("call_1", refundArgs)
		first, second, third := ask(stream, "Refund one"), ask(stream, "Refund two"), ask(stream, "Refund three")
		askedFirst, askedSecond, askedThird := asks(t, p, model, first, call), asks(t, p, model, second, call), asks(t, p, model, third, call)
		sofar := len(model.Requests())

		mark := log.mark()
		edit(blockRefunds)
		log.await(t, mark, "policies changed")
		got := p.post(first.say(askedFirst.text, "yes").body()).read(t)
		got.silent(t)
		require.Equal(t, "blocked", got.gate)
		require.Contains(t, got.text, "The policy changed and now blocks process_refund")
		require.Contains(t, got.text, "Refunds are closed")
		refused(t, p, model, first.say(askedFirst.text, "yes").body())

		mark = log.mark()
		edit(reviewRefunds)
		log.await(t, mark, "policies changed")
		got = p.post(second.say(askedSecond.text, "yes").body()).read(t)
		got.silent(t)
		require.Equal(t, "escalate", got.gate)
		require.Len(t, got.pending, 1)
		require.Contains(t, got.text, "A reviewer must approve before I can process_refund.")
		place := strings.Trim(string(got.pending[0]["approve_url"]), `"`)
		status, body := resolve(t, place, "auto", keyRhea)
		require.Equal(t, 200, status, body)
		p.post(second.say(askedSecond.text, "yes").say(got.text, "And now?").body()).read(t).released(t, call)

		mark = log.mark()
		edit(allowAll)
		log.await(t, mark, "policies changed")
		p.post(third.say(askedThird.text, "yes").body()).read(t).released(t, call)
		require.Len(t, model.Requests(), sofar)
	})
}
