package conversations_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/conversations"
	"cadreen/governance"
)

func TestABareWordWithABodyID(t *testing.T) { // TRAPS Approvals 2, C 36
	bare := client{body: "a"}
	ask := func(w *world, wish string, calls ...string) heard {
		return w.send(client{named: "a", calls: calls}, user(wish))
	}

	t.Run("nothing open", func(t *testing.T) {
		w := newWorld(t)
		require.Equal(t, conversations.ForModel, w.find(bare, user("yes")).What)
	})
	t.Run("one open", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		require.Len(t, w.send(bare, user("yes")).calls, 1)
	})
	t.Run("one open, by header only", func(t *testing.T) {
		w := newWorld(t)
		asked := ask(w, wish, "refund")
		require.Equal(t, conversations.ForModel, w.send(client{named: "a"}, user("yes")).found.What)
		require.Equal(t, governance.StateHeld, w.state(asked.hold))
	})
	t.Run("two open", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		ask(w, "and mail them", "email")
		f := w.find(bare, user("yes"))
		require.Equal(t, conversations.IsUnclear, f.What)
		require.Len(t, f.Open, 2)
		require.Empty(t, f.Supersede)
	})
	t.Run("one that waits for the requester and one for a reviewer", func(t *testing.T) {
		w := newWorld(t)
		asked := ask(w, wish, "refund")
		ask(w, "wire it", "wire")
		out := w.send(bare, user("yes"))
		require.Equal(t, asked.hold.ID, out.hold.ID)
		require.Len(t, out.calls, 1)
	})
	t.Run("one that waits for a reviewer", func(t *testing.T) {
		w := newWorld(t)
		ask(w, "wire it", "wire")
		require.Equal(t, governance.ResultWaiting, w.send(bare, user("yes")).result)
		require.Equal(t, conversations.ForModel, w.find(bare, user("1")).What)
	})
	t.Run("sent again after the release", func(t *testing.T) {
		w := newWorld(t)
		asked := ask(w, wish, "refund")
		w.send(bare, user("yes"))
		require.NoError(t, w.desk.Delivered(t.Context(), "w", governance.Hold{ID: asked.hold.ID}, true))
		require.Equal(t, governance.ResultAlready, w.send(bare, user("yes")).result)
		require.Len(t, w.send(client{body: "a", retry: true}, user("yes")).calls, 1)
	})
	t.Run("a no after the release", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		w.send(bare, user("yes"))
		require.Empty(t, w.send(client{body: "a", retry: true}, user("no")).calls)
	})
	t.Run("after the expiry", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		w.later(16 * time.Minute)
		out := w.send(bare, user("yes"))
		require.Equal(t, governance.ResultOver, out.result)
		require.Equal(t, governance.StateExpired, out.hold.State)
	})
	t.Run("long after the expiry", func(t *testing.T) {
		w := newWorld(t)
		asked := ask(w, wish, "refund")
		w.later(16 * time.Minute)
		require.Equal(t, governance.StateExpired, w.state(asked.hold))
		w.later(2 * time.Hour)
		require.Equal(t, conversations.ForModel, w.find(bare, user("yes")).What)
	})
	t.Run("after the requester went on", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		w.send(bare, user("what is the weather?"))
		require.Equal(t, conversations.ForModel, w.find(bare, user("yes")).What)
	})
	t.Run("with an assistant message that is no prompt", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund")
		require.Equal(t, conversations.ForModel, w.find(bare, assistant("Shall I tell a joke?"), user("yes")).What)
	})
	t.Run("a number outside the list", func(t *testing.T) {
		w := newWorld(t)
		ask(w, wish, "refund", "email")
		require.Equal(t, conversations.ForModel, w.find(bare, user("1,3")).What)
		require.Equal(t, conversations.IsAnswer, w.find(bare, user("1,2")).What)
	})
}

