package chat

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"cadreen/conversations"
	"cadreen/fault"
	"cadreen/governance"
	"cadreen/intelligence"
	"cadreen/proxy/backend"
	"cadreen/proxy/lent"
	"cadreen/proxy/openai"
)

// serve is the walk of one chat completion.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, c Caller) error {
	ctx := r.Context()

	// One strict scan of the whole body: what we look at, where it stands.
	in, err := lent.Read(r.Body, r.ContentLength, lent.All)
	if err != nil {
		return bodyFault(err)
	}
	defer in.Release()
	req, err := openai.ParseRequest(in.B)
	if err != nil {
		return requestFault(err)
	}
	defer req.Release()
	t := &turn{req: req, caller: c, now: h.o.Now(), key: r.Header.Get("Idempotency-Key")}
	t.errorsHTTP = h.o.Settings.ErrorsHTTP
	if v := r.Header.Get("X-Cadreen-Errors"); v != "" {
		t.errorsHTTP = v == "http"
	}
	t.retry = !strings.HasPrefix(r.Header.Get("X-Stainless-Retry-Count")+"0", "0")
	if len(req.ConversationID) > maxNamed {
		f := fault.New(fault.InvalidRequest, "conversation_id is longer than %d bytes", maxNamed)
		f.Param = "conversation_id"
		return f
	}
	if ws := req.ContextWorkspace; ws != "" && ws != c.Workspace {
		return fault.New(fault.Forbidden, "context.workspace_id is not the workspace of this key")
	}
	c.Trace.Offers(len(req.Tools), req.Stream)
	c.Trace.About(req.Domain, req.ConversationID)
	if err := h.hosted(ctx, t); err != nil {
		c.Trace.Stage(intelligence.StageCapabilities, intelligence.Blocked, t.now)
		return err
	}
	c.Trace.Stage(intelligence.StageCapabilities, "", t.now)
	defer h.seen(t)

	// Which conversation, and is the last message the answer to a held call? An
	// answer releases or refuses from the stored bytes and stops here.
	if err := h.find(ctx, r, t); err != nil {
		return err
	}
	c.Trace.About("", t.found.Conversation)
	if t.found.What != conversations.ForModel {
		return h.answer(ctx, w, t)
	}
	for _, id := range t.found.Supersede {
		if err := h.o.Desk.Supersede(ctx, c.Workspace, id); err != nil {
			return err
		}
	}

	// What became of the calls of the turn before is noted while the model thinks.
	noted := h.noteResults(ctx, t)
	defer func() { <-noted }()
	t.behind = noted != nothing || t.key != ""

	// The otherwise identical body goes to the model. Its text flows; its calls
	// wait for the decision. After a refusal that is given back to it, it is
	// asked again.
	t.body, t.lent = in.B, in
	if edits := req.Upstream(h.o.Settings.Model); len(edits) > 0 {
		out := lent.New(openai.SpliceRoom(in.B, edits))
		defer out.Release()
		out.B = openai.Splice(out.B, in.B, edits...)
		t.body, t.lent = out.B, out
	}
	if h.o.Settings.Replan {
		t.maxReplans = maxReplans
	}
	id := newReplyID()
	if req.Stream {
		return h.stream(ctx, w, r.Header, t, newIdentity(id, req.Model, t.now))
	}
	for again := true; again && err == nil; {
		again, err = h.reply(ctx, w, r.Header, t, id)
	}
	return err
}

// seen tells what tools were offered, behind the answer.
func (h *Handler) seen(t *turn) {
	if h.o.Seen == nil || len(t.req.Tools) == 0 {
		return
	}
	h.o.Seen.Note(t.caller.Workspace, t.now, t.req.OfferedTools.Of(t.req.Body), t.req.OfferedFunctions.Of(t.req.Body),
		func() map[string]governance.Tool { return t.tools().ByName() })
}

// model sends the turn's body to the model.
func (h *Handler) model(ctx context.Context, in http.Header, t *turn) (*backend.Response, error) {
	return h.o.Backend.Chat(ctx, backend.Request{Body: t.body, Lent: t.lent, Stream: t.req.Stream,
		Authorization: t.caller.Authorization, Header: in})
}

// passOn copies what the model's headers tell the client.
func passOn(head, from http.Header) {
	for name, values := range from {
		head[name] = values
	}
}

// find reads the transcript's end.
func (h *Handler) find(ctx context.Context, r *http.Request, t *turn) error {
	found, err := conversations.Find(ctx, h.o.Desk, conversations.Request{
		Workspace: t.caller.Workspace, Principal: t.requester().ID,
		BodyID: t.req.ConversationID, NamedID: h.named(r, t.req),
		HasTools: t.req.HasTools(), Forced: t.forced() != "", Retry: t.retry, Transcript: transcript{t.req}, Now: t.now,
	})
	t.found = found
	return err
}

// decide judges a reply's calls; nothing is durable yet.
func (h *Handler) decide(ctx context.Context, t *turn, coll *collector) (*governance.Plan, error) {
	turn := &governance.Turn{TraceID: t.caller.TraceID, Facts: t.facts(), Sealed: coll.sealed, AsCame: coll.asCame,
		Transcript: t.fingerprint}
	var err error
	if turn.Decider, err = governance.DeciderFor(ctx, h.o.Decider, t.caller.Workspace); err != nil {
		return nil, err
	}
	if turn.Facts.Released, turn.ReleasedRead, err = h.observed(ctx, t, turn.Decider, coll.sealed); err != nil {
		return nil, err
	}
	if turn.Facts.Results, turn.ResultsRead, err = h.results(ctx, t, turn.Decider, coll.sealed); err != nil {
		return nil, err
	}
	return h.o.Desk.Plan(ctx, turn)
}

// observed loads the conversation's released calls, where a rule about one of
// the proposed tools asks for them, and says whether it did.
func (h *Handler) observed(ctx context.Context, t *turn, judge governance.Decider, sealed *governance.Sealed) (list []governance.Released, reads bool, err error) {
	for name := range sealed.Names() {
		reads = reads || judge.ReadsReleased(name)
	}
	if !reads {
		return nil, false, nil
	}
	var ids []string
	tr := transcript{t.req}
	for i := range tr.Len() {
		ids = append(ids, tr.CallIDs(i)...)
		if id := t.req.Messages[i].ToolCallID; id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id) // a client that sends only what is new
		}
	}
	list, err = h.o.Desk.Observed(ctx, t.caller.Workspace, t.requester().ID, t.req.ConversationID, ids)
	return list, true, err
}

func bodyFault(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return fault.Wrap(err, fault.InvalidRequest, "the request body is larger than %d bytes", tooLarge.Limit)
	}
	return fault.Wrap(err, fault.InvalidRequest, "the request body could not be read to its end")
}

func requestFault(err error) error {
	var field *openai.FieldError
	if errors.As(err, &field) {
		f := fault.Wrap(err, fault.InvalidRequest, "%s", field.Error())
		f.Param = field.Param
		return f
	}
	return fault.Wrap(err, fault.InvalidRequest, "%s", err.Error())
}
