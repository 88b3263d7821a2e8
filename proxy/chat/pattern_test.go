package chat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
	"cadreen/store"
)

// page is a ResponseWriter that keeps what was written.
type page struct {
	head http.Header
	bytes.Buffer
}

func (p *page) Header() http.Header { return p.head }
func (p *page) WriteHeader(int)     {}
func (p *page) Flush()              {}

// through feeds a stream to a fresh reply, reading every frame or only those that are not like an earlier one.
func through(text io.Reader, plainly bool) (s *stream, out *page, err error) {
	h := New(Options{Settings: Settings{HeartbeatStyle: HeartbeatOff}})
	t := &turn{req: &openai.Request{N: 1}, caller: Caller{TraceID: "cad_1", Workspace: "w"}}
	s = &stream{h: h, t: t, id: newIdentity("chatcmpl-int_1", "m", h.o.Now()), coll: newCollector(1 << 20), choices: map[int]*choiceState{}, plainly: plainly}
	s.idJSON = openai.Quote(nil, s.id.id)
	out = &page{head: http.Header{}}
	s.out = newWriter(out, h.o.Settings)
	_, err = s.takeAll(sse.NewReader(text, 1<<20))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // nothing but its end is missing
		s.out.open()
	}
	s.out.flush()
	return s, out, err
}

// cuts are ways for a text to arrive.
var cuts = map[string]func(string) io.Reader{
	"at once":    func(text string) io.Reader { return strings.NewReader(text) },
	"by bytes":   func(text string) io.Reader { return iotest.OneByteReader(strings.NewReader(text)) },
	"by frames":  func(text string) io.Reader { return frameByFrame(text, 0) },
	"unevenly":   func(text string) io.Reader { return frameByFrame(text, 30) },
	"with error": func(text string) io.Reader { return iotest.DataErrReader(strings.NewReader(text)) },
}

// frameByFrame yields one frame a read, or all but its last bytes together with those of the frame before.
func frameByFrame(text string, last int) io.Reader {
	var list []io.Reader
	for len(text) > 0 {
		n := len(text)
		if i := strings.Index(text, "\n\n"); i >= 0 && i+2 < n {
			n = max(i+2-last, 1)
		}
		list = append(list, strings.NewReader(text[:n]))
		text = text[n:]
	}
	return io.MultiReader(list...)
}

// alike asserts that both ways of taking a stream come to the same, however it arrives.
func alike(t require.TestingT, text string) {
	want, said, errWant := through(strings.NewReader(text), true)
	released := releasedBy(t, want)
	for name, cut := range cuts {
		got, saw, errGot := through(cut(text), false)
		require.Equal(t, fmt.Sprint(errWant), fmt.Sprint(errGot), name)
		require.Equal(t, said.String(), saw.String(), name)
		require.Equal(t, want.out.opened(), got.out.opened())
		require.Equal(t, want.coll.sealed.Calls(), got.coll.sealed.Calls())
		require.Equal(t, want.coll.sealed.Size(), got.coll.sealed.Size())
		require.Equal(t, want.kept, got.kept)
		require.Len(t, got.choices, len(want.choices))
		for i, c := range want.choices {
			require.Equal(t, *c, *got.choices[i], "choice %d", i)
			require.Equal(t, want.coll.asCame(i), got.coll.asCame(i))
		}
		bytesOf := func(s *stream) (n int) {
			for _, q := range s.queue {
				n += len(q.frame)
			}
			return n
		}
		require.Equal(t, bytesOf(want), bytesOf(got))
		require.Equal(t, released, releasedBy(t, got), name)
	}
}

// allowing allows every call.
type allowing struct{}

func (allowing) Decide(_ governance.Facts, calls []governance.Call) []governance.CallDecision {
	list := make([]governance.CallDecision, len(calls))
	for i := range list {
		list[i] = governance.CallDecision{Call: calls[i], Verdict: governance.Allow}
	}
	return list
}
func (allowing) Hosted(governance.Facts, string) bool { return true }
func (allowing) ReadsReleased(string) bool            { return false }

// accepting is an engine that keeps nothing.
type accepting struct{ store.Engine }

func (accepting) Now(context.Context) (time.Time, error)            { return time.Unix(1767225600, 0), nil }
func (accepting) Commit(context.Context, string, ...store.Op) error { return nil }

// releasedBy are the bytes of all calls of a stream, in their pieces and on their own.
func releasedBy(t require.TestingT, s *stream) (out [2]string) {
	desk := governance.NewDesk(accepting{}, allowing{}, governance.DeskOptions{})
	plan, err := desk.Plan(context.Background(), &governance.Turn{Sealed: s.coll.sealed, AsCame: func(int) bool { return true }, Facts: governance.Facts{Workspace: "w"}})
	require.NoError(t, err)
	turn, err := desk.Commit(context.Background(), plan, governance.Asked{})
	require.NoError(t, err)
	for i, list := range [][]governance.Release{turn.Pieces, turn.Calls} {
		var b bytes.Buffer
		for _, r := range list {
			_, err := r.WriteTo(&b)
			require.NoError(t, err)
		}
		out[i] = b.String()
	}
	return out
}

