package conversations_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/conversations"
	"cadreen/governance"
)

// TRAPS Approvals 12: what was decided out of band reaches the next request.
func TestAnApprovedCallIsPickedUpByTheNextRequest(t *testing.T) {
	for name, c := range map[string]struct {
		asks, says client
		list       func(prompt string) []message
		picked     bool
	}{
		"of the body's id":             {asks: client{body: "a"}, says: client{body: "a"}, list: hello, picked: true},
		"of the header's id":           {asks: client{named: "a"}, says: client{named: "a"}, list: hello, picked: true},
		"with the prompt shown":        {list: goesOn("and?"), picked: true},
		"with the prompt further up":   {list: further, picked: true},
		"after a tool result":          {asks: client{named: "a"}, says: client{named: "a"}, list: result, picked: true},
		"a yes to the prompt":          {list: goesOn("yes"), picked: true},
		"a no to the prompt":           {list: goesOn("no")},
		"a numbered no to the prompt":  {list: goesOn("no 1")},
		"a no to whatever":             {asks: client{named: "a"}, says: client{named: "a"}, list: func(string) []message { return []message{user("no")} }},
		"without tools":                {asks: client{named: "a"}, says: client{named: "a", noTools: true}, list: hello},
		"a title as a forced call":     {asks: client{named: "a"}, says: client{named: "a", forced: true}, list: hello},
		"another chat":                 {asks: client{named: "a"}, says: client{named: "b"}, list: hello},
		"another key":                  {asks: client{named: "a"}, says: client{key: "bob", named: "a"}, list: hello},
		"another key shows the prompt": {says: client{key: "bob"}, list: goesOn("and?")},
		"a prompt of a tool": {list: func(prompt string) []message {
			return []message{user(wish), {role: "tool", text: prompt}, user("and?")}
		}},
		"no id, no prompt": {list: hello},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.asks.calls = []string{"wire"}
			asked := w.send(c.asks, user(wish))
			require.NotEqual(t, conversations.IsPickup, w.find(c.says, c.list(asked.text)...).What, "it is not decided yet")
			w.decide(asked.hold, 0, governance.DecideAuto, "")
			out := w.send(c.says, c.list(asked.text)...)
			if c.picked {
				require.Equal(t, []string{"call_wire0"}, out.calls)
				return
			}
			require.Empty(t, out.calls)
			require.NotEqual(t, governance.StateReleased, w.state(asked.hold))
		})
	}
}

func hello(string) []message { return []message{user("hello")} }

func goesOn(words string) func(string) []message {
	return func(prompt string) []message { return []message{user(wish), assistant(prompt), user(words)} }
}

func further(prompt string) []message {
	return []message{user(wish), assistant(prompt), user("and?"), assistant("We wait."), user("and now?")}
}

func TestANoTakesBackWhatAReviewerLetGo(t *testing.T) {
	for _, word := range []string{"no", "no 1", "Cancel."} {
		w := newWorld(t)
		asked := w.send(client{calls: []string{"wire"}}, user(wish))
		w.decide(asked.hold, 0, governance.DecideAuto, "")
		out := w.send(client{}, user(wish), assistant(asked.text), user(word))
		require.Equal(t, governance.ResultDenied, out.result, word)
		require.Equal(t, governance.StateCancelled, w.state(asked.hold), word)
		require.Empty(t, w.send(client{}, user(wish), assistant(asked.text), user("yes")).calls, word)
	}
}

func TestAnAnswerToAnOpenPromptComesBeforeAPickup(t *testing.T) {
	w := newWorld(t)
	wire := w.send(client{body: "a", calls: []string{"wire"}}, user("wire it"))
	refund := w.send(client{body: "a", calls: []string{"refund"}}, user(wish))
	w.decide(wire.hold, 0, governance.DecideAuto, "")
	for _, list := range [][]message{{user(wish), assistant(refund.text), user("yes")}, {user("yes")}} {
		require.Equal(t, refund.hold.ID, w.find(client{body: "a"}, list...).Hold.ID)
	}
	require.Equal(t, []string{"call_refund0"}, w.send(client{body: "a"}, user("yes")).calls)
	require.Equal(t, []string{"call_wire0"}, w.send(client{body: "a"}, user("hello")).calls)
}

func TestAPickupWhoseReplyWasLostComesAgain(t *testing.T) { // TRAPS Approvals 11
	for _, c := range []client{{named: "a"}, {}} {
		w := newWorld(t)
		asks := c
		asks.calls = []string{"wire"}
		asked := w.send(asks, user(wish))
		w.decide(asked.hold, 0, governance.DecideAuto, "")
		list := goesOn("and?")(asked.text)
		require.Len(t, w.send(c, list...).calls, 1)

		// The replica died, or the connection did: nobody saw the calls.
		require.Len(t, w.send(c, list...).calls, 1)
		require.NoError(t, w.desk.Delivered(t.Context(), "w", governance.Hold{ID: asked.hold.ID}, false))
		require.Len(t, w.send(c, list...).calls, 1)

		// A request that shows the calls, or brings a result, goes to the model.
		shows := append(list, message{role: "assistant", ids: []string{"call_wire0"}}, message{role: "tool", text: "done"})
		require.Equal(t, conversations.ForModel, w.find(c, shows...).What)
		require.Equal(t, conversations.ForModel, w.find(c, append(shows, assistant("Done."), user("thanks"))...).What)

		require.NoError(t, w.desk.Delivered(t.Context(), "w", governance.Hold{ID: asked.hold.ID}, true))
		require.Equal(t, conversations.ForModel, w.find(c, list...).What)
		again := c
		again.retry = true
		require.Len(t, w.send(again, list...).calls, 1)
	}
}

func TestAReviewersQuestionReachesTheRequesterAndTheReplyGoesBack(t *testing.T) {
	for _, c := range []client{{named: "a"}, {}} {
		w := newWorld(t)
		asks := c
		asks.calls = []string{"wire"}
		asked := w.send(asks, user(wish))
		w.decide(asked.hold, 0, governance.DecideClarify, "Which account?")
		f := w.find(c, goesOn("and?")(asked.text)...)
		require.Equal(t, conversations.IsAsked, f.What)
		question := conversations.QuestionText(f.Hold.Question)

		asks.noTools = true
		require.Equal(t, conversations.ForModel, w.find(asks, append(goesOn("and?")(asked.text), assistant("x"), user("title"))...).What)
		for _, words := range []string{"The second one.", "no", "yes"} {
			list := append(goesOn("and?")(asked.text), assistant(question), user(words))
			require.Equal(t, conversations.IsReply, w.find(c, list...).What, words)
		}
		require.NoError(t, w.desk.Reply(t.Context(), "w", asked.hold.ID, "The second one."))
		e, err := w.desk.Escalation(t.Context(), "w", asked.hold.Items[0].Escalation)
		require.NoError(t, err)
		require.Equal(t, "The second one.", e.Answer)
		require.Equal(t, conversations.ForModel, w.find(c, append(goesOn("and?")(asked.text), assistant(question), user("and?"))...).What)
	}
}

func TestANoToThePromptTakesBackEvenWhileAReviewerAsks(t *testing.T) {
	w := newWorld(t)
	asked := w.send(client{calls: []string{"wire"}}, user(wish))
	w.decide(asked.hold, 0, governance.DecideClarify, "Which account?")
	require.Equal(t, governance.ResultDenied, w.send(client{}, goesOn("no")(asked.text)...).result)
	require.Equal(t, governance.StateCancelled, w.state(asked.hold))
}
