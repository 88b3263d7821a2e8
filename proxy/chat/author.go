package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"
	gosse "github.com/tmaxmax/go-sse"

	"cadreen/fault"
	"cadreen/governance"
	"cadreen/proxy/openai"
)

// identity is what every chunk of one reply repeats.
type identity struct {
	id      string // chatcmpl-…
	created []byte // raw JSON number
	model   []byte // raw JSON string
}

// newReplyID makes the id of a reply.
func newReplyID() string { return "chatcmpl-int_" + ulid.Make().String() }

func newIdentity(id, model string, now time.Time) identity {
	return identity{id: id, created: strconv.AppendInt(nil, now.Unix(), 10), model: openai.Quote(nil, model)}
}

// learn takes created and model from what the model sent; it answers whether
// the model has said which it is.
func (id *identity) learn(v *openai.View) bool {
	if v.Created.Present() {
		id.created = bytes.Clone(v.Created.Of(v.Data))
	}
	if v.Model.Present() {
		id.model = bytes.Clone(v.Model.Of(v.Data))
	}
	return v.Model.End-v.Model.Start > 2
}

// head begins a chunk or a completion, up to and without its choices.
func (id *identity) head(b []byte, object string) []byte {
	b = append(b, `{"id":`...)
	b = openai.Quote(b, id.id)
	b = append(b, `,"object":"`...)
	b = append(b, object...)
	b = append(b, `","created":`...)
	b = append(b, id.created...)
	b = append(b, `,"model":`...)
	return append(b, id.model...)
}

// event is a frame of ours with this payload.
func event(payload []byte) []byte {
	return framed(append(append(make([]byte, 0, len(dataField)+len(payload)+2), dataField...), payload...))
}

const dataField = "data: "

// framed ends a frame of ours that begins with dataField. A payload of more than one line becomes as many fields.
func framed(b []byte) []byte {
	payload := b[len(dataField):]
	if len(payload) > 0 && !bytes.ContainsAny(payload, "\r\n") {
		return append(b, "\n\n"...)
	}
	var m gosse.Message
	m.AppendData(string(payload))
	frame, _ := m.MarshalText()
	return frame
}

// chunk is a frame with one choice: delta is the inside of its delta object,
// finish the reason or "" for none, extra further top-level members with a
// leading comma.
func (id *identity) chunk(choice int, delta []byte, finish string, extra []byte) []byte {
	b := append(make([]byte, 0, chunkRoom+len(id.model)+len(delta)+len(extra)), dataField...)
	b = id.head(b, "chat.completion.chunk")
	b = append(b, `,"choices":[{"index":`...)
	b = strconv.AppendInt(b, int64(choice), 10)
	b = append(b, `,"delta":{`...)
	b = append(b, delta...)
	b = append(b, `},"logprobs":null,"finish_reason":`...)
	if finish == "" {
		b = append(b, "null"...)
	} else {
		b = openai.Quote(b, finish)
	}
	b = append(b, "}]"...)
	b = append(b, extra...)
	return framed(append(b, '}'))
}

// chunkRoom is enough for what a chunk says beside its model, delta and further members, in bytes.
const chunkRoom = 256

// usageChunk is the chunk that stream_options.include_usage asks for, when no
// model was called.
func (id *identity) usageChunk() []byte {
	b := id.head(nil, "chat.completion.chunk")
	b = append(b, `,"choices":[],"usage":`...)
	b = append(b, noUsage...)
	return event(append(b, '}'))
}

const noUsage = `{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`

var doneFrame = event([]byte("[DONE]"))

// textDelta is the inside of a delta that carries text.
func textDelta(text string, role bool) []byte {
	b := make([]byte, 0, 48+len(text))
	if role {
		b = append(b, `"role":"assistant",`...)
	}
	b = append(b, `"content":`...)
	return openai.Quote(b, text)
}

// callDelta is the inside of a delta with one whole released call.
func callDelta(r governance.Release, index int, role bool) ([]byte, error) {
	var b bytes.Buffer
	if role {
		b.WriteString(`"role":"assistant","content":null,`)
	}
	if r.Call().Form == governance.FormLegacy {
		b.WriteString(`"function_call":{`)
		_, err := r.WriteTo(&b)
		b.WriteByte('}')
		return b.Bytes(), err
	}
	b.WriteString(`"tool_calls":[{"index":` + strconv.Itoa(index) + ",")
	_, err := r.WriteTo(&b)
	b.WriteString("}]")
	return b.Bytes(), err
}

