package conversations

import (
	"slices"
	"strings"
	"time"

	"cadreen/governance"
)

// lost bounds how long a pickup whose reply may not have arrived is looked for;
// the desk has the last word, by its replay time.
const lost = 10 * time.Minute

// ready looks for what a reviewer sent back: released calls, or a question. A
// message that says no is never the arrival that takes the calls.
func (s *search) ready(matched []governance.Hold) (bool, error) {
	if !s.HasTools || s.Forced {
		return false, nil
	}
	live, err := s.reviewed(matched)
	if err != nil {
		return false, err
	}
	refuses := len(live) > 0 && s.refuses()
	for i := range live {
		h := &live[i]
		switch {
		case h.State == governance.StateReleased && !refuses && s.missed(h),
			h.State == governance.StateHeld && !refuses && h.Ready:
			s.out.What, s.out.Hold, s.out.Conversation = IsPickup, h, h.Conversation
			return true, nil
		case h.State == governance.StateHeld && h.Question != "" && s.fromUser:
			if s.follows(QuestionText(h.Question)) {
				s.out.What, s.out.Hold, s.out.Conversation = IsReply, h, h.Conversation
				return true, nil
			}
			if len(s.prompts) > 0 && refuses {
				continue // a no to our prompt takes the request back, question or not
			}
			s.out.What, s.out.Hold, s.out.Conversation = IsAsked, h, h.Conversation
			return true, nil
		}
	}
	return false, nil
}

// reviewed are the holds that a reviewer may have decided about: those that the
// transcript shows, and with a group all of that conversation.
func (s *search) reviewed(matched []governance.Hold) ([]governance.Hold, error) {
	if s.out.Group == "" {
		more, err := s.shown()
		return slices.Concat(matched, more), err
	}
	live, err := s.holds.LiveHolds(s.ctx, s.Workspace, s.Principal, s.out.Group)
	if err != nil || !s.Retry {
		return live, err
	}
	all, err := s.holds.HoldsByConversation(s.ctx, s.Workspace, s.Principal, s.out.Group)
	return append(live, all...), err
}

// missed says that a hold was picked up and that its calls have not arrived, as
// far as can be told: the reply was not written whole or the client sends its
// request again, and the transcript shows none of the calls.
func (s *search) missed(h *governance.Hold) bool {
	switch {
	case h.ReleaseAnswer != governance.PickedUp, s.Now.Sub(h.Closed) > lost:
		return false
	case !s.Retry && (h.Delivered || !s.fromUser):
		return false // the results of the very calls may be on their way
	}
	for _, it := range h.Items {
		if it.May() && (it.CallID == "" || s.shows(it.CallID)) {
			return false
		}
	}
	return true
}

func (s *search) shows(callID string) bool {
	for i := range s.Transcript.Len() {
		if slices.Contains(s.Transcript.CallIDs(i), callID) {
			return true
		}
	}
	return false
}

// follows says whether the last assistant message ends with a text of ours.
func (s *search) follows(text string) bool {
	t := s.Transcript
	for i := t.Len() - 2; i >= 0; i-- {
		if t.Role(i) == "assistant" {
			return strings.HasSuffix(Normalise(t.Text(i)), Normalise(text))
		}
	}
	return false
}

// maxShown bounds how many prompts of a transcript are looked up.
const maxShown = 5

// shown are the holds whose prompts stand anywhere in the transcript. Only
// escalations come back on their own, so only their prompts are looked for.
func (s *search) shown() ([]governance.Hold, error) {
	var list []governance.Hold
	found := 0
	for i := s.Transcript.Len() - 1; i >= 0 && found < maxShown; i-- {
		if s.Transcript.Role(i) != "assistant" {
			continue
		}
		if !s.Transcript.MayHold(i, "esc_") {
			continue
		}
		prompts, ok := Recognise(s.Transcript.Text(i))
		if !ok {
			continue
		}
		found++
		for _, pair := range pairs(s.Transcript, i, prompts) {
			more, err := s.holds.HoldsByPlace(s.ctx, s.Workspace, s.Principal, "", pair)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
	}
	return list, nil
}
