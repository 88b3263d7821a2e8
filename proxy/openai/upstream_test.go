package openai

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What the OpenAI API knows and what it does not: all of it reaches the model as
// it came.
var faithful = map[string]string{
	"content parts": `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},
		{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}},{"type":"video_url","video_url":{"url":"x"}}]}]}`,
	"developer role":           `{"messages":[{"role":"developer","content":"be kind","name":"boss"},{"role":"user","content":"hi"}]}`,
	"E25 tools untouched":      `{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"z":1,"a":{"const":1.0},"$defs":{}}},"cache_control":{"type":"ephemeral"}}]}`,
	"custom tools":             `{"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"custom","custom":{"name":"sql","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: /a/"}}}}]}`,
	"legacy functions":         `{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}],"functions":[{"name":"f","parameters":null}],"function_call":{"name":"f"}}`,
	"several choices":          `{"messages":[{"role":"user","content":"hi"}],"n":3,"logprobs":true,"top_logprobs":5}`,
	"response_format":          `{"messages":[{"role":"user","content":"hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":{"type":"object","properties":{},"additionalProperties":false}}}}`,
	"stream_options":           `{"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}`,
	"E60 reasoning":            `{"messages":[{"role":"assistant","content":"x","reasoning_content":"hm","reasoning":{"effort":"high"},"reasoning_details":[{"type":"t","signature":"c2ln"}]},{"role":"user","content":"hi"}],"reasoning_effort":"high","thinking":{"type":"enabled"}}`,
	"E63 vendor members":       `{"messages":[{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":\"Z\\u00fcrich\"}"},"extra_content":{"google":{"thought_signature":"c2ln"}}}]},{"role":"tool","tool_call_id":"c","content":""},{"role":"user","content":"hi"}]}`,
	"D48 numbers":              `{"messages":[{"role":"user","content":"hi"}],"seed":9007199254740993,"x":12345678901234567890,"temperature":0.70,"top_p":1.0,"y":1E+2,"z":-0.0}`,
	"escapes and separators":   "{\"messages\":[{\"role\":\"user\",\"content\":\"\\u00fc\\/\\ud83d \u2028\u0085 <&>\"}]}",
	"white space and order":    "\r\n { \"z\" : 1 ,\t\"messages\" : [ { \"content\" : \"hi\" , \"role\" : \"user\" } ] , \"a\" : [ ] } \n\n",
	"E57 limits of all names":  `{"messages":[{"role":"user","content":"hi"}],"max_tokens":5,"max_completion_tokens":6,"parallel_tool_calls":false,"service_tier":"flex","store":false,"safety_identifier":"s","prompt_cache_key":"k","modalities":["text","audio"],"audio":{"voice":"a","format":"wav"},"prediction":{"type":"content","content":"x"},"verbosity":"low"}`,
	"E70 what nobody knows":    `{"messages":[{"role":"user","content":"hi"},{"role":"critic","content":{"deep":[{}]},"x":null}],"extra_body":{"messages":1},"Temperature":1,"":0}`,
	"null and empty":           `{"messages":[{"role":"user","content":null},{"role":"assistant","content":"","tool_calls":[]}],"tools":[],"stop":null,"metadata":{},"logit_bias":{"50256":-100}}`,
	"user and metadata remain": `{"messages":[{"role":"user","content":"hi"}],"user":"u","metadata":{"conversation_id":"c"}}`,
}

func TestWhatNobodyAskedToChangeReachesTheModelAsItCame(t *testing.T) {
	for name, body := range faithful {
		t.Run(name, func(t *testing.T) {
			r := parse(t, body)
			require.Equal(t, body, string(upstream(r, "")))
			// With our fields in front, between and behind, what is left is the same.
			open := strings.IndexByte(body, '"')
			shut := len(strings.TrimRight(body[:strings.LastIndexByte(body, '}')], " \r\n\t"))
			with := body[:open] + `"conversation_id":"c", "memory" :false,` + body[open:shut] + `,"context":{"a":[1,"}"]} , "user_id":"u"` + body[shut:]
			require.Equal(t, body, string(upstream(parse(t, with), "")))
		})
	}
}

var ours = []string{`"conversation_id":"c"`, `"memory":false`, `"context":{"domain":"d","x":["}",{}]}`, `"user_id":null`}

// Each of our fields, anywhere and in any company, is cut; the others stay in
// their order. With a model of the operator's the model is replaced or put in
// and temperature goes.
func TestOurFieldsAreCutWhereverTheyStand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		others := []string{hi, `"x":[1, {"memory":true}]`, `"y":"\"}"`, `"temperature":0.5`, `"stream":false`, `"model":"theirs"`}
		list := []string{hi}
		for _, m := range append(others[1:], ours...) {
			if rapid.Bool().Draw(t, m) {
				list = append(list, m)
			}
		}
		list = rapid.Permutation(list).Draw(t, "order")
		blank := rapid.SampledFrom([]string{"", " ", "\r\n\t"})
		var b strings.Builder
		b.WriteString("{")
		for i, m := range list {
			if i > 0 {
				b.WriteString(blank.Draw(t, "w") + ",")
			}
			b.WriteString(blank.Draw(t, "w") + m)
		}
		b.WriteString(blank.Draw(t, "w") + "}")
		body := b.String()
		r, err := ParseRequest([]byte(body))
		require.NoError(t, err)
		for _, model := range []string{"", `op"erator`} {
			var want []pair
			if model != "" && !strings.Contains(body, `"model"`) {
				want = append(want, pair{"model", model})
			}
			for _, p := range pairs(t, []byte(body)) {
				switch p.key {
				case "conversation_id", "memory", "context", "user_id":
					continue
				case "temperature":
					if model != "" {
						continue
					}
				case "model":
					if model != "" {
						p.value = model
					}
				}
				want = append(want, p)
			}
			got := upstream(r, model)
			require.Equal(t, want, pairs(t, got), "%s became %s", body, got)
			_, err := ParseRequest(got)
			require.NoError(t, err)
			require.Equal(t, body, string(r.Body), "the body itself stays")
		}
	})
}

