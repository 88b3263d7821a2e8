// Package chat is the governed chat completion, the heart of the proxy. Plain
// net/http; serve.go reads top to bottom as the walk of one request.
//
// What lives here: the walk, the collection of proposed calls out of a reply,
// and the wire form of what governance decided. What does not: how a call is
// judged (governance), whether a message answers a prompt (conversations), how
// bytes are found and spliced (proxy/openai), how a model is reached
// (proxy/backend), and everything about routes and keys (proxy).
package chat

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"cadreen/governance"
	"cadreen/intelligence"
	"cadreen/proxy/backend"
)

// Heartbeat styles.
const (
	HeartbeatChunk   = "chunk"   // an empty delta, ignored by every client
	HeartbeatComment = "comment" // an SSE comment; some clients give up after many
	HeartbeatOff     = "off"
)

// Settings of the governed chat completion.
type Settings struct {
	Model               string        // replaces the client's model; "" passes it through
	Heartbeat           time.Duration // silence before a heartbeat; 0 means 15 s
	HeartbeatStyle      string        // HeartbeatChunk when empty
	KeptLimit           int64         // bytes of held frames a turn; 0 means 4 MiB
	ReplyLimit          int64         // bytes of a JSON reply; 0 means 64 MiB
	FrameLimit          int64         // bytes of one frame of the model's stream; 0 means 16 MiB
	ConversationHeaders []string      // inbound headers that group a chat, in order
	Replan              bool          // on_block: replan
	ErrorsHTTP          bool          // blocked and held-for-review as 403 instead of 200
}

// Options build a Handler.
type Options struct {
	Backend  backend.Backend
	Desk     *governance.Desk
	Decider  governance.Decider
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time // nil means time.Now
	// Seen hears what tools requests offer, when they have been answered; nil
	// means nobody.
	Seen ToolsSeen
}

// ToolsSeen takes notice of what a request offered. tools and functions are the
// bytes that it is spelled in; offered is called only where they are new.
type ToolsSeen interface {
	Note(workspace string, now time.Time, tools, functions []byte, offered func() map[string]governance.Tool)
}

// Caller is who asks, as the server verified it.
type Caller struct {
	Workspace     string
	Requester     governance.Requester
	TraceID       string
	Authorization string // the client's header, forwarded only with passthrough
	Passthrough   bool
	BaseURL       string              // scheme://host for approve_url and doc_url, no trailing slash
	Trace         *intelligence.Trace // of this request; nil keeps none
	// Governed hears what was decided about the calls of a turn once that is
	// durable, and the hold that the turn made or answered, nil for none. nil
	// hears nothing.
	Governed func([]governance.CallDecision, *governance.Hold)
}

func (c *Caller) governed(decisions []governance.CallDecision, hold *governance.Hold) {
	if c.Governed != nil {
		c.Governed(decisions, hold)
	}
}

// Handler serves chat completions.
type Handler struct {
	o Options
	// naming are the headers that name a conversation, in order, as net/http spells them.
	naming []string
}

// New builds a Handler.
func New(o Options) *Handler {
	s := &o.Settings
	s.Heartbeat = cmp.Or(s.Heartbeat, 15*time.Second)
	s.HeartbeatStyle = cmp.Or(s.HeartbeatStyle, HeartbeatChunk)
	s.KeptLimit = cmp.Or(s.KeptLimit, 4<<20)
	s.ReplyLimit = cmp.Or(s.ReplyLimit, 64<<20)
	s.FrameLimit = cmp.Or(s.FrameLimit, 16<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	naming := []string{"X-Cadreen-Conversation-Id"}
	for _, name := range s.ConversationHeaders {
		naming = append(naming, http.CanonicalHeaderKey(name))
	}
	return &Handler{o: o, naming: naming}
}

// Serve answers one chat completion. The body of r is read whole here, within
// the limit that the server put on it. An error means that nothing was written
// yet: the server writes the envelope. After the first byte the handler itself
// writes the error event and answers nil.
func (h *Handler) Serve(w http.ResponseWriter, r *http.Request, c Caller) error {
	return h.serve(w, r, c)
}
