package backend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"cadreen/fault"
	"cadreen/governance"
)

// Completer asks a model for something of ours: it helps to write rules and has no
// part in any chat. It implements governance.Completer.
type Completer struct {
	Backend Backend
	Model   string // as the server names it
}

// replyLimit bounds the whole answer, in bytes.
const replyLimit = 1 << 20

type completionMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type responseFormat struct {
	Type       string `json:"type"`
	JSONSchema struct {
		Name   string          `json:"name"`
		Strict bool            `json:"strict"`
		Schema json.RawMessage `json:"schema"`
	} `json:"json_schema"`
}

type completionBody struct {
	Model          string              `json:"model"`
	Messages       []completionMessage `json:"messages"`
	ResponseFormat *responseFormat     `json:"response_format,omitempty"`
}

// Complete implements governance.Completer. A server that refuses structured output
// is asked once more without it: the instructions hold the schema too.
func (c Completer) Complete(ctx context.Context, q governance.Completion) (string, error) {
	body := completionBody{Model: c.Model, Messages: []completionMessage{{"system", q.Instructions}, {"user", q.Input}}, ResponseFormat: &responseFormat{Type: "json_schema"}}
	body.ResponseFormat.JSONSchema.Name, body.ResponseFormat.JSONSchema.Strict, body.ResponseFormat.JSONSchema.Schema = q.Name, true, q.Schema
	text, err := c.send(ctx, body)
	var refused *fault.Error
	if errors.As(err, &refused) && (refused.Status == http.StatusBadRequest || refused.Status == http.StatusUnprocessableEntity) {
		body.ResponseFormat = nil
		text, err = c.send(ctx, body)
	}
	return text, err
}

func (c Completer) send(ctx context.Context, body completionBody) (string, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	resp, err := c.Backend.Chat(ctx, Request{Body: text})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, replyLimit+1))
	if err != nil {
		return "", err
	}
	if len(answer) > replyLimit {
		return "", errors.New("the model's answer is too long")
	}
	var got struct {
		Choices []struct {
			FinishReason string `json:"finish_reason"`
			Message      struct {
				Content string `json:"content"`
				Refusal string `json:"refusal"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got.Choices) == 0 {
		return "", errors.New("the model's answer is no chat completion")
	}
	switch first := got.Choices[0]; {
	case first.Message.Refusal != "":
		return "", errors.New("the model refused to answer")
	case first.FinishReason == "length" || first.FinishReason == "content_filter":
		return "", fmt.Errorf("the model's answer was cut off (%s)", first.FinishReason)
	case first.Message.Content == "":
		return "", errors.New("the model's answer is empty")
	default:
		return first.Message.Content, nil
	}
}
