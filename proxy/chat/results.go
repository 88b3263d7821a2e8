package chat

import (
	"context"
	"slices"
	"time"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// toolMessages are the tool messages of the transcript from a position on, with
// the names that the transcript gives their calls.
func (t *turn) toolMessages(from int) []governance.ToolMessage {
	var list []governance.ToolMessage
	names := map[string]string{}
	for i := range t.req.Messages {
		m := &t.req.Messages[i]
		for _, c := range m.Calls {
			names[c.ID] = c.Name
		}
		if i >= from && m.Role == "tool" {
			list = append(list, governance.ToolMessage{CallID: m.ToolCallID, Name: names[m.ToolCallID], Text: m.Text(t.req.Body)})
		}
	}
	return list
}

// results loads what earlier calls gave, where a rule about one of the proposed
// tools asks for it, and says whether it did.
func (h *Handler) results(ctx context.Context, t *turn, judge governance.Decider, sealed *governance.Sealed) (list []governance.ToolResult, reads bool, err error) {
	for name := range sealed.Names() {
		reads = reads || governance.ReadsResults(judge, name)
	}
	if !reads {
		return nil, false, nil
	}
	list, err = h.o.Desk.Results(ctx, t.caller.Workspace, t.requester().ID, t.found.Group, t.toolMessages(0))
	return list, true, err
}

// noteTime bounds how long an answer may wait for its results to be noted.
const noteTime = 5 * time.Second

// nothing is to be waited for.
var nothing = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// noteResults records, beside the request, the results that are new in it: those
// behind the last message of the model. What it answers is closed when that is
// done.
func (h *Handler) noteResults(ctx context.Context, t *turn) <-chan struct{} {
	from := len(t.req.Messages)
	for from > 0 && t.req.Messages[from-1].Role != "assistant" {
		from--
	}
	if !slices.ContainsFunc(t.req.Messages[from:], func(m openai.Message) bool { return m.Role == "tool" }) {
		return nothing
	}
	messages := t.toolMessages(from)
	done := make(chan struct{})
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTime)
	go func() {
		defer close(done)
		defer cancel()
		err := h.o.Desk.NoteResults(note, t.caller.Workspace, t.requester().ID, t.found.Group, t.caller.TraceID, messages)
		if err != nil {
			h.o.Logger.Warn("the results of released calls could not be noted", "trace", t.caller.TraceID, "error", err)
		}
	}()
	return done
}
