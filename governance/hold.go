package governance

import (
	"time"
)

// State of a hold. StateHeld is the only one that changes.
type State string

const (
	StateHeld       State = "held"
	StateReleased   State = "released"
	StateDenied     State = "denied"
	StateExpired    State = "expired"
	StateSuperseded State = "superseded"
	StateCancelled  State = "cancelled"
)

// What a released call came to, as far as its result tells. They stand in the
// record of the result, never in a hold.
const (
	StateOK      State = "ok"
	StateFailed  State = "failed"
	StateUnknown State = "unknown"
)

// Answers to one held call.
const (
	AnswerNone    = ""        // still open
	AnswerYes     = "yes"     // the requester said yes
	AnswerNo      = "no"      // the requester said no
	AnswerPassed  = "passed"  // the requester went on without an answer
	AnswerApprove = "approve" // a reviewer released it
	AnswerDecline = "decline" // a reviewer declined it (abstain)
	AnswerOutside = "handoff" // a person does it outside
	AnswerPolicy  = "policy"  // today's policies block it
	AnswerAlong   = "along"   // allowed; waits with its turn
)

// Channels through which a hold or an item changes.
const (
	ChannelChat    = "chat"    // the requester, in the conversation
	ChannelAPI     = "api"     // a reviewer
	ChannelPolicy  = "policy"  // a decision, nobody's word
	ChannelSweep   = "sweep"   // the time ran out
	ChannelAsk     = "ask"     // a newer question took the place
	ChannelErasure = "erasure" // the argument bytes are gone
	ChannelCommand = "command" // the command line, on the store itself

	ChannelConfiguration = "configuration" // settings or files, seen at a start or a reload
)

// byPolicy is the resolver of what nobody but the policies decided.
const byPolicy = "policy"

// PickedUp is the Hold.ReleaseAnswer of a release that no words asked for.
const PickedUp = "pickup"

// Hold is one turn of calls that waits for answers. It is written once when the
// question is asked and changes by compare-and-set only; its argument bytes and
// facts live beside it in a document of their own, which may be erased.
type Hold struct {
	ID           string    `json:"id"`
	Workspace    string    `json:"workspace"`
	Principal    string    `json:"principal"` // Requester.ID at hold time
	KeyID        string    `json:"key_id"`
	Conversation string    `json:"conversation"`
	Turn         int       `json:"turn,omitempty"`  // user messages in the transcript
	Group        string    `json:"group,omitempty"` // the id the client named, "" if none
	TraceID      string    `json:"trace_id"`
	State        State     `json:"state"`
	Items        []Item    `json:"items"`
	Prompt       string    `json:"-"`             // the text as it was just asked; it shows arguments and is not stored
	Tag          string    `json:"tag,omitempty"` // such as K7, where the prompt has one
	PromptPrint  string    `json:"prompt_print"`  // fingerprint of the normalised prompt
	Pair         string    `json:"pair"`          // fingerprint of last user message and prompt
	Transcript   string    `json:"transcript"`    // fingerprint of the whole transcript
	CallsDigest  string    `json:"calls_digest"`  // fingerprint of the proposed calls
	WithTools    bool      `json:"with_tools"`    // the asking request carried tools
	Created      time.Time `json:"created"`
	Expires      time.Time `json:"expires"`
	// Ready: every call is answered and at least one may go; the next request
	// of the conversation with tools gets them.
	Ready bool `json:"ready,omitempty"`
	// Reserved is what the hold keeps back in the ledger, Ask whose it is: the same
	// calls proposed again in the same place do not count beside it.
	Reserved   []Reservation `json:"reserved,omitempty"`
	Ask        string        `json:"ask,omitempty"`
	Question   string        `json:"question,omitempty"` // a reviewer's question to the requester
	QuestionOf string        `json:"question_of,omitempty"`
	Closed     time.Time     `json:"closed,omitzero"`
	Resolver   string        `json:"resolver,omitempty"`
	Channel    string        `json:"channel,omitempty"` // one of the Channel… words
	Reason     string        `json:"reason,omitempty"`
	// Delivery of the reply that released the calls.
	ReleaseKey    string `json:"release_key,omitempty"`    // Idempotency-Key of the answering request
	ReleaseAnswer string `json:"release_answer,omitempty"` // what was said: only the same words are a repeat
	Delivered     bool   `json:"delivered,omitempty"`
	Failed        bool   `json:"failed,omitempty"` // the reply is known not to have been written whole

	version int64 // as it was read; 0 where that is not known
}

