package chat

import (
	"bytes"

	"cadreen/fault"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// later handles the chunks that are not plain text: calls, finishes, usage, and
// everything that comes after the first of what waits.
func (s *stream) later(v *openai.View, f sse.Frame, frame []byte, end int, carries, waits bool) error {
	q := queued{piece: -1, end: end, pieceEnd: end, named: s.named}
	last := false
	for i := range v.Choices {
		ch := &v.Choices[i]
		c := s.choice(ch.Index)
		q.choice = append(q.choice, ch.Index)
		if ch.Role.Present() {
			q.roles = append(q.roles, ch.Index)
		}
		if ch.FinishReason != "" {
			c.finished, c.reason = true, ch.FinishReason
			s.coll.finish(ch.Index, ch.FinishReason)
			q.finish = append(q.finish, ch.Index)
			last = s.finishedAll()
		}
	}
	if !carries && !waits && !s.hasCalls(q.choice) {
		switch {
		case len(v.Choices) == 0 && len(s.queue) > 0:
			// usage goes after the calls and the finish
		case last && len(s.queue) == 0:
			s.finish(v, q.finish)
			return s.pass(insert(frame, end, s.fields(s.plain(), s.named)))
		case !last:
			s.finish(v, q.finish)
			return s.pass(frame)
		}
	}
	if carries {
		for i := range v.Choices {
			ch := &v.Choices[i]
			if len(ch.Calls) > 0 || ch.HasLegacy {
				s.coll.delta(v.Data, ch)
				s.outdate(ch)
			}
			if ch.HasText {
				s.choice(ch.Index).waits = true
			}
		}
		q.piece = s.coll.sealed.Piece(frame, callChoices(v)...)
		s.learn(f, frame)
		q.frame, q.end = s.remainder(f)
		q.run = q.frame == nil && len(q.choice) == 1 && q.finish == nil && q.roles == nil
	} else {
		q.frame = bytes.Clone(frame)
	}
	for i := range v.Choices {
		c := s.choice(v.Choices[i].Index)
		c.text = c.text || hasWords(v.Data, &v.Choices[i])
	}
	s.queue = append(s.queue, q)
	return s.keep(int64(len(frame)))
}

// keep counts bytes that wait.
func (s *stream) keep(n int64) error {
	s.kept += n
	if s.kept > s.h.o.Settings.KeptLimit {
		return fault.New(fault.ServiceUnavailable, "the calls of this turn are over %d bytes", s.h.o.Settings.KeptLimit)
	}
	return nil
}
