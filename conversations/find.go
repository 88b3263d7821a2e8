package conversations

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"cadreen/conversations/answer"
	"cadreen/governance"
)

// Transcript is the messages of a request, first to last.
type Transcript interface {
	Len() int
	Role(i int) string
	// Text is the message's text, its text parts joined.
	Text(i int) string
	// TextOnly says that the message is text and nothing else.
	TextOnly(i int) bool
	// CallIDs are the ids of the calls in an assistant message.
	CallIDs(i int) []string
}

// Request is what finding needs to know of a chat completion.
type Request struct {
	Workspace string
	Principal string
	// BodyID is conversation_id of the body. NamedID is the id that a header or
	// the metadata names, "" if none; the body's wins.
	BodyID, NamedID string
	HasTools        bool
	Forced          bool // tool_choice forces one function
	Now             time.Time
	Transcript      Transcript
}

// Holds is what finding asks of the desk.
type Holds interface {
	HoldsByPair(ctx context.Context, workspace, principal, pair string) ([]governance.Hold, error)
	HoldsByConversation(ctx context.Context, workspace, principal, conversation string) ([]governance.Hold, error)
	LiveHolds(ctx context.Context, workspace, principal, conversation string) ([]governance.Hold, error)
}

// What a request is.
type What int

const (
	ForModel  What = iota // it goes to the model
	IsAnswer              // it answers Finding.Hold with Finding.Answer
	IsNothing             // an answer word after a prompt of ours that no hold matches
	IsUnclear             // a bare answer word, and several holds are open: Finding.Open
	IsPickup              // Finding.Hold was decided by a reviewer and is ready
	IsAsked               // a reviewer's question to the requester waits: Finding.Hold
	IsReply               // the requester's words to that question
)

// Finding is the outcome.
type Finding struct {
	What         What
	Conversation string // id of the conversation, made up when nobody named one
	Group        string // the id the client named, "" if none
	Hold         governance.Hold
	Answer       answer.Answer
	Open         []governance.Hold
	NeedsTools   bool     // IsNothing: the hold was asked in a request with tools, this one has none
	Supersede    []string // ForModel: holds that the requester passed over
}

// recent bounds how long an ended hold still answers a bare word that came with
// nothing but a conversation id.
const recent = time.Hour

// Find reads a request. Nothing in the transcript creates, alters or resolves a
// hold: it only points at one.
func Find(ctx context.Context, holds Holds, r Request) (Finding, error) {
	s := search{Request: r, holds: holds, ctx: ctx}
	s.out.Group = r.BodyID
	if s.out.Group == "" {
		s.out.Group = r.NamedID
	}
	s.out.Conversation = s.out.Group
	s.look()
	err := s.find()
	if s.out.Conversation == "" {
		s.out.Conversation = "conv_" + ulid.Make().String()
	}
	return s.out, err
}

type search struct {
	Request
	ctx   context.Context
	holds Holds
	out   Finding

	last     string   // text of the last message, if it is the user's and text only
	fromUser bool     // the last message is the user's
	prompts  []string // what the message before it may be asking, normalised
	pairs    []string // fingerprints of those with the user message before
	bare     bool     // no assistant message at all
}

// look reads the end of the transcript.
func (s *search) look() {
	t, n := s.Transcript, s.Transcript.Len()
	s.bare = true
	for i := range n {
		if t.Role(i) == "assistant" {
			s.bare = false
			break
		}
	}
	if n == 0 || t.Role(n-1) != "user" {
		return
	}
	s.fromUser = true
	if t.TextOnly(n - 1) {
		s.last = t.Text(n - 1)
	}
	at := n - 2
	for at >= 0 && (t.Role(at) == "system" || t.Role(at) == "developer") {
		at--
	}
	if at < 0 || t.Role(at) != "assistant" {
		return
	}
	prompts, ok := Recognise(t.Text(at))
	if !ok {
		return
	}
	s.prompts = prompts
	s.pairs = pairs(userBefore(t, at), prompts)
}

func pairs(user string, prompts []string) []string {
	if user == "" {
		return nil
	}
	list := make([]string, len(prompts))
	for i, p := range prompts {
		list[i] = Fingerprint(user, p)
	}
	return list
}

// userBefore is the normalised text of the last user message before position at.
func userBefore(t Transcript, at int) string {
	for at--; at >= 0; at-- {
		if t.Role(at) == "user" {
			return Normalise(t.Text(at))
		}
	}
	return ""
}

func (s *search) find() error {
	word := s.last != "" && answer.Looks(s.last)
	matched, err := s.matched()
	if err != nil {
		return err
	}
	// What a reviewer sent back comes first, unless the requester says no to it.
	if a := answer.Read(s.last, 1); !(word && len(s.prompts) > 0 && a.Kind == answer.No) {
		if done, err := s.ready(matched); done || err != nil {
			return err
		}
	}
	if len(s.prompts) > 0 && word {
		return s.answered(matched)
	}
	if s.BodyID != "" && s.bare && word {
		done, err := s.bareWord()
		if done || err != nil {
			return err
		}
	}
	return s.passedOver(matched)
}