// callMembers are the members that released calls put into a message, with a
// leading comma: tool_calls, function_call, or nothing.
func callMembers(list []governance.Release) ([]byte, error) {
	var tools, legacy bytes.Buffer
	for _, r := range list {
		if r.Call().Form == governance.FormLegacy {
			legacy.WriteString(`,"function_call":{`)
			if _, err := r.WriteTo(&legacy); err != nil {
				return nil, err
			}
			legacy.WriteByte('}')
			continue
		}
		if tools.Len() == 0 {
			tools.WriteString(`,"tool_calls":[{`)
		} else {
			tools.WriteString(`,{`)
		}
		if _, err := r.WriteTo(&tools); err != nil {
			return nil, err
		}
		tools.WriteByte('}')
	}
	if tools.Len() > 0 {
		tools.WriteByte(']')
	}
	return append(tools.Bytes(), legacy.Bytes()...), nil
}

// finishOf is the finish_reason of a reply that carries these calls.
func finishOf(list []governance.Release) string {
	for _, r := range list {
		if r.Call().Form != governance.FormLegacy {
			return "tool_calls"
		}
	}
	if len(list) > 0 {
		return "function_call"
	}
	return "stop"
}

// Pending is one call that waits for an answer.
type Pending struct {
	Tool         string          `json:"tool"`
	Arguments    json.RawMessage `json:"arguments"`
	ConfirmWith  string          `json:"confirm_with,omitempty"`
	ExpiresAt    int64           `json:"expires_at"` // unix seconds
	EscalationID string          `json:"escalation_id,omitempty"`
	ApproveURL   string          `json:"approve_url,omitempty"`
}

// outcome is what the added top-level fields say.
type outcome struct {
	conversation string
	trace        string
	gate         governance.Gate
	pending      []Pending
	next         fault.NextAction
	intelligence []byte // the trace as the answer shows it, nil for none
}

// added are the top-level fields of a good answer, with a leading comma.
func (o outcome) added() []byte {
	return o.appendAdded(make([]byte, 0, addedRoom+len(o.intelligence)))
}

func (o outcome) appendAdded(b []byte) []byte { return o.appendEnding(o.appendIDs(b)) }

// addedRoom is enough for the usual outcome, in bytes.
const addedRoom = 384

// ending are the added fields that are known at the end only.
func (o outcome) ending() []byte {
	return o.appendEnding(make([]byte, 0, addedRoom+len(o.intelligence)))
}

func (o outcome) appendEnding(b []byte) []byte {
	b = append(b, `,"gate":`...)
	b = openai.Quote(b, string(o.gate))
	b = append(b, `,"status":`...)
	b = openai.Quote(b, statusOf(o.gate))
	b = append(b, `,"next_action":`...)
	b = appendNext(b, o.next)
	if len(o.pending) > 0 {
		b = append(b, `,"pending_actions":`...)
		list, _ := json.Marshal(o.pending)
		b = append(b, list...)
	}
	if o.intelligence != nil {
		b = append(b, `,"intelligence":`...)
		b = append(b, o.intelligence...)
	}
	return b
}

// ids are the added fields that are known from the first chunk on.
func (o outcome) ids() []byte { return o.appendIDs(make([]byte, 0, addedRoom)) }

func (o outcome) appendIDs(b []byte) []byte {
	b = append(b, `,"conversation_id":`...)
	b = openai.Quote(b, o.conversation)
	b = append(b, `,"trace_id":`...)
	return openai.Quote(b, o.trace)
}

// appendNext appends what is to be done next, as its JSON.
func appendNext(b []byte, n fault.NextAction) []byte {
	b = openai.Quote(append(b, `{"type":`...), n.Type)
	b = openai.Quote(append(b, `,"label":`...), n.Label)
	if n.Endpoint != "" {
		b = openai.Quote(append(b, `,"endpoint":`...), n.Endpoint)
	}
	if n.Reason != "" {
		b = openai.Quote(append(b, `,"reason":`...), n.Reason)
	}
	return append(b, '}')
}

// addedNames are the names that an upstream's own fields lose to ours.
var addedNames = []string{"conversation_id", "trace_id", "gate", "status", "next_action", "pending_actions", "intelligence", "error"}

func statusOf(g governance.Gate) string {
	switch g {
	case governance.GateOK:
		return "answered"
	case governance.GateBlocked:
		return "blocked_by_policy"
	}
	return "needs_input"
}
