package conversations_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/conversations"
	"cadreen/conversations/answer"
	"cadreen/governance"
	"cadreen/store/sqlite"
)

// byName is a decider that goes by the tool's name.
type byName map[string]governance.Verdict

func (v byName) Decide(_ governance.Facts, calls []governance.Call) []governance.CallDecision {
	out := make([]governance.CallDecision, len(calls))
	for i, c := range calls {
		out[i] = governance.CallDecision{Call: c, Verdict: v[c.Name], ArgsDigest: governance.ActionDigest(c)}
	}
	return out
}
func (byName) Hosted(governance.Facts, string) bool { return false }
func (byName) ReadsReleased(string) bool            { return false }

// message is one message of a transcript.
type message struct {
	role, text string
	parts      bool // something beside text is in it
	ids        []string
}

func user(text string) message      { return message{role: "user", text: text} }
func assistant(text string) message { return message{role: "assistant", text: text} }
func system(text string) message    { return message{role: "system", text: text} }

type transcript []message

func (t transcript) Len() int                        { return len(t) }
func (t transcript) Role(i int) string               { return t[i].role }
func (t transcript) Text(i int) string               { return t[i].text }
func (t transcript) TextOnly(i int) bool             { return !t[i].parts }
func (t transcript) MayHold(i int, word string) bool { return strings.Contains(t[i].text, word) }
func (t transcript) CallIDs(i int) []string          { return t[i].ids }

// client is who sends a request, and how.
type client struct {
	key     string // alice if empty
	body    string // conversation_id
	named   string // a header's id
	noTools bool
	forced  bool
	retry   bool
	calls   []string // what the model proposes, if it is asked
	text    string   // what the model says before
}

// world is a real desk on a real file, and the walk of a request around it.
type world struct {
	t      *testing.T
	desk   *governance.Desk
	rules  byName
	offset atomic.Int64
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, rules: byName{"read": governance.Allow, "refund": governance.Confirm, "email": governance.Confirm,
		"wire": governance.Escalate, "drop": governance.Block}}
	engine, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "find.db"),
		sqlite.WithOffset(func() time.Duration { return time.Duration(w.offset.Load()) }))
	require.NoError(t, err)
	t.Cleanup(func() { _ = engine.Close() })
	w.desk = governance.NewDesk(engine, w.rules, governance.DeskOptions{Await: time.Millisecond})
	return w
}

func (w *world) later(d time.Duration) { w.offset.Add(int64(d)) }

func (c client) requester() governance.Requester {
	if c.key == "" {
		c.key = "alice"
	}
	key, _, _ := strings.Cut(c.key, "/")
	return governance.Requester{ID: c.key, KeyID: key}
}

func (w *world) find(c client, list ...message) conversations.Finding {
	f, err := conversations.Find(w.t.Context(), w.desk, conversations.Request{
		Workspace: "w", Principal: c.requester().ID, BodyID: c.body, NamedID: c.named, HasTools: !c.noTools, Forced: c.forced,
		Retry: c.retry, Now: time.Now().Add(time.Duration(w.offset.Load())), Transcript: transcript(list)})
	require.NoError(w.t, err)
	return f
}

// heard is what the client gets.
type heard struct {
	found  conversations.Finding
	result governance.Result
	text   string   // the assistant's text, with our prompt
	prompt string   // our prompt alone
	calls  []string // released, with their ids
	hold   governance.Hold
}

// send is the walk of one request: find, then answer or model, decide, hold.
func (w *world) send(c client, list ...message) heard {
	ctx := w.t.Context()
	f := w.find(c, list...)
	out := heard{found: f}
	switch f.What {
	case conversations.ForModel:
		for _, id := range f.Supersede {
			require.NoError(w.t, w.desk.Supersede(ctx, "w", id))
		}
		w.model(ctx, c, list, &out)
	case conversations.IsAnswer, conversations.IsPickup:
		a := governance.Answer{By: c.requester(), Retry: c.retry, Pickup: f.What == conversations.IsPickup, Items: f.Answer.Items,
			Yes: f.Answer.Kind == answer.Yes || f.Answer.Kind == answer.Items,
			Ask: func(h *governance.Hold, kept []governance.Call) governance.Asked {
				return w.asked(c, f, h, kept, list, "")
			}}
		done, err := w.desk.Answer(ctx, "w", f.Hold.ID, a)
		require.NoError(w.t, err)
		out.result, out.hold, out.prompt = done.Result, done.Hold, done.Hold.Prompt
		for _, r := range done.Calls {
			out.calls = append(out.calls, r.Call().ID)
		}
	}
	return out
}

