package chat

// beat tells the writer what a heartbeat is from now on: an empty delta of the
// first choice that has not ended for the client. The first one opens it.
func (s *stream) beat() {
	for choice := range s.t.req.N {
		c := s.choices[choice]
		if c != nil && c.closed {
			continue
		}
		next := s.id.chunk(choice, textDelta("", false), "", nil)
		first := next
		if c == nil || !c.role {
			first = s.id.chunk(choice, textDelta("", true), "", nil)
		}
		s.out.heartbeat(first, next)
		return
	}
	s.out.heartbeat(nil, nil)
}
