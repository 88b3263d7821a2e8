package main

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// officialTurn is one turn by OpenAI's Go client, JSON or streamed.
func officialTurn(t *testing.T, c openai.Client, params openai.ChatCompletionNewParams, stream bool) openai.ChatCompletion {
	t.Helper()
	if !stream {
		got, err := c.Chat.Completions.New(t.Context(), params)
		require.NoError(t, err)
		return *got
	}
	s := c.Chat.Completions.NewStreaming(t.Context(), params)
	defer s.Close()
	acc := openai.ChatCompletionAccumulator{}
	for s.Next() {
		require.True(t, acc.AddChunk(s.Current()), s.Current().RawJSON())
	}
	require.NoError(t, s.Err())
	return acc.ChatCompletion
}

func officialClient(p *proxyUnderTest, options ...option.RequestOption) openai.Client {
	return openai.NewClient(append([]option.RequestOption{option.WithBaseURL(p.url), option.WithAPIKey(keyAnn), option.WithMaxRetries(0)}, options...)...)
}

func officialAsk(text string) openai.ChatCompletionNewParams {
	tool := func(name string) openai.ChatCompletionToolUnionParam {
		return openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: name, Parameters: shared.FunctionParameters{
			"type": "object", "properties": map[string]any{"order_id": map[string]any{"type": "string"}, "amount": map[string]any{"type": "number"}}}})
	}
	return openai.ChatCompletionNewParams{Model: "gpt-any", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)},
		Tools: []openai.ChatCompletionToolUnionParam{tool("process_refund"), tool("get_order")}}
}

// A whole conversation: asked, answered, released, run, summed up.
func TestOfficialGoClient(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p, model := startScripted(t, setup{store: storeURL})
		c := officialClient(p)
		bothWays(t, func(t *testing.T, stream bool) {
			t.Run("yes", func(t *testing.T) {
				call := refund("call_go", `{"order_id":"Z\u00fcrich 12345678901234567890", "amount" : 750.00}`)
				params := officialAsk("Refund it")
				model.Next(turnOf(stream, "One moment.", call))
				asked := officialTurn(t, c, params, stream)
				require.Empty(t, asked.Choices[0].Message.ToolCalls)
				require.Equal(t, "stop", asked.Choices[0].FinishReason)
				require.Contains(t, asked.Choices[0].Message.Content, promptFirst)

				params.Messages = append(params.Messages, asked.Choices[0].Message.ToParam(), openai.UserMessage("Yes."))
				got := officialTurn(t, c, params, stream)
				require.Equal(t, "tool_calls", got.Choices[0].FinishReason)
				require.Len(t, got.Choices[0].Message.ToolCalls, 1)
				require.Equal(t, "call_go", got.Choices[0].Message.ToolCalls[0].ID)
				require.Equal(t, call.Arguments, got.Choices[0].Message.ToolCalls[0].Function.Arguments)

				params.Messages = append(params.Messages, got.Choices[0].Message.ToParam(), openai.ToolMessage("refunded", "call_go"))
				model.Next(turnOf(stream, "All done."))
				end := officialTurn(t, c, params, stream)
				require.Equal(t, "All done.", end.Choices[0].Message.Content)
			})
			t.Run("no", func(t *testing.T) {
				params := officialAsk("Refund it, no")
				model.Next(turnOf(stream, "", refund("call_no", `{"order_id":"1"}`)))
				asked := officialTurn(t, c, params, stream)
				params.Messages = append(params.Messages, asked.Choices[0].Message.ToParam(), openai.UserMessage("no"))
				got := officialTurn(t, c, params, stream)
				require.Empty(t, got.Choices[0].Message.ToolCalls)
				require.Contains(t, got.Choices[0].Message.Content, "skipped")
			})
		})
	})
}

func TestOfficialGoClientSeesOurFieldsAndErrors(t *testing.T) {
	p, model := startScripted(t, setup{})
	model.Next(turnOf(false, "", refund("call_1", `{"order_id":"1"}`)))
	ann := officialClient(p)
	got, err := ann.Chat.Completions.New(t.Context(), officialAsk("Refund"))
	require.NoError(t, err)
	require.Equal(t, `"needs_input"`, got.JSON.ExtraFields["gate"].Raw())
	require.True(t, json.Valid([]byte(got.JSON.ExtraFields["pending_actions"].Raw())))

	for name, stream := range map[string]bool{"json": false, "stream": true} {
		t.Run(name, func(t *testing.T) {
			c := officialClient(p, option.WithAPIKey("sk_cadreen_unknown_0123456789"))
			if stream {
				s := c.Chat.Completions.NewStreaming(t.Context(), officialAsk("hi"))
				require.False(t, s.Next())
				err = s.Err()
			} else {
				_, err = c.Chat.Completions.New(t.Context(), officialAsk("hi"))
			}
			var failure *openai.Error
			require.True(t, errors.As(err, &failure), "%v", err)
			require.Equal(t, 401, failure.StatusCode)
			require.Equal(t, "unauthorized", failure.Code)
			require.NotEmpty(t, failure.JSON.ExtraFields["trace_id"].Raw())
		})
	}
	t.Run("in the stream", func(t *testing.T) {
		h := scripted.Head{}
		model.Next(scripted.Wire{NoDone: true}.Reply(h.Role(0), h.Text(0, "half")))
		s := ann.Chat.Completions.NewStreaming(t.Context(), officialAsk("hi"))
		for s.Next() {
		}
		require.Error(t, s.Err(), "a stream that broke must not look complete")
	})
}

// CLIENTS 12 and E72: a policy error is not tried again, an overload is, and
// the wait that the model asked for is kept.
func TestOfficialGoClientRetries(t *testing.T) {
	p, model := startScripted(t, setup{})
	c := officialClient(p, option.WithMaxRetries(2))
	model.Next(scripted.Error(429, "rate_limit_error", "slow", "slow down", "Retry-After-Ms", "1"))
	model.Next(turnOf(false, "fine"))
	got, err := c.Chat.Completions.New(t.Context(), officialAsk("hi"))
	require.NoError(t, err)
	require.Equal(t, "fine", got.Choices[0].Message.Content)

	sofar := len(model.Requests())
	_, err = c.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "m",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage("hi")}}, option.WithJSONSet("web_search_options", map[string]any{}))
	require.Error(t, err)
	require.Len(t, model.Requests(), sofar)
}

func TestOfficialGoClientListsModels(t *testing.T) {
	p := start(t, setup{})
	c := officialClient(p)
	list, err := c.Models.List(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, list.Data)
	if s, err := loadSchemas(); err == nil {
		valid(t, s.models, list.RawJSON())
	}
}
