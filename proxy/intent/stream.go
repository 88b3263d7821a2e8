package intent

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"

	"cadreen/proxy/sse"
)

// stream turns the chunks of the chat into the events of an intent: intent.delta
// with the text as it comes, intent.result with the whole answer, [DONE].
type stream struct {
	w    http.ResponseWriter
	turn *turn
	got  bytes.Buffer // not yet a whole frame
	all  result
	text bytes.Buffer
	out  bool // something was written
	dead bool // an error ended it
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
	s.got.Write(p)
	for {
		end := bytes.Index(s.got.Bytes(), []byte("\n\n"))
		if end < 0 {
			return len(p), nil
		}
		if err := s.frame(s.got.Next(end + 2)); err != nil {
			return 0, err
		}
	}
}

func (s *stream) frame(raw []byte) error {
	f, _ := sse.NewReader(bytes.NewReader(raw), len(raw)+1).Next()
	if f.Data == nil {
		_, err := s.w.Write(raw) // a heartbeat as a comment
		return err
	}
	if f.Done() {
		return nil // ours comes after the result
	}
	if bytes.HasPrefix(f.Data, []byte(`{"error":`)) {
		s.dead = true
		_, err := s.w.Write(raw)
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
	for _, call := range d.ToolCalls {
		s.all.calls = append(s.all.calls, withoutIndex(call))
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
func (s *stream) end(err error, trace []byte) error {
	if err != nil || s.dead || !s.out {
		return err
	}
	s.all.text = s.text.String()
	a := s.turn.answer(&s.all)
	a.Intelligence = trace
	s.w.Header().Set(gateHeader, a.Gate) // a trailer, which the chat announced
	if s.event("intent.result", a) != nil {
		return nil
	}
	if _, err := s.w.Write([]byte("data: [DONE]\n\n")); err == nil {
		_ = s.FlushError()
	}
	return nil
}

// withoutIndex is a call as a message holds it.
func withoutIndex(call json.RawMessage) json.RawMessage {
	var kept [][]byte
	for _, m := range members(call) {
		if m.name != "index" {
			kept = append(kept, m.raw)
		}
	}
	return append(append([]byte{'{'}, bytes.Join(kept, []byte{','})...), '}')
}

