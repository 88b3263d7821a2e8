package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"cadreen/fault"
)

const customTool = `{"type":"custom","custom":{"name":"write_poem","description":"Writes a poem"}}`

// chatRehearsal returns the bytes of an answer.
func chatRehearsal(t *testing.T, body string, stream bool) string {
	t.Helper()
	resp, err := NewRehearsal().Chat(background(), Request{Body: []byte(body), Stream: stream})
	require.NoError(t, err)
	require.Equal(t, stream, resp.Stream)
	return readAll(t, resp)
}

// frames are the data of a stream's events, [DONE] left out.
func frames(t *testing.T, stream string) []string {
	t.Helper()
	parts := strings.Split(stream, "\n\n")
	require.Empty(t, parts[len(parts)-1])
	require.Equal(t, "data: [DONE]", parts[len(parts)-2])
	var out []string
	for _, part := range parts[:len(parts)-2] {
		data, ok := strings.CutPrefix(part, "data: ")
		require.True(t, ok, part)
		out = append(out, data)
	}
	return out
}

// collected is a stream put together again, as clients do.
type collected struct {
	role, content, finish string
	ids, names, arguments []string
	legacy                string
}

func collect(t *testing.T, stream string) map[int]*collected {
	t.Helper()
	out := make(map[int]*collected)
	for _, frame := range frames(t, stream) {
		var chunk struct {
			Choices []struct {
				Index int
				Delta struct {
					Role, Content string
					ToolCalls     []struct {
						Index            int
						ID               string
						Function, Custom struct{ Name, Arguments, Input string }
					} `json:"tool_calls"`
					FunctionCall struct{ Name, Arguments string } `json:"function_call"`
				}
				Finish string `json:"finish_reason"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(frame), &chunk))
		for _, choice := range chunk.Choices {
			c := out[choice.Index]
			if c == nil {
				c = &collected{}
				out[choice.Index] = c
			}
			require.Empty(t, c.finish, "nothing after the finish")
			c.role += choice.Delta.Role
			c.content += choice.Delta.Content
			c.finish = choice.Finish
			c.legacy += choice.Delta.FunctionCall.Name + choice.Delta.FunctionCall.Arguments
			for _, call := range choice.Delta.ToolCalls {
				if call.ID != "" {
					require.Equal(t, len(c.ids), call.Index)
					c.ids = append(c.ids, call.ID)
					c.names = append(c.names, "")
					c.arguments = append(c.arguments, "")
				}
				c.names[call.Index] += call.Function.Name + call.Custom.Name
				c.arguments[call.Index] += call.Function.Arguments + call.Custom.Input
			}
		}
	}
	return out
}

func TestRehearsalStreamSaysTheSameAsJSON(t *testing.T) {
	body := askBody("Refund order 456 for $750 and email the customer", refundTool+","+emailTool, "")
	stream := chatRehearsal(t, body, true)
	require.Greater(t, len(frames(t, stream)), 8, "arguments come in fragments")
	choices := collect(t, stream)
	require.Len(t, choices, 1)
	require.Equal(t, "assistant", choices[0].role)
	require.Equal(t, "tool_calls", choices[0].finish)
	require.Equal(t, []string{"process_refund", "send_email"}, choices[0].names)
	require.Equal(t, `{"order_id":"456","amount":750}`, choices[0].arguments[0])
	whole := chatRehearsal(t, body, false)
	for _, id := range choices[0].ids {
		require.Contains(t, whole, id)
	}
	require.NotEqual(t, choices[0].ids[0], choices[0].ids[1])

	text := askBody("hello", "", "")
	require.Contains(t, chatRehearsal(t, text, false), mustQuote(collect(t, chatRehearsal(t, text, true))[0].content))
}

func mustQuote(text string) string { return string(encode(text)) }

func TestRehearsalIsAPureFunctionOfTheBody(t *testing.T) {
	body := askBody("Refund order 456 for $750", refundTool, `,"n":2`)
	for _, stream := range []bool{false, true} {
		require.Equal(t, chatRehearsal(t, body, stream), chatRehearsal(t, body, stream))
	}
	require.NotEqual(t, chatRehearsal(t, body, false), chatRehearsal(t, body+" ", false), "another body, other ids")
}

func TestRehearsalAlternativesAreAlike(t *testing.T) {
	choices := collect(t, chatRehearsal(t, askBody("Refund order 456 for $750", refundTool, `,"n":3`), true))
	require.Len(t, choices, 3)
	ids := make(map[string]bool)
	for i := range 3 {
		require.Equal(t, choices[0].names, choices[i].names)
		require.Equal(t, choices[0].arguments, choices[i].arguments)
		ids[choices[i].ids[0]] = true
	}
	require.Len(t, ids, 3, "but each call has its own id")
}

func TestRehearsalUsageOnlyWhenAsked(t *testing.T) {
	const usage = `"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}`
	plain := frames(t, chatRehearsal(t, askBody("hi", "", ""), true))
	require.NotContains(t, strings.Join(plain, ""), "usage")
	asked := frames(t, chatRehearsal(t, askBody("hi", "", `,"stream_options":{"include_usage":true}`), true))
	require.Contains(t, asked[0], `"usage":null`)
	last := asked[len(asked)-1]
	require.Contains(t, last, `"choices":[]`)
	require.Contains(t, last, usage)
	require.Contains(t, chatRehearsal(t, askBody("hi", "", ""), false), usage)
}

func TestRehearsalObeysToolChoice(t *testing.T) {
	const tools = refundTool + "," + customTool
	for _, tc := range []struct{ name, text, rest, want string }{
		{"none", "Refund order 456", `,"tool_choice":"none"`, ""},
		{"auto", "Refund order 456", `,"tool_choice":"auto"`, "process_refund"},
		{"null", "Refund order 456", `,"tool_choice":null`, "process_refund"},
		{"required without a fit", "hm", `,"tool_choice":"required"`, "process_refund"},
		{"required with a fit", "a poem!", `,"tool_choice":"required"`, "write_poem"},
		{"named", "a poem!", `,"tool_choice":{"type":"function","function":{"name":"process_refund"}}`, "process_refund"},
		{"named custom", "Refund order 456", `,"tool_choice":{"type":"custom","custom":{"name":"write_poem"}}`, "write_poem"},
		{"allowed, auto", "Refund order 456", `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"custom","custom":{"name":"write_poem"}}]}}`, ""},
		{"allowed, required", "Refund order 456", `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"custom","custom":{"name":"write_poem"}}]}}`, "write_poem"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := rehearsed(t, askBody(tc.text, tools, tc.rest))
			got := ""
			for _, call := range answer.calls {
				got += call.name
			}
			require.Equal(t, tc.want, got)
		})
	}
	one := rehearsed(t, askBody("Refund order 456 for $750 and email the customer", refundTool+","+emailTool, `,"parallel_tool_calls":false`))
	require.Len(t, one.calls, 1)
}

func TestRehearsalRefusesWhatAModelWouldRefuse(t *testing.T) {
	for body, param := range map[string]string{
		`{}`:                         "messages",
		`{"messages":[]}`:            "messages",
		`{"messages":7}`:             "messages",
		`[]`:                         "",
		`{"messages"`:                "",
		askBody("x", "", `,"n":0`):   "n",
		askBody("x", "", `,"n":129`): "n",
		askBody("x", "", `,"tool_choice":"required"`):                                              "tool_choice",
		askBody("x", refundTool, `,"tool_choice":{"type":"function","function":{"name":"other"}}`): "tool_choice",
		askBody("x", refundTool, `,"tool_choice":"perhaps"`):                                       "tool_choice",
		askBody("x", "", `,"functions":[{"name":"f"}],"function_call":{"name":"g"}`):               "function_call",
	} {
		_, err := NewRehearsal().Chat(background(), Request{Body: []byte(body)})
		f := asFault(t, err)
		require.Equal(t, fault.InvalidRequest, f.Code, body)
		require.Equal(t, param, f.Param, body)
	}
}

func TestRehearsalLegacyFunctions(t *testing.T) {
	const functions = `,"functions":[{"name":"process_refund","parameters":{"type":"object","properties":{"order_id":{"type":"string"},"amount":{"type":"number"}}}}]`
	body := askBody("Refund order 456 for $750", "", functions)
	require.Contains(t, chatRehearsal(t, body, false), `"content":null,"refusal":null,"function_call":{"name":"process_refund","arguments":"{\"order_id\":\"456\",\"amount\":750}"}`)
	require.Contains(t, chatRehearsal(t, body, false), `"finish_reason":"function_call"`)
	choices := collect(t, chatRehearsal(t, body, true))
	require.Equal(t, `process_refund{"order_id":"456","amount":750}`, choices[0].legacy)
	require.Equal(t, "function_call", choices[0].finish)
	require.Empty(t, rehearsed(t, askBody("Refund order 456", "", functions+`,"function_call":"none"`)).calls)
	require.Len(t, rehearsed(t, askBody("hello", "", functions+`,"function_call":{"name":"process_refund"}`)).calls, 1)
}

func TestRehearsalCustomToolGetsTheWordsAsTheyAre(t *testing.T) {
	body := askBody("Write a poem about \"Zürich\" <now>", customTool, "")
	require.Contains(t, chatRehearsal(t, body, false), `"type":"custom","custom":{"name":"write_poem","input":"Write a poem about \"Zürich\" <now>"}`)
	choices := collect(t, chatRehearsal(t, body, true))
	require.Equal(t, []string{`Write a poem about "Zürich" <now>`}, choices[0].arguments)
}

func conversation(messages, rest string) string {
	return `{"messages":[` + messages + `],"tools":[` + refundTool + `]` + rest + `}`
}

func TestRehearsalTurns(t *testing.T) {
	const (
		ask    = `{"role":"user","content":"Refund order 456 for $750"}`
		called = `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"process_refund","arguments":"{}"}},{"id":"call_2","type":"function","function":{"name":"lookup","arguments":"{}"}}]}`
		result = `{"role":"tool","tool_call_id":"call_1","content":"{\"status\":\"done\",\"refund\":{\"id\":7}}"}`
		second = `{"role":"tool","tool_call_id":"call_2","content":[{"type":"text","text":"all  is\nwell"}]}`
	)
	for _, tc := range []struct{ name, messages, rest, want string }{
		{"result", ask + "," + called + "," + result, "", `Rehearsal model: process_refund returned status done, refund {"id":7}.`},
		{"two results", ask + "," + called + "," + result + "," + second, "",
			`Rehearsal model: process_refund returned status done, refund {"id":7}; lookup returned “all is well”.`},
		{"result of an unknown call", ask + `,{"role":"tool","tool_call_id":"x","content":""}`, "", "Rehearsal model: the tool returned nothing."},
		{"legacy result", ask + `,{"role":"function","name":"old","content":"7"}`, "", "Rehearsal model: old returned “7”."},
		{"result, then context", ask + "," + called + "," + result + `,{"role":"system","content":"Refund order 1"}`, "", `Rehearsal model: process_refund returned status done, refund {"id":7}.`},
		{"context behind the user", ask + `,{"role":"developer","content":"memory"}`, "", "process_refund"},
		{"asked again after a result", ask + "," + called + "," + result + "," + ask, "", "process_refund"},
		{"result, but a call is forced", ask + "," + called + "," + result, `,"tool_choice":"required"`, "process_refund"},
		{"assistant last", ask + `,{"role":"assistant","content":"Well,"}`, "", "Rehearsal model: none of the offered tools (1) fits “Refund order 456 for $750”."},
		{"parts", `{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"Refund order 456"}]}`, "", "process_refund"},
		{"no words", `{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}`, "", "Rehearsal model: I read only words, and there were none."},
		{"only instructions", `{"role":"system","content":"Refund order 4"}`, "", "Rehearsal model: I read only words, and there were none."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := rehearsed(t, conversation(tc.messages, tc.rest))
			if len(answer.calls) > 0 {
				require.Equal(t, tc.want, answer.calls[0].name)
				return
			}
			require.Equal(t, tc.want, answer.text)
		})
	}
	long := rehearsed(t, askBody(strings.Repeat("wörter ", 1000), "", ""))
	require.Less(t, len(long.text), 300)
	require.True(t, strings.HasPrefix(long.text, rehearsalLabel))
}

func TestRehearsalKeepsResponseFormat(t *testing.T) {
	const format = `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"}},"required":["city","days"]}}}`
	require.JSONEq(t, `{"city":"Paris","days":3}`, rehearsed(t, askBody("A trip to Paris for 3 days", "", format)).text)
	require.True(t, json.Valid([]byte(rehearsed(t, askBody("x", "", `,"response_format":{"type":"json_object"}`)).text)))
}

func TestRehearsalModelsIsLabelled(t *testing.T) {
	list, err := NewRehearsal().Models(background(), "")
	require.NoError(t, err)
	require.Contains(t, string(list), `"id":"cadreen-rehearsal"`)
	require.Contains(t, string(list), "Rehearsal model")
	require.NoError(t, NewRehearsal().Check(background()))
	require.True(t, NewRehearsal().Rehearsal())
}

func TestRehearsalStopsWhenTheCallerGoes(t *testing.T) {
	ctx, cancel := context.WithCancel(background())
	resp, err := NewRehearsal().Chat(ctx, Request{Body: []byte(askBody("hi", "", "")), Stream: true})
	require.NoError(t, err)
	buf := make([]byte, 4096)
	n, err := resp.Body.Read(buf)
	require.NoError(t, err)
	require.Equal(t, 1, bytes.Count(buf[:n], []byte("\n\n")), "one frame a read")
	cancel()
	_, err = resp.Body.Read(buf)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, resp.Body.Close())
	_, err = resp.Body.Read(buf)
	require.ErrorIs(t, err, errClosed)
	_, err = NewRehearsal().Chat(ctx, Request{Body: []byte(`{}`)})
	require.ErrorIs(t, err, context.Canceled)
	_, err = NewRehearsal().Models(ctx, "")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, NewRehearsal().Check(ctx), context.Canceled)
}

