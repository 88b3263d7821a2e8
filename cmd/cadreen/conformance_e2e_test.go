package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
	"cadreen/proxy/scripted"
)

// contractEntry is one address of the wire contract, as testdata/contract.json has it.
type contractEntry struct {
	Method, Path, Subsystem string
	InSeed                  bool            `json:"in_seed"`
	SuccessStatus           int             `json:"success_status"`
	RequestFields           []contractField `json:"request_fields"`
	ResponseFields          []contractField `json:"response_fields"`
	Errors                  []string
}

type contractField struct{ Name, Type string }

// examined is a running program with something in it, and the answers to examine
// by "METHOD path" of the contract.
type examined struct {
	*proxyUnderTest
	model   *scripted.Server
	answers map[string][]string
	// ids of what stands for {id}.
	trace, escalation, hold string
}

// examples get good answers for each address; together they must show every field
// of the contract that is not excused.
var examples = map[string]func(t *testing.T, x *examined){
	"POST /api/v1/cadreen/chat/completions": func(t *testing.T, x *examined) {
		for _, amount := range []string{"10", "750", "5000"} {
			x.model.Next(refundReply(amount))
			x.keep(t, "POST", "/chat/completions", keyAnn, refunding(amount), "Accept", `application/json; profile="full"`)
		}
		x.model.Next(scripted.JSON(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi","reasoning":"so"},"finish_reason":"stop"}],` +
			`"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"reasoning_tokens":1,"cache_write_tokens":0,"prompt_tokens_details":{"cached_tokens":0}}}`))
		x.keep(t, "POST", "/chat/completions", keyAnn, hello, "Accept", "application/json; profile=full")
	},
	"POST /api/v1/cadreen/chat/completions#stream": func(t *testing.T, x *examined) {
		x.model.Next(turnOf(true, "One moment.", refund("call_1", `{"order_id":"456","amount":10}`)))
		x.model.Next(turnOf(true, "", refund("call_2", `{"order_id":"456","amount":50}`)))
		for _, amount := range []string{"10", "50"} {
			res, body := x.exchange(t, "POST", "/api/v1/cadreen/chat/completions", keyAnn, strings.TrimSuffix(refunding(amount), "}")+`,"stream":true}`, "Accept", "text/event-stream; profile=full")
			require.Equal(t, 200, res.StatusCode, body)
			require.Contains(t, body, "data: [DONE]")
			for _, chunk := range payloads(body) {
				if chunk != "[DONE]" {
					x.answers["POST /api/v1/cadreen/chat/completions#stream"] = append(x.answers["POST /api/v1/cadreen/chat/completions#stream"], `{"data":`+chunk+`}`)
				}
			}
		}
	},
	"POST /api/v1/cadreen/intent": intentExamples("/api/v1/cadreen"),
	"POST /api/v1/intent":         intentExamples("/api/v1"),
	"GET /api/v1/cadreen/escalations": func(t *testing.T, x *examined) {
		x.model.Next(refundReply("800"))
		x.exchange(t, "POST", "/v1/chat/completions", keyAnn, refunding("800"))
		var list struct{ Escalations []struct{ ID string } }
		x.get(t, "/v1/escalations?status=pending&limit=1", keyRhea, &list)
		x.exchange(t, "POST", "/v1/escalations/"+list.Escalations[0].ID+"/resolve", keyRhea, `{"decision":"abstain"}`)
		x.keep(t, "GET", "/escalations", keyRhea, "")
	},
	"POST /api/v1/cadreen/escalations/{id}/resolve": func(t *testing.T, x *examined) {
		x.keepAs(t, "POST /api/v1/cadreen/escalations/{id}/resolve", "POST", "/escalations/"+x.escalation+"/resolve", keyRhea, `{"decision":"abstain"}`)
	},
	"POST /api/v1/cadreen/policies": func(t *testing.T, x *examined) { x.keep(t, "POST", "/policies", keyOpal, draftPolicy) },
	"GET /api/v1/cadreen/policies":  func(t *testing.T, x *examined) { x.keep(t, "GET", "/policies", keyOpal, "") },
	"GET /api/v1/cadreen/policies/{id}": func(t *testing.T, x *examined) {
		x.keepAs(t, "GET /api/v1/cadreen/policies/{id}", "GET", "/policies/"+x.policy(t), keyOpal, "")
	},
	"POST /api/v1/cadreen/policies/{id}/confirm": func(t *testing.T, x *examined) {
		x.keepAs(t, "POST /api/v1/cadreen/policies/{id}/confirm", "POST", "/policies/"+x.policy(t)+"/confirm", keyOpal, "")
	},
	"POST /api/v1/cadreen/policies/evaluate": func(t *testing.T, x *examined) {
		x.keep(t, "POST", "/policies/evaluate", keyOpal, `{"action":"process_refund","domain":"shop","context":{"order_id":"456","amount":750}}`)
	},
	"GET /api/v1/cadreen/intelligence": func(t *testing.T, x *examined) { x.keep(t, "GET", "/intelligence", keyOpal, "") },
	"GET /api/v1/cadreen/intelligence/{id}": func(t *testing.T, x *examined) {
		x.keepAs(t, "GET /api/v1/cadreen/intelligence/{id}", "GET", "/intelligence/"+x.trace, keyOpal, "")
	},
	"GET /api/v1/cadreen/intelligence/stats": func(t *testing.T, x *examined) { x.keep(t, "GET", "/intelligence/stats", keyOpal, "") },
	"GET /api/v1/cadreen/audit":              func(t *testing.T, x *examined) { x.keep(t, "GET", "/audit", keyOpal, "") },
	"GET /api/v1/cadreen/audit/stats":        func(t *testing.T, x *examined) { x.keep(t, "GET", "/audit/stats", keyOpal, "") },
	"GET /api/v1/cadreen/audit/executions/{id}/timeline": func(t *testing.T, x *examined) {
		x.keepAs(t, "GET /api/v1/cadreen/audit/executions/{id}/timeline", "GET", "/audit/executions/"+x.hold+"/timeline", keyOpal, "")
	},
	"POST /api/v1/cadreen/preconditions/check": func(t *testing.T, x *examined) {
		x.keep(t, "POST", "/preconditions/check", keyAnn, `{"tool_name":"process_refund","parameters":{"amount":750}}`)
	},
	"POST /api/v1/cadreen/assess": func(t *testing.T, x *examined) {
		x.keep(t, "POST", "/assess", keyAnn, `{"task":"Refund the order"}`)
		x.keep(t, "POST", "/assess", keyAnn, `{"task":"Launch a rocket","domain":"space"}`)
		x.model.Next(turnOf(false, "Hello"))
		x.exchange(t, "POST", "/v1/chat/completions", keyAnn, strings.TrimSuffix(hello, "}")+`,"tools":[{"type":"function","function":{"name":"ship_parcel"}}]}`)
		awaitTrue(t, "the tool is seen, which is noted behind the answer", func() bool {
			x.keep(t, "POST", "/assess", keyAnn, `{"task":"Ship the parcel"}`)
			all := x.answers["POST /api/v1/cadreen/assess"]
			return strings.Contains(all[len(all)-1], "ship_parcel")
		})
	},
	"POST /api/v1/cadreen/setup": func(t *testing.T, x *examined) {
		x.keep(t, "POST", "/setup", keyOpal, `{"connections":[{"capability":"stripe"}],"credentials":[{"provider":"stripe","name":"n","key_data":{}}],"memory":[{"type":"note"}],"policies":[`+strings.Replace(draftPolicy, "Limits", "More limits", 1)+`]}`)
		x.keep(t, "POST", "/setup", keyOther, `{"policies":[]}`)
	},
	"GET /api/v1/cadreen/health": func(t *testing.T, x *examined) { x.keep(t, "GET", "/health", keyAnn, "") },
}

