package openai

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const hi = `"messages":[{"role":"user","content":"hi"}]`

func parse(t *testing.T, body string) *Request {
	t.Helper()
	r, err := ParseRequest([]byte(body))
	require.NoError(t, err)
	return r
}

func TestARequestInFull(t *testing.T) {
	r := parse(t, `{"model":"gpt","stream":true,"n":2,"stream_options":{"include_usage":true,"x":1},"conversation_id":"c1","user_id":"u1","user":"u2","memory":false,
		"context":{"domain":"ecommerce","workspace_id":"w1","memory":true,"x":[1]},"metadata":{"thread_id":"t1","conversation_id":"m1","n":5},"web_search_options":{},
		"messages":[{"role":"developer","content":"be kind"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
			{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_2","type":"custom","custom":{"name":"c","input":""}}]},
			{"role":"tool","tool_call_id":"call_1","content":"done"},{"role":"assistant","function_call":{"name":"l","arguments":""}}],
		"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true}},{"type":"custom","custom":{"name":"c","format":{"type":"text"}}},{"type":"web_search"},{"type":"function","name":"flat","parameters":{}}],
		"functions":[{"name":"l","parameters":{}}],"tool_choice":{"type":"function","function":{"name":"f"}},"function_call":"none"}`)
	require.Equal(t, "gpt", r.Model)
	require.True(t, r.Stream && r.IncludeUsage && r.WebSearch && r.HasTools())
	require.Equal(t, 2, r.N)
	require.Equal(t, []string{"c1", "u1", "u2", "ecommerce", "w1", "m1"}, []string{r.ConversationID, r.UserID, r.User, r.Domain, r.ContextWorkspace, r.MetadataConversation})
	require.False(t, *r.Memory)
	require.True(t, *r.ContextMemory)
	require.Equal(t, Choice{"function", "f"}, r.ToolChoice, "tool_choice goes before function_call")

	var roles, texts []string
	var only []bool
	for i := range r.Messages {
		m := &r.Messages[i]
		roles, texts, only = append(roles, m.Role), append(texts, m.Text(r.Body)), append(only, m.TextOnly())
	}
	require.Equal(t, []string{"developer", "user", "assistant", "tool", "assistant"}, roles)
	require.Equal(t, []string{"be kind", "a\nb", "", "done", ""}, texts)
	require.Equal(t, []bool{true, true, false, true, false}, only)
	require.Equal(t, []CallRef{{"call_1", "f"}, {"call_2", "c"}}, r.Messages[2].Calls)
	require.Equal(t, "call_1", r.Messages[3].ToolCallID)
	require.Equal(t, []CallRef{{"", "l"}}, r.Messages[4].Calls)

	var tools []string
	for _, tool := range r.Tools {
		tools = append(tools, strings.Join([]string{tool.Type, tool.NameIn(r.Body), string(tool.Description.Of(r.Body)), string(tool.Schema.Of(r.Body))}, "|"))
		require.Equal(t, tool.NameIn(r.Body) == "l", tool.Legacy)
		require.Equal(t, byte('{'), r.Body[tool.Span.Start])
	}
	require.Equal(t, []string{`function|f|"d"|{"type":"object"}`, `custom|c||`, `web_search|||`, `function|flat||{}`, `function|l||{}`}, tools)
}

func TestARequestWithTheLeast(t *testing.T) {
	for _, body := range []string{`{` + hi + `}`, `{` + hi + `,"model":null,"stream":null,"n":null,"tools":null,"functions":null,"tool_choice":null,"function_call":null,"web_search_options":null,"memory":null,"context":null,"user":null,
		"conversation_id":null,"user_id":null,"metadata":null,"stream_options":null}`} {
		r := parse(t, body)
		require.Equal(t, 1, r.N)
		require.False(t, r.Stream || r.WebSearch || r.HasTools() || r.IncludeUsage)
		require.Nil(t, r.Memory)
		require.Nil(t, r.ContextMemory)
		require.Equal(t, Choice{}, r.ToolChoice)
		require.Equal(t, "", r.Model+r.ConversationID+r.UserID+r.User+r.Domain+r.ContextWorkspace+r.MetadataConversation)
	}
	require.Equal(t, "t1", parse(t, `{`+hi+`,"metadata":{"thread_id":"t1","conversation_id":5}}`).MetadataConversation)
	require.Equal(t, "", parse(t, `{`+hi+`,"metadata":"x"}`).MetadataConversation)
}

