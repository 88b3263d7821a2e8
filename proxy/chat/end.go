package chat

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"cadreen/governance"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// end finishes a stream that the model ended properly: decide, then write what
// waited in the order it came, with the calls that go and the words about those
// that do not. done is the model's own end mark.
func (s *stream) end(ctx context.Context, done []byte) (governance.Gate, error) {
	s.tellModel(nil)
	e := &ending{stream: s, outcome: s.plain(), held: -1}
	if !s.coll.sealed.Empty() {
		if err := e.decide(ctx); err != nil {
			return "", err
		}
	}
	// What follows is written without a pause; however slow the client reads, no
	// heartbeat may come between the calls, or after the end.
	s.out.silent()
	s.out.open()
	e.findLast()
	for _, q := range s.queue {
		if err := e.emit(q); err != nil {
			return "", err
		}
	}
	if err := e.missingFinishes(); err != nil {
		return "", err
	}
	if err := s.out.write(done); err != nil {
		return "", err
	}
	if s.t.behind {
		s.out.flush()
	} else {
		s.out.hand()
	}
	return e.outcome.gate, nil
}

// ending is the last part of a stream.
type ending struct {
	*stream
	asker   *asker
	plan    *governance.Plan
	turn    governance.ReleasedTurn
	outcome outcome
	held    int          // the choice that is asked about, -1
	closed  map[int]bool // choices whose finish is out
	last    int          // the choice whose finish carries the outcome, -1
}

func (e *ending) decide(ctx context.Context) error {
	e.coll.truncate()
	begun := e.t.caller.Trace.Begin()
	plan, err := e.h.decide(ctx, e.t, e.coll)
	if err != nil {
		return err
	}
	e.asker = &asker{base: e.t.caller.BaseURL, turn: e.t, words: e.t.lastUserText()}
	e.turn, err = e.asker.commit(ctx, e.h.o.Desk, plan, func(choice int) bool { return e.choice(choice).text })
	e.t.tellJudged(begun, plan, err == nil)
	if err != nil {
		return err
	}
	e.held = heldChoice(plan)
	if e.t.replan(plan, "") != nil {
		return errAgain
	}
	e.t.caller.governed(plan.Decisions, plan.Hold)
	e.plan, e.outcome = plan, e.asker.outcome(plan)
	if !e.out.opened() {
		e.t.caller.Trace.Outcome(string(e.outcome.gate), e.outcome.next)
		return e.t.asError(e.outcome.gate, e.asker.allText(plan, e.held), e.outcome.next)
	}
	return nil
}

// findLast finds the choice whose finish goes out last.
func (e *ending) findLast() {
	e.closed = map[int]bool{}
	e.last = -1
	for _, q := range e.queue {
		for _, c := range q.finish {
			e.last = c
		}
	}
	for _, c := range e.unfinished() {
		e.last = c
	}
}