// drawString is the inside of a JSON string, now and then of none.
func drawString(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[a-z ]{0,12}`),
		rapid.SampledFrom([]string{``, `Z\u00fcrich`, `ü`, `😀`, `\ud83d`, `\ude00`, `\"`, `\\`, `{\"a\":1}`, `"`, `\`, "\x01", "\xff", `","role":"x`, `"},"finish_reason":"stop`, `\u00`, "\u2028"}),
	).Draw(t, "string")
}

// drawServer is a server with its way of writing frames; each call is its next frame.
func drawServer(t *rapid.T) func() string {
	usual := func(label string, often string, more ...string) string {
		return rapid.SampledFrom(append([]string{often, often, often, often, often, often}, more...)).Draw(t, label)
	}
	id := rapid.SampledFrom([]string{`"id":"chatcmpl-1",`, `"id":"chatcmpl-1",`, ``}).Draw(t, "id")
	lead := rapid.SampledFrom([]string{"data: ", "data: ", "data:", ": ping\n\ndata: ", "event: message\ndata: "}).Draw(t, "lead")
	tail := rapid.SampledFrom([]string{"\n\n", "\n\n", "\r\n\r\n"}).Draw(t, "tail")
	hidden := rapid.SampledFrom([]string{``, ``, `,"obfuscation":"%"`, `,"usage":null`}).Draw(t, "hidden")
	deltas := []func() string{
		func() string { return `"content":"` + drawString(t) + `"` },
		func() string { return `"role":"assistant","content":"` + drawString(t) + `"` },
		func() string { return `"reasoning_content":"` + drawString(t) + `"` },
		func() string { return `"content":null,"reasoning":"` + drawString(t) + `","audio":{}` },
		func() string {
			return `"tool_calls":[{"index":` + usual("at", "0", "1", "2") + `,"id":"` + usual("call", "a", "b", "") + `","type":"function","function":{"name":"f","arguments":"` + drawString(t) + `"}}]`
		},
		func() string {
			return `"tool_calls":[{"index":` + usual("at", "0", "1", "2") + `,"function":{"arguments":"` + drawString(t) + `"}}]`
		},
		func() string {
			return `"tool_calls":[{"index":` + usual("at", "0", "1") + `,"id":"` + usual("call", "", "a", "b") + `","function":{"name":"` + usual("name", "", "f", "g") + `","arguments":"` + drawString(t) + `"}}]`
		},
		func() string {
			return `"tool_calls":[{"index":` + usual("at", "0", "1") + usual("outer", "", `,"extra":1`, `,"extra":{"a":"b"}`, `,"type":"function"`, `,"type":"f\u0075nction"`) +
				`,"function":{"arguments":"` + drawString(t) + `"` + usual("inner", "", `,"extra":1`, `,"extra":2`) + `}}]`
		},
		func() string { return `"tool_calls":[{"function":{"arguments":"` + drawString(t) + `"}}]` },
		func() string {
			return `"tool_calls":[{"index":0,"custom":{"input":"` + drawString(t) + `"}}]`
		},
		func() string { return `"function_call":{"arguments":"` + drawString(t) + `"}` },
		func() string { return `` },
	}
	begins := deltas[4]
	var often []func() string
	for range rapid.IntRange(1, 2).Draw(t, "kinds") {
		often = append(often, rapid.SampledFrom(deltas).Draw(t, "kind"), deltas[0], deltas[5], deltas[5], deltas[5])
	}
	first := true
	return func() string {
		delta := rapid.SampledFrom(often).Draw(t, "delta")
		switch {
		case first && rapid.Bool().Draw(t, "begins"):
			delta = begins
		case rapid.IntRange(0, 19).Draw(t, "rare") == 0:
			delta = rapid.SampledFrom(deltas).Draw(t, "another")
		}
		first = false
		more := strings.Replace(hidden, "%", rapid.StringMatching(`[a-z]{0,3}`).Draw(t, "filler"), 1)
		if rapid.IntRange(0, 19).Draw(t, "odd") == 0 {
			more = rapid.SampledFrom([]string{`,"usage":{"total_tokens":1}`, `,"gate":"theirs"`, `,"system_fingerprint":"fp"`}).Draw(t, "more")
		}
		finish := "null"
		if rapid.IntRange(0, 24).Draw(t, "ends") == 0 {
			finish = rapid.SampledFrom([]string{`"tool_calls"`, `"stop"`}).Draw(t, "finish")
		}
		return lead + `{` + id + fmt.Sprintf(`"object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":%s,"delta":{%s},"finish_reason":%s}]`,
			usual("index", "0", "1"), delta(), finish) + more + `}` + tail
	}
}

// Frames that are like an earlier one are not read, and it makes no difference: the same bytes leave, the same calls are
// judged, the same waits.
func TestAFrameLikeAnotherIsTakenAsIfItWereRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		next := drawServer(t)
		for range rapid.IntRange(1, 30).Draw(t, "frames") {
			b.WriteString(next())
		}
		alike(t, b.String())
	})
}

func FuzzPattern(f *testing.F) {
	f.Add([]byte(textFrame(1) + textFrame(2) + textFrame(3)))
	f.Add([]byte("data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n" +
		"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\"}}]}}]}\n\n" +
		"data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"}\"}}]}}]}\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) { alike(t, string(b)) })
}

// Text frames are known from the third on: the first brings our ids, the second is learnt.
func TestTextFramesAreKnownByTheirPattern(t *testing.T) {
	s, _, err := through(strings.NewReader(textFrame(1)+textFrame(2)), false)
	require.NoError(t, err)
	for _, frame := range []string{textFrame(3), textFrame(44444)} {
		f, err := sse.NewReader(iotest.OneByteReader(strings.NewReader(frame)), 1<<20).Next()
		require.NoError(t, err)
		taken, err := s.knownFrame(f)
		require.NoError(t, err)
		require.True(t, taken)
	}
	f, err := sse.NewReader(strings.NewReader(strings.Replace(textFrame(5), "stop", "x", 1)[:40]), 1<<20).Next()
	require.NoError(t, err)
	taken, _ := s.knownFrame(f)
	require.False(t, taken, "half a frame")
}

// Fragments of one call are one piece, however many frames brought them.
func TestFragmentsOfACallGatherInOnePiece(t *testing.T) {
	chunk := func(call string) string {
		return `data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[` + call + `]},"finish_reason":null}]}` + "\n\n"
	}
	text := chunk(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}`)
	for i := range 200 {
		text += chunk(fmt.Sprintf(`{"index":0,"function":{"arguments":"%d"}}`, i))
	}
	s, _, err := through(strings.NewReader(text), false)
	require.NoError(t, err)
	require.LessOrEqual(t, len(s.queue), 3)
	calls := s.coll.sealed.Calls()
	require.Len(t, calls, 1)
	require.Equal(t, governance.FormFunction, calls[0].Form)
	require.True(t, strings.HasPrefix(calls[0].Arguments, "0123456789101112"))
	require.True(t, s.coll.asCame(0))
}

