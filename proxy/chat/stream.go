package chat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/proxy/backend"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// stream is one streamed reply on its way through.
type stream struct {
	h    *Handler
	t    *turn
	id   identity
	out  *writer
	coll *collector
	view openai.View

	idJSON  []byte // id as a JSON string
	edits   []openai.Edit
	data    []byte // the payload under edit, reused
	frame   []byte // the frame under edit, reused
	queue   []queued
	kept    int64
	choices map[int]*choiceState
	asked   time.Time // when the model was
	heard   bool      // the trace knows what came of it
	usage   []byte    // as the model last said it, reused
	started bool      // a chunk has been edited, our ids in it
	named   bool      // our ids are in the chunk at hand
	known   bool      // created and model are the model's own

	patterns []pattern // frames that were read, see learn
	oldest   int       // the pattern that the next one replaces
	strings  [][]byte  // of the frame at hand, reused
	plainly  bool      // every frame is read: for tests
}

type choiceState struct {
	role     bool // the assistant role has gone out
	text     bool // text has gone out or waits in the queue
	finished bool
	closed   bool // the finish has gone out
	waits    bool // text waits in the queue: later text must wait too
	reason   string
}

// queued is a frame that waits for the decision.
type queued struct {
	frame  []byte // a frame without calls, or what is left of one without its calls
	piece  int    // the sealed piece, -1 for a frame without calls
	choice []int  // choices in the frame
	finish []int  // choices that finish in it
	end    int    // where added fields go in frame
	// pieceEnd is where they go in the piece.
	pieceEnd int
	roles    []int // choices whose role is in the frame
	named    bool  // our ids are in the frame
	run      bool  // nothing but fragments of calls of one choice
}

// stream serves a streamed reply: text goes out as it comes, everything that
// belongs to a call waits for the decision at the end.
func (h *Handler) stream(ctx context.Context, w http.ResponseWriter, in http.Header, t *turn, id identity) error {
	asked := t.caller.Trace.Begin()
	up, err := h.model(ctx, in, t)
	if err != nil {
		h.tellModel(t, asked, openai.Span{}, nil, nil, err)
		return err
	}
	passOn(w.Header(), up.Header)
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Trailer", GateHeader)
	streamHeaders(head)

	s := &stream{h: h, t: t, id: id, asked: asked, coll: newCollector(h.o.Settings.KeptLimit), choices: map[int]*choiceState{}}
	s.idJSON = openai.Quote(nil, id.id)
	s.out = newWriter(w, h.o.Settings)
	s.out.prompt = t.key != "" // whoever keeps the answer must hear that it has begun before it is whole
	defer s.out.stop()
	s.beat()
	if !t.errorsHTTP {
		s.out.open()
	}

	gate, err := s.reply(ctx, up)
	for errors.Is(err, errAgain) {
		s.next()
		s.asked, s.heard = t.caller.Trace.Begin(), false
		if up, err = h.model(ctx, in, t); err == nil {
			gate, err = s.reply(ctx, up)
		}
	}
	if err != nil {
		s.tellModel(err)
	}
	switch {
	case err == nil:
		head.Set(GateHeader, string(gate))
	case !s.out.opened():
		// Nothing has gone out: the server answers with an ordinary error.
		for _, name := range []string{"Content-Type", "Trailer", "Cache-Control", "X-Accel-Buffering"} {
			head.Del(name)
		}
		return err
	case ctx.Err() != nil:
		h.o.Logger.Debug("the client went away", "trace_id", t.caller.TraceID)
		t.caller.Trace.Gone()
	default:
		f := fault.From(err)
		t.caller.Trace.Failed(f)
		h.o.Logger.Warn("a stream broke", "trace_id", t.caller.TraceID, "error", err)
		s.out.last(f.Event(t.caller.TraceID, t.caller.BaseURL))
	}
	return nil
}

// tellModel notes once what came of asking the model.
func (s *stream) tellModel(err error) {
	if s.heard {
		return
	}
	s.heard = true
	s.h.tellModel(s.t, s.asked, openai.Span{End: len(s.id.model)}, s.usage, s.id.model, err)
}

// errAgain says that the model is to be asked again.
var errAgain = errors.New("chat: the refusal goes back to the model")

// reply is one reply of the model's.
func (s *stream) reply(ctx context.Context, up *backend.Response) (governance.Gate, error) {
	defer func() { _ = up.Body.Close() }()
	frames := sse.NewReader(up.Body, int(s.h.o.Settings.FrameLimit))
	defer frames.Release()
	return s.run(ctx, frames)
}

// next makes ready for another reply, which goes on where the last one ended.
func (s *stream) next() {
	s.coll = newCollector(s.h.o.Settings.KeptLimit)
	s.queue, s.kept = nil, 0
	s.forget()
	for i, c := range s.choices {
		if c.text {
			_ = s.out.write(s.id.chunk(i, textDelta("\n\n", false), "", nil))
		}
		s.choices[i] = &choiceState{role: c.role, text: c.text}
	}
}

// run reads the model's stream to its end and writes ours.
func (s *stream) run(ctx context.Context, frames *sse.Reader) (governance.Gate, error) {
	done, err := s.takeAll(frames)
	if err != nil {
		return "", err
	}
	return s.end(ctx, done)
}

