package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Form is how a model spells a call on the wire.
type Form string

const (
	FormFunction Form = "function"      // tool_calls[] of type function
	FormCustom   Form = "custom"        // tool_calls[] of type custom
	FormLegacy   Form = "function_call" // message.function_call
)

// Call is one proposed tool call as governance sees it: a copy for judging,
// never the bytes that are released (those are in Sealed).
type Call struct {
	ID     string // the model's tool call id; may be empty for legacy calls
	Name   string
	Form   Form
	Choice int // choices[].index
	Index  int // position within the choice, from 0
	// Arguments is the decoded argument text: JSON for functions, free text
	// for custom tools.
	Arguments string
	// Truncated: the model did not finish the call (finish_reason length,
	// content_filter or none).
	Truncated bool
	// Malformed says what is wrong with the shape of the call, "" if nothing.
	Malformed string
}

// Tool is what the request says about a tool it offers.
type Tool struct {
	Type        string `json:"type"` // function, custom, or a hosted tool's type
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Schema is the raw JSON Schema of the arguments, nil if there is none.
	Schema []byte `json:"schema,omitempty"`
	// Assumed: no request offered it, and nothing is known of its schema, so that no
	// rule is stale for it.
	Assumed bool `json:"-"`
}

// SchemaHash identifies the schema that a decision was made against: the hexadecimal
// SHA-256 of its RFC 8785 form, so that clients which spell one schema differently
// (white space, order of members) offer the same. What is no JSON is hashed as it
// stands.
func (t Tool) SchemaHash() string {
	if len(t.Schema) == 0 {
		return ""
	}
	text := jsontext.Value(slices.Clone(t.Schema))
	if text.Canonicalize() != nil {
		text = t.Schema
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Requester is who asks, as the key (or a verified JWT) says; never the body.
type Requester struct {
	// ID is the principal: the key's id, narrowed by user_id/user if given.
	ID     string         `json:"id"`
	KeyID  string         `json:"key_id"`
	Roles  []string       `json:"roles,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
}

// Released is a call that went out earlier in this conversation.
type Released struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Arguments string    `json:"arguments"`
	At        time.Time `json:"at"`
}

// ToolResult is one tool message of the transcript.
type ToolResult struct {
	CallID string `json:"call_id"`
	// Name and Arguments are those of the released call, never what the
	// transcript says they were; of a claimed result Name is the transcript's.
	Name      string `json:"name"`
	Arguments string `json:"arguments,omitempty"`
	Text      string `json:"text"`
	// Claimed: no call with this id went out to this requester, the transcript
	// holds two different results for it, or the result is not the one that was
	// first seen. No rule takes it for observed.
	Claimed bool `json:"claimed,omitempty"`
}

// Facts is the snapshot a decision reads; it is stored with a hold, so that a
// decision can be made again with the same facts. Within one turn it is shared
// by all calls.
type Facts struct {
	Workspace    string          `json:"workspace"`
	Domain       string          `json:"domain,omitempty"`
	Conversation string          `json:"conversation"`
	Turns        int             `json:"turns"` // user messages in the transcript
	Requester    Requester       `json:"requester"`
	Tools        map[string]Tool `json:"tools,omitempty"` // offered tools by name
	// UserTexts are the requester's own words: the text of role user messages.
	UserTexts []string `json:"user_texts,omitempty"`
	// Released are the observed calls of this conversation, oldest first.
	Released []Released `json:"released,omitempty"`
	// ToolMessages: the transcript holds tool results.
	ToolMessages bool `json:"tool_messages,omitempty"`
	// Forced is the function that tool_choice forces, "" if none.
	Forced string    `json:"forced,omitempty"`
	Now    time.Time `json:"now"`
	// Ledger are the readings that the rules of the proposed tools ask for, by
	// Meter.Account. Where it is nil nothing was read: see Input.Tally.
	Ledger map[string]Tally `json:"ledger,omitempty"`
	// Results are what the transcript says that earlier calls gave, oldest first.
	// They are loaded only where a rule of a proposed tool reads them.
	Results []ToolResult `json:"results,omitempty"`
	// Confirmed: the requester said yes to this call (set on re-decision).
	Confirmed bool `json:"-"`
}
