package chat

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"cadreen/conversations"
	"cadreen/fault"
	"cadreen/governance"
	"cadreen/proxy/lent"
	"cadreen/proxy/openai"
	"cadreen/tools"
)

// turn is one request with everything that is known about it.
type turn struct {
	req    *openai.Request
	caller Caller
	now    time.Time // when it began
	found  conversations.Finding
	key    string // Idempotency-Key
	retry  bool   // the client's library says that it sends this again
	// errorsHTTP: blocked and held-for-review are to be 403, not a gate.
	errorsHTTP bool
	body       []byte       // what the model gets
	lent       *lent.Buffer // that body lies in, nil for none
	behind     bool         // when the answer has been written more is to be done that no client should wait for
	replans    int          // refusals given back so far
	maxReplans int
}

// transcript shows the request's messages to conversations.
type transcript struct{ req *openai.Request }

func (t transcript) Len() int            { return len(t.req.Messages) }
func (t transcript) Role(i int) string   { return t.req.Messages[i].Role }
func (t transcript) Text(i int) string   { return t.req.Messages[i].Text(t.req.Body) }
func (t transcript) TextOnly(i int) bool { return t.req.Messages[i].TextOnly() }
func (t transcript) MayHold(i int, word string) bool {
	return t.req.Messages[i].MayHold(t.req.Body, word)
}
func (t transcript) CallIDs(i int) []string {
	var ids []string
	for _, c := range t.req.Messages[i].Calls {
		if c.ID != "" {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// fingerprint tells transcripts apart: role, normalised text and call ids of
// every message.
func (t *turn) fingerprint() string {
	tr := transcript{t.req}
	var parts []string
	for i := range tr.Len() {
		parts = append(parts, tr.Role(i), conversations.Normalise(tr.Text(i)), strings.Join(tr.CallIDs(i), ","))
	}
	return conversations.Fingerprint(parts...)
}

// lastUserText is the text of the last user message, "" if there is none.
func (t *turn) lastUserText() string {
	for i := len(t.req.Messages) - 1; i >= 0; i-- {
		if t.req.Messages[i].Role == "user" {
			return t.req.Messages[i].Text(t.req.Body)
		}
	}
	return ""
}

// maxNamed bounds the length of a conversation id that a client names.
const maxNamed = 256

// named is the conversation id that a header or the metadata names.
func (h *Handler) named(r *http.Request, req *openai.Request) string {
	for _, name := range h.naming {
		if values := r.Header[name]; len(values) > 0 {
			if v := strings.TrimSpace(values[0]); v != "" && len(v) <= maxNamed {
				return v
			}
		}
	}
	if v := req.MetadataConversation; len(v) <= maxNamed {
		return v
	}
	return ""
}

// requester narrows the key's principal by the person the body names.
func (t *turn) requester() governance.Requester {
	r := t.caller.Requester
	person := t.req.UserID
	if person == "" {
		person = t.req.User
	}
	if person != "" {
		r.ID += "/" + person
	}
	return r
}

// facts is what the turn's calls are judged by.
func (t *turn) facts() governance.Facts {
	req := t.req
	f := governance.Facts{Workspace: t.caller.Workspace, Domain: req.Domain, Conversation: t.found.Conversation,
		Requester: t.requester(), Tools: t.tools().ByName()}
	for i := range req.Messages {
		switch req.Messages[i].Role {
		case "user":
			f.Turns++
			f.UserTexts = append(f.UserTexts, req.Messages[i].Text(req.Body))
		case "tool", "function":
			f.ToolMessages = true
		}
	}
	if len(req.Tools) == 1 && !req.WebSearch {
		// With another tool beside it, hosted ones too, it is no structured output.
		f.Forced = t.forced()
	}
	return f
}

// tools are what the request offers.
func (t *turn) tools() *tools.Catalogue {
	c := new(tools.Catalogue)
	for _, tool := range t.req.Tools {
		g := governance.Tool{Type: tool.Type, Name: tool.NameIn(t.req.Body), Schema: tool.Schema.Of(t.req.Body)}
		if tool.Description.Present() {
			g.Description, _ = openai.Unquote(tool.Description.Of(t.req.Body))
		}
		c.Offer(g)
	}
	if t.req.WebSearch {
		c.Offer(governance.Tool{Type: "web_search_options"})
	}
	return c
}

// forced is the tool that tool_choice names, "" if none.
func (t *turn) forced() string {
	switch t.req.ToolChoice.Mode {
	case "function", "custom":
		return t.req.ToolChoice.Name
	}
	return ""
}

// hosted refuses provider-executed tools, which no gate can hold.
func (h *Handler) hosted(ctx context.Context, t *turn) error {
	isHosted := func(tool openai.Tool) bool { return tools.Hosted(tool.Type) }
	if !t.req.WebSearch && !slices.ContainsFunc(t.req.Tools, isHosted) {
		return nil
	}
	judge, err := governance.DeciderFor(ctx, h.o.Decider, t.caller.Workspace)
	if err != nil {
		return err
	}
	facts := t.facts()
	for _, kind := range t.tools().Hosted() {
		if judge.Hosted(facts, kind) {
			continue
		}
		f := fault.New(fault.InvalidRequest, "%q is executed by the model's provider and cannot be governed; a rule that allows %q lets it through", kind, "hosted:"+kind)
		f.Param = "tools"
		if kind == "web_search_options" {
			f.Param = kind
		}
		return f
	}
	return nil
}
