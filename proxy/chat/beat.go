package chat

// heartbeat is what is sent in silence: an empty delta of a choice.
type heartbeat struct {
	id     identity
	choice int
	opens  bool // the choice has not begun yet: the first heartbeat begins it
}

func (b *heartbeat) frame() []byte {
	frame := b.id.chunk(b.choice, textDelta("", b.opens), "", nil)
	b.opens = false
	return frame
}

// beat tells the writer what a heartbeat is from now on: one of the first choice
// that has not ended for the client.
func (s *stream) beat() {
	for choice := range s.t.req.N {
		c := s.choices[choice]
		if c != nil && c.closed {
			continue
		}
		s.out.heartbeat(heartbeat{id: s.id, choice: choice, opens: c == nil || !c.role})
		return
	}
	s.out.silent()
}
