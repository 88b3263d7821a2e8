package chat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// sink is a ResponseWriter that forgets.
type sink struct {
	head http.Header
	n    int
}

func (s *sink) Header() http.Header         { return s.head }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(b []byte) (int, error) { s.n += len(b); return len(b), nil }
func (s *sink) Flush()                      {}

func textFrame(i int) string {
	return fmt.Sprintf(`data: {"id":"chatcmpl-9x8y7z6w5v","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4.1-mini-2026-01-01","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,"finish_reason":null}]}`, i) + "\n\n"
}

// repeating yields one text again and again.
type repeating struct {
	text []byte
	at   int
	left int
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.left--
	}
	return n, nil
}

func textStream(frames int) (*stream, *sse.Reader) {
	h := New(Options{Settings: Settings{HeartbeatStyle: HeartbeatOff}})
	t := &turn{req: &openai.Request{N: 1}, caller: Caller{TraceID: "cad_1"}}
	s := &stream{h: h, t: t, id: newIdentity("chatcmpl-int_1", "m", h.o.Now()), coll: newCollector(1 << 20), choices: map[int]*choiceState{}}
	s.idJSON = openai.Quote(nil, s.id.id)
	s.out = newWriter(&sink{head: http.Header{}}, h.o.Settings)
	s.out.open()
	return s, sse.NewReader(&repeating{text: []byte(textFrame(7)), left: frames}, 1<<20)
}

// TestATextFrameAllocatesNothing holds the promise that the wire path allocates
// per request and not per frame.
func TestATextFrameAllocatesNothing(t *testing.T) {
	t.Run("known", func(t *testing.T) { allocatesNothing(t, false) })
	t.Run("read", func(t *testing.T) { allocatesNothing(t, true) })
}

func allocatesNothing(t *testing.T, plainly bool) {
	if raced {
		t.Skip("the race detector throws buffers away that are to be used again")
	}
	few, many := reading(100, plainly), reading(4100, plainly)
	require.InDelta(t, testing.AllocsPerRun(20, few), testing.AllocsPerRun(20, many), 2)
}

// reading takes a stream of so many frames.
func reading(frames int, plainly bool) func() {
	return func() {
		s, all := textStream(frames)
		s.plainly = plainly
		if _, err := s.takeAll(all); !errors.Is(err, io.ErrUnexpectedEOF) {
			panic(err)
		}
	}
}

// remembers is a sink that keeps what was written last.
type remembers struct {
	sink
	last string
}

func (r *remembers) Write(b []byte) (int, error) { r.last = string(b); return len(b), nil }

// A heartbeat that is due while the end is written, or after it and before the
// stream is stopped, is not sent: clients stop reading at [DONE], and report
// what follows.
func TestNoHeartbeatAfterTheEnd(t *testing.T) {
	s, _ := textStream(0)
	client := &remembers{sink: sink{head: http.Header{}}}
	s.out = newWriter(client, Settings{Heartbeat: time.Hour})
	defer s.out.stop()
	s.out.open()
	s.choices[0] = &choiceState{role: true, finished: true}
	s.beat()
	s.out.pulse() // the headers
	s.out.pulse()
	require.Contains(t, client.last, `"content":""`, "until then there are heartbeats")
	_, err := s.end(t.Context(), doneFrame)
	require.NoError(t, err)
	s.out.pulse()
	require.Equal(t, string(doneFrame), client.last)
}

// flushes is a sink that notes what was written up to each flush.
type flushes struct {
	sink
	at []int
}

func (f *flushes) Flush() { f.at = append(f.at, f.n) }

// The headers go with the first frame, and without one when it takes its time; the end goes with the end of the answer,
// unless that has to wait for something else.
func TestHeadersAndEndNeedNoFlushOfTheirOwn(t *testing.T) {
	one := len(textFrame(1))
	for name, c := range map[string]struct {
		slow, behind bool
		want         []int
	}{
		"a frame at once": {want: []int{one}},
		"a slow model":    {slow: true, want: []int{0, one}},
		"work behind it":  {behind: true, want: []int{one, one + len(doneFrame)}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := textStream(0)
			client := &flushes{sink: sink{head: http.Header{}}}
			s.out = newWriter(client, Settings{Heartbeat: time.Hour})
			defer s.out.stop()
			s.t.behind = c.behind
			s.out.open()
			s.out.flush()
			require.Empty(t, client.at)
			if c.slow {
				s.out.pulse()
				s.out.pulse()
			}
			require.NoError(t, s.out.write([]byte(textFrame(1))))
			s.out.flush()
			s.choices[0] = &choiceState{role: true, finished: true}
			_, err := s.end(t.Context(), doneFrame)
			require.NoError(t, err)
			require.Equal(t, c.want, client.at)
			require.Equal(t, one+len(doneFrame), client.n)
		})
	}
}

func BenchmarkTextFrame(b *testing.B) {
	for name, plainly := range map[string]bool{"known": false, "read": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(textFrame(7))))
			reading(b.N, plainly)()
		})
	}
}

func TestInsertAndFramedAgreeOnThePlace(t *testing.T) {
	for name, raw := range map[string]string{
		"one line":        "data: {\"choices\":[]}\n\n",
		"crlf, no blank":  "data:{\"choices\":[]}\r\n\r\n",
		"several lines":   "data: {\"choices\":\ndata: []}\n\n",
		"an id after it":  "data: {\"choices\":[]}\nid: {x}\n\n",
		"lines and an id": "data: {\"choices\":\ndata: []}\nid: {x}\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := textStream(1)
			f, err := sse.NewReader(bytes.NewReader([]byte(raw)), 1<<20).Next()
			require.NoError(t, err)
			require.NoError(t, s.view.Parse(f.Data))
			s.started = true
			frame, end := s.edited(f)
			got, err := sse.NewReader(bytes.NewReader(insert(frame, end, []byte(`,"gate":"ok"`))), 1<<20).Next()
			require.NoError(t, err)
			require.JSONEq(t, `{"id":"chatcmpl-int_1","choices":[],"gate":"ok"}`, string(got.Data))
		})
	}
}