// takeAll takes every frame of a reply and answers the model's end mark, or ours where it has none.
func (s *stream) takeAll(frames *sse.Reader) (done []byte, err error) {
	for {
		if err := s.takeKnown(frames); err != nil {
			return nil, err
		}
		if !frames.Buffered() {
			// Nothing more is to be had without waiting.
			s.out.flush()
			if len(frames.Ahead()) == 0 && frames.Fill() {
				continue
			}
		}
		f, err := frames.Next()
		if err == nil && f.Done() {
			return f.Raw, nil
		}
		if err == nil || f.Raw != nil {
			if err := s.take(f); err != nil {
				return nil, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			if !s.complete() {
				return nil, upstreamGone(io.ErrUnexpectedEOF)
			}
			return doneFrame, nil
		case err != nil:
			return nil, upstreamGone(err)
		}
	}
}

// complete says that every choice was finished by the model.
func (s *stream) complete() bool {
	for _, c := range s.choices {
		if !c.finished {
			return false
		}
	}
	return len(s.choices) > 0
}

const errFrame = "the model sent a frame that cannot be read: "

// take handles one frame.
func (s *stream) take(f sse.Frame) error {
	if f.Data == nil {
		if f.Odd || len(f.Event) > 0 || !f.Complete {
			return nil // not a frame of chat completions, or half a comment, which would swallow what follows
		}
		return s.pass(f.Raw)
	}
	if taken, err := s.knownFrame(f); taken {
		return err
	}
	if !f.Complete || f.Odd || len(f.Event) > 0 && string(f.Event) != "message" {
		return s.strange(f)
	}
	v := &s.view
	if err := v.Parse(f.Data); err != nil {
		return fault.Wrap(err, fault.ServiceUnavailable, errFrame+"%v", err)
	}
	if v.Error.Present() && !bytes.Equal(v.Error.Of(v.Data), []byte("null")) {
		return fault.New(fault.ServiceUnavailable, "the model reported an error in the middle of its reply")
	}
	if !v.HasChoices {
		return nil // not a chunk: no client could use it, and it could carry anything
	}
	if v.Usage.Present() {
		s.usage = append(s.usage[:0], v.Usage.Of(v.Data)...)
	}
	if s.known {
		return s.chunk(f)
	}
	s.known = s.id.learn(v)
	err := s.chunk(f)
	s.beat()
	return err
}

// strange handles a frame that readers do not agree on: with an unfinished end
// it may still be whole, everything else is not forwarded.
func (s *stream) strange(f sse.Frame) error {
	if f.Odd || f.Complete {
		return fault.New(fault.ServiceUnavailable, errFrame+"it is no plain data frame")
	}
	f.Complete = true
	f.Raw = append(bytes.Clone(f.Raw), "\n\n"...)
	f.Data, f.At = bytes.Clone(f.Data), -1
	return s.take(f)
}

// chunk handles one chunk of the model's.
func (s *stream) chunk(f sse.Frame) error {
	v := &s.view
	carries, waits := false, false
	for i := range v.Choices {
		ch := &v.Choices[i]
		c := s.choice(ch.Index)
		calls := len(ch.Calls) > 0 || ch.HasLegacy
		if calls && c.finished {
			return fault.New(fault.ServiceUnavailable, "the model sent a call after it had finished")
		}
		carries = carries || calls
		waits = waits || c.waits
	}
	frame, end := s.edited(f)
	if !carries && !waits && len(s.queue) == 0 && len(v.Choices) > 0 && !s.finishes(v) {
		s.note(v)
		s.learn(f, frame)
		return s.pass(frame)
	}
	return s.later(v, f, frame, end, carries, waits)
}

// finishes says whether a chunk ends a choice.
func (s *stream) finishes(v *openai.View) bool {
	for i := range v.Choices {
		if v.Choices[i].FinishReason != "" {
			return true
		}
	}
	return false
}

// note remembers what a chunk that goes out has told the client.
func (s *stream) note(v *openai.View) {
	for i := range v.Choices {
		if v.Choices[i].HasText {
			s.out.open()
		}
	}
	for i := range v.Choices {
		ch := &v.Choices[i]
		c := s.choice(ch.Index)
		c.text = c.text || hasWords(v.Data, ch)
		if !c.role && ch.Role.Present() {
			c.role = true
			s.beat()
		}
	}
}

// finish is note for a chunk that ends choices, or none.
func (s *stream) finish(v *openai.View, choices []int) {
	s.note(v)
	for _, c := range choices {
		s.choice(c).closed = true
		s.beat()
	}
}

func hasWords(data []byte, ch *openai.ChoiceView) bool {
	return ch.Content.Present() && ch.Content.End-ch.Content.Start > 2 && data[ch.Content.Start] == '"'
}

// hasCalls says whether one of these choices has proposed a call.
func (s *stream) hasCalls(choices []int) bool {
	for _, c := range choices {
		if s.coll.choices[c] != nil {
			return true
		}
	}
	return false
}

// finishedAll says that as many choices have finished as were asked for.
func (s *stream) finishedAll() bool {
	n := 0
	for _, c := range s.choices {
		if c.finished {
			n++
		}
	}
	return n >= s.t.req.N
}

func (s *stream) choice(i int) *choiceState {
	c := s.choices[i]
	if c == nil {
		c = new(choiceState)
		s.choices[i] = c
	}
	return c
}

func callChoices(v *openai.View) []int {
	var list []int
	for i := range v.Choices {
		if ch := &v.Choices[i]; len(ch.Calls) > 0 || ch.HasLegacy {
			list = append(list, ch.Index)
		}
	}
	return list
}

// plain is the outcome of a turn without held calls.
func (s *stream) plain() outcome {
	o := outcome{conversation: s.t.found.Conversation, trace: s.t.caller.TraceID, gate: governance.GateOK}
	o.next = (&asker{}).next(o.gate, nil)
	return o
}

// fields tell how a turn ended, for a frame that our ids are in, or not.
func (s *stream) fields(o outcome, named bool) []byte {
	o = s.t.told(o)
	if named {
		return o.ending()
	}
	return o.added()
}

// pass writes a frame now.
func (s *stream) pass(frame []byte) error {
	return s.out.write(frame)
}
