package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/proxy/scripted"
	"cadreen/store"
)

// The lives of the settings, as the machine counts them.
const (
	protocolLife   = 15 * time.Minute
	protocolReplay = 2 * time.Minute
)

// asking is one question that was put, and what became of it.
type asking struct {
	chat    *chatUI
	group   string // the id that the request carried, with where it stood; "" is none
	user    string // the message before the question
	prompt  string
	before  string // the transcript it was asked in
	call    scripted.Call
	state   governance.State
	expires time.Duration
	closed  time.Duration
}

// chatUI is one chat of one person, as its program keeps it.
type chatUI struct {
	n        int
	key      string
	id       string // "", "body" or "header"
	stream   bool
	messages []line
	last     *asking // the question that stands last, nil if none does
}

type line struct{ role, text string }

func (c *chatUI) name() string { return fmt.Sprintf("chat-%s-%d", c.id, c.n) }

func (c *chatUI) group() string {
	if c.id == "" {
		return ""
	}
	return c.name()
}

// protocol is the program behind real sockets, beside a model of what GOVERNANCE 1 and 7 say of questions and answers.
type protocol struct {
	*rapid.T
	run    int
	proxy  *proxyUnderTest
	model  *scripted.Server
	crash  func() *proxyUnderTest // ends the program and starts it again on its store
	clock  *clock                 // nil where time cannot be moved
	now    time.Duration
	chats  []*chatUI
	asked  []*asking
	calls  int
	log    func() store.Engine
	logged int64 // the last entry of the log before this run
}

func (p *protocol) chat() *chatUI { return rapid.SampledFrom(p.chats).Draw(p.T, "chat") }

// pass ends what is over.
func (p *protocol) pass() {
	for _, a := range p.asked {
		if a.state == governance.StateHeld && p.now >= a.expires {
			a.end(governance.StateExpired, p.now)
		}
	}
}

func (a *asking) end(s governance.State, now time.Duration) { a.state, a.closed = s, now }

// edited is a message as a chat program sends it back: every program changes something else.
func (p *protocol) edited(l line) string {
	text := l.text
	switch rapid.SampledFrom([]string{"as it was", "as it was", "CRLF", "padded", "markdown", "reasoning", "parts"}).Draw(p.T, "edit") {
	case "CRLF":
		text = strings.ReplaceAll(text, "\n", "\r\n")
	case "padded":
		text = "\n " + text + " \n\n"
	case "markdown":
		if l.role == "assistant" {
			text = strings.ReplaceAll(text, "_", `\_`)
		}
	case "reasoning":
		if l.role == "assistant" {
			text = "<think>\nWhat would they say to this?\n</think>\n\n" + text
		}
	case "parts":
		half := len(text) / 2
		for half > 0 && (text[half] >= 0x80 || text[half-1] == '\n' || text[half] == '\n') {
			half--
		}
		if l.role == "assistant" || half == 0 {
			return `{"role":` + scripted.Quote(l.role) + `,"content":[{"type":"text","text":` + scripted.Quote(text) + `}]}`
		}
	}
	return said(l.role, text)
}

// transcript is what a chat sends: its messages, trimmed at the front where that leaves the question and what it was
// asked about, edited on the way.
func (p *protocol) transcript(c *chatUI, tools bool) *talk {
	lines := c.messages
	if len(lines) > 3 && rapid.Bool().Draw(p.T, "trim") {
		keep := rapid.IntRange(3, len(lines)).Draw(p.T, "keep")
		for lines[len(lines)-keep].role != "user" { // programs cut at a turn
			keep++
		}
		lines = lines[len(lines)-keep:]
	}
	t := newChat("").streaming(c.stream)
	t.messages = nil
	if rapid.Bool().Draw(p.T, "system") {
		t.messages = append(t.messages, said("system", fmt.Sprint("It is ", p.now, " now.")))
	}
	for _, l := range lines {
		t.messages = append(t.messages, p.edited(l))
	}
	if !tools {
		t = t.without()
	}
	if c.id == "body" {
		t = t.with(`,"conversation_id":` + scripted.Quote(c.name()))
	}
	return t
}

// send posts a chat's request and reads the reply.
func (p *protocol) send(c *chatUI, t *talk, headers ...string) (reply, seen) {
	headers = append(as(c.key), headers...)
	if c.id == "header" {
		headers = append(headers, "X-OpenWebUI-Chat-Id", c.name())
	}
	r, err := p.proxy.try(p.Context(), t.body(), headers...)
	require.NoError(p, err)
	require.NoError(p, r.broken)
	require.Equal(p, 200, r.status, r.body)
	got := r.read(p)
	require.Equal(p, t.stream, got.done)
	return r, got
}