// TestRehearsalAnswersFitTheSchema reads OpenAI's published schema where it is at hand.
func TestRehearsalAnswersFitTheSchema(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "openai-chat.schema.json")
	file, err := os.Open(path)
	if err != nil {
		t.Skip("the schema is not here")
	}
	defer file.Close()
	document, err := jsonschema.UnmarshalJSON(file)
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("https://schema.test/openai.json", document))
	compiled := func(name string) *jsonschema.Schema {
		return compiler.MustCompile("https://schema.test/openai.json#/$defs/" + name)
	}
	reply, chunk, models := compiled("CreateChatCompletionResponse"), compiled("CreateChatCompletionStreamResponse"), compiled("ListModelsResponse")
	valid := func(schema *jsonschema.Schema, text string) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(value), text)
	}
	for _, body := range []string{
		askBody("hello", "", ""),
		askBody("Refund order 456 for $750", refundTool, `,"n":2,"stream_options":{"include_usage":true}`),
		askBody("Refund order 456 for $750 and email the customer", refundTool+","+emailTool, ""),
		askBody("Refund order 456", "", `,"functions":[{"name":"process_refund"}]`),
	} {
		valid(reply, chatRehearsal(t, body, false))
		for _, frame := range frames(t, chatRehearsal(t, body, true)) {
			valid(chunk, frame)
		}
	}
	// The document knows no custom calls in chunks.
	valid(reply, chatRehearsal(t, askBody("write a poem", customTool, ""), false))
	list, err := NewRehearsal().Models(background(), "")
	require.NoError(t, err)
	valid(models, string(list))
}

var _ io.Closer = rehearsal{}