func TestToolChoices(t *testing.T) {
	for given, want := range map[string]Choice{
		`"tool_choice":"auto"`: {Mode: "auto"}, `"tool_choice":"required"`: {Mode: "required"}, `"function_call":"none"`: {Mode: "none"},
		`"function_call":{"name":"f"}`:                                                            {"function", "f"},
		`"tool_choice":{"type":"function","function":{"name":"f"}}`:                               {"function", "f"},
		`"tool_choice":{"type":"custom","custom":{"name":"c"}}`:                                   {"custom", "c"},
		`"tool_choice":{"type":"function","name":"f"}`:                                            {"function", "f"},
		`"tool_choice":{"function":{"name":"f"},"name":"g","type":"function"}`:                    {"function", "f"},
		`"tool_choice":{"name":"g","type":"function","function":{"name":"f"}}`:                    {"function", "f"},
		`"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{}]}}`: {"allowed_tools", ""},
		`"tool_choice":null,"function_call":{"name":"f"}`:                                         {"function", "f"},
		`"function_call":{"name":"f"},"tool_choice":"auto"`:                                       {"auto", ""},
		`"tool_choice":"auto","function_call":{"name":"f"}`:                                       {"auto", ""},
		`"tool\u005fchoice":{"ty\u0070e":"function","functio\u006e":{"na\u006de":"f"}}`:           {"function", "f"},
	} {
		require.Equal(t, want, parse(t, `{`+hi+`,`+given+`}`).ToolChoice, given)
	}
}

// Fields that do not have the form they need are refused, naming them.
func TestFieldErrorsNameTheField(t *testing.T) {
	for members, param := range map[string]string{
		``:                             "messages",
		`"messages":null`:              "messages",
		`"messages":{}`:                "messages",
		`"messages":[]`:                "messages",
		`"messages":[1]`:               "messages[0]",
		`"messages":[{"content":"x"}]`: "messages[0].role",
		`"messages":[{"role":null}]`:   "messages[0].role",
		`"messages":[{"role":""}]`:     "messages[0].role",
		`"messages":[{"role":5}]`:      "messages[0].role",
		`"messages":[{"role":"user","content":"x"},{"role":"tool","tool_call_id":7}]`: "messages[1].tool_call_id",
		hi + `,"model":5`:                "model",
		hi + `,"stream":"yes"`:           "stream",
		hi + `,"stream":1`:               "stream",
		hi + `,"n":0`:                    "n",
		hi + `,"n":-1`:                   "n",
		hi + `,"n":129`:                  "n",
		hi + `,"n":1.0`:                  "n",
		hi + `,"n":1e0`:                  "n",
		hi + `,"n":"1"`:                  "n",
		hi + `,"n":99999999999999999999`: "n",
		hi + `,"stream_options":{"include_usage":"x"}`:              "stream_options.include_usage",
		hi + `,"conversation_id":5`:                                 "conversation_id",
		hi + `,"user_id":{}`:                                        "user_id",
		hi + `,"user":[]`:                                           "user",
		hi + `,"memory":"off"`:                                      "memory",
		hi + `,"context":"x"`:                                       "context",
		hi + `,"context":{"domain":5}`:                              "context.domain",
		hi + `,"context":{"workspace_id":5}`:                        "context.workspace_id",
		hi + `,"context":{"memory":0}`:                              "context.memory",
		hi + `,"tool_choice":5`:                                     "tool_choice",
		hi + `,"tool_choice":[]`:                                    "tool_choice",
		hi + `,"tool_choice":{"function":"f"}`:                      "tool_choice.function",
		hi + `,"tool_choice":{"type":5}`:                            "tool_choice.type",
		hi + `,"function_call":false`:                               "function_call",
		hi + `,"tools":{}`:                                          "tools",
		hi + `,"tools":[1]`:                                         "tools[0]",
		hi + `,"tools":[{}]`:                                        "tools[0].type",
		hi + `,"tools":[{"type":5}]`:                                "tools[0].type",
		hi + `,"tools":[{"type":null}]`:                             "tools[0].type",
		hi + `,"tools":[{"type":"function"}]`:                       "tools[0]",
		hi + `,"tools":[{"type":"function","function":null}]`:       "tools[0].function",
		hi + `,"tools":[{"type":"function","function":{"name":5}}]`: "tools[0].function.name",
		hi + `,"tools":[{"type":"function","function":{"function":{"name":"f"}}}]`:                                "tools[0]",
		hi + `,"tools":[{"type":"function","name":"g","function":{}}]`:                                            "tools[0]",
		hi + `,"tools":[{"type":"custom","function":{"name":"f"}}]`:                                               "tools[0]",
		hi + `,"tools":[{"type":"function","custom":{"name":"f"}}]`:                                               "tools[0]",
		hi + `,"tools":[{"type":"function","function":{"name":"f"},"custom":{"name":"g"}}]`:                       "tools[0]",
		hi + `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]`: "tools[1]",
		hi + `,"tools":[{"type":"custom","custom":{"name":"f"}}],"functions":[{"name":"f"}]`:                      "functions[0]",
		hi + `,"functions":"f"`:              "functions",
		hi + `,"functions":[{}]`:             "functions[0]",
		hi + `,"functions":[[]]`:             "functions[0]",
		hi + `,"functions":[{"name":["f"]}]`: "functions[0].name",
	} {
		t.Run(members, func(t *testing.T) {
			r, err := ParseRequest([]byte("{" + members + "}"))
			require.Nil(t, r)
			var field *FieldError
			require.ErrorAs(t, err, &field)
			require.Equal(t, param, field.Param)
			require.NotEmpty(t, field.Reason)
			require.NotContains(t, field.Reason, "\x00")
		})
	}
}

