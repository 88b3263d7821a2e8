package backend

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// RehearsalModel is the model id that the rehearsal model gives itself.
const RehearsalModel = "cadreen-rehearsal"

// rehearsalLabel begins every text that the rehearsal model writes.
const rehearsalLabel = "Rehearsal model: "

// rehearsalTime stands in `created`: what the model answers depends on the
// request's bytes and on nothing else, not even the clock.
const rehearsalTime = 1767225600 // 2026-01-01 00:00 UTC

// rehearsal is a model without a model: it needs no key and no network, so
// that a first run, the demo and tests can go through everything else.
//
// It picks an offered tool by the words of the last user message, fills the
// arguments by the tool's schema from the numbers and words in it, and after a
// tool's result says in a sentence what came back. It understands nothing and
// says so in every text. The generation settings (temperature, max_tokens,
// stop …) have no meaning for it; its usage is zero.
type rehearsal struct{}

// NewRehearsal makes the rehearsal model.
func NewRehearsal() Backend { return rehearsal{} }

func (rehearsal) Rehearsal() bool { return true }

func (rehearsal) Close() error { return nil }

func (rehearsal) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return gone(ctx)
	}
	return nil
}

func (rehearsal) Models(ctx context.Context, _ string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, gone(ctx)
	}
	return encode(map[string]any{
		"object": "list",
		"data": []any{map[string]any{
			"id": RehearsalModel, "object": "model", "created": rehearsalTime, "owned_by": "cadreen",
			"description": "Rehearsal model: deterministic, built in, no intelligence. Set backend.url to use a real one.",
		}},
	}), nil
}

func (rehearsal) Chat(ctx context.Context, req Request) (*Response, error) {
	if ctx.Err() != nil {
		return nil, gone(ctx)
	}
	asked, err := readRehearsal(req.Body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(req.Body)
	digest := hex.EncodeToString(sum[:])
	answer := rehearse(asked)
	w := rehearsalWriter{id: "chatcmpl-rehearsal-" + digest[:16], digest: digest, answer: answer, n: asked.choices()}
	frames := [][]byte{}
	if req.Stream {
		frames = w.stream(asked.StreamOptions.IncludeUsage)
	} else {
		frames = append(frames, w.whole())
	}
	return &Response{
		Status: http.StatusOK, Header: http.Header{}, Stream: req.Stream,
		Body: &frameReader{ctx: ctx, frames: frames},
	}, nil
}

// rehearsalAnswer is what every choice says: a text, or calls.
type rehearsalAnswer struct {
	text  string
	calls []rehearsalCall
	// legacy: the call is written as message.function_call.
	legacy bool
}

type rehearsalCall struct {
	name   string
	custom bool
	// arguments is JSON for a function, free text for a custom tool.
	arguments string
}

// rehearse decides what to answer.
func rehearse(asked *rehearsalRequest) rehearsalAnswer {
	turn := asked.turn()
	if !turn.mayCall {
		return rehearsalAnswer{text: asked.speak(turn)}
	}
	said := readWords(turn.text)
	picked := pick(asked.offered, said, asked.choice, asked.parallel())
	if len(picked) == 0 {
		return rehearsalAnswer{text: asked.speak(turn)}
	}
	answer := rehearsalAnswer{legacy: asked.legacy}
	for _, p := range picked {
		call := rehearsalCall{name: p.tool.name, custom: p.tool.custom}
		if p.tool.custom {
			call.arguments = turn.text
		} else {
			call.arguments = fillArguments(p.tool.schema, said, p.clause)
		}
		answer.calls = append(answer.calls, call)
	}
	return answer
}

// callID is the same for the same request, and different for each call in it.
func callID(digest string, choice, index int) string {
	sum := sha256.Sum256([]byte(digest + "/" + strconv.Itoa(choice) + "/" + strconv.Itoa(index)))
	return "call_" + hex.EncodeToString(sum[:12])
}

// frameReader gives one frame a read, as a server's packets would come.
type frameReader struct {
	ctx    context.Context
	mu     sync.Mutex
	frames [][]byte
	closed bool
}

func (r *frameReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return 0, errClosed
	case r.ctx.Err() != nil:
		return 0, gone(r.ctx)
	case len(r.frames) == 0:
		return 0, io.EOF
	}
	n := copy(p, r.frames[0])
	if r.frames[0] = r.frames[0][n:]; len(r.frames[0]) == 0 {
		r.frames = r.frames[1:]
	}
	return n, nil
}

func (r *frameReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}