// policy is the id of the draft that was made.
func (x *examined) policy(t *testing.T) string {
	var list struct{ Policies []struct{ ID, Source string } }
	x.get(t, "/v1/policies", keyOpal, &list)
	for _, p := range list.Policies {
		if p.Source == "api" {
			return p.ID
		}
	}
	require.Fail(t, "no policy was made")
	return ""
}

func intentExamples(base string) func(t *testing.T, x *examined) {
	return func(t *testing.T, x *examined) {
		at := "POST " + base + "/intent"
		ask := func(body string, replies ...scripted.Reply) {
			x.model.Next(replies...)
			status, text := x.call(t, "POST", base+"/intent", keyAnn, body)
			require.Equal(t, 200, status, text)
			x.answers[at] = append(x.answers[at], text)
		}
		ask(hello, turnOf(false, "Hello."))
		for _, amount := range []string{"10", "50", "750", "5000"} {
			ask(refunding(amount), refundReply(amount))
		}
		ask(hello, turnOf(false, "", scripted.Call{ID: "a", Name: "cadreen_ask_requester", Arguments: askArguments}))
		ask(intentBody("Refund", inExecution))
	}
}

// keep sends one request below the native base and keeps the answer.
func (x *examined) keep(t *testing.T, method, path, key, body string, headers ...string) {
	t.Helper()
	x.keepAs(t, method+" /api/v1/cadreen"+path, method, path, key, body, headers...)
}

