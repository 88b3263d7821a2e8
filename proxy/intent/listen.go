package intent

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"cadreen/proxy/backend"
	"cadreen/proxy/openai"
	"cadreen/proxy/sse"
)

// Listen is the backend b for chat completions and intents. A request that is no
// intent passes untouched. An intent's is sent with the two tools of ours, and a
// reply that calls one of them is taken for what it says: what the chat then
// sees is a reply without calls.
//
// The built-in model does not get them: it would take them for tools of the
// client's.
func Listen(b backend.Backend) backend.Backend { return listener{b} }

type listener struct{ backend.Backend }

// limits of what is read here; what is longer is handed on unread and refused by
// the chat, whose own limits are not above these.
const (
	replyLimit = 64 << 20
	frameLimit = 16 << 20
)

// Chat implements backend.Backend.
func (l listener) Chat(ctx context.Context, req backend.Request) (*backend.Response, error) {
	t := of(ctx)
	if t == nil || t.mode == ModeChat {
		return l.Backend.Chat(ctx, req)
	}
	if t.mode == ModeExecution && !t.hasTools {
		if err := t.nothingToDoItWith(ctx); err != nil {
			return nil, err
		}
		return spoken(t.missing.text(), req.Stream), nil
	}
	if l.Rehearsal() {
		return l.Backend.Chat(ctx, req)
	}
	req.Body = withOurTools(req.Body, t.mode)
	up, err := l.Backend.Chat(ctx, req)
	if err != nil {
		return nil, err
	}
	if up.Stream {
		up.Body = &filter{body: up.Body, frames: sse.NewReader(up.Body, frameLimit), turn: t}
		return up, nil
	}
	return up, t.hear(up)
}

// hear reads a JSON reply.
func (t *turn) hear(up *backend.Response) error {
	from := up.Body
	text, err := io.ReadAll(io.LimitReader(from, replyLimit))
	rest := io.Reader(from)
	if err != nil {
		rest = failing{err}
	}
	var v openai.View
	if err == nil && v.Parse(text) == nil && len(v.Choices) == 1 {
		var calls []called
		for i := range v.Choices[0].Calls {
			c := &v.Choices[0].Calls[i]
			name, _ := openai.Unquote(c.Name.Of(text))
			arguments, _ := openai.Unquote(c.Arguments.Of(text))
			calls = append(calls, called{name, arguments})
		}
		if said, ours := t.understand(calls); ours {
			text = completion(said)
		}
	}
	up.Body = body{io.MultiReader(bytes.NewReader(text), rest), from}
	return nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// body reads from one place and closes another.
type body struct {
	io.Reader
	io.Closer
}

// filter is a stream without the calls of our tools. Frames pass as they come up
// to the first that carries a call; from there they wait for the end.
type filter struct {
	body   io.ReadCloser
	frames *sse.Reader
	turn   *turn

	view  openai.View
	out   bytes.Buffer // goes out next
	kept  bytes.Buffer // waits for the end
	calls []called
	index map[int]int // place in calls by the call's index
	ended error
}

// Close implements io.Closer.
func (f *filter) Close() error { return f.body.Close() }

// Read implements io.Reader.
func (f *filter) Read(p []byte) (int, error) {
	for f.out.Len() == 0 {
		if f.ended != nil {
			return 0, f.ended
		}
		frame, err := f.frames.Next()
		if frame.Raw != nil {
			f.take(frame)
		}
		if err != nil {
			f.ended = err
			f.release(err != io.EOF)
		}
	}
	return f.out.Read(p)
}

func (f *filter) take(frame sse.Frame) {
	carries := false
	if frame.Data != nil && !frame.Done() && f.view.Parse(frame.Data) == nil {
		for i := range f.view.Choices {
			ch := &f.view.Choices[i]
			carries = carries || ch.HasLegacy || len(ch.Calls) > 0
			for j := range ch.Calls {
				f.add(frame.Data, &ch.Calls[j])
			}
		}
	}
	switch {
	case carries || f.kept.Len() > 0:
		f.kept.Write(frame.Raw)
		if frame.Done() {
			f.release(false)
		}
		if f.kept.Len() > replyLimit {
			f.release(true)
		}
	default:
		f.out.Write(frame.Raw)
	}
}

// add puts a fragment to its call.
func (f *filter) add(data []byte, c *openai.CallView) {
	if f.index == nil {
		f.index = map[int]int{}
	}
	at := c.Index
	if !c.HasIndex {
		at = len(f.calls)
		if at > 0 && !c.Name.Present() {
			at--
		}
	}
	place, known := f.index[at]
	if !known {
		place = len(f.calls)
		f.index[at] = place
		f.calls = append(f.calls, called{})
	}
	name, _ := openai.Unquote(c.Name.Of(data))
	arguments, _ := openai.Unquote(c.Arguments.Of(data))
	f.calls[place].name += name
	f.calls[place].arguments += arguments
}

// release ends the waiting. A stream that broke off says nothing: its frames go
// on to the chat, which refuses them.
func (f *filter) release(broken bool) {
	if f.kept.Len() == 0 {
		return
	}
	if !broken {
		if said, ours := f.turn.understand(f.calls); ours {
			f.kept.Reset()
			f.out.Write(lastChunks(said))
			f.calls, f.index = nil, nil
			return
		}
	}
	_, _ = f.kept.WriteTo(&f.out)
}

// spoken is a reply of our own, in place of a model's.
func spoken(text string, stream bool) *backend.Response {
	r := &backend.Response{Status: http.StatusOK, Header: http.Header{}, Stream: stream}
	raw := completion(text)
	if stream {
		raw = lastChunks(text)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return r
}
