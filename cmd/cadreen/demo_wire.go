package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// demo is a client that prints what it sends and gets.
type demo struct {
	program program
	url     string
	key     string
	client  *http.Client
	steps   int
	wrong   int
}

type turn struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type step struct {
	title    string
	messages []turn
	expect   expectation
}

// expectation is how a step must come out. An empty gate is not looked at.
type expectation struct {
	gate       string
	content    string // to the byte
	anyContent bool   // some text, whatever it says
	arguments  string // of the one call, to the byte; "" means no call at all
	finish     string
}

// outcome is an answer, JSON or stream, put together as a client would.
type outcome struct {
	status    int
	gate      string
	content   string
	name      string
	arguments string
	calls     int
	finish    string
	done      bool // the stream ended with [DONE]
}

// part is what JSON answers and stream chunks have in common.
type part struct {
	Gate    string `json:"gate"`
	Choices []struct {
		Message      body   `json:"message"`
		Delta        body   `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
}

type body struct {
	Content   string `json:"content"`
	ToolCalls []struct {
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// stepTimeout bounds one request; the rehearsal model answers at once.
const stepTimeout = 30 * time.Second

// play sends one request, prints the wire and judges the answer. Its error
// means that there was no answer to judge.
func (d *demo) play(ctx context.Context, s step, stream bool) error {
	d.steps++
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	sent, err := json.Marshal(struct {
		Model    string            `json:"model"`
		Stream   bool              `json:"stream,omitempty"`
		Messages []turn            `json:"messages"`
		Tools    []json.RawMessage `json:"tools"`
	}{"cadreen", stream, s.messages, []json.RawMessage{json.RawMessage(refundTool)}})
	if err != nil {
		return err
	}
	form := "JSON"
	if stream {
		form = "stream"
	}
	d.printf("== %d. %s (%s)\n\n", d.steps, s.title, form)
	d.printf("> POST /v1/chat/completions\n> Authorization: Bearer %s…\n> Content-Type: application/json\n>\n%s\n", d.key[:15], prefixed("> ", pretty(sent)))
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	d.printf("< HTTP %s\n", response.Status)
	for _, name := range []string{"Content-Type", "X-Cadreen-Gate", "X-Cadreen-Trace-Id"} {
		if value := response.Header.Get(name); value != "" {
			d.printf("< %s: %s\n", name, value)
		}
	}
	shown := raw
	if !stream {
		shown = pretty(raw)
	}
	d.printf("<\n%s\n", prefixed("< ", bytes.TrimSpace(shown)))
	complaint := ""
	if got, err := read(response, raw); err != nil {
		complaint = err.Error()
	} else {
		complaint = s.expect.judge(got, stream)
	}
	if complaint != "" {
		d.wrong++
		d.printf("WRONG: %s\n\n", complaint)
	} else {
		d.printf("right\n\n")
	}
	return nil
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.program.Stdout, format, args...) }

// read puts an answer together.
func read(response *http.Response, raw []byte) (outcome, error) {
	got := outcome{status: response.StatusCode}
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		lines := bufio.NewScanner(bytes.NewReader(raw))
		lines.Buffer(nil, len(raw)+1)
		for lines.Scan() {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			switch {
			case !ok:
			case data == "[DONE]":
				got.done = true
			default:
				if err := got.add([]byte(data)); err != nil {
					return got, err
				}
			}
		}
		if gate := response.Trailer.Get("X-Cadreen-Gate"); gate != "" {
			got.gate = gate
		}
		return got, lines.Err()
	}
	if err := got.add(raw); err != nil {
		return got, err
	}
	if gate := response.Header.Get("X-Cadreen-Gate"); gate != "" {
		got.gate = gate
	}
	return got, nil
}

func (o *outcome) add(data []byte) error {
	var p part
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("the answer is not JSON: %w", err)
	}
	if p.Gate != "" {
		o.gate = p.Gate
	}
	for _, c := range p.Choices {
		for _, b := range []body{c.Message, c.Delta} {
			o.content += b.Content
			for _, call := range b.ToolCalls {
				o.calls++
				o.name += call.Function.Name
				o.arguments += call.Function.Arguments
			}
		}
		if c.FinishReason != "" {
			o.finish = c.FinishReason
		}
	}
	return nil
}

// judge says what is wrong with an answer, "" if nothing.
func (e expectation) judge(got outcome, stream bool) string {
	switch {
	case got.status != http.StatusOK:
		return fmt.Sprintf("status %d", got.status)
	case e.gate != "" && got.gate != e.gate:
		return fmt.Sprintf("gate %q, not %q", got.gate, e.gate)
	case e.arguments == "" && got.calls > 0:
		return fmt.Sprintf("a call of %s came out", got.name)
	case e.arguments != "" && (got.calls != 1 || got.name != "process_refund" || got.arguments != e.arguments):
		return fmt.Sprintf("%d calls, %s(%s), not process_refund(%s)", got.calls, got.name, got.arguments, e.arguments)
	case e.anyContent && got.content == "":
		return "no text"
	case !e.anyContent && got.content != e.content:
		return fmt.Sprintf("text %q, not %q", got.content, e.content)
	case got.finish != e.finish:
		return fmt.Sprintf("finish_reason %q, not %q", got.finish, e.finish)
	case stream && !got.done:
		return "the stream did not end with [DONE]"
	}
	return ""
}

func pretty(raw []byte) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return raw
	}
	return b.Bytes()
}

func prefixed(prefix string, text []byte) string {
	return prefix + strings.ReplaceAll(string(text), "\n", "\n"+prefix)
}

func indent(text string) string { return prefixed("  ", []byte(strings.TrimSpace(text))) + "\n" }