func (w *world) model(ctx context.Context, c client, list []message, out *heard) {
	if len(c.calls) == 0 {
		out.text = "as you like"
		return
	}
	s := new(governance.Sealed)
	for i, name := range c.calls {
		call := s.Start(0, governance.FormFunction)
		call.Member("id", fmt.Appendf(nil, `"call_%s%d"`, name, i))
		call.Inner("name", fmt.Appendf(nil, "%q", name))
		call.Argument([]byte(`{\"amount\":750}`))
		s.Piece([]byte(name), 0)
	}
	p, err := w.desk.Plan(ctx, &governance.Turn{Sealed: s, AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: "w", Conversation: out.found.Conversation, Requester: c.requester()}})
	require.NoError(w.t, err)
	require.NotNil(w.t, p.Hold)
	var held []governance.Call
	for _, i := range p.Held() {
		held = append(held, p.Calls[i])
	}
	for try := 0; ; try++ {
		tag := ""
		if try > 0 {
			tag = fmt.Sprint("K", 1+try)
		}
		ask := w.asked(c, out.found, p.Hold, held, list, tag)
		_, err = w.desk.Commit(ctx, p, ask)
		if errors.Is(err, governance.ErrClaimed) && try < 5 {
			continue
		}
		require.NoError(w.t, err)
		out.hold, out.prompt, out.text = *p.Hold, ask.Prompt, ask.Prompt
		if c.text != "" {
			out.text = c.text + "\n\n" + ask.Prompt
		}
		return
	}
}

func (w *world) asked(c client, f conversations.Finding, h *governance.Hold, calls []governance.Call, list []message, tag string) governance.Asked {
	var items []conversations.Item
	for i, it := range h.Items {
		if it.Open() || it.Answer == governance.AnswerAlong {
			items = append(items, conversations.Item{Tool: it.Name, Verdict: it.Verdict, Arguments: calls[i].Arguments,
				EscalationID: it.Escalation, Also: it.Answer == governance.AnswerAlong})
		}
	}
	words := ""
	var whole []string
	for _, m := range list {
		whole = append(whole, m.role, conversations.Normalise(m.text))
		if m.role == "user" {
			words = m.text
		}
	}
	var digest []string
	for _, call := range calls {
		digest = append(digest, call.Name, call.Arguments)
	}
	p := conversations.Render(conversations.Ask{Items: items, UserText: words, ModelText: c.text != "", Tag: tag})
	norm := conversations.Normalise(p.Text)
	return governance.Asked{Prompt: p.Text, PromptPrint: conversations.Fingerprint(norm),
		Pair: conversations.Fingerprint(conversations.Normalise(words), norm), Transcript: conversations.Fingerprint(whole...),
		CallsDigest: conversations.Fingerprint(digest...), Group: f.Group, WithTools: !c.noTools, Tag: tag}
}

// state is how a hold stands now.
func (w *world) state(h governance.Hold) governance.State {
	list, err := w.desk.HoldsByConversation(w.t.Context(), "w", h.Principal, h.Conversation)
	require.NoError(w.t, err)
	i := slices.IndexFunc(list, func(have governance.Hold) bool { return have.ID == h.ID })
	require.GreaterOrEqual(w.t, i, 0)
	return list[i].State
}

// decide is a reviewer's decision about a hold's item.
func (w *world) decide(h governance.Hold, item int, decision, comment string) {
	_, err := w.desk.Resolve(w.t.Context(), "w", h.Items[item].Escalation, governance.Resolution{Decision: decision, Comment: comment,
		By: governance.Requester{ID: "reviewer", KeyID: "reviewer"}})
	require.NoError(w.t, err)
}
