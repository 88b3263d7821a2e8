package chat

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"cadreen/conversations"
	"cadreen/conversations/answer"
	"cadreen/fault"
	"cadreen/governance"
)

// answer serves a request that is no matter for the model: the answer to a
// question of ours, or the arrival of what a reviewer sent back.
func (h *Handler) answer(ctx context.Context, w http.ResponseWriter, t *turn) error {
	a := &asker{base: t.caller.BaseURL, turn: t, words: t.lastUserText()}
	out := outcome{conversation: t.found.Conversation, trace: t.caller.TraceID, gate: governance.GateOK}
	s := speech{out: out}
	switch t.found.What {
	case conversations.IsAnswer, conversations.IsPickup:
		return h.settle(ctx, w, t, a)
	case conversations.IsUnclear:
		var open []conversations.Open
		for _, hold := range t.found.Open {
			open = append(open, openOf(hold))
		}
		s.text, s.out.gate = conversations.TextAmbiguous(open), governance.GateNeedsInput
	case conversations.IsAsked:
		s.text, s.out.gate = conversations.QuestionText(t.found.Hold.Question), governance.GateNeedsInput
	case conversations.IsReply:
		if err := h.o.Desk.Reply(ctx, t.caller.Workspace, t.found.Hold.ID, t.lastUserText()); err != nil {
			return err
		}
		s.text, s.out.gate = conversations.TextStillWaiting(a.places(t.found.Hold)...), governance.GateEscalate
	default:
		s.text = conversations.TextUnknown()
		if t.found.NeedsTools {
			s.text = conversations.TextNeedsTools()
		}
	}
	s.out.next = a.next(s.out.gate, cmp.Or(t.found.Hold, new(governance.Hold))) // a yes or no is waited for
	_, err := h.speak(ctx, w, t, s)
	return err
}

// settle takes the answer, and releases what it lets go.
func (h *Handler) settle(ctx context.Context, w http.ResponseWriter, t *turn, a *asker) error {
	hold := t.found.Hold
	var kept []governance.Call // where some of it stays open
	tries := 0
	in := governance.Answer{Read: hold, By: t.requester(), TraceID: t.caller.TraceID, Key: t.key, Retry: t.retry,
		Pickup: t.found.What == conversations.IsPickup,
		Ask: func(hold *governance.Hold, calls []governance.Call) governance.Asked {
			kept = calls
			tag := ""
			if tries++; tries > 1 {
				tag = newTag()
			}
			return a.asked(hold, calls, false, tag)
		}}
	switch t.found.Answer.Kind {
	case answer.Yes:
		in.Yes = true
	case answer.Items:
		in.Yes, in.Items = true, t.found.Answer.Items
	case answer.NoItems:
		in.Items = t.found.Answer.Items
	}
	begun := t.caller.Trace.Begin()
	done, err := h.o.Desk.Answer(ctx, t.caller.Workspace, hold.ID, in)
	if err != nil {
		return err
	}
	t.caller.governed(decisions(&done.Hold), &done.Hold)
	t.tellAnswered(begun, done, h.o.Now())
	if kept == nil && done.Hold.State == governance.StateHeld {
		if kept, err = h.o.Desk.HeldCalls(ctx, t.caller.Workspace, hold.ID); err != nil {
			return err
		}
	}
	s := a.speech(done, kept)
	if f := t.asError(s.out.gate, s.text, s.out.next); f != nil {
		t.told(s.out)
		return f
	}
	whole, err := h.speak(ctx, w, t, s)
	if done.Result == governance.ResultReleased {
		// The client may be gone; that the reply was or was not whole is noted
		// all the same, for whoever repeats the answer.
		note, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := h.o.Desk.Delivered(note, t.caller.Workspace, done.Hold, whole && err == nil); err != nil {
			h.o.Logger.Warn("the delivery of a release could not be noted", "hold", hold.ID, "error", err)
		}
	}
	return err
}

