package chat

import (
	"context"
	"net/http"
	"strconv"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// GateHeader carries the outcome: a header where it is known when headers go
// out, a trailer on live streams.
const GateHeader = "X-Cadreen-Gate"

// speech is a reply that is not the model's: words, released calls, or both.
type speech struct {
	text  string
	calls []governance.Release
	out   outcome
}

// speak writes a speech as a completion or as a stream, whichever was asked. It
// answers whether everything was written.
func (h *Handler) speak(ctx context.Context, w http.ResponseWriter, t *turn, s speech) (whole bool, err error) {
	model := t.req.Model
	if model == "" {
		model = "cadreen"
	}
	s.out = t.told(s.out)
	id := newIdentity(newReplyID(), model, h.o.Now())
	body, err := s.completion(id)
	contentType := "application/json"
	if t.req.Stream {
		body, err = s.frames(id, t.req.IncludeUsage)
		contentType = "text/event-stream"
	}
	if err != nil {
		return false, err
	}
	head := w.Header()
	head.Set("Content-Type", contentType)
	head.Set(GateHeader, string(s.out.gate))
	if t.req.Stream {
		streamHeaders(head)
	} else {
		head.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(body); err != nil {
		return false, nil
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return false, nil
	}
	return ctx.Err() == nil, nil
}

// completion is the speech as one JSON reply.
func (s speech) completion(id identity) ([]byte, error) {
	members, err := callMembers(s.calls)
	if err != nil {
		return nil, err
	}
	b := id.head(nil, "chat.completion")
	b = append(b, `,"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if s.text == "" && len(s.calls) > 0 {
		b = append(b, "null"...)
	} else {
		b = openai.Quote(b, s.text)
	}
	b = append(b, `,"refusal":null`...)
	b = append(b, members...)
	b = append(b, `},"logprobs":null,"finish_reason":"`...)
	b = append(b, finishOf(s.calls)...)
	b = append(b, `"}],"usage":`...)
	b = append(b, noUsage...)
	b = append(b, s.out.added()...)
	return append(b, '}'), nil
}

// frames is the speech as a stream: words, calls, finish, usage, [DONE].
func (s speech) frames(id identity, usage bool) ([]byte, error) {
	var b []byte
	role := true
	if s.text != "" {
		b, role = append(b, id.chunk(0, textDelta(s.text, true), "", s.out.ids())...), false
	}
	for i, r := range s.calls {
		delta, err := callDelta(r, i, role)
		if err != nil {
			return nil, err
		}
		var extra []byte
		if role {
			extra = s.out.ids()
		}
		b, role = append(b, id.chunk(0, delta, "", extra)...), false
	}
	b = append(b, id.chunk(0, nil, finishOf(s.calls), s.out.added())...)
	if usage {
		b = append(b, id.usageChunk()...)
	}
	return append(b, doneFrame...), nil
}

// streamHeaders keep proxies from buffering a stream.
func streamHeaders(h http.Header) {
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	h.Del("Content-Length")
}