// An index that is used again with another id is another call from there on, however alike its fragments are.
// A call leaves with what was last said of it, also where fragments say it in turns.
func TestWhatFragmentsSayOfACallBesidesItsArgumentsIsRead(t *testing.T) {
	for name, turns := range map[string][2]string{
		"a member":         {`"extra":1,"function":{"arguments":"x"}`, `"extra":2,"function":{"arguments":"x"}`},
		"an object":        {`"extra":{"a":1},"function":{"arguments":"x"}`, `"extra":{"a":2},"function":{"arguments":"x"}`},
		"an inner member":  {`"function":{"arguments":"x","extra":"a"}`, `"function":{"arguments":"x","extra":"b"}`},
		"a type":           {`"type":"function","function":{"arguments":"x"}`, `"type":"f\u0075nction","function":{"arguments":"x"}`},
		"a type, or none":  {`"type":"function","function":{"arguments":"x"}`, `"type":"","function":{"arguments":"x"}`},
		"silent id, name":  {`"id":"","function":{"name":"","arguments":"x"}`, `"id":null,"function":{"name":null,"arguments":"x"}`},
		"a member, or not": {`"extra":1,"function":{"arguments":"x"}`, `"function":{"arguments":"x"}`},
	} {
		t.Run(name, func(t *testing.T) {
			frame := func(call string) string {
				return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,` + call + `}]},"finish_reason":null}]}` + "\n\n"
			}
			begin, one, other := frame(`"id":"a","type":"function","function":{"name":"f","arguments":""}`), frame(turns[0]), frame(turns[1])
			alike(t, begin+one+one+other+other+one+one)
			alike(t, begin+other+one+other)
		})
	}
}

func TestAnIndexUsedAgainIsNotTheCallOfThePattern(t *testing.T) {
	chunk := func(call string) string {
		return `data: {"id":"x","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,` + call + `}]},"finish_reason":null}]}` + "\n\n"
	}
	head := func(id string) string { return chunk(`"id":"` + id + `","function":{"name":"f","arguments":""}`) }
	more := chunk(`"function":{"arguments":"1"}`)
	text := head("a") + more + more + more + head("b") + more + more + head("a") + more
	alike(t, text)
	s, _, err := through(strings.NewReader(text), false)
	require.NoError(t, err)
	calls := s.coll.sealed.Calls()
	require.Len(t, calls, 2)
	require.Equal(t, "1111", calls[0].Arguments)
	require.Equal(t, "11", calls[1].Arguments)
}