// upstream is the body that the model gets.
func upstream(r *Request, model string) []byte {
	return Splice(nil, r.Body, r.Upstream(model)...)
}

func TestTheOperatorsModel(t *testing.T) {
	for body, want := range map[string]string{
		`{"model":"a","temperature":1,` + hi + `}`: `{"model":"op",` + hi + `}`,
		`{` + hi + `}`:                       `{"model":"op",` + hi + `}`,
		`{ ` + hi + ` , "temperature" : 1 }`: `{"model":"op", ` + hi + ` }`,
		`{` + hi + `,"mod\u0065l":null}`:     `{` + hi + `,"mod\u0065l":"op"}`,
		`{"conversation_id":"c","memory":true,` + hi + `,"user_id":"u"}`: `{"model":"op",` + hi + `}`,
		`{"temperature":1,"context":{},` + hi + `,"top_p":1.0}`:          `{"model":"op",` + hi + `,"top_p":1.0}`,
	} {
		require.Equal(t, want, string(upstream(parse(t, body), "op")), body)
	}
	body := `{"model":"a","temperature":1,` + hi + `}`
	require.Equal(t, body, string(upstream(parse(t, body), "")), "temperature stays where the client's model does")
}

// twin is how encoding/json reads what ParseRequest reads.
type twin struct {
	Model          *string          `json:"model"`
	Stream         *bool            `json:"stream"`
	N              *json.Number     `json:"n"`
	ConversationID *string          `json:"conversation_id"`
	User           *string          `json:"user"`
	UserID         *string          `json:"user_id"`
	Memory         *bool            `json:"memory"`
	Messages       []*twinMessage   `json:"messages"`
	Tools          []map[string]any `json:"tools"`
}

type twinMessage struct {
	Role       *string         `json:"role"`
	Content    json.RawMessage `json:"content"`
	ToolCallID *string         `json:"tool_call_id"`
}

func or(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// FuzzRequest holds ParseRequest against encoding/json: what we accept it
// accepts and reads alike; what we refuse and it accepts is one of the
// documented stricter points. What goes to the model is a request again.
func FuzzRequest(f *testing.F) {
	for _, body := range faithful {
		f.Add([]byte(body))
	}
	for _, s := range documents {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{` + hi + `,"Tools":[]}`))
	f.Add([]byte(`{` + hi + `,"conversation\u005fid":"c","tools":[{"type":"function","function":{"name":"f"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := ParseRequest(body)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		// encoding/json ignores case and takes the last; near misses of what it
		// reads here that we let through would mislead it.
		for o := r.doc.inside(root); o.next(); {
			for _, n := range []string{"conversation_id", "user", "user_id", "memory"} {
				if name := plain(o.Key.Of(body)); string(name) != n && folds(name, n) {
					return
				}
			}
		}
		var w twin
		require.NoError(t, json.Unmarshal(body, &w))
		require.Equal(t, or(w.Model), r.Model)
		require.Equal(t, or(w.ConversationID), r.ConversationID)
		require.Equal(t, or(w.User), r.User)
		require.Equal(t, or(w.UserID), r.UserID)
		require.Equal(t, w.Memory, r.Memory)
		require.Equal(t, w.Stream != nil && *w.Stream, r.Stream)
		if w.N != nil {
			require.Equal(t, w.N.String(), fmt.Sprint(r.N))
		}
		require.Len(t, r.Messages, len(w.Messages))
		for i, m := range w.Messages {
			require.Equal(t, or(m.Role), r.Messages[i].Role)
			require.Equal(t, or(m.ToolCallID), r.Messages[i].ToolCallID)
			require.Equal(t, string(m.Content), string(r.Messages[i].Content.Of(body)))
			var text string
			if json.Unmarshal(m.Content, &text) == nil {
				require.Equal(t, text, r.Messages[i].Text(body))
			}
		}
		own := 0
		for _, tool := range r.Tools {
			if !tool.Legacy {
				own++
			}
		}
		require.Equal(t, len(w.Tools), own)
		for _, model := range []string{"", "op"} {
			again, err := ParseRequest(upstream(r, model))
			require.NoError(t, err)
			require.Empty(t, again.ours)
			require.Len(t, again.Messages, len(r.Messages))
			if model != "" {
				require.Equal(t, model, again.Model)
				require.False(t, again.heat.Present())
			}
		}
	})
}

// What encoding/json accepts is refused for documented reasons only.
func TestWhatIsRefusedIsRefusedByOthersOrForAReason(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := drawJSON(t)
		_, err := ParseRequest(body)
		require.Error(t, err, "no messages")
		if json.Valid(body) {
			require.Regexp(t, `messages: |duplicate name|a known field`, err.Error())
		}
	})
}