func (x *examined) keepAs(t *testing.T, at, method, path, key, body string, headers ...string) {
	t.Helper()
	status, text := x.call(t, method, "/api/v1/cadreen"+path, key, body, headers...)
	require.Equal(t, 200, status, text)
	x.answers[at] = append(x.answers[at], text)
}

// gradedMore leaves something for every outcome: up to 20 goes, up to 100 is asked,
// up to 1000 is reviewed, more is blocked.
const gradedMore = graded + `      - {if: 'args.amount > 20', effect: confirm}
`

func examine(t *testing.T, storeURL string) *examined {
	p, model := startScripted(t, setup{store: storeURL, policy: gradedMore, keys: opalYAML})
	x := &examined{proxyUnderTest: p, model: model, answers: map[string][]string{}}
	p.seeTools(t, model)
	model.Otherwise(scripted.JSON(`{"object":"list","data":[]}`))
	model.Next(refundReply("750"))
	res, body := p.exchange(t, "POST", "/v1/chat/completions", keyAnn, refunding("750"))
	require.Equal(t, 200, res.StatusCode, body)
	x.trace = res.Header.Get("X-Cadreen-Trace-Id")
	for x.hold == "" { // the trace of an escalation is stored behind the answer
		var list struct {
			Escalations []struct {
				ID   string
				Hold string `json:"hold_id"`
			}
		}
		p.get(t, "/v1/escalations?status=pending", keyRhea, &list)
		require.NotEmpty(t, list.Escalations)
		x.escalation, x.hold = list.Escalations[0].ID, list.Escalations[0].Hold
	}
	return x
}