func TestWhatIsPassedOver(t *testing.T) { // TRAPS Approvals 1, 3, 6
	for name, c := range map[string]struct {
		asks, says client
		calls      []string
		list       func(prompt string) []message
		want       governance.State
	}{
		"a message right after the prompt":            {want: governance.StateSuperseded},
		"one in a request without tools":              {says: client{noTools: true}, want: governance.StateHeld},
		"one in a request without tools, with an id":  {asks: client{body: "a"}, says: client{body: "a", noTools: true}, want: governance.StateSuperseded},
		"one of another key":                          {says: client{key: "bob"}, want: governance.StateHeld},
		"one with the id of another chat":             {asks: client{named: "a"}, says: client{named: "b"}, want: governance.StateHeld},
		"an escalation":                               {calls: []string{"wire"}, want: governance.StateHeld},
		"a title with the chat's header":              {asks: client{named: "a"}, says: client{named: "a", noTools: true}, list: title, want: governance.StateHeld},
		"a title as a forced call, with the header":   {asks: client{named: "a"}, says: client{named: "a", forced: true}, list: title, want: governance.StateHeld},
		"a title without any id":                      {says: client{noTools: true}, list: title, want: governance.StateHeld},
		"anything with the body's id":                 {asks: client{body: "a"}, says: client{body: "a"}, list: title, want: governance.StateSuperseded},
		"a tool result with the body's id":            {asks: client{body: "a"}, says: client{body: "a"}, list: result, want: governance.StateHeld},
		"a message that does not follow, with header": {asks: client{named: "a"}, says: client{named: "a"}, list: title, want: governance.StateHeld},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.asks.calls = c.calls
			if c.calls == nil {
				c.asks.calls = []string{"refund"}
			}
			asked := w.send(c.asks, user(wish))
			list := []message{user(wish), assistant(asked.text), user("make it $10")}
			if c.list != nil {
				list = c.list(asked.text)
			}
			require.Equal(t, conversations.ForModel, w.send(c.says, list...).found.What)
			require.Equal(t, c.want, w.state(asked.hold))
		})
	}
}

func title(prompt string) []message {
	return []message{user("### Task: a title for <chat_history>USER: " + wish + " ASSISTANT: " + prompt + "</chat_history>")}
}

func result(string) []message { return []message{{role: "tool", text: "{}"}} }

func TestAMixedHoldThatWasPassedOverGoesOnWithTheReviewer(t *testing.T) {
	w := newWorld(t)
	asked := w.send(client{named: "a", calls: []string{"refund", "wire"}}, user(wish))
	w.send(client{named: "a"}, user(wish), assistant(asked.text), user("what is the weather?"))
	require.Equal(t, governance.StateHeld, w.state(asked.hold))
	w.decide(asked.hold, 1, governance.DecideAuto, "")
	require.Equal(t, []string{"call_wire1"}, w.send(client{named: "a"}, user("hello")).calls)
}

func TestASideCallWithoutToolsAnswersOnlyItsOwnKind(t *testing.T) {
	t.Run("asked with tools", func(t *testing.T) {
		w := newWorld(t)
		asked := w.send(client{calls: []string{"refund"}}, user(wish))
		f := w.find(client{noTools: true}, user(wish), assistant(asked.text), user("yes"))
		require.Equal(t, conversations.IsNothing, f.What)
		require.True(t, f.NeedsTools)
	})
	t.Run("asked with tools, by header", func(t *testing.T) {
		w := newWorld(t)
		asked := w.send(client{named: "a", calls: []string{"refund"}}, user(wish))
		require.Equal(t, conversations.IsNothing, w.find(client{named: "a", noTools: true}, user(wish), assistant(asked.text), user("yes")).What)
	})
	t.Run("asked with tools, by body id", func(t *testing.T) {
		w := newWorld(t)
		asked := w.send(client{body: "a", calls: []string{"refund"}}, user(wish))
		require.Len(t, w.send(client{body: "a", noTools: true}, user(wish), assistant(asked.text), user("yes")).calls, 1)
	})
	t.Run("asked without tools", func(t *testing.T) {
		w := newWorld(t)
		asked := w.send(client{noTools: true, calls: []string{"refund"}}, user(wish))
		require.Len(t, w.send(client{noTools: true}, user(wish), assistant(asked.text), user("yes")).calls, 1)
	})
}

func TestNumbersNameTheCallsOfTheirPrompt(t *testing.T) { // TRAPS Approvals 16
	w := newWorld(t)
	asked := w.send(client{calls: []string{"read", "refund", "email", "refund"}}, user(wish))
	out := w.send(client{}, user(wish), assistant(asked.text), user("no 2"))
	require.Equal(t, governance.ResultOpen, out.result)
	require.NotEqual(t, asked.prompt, out.prompt)
	// The old prompt is not answered any more: its numbers mean other calls now.
	require.Equal(t, conversations.IsNothing, w.find(client{}, user(wish), assistant(asked.text), user("1,2")).What)
	out = w.send(client{}, user("no 2"), assistant(out.prompt), user("2"))
	require.Equal(t, []string{"call_read0", "call_refund3"}, out.calls)
}

func TestAYesOfAChatIsNotForTheModelsOwnQuestion(t *testing.T) { // TRAPS C 35, 37, 38
	w := newWorld(t)
	asked := w.send(client{calls: []string{"refund"}}, user(wish))
	list := []message{user(wish), assistant(asked.text), user("yes"), {role: "assistant", ids: []string{"call_refund0"}}, {role: "tool", text: "done"},
		assistant("Shall I mail them?"), user("yes")}
	w.send(client{}, list[:3]...)
	require.Equal(t, conversations.ForModel, w.find(client{}, list...).What)
}
