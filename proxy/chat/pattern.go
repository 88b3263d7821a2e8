package chat

import (
	"bytes"

	"cadreen/governance"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// pattern is a frame that was read in full, as what frames like it are held against: the same bytes around other
// strings. Such a frame needs no reading. It is as strict as the first, carries nothing else, and leaves with the same
// bytes around its strings.
type pattern struct {
	in, out []byte // the frame as it came, and as it left
	slots   []openai.Slot
	// inAt and outAt are where the bytes between the slots begin and end.
	inAt, outAt []openai.Span
	choice      *choiceState
	index       int // of the choice

	// Of a fragment of a call:
	calls *choiceCalls
	call  *governance.SealedCall
	place int               // the index of the call
	mould *governance.Mould // out without its strings, nil until it is asked for
}

// maxPatterns of a stream: choices, or text and reasoning, may take turns.
const maxPatterns = 4

// learn keeps a frame that was taken and left as frame.
func (s *stream) learn(f sse.Frame, frame []byte) {
	v := &s.view
	if s.plainly || s.named || len(s.edits) != 1 || !v.ID.Present() || f.At < 0 || len(f.Event) > 0 || bytes.HasPrefix(f.Raw, byteOrderMark) {
		return
	}
	var p *pattern
	if len(s.patterns) < maxPatterns {
		s.patterns = append(s.patterns, pattern{})
		p = &s.patterns[len(s.patterns)-1]
	} else {
		p = &s.patterns[s.oldest]
		s.oldest = (s.oldest + 1) % maxPatterns
	}
	grown := len(s.idJSON) - (v.ID.End - v.ID.Start)
	var ok bool
	if p.slots, ok = v.Slots(p.slots); !ok || len(frame) != len(f.Raw)+grown {
		p.slots = p.slots[:0]
		return
	}
	p.in, p.out = append(p.in[:0], f.Raw...), append(p.out[:0], frame...)
	p.inAt, p.outAt = p.inAt[:0], p.outAt[:0]
	from, left := 0, 0
	for _, slot := range p.slots {
		start, end := f.At+slot.Start, f.At+slot.End
		moved := 0
		if slot.Start > v.ID.Start {
			moved = grown
		}
		p.inAt = append(p.inAt, openai.Span{Start: from, End: start})
		p.outAt = append(p.outAt, openai.Span{Start: left, End: start + moved})
		from, left = end, end+moved
	}
	p.inAt = append(p.inAt, openai.Span{Start: from, End: len(p.in)})
	p.outAt = append(p.outAt, openai.Span{Start: left, End: len(p.out)})
	ch := &v.Choices[0]
	p.index, p.choice, p.call, p.mould = ch.Index, s.choice(ch.Index), nil, nil
	if len(ch.Calls) > 0 {
		p.calls = s.coll.of(ch.Index)
		p.place = ch.Calls[0].Index
		p.call = p.calls.byIndex[p.place]
		kind, _ := openai.Unquote(ch.Calls[0].Type.Of(v.Data))
		if said := form(&ch.Calls[0]); said != p.call.Form() || kind != "" && kind != string(said) {
			p.slots = p.slots[:0] // each such fragment is another fault of the call
		}
	}
}

// outdate drops the patterns of calls that a choice was just read to go on with: they may not say the same of them, and
// a call leaves with what was last said of it.
func (s *stream) outdate(ch *openai.ChoiceView) {
	for i := range s.patterns {
		p := &s.patterns[i]
		if p.call == nil || p.index != ch.Index {
			continue
		}
		for j := range ch.Calls {
			if v := &ch.Calls[j]; !v.HasIndex || p.calls.byIndex[v.Index] == p.call {
				p.slots = p.slots[:0]
			}
		}
	}
}

// forget drops every pattern: they speak of calls and choices of this reply.
func (s *stream) forget() { s.patterns, s.oldest = s.patterns[:0], 0 }

// match finds the strings of a frame like the pattern that b begins with, and its length; 0: b begins with none. The
// strings are valid as long as b.
func (p *pattern) match(b []byte, found [][]byte) ([][]byte, int) {
	found = found[:0]
	if len(p.slots) == 0 {
		return found, 0
	}
	at := 0
	for i := range p.slots {
		between := p.inAt[i].Of(p.in)
		if !bytes.HasPrefix(b[at:], between) {
			return found, 0
		}
		at += len(between)
		end := openai.StringEnd(b[at:])
		if end < 0 {
			return found, 0
		}
		found = append(found, b[at:at+end])
		at += end
	}
	last := p.inAt[len(p.slots)].Of(p.in)
	if !bytes.HasPrefix(b[at:], last) {
		return found, 0
	}
	return found, at + len(last)
}

// takeKnown takes the frames that are there and like an earlier one. They are cut where that one was: no string of theirs
// holds the end of a line, and nothing that follows an LF belongs to the line before it.
func (s *stream) takeKnown(frames *sse.Reader) error {
	for {
		ahead := frames.Ahead()
		p, n := s.like(ahead)
		if p == nil || ahead[n-1] != '\n' {
			return nil
		}
		taken, err := s.takeLike(p)
		if !taken || err != nil {
			return err
		}
		frames.Skip(n)
	}
}

// knownFrame takes a frame that is like an earlier one. false: it has to be read.
func (s *stream) knownFrame(f sse.Frame) (taken bool, err error) {
	if !f.Complete {
		return false, nil
	}
	p, n := s.like(f.Raw)
	if p == nil || n < len(f.Raw) {
		return false, nil
	}
	return s.takeLike(p)
}

// like is the pattern of the frame that b begins with, nil if it has none, and the length of the frame. Its strings are
// in s.strings.
func (s *stream) like(b []byte) (p *pattern, n int) {
	for i := range s.patterns {
		p := &s.patterns[i]
		if s.strings, n = p.match(b, s.strings); n > 0 {
			return p, n
		}
	}
	return nil, 0
}

// takeLike takes the frame with s.strings that is like a pattern. false: it has to be read.
func (s *stream) takeLike(p *pattern) (taken bool, err error) {
	switch {
	case p.call == nil && len(s.queue) == 0 && !p.choice.waits:
		return true, s.text(p)
	case p.call != nil && !p.choice.finished && p.calls.byIndex[p.place] == p.call:
		return true, s.fragment(p)
	}
	return false, nil
}

// filled is the frame that leaves, the strings of this one in it. It is valid until the next frame.
func (s *stream) filled(p *pattern) []byte {
	frame := s.frame[:0]
	for i, text := range s.strings {
		frame = append(append(frame, p.outAt[i].Of(p.out)...), text...)
	}
	s.frame = append(frame, p.outAt[len(p.slots)].Of(p.out)...)
	return s.frame
}

// text lets text go on.
func (s *stream) text(p *pattern) error {
	for i, slot := range p.slots {
		if len(s.strings[i]) == 0 || slot.Kind == openai.SlotFiller {
			continue
		}
		s.out.open()
		if slot.Kind == openai.SlotContent {
			p.choice.text = true
		}
	}
	return s.pass(s.filled(p))
}

// fragment keeps the next characters of a call's arguments. Its frame becomes part of the piece before it, where that
// is a fragment too: both leave, or neither does.
func (s *stream) fragment(p *pattern) error {
	for i, slot := range p.slots {
		if slot.Kind == openai.SlotArguments {
			p.call.Argument(s.strings[i])
			p.calls.pair(p.call, s.strings[i])
		}
	}
	before := s.coll.sealed.Size()
	if n := len(s.queue); n > 0 && s.queue[n-1].run && s.queue[n-1].choice[0] == p.index {
		s.coll.sealed.Extend(p.cast(), s.strings...)
	} else {
		s.queue = append(s.queue, queued{piece: s.coll.sealed.Piece(s.filled(p), p.index), choice: []int{p.index}, run: true})
	}
	return s.keep(s.coll.sealed.Size() - before)
}

// cast is the mould of the frames that leave.
func (p *pattern) cast() *governance.Mould {
	if p.mould == nil {
		around := make([][]byte, len(p.outAt))
		for i, at := range p.outAt {
			around[i] = at.Of(p.out)
		}
		p.mould = governance.NewMould(around...)
	}
	return p.mould
}