// TestTheContract holds the answers of the program against the wire contract: each
// address of its seed that this version has, on both stores. Fields have their
// types, integers are integers, absent is absent; what this version does not have
// answers the code of its part.
func TestTheContract(t *testing.T) {
	text, err := os.ReadFile("testdata/contract.json")
	require.NoError(t, err)
	var contract []contractEntry
	require.NoError(t, json.Unmarshal(text, &contract))
	absences := map[string]string{}
	for _, a := range fault.Absences() {
		for _, r := range a.Routes {
			absences[r] = a.Code
		}
	}
	onBothStores(t, func(t *testing.T, storeURL string) {
		x := examine(t, storeURL)
		for _, e := range contract {
			if !e.InSeed {
				continue
			}
			at := e.Method + " " + e.Path
			t.Run(at, func(t *testing.T) {
				short := e.Method + " " + strings.TrimPrefix(e.Path, "/api/v1/cadreen")
				code, absent := absences[short]
				example, has := examples[at]
				switch {
				case absent:
					require.False(t, has)
					e.isAbsent(t, x, code)
				case has:
					example(t, x)
					e.conforms(t, x.answers[at])
				default:
					status, body := x.call(t, e.Method, strings.ReplaceAll(e.Path, "{id}", "x"), keyOpal, "")
					require.Equal(t, 404, status, "%s is served: give the test of the contract an example of it", at)
					require.Contains(t, body, `"code":"not_found"`)
				}
			})
		}
		for name := range excused {
			require.True(t, used[name] || t.Failed(), "%s is excused and needs no excuse", name)
		}
	})
}

func (e contractEntry) isAbsent(t *testing.T, x *examined, code string) {
	entry, _ := fault.Lookup(code)
	status, body := x.call(t, e.Method, strings.ReplaceAll(e.Path, "{id}", "x"), keyAnn, "")
	require.Equal(t, entry.Status, status, body)
	require.Contains(t, body, `"code":"`+code+`"`)
}

// excused are fields of the contract that no answer of this version has, with the
// reason.
var excused = map[string]string{
	"execution": "there are no server-side tools", "message.metadata": "nothing is known to put there",
	"data.choices[].delta.reasoning": "the model of the test does not reason; what a model sends passes",
	"event reasoning_delta":          "a named event breaks OpenAI's clients: reasoning passes in the delta", "comment keepalive": "heartbeats are chunks", "terminator": "asserted by the example",
	"actions[].cost_usd":   "no price is known",
	"connections[].detail": "not connected", "credentials[].id": "not kept", "memory[].id": "not kept", "memory[].kind": "not kept", "memory[].classified": "not kept",
	"(unspecified)": "the contract names no field",
}

// excusedAt are fields that answers of one address do not have.
var excusedAt = map[string]map[string]string{
	"/api/v1/cadreen/assess": {
		"intelligence.capability": "the request offers no tools", "intelligence.reasoning": "no call was proposed", "intelligence.stages": "no step of a turn was taken",
		"intelligence.governance": "no call was proposed", "intelligence.next_action": "an assessment has none"},
	"/api/v1/cadreen/chat/completions": {"intelligence.next_action.reason": "the label says it"},
}

func (e contractEntry) conforms(t *testing.T, answers []string) {
	require.NotEmpty(t, answers)
	var all []any
	for _, text := range answers {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var v any
		require.NoError(t, d.Decode(&v), text)
		noNull(t, v, "", text)
		all = append(all, v)
	}
	for _, f := range e.ResponseFields {
		seen := 0
		for _, v := range all {
			for _, value := range valuesAt(v, strings.Split(f.Name, ".")) {
				seen++
				require.True(t, ofType(value, f.Type), "%s should be %s and is %v", f.Name, f.Type, value)
			}
		}
		if seen == 0 {
			require.True(t, isExcused(excused, f.Name) || isExcused(excusedAt[e.Path], f.Name), "%s is in no answer", f.Name)
		}
	}
}

// used are the excuses that were needed.
var used = map[string]bool{}

// isExcused says that a field, or what it is in, may be missing.
func isExcused(list map[string]string, name string) bool {
	for {
		name = strings.TrimSuffix(name, "[]")
		if _, ok := list[name]; ok {
			used[name] = true
			return true
		}
		at := strings.LastIndexByte(name, '.')
		if at < 0 {
			return false
		}
		name = name[:at]
	}
}

// mayBeNull are where OpenAI's schema, or the error envelope, demands a null.
var mayBeNull = regexp.MustCompile(`\.(content|refusal|logprobs|finish_reason|param)$`)

