package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// load sends conversations at a fixed rate. A late answer does not delay the next one.
type load struct {
	url    string
	rate   int
	client *http.Client

	mu   sync.Mutex
	took []time.Duration // since the last look
	all  counts
}

// counts are requests of the whole run, by what they were.
type counts struct {
	Requests, Failed, Late int
	First                  error
	Kinds                  map[string]int
}

// mostOpen bounds the conversations that are open at once. One that would be more is a failure: the program cannot keep up.
const mostOpen = 500

func newLoad(url string, rate int) *load {
	return &load{url: url, rate: rate, all: counts{Kinds: map[string]int{}},
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// kinds are the conversations in the order they are sent, again and again: 20 of them make 24 requests.
var kinds = [...]string{
	"text", "text stream", "text", "allowed call", "text stream", "yes", "text", "text stream", "allowed call stream", "text",
	"text stream", "no", "text", "text stream", "allowed call", "yes stream", "text", "text stream", "text", "no stream",
}

// perRound is how many requests a round of all kinds makes.
const perRound = len(kinds) + 4

// run sends until ctx ends and waits for the last answers.
func (l *load) run(ctx context.Context) {
	every := time.Duration(float64(time.Second) * float64(perRound) / float64(len(kinds)) / float64(l.rate))
	open := make(chan struct{}, mostOpen)
	var all sync.WaitGroup
	begun := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		if wait := time.Until(begun.Add(time.Duration(n) * every)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				continue
			}
		}
		select {
		case open <- struct{}{}:
		default:
			l.late()
			continue
		}
		all.Go(func() {
			defer func() { <-open }()
			l.converse(context.WithoutCancel(ctx), n)
		})
	}
	all.Wait()
	l.client.CloseIdleConnections()
}

func (l *load) late() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Late++
}

// converse is one conversation, and holds every answer against what it must be.
func (l *load) converse(ctx context.Context, n int) {
	kind := kinds[n%len(kinds)]
	number := fmt.Sprint(n)
	stream := strings.HasSuffix(kind, "stream")
	what := map[byte]string{'t': "tell", 'a': "look up", 'y': "refund", 'n': "refund"}[kind[0]]
	ask := []message{{"user", what + " #" + number + "#"}}
	got, err := l.ask(ctx, kind, ask, stream)
	id, _, arguments := proposed(what, number)
	switch {
	case err != nil:
	case kind[0] == 't' && got.text != strings.Join(say(number), ""), kind[0] == 'a' && (got.id != id || got.arguments != arguments):
		err = fmt.Errorf("%s: another answer: %+v", kind, got)
	case kind[0] == 'y' || kind[0] == 'n':
		if got.id != "" || !strings.HasSuffix(got.text, `Say "yes" to proceed or "no" to skip.`) {
			err = fmt.Errorf("%s: no question: %+v", kind, got)
			break
		}
		word := map[byte]string{'y': "yes", 'n': "no"}[kind[0]]
		got, err = l.ask(ctx, kind, append(ask, message{"assistant", got.text}, message{"user", word}), stream)
		if err == nil && (word == "yes") != (got.id == id && got.arguments == arguments) {
			err = fmt.Errorf("%s: another answer: %+v", kind, got)
		}
	}
	if err != nil {
		l.fail(err)
	}
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Failed++
	if l.all.First == nil {
		l.all.First = err
	}
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// heard is what a reply says.
type heard struct{ text, id, arguments string }

const tools = `[{"type":"function","function":{"name":"process_refund","parameters":{"type":"object"}}},{"type":"function","function":{"name":"get_order","parameters":{"type":"object"}}}]`

func (l *load) ask(ctx context.Context, kind string, messages []message, stream bool) (heard, error) {
	body, err := json.Marshal(struct {
		Model    string          `json:"model"`
		Messages []message       `json:"messages"`
		Tools    json.RawMessage `json:"tools"`
		Stream   bool            `json:"stream"`
	}{"soak", messages, json.RawMessage(tools), stream})
	if err != nil {
		return heard{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return heard{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer sk_cadreen_soak_0123456789abcdef")
	begun := time.Now()
	res, err := l.client.Do(r)
	if err != nil {
		return heard{}, err
	}
	text, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	l.count(kind, time.Since(begun))
	switch {
	case err != nil:
		return heard{}, err
	case res.StatusCode != http.StatusOK:
		return heard{}, fmt.Errorf("%s: status %d: %s", kind, res.StatusCode, text)
	case stream:
		return hearStream(string(text))
	}
	var got heard
	return got, got.take(text)
}

func (l *load) count(kind string, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Requests++
	l.all.Kinds[kind]++
	l.took = append(l.took, took)
}

// since answers how long the requests since the last call took.
func (l *load) since() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.took
	l.took = nil
	return took
}

func (l *load) total() counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

func hearStream(text string) (heard, error) {
	var got heard
	body, whole := strings.CutSuffix(text, "data: [DONE]\n\n")
	if !whole {
		return got, errors.New("a stream without its end: " + text)
	}
	for line := range strings.Lines(body) {
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := got.take([]byte(data)); err != nil {
				return got, err
			}
		}
	}
	return got, nil
}

// take adds a completion or a chunk to what was heard.
func (h *heard) take(data []byte) error {
	type said struct {
		Content   string
		ToolCalls []struct {
			ID       string
			Function struct{ Arguments string }
		} `json:"tool_calls"`
	}
	var o struct {
		Error   json.RawMessage
		Choices []struct{ Message, Delta said }
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return err
	}
	if o.Error != nil {
		return errors.New("an error in the stream: " + string(o.Error))
	}
	for _, c := range o.Choices {
		for _, part := range []said{c.Message, c.Delta} {
			h.text += part.Content
			for _, call := range part.ToolCalls {
				h.id += call.ID
				h.arguments += call.Function.Arguments
			}
		}
	}
	return nil
}