// passedOver is what a message that is no answer ends.
func (p *protocol) passedOver(c *chatUI, tools bool) {
	for _, a := range p.asked {
		ends := c.id == "body" && a.chat.key == c.key && a.group == c.group()
		if c.id != "body" {
			ends = tools && c.last != nil && a == p.meant(c.last)
		}
		if ends && a.state == governance.StateHeld {
			a.end(governance.StateSuperseded, p.now)
		}
	}
}

// propose lets the user ask for something and the model propose a call for it.
func (p *protocol) propose(c *chatUI, text string) {
	p.passedOver(c, true)
	c.messages = append(c.messages, line{"user", text})
	p.ask(c)
}

// ask sends the chat as it is; the model answers with a call.
func (p *protocol) ask(c *chatUI) {
	p.calls++
	call := refund(fmt.Sprintf("call_%d_%d", p.run, p.calls), rapid.SampledFrom([]string{`{"order_id":"1"}`, `{"order_id": "1", "amount": 750.00}`, `{"order_id":"Z\u00fcrich"}`}).Draw(p.T, "arguments"))
	if rapid.Bool().Draw(p.T, "an id from the model again") {
		call.ID = "call_0"
	}
	p.model.Next(turnOf(c.stream, "", call))
	t := p.transcript(c, true)
	_, got := p.send(c, t)
	got.held(p, call.Name)
	a := &asking{chat: c, group: c.group(), user: c.messages[len(c.messages)-1].text, prompt: got.text, before: p.plain(c), call: call,
		state: governance.StateHeld, expires: p.now + protocolLife}
	for _, other := range p.asked {
		if other.same(a) && other.state == governance.StateHeld {
			// Only the same transcript with the same call takes a question's place; all others can be told apart.
			require.Equal(p, other.call.Arguments, call.Arguments)
			other.end(governance.StateSuperseded, p.now)
		}
	}
	p.asked = append(p.asked, a)
	c.messages = append(c.messages, line{"assistant", got.text})
	c.last = a
}

// plain is a transcript without its edits.
func (p *protocol) plain(c *chatUI) string { return fmt.Sprint(c.messages) }

// answer sends yes or no below the question that stands last.
func (p *protocol) answer(c *chatUI, word string, headers ...string) (reply, seen) {
	t := p.transcript(c, true)
	t.messages = append(t.messages, said("user", word))
	sofar := len(p.model.Requests())
	r, got := p.send(c, t, headers...)
	require.Len(p, p.model.Requests(), sofar, "an answer never reaches the model")
	return r, got
}

// takes is what an answer must hear by the model.
func (p *protocol) takes(a *asking, yes bool, got seen) {
	p.pass()
	if a.state != governance.StateHeld {
		got.silent(p)
		require.Contains(p, got.text, "Nothing was done", "the question is %s", a.state)
		return
	}
	if !yes {
		got.silent(p)
		a.end(governance.StateDenied, p.now)
		return
	}
	got.released(p, a.call)
	a.end(governance.StateReleased, p.now)
}

// same says that two questions cannot be told apart by a transcript: they were put in the same words, to the same
// person, below the same words.
func (a *asking) same(b *asking) bool {
	return a.chat.key == b.chat.key && a.group == b.group && a.user == b.user && a.prompt == b.prompt
}

// meant is the question that an answer below a is for: the one that is open among those like it, else the newest.
func (p *protocol) meant(a *asking) *asking {
	for _, b := range slices.Backward(p.asked) {
		if b.same(a) && b.state == governance.StateHeld {
			return b
		}
	}
	for _, b := range slices.Backward(p.asked) {
		if b.same(a) {
			return b
		}
	}
	return a
}

var protocolWords = map[bool][]string{true: {"yes", "Yes.", "ok", "go ahead", "\"yes\"", "ja", "YES!"}, false: {"no", "No.", "skip", "cancel", "nein"}}

