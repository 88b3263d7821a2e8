package conversations

import (
	"context"
	"slices"
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
	// MayHold says whether the text may hold a word; false is certain, and costs
	// less than reading the text.
	MayHold(i int, word string) bool
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
	// Retry: the client says that it sends this request again.
	Retry      bool
	Now        time.Time
	Transcript Transcript
}

// Holds is what finding asks of the desk.
type Holds interface {
	// HoldsByPlace: with a group the holds of that conversation, without one those
	// of no group, that were asked about here. Newest first, like all of them.
	HoldsByPlace(ctx context.Context, workspace, principal, group, pair string) ([]governance.Hold, error)
	// HoldsByPair: the same of whatever group.
	HoldsByPair(ctx context.Context, workspace, principal, pair string) ([]governance.Hold, error)
	HoldsByConversation(ctx context.Context, workspace, principal, conversation string) ([]governance.Hold, error)
	// LiveHolds are held, or were picked up and are not known to have arrived.
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
	Conversation string           // id of the conversation, made up when nobody named one
	Group        string           // the id the client named, "" if none
	Hold         *governance.Hold // nil for none
	Answer       answer.Answer
	Open         []governance.Hold
	NeedsTools   bool     // IsNothing: the hold was asked in a request with tools, this one has none
	Supersede    []string // ForModel: holds that the requester passed over
}

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

	text     string   // what last has read
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
	s.pairs = pairs(t, at, prompts)
}

// last is the text of the last message, "" unless it is the user's and text only.
func (s *search) last() string {
	if n := s.Transcript.Len() - 1; s.text == "" && s.fromUser && s.Transcript.TextOnly(n) {
		s.text = s.Transcript.Text(n)
	}
	return s.text
}

// pairs are the fingerprints of prompts at a position with the user message
// before it; none where the transcript does not reach back to one.
func pairs(t Transcript, at int, prompts []string) []string {
	user, ok := userBefore(t, at)
	if !ok {
		return nil
	}
	list := make([]string, len(prompts))
	for i, p := range prompts {
		list[i] = Fingerprint(user, p)
	}
	return list
}

// userBefore is the normalised text of the last user message before position at;
// of a picture alone it is "".
func userBefore(t Transcript, at int) (text string, ok bool) {
	for at--; at >= 0; at-- {
		if t.Role(at) == "user" {
			return Normalise(t.Text(at)), true
		}
	}
	return "", false
}

func (s *search) find() error {
	matched, err := s.matched()
	if err != nil {
		return err
	}
	prompted, bare := len(s.prompts) > 0, s.BodyID != "" && s.bare
	if prompted || bare {
		word := answer.Looks(s.last())
		prompted, bare = prompted && word, bare && word
	}
	asked, err := s.asked(matched, bare)
	if err != nil {
		return err
	}
	// What a reviewer sent back comes before everything else, but for the answer to
	// a question that waits for one.
	if !(prompted || bare) || !asked {
		if done, err := s.ready(matched); done || err != nil {
			return err
		}
	}
	if prompted {
		return s.answered(matched)
	}
	if bare {
		if done, err := s.bareWord(); done || err != nil {
			return err
		}
	}
	return s.passedOver(matched)
}

// asked says whether a hold that the last message can answer waits for the
// requester.
func (s *search) asked(matched []governance.Hold, bare bool) (bool, error) {
	list := matched
	if bare {
		var err error
		if list, err = s.holds.LiveHolds(s.ctx, s.Workspace, s.Principal, s.BodyID); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(list, func(h governance.Hold) bool { return h.Confirms() }), nil
}

// matched are the holds that the prompt before the last message points at,
// newest first.
func (s *search) matched() ([]governance.Hold, error) {
	if len(s.prompts) == 0 {
		return nil, nil
	}
	if s.out.Group != "" && len(s.pairs) == 0 {
		// The message before the prompt was trimmed away: inside a group the prompt
		// alone picks the hold.
		all, err := s.holds.HoldsByConversation(s.ctx, s.Workspace, s.Principal, s.out.Group)
		return slices.DeleteFunc(all, func(h governance.Hold) bool { return !s.asks(h) }), err
	}
	list, err := s.byPairs(func(pair string) ([]governance.Hold, error) {
		return s.holds.HoldsByPlace(s.ctx, s.Workspace, s.Principal, s.out.Group, pair)
	})
	if err != nil || s.out.Group != "" || len(list) > 0 {
		return list, err
	}
	// The client named a conversation when it was asked, and names none now.
	return s.byPairs(func(pair string) ([]governance.Hold, error) {
		return s.holds.HoldsByPair(s.ctx, s.Workspace, s.Principal, pair)
	})
}

func (s *search) byPairs(get func(pair string) ([]governance.Hold, error)) ([]governance.Hold, error) {
	var list []governance.Hold
	for _, pair := range s.pairs {
		more, err := get(pair)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// asks says whether the transcript shows a hold's prompt.
func (s *search) asks(h governance.Hold) bool {
	for _, p := range s.prompts {
		if Fingerprint(p) == h.PromptPrint {
			return true
		}
	}
	return false
}