// unfinished are the choices that the model ended without a finish_reason.
func (e *ending) unfinished() []int {
	var list []int
	for i, c := range e.choices {
		if !c.finished {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// emit writes one queued frame, or what stands in its place.
func (e *ending) emit(q queued) error {
	frame, end := q.frame, q.end
	if q.piece >= 0 {
		switch r := e.turn.Pieces[q.piece]; {
		case r.Granted() && q.run:
			_, err := r.WriteTo(e.out) // nothing is added to fragments
			return err
		case r.Granted():
			var b bytes.Buffer
			if _, err := r.WriteTo(&b); err != nil {
				return err
			}
			frame, end = b.Bytes(), q.pieceEnd
		}
	}
	if frame == nil {
		return e.close(q.finish, nil)
	}
	if slices.ContainsFunc(q.finish, e.speaks) {
		return e.spoken(frame, q)
	}
	extra := e.finishes(q)
	if extra == nil {
		return e.out.write(frame)
	}
	return e.out.write(insert(frame, end, extra))
}

// finishes notes what a frame that goes out now opens and ends, and answers the
// fields that are added to it.
func (e *ending) finishes(q queued) (extra []byte) {
	for _, c := range q.roles {
		e.choice(c).role = true
	}
	for _, c := range q.finish {
		e.closed[c] = true
		if c == e.last {
			extra = e.fields(e.outcome, q.named)
		}
	}
	return extra
}

// spoken writes a frame that ends a choice of whose calls something is said:
// its text, what is said, its finish and usage, in this order.
func (e *ending) spoken(frame []byte, q queued) error {
	f, err := sse.NewReader(bytes.NewReader(frame), len(frame)+1).Next()
	if err != nil {
		return err
	}
	var v openai.View
	if err := v.Parse(f.Data); err != nil {
		return err
	}
	var edits []openai.Edit
	text := false
	for i := range v.Choices {
		ch := &v.Choices[i]
		if !slices.Contains(q.finish, ch.Index) || !ch.Finish.Present() {
			continue
		}
		text = text || ch.HasText && e.speaks(ch.Index)
		edits = append(edits, openai.Edit{Span: ch.Finish, With: []byte("null")})
	}
	if text {
		var usage []byte
		if v.Usage.Present() {
			usage = append([]byte(`,"usage":`), v.Usage.Of(v.Data)...)
			edits = append(edits, v.Cut("usage")...)
		}
		for _, c := range q.roles {
			e.choice(c).role = true
		}
		if err := e.out.write(f.Replace(nil, openai.Splice(nil, f.Data, edits...))); err != nil {
			return err
		}
		return e.close(q.finish, usage)
	}
	// The model's frame stays, with the reasons that fit what went out.
	edits = edits[:0]
	for _, c := range q.finish {
		if err := e.words(c); err != nil {
			return err
		}
	}
	for i := range v.Choices {
		ch := &v.Choices[i]
		if reason := e.reason(ch.Index); reason != "" && slices.Contains(q.finish, ch.Index) {
			edits = append(edits, openai.Edit{Span: ch.Finish, With: openai.Quote(nil, reason)})
		}
	}
	at := v.Object.End - 1
	edits = append(edits, openai.Edit{Span: openai.Span{Start: at, End: at}, With: e.finishes(q)})
	return e.out.write(f.Replace(nil, openai.Splice(nil, f.Data, edits...)))
}

// speaks says whether a choice's calls do not leave as they came.
func (e *ending) speaks(choice int) bool {
	return e.plan != nil && e.coll.choices[choice] != nil && !e.turn.Whole(e.coll.sealed, choice)
}

// words writes what is said of a choice's calls, and the released ones of them
// that leave on their own.
func (e *ending) words(choice int) error {
	if e.closed[choice] || !e.speaks(choice) {
		return nil
	}
	c := e.choice(choice)
	if text := e.asker.text(e.plan, choice, e.held); text != "" {
		if c.text {
			text = "\n\n" + text
		}
		if err := e.out.write(e.id.chunk(choice, textDelta(text, !c.role), "", nil)); err != nil {
			return err
		}
		c.role = true
	}
	for i, r := range released(e.turn, choice) {
		delta, err := callDelta(r, i, !c.role)
		if err != nil {
			return err
		}
		if err := e.out.write(e.id.chunk(choice, delta, "", nil)); err != nil {
			return err
		}
		c.role = true
	}
	return nil
}

// reason is the finish_reason of a choice, "" to keep the model's own.
func (e *ending) reason(choice int) string {
	if !e.speaks(choice) {
		return ""
	}
	return finishOf(released(e.turn, choice))
}

// close says what is to be said of choices and writes finishes of our own, the
// last of them with these further members.
func (e *ending) close(choices []int, members []byte) error {
	for i, choice := range choices {
		if e.closed[choice] {
			continue
		}
		if err := e.words(choice); err != nil {
			return err
		}
		e.closed[choice] = true
		c := e.choice(choice)
		reason := e.reason(choice)
		if reason == "" {
			reason = cmp.Or(c.reason, "stop")
		}
		var extra []byte
		if i == len(choices)-1 {
			extra = members
		}
		if choice == e.last {
			extra = append(slices.Clip(extra), e.t.told(e.outcome).added()...)
		}
		if err := e.out.write(e.id.chunk(choice, e.opening(c), reason, extra)); err != nil {
			return err
		}
	}
	return nil
}

// opening is the inside of a delta that opens a choice nothing was sent of.
func (e *ending) opening(c *choiceState) []byte {
	if c.role {
		return nil
	}
	return []byte(`"role":"assistant","content":""`)
}

// missingFinishes ends the choices that the model forgot to finish.
func (e *ending) missingFinishes() error { return e.close(e.unfinished(), nil) }