var protocolSteps = map[string]func(p *protocol){
	"propose": func(p *protocol) {
		p.propose(p.chat(), rapid.SampledFrom([]string{"Refund order 1", "Refund order 1 please", "Refund Zürich"}).Draw(p.T, "words")+fmt.Sprint(" in run ", p.run))
	},
	"yes": func(p *protocol) { p.say(true) },
	"no":  func(p *protocol) { p.say(false) },
	// The same request again, as a program sends it whose reply was lost.
	"once more": func(p *protocol) {
		c := p.chat()
		if c.last == nil || c.last.state != governance.StateReleased || p.meant(c.last) != c.last {
			return
		}
		retry := rapid.Bool().Draw(p.T, "declared")
		var headers []string
		if retry {
			headers = []string{"X-Stainless-Retry-Count", "1"}
		}
		_, got := p.answer(c, "yes", headers...)
		if retry && p.now-c.last.closed <= protocolReplay {
			got.released(p, c.last.call)
			return
		}
		got.silent(p)
		require.Contains(p, got.text, "Nothing was done")
	},
	// A yes with a key, sent twice with the same bytes.
	"keyed yes": func(p *protocol) {
		c := p.chat()
		if c.last == nil || c.last.state != governance.StateHeld {
			return
		}
		p.calls++
		key := fmt.Sprint("key-", p.run, "-", p.calls)
		t := p.transcript(c, true)
		t.messages = append(t.messages, said("user", "yes"))
		first, got := p.send(c, t, "Idempotency-Key", key)
		p.takes(p.meant(c.last), true, got)
		second, _ := p.send(c, t, "Idempotency-Key", key)
		require.Equal(p, first.body, second.body)
		require.Equal(p, "true", second.header.Get("Idempotent-Replayed"))
	},
	// Words that are no answer end the question.
	"go on": func(p *protocol) {
		c := p.chat()
		p.passedOver(c, true)
		c.messages = append(c.messages, line{"user", rapid.SampledFrom([]string{"yes, but only 10", "What is the weather?", "is yes right?", "no, don't approve"}).Draw(p.T, "words")})
		p.model.Next(turnOf(c.stream, "Well."))
		_, got := p.send(c, p.transcript(c, true))
		got.silent(p)
		require.Equal(p, "Well.", got.text)
		c.messages, c.last = append(c.messages, line{"assistant", "Well."}), nil
	},
	// A title for the chat: below the question, without tools.
	"title": func(p *protocol) {
		c := p.chat()
		if len(c.messages) == 0 {
			return
		}
		p.passedOver(c, false)
		t := p.transcript(c, false)
		t.messages = append(t.messages, said("user", "Please give this chat a title of four words."))
		p.model.Next(turnOf(c.stream, "A Fine Title Here"))
		_, got := p.send(c, t)
		got.silent(p)
		require.Equal(p, "A Fine Title Here", got.text)
	},
	// The user lets the last reply be written again.
	"regenerate": func(p *protocol) {
		c := p.chat()
		if len(c.messages) < 2 {
			return
		}
		c.messages, c.last = c.messages[:len(c.messages)-1], nil
		if len(c.messages) > 2 {
			c.last = p.find(c, len(c.messages)-2) // the message may stand below a question
		}
		p.passedOver(c, true)
		c.last = nil
		p.ask(c)
	},
	// The user deletes what came after an earlier question, and may answer that one.
	"back": func(p *protocol) {
		c := p.chat()
		for at := len(c.messages) - 2; at > 0; at-- {
			if a := p.find(c, at); a != nil {
				c.messages, c.last = c.messages[:at+1], a
				return
			}
		}
	},
	// The user edits an earlier message: another branch, in a chat of its own.
	"branch": func(p *protocol) {
		c := p.chat()
		if len(c.messages) < 2 || len(p.chats) > 5 {
			return
		}
		at := rapid.IntRange(0, len(c.messages)/2-1).Draw(p.T, "at") * 2
		b := &chatUI{n: len(p.chats), key: c.key, stream: c.stream, messages: slices.Clone(c.messages[:at])}
		if at > 0 {
			// A question of a chat with an id is not this chat's, but one without an id that reads alike is.
			b.last = p.find(b, at-1)
		}
		p.chats = append(p.chats, b)
		p.propose(b, fmt.Sprint("Refund order 2 instead in run ", p.run))
	},
	// Another key says yes to what it read somewhere.
	"stranger": func(p *protocol) {
		c := p.chat()
		if c.last == nil {
			return
		}
		t := p.transcript(c, true)
		t.messages = append(t.messages, said("user", "yes"))
		stranger := *c
		stranger.key = keyOther
		_, got := p.send(&stranger, t)
		got.silent(p)
		require.Contains(p, got.text, "Nothing was done")
	},
	"clock": func(p *protocol) {
		if p.clock == nil {
			return
		}
		d := rapid.SampledFrom([]time.Duration{3 * time.Minute, 3 * time.Minute, 16 * time.Minute}).Draw(p.T, "by")
		p.clock.forward(d)
		p.now += d
		p.pass()
	},
	"crash": func(p *protocol) { p.proxy = p.crash() },
}