// matched are the holds that the prompt before the last message points at,
// newest first.
func (s *search) matched() ([]governance.Hold, error) {
	if len(s.prompts) == 0 {
		return nil, nil
	}
	var list []governance.Hold
	if s.out.Group != "" {
		all, err := s.holds.HoldsByConversation(s.ctx, s.Workspace, s.Principal, s.out.Group)
		if err != nil {
			return nil, err
		}
		for _, h := range all {
			if s.asks(h) {
				list = append(list, h)
			}
		}
		return list, nil
	}
	for _, pair := range s.pairs {
		more, err := s.holds.HoldsByPair(s.ctx, s.Workspace, s.Principal, pair)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// asks says whether a hold of this group is the one that the transcript shows:
// its prompt, and where the transcript still has it, the message before it.
func (s *search) asks(h governance.Hold) bool {
	if len(s.pairs) > 0 {
		return slices.Contains(s.pairs, h.Pair)
	}
	for _, p := range s.prompts {
		if Fingerprint(p) == h.PromptPrint {
			return true
		}
	}
	return false
}

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
		return s.answers(open[0], matched)
	}
	for _, h := range matched {
		if !sideCall || !h.WithTools {
			s.out.What, s.out.Hold, s.out.Conversation = IsAnswer, h, h.Conversation
			s.out.Answer = answer.Read(s.last, len(h.Items))
			return nil
		}
	}
	s.out.What = IsNothing
	return nil
}

// answers reads the word against one open hold. A number that the prompt does
// not list is no answer.
func (s *search) answers(h governance.Hold, matched []governance.Hold) error {
	a := answer.Read(s.last, max(1, len(h.Numbered())))
	if a.Kind == answer.None {
		return s.passedOver(matched)
	}
	s.out.What, s.out.Hold, s.out.Answer, s.out.Conversation = IsAnswer, h, a, h.Conversation
	return nil
}

// bareWord reads an answer that comes with nothing but the conversation's id.
func (s *search) bareWord() (bool, error) {
	all, err := s.holds.HoldsByConversation(s.ctx, s.Workspace, s.Principal, s.BodyID)
	if err != nil {
		return false, err
	}
	var open []governance.Hold
	for _, h := range all {
		if h.State == governance.StateHeld {
			open = append(open, h)
		}
	}
	switch {
	case len(open) > 1:
		s.out.What, s.out.Open = IsUnclear, open
		return true, nil
	case len(open) == 1:
		a := answer.Read(s.last, max(1, len(open[0].Numbered())))
		if a.Kind == answer.None {
			return false, nil
		}
		s.out.What, s.out.Hold, s.out.Answer = IsAnswer, open[0], a
		return true, nil
	case len(all) > 0 && s.Now.Sub(all[0].Closed) < recent && (all[0].State == governance.StateReleased || all[0].State == governance.StateExpired):
		s.out.What, s.out.Hold, s.out.Answer = IsAnswer, all[0], answer.Read(s.last, len(all[0].Items))
		return true, nil
	}
	return false, nil
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

// ready looks for what a reviewer sent back: released calls, or a question.
func (s *search) ready(matched []governance.Hold) (bool, error) {
	if !s.HasTools || s.Forced {
		return false, nil
	}
	live := matched
	if s.out.Group != "" {
		more, err := s.holds.LiveHolds(s.ctx, s.Workspace, s.Principal, s.out.Group)
		if err != nil {
			return false, err
		}
		live = more
	} else {
		more, err := s.shown()
		if err != nil {
			return false, err
		}
		live = append(live, more...)
	}
	for _, h := range live {
		if h.State != governance.StateHeld {
			continue
		}
		if h.Ready {
			s.out.What, s.out.Hold, s.out.Conversation = IsPickup, h, h.Conversation
			return true, nil
		}
		if h.Question != "" && s.fromUser {
			s.out.What, s.out.Hold, s.out.Conversation = IsAsked, h, h.Conversation
			if s.follows(QuestionText(h.Question)) {
				s.out.What = IsReply
			}
			return true, nil
		}
	}
	return false, nil
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
		text := s.Transcript.Text(i)
		if !strings.Contains(text, "esc_") {
			continue
		}
		prompts, ok := Recognise(text)
		if !ok {
			continue
		}
		found++
		for _, pair := range pairs(userBefore(s.Transcript, i), prompts) {
			more, err := s.holds.HoldsByPair(s.ctx, s.Workspace, s.Principal, pair)
			if err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
	}
	return list, nil
}