// Item is one call of a held turn.
type Item struct {
	Name       string        `json:"name"`
	CallID     string        `json:"call_id"`
	Form       Form          `json:"form"`
	Verdict    Verdict       `json:"verdict"`
	Answer     string        `json:"answer,omitempty"`
	By         string        `json:"by,omitempty"`
	Channel    string        `json:"channel,omitempty"`
	At         time.Time     `json:"at,omitzero"`
	OwnReview  bool          `json:"own_review,omitempty"` // approved with the requester's own key
	Escalation string        `json:"escalation,omitempty"`
	To         string        `json:"to,omitempty"`
	SelfReview bool          `json:"self_review,omitempty"`
	Expires    time.Duration `json:"expires,omitempty"`
	Message    string        `json:"message,omitempty"`
	Decision   CallDecision  `json:"decision"`
}

// Open says that the call still waits for an answer.
func (i Item) Open() bool { return i.Answer == AnswerNone }

// May says that the call may be released as far as answers go.
func (i Item) May() bool {
	return i.Answer == AnswerYes || i.Answer == AnswerApprove || i.Answer == AnswerAlong
}

func (i *Item) answered(answer, by, channel string, at time.Time) {
	i.Answer, i.By, i.Channel, i.At = answer, by, channel, at
}

// holdBytes is the erasable document beside a hold.
type holdBytes struct {
	Calls []heldCall `json:"calls"` // by item
	Facts Facts      `json:"facts"`
}

type heldCall struct {
	Members []byte `json:"members"`
	Call    Call   `json:"call"`
}

// settle closes or readies a hold whose calls are all answered. A hold that
// becomes ready stays so at least as long as its calls may wait for an answer.
func (h *Hold) settle(now time.Time, resolver, channel string) {
	may, waits := false, false
	var longest time.Duration
	for _, it := range h.Items {
		may = may || it.May()
		waits = waits || it.Open()
		longest = max(longest, it.Expires)
	}
	switch {
	case waits:
	case may:
		h.Ready, h.Question, h.QuestionOf = true, "", ""
		h.extend(now.Add(longest))
	default:
		h.close(StateDenied, now, resolver, channel, "")
	}
}

// extend puts the expiry off; it never brings it nearer.
func (h *Hold) extend(to time.Time) {
	if to.After(h.Expires) {
		h.Expires = to
	}
}

// overdue says that the time of a held hold has run out.
func (h *Hold) overdue(now time.Time) bool {
	return h.State == StateHeld && !now.Before(h.Expires)
}

// expire is the end by time. Nobody is its resolver: it is no human's no.
func (h *Hold) expire(now time.Time, channel string) {
	why := "no answer in time"
	if h.Ready {
		why = "approved, and not picked up in time"
	}
	h.close(StateExpired, now, "", channel, why)
}

func (h *Hold) close(s State, now time.Time, resolver, channel, reason string) {
	h.State, h.Ready, h.Closed = s, false, now
	h.Resolver, h.Channel, h.Reason = resolver, channel, reason
	h.Question, h.QuestionOf = "", ""
}

// Confirms says that the hold still waits for the requester.
func (h *Hold) Confirms() bool { return h.State == StateHeld && h.waits(Confirm) }

// Escalates says that the hold still waits for a reviewer.
func (h *Hold) Escalates() bool { return h.State == StateHeld && h.waits(Escalate) }

func (h *Hold) waits(v Verdict) bool {
	for _, it := range h.Items {
		if it.Open() && it.Verdict == v {
			return true
		}
	}
	return false
}

// Numbered are the item positions that the prompt's numbers 1, 2, 3 … name:
// the calls that still wait for the requester.
func (h *Hold) Numbered() []int {
	var n []int
	for i, it := range h.Items {
		if it.Open() && it.Verdict == Confirm {
			n = append(n, i)
		}
	}
	return n
}
