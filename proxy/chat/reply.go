package chat

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/proxy/lent"
	"cadreen/proxy/openai"
)

// reply serves a JSON reply: read once, its calls cut out and put back only as
// far as they are released, our fields added, everything else as it came. It
// answers true where the model is to be asked again.
func (h *Handler) reply(ctx context.Context, w http.ResponseWriter, in http.Header, t *turn, id string) (again bool, err error) {
	asked := t.caller.Trace.Begin()
	up, err := h.model(ctx, in, t)
	if err != nil {
		h.tellModel(t, asked, openai.Span{}, nil, nil, err)
		return false, err
	}
	defer func() { _ = up.Body.Close() }()
	passOn(w.Header(), up.Header)
	came, err := lent.Read(up.Body, usualReply, h.o.Settings.ReplyLimit)
	if err != nil {
		err = upstreamGone(err)
		h.tellModel(t, asked, openai.Span{}, nil, nil, err)
		return false, err
	}
	defer came.Release()
	body := came.B
	if int64(len(body)) > h.o.Settings.ReplyLimit {
		return false, fault.New(fault.ServiceUnavailable, "the model's reply is over %d bytes", h.o.Settings.ReplyLimit)
	}
	r := rooms.Get().(*room)
	defer r.release()
	v := &r.view
	if err := v.Parse(body); err != nil || len(v.Choices) == 0 {
		err = fault.Wrap(err, fault.ServiceUnavailable, "the model's reply is not a chat completion")
		h.tellModel(t, asked, openai.Span{}, nil, nil, err)
		return false, err
	}
	h.tellModel(t, asked, v.Model, v.Usage.Of(v.Data), v.Data, nil)
	r.edits = append(append(r.edits[:0], v.Cut(addedNames...)...), r.idEdit(id))
	out := outcome{conversation: t.found.Conversation, trace: t.caller.TraceID, gate: governance.GateOK}
	out.next = new(asker).next(out.gate, nil)
	coll := h.collected(v)
	if coll != nil {
		if err := coll.full(); err != nil {
			return false, fault.Wrap(err, fault.ServiceUnavailable, "the model's reply holds too much: %v", err)
		}
		more, decided, err := h.govern(ctx, t, &asker{base: t.caller.BaseURL, turn: t}, v, coll)
		if err != nil || more == nil {
			return err == nil, err
		}
		r.edits, out = append(r.edits, more...), decided
	}
	r.added = t.told(out).appendAdded(r.added[:0])
	r.edits = append(r.edits, openai.Edit{Span: openai.Span{Start: v.Object.End - 1, End: v.Object.End - 1}, With: r.added})
	final := lent.New(openai.SpliceRoom(body, r.edits))
	defer final.Release()
	final.B = openai.Splice(final.B, body, r.edits...)
	head := w.Header()
	values := []string{"application/json", strconv.Itoa(len(final.B)), string(out.gate)}
	head["Content-Type"], head["Content-Length"], head[GateHeader] = values[0:1:1], values[1:2:2], values[2:3:3]
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(final.B)
	return false, nil
}

// usualReply is how much room, in bytes, a reply is given before it says how much it needs.
const usualReply = 2000

// room is what a JSON reply is read and written in. The next one gets it.
type room struct {
	view      openai.View
	edits     []openai.Edit
	id, added []byte
}

var rooms = sync.Pool{New: func() any { return new(room) }}

func (r *room) release() {
	clear(r.edits)
	if r.view.Forget() && !lent.Poisoned {
		rooms.Put(r)
	}
}

// idEdit gives the reply our id in place of the model's.
func (r *room) idEdit(id string) openai.Edit {
	v := &r.view
	if v.ID.Present() {
		r.id = openai.Quote(r.id[:0], id)
		return openai.Edit{Span: v.ID, With: r.id}
	}
	at := v.Object.Start + 1
	r.id = append(openai.Quote(append(r.id[:0], `"id":`...), id), ',')
	return openai.Edit{Span: openai.Span{Start: at, End: at}, With: r.id}
}

// collected are the calls of a reply, nil if it has none.
func (h *Handler) collected(v *openai.View) *collector {
	var coll *collector
	for i := range v.Choices {
		ch := &v.Choices[i]
		if len(ch.Calls) == 0 && !ch.HasLegacy {
			continue
		}
		if coll == nil {
			coll = newCollector(h.o.Settings.KeptLimit)
		}
		coll.finish(ch.Index, ch.FinishReason)
		coll.whole(v.Data, ch)
	}
	if coll != nil {
		sealJSON(v, coll)
	}
	return coll
}

// govern decides the calls of a JSON reply and answers the edits that make it
// say so, nil where the model is to be asked again.
func (h *Handler) govern(ctx context.Context, t *turn, a *asker, v *openai.View, coll *collector) ([]openai.Edit, outcome, error) {
	coll.truncate()
	begun := t.caller.Trace.Begin()
	plan, err := h.decide(ctx, t, coll)
	if err != nil {
		return nil, outcome{}, err
	}
	a.words = t.lastUserText()
	texts := map[int]string{}
	for i := range v.Choices {
		ch := &v.Choices[i]
		if ch.Content.Present() {
			texts[ch.Index], _ = openai.Unquote(ch.Content.Of(v.Data))
		}
	}
	out, err := a.commit(ctx, h.o.Desk, plan, func(choice int) bool { return texts[choice] != "" })
	t.tellJudged(begun, plan, err == nil)
	if err != nil {
		return nil, outcome{}, err
	}
	held := heldChoice(plan)
	if t.replan(plan, texts[plan.Calls[0].Choice]) != nil {
		return nil, outcome{}, nil
	}
	t.caller.governed(plan.Decisions, plan.Hold)
	o := a.outcome(plan)
	if err := t.asError(o.gate, a.allText(plan, held), o.next); err != nil {
		t.told(o)
		return nil, o, err
	}
	var edits []openai.Edit
	piece := 0
	for i := range v.Choices {
		ch := &v.Choices[i]
		if len(ch.Calls) == 0 && !ch.HasLegacy {
			continue
		}
		more, err := choiceEdits(v, ch, out, &piece, released(out, ch.Index), a.text(plan, ch.Index, held))
		if err != nil {
			return nil, o, err
		}
		edits = append(edits, more...)
	}
	return edits, o, nil
}

