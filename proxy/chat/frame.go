package chat

import (
	"bytes"

	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// edited is the frame with our id in place of the model's, without fields that
// have our names, and where in it added fields go. It is valid until the next
// frame.
func (s *stream) edited(f sse.Frame) (frame []byte, end int) {
	v := &s.view
	s.edits = append(s.edits[:0], v.Cut(addedNames...)...)
	if v.ID.Present() {
		s.edits = append(s.edits, openai.Edit{Span: v.ID, With: s.idJSON})
	} else {
		s.edits = append(s.edits, idEdit(v, s.id))
	}
	s.named = !s.started
	if s.named {
		at := v.Object.End - 1
		s.edits = append(s.edits, openai.Edit{Span: openai.Span{Start: at, End: at}, With: s.plain().ids()})
		s.started = true
	}
	return s.framed(f)
}

// framed applies the edits to the frame's payload.
func (s *stream) framed(f sse.Frame) (frame []byte, end int) {
	s.data = openai.Splice(s.data[:0], s.view.Data, s.edits...)
	frame, at := f.ReplaceAt(s.frame[:0], s.data)
	s.frame = frame
	end = at + bytes.LastIndexByte(s.data, '}')
	if bytes.HasPrefix(frame, byteOrderMark) {
		// It may only stand at the very beginning of a stream, and a heartbeat may
		// have gone out before.
		return frame[len(byteOrderMark):], end - len(byteOrderMark)
	}
	return frame, end
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// remainder is what is left of a chunk without its calls; nil if a client would
// miss nothing of it.
func (s *stream) remainder(f sse.Frame) ([]byte, int) {
	v := &s.view
	keep := v.Usage.Present()
	for i := range v.Choices {
		ch := &v.Choices[i]
		keep = keep || ch.HasText || len(ch.Calls) == 0 && !ch.HasLegacy || ch.FinishReason != ""
		var cut []openai.Span
		if len(ch.Calls) > 0 {
			cut = append(cut, ch.CallsMember)
		}
		if ch.HasLegacy {
			cut = append(cut, ch.LegacyMember)
		}
		if len(cut) > 0 {
			s.edits = append(s.edits, v.CutMembers(ch.Message, nil, cut...)...)
		}
	}
	if !keep {
		return nil, 0
	}
	frame, end := s.framed(f)
	return bytes.Clone(frame), end
}

func insert(frame []byte, at int, extra []byte) []byte {
	return append(append(append(make([]byte, 0, len(frame)+len(extra)), frame[:at]...), extra...), frame[at:]...)
}