func noNull(t *testing.T, v any, at, text string) {
	t.Helper()
	switch v := v.(type) {
	case nil:
		require.Regexp(t, mayBeNull, at, "null in %s", text)
	case map[string]any:
		for name, inner := range v {
			noNull(t, inner, at+"."+name, text)
		}
	case []any:
		for _, inner := range v {
			noNull(t, inner, at, text)
		}
	}
}

// valuesAt are the values at a path such as choices[].index.
func valuesAt(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	name, list := strings.CutSuffix(path[0], "[]")
	object, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	value, there := object[name]
	if !there {
		return nil
	}
	if !list {
		return valuesAt(value, path[1:])
	}
	var out []any
	items, _ := value.([]any)
	for _, item := range items {
		out = append(out, valuesAt(item, path[1:])...)
	}
	return out
}

var uuid = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// ofType says whether a value is of a type in the contract's notation.
func ofType(v any, notation string) bool {
	base, detail, _ := strings.Cut(notation, "(")
	detail = strings.TrimSuffix(detail, ")")
	if base == "enum" {
		s, ok := v.(string)
		words := strings.FieldsFunc(detail, func(r rune) bool { return strings.ContainsRune("|()", r) })
		return ok && slices.Contains(words, s)
	}
	if strings.Contains(base, "|") && !strings.Contains(notation, "->") {
		for _, one := range strings.Split(notation, "|") {
			if ofType(v, one) {
				return true
			}
		}
		return false
	}
	switch base {
	case "any", "chat.completion.chunk":
		return true
	case "null":
		return v == nil
	case "string", "uuid":
		s, ok := v.(string)
		return ok && (base != "uuid" || uuid.MatchString(s)) && (detail != "list" && !strings.Contains(detail, "chat.completion") || s == detail)
	case "boolean":
		_, ok := v.(bool)
		return ok
	case "int", "int64":
		n, ok := v.(json.Number)
		return ok && !strings.ContainsAny(n.String(), ".eE")
	case "number":
		_, ok := v.(json.Number)
		return ok
	case "object":
		o, ok := v.(map[string]any)
		if !ok {
			return false
		}
		if _, to, mapped := strings.Cut(detail, "->"); mapped {
			for _, value := range o {
				if !ofType(value, to) {
					return false
				}
			}
		}
		return true
	case "array":
		_, ok := v.([]any)
		return ok
	}
	if item, ok := strings.CutSuffix(base, "[]"); ok {
		items, isList := v.([]any)
		return isList && !slices.ContainsFunc(items, func(i any) bool { return !ofType(i, item) })
	}
	panic(fmt.Sprintf("the test does not know the type %q", notation))
}

// The reader of types itself, so that it cannot let everything through.
func TestTheTypesOfTheContract(t *testing.T) {
	for _, tt := range []struct {
		value, notation string
		is              bool
	}{
		{`1`, "int", true}, {`1.0`, "int", false}, {`1e3`, "int64", false}, {`"1"`, "int", false}, {`true`, "int", false}, {`0.5`, "number", true},
		{`"a"`, "enum(a|b)", true}, {`"c"`, "enum(a|b)", false}, {`"x"`, "string|null", true}, {`null`, "string|null", true}, {`1`, "string|null", false},
		{`["a"]`, "string[]", true}, {`[1]`, "string[]", false}, {`[{}]`, "object[]|string[]", true}, {`{"a":1}`, "object(string->int)", true},
		{`{"a":"b"}`, "object(string->int)", false}, {`"chat.completion"`, "string(chat.completion)", true}, {`"list"`, "string(chat.completion)", false},
		{`null`, "object", false}, {`[]`, "object", false}, {`"x"`, "uuid", false},
	} {
		d := json.NewDecoder(strings.NewReader(tt.value))
		d.UseNumber()
		var v any
		require.NoError(t, d.Decode(&v))
		require.Equal(t, tt.is, ofType(v, tt.notation), "%s as %s", tt.value, tt.notation)
	}
}