// speech puts the outcome of an answer into words.
func (a *asker) speech(done governance.Answered, kept []governance.Call) speech {
	h := &done.Hold
	s := speech{calls: done.Calls, out: outcome{conversation: a.turn.found.Conversation, trace: a.turn.caller.TraceID, gate: governance.GateOK}}
	denied := names(h, governance.AnswerNo)
	switch done.Result {
	case governance.ResultReleased:
		s.text = a.leftOut(h)
	case governance.ResultDenied:
		if h.State == governance.StateCancelled {
			denied = all(h)
		}
		s.text = conversations.TextDenied(denied...)
	case governance.ResultOpen:
		s.text = conversations.TextDeniedInPart(denied, names(h, governance.AnswerNone)) + "\n\n" + h.Prompt
		s.out.gate = governance.GateNeedsInput
	case governance.ResultWaiting:
		s.text, s.out.gate = conversations.TextStillWaiting(a.places(h)...), governance.GateEscalate
		if len(names(h, governance.AnswerYes)) > 0 {
			s.text = conversations.TextRecorded(a.places(h)...)
		}
	case governance.ResultAlready:
		s.text = conversations.TextAlreadyReleased(h.Closed)
	case governance.ResultErased:
		s.text, s.out.gate = conversations.TextUnknown(), governance.GateBlocked
	case governance.ResultChanged:
		s.text, s.out.gate = a.changed(h), governance.GateBlocked
		if h.State == governance.StateHeld {
			s.text, s.out.gate = h.Prompt, governance.GateEscalate
			if h.Confirms() {
				s.out.gate = governance.GateNeedsInput
			}
		}
	default:
		s.text = over(h)
	}
	if h.State == governance.StateHeld {
		s.out.pending = a.pending(h, kept)
	}
	s.out.next = a.next(s.out.gate, h)
	return s
}

// leftOut names the calls of a released turn that do not go along.
func (a *asker) leftOut(h *governance.Hold) string {
	var parts []string
	add := func(list []string, text func(...string) string) {
		if len(list) > 0 {
			parts = append(parts, text(list...))
		}
	}
	add(append(names(h, governance.AnswerNo), names(h, governance.AnswerPassed)...), func(list ...string) string { return conversations.TextDeniedInPart(list, nil) })
	add(names(h, governance.AnswerDecline), conversations.TextDeclined)
	add(names(h, governance.AnswerOutside), conversations.TextHandledOutside)
	if text := a.changed(h); text != "" {
		parts = append(parts, text)
	}
	return strings.Join(parts, "\n\n")
}

func (a *asker) changed(h *governance.Hold) string {
	var parts []string
	for _, it := range h.Items {
		if it.Answer == governance.AnswerPolicy {
			parts = append(parts, conversations.TextNowBlocked(it.Name, blockWords(it.Decision)))
		}
	}
	return strings.Join(parts, "\n\n")
}

// over answers a word to a hold that ended before.
func over(h *governance.Hold) string {
	switch h.State {
	case governance.StateExpired:
		return conversations.TextExpired(all(h)...)
	case governance.StateSuperseded:
		return conversations.TextSuperseded()
	case governance.StateDenied:
		if list := names(h, governance.AnswerDecline); len(list) > 0 {
			return conversations.TextDeclined(list...)
		}
		if list := names(h, governance.AnswerOutside); len(list) > 0 {
			return conversations.TextHandledOutside(list...)
		}
		return conversations.TextAlreadyDenied(h.Closed)
	}
	return conversations.TextNothingOpen()
}

func openOf(h governance.Hold) conversations.Open {
	return conversations.Open{Tools: all(&h), Tag: h.Tag}
}

// names are the tools of the items with this answer; of AnswerNone those that
// wait for the requester.
func names(h *governance.Hold, answer string) []string {
	var list []string
	for _, it := range h.Items {
		if it.Answer == answer && (answer != governance.AnswerNone || it.Verdict == governance.Confirm) {
			list = append(list, it.Name)
		}
	}
	return list
}

// decisions are those of a hold's calls.
func decisions(h *governance.Hold) []governance.CallDecision {
	list := make([]governance.CallDecision, len(h.Items))
	for i, it := range h.Items {
		list[i] = it.Decision
		list[i].Call.Name = it.Name // a stored decision does not hold its call
	}
	return list
}

func all(h *governance.Hold) []string {
	var list []string
	for _, it := range h.Items {
		if it.Verdict != governance.Allow {
			list = append(list, it.Name)
		}
	}
	return list
}

// places are where the open escalations of a hold are decided.
func (a *asker) places(h *governance.Hold) []string {
	var list []string
	for _, it := range h.Items {
		if it.Open() && it.Escalation != "" {
			list = append(list, conversations.EscalationPlace(it.Escalation, a.place(it.Escalation)))
		}
	}
	return list
}

// asError is the 403 that stands for a gate where HTTP errors are asked for; nil
// otherwise.
func (t *turn) asError(g governance.Gate, text string, next fault.NextAction) error {
	if !t.errorsHTTP {
		return nil
	}
	var f *fault.Error
	switch g {
	case governance.GateBlocked:
		f = fault.New(fault.BlockedByPolicy, "%s", text)
	case governance.GateEscalate:
		f = fault.New(fault.ConditionalApprovalRequired, "%s", text)
		f.Next = &next
	default:
		return nil
	}
	f.Header = http.Header{GateHeader: {string(g)}}
	return f
}
