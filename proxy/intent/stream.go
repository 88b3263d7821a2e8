package intent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"slices"

	"cadreen/proxy/sse"
)

// stream turns the chunks of the chat into the events of an intent: intent.delta
// with the text as it comes, intent.result with the whole answer, [DONE].
type stream struct {
	w     http.ResponseWriter
	turn  *turn
	all   result
	text  bytes.Buffer
	parts []*fragments // of released calls, in the order of their indexes
	out   bool         // something was written
	dead  bool         // an error ended it
}

func newStream(w http.ResponseWriter, t *turn) *stream { return &stream{w: w, turn: t} }

// Header implements http.ResponseWriter.
func (s *stream) Header() http.Header { return s.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (s *stream) WriteHeader(status int) {
	s.out = true
	s.w.WriteHeader(status)
}

// Unwrap lets a response controller find the connection; Flush is its own.
func (s *stream) Unwrap() http.ResponseWriter { return s.w }

// FlushError sends what was written.
func (s *stream) FlushError() error {
	if !s.out {
		return nil
	}
	return http.NewResponseController(s.w).Flush()
}

// Write implements http.ResponseWriter. The chat writes whole frames.
func (s *stream) Write(p []byte) (int, error) {
	s.out = true
	frames := sse.NewReader(bytes.NewReader(p), len(p)+1)
	for {
		f, err := frames.Next()
		if err != nil {
			return len(p), nil
		}
		if err := s.frame(f); err != nil {
			return 0, err
		}
	}
}

func (s *stream) frame(f sse.Frame) error {
	if f.Data == nil {
		_, err := s.w.Write(f.Raw) // a heartbeat as a comment
		return err
	}
	if f.Done() {
		return nil // ours comes after the result
	}
	if bytes.HasPrefix(f.Data, []byte(`{"error":`)) {
		s.dead = true
		_, err := s.w.Write(f.Raw)
		return err
	}
	var h heard
	if json.Unmarshal(f.Data, &h) != nil {
		return nil
	}
	s.all.add(&h)
	if len(h.Choices) == 0 {
		return nil
	}
	d := h.Choices[0].Delta
	for _, fragment := range d.ToolCalls {
		s.call(fragment)
	}
	words := cmp.Or(textOf(d.Content), d.Refusal)
	if words == "" && (d.Content == nil || len(d.ToolCalls) > 0) {
		return nil
	}
	s.text.WriteString(words)
	return s.event("intent.delta", struct {
		ID    string `json:"id"`
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
	}{s.all.id, struct {
		Content string `json:"content"`
	}{words}})
}

func (s *stream) event(name string, v any) error {
	b := append([]byte("event: "+name+"\ndata: "), encode(v)...)
	_, err := s.w.Write(append(b, "\n\n"...))
	return err
}

// end writes the result. err is how the chat ended.
func (s *stream) end(err error) error {
	if err != nil || s.dead || !s.out {
		return err
	}
	s.all.text = s.text.String()
	for _, p := range s.parts {
		s.all.calls = append(s.all.calls, encode(p))
	}
	a := s.turn.told(s.turn.answer(&s.all))
	s.w.Header().Set(gateHeader, a.Gate) // a trailer, which the chat announced
	if s.event("intent.result", a) != nil {
		return nil
	}
	if _, err := s.w.Write([]byte("data: [DONE]\n\n")); err == nil {
		_ = s.FlushError()
	}
	return nil
}

// fragments are a released call as it is put together again. The chat lets a
// call out in fragments only where every reader puts the same call together.
type fragments struct {
	index    int
	ID       string    `json:"id,omitempty"`
	Type     string    `json:"type"`
	Function *function `json:"function,omitempty"`
	Custom   *custom   `json:"custom,omitempty"`
}

type function struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type custom struct {
	Name  string `json:"name"`
	Input string `json:"input"`
}

func (s *stream) call(raw json.RawMessage) {
	var in struct {
		Index int `json:"index"`
		fragments
	}
	if json.Unmarshal(raw, &in) != nil {
		return
	}
	at := slices.IndexFunc(s.parts, func(f *fragments) bool { return f.index == in.Index })
	if at < 0 {
		at = len(s.parts)
		s.parts = append(s.parts, &fragments{index: in.Index, Type: "function"})
	}
	to := s.parts[at]
	to.ID, to.Type = cmp.Or(to.ID, in.ID), cmp.Or(in.Type, to.Type)
	if in.Function != nil {
		if to.Function == nil {
			to.Function = &function{}
		}
		to.Function.Name += in.Function.Name
		to.Function.Arguments += in.Function.Arguments
	}
	if in.Custom != nil {
		if to.Custom == nil {
			to.Custom = &custom{}
		}
		to.Custom.Name += in.Custom.Name
		to.Custom.Input += in.Custom.Input
	}
}