// find is the question that a message of a chat is.
func (p *protocol) find(c *chatUI, at int) *asking {
	if c.messages[at].role != "assistant" || at == 0 {
		return nil
	}
	for _, a := range slices.Backward(p.asked) {
		if a.prompt == c.messages[at].text && a.user == c.messages[at-1].text && a.chat.key == c.key && a.group == c.group() {
			return a
		}
	}
	return nil
}

func (p *protocol) say(yes bool) {
	c := p.chat()
	if c.last == nil {
		return
	}
	_, got := p.answer(c, rapid.SampledFrom(protocolWords[yes]).Draw(p.T, "word"))
	p.takes(p.meant(c.last), yes, got)
}

// check compares the log with the model: what was released was asked and said yes to, and everything ended once.
func (p *protocol) check() {
	ends, released, want := map[string]int{}, 0, 0
	records, _ := recordsIn(p.Context(), p, p.log(), p.logged)
	for _, r := range records {
		if r.Hold != "" && r.CallID == "" && r.State != governance.StateHeld {
			ends[r.Hold]++
		}
		if r.CallID != "" && r.Event == governance.EventRelease {
			released++
		}
	}
	for hold, n := range ends {
		require.Equal(p, 1, n, "%s ended %d times", hold, n)
	}
	for _, a := range p.asked {
		if a.state == governance.StateReleased {
			want++
		}
	}
	require.Equal(p, want, released, "releases in the log")
}

// runProtocol lets the machine run. restart ends the program and starts it again on its store; log reads that store.
func runProtocol(t *testing.T, model *scripted.Server, now *clock, proxy *proxyUnderTest, restart func() *proxyUnderTest, log func() store.Engine, longest int) {
	weights := map[string]int{"propose": 4, "yes": 8, "no": 2, "once more": 4, "keyed yes": 3, "regenerate": 2, "back": 4, "crash": 2}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(protocolSteps)) {
		names = append(names, slices.Repeat([]string{name}, max(1, weights[name]))...)
	}
	run, logged := 0, int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		p := &protocol{T: rt, run: run, proxy: proxy, model: model, clock: now, log: log}
		p.crash = func() *proxyUnderTest { proxy = restart(); return proxy }
		_, p.logged = recordsIn(rt.Context(), rt, log(), logged)
		logged = p.logged
		for i, id := range []string{"", "", "body", "header"} {
			p.chats = append(p.chats, &chatUI{n: 100*run + i, key: keyAnn, id: id, stream: rapid.Bool().Draw(rt, "stream")})
		}
		p.propose(p.chat(), fmt.Sprint("Refund order 1 in run ", run))
		for range rapid.IntRange(longest/2, longest).Draw(rt, "steps") {
			protocolSteps[rapid.SampledFrom(names).Draw(rt, "step")](p)
		}
		p.check()
	})
}

// The protocol on both stores, with time that moves and restarts in between.
func TestProtocolMachine(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		now := &clock{}
		model := scripted.New(t)
		s := setup{store: storeURL, backend: model.URL(), clock: now}
		proxy := start(t, s)
		runProtocol(t, model, now, proxy, func() *proxyUnderTest {
			require.NoError(t, proxy.main.Close())
			proxy = start(t, s)
			return proxy
		}, func() store.Engine { return proxy.main.engine }, 30)
	})
}

// The same without a clock, and killed instead of stopped.
func TestProtocolMachineWithKills(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		model := scripted.New(t)
		config := setup{store: storeURL, backend: model.URL()}.file(t)
		running := startProcess(t, config)
		engine := openEngine(t, storeURL)
		runProtocol(t, model, nil, &running.proxyUnderTest, func() *proxyUnderTest {
			running.kill()
			running = startProcess(t, config)
			return &running.proxyUnderTest
		}, func() store.Engine { return engine }, 20)
	})
}

// openEngine reads a store beside the program.
func openEngine(t *testing.T, url string) store.Engine {
	t.Helper()
	engine, err := openStore(t.Context(), config.Store{URL: config.NewURL(url)}, wallClock)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, engine.Close()) })
	return engine
}
