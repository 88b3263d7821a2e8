package conversations

import (
	"slices"
	"time"

	"cadreen/conversations/answer"
	"cadreen/governance"
)

// recent bounds how long an ended hold still answers a bare word that came with
// nothing but a conversation id.
const recent = time.Hour

// refuses says that the last message is a no, whatever its number.
func (s *search) refuses() bool {
	kind := answer.Read(s.last(), listable).Kind
	return kind == answer.No || kind == answer.NoItems
}

// listable is how many items answer.Looks allows for.
const listable = 99

// answered picks the hold that an answer word after our prompt is for.
func (s *search) answered(matched []governance.Hold) error {
	sideCall := !s.HasTools && s.BodyID == ""
	var open []governance.Hold
	for _, h := range matched {
		if sideCall && h.WithTools {
			s.out.NeedsTools = true
			continue
		}
		if h.State == governance.StateHeld {
			open = append(open, h)
		}
	}
	switch {
	case len(open) > 1:
		s.out.What, s.out.Open = IsUnclear, open
		return nil
	case len(open) == 1:
		a, ok := s.open(open[0])
		if !ok {
			return s.passedOver(matched)
		}
		s.answers(open[0], a)
		return nil
	}
	for _, h := range matched {
		if sideCall && h.WithTools {
			continue
		}
		a := answer.Read(s.last(), max(1, len(h.Items)))
		if a.Kind == answer.None {
			return s.passedOver(matched)
		}
		s.answers(h, a)
		return nil
	}
	s.out.What = IsNothing
	return nil
}

// open reads the word against one open hold. A number that the prompt does not
// list is no answer.
func (s *search) open(h governance.Hold) (answer.Answer, bool) {
	a := answer.Read(s.last(), len(h.Numbered()))
	if a.Kind == answer.None && h.Ready && s.refuses() {
		// The numbers are gone, because everything is answered: a no to any of them
		// must still keep the calls from going.
		return answer.Answer{Kind: answer.No}, true
	}
	return a, a.Kind != answer.None
}

func (s *search) answers(h governance.Hold, a answer.Answer) {
	s.out.What, s.out.Hold, s.out.Answer, s.out.Conversation = IsAnswer, &h, a, h.Conversation
}

// bareWord reads an answer that comes with nothing but the conversation's id. It
// is for the one hold that waits for the requester, or else for the one that is
// open at all.
func (s *search) bareWord() (bool, error) {
	open, err := s.holds.LiveHolds(s.ctx, s.Workspace, s.Principal, s.BodyID)
	if err != nil {
		return false, err
	}
	open = slices.DeleteFunc(open, func(h governance.Hold) bool { return h.State != governance.StateHeld })
	asked := slices.DeleteFunc(slices.Clone(open), func(h governance.Hold) bool { return !h.Confirms() })
	if len(asked) > 0 {
		open = asked
	}
	switch {
	case len(open) > 1:
		s.out.What, s.out.Open = IsUnclear, open
		return true, nil
	case len(open) == 1:
		a, ok := s.open(open[0])
		if ok {
			s.answers(open[0], a)
		}
		return ok, nil
	}
	all, err := s.holds.HoldsByConversation(s.ctx, s.Workspace, s.Principal, s.BodyID)
	if err != nil || len(all) == 0 {
		return false, err
	}
	// A word that comes again, or too late, hears so. A hold that was superseded
	// had its place taken by something else, and the word may be meant for that.
	newest := all[0]
	a := answer.Read(s.last(), max(1, len(newest.Items)))
	if newest.State == governance.StateSuperseded || s.Now.Sub(newest.Closed) >= recent || a.Kind == answer.None {
		return false, nil
	}
	s.answers(newest, a)
	return true, nil
}

// passedOver notes the holds that a message which is no answer leaves behind.
func (s *search) passedOver(matched []governance.Hold) error {
	s.out.What = ForModel
	if !s.fromUser {
		return nil
	}
	if s.HasTools {
		for _, h := range matched {
			if h.Confirms() {
				s.out.Supersede = append(s.out.Supersede, h.ID)
				s.out.Conversation = h.Conversation
			}
		}
	}
	if s.BodyID == "" {
		return nil
	}
	live, err := s.holds.LiveHolds(s.ctx, s.Workspace, s.Principal, s.BodyID)
	if err != nil {
		return err
	}
	for _, h := range live {
		if h.Confirms() && !slices.Contains(s.out.Supersede, h.ID) {
			s.out.Supersede = append(s.out.Supersede, h.ID)
		}
	}
	return nil
}
