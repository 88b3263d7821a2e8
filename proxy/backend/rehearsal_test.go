package backend

import (
	"context"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

const refundTool = `{"type": "function", "function": {"name": "process_refund", "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}, "amount": {"type": "number"}}}}}`

func rehearsed(t *testing.T, body string) rehearsalAnswer {
	t.Helper()
	asked, err := readRehearsal([]byte(body))
	require.NoError(t, err)
	return rehearse(asked)
}

// askBody is a request with one user message and these tools.
func askBody(text, tools, rest string) string {
	quoted, _ := json.Marshal(text)
	return `{"model":"m","messages":[{"role":"user","content":` + string(quoted) + `}],"tools":[` + tools + `]` + rest + `}`
}

func TestRehearsalSeedRefundToTheByte(t *testing.T) {
	body := askBody("Refund order 456 for $750", refundTool, "")
	resp, err := NewRehearsal().Chat(context.Background(), Request{Body: []byte(body)})
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var reply struct {
		Model   string
		Choices []struct {
			Finish  string `json:"finish_reason"`
			Message struct {
				Content   *string
				ToolCalls []struct {
					ID       string
					Type     string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &reply))
	require.Equal(t, RehearsalModel, reply.Model)
	require.Len(t, reply.Choices, 1)
	require.Equal(t, "tool_calls", reply.Choices[0].Finish)
	require.Nil(t, reply.Choices[0].Message.Content)
	require.Len(t, reply.Choices[0].Message.ToolCalls, 1)
	call := reply.Choices[0].Message.ToolCalls[0]
	require.Equal(t, "process_refund", call.Function.Name)
	require.Equal(t, `{"order_id":"456","amount":750}`, call.Function.Arguments)
	require.Regexp(t, `^call_[0-9a-f]{24}$`, call.ID)
}

// tool writes a function definition.
func tool(name, description, properties, required string) string {
	return `{"type":"function","function":{"name":"` + name + `","description":"` + description +
		`","parameters":{"type":"object","properties":{` + properties + `},"required":[` + required + `]}}}`
}

var (
	emailTool   = tool("send_email", "Sends an email to the customer", `"to":{"type":"string"},"body":{"type":"string"}`, `"to"`)
	statusTool  = tool("get_refund_status", "Says how far a refund is", `"order_id":{"type":"string"}`, `"order_id"`)
	weatherTool = tool("get_weather", "Get the current weather", `"location":{"type":"string"},"unit":{"type":"string","enum":["celsius","fahrenheit"]},"days":{"type":"integer"}`, `"location"`)
	addTool     = tool("add", "Adds two numbers", `"a":{"type":"number"},"b":{"type":"number"}`, `"a","b"`)
	searchTool  = tool("search_docs", "Search the documentation", `"query":{"type":"string"},"limit":{"type":"integer","maximum":50}`, `"query"`)
	shellTool   = tool("run_command", "Runs a shell command", `"command":{"type":"string"}`, `"command"`)
	deleteTool  = tool("delete_users", "Deletes users", `"user_ids":{"type":"array","items":{"type":"integer"}},"notify":{"type":"boolean"},"reason":{"type":"string"}`, `"user_ids"`)
	bookTool    = tool("bookFlight", "Books a flight", `"origin":{"type":"string"},"destination":{"type":"string"},"date":{"type":"string","format":"date"},"passengers":{"type":"integer","minimum":1}`, `"origin","destination","date","passengers"`)
)

func TestRehearsalCalls(t *testing.T) {
	type call = [2]string
	for _, tc := range []struct {
		name, text, tools string
		want              []call
	}{
		{"two tools in one message", "Refund order 456 for $750 and email the customer", refundTool + "," + emailTool,
			[]call{{"process_refund", `{"order_id":"456","amount":750}`}, {"send_email", `{"to":"unknown","body":"email the customer"}`}}},
		{"one verb is one tool", "Refund order 456 for $750", statusTool + "," + refundTool,
			[]call{{"process_refund", `{"order_id":"456","amount":750}`}}},
		{"other word order", "Please give $1,234.50 back for order #A-17, as a refund", refundTool,
			[]call{{"process_refund", `{"order_id":"A-17","amount":1234.50}`}}},
		{"optional without evidence", "refund order 456", refundTool, []call{{"process_refund", `{"order_id":"456"}`}}},
		{"twenty digits", "refund order 12345678901234567890 for 20000000000000000001 dollars", refundTool,
			[]call{{"process_refund", `{"order_id":"12345678901234567890","amount":20000000000000000001}`}}},
		{"leading zeros", "refund order 0042 for $007.50", refundTool, []call{{"process_refund", `{"order_id":"0042","amount":7.50}`}}},
		{"place, enum, count", "What's the weather in New York in celsius for 3 days?", weatherTool,
			[]call{{"get_weather", `{"location":"New York","unit":"celsius","days":3}`}}},
		{"small letters", "weather in paris", weatherTool, []call{{"get_weather", `{"location":"paris"}`}}},
		{"last resort", "weather please", weatherTool, []call{{"get_weather", `{"location":"unknown"}`}}},
		{"numbers in order", "add 2 and -3.5", addTool, []call{{"add", `{"a":2,"b":-3.5}`}}},
		{"query", "Search the docs for refund policy", searchTool, []call{{"search_docs", `{"query":"refund policy"}`}}},
		{"quoted", `search docs for "rate limits", limit 10`, searchTool, []call{{"search_docs", `{"query":"rate limits","limit":10}`}}},
		{"command", "run ls -la /tmp", shellTool, []call{{"run_command", `{"command":"ls -la /tmp"}`}}},
		{"array, boolean, reason", "Delete users 1, 2 and 3, don't notify them, because they left.", deleteTool,
			[]call{{"delete_users", `{"user_ids":[1,2,3],"notify":false,"reason":"they left"}`}}},
		{"camel case, dates", "Book a flight from Berlin to San Francisco on 2026-11-05 for 2 passengers", bookTool,
			[]call{{"bookFlight", `{"origin":"Berlin","destination":"San Francisco","date":"2026-11-05","passengers":2}`}}},
		{"all last resorts", "book a flight", bookTool,
			[]call{{"bookFlight", `{"origin":"unknown","destination":"unknown","date":"1970-01-01","passengers":1}`}}},
		{"mail address", "email bob@example.com: see you soon", tool("send_email", "", `"to":{"type":"string","format":"email"},"body":{"type":"string"}`, ``),
			[]call{{"send_email", `{"to":"bob@example.com","body":"see you soon"}`}}},
		{"greeting", "Hello, how are you today?", refundTool + "," + weatherTool, nil},
		{"question about it", "What is the refund policy?", refundTool, nil},
		{"told not to", "Do not refund order 456", refundTool, nil},
		{"yes is no order", "yes", refundTool, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := rehearsed(t, askBody(tc.text, tc.tools, ""))
			var got []call
			for _, c := range answer.calls {
				require.True(t, json.Valid([]byte(c.arguments)), c.arguments)
				got = append(got, call{c.name, c.arguments})
			}
			require.Equal(t, tc.want, got, answer.text)
		})
	}
}
