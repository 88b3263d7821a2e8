package governance

import (
	"context"
	"slices"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

// observed is a call that went out through this proxy.
type observed struct {
	Released
	Conversation string `json:"conversation"`
	Principal    string `json:"principal"`
	Domain       string `json:"domain,omitempty"`
	TraceID      string `json:"trace_id"`
	Result       string `json:"result,omitempty"` // resultPrint of the first result that was seen
}

// observe notes a released call, so that later rules can ask for it.
func (d *Desk) observe(f *Facts, traceID string, call Call) (store.Op, error) {
	o := observed{Conversation: f.Conversation, Principal: f.Requester.ID, Domain: f.Domain, TraceID: traceID,
		Released: Released{ID: call.ID, Name: call.Name, Arguments: call.Arguments, At: f.Now}}
	return d.calls.Create("call_"+ulid.Make().String(), o, o.index()...)
}

func (c *observed) index() []store.Index {
	at := c.At.UnixMilli()
	index := []store.Index{{Name: "chat", Key: scoped(c.Principal, c.Conversation), Score: at},
		{Name: "trace", Key: c.TraceID, Score: at}, {Name: "kept", Score: at}, // for erasing
		{Name: "tool", Key: c.Name, Score: at}} // for the ledger
	if c.ID != "" {
		index = append(index, store.Index{Name: "call_id", Key: scoped(c.Principal, c.ID), Score: at})
	}
	return index
}

// Observed are the calls of a conversation that went out through this proxy,
// oldest first: the newest 1,000 of those stored under the conversation when the
// client named it in the body, and those whose ids stand in the transcript.
func (d *Desk) Observed(ctx context.Context, workspace, principal, conversation string, ids []string) ([]Released, error) {
	seen := map[string]bool{}
	var out []Released
	add := func(q store.Query) error {
		items, err := d.calls.List(ctx, workspace, q)
		if err != nil {
			return storeFault(err)
		}
		for _, it := range items {
			if !seen[it.ID] {
				seen[it.ID] = true
				out = append(out, it.Value.Released)
			}
		}
		return nil
	}
	if conversation != "" {
		if err := add(store.Query{Index: "chat", Key: scoped(principal, conversation), Desc: true, Limit: 1000}); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := add(store.Query{Index: "call_id", Key: scoped(principal, id), Desc: true, Limit: 10}); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Released) int { return a.At.Compare(b.At) })
	return out, nil
}