// sealJSON keeps the values that carry calls, in the order choiceEdits goes
// through them.
func sealJSON(v *openai.View, coll *collector) {
	for i := range v.Choices {
		ch := &v.Choices[i]
		if len(ch.Calls) > 0 {
			coll.sealed.Piece(ch.CallsValue.Of(v.Data), ch.Index)
		}
		if ch.HasLegacy {
			coll.sealed.Piece(ch.Legacy.Span.Of(v.Data), ch.Index)
		}
	}
}

// choiceEdits put a choice's released calls back in place of what the model
// sent, and the words about the others into its content.
func choiceEdits(v *openai.View, ch *openai.ChoiceView, out governance.ReleasedTurn, piece *int, calls []governance.Release, text string) ([]openai.Edit, error) {
	var edits []openai.Edit
	whole := true
	place := func(value openai.Span) error {
		r := out.Pieces[*piece]
		*piece++
		if !r.Granted() {
			whole = false
			return nil
		}
		var b bytes.Buffer
		if _, err := r.WriteTo(&b); err != nil {
			return err
		}
		edits = append(edits, openai.Edit{Span: value, With: b.Bytes()})
		return nil
	}
	if len(ch.Calls) > 0 {
		if err := place(ch.CallsValue); err != nil {
			return nil, err
		}
	}
	if ch.HasLegacy {
		if err := place(ch.Legacy.Span); err != nil {
			return nil, err
		}
	}
	if whole {
		return edits, nil
	}
	return replaced(v, ch, calls, text)
}

// replaced are the edits of a choice whose calls do not leave as they came.
func replaced(v *openai.View, ch *openai.ChoiceView, calls []governance.Release, text string) ([]openai.Edit, error) {
	members, err := callMembers(calls)
	if err != nil {
		return nil, err
	}
	var edits []openai.Edit
	cut := []openai.Span{}
	if len(ch.Calls) > 0 {
		cut = append(cut, ch.CallsMember)
	}
	if ch.HasLegacy {
		cut = append(cut, ch.LegacyMember)
	}
	content := append(withText(ch.Content.Of(v.Data), text), members...)
	if ch.Content.Present() {
		edits = append(edits, openai.Edit{Span: ch.Content, With: content})
		content = nil
	} else {
		content = append([]byte(`"content":`), content...)
	}
	edits = append(edits, v.CutMembers(ch.Message, content, cut...)...)
	finish := openai.Quote(nil, finishOf(calls))
	if !ch.Finish.Present() {
		at := ch.Span.Start + 1 // of a choice that has at least its message
		return append(edits, openai.Edit{Span: openai.Span{Start: at, End: at}, With: slices.Concat([]byte(`"finish_reason":`), finish, []byte(","))}), nil
	}
	return append(edits, openai.Edit{Span: ch.Finish, With: finish}), nil
}

// withText is a message's content with text behind it; the model's own
// characters stay as they are.
func withText(content []byte, text string) []byte {
	parts := len(content) > 2 && content[0] == '['
	switch {
	case parts && text != "":
		part := append(openai.Quote([]byte(`,{"type":"text","text":`), text), "}]"...)
		return slices.Concat(content[:len(content)-1], part)
	case parts:
		return slices.Clone(content)
	}
	raw, _ := openai.TrimString(content)
	if len(raw) == 0 && text == "" {
		return []byte("null")
	}
	if len(raw) > 0 && text != "" {
		text = "\n\n" + text
	}
	return slices.Concat([]byte{'"'}, raw, openai.Quote(nil, text)[1:])
}

// released are the released calls of one choice.
func released(out governance.ReleasedTurn, choice int) []governance.Release {
	var list []governance.Release
	for _, r := range out.Calls {
		if r.Call().Choice == choice {
			list = append(list, r)
		}
	}
	return list
}

// text is what is said in a choice: the calls that go nowhere, then the
// question if this choice is asked about.
func (a *asker) text(p *governance.Plan, choice, held int) string {
	text := a.said(p, choice)
	if choice == held {
		if text != "" {
			text += "\n\n"
		}
		text += p.Hold.Prompt
	}
	return text
}

// allText is the text of every choice that has one, lowest choice first.
func (a *asker) allText(p *governance.Plan, held int) string {
	text := ""
	for _, c := range p.Choices() {
		if s := a.text(p, c, held); s != "" {
			if text != "" {
				text += "\n\n"
			}
			text += s
		}
	}
	return text
}

// idEdit gives a reply our id in place of the model's.
func idEdit(v *openai.View, id identity) openai.Edit {
	if v.ID.Present() {
		return openai.Edit{Span: v.ID, With: openai.Quote(nil, id.id)}
	}
	at := v.Object.Start + 1
	return openai.Edit{Span: openai.Span{Start: at, End: at}, With: append(openai.Quote([]byte(`"id":`), id.id), ',')}
}

func upstreamGone(err error) error {
	return fault.Wrap(err, fault.ServiceUnavailable, "the model went away before its reply was complete")
}