// There are model servers that ignore case. One would take these for the fields
// that governance rests on, while governance did not see them.
func TestNearMissesOfNamesAreRefused(t *testing.T) {
	for _, name := range []string{"Tools", "TOOLS", "toolſ", "Messages", "MESSAGES", "Functions", "functionſ", "Tool_Choice", "toolChoice", "ToolChoice", "Function_Call", "functionCall", "Web_Search_Options", "webSearchOptions",
		`web_\u0053earch_options`, "N", "Stream", "Model", "MODEL"} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRequest([]byte(`{` + hi + `,"` + name + `":null}`))
			var field *FieldError
			require.ErrorAs(t, err, &field)
			require.Equal(t, unquoted([]byte(`"`+name+`"`)), field.Param)
		})
	}
	for members, param := range map[string]string{
		`"messages":[{"role":"user","Role":"system","content":"x"}]`:                          "messages[0].Role",
		`"messages":[{"role":"user","Content":"x"}]`:                                          "messages[0].Content",
		`"messages":[{"role":"user","Tool_Calls":[]}]`:                                        "messages[0].Tool_Calls",
		hi + `,"tools":[{"type":"function","function":{"name":"f"},"Type":"web_search"}]`:     "tools[0].Type",
		hi + `,"tools":[{"type":"function","function":{"name":"f"},"Function":{"name":"g"}}]`: "tools[0].Function",
		hi + `,"tools":[{"type":"function","function":{"name":"f","Name":"g"}}]`:              "tools[0].function.Name",
		hi + `,"functions":[{"name":"f","NAME":"g"}]`:                                         "functions[0].NAME",
		hi + `,"tool_choice":{"type":"function","Function":{"name":"f"}}`:                     "tool_choice.Function",
	} {
		_, err := ParseRequest([]byte("{" + members + "}"))
		var field *FieldError
		require.ErrorAs(t, err, &field, members)
		require.Equal(t, param, field.Param)
	}
	// Nobody's fields stay nobody's business.
	parse(t, `{`+hi+`,"Temperature":1,"tools_":1,"tool":1,"no":1,"Streams":1,"messages2":[],"max_Tokens":5,"":1}`)
}

