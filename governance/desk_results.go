package governance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"cadreen/store"
)

// ToolMessage is a tool message as a transcript shows it. Anybody can write one:
// what it is worth is decided by Results.
type ToolMessage struct {
	CallID string
	Name   string // as the transcript says, "" if it does not
	Text   string
}

// Results are the tool messages with the calls that they answer, in their order.
//
// A message is observed where a call with its id went out to this principal, in
// this conversation if both name one (group, "" for none), and its text is the
// first that was ever seen for the call. All messages of an id are claimed where
// there are more different ones than calls.
func (d *Desk) Results(ctx context.Context, workspace, principal, group string, messages []ToolMessage) ([]ToolResult, error) {
	out := make([]ToolResult, len(messages))
	groups := map[string][]int{}
	for i, m := range messages {
		out[i] = ToolResult{CallID: m.CallID, Name: m.Name, Text: m.Text, Claimed: true}
		if m.CallID != "" {
			groups[m.CallID] = append(groups[m.CallID], i)
		}
	}
	for id, at := range groups {
		calls, err := d.callsOf(ctx, workspace, principal, group, id)
		if err != nil {
			return nil, err
		}
		var mine []*observed // by position in at
		for _, i := range at {
			mine = append(mine, answeredBy(calls, messages[i].Text))
		}
		if slices.Contains(mine, nil) {
			continue
		}
		for j, i := range at {
			out[i].Name, out[i].Arguments, out[i].Claimed = mine[j].Name, mine[j].Arguments, false
		}
	}
	return out, nil
}

// callsOf are the released calls with an id, oldest first.
func (d *Desk) callsOf(ctx context.Context, workspace, principal, group, id string) ([]store.Item[observed], error) {
	calls, err := d.calls.List(ctx, workspace, store.Query{Index: "call_id", Key: scoped(principal, id), Limit: 20})
	if err != nil {
		return nil, storeFault(err)
	}
	if group != "" {
		calls = slices.DeleteFunc(calls, func(c store.Item[observed]) bool { return c.Value.Conversation != group })
	}
	return calls, nil
}

// answeredBy finds the call that a text answers, nil if none: the one that is
// known to have been answered so, else the oldest that was not answered yet. It
// takes note of the text.
func answeredBy(calls []store.Item[observed], text string) *observed {
	print := resultPrint(text)
	for _, free := range []string{print, ""} {
		for i := range calls {
			if c := &calls[i].Value; c.Result == free {
				c.Result = print
				return c
			}
		}
	}
	return nil
}

// resultPrint tells results apart; it is never "".
func resultPrint(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// NoteResults records what released calls came to: the first result that is seen
// of each, and whether it looks like success. What answers no call is left out.
func (d *Desk) NoteResults(ctx context.Context, workspace, principal, group, traceID string, messages []ToolMessage) error {
	for _, m := range messages {
		if m.CallID == "" {
			continue
		}
		if err := d.noteResult(ctx, workspace, principal, group, traceID, m); err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) noteResult(ctx context.Context, workspace, principal, group, traceID string, m ToolMessage) error {
	for range tries(ctx) {
		calls, err := d.callsOf(ctx, workspace, principal, group, m.CallID)
		if err != nil {
			return err
		}
		print := resultPrint(m.Text)
		at := slices.IndexFunc(calls, func(c store.Item[observed]) bool { return c.Value.Result == "" })
		if at < 0 || slices.ContainsFunc(calls, func(c store.Item[observed]) bool { return c.Value.Result == print }) {
			return nil // it was noted before, or answers nothing
		}
		now, err := d.engine.Now(ctx)
		if err != nil {
			return storeFault(err)
		}
		c := calls[at].Value
		c.Result = print
		put, err := d.calls.Replace(calls[at].ID, calls[at].Version, c, c.index()...)
		if err != nil {
			return err
		}
		line, err := appendRecord(c.record(workspace, traceID, OutcomeOf(m.Text), now))
		if err != nil {
			return err
		}
		err = d.engine.Commit(ctx, workspace, put, line)
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if err != nil {
			return storeFault(err)
		}
		return nil
	}
	return busy()
}

func (c *observed) record(workspace, traceID string, outcome State, at time.Time) Record {
	r := Record{Event: EventResult, Workspace: workspace, Conversation: c.Conversation, TraceID: c.TraceID, Principal: c.Principal,
		CallID: c.ID, Tool: c.Name, Created: c.At, At: at, State: outcome, Resolver: c.Principal, Channel: ChannelChat}
	if traceID != c.TraceID {
		r.Via = traceID
	}
	return r
}

// OutcomeOf reads what a tool's result says of how the call went: StateFailed where
// it says so in one of the usual ways, StateUnknown where it says nothing, else
// StateOK. It is for the record and decides nothing.
func OutcomeOf(text string) State {
	text = strings.TrimSpace(text)
	if text == "" {
		return StateUnknown
	}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &members) == nil && members != nil {
		return outcomeOfObject(members)
	}
	first, _, _ := strings.Cut(strings.ToLower(text), "\n")
	for _, word := range []string{"error", "failed", "failure", "exception", "traceback"} {
		if rest, ok := strings.CutPrefix(first, word); ok && (rest == "" || strings.ContainsAny(rest[:1], ": .,!(")) {
			return StateFailed
		}
	}
	return StateOK
}

func outcomeOfObject(members map[string]json.RawMessage) State {
	if len(members) == 0 {
		return StateUnknown
	}
	is := func(name string, values ...string) bool {
		return slices.Contains(values, strings.ToLower(string(members[name])))
	}
	switch {
	case members["error"] != nil && !is("error", "null", "false", `""`, "0"), members["errors"] != nil && !is("errors", "null", "[]", "{}"):
		return StateFailed
	case is("isError", "true"), is("is_error", "true"), is("ok", "false"), is("success", "false"):
		return StateFailed
	case is("status", `"error"`, `"failed"`, `"failure"`):
		return StateFailed
	}
	return StateOK
}
