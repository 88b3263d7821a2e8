package main

import (
	"errors"
	"io"
	"testing"

	goopenai "github.com/sashabaranov/go-openai"
	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// communityTurn is one turn by go-openai, JSON or streamed.
func communityTurn(t *testing.T, c *goopenai.Client, request goopenai.ChatCompletionRequest, stream bool) (goopenai.ChatCompletionMessage, goopenai.FinishReason) {
	t.Helper()
	if !stream {
		got, err := c.CreateChatCompletion(t.Context(), request)
		require.NoError(t, err)
		return got.Choices[0].Message, got.Choices[0].FinishReason
	}
	s, err := c.CreateChatCompletionStream(t.Context(), request)
	require.NoError(t, err)
	defer s.Close()
	message, finish := goopenai.ChatCompletionMessage{Role: "assistant"}, goopenai.FinishReason("")
	for {
		chunk, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return message, finish
		}
		require.NoError(t, err)
		for _, choice := range chunk.Choices {
			message.Content += choice.Delta.Content
			if choice.FinishReason != "" {
				finish = choice.FinishReason
			}
			for _, part := range choice.Delta.ToolCalls {
				require.NotNil(t, part.Index)
				for len(message.ToolCalls) <= *part.Index {
					message.ToolCalls = append(message.ToolCalls, goopenai.ToolCall{Type: "function"})
				}
				call := &message.ToolCalls[*part.Index]
				call.ID += part.ID
				call.Function.Name += part.Function.Name
				call.Function.Arguments += part.Function.Arguments
			}
		}
	}
}

func communityClient(p *proxyUnderTest) *goopenai.Client {
	config := goopenai.DefaultConfig(keyAnn)
	config.BaseURL = p.url
	return goopenai.NewClientWithConfig(config)
}

func communityAsk(text string) goopenai.ChatCompletionRequest {
	tool := func(name string) goopenai.Tool {
		return goopenai.Tool{Type: "function", Function: &goopenai.FunctionDefinition{Name: name, Parameters: map[string]any{
			"type": "object", "properties": map[string]any{"order_id": map[string]any{"type": "string"}}}}}
	}
	return goopenai.ChatCompletionRequest{Model: "gpt-any", Messages: []goopenai.ChatCompletionMessage{{Role: "user", Content: text}},
		Tools: []goopenai.Tool{tool("process_refund"), tool("get_order")}}
}

func TestGoOpenAIClient(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		c := communityClient(p)
		bothWays(t, func(t *testing.T, stream bool) {
			call := refund("call_goo", `{"order_id":"Z\u00fcrich 12345678901234567890", "amount" : 750.00}`)
			request := communityAsk("Refund it")
			model.Next(turnOf(stream, "", call))
			asked, finish := communityTurn(t, c, request, stream)
			require.Empty(t, asked.ToolCalls)
			require.EqualValues(t, "stop", finish)

			request.Messages = append(request.Messages, asked, goopenai.ChatCompletionMessage{Role: "user", Content: "yes"})
			got, finish := communityTurn(t, c, request, stream)
			require.EqualValues(t, "tool_calls", finish)
			require.Len(t, got.ToolCalls, 1)
			require.Equal(t, "call_goo", got.ToolCalls[0].ID)
			require.Equal(t, "process_refund", got.ToolCalls[0].Function.Name)
			require.Equal(t, call.Arguments, got.ToolCalls[0].Function.Arguments)

			request.Messages = append(request.Messages, got, goopenai.ChatCompletionMessage{Role: "tool", ToolCallID: "call_goo", Content: "refunded"})
			model.Next(turnOf(stream, "All done."))
			end, _ := communityTurn(t, c, request, stream)
			require.Equal(t, "All done.", end.Content)
		})
	})
}

// CLIENTS 3: go-openai finds an error in a stream only if `error` comes first
// and nothing stands before it.
func TestGoOpenAISeesTheErrorInTheStream(t *testing.T) {
	p, model := startScripted(t, setup{})
	h := scripted.Head{}
	for name, reply := range map[string]scripted.Reply{
		"EOF":   scripted.Wire{NoDone: true}.Reply(h.Role(0), h.Text(0, "half")),
		"error": scripted.Wire{}.Reply(h.Role(0), h.Text(0, "half"), scripted.StreamError),
		"cut":   scripted.Stream(append(scripted.Wire{NoDone: true}.Steps(h.Role(0), h.Text(0, "half")), scripted.Cut())...),
	} {
		t.Run(name, func(t *testing.T) {
			model.Next(reply)
			s, err := communityClient(p).CreateChatCompletionStream(t.Context(), communityAsk("hi"))
			require.NoError(t, err)
			defer s.Close()
			for err == nil {
				_, err = s.Recv()
			}
			var failure *goopenai.APIError
			require.True(t, errors.As(err, &failure), "%v", err)
			require.NotEmpty(t, failure.Message)
		})
	}
}