// Escapes in names are spelling: what they say counts.
func TestEscapedNamesAreRecognised(t *testing.T) {
	r := parse(t, `{"mess\u0061ges":[{"r\u006fle":"us\u0065r","\u0063ontent":[{"\u0074ype":"t\u0065xt","te\u0078t":"hi"}],"n\u00e4me":"x"},{"role":"assistant","tool\u005fcalls":[{"\u0069d":"c","functio\u006e":{"n\u0061me":"f"}}]}],
		"t\u006fols":[{"t\u0079pe":"function","f\u0075nction":{"n\u0061me":"f","p\u0061rameters":{},"d\u0065scription":"d"}}],"\u006e":3,"str\u0065am":true,"conversation\u005fid":"c","web_search_option\u0073":{},"user\u005fid":"u"}`)
	require.Equal(t, "user", r.Messages[0].Role)
	require.Equal(t, "hi", r.Messages[0].Text(r.Body))
	require.True(t, r.Messages[0].TextOnly())
	require.Equal(t, []CallRef{{"c", "f"}}, r.Messages[1].Calls)
	require.Equal(t, "f", r.Tools[0].NameIn(r.Body))
	require.True(t, r.Tools[0].Schema.Present() && r.Tools[0].Description.Present() && r.Stream && r.WebSearch)
	require.Equal(t, 3, r.N)
	require.Equal(t, "c", r.ConversationID)
	require.NotContains(t, string(upstream(r, "")), "conversation")
	require.NotContains(t, string(upstream(r, "")), "user\\u005fid")
}

func TestTextOfAMessage(t *testing.T) {
	for content, want := range map[string]struct {
		text string
		only bool
	}{
		`"a\nb\u00fc"`: {"a\nbü", true}, `""`: {"", true}, `null`: {"", false}, `5`: {"", false}, `{}`: {"", false}, `[]`: {"", true},
		`[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:,"}},{"type":"text","text":"b"}]`: {"a\nb", false},
		`[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]`:                                         {"", false},
		`[{"type":"file","file":{"file_id":"f"}}]`:                                                                  {"", false},
		`["a"]`:                           {"", false},
		`[{"text":"a"}]`:                  {"", false},
		`[{"type":"text"}]`:               {"", true},
		`[{"type":"text","text":null}]`:   {"", true},
		`[{"type":"text","text":5}]`:      {"", true},
		`[{"type":"refusal","text":"a"}]`: {"", false},
		`[{"type":5,"text":"a"}]`:         {"", false},
	} {
		r := parse(t, `{"messages":[{"role":"user","content":`+content+`}]}`)
		require.Equal(t, want.text, r.Messages[0].Text(r.Body), content)
		require.Equal(t, want.only, r.Messages[0].TextOnly(), content)
	}
	r := parse(t, `{"messages":[{"role":"user"}]}`)
	require.Equal(t, "", r.Messages[0].Text(r.Body))
	require.False(t, r.Messages[0].TextOnly())
}

// A request with very many tools costs what its bytes cost.
func TestManyToolsAreReadInOneGo(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{` + hi + `,"tools":[`)
	for i := range 100_000 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"type":"function","function":{"name":"f`)
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteString(string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26)) + string(rune('a'+i/17576%26)))
		b.WriteString(`"}}`)
	}
	b.WriteString(`]}`)
	require.Len(t, parse(t, b.String()).Tools, 100_000)
}

// What may not hold a word does not hold it, however the text is spelled.
func TestAMessageThatMayNotHoldAWordDoesNotHoldIt(t *testing.T) {
	for content, want := range map[string]bool{`"see esc_01, please"`: true, `"esc_"`: true, `"esc-01"`: false, `"desc_"`: true, `"es_ c_ esc"`: false, `"\u0065sc_"`: true, `"line\nesc_"`: true, `"\\esc_\\"`: true, `""`: false, `null`: false,
		`[{"type":"text","text":"an esc_ there"}]`: true, `[{"type":"text","text":"e"},{"type":"text","text":"sc_"}]`: false} {
		r := parse(t, `{"messages":[{"role":"assistant","content":`+content+`}]}`)
		require.Equal(t, want, r.Messages[0].MayHold(r.Body, "esc_"), content)
	}
	require.False(t, parse(t, `{"messages":[{"role":"assistant"}]}`).Messages[0].MayHold(nil, "esc_"))
	rapid.Check(t, func(t *rapid.T) {
		var content strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "bits") {
			content.WriteString(rapid.SampledFrom([]string{"e", "s", "c", "_", "esc", `\u0065`, `\u005F`, `\n`, `\\`, `\"`, "ü", " "}).Draw(t, "bit"))
		}
		r, err := ParseRequest([]byte(`{"messages":[{"role":"user","content":"` + content.String() + `"}]}`))
		require.NoError(t, err)
		if m := &r.Messages[0]; strings.Contains(m.Text(r.Body), "esc_") {
			require.True(t, m.MayHold(r.Body, "esc_"), content.String())
		}
	})
}
