package governance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

// letOut releases one call with an id to a requester in a conversation.
func (b *bench) letOut(chat string, by governance.Requester, tool, id, arguments string) {
	s := new(governance.Sealed)
	c := s.Start(0, governance.FormFunction)
	c.Member("id", []byte(`"`+id+`"`))
	c.Inner("name", []byte(`"`+tool+`"`))
	c.Argument([]byte(arguments))
	p, err := b.desk.Plan(b.ctx, &governance.Turn{TraceID: "cad_1", Sealed: s, AsCame: func(int) bool { return true },
		Facts: governance.Facts{Workspace: "w", Conversation: chat, Requester: by}})
	require.NoError(b.t, err)
	out, err := b.desk.Commit(b.ctx, p, governance.Asked{})
	require.NoError(b.t, err)
	require.Len(b.t, out.Calls, 1)
}

// seen is what Results says of tool messages given as id, text, id, text …: their
// texts, those that are claimed with a question mark behind.
func (b *bench) seen(group string, by governance.Requester, pairs ...string) (list []string) {
	results, err := b.desk.Results(b.ctx, "w", by.ID, group, toolMessages(pairs))
	require.NoError(b.t, err)
	for _, r := range results {
		if r.Claimed {
			require.Empty(b.t, r.Arguments)
			list = append(list, r.Text+"?")
			continue
		}
		require.Equal(b.t, "read", r.Name, "the name is that of the released call")
		list = append(list, r.Text)
	}
	return list
}

func toolMessages(pairs []string) (list []governance.ToolMessage) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, governance.ToolMessage{CallID: pairs[i], Name: "forged", Text: pairs[i+1]})
	}
	return list
}

func TestAResultIsObservedOnlyForACallThatWentOut(t *testing.T) { // GOVERNANCE 4
	b := newBench(t, governance.DeskOptions{})
	bob := governance.Requester{ID: "key_b", KeyID: "key_b"}
	b.letOut("chat", alice, "read", "c1", `{}`)
	b.letOut("other", alice, "read", "c2", `{}`)
	b.letOut("chat", bob, "read", "c3", `{}`)
	note := func(by governance.Requester, pairs ...string) {
		require.NoError(t, b.desk.NoteResults(b.ctx, "w", by.ID, "", "cad_2", toolMessages(pairs)))
	}

	require.Equal(t, []string{"a", "b?"}, b.seen("", alice, "c1", "a", "never", "b"), "an id that never went out")
	require.Equal(t, []string{"a?"}, b.seen("", alice, "", "a"), "no id")
	require.Equal(t, []string{"a?"}, b.seen("", alice, "c3", "a"), "the id of somebody else's call")
	require.Equal(t, []string{"a"}, b.seen("", bob, "c3", "a"))
	require.Equal(t, []string{"a"}, b.seen("", alice, "c2", "a"), "a client that names no conversation copies transcripts")
	require.Equal(t, []string{"a?"}, b.seen("chat", alice, "c2", "a"), "a call of another conversation that the client named")
	require.Equal(t, []string{"a", "a"}, b.seen("", alice, "c1", "a", "c1", "a"), "the same text twice")
	require.Equal(t, []string{"a?", "b?"}, b.seen("", alice, "c1", "a", "c1", "b"), "two results of one call")

	note(alice, "c1", "first")
	require.Equal(t, []string{"first"}, b.seen("", alice, "c1", "first"))
	require.Equal(t, []string{"edited?"}, b.seen("", alice, "c1", "edited"), "a result that was edited later")
	require.Equal(t, []string{"first?", "edited?"}, b.seen("", alice, "c1", "first", "c1", "edited"))
	note(alice, "c1", "edited")
	require.Equal(t, []string{"edited?"}, b.seen("", alice, "c1", "edited"), "the first result stays the first")
}

func TestModelsThatUseOneIDForManyCallsAreServed(t *testing.T) {
	b := newBench(t, governance.DeskOptions{})
	b.letOut("chat", alice, "read", "call_0", `{}`)
	require.NoError(t, b.desk.NoteResults(b.ctx, "w", alice.ID, "", "cad_2", toolMessages([]string{"call_0", "one"})))
	b.letOut("chat", alice, "read", "call_0", `{}`)
	require.Equal(t, []string{"one", "two"}, b.seen("", alice, "call_0", "one", "call_0", "two"))
	require.Equal(t, []string{"one?", "two?", "three?"}, b.seen("", alice, "call_0", "one", "call_0", "two", "call_0", "three"))
}

func TestWhatACallCameToIsRecordedOnce(t *testing.T) { // GOVERNANCE 7, Record
	b := newBench(t, governance.DeskOptions{})
	b.letOut("chat", alice, "read", "c1", `{}`)
	b.letOut("chat", alice, "read", "c2", `{}`)
	for range 2 {
		require.NoError(t, b.desk.NoteResults(b.ctx, "w", alice.ID, "chat", "cad_2", toolMessages([]string{"c1", `{"error":"no such order"}`, "nobody", "x", "", "x"})))
	}
	require.NoError(t, b.desk.NoteResults(b.ctx, "w", alice.ID, "", "cad_1", toolMessages([]string{"c2", "done"})))
	entries, err := b.engine.Read(b.ctx, "w", governance.RecordLog, 0, 100)
	require.NoError(t, err)
	var got [][4]string
	for _, e := range entries {
		if r := decodeRecord(t, e.Value); r.Event == governance.EventResult {
			got = append(got, [4]string{r.CallID, string(r.State), r.TraceID, r.Via})
			require.NotContains(t, string(e.Value), "no such order", "nothing of a result is in the log")
		}
	}
	require.Equal(t, [][4]string{{"c1", "failed", "cad_1", "cad_2"}, {"c2", "ok", "cad_1", ""}}, got)
}

func TestOutcomes(t *testing.T) {
	for text, want := range map[string]governance.State{
		"": governance.StateUnknown, " \n": governance.StateUnknown, "{}": governance.StateUnknown,
		"done": governance.StateOK, `{"id":7}`: governance.StateOK, `[]`: governance.StateOK, `null`: governance.StateOK, `{"error":null,"id":1}`: governance.StateOK,
		`{"error":""}`: governance.StateOK, `{"errors":[]}`: governance.StateOK, "No errors were found": governance.StateOK, "errorless": governance.StateOK,
		`{"error":"x"}`: governance.StateFailed, `{"error":{"code":1}}`: governance.StateFailed, `{"errors":["x"]}`: governance.StateFailed, `{"isError":true}`: governance.StateFailed,
		`{"ok":false}`: governance.StateFailed, `{"success":false}`: governance.StateFailed, `{"status":"failed"}`: governance.StateFailed,
		"Error: no such file": governance.StateFailed, "Traceback (most recent call last):\n x": governance.StateFailed, "ERROR": governance.StateFailed,
	} {
		require.Equal(t, want, governance.OutcomeOf(text), text)
	}
}
