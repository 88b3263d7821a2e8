package openai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func view(t *testing.T, data string) *View {
	t.Helper()
	v := new(View)
	require.NoError(t, v.Parse([]byte(data)))
	return v
}

func TestAChunkInFull(t *testing.T) {
	data := ` {"id":"x","created":1.0,"model":"m","usage":{"a":1},"vendor":1,"choices":[{"index":1,"logprobs":null,"finish_reason":"tool_calls","delta":{"role":"assistant","content":"hi \u00fc","vendor":0,
		"tool_calls":[{"index":3,"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":","x":1},"extra_content":{"g":1}},{"id":null,"type":"custom","custom":{"input":"select","name":"sql"}},{"index":null,"function":{"arguments":null}}],
		"function_call":{"arguments":"\ud83d","name":"l","v":[]}}},{"index":0,"message":{"content":null}}]} `
	v := view(t, data)
	of := func(s Span) string { return string(s.Of(v.Data)) }
	require.Equal(t, []string{`"x"`, `1.0`, `"m"`, `{"a":1}`, ""}, []string{of(v.ID), of(v.Created), of(v.Model), of(v.Usage), of(v.Error)})
	require.Equal(t, strings.TrimSpace(data), of(v.Object))
	require.True(t, v.HasChoices)
	require.Len(t, v.Choices, 2)
	c := v.Choices[0]
	require.Equal(t, 1, c.Index)
	require.Equal(t, "tool_calls", c.FinishReason)
	require.Equal(t, []string{`"tool_calls"`, `"assistant"`, `"hi \u00fc"`}, []string{of(c.Finish), of(c.Role), of(c.Content)})
	require.True(t, c.HasText)
	require.True(t, strings.HasPrefix(of(c.CallsMember), `"tool_calls":[`) && strings.HasPrefix(of(c.CallsValue), `[{"index":3`))
	require.True(t, strings.HasPrefix(of(c.LegacyMember), `"function_call":{`))
	require.Len(t, c.Calls, 3)

	f := c.Calls[0]
	require.Equal(t, "function", f.Form)
	require.True(t, f.HasIndex)
	require.Equal(t, 3, f.Index)
	require.Equal(t, []string{`"c1"`, `"function"`, `"f"`, `"{\"a\":"`, `{\"a\":`}, []string{of(f.ID), of(f.Type), of(f.Name), of(f.Arguments), string(f.ArgumentsRaw(v.Data))})
	require.Equal(t, []string{"id", "type", "extra_content"}, memberNames(f.Outer))
	require.Equal(t, []string{"name", "x"}, memberNames(f.Inner))
	require.Equal(t, `{"g":1}`, of(f.Outer[2].Value))

	k := c.Calls[1]
	require.Equal(t, "custom", k.Form)
	require.False(t, k.HasIndex || k.ID.Present())
	require.Equal(t, []string{`"sql"`, `select`}, []string{of(k.Name), string(k.ArgumentsRaw(v.Data))})

	require.False(t, c.Calls[2].HasIndex || c.Calls[2].Arguments.Present())
	require.Nil(t, c.Calls[2].ArgumentsRaw(v.Data))

	require.True(t, c.HasLegacy)
	require.Equal(t, "function_call", c.Legacy.Form)
	require.Equal(t, []string{`"l"`, `\ud83d`}, []string{of(c.Legacy.Name), string(c.Legacy.ArgumentsRaw(v.Data))})
	require.Equal(t, []string{"name", "v"}, memberNames(c.Legacy.Inner))

	c = v.Choices[1]
	require.False(t, c.HasText || c.HasLegacy || len(c.Calls) > 0)
	require.Equal(t, `{"content":null}`, of(c.Message))
}

func memberNames(list []Member) (names []string) {
	for _, m := range list {
		names = append(names, m.Name)
	}
	return names
}

func TestWhatIsNoChunk(t *testing.T) {
	for data, has := range map[string]bool{`{}`: false, `{"choices":null}`: false, `{"choices":[]}`: true, `{"error":{"message":"x"}}`: false, `{"object":"list"}`: false} {
		v := view(t, data)
		require.Equal(t, has, v.HasChoices, data)
		require.Empty(t, v.Choices)
		require.Equal(t, strings.Contains(data, "error"), v.Error.Present())
	}
	require.Equal(t, `null`, string(view(t, `{"err\u006fr":null}`).Error.Of([]byte(`{"err\u006fr":null}`))))
	require.False(t, view(t, `{"usage":null,"choices":[]}`).Usage.Present())
}

// Whatever proposes a call in a shape that clients would not agree on is an
// error, never passed over.
func TestMalformedCallsFailClosed(t *testing.T) {
	const fn = `"function":{"name":"f","arguments":"{}"}`
	choice := func(s string) string { return `{"choices":[` + s + `]}` }
	delta := func(s string) string { return choice(`{"index":0,"delta":{` + s + `}}`) }
	call := func(s string) string { return delta(`"tool_calls":[` + s + `]`) }
	for name, data := range map[string]string{
		"choices an object":                   `{"choices":{"0":{}}}`,
		"choices a string":                    `{"choices":"x"}`,
		"choices a number":                    `{"choices":0}`,
		"a choice an array":                   choice(`[]`),
		"a choice null":                       choice(`null`),
		"a choice a string":                   choice(`"x"`),
		"delta an array":                      choice(`{"delta":[{"tool_calls":[]}]}`),
		"delta a string":                      choice(`{"delta":"x"}`),
		"delta false":                         choice(`{"delta":false}`),
		"message a string":                    choice(`{"message":"x"}`),
		"delta and message":                   choice(`{"delta":{},"message":{}}`),
		"message and delta":                   choice(`{"message":{},"delta":{"tool_calls":[]}}`),
		"tool_calls beside the message":       choice(`{"delta":{},"tool_calls":[{` + fn + `}]}`),
		"function_call beside the message":    choice(`{"delta":{},"function_call":{"name":"f"}}`),
		"tool_calls at the top":               `{"choices":[],"tool_calls":[{` + fn + `}]}`,
		"function_call at the top, escaped":   `{"choices":[],"function\u005fcall":{}}`,
		"the same choice twice":               choice(`{"index":0,"delta":{}},{"index":0,"delta":{"tool_calls":[]}}`),
		"the same choice twice, by default":   choice(`{"delta":{}},{"index":0,"delta":{}}`),
		"finish_reason an object":             choice(`{"finish_reason":{}}`),
		"finish_reason a number":              choice(`{"finish_reason":0}`),
		"tool_calls an object":                delta(`"tool_calls":{"0":{` + fn + `}}`),
		"tool_calls a string":                 delta(`"tool_calls":"[]"`),
		"tool_calls false":                    delta(`"tool_calls":false`),
		"a call an array":                     call(`[` + `]`),
		"a call null":                         call(`null`),
		"a call a string":                     call(`"f"`),
		"function an array":                   call(`{"function":["f"]}`),
		"function a string":                   call(`{"function":"f"}`),
		"function and custom":                 call(`{` + fn + `,"custom":{"name":"g","input":""}}`),
		"custom and function":                 call(`{"custom":{"name":"g","input":""},` + fn + `}`),
		"custom of type function":             call(`{"type":"function","custom":{"name":"g"}}`),
		"function of type custom":             call(`{"type":"custom",` + fn + `}`),
		"function of an unknown type":         call(`{` + fn + `,"type":"mcp"}`),
		"arguments an object":                 call(`{"function":{"name":"f","arguments":{}}}`),
		"arguments an array":                  call(`{"function":{"name":"f","arguments":[]}}`),
		"arguments a number":                  call(`{"function":{"name":"f","arguments":0}}`),
		"the name a number":                   call(`{"function":{"name":5}}`),
		"the name an array":                   call(`{"function":{"name":["f"]}}`),
		"the id a number":                     call(`{"id":5,` + fn + `}`),
		"the type an object":                  call(`{"type":{},` + fn + `}`),
		"the input an object":                 call(`{"custom":{"name":"f","input":{}}}`),
		"function_call an array":              delta(`"function_call":[]`),
		"function_call a string":              delta(`"function_call":"f"`),
		"function_call with arguments object": delta(`"function_call":{"name":"f","arguments":{}}`),
		"F: more than MaxCalls calls":         call(strings.TrimSuffix(strings.Repeat(`{},`, MaxCalls+1), ",")),
		"case: Choices":                       `{"Choices":[]}`,
		"case: CHOICES beside choices":        `{"choices":[],"CHOICES":[]}`,
		"case: Error":                         `{"Error":{}}`,
		"case: Delta":                         choice(`{"Delta":{}}`),
		"case: Message":                       choice(`{"delta":{},"Message":{}}`),
		"case: Finish_Reason":                 choice(`{"Finish_Reason":"stop"}`),
		"case: Index":                         choice(`{"Index":1}`),
		"case: TOOL_CALLS":                    delta(`"TOOL_CALLS":null`),
		"case: long s":                        delta(`"tool_callſ":[]`),
		"case: long s escaped":                delta(`"tool_call\u017f":[]`),
		"case: Function_call":                 delta(`"Function_call":{}`),
		"case: Content":                       delta(`"content":"a","Content":"b"`),
		"case: Role":                          delta(`"Role":"assistant"`),
		"case: Function":                      call(`{"Function":{}}`),
		"case: ID":                            call(`{"ID":"x"}`),
		"case: call Index":                    call(`{"Index":0}`),
		"case: Type":                          call(`{"Type":"function"}`),
		"case: Custom":                        call(`{"Custom":null}`),
		"case: Name":                          call(`{"function":{"name":"f","Name":"g"}}`),
		"case: Arguments":                     call(`{"function":{"Arguments":"{}"}}`),
		"case: Input":                         call(`{"custom":{"INPUT":""}}`),
		"case: legacy Name":                   delta(`"function_call":{"NAME":"f"}`),
	} {
		t.Run(name, func(t *testing.T) { require.ErrorIs(t, new(View).Parse([]byte(data)), ErrMalformedCall) })
	}
	many := new(strings.Builder)
	for i := range MaxChoices {
		fmt.Fprintf(many, `,{"index":%d}`, i)
	}
	require.NoError(t, new(View).Parse([]byte(choice(many.String()[1:]))))
	err := new(View).Parse([]byte(choice(many.String()[1:] + `,{"index":128}`)))
	require.ErrorIs(t, err, ErrMalformedCall)
	require.ErrorContains(t, err, "more than 128 choices")
	for name, data := range map[string]string{
		"a duplicate member":         delta(`"tool_calls":[],"tool_calls":[{` + fn + `}]`),
		"a duplicate, escaped":       delta(`"tool_calls":[],"tool\u005fcalls":[{` + fn + `}]`),
		"a duplicate in a call":      call(`{` + fn + `,` + fn + `}`),
		"a duplicate name of a call": call(`{"function":{"name":"f","name":"g"}}`),
		"duplicate choices":          `{"choices":[],"choices":[{"delta":{"tool_calls":[]}}]}`,
		"two documents":              `{"choices":[]}{"choices":[]}`,
		"cut off":                    call(`{` + fn)[:40],
	} {
		t.Run(name, func(t *testing.T) {
			var syntax *SyntaxError
			require.ErrorAs(t, new(View).Parse([]byte(data)), &syntax)
		})
	}
}

// Readers do not agree on these as an index, or would make room for billions.
func TestOnlyPlainNumbersAreAnIndex(t *testing.T) {
	for raw, good := range map[string]bool{"0": true, "7": true, "127": true, "null": true, "-1": false, "-0": false, "0.0": false, "1.0": false, "1e0": false, "0e0": false, "1e2": false, `"0"`: false,
		"true": false, "[]": false, "{}": false, "1024": false, "4294967296": false, "18446744073709551616": false, "99999999999999999999999": false} {
		for _, data := range []string{`{"choices":[{"index":` + raw + `,"delta":{}}]}`, `{"choices":[{"delta":{"tool_calls":[{"index":` + raw + `}]}}]}`} {
			err := new(View).Parse([]byte(data))
			if good {
				require.NoError(t, err, data)
			} else {
				require.ErrorIs(t, err, ErrMalformedCall, data)
			}
		}
	}
	require.Equal(t, 127, view(t, `{"choices":[{"index":127}]}`).Choices[0].Index)
	require.Equal(t, 1023, view(t, `{"choices":[{"delta":{"tool_calls":[{"index":1023}]}}]}`).Choices[0].Calls[0].Index)
	require.ErrorIs(t, new(View).Parse([]byte(`{"choices":[{"index":128}]}`)), ErrMalformedCall)
}

// A15: the name of what carries a call may be spelled with escapes.
func TestEscapedKeysAreFound(t *testing.T) {
	v := view(t, `{"choice\u0073":[{"ind\u0065x":2,"d\u0065lta":{"tool\u005fcalls":[{"ind\u0065x":1,"i\u0064":"c","t\u0079pe":"function","functio\u006e":{"n\u0061me":"f","argument\u0073":"{}"}}],"function\u005fcall":{"n\u0061me":"g"}},"finish\u005freason":"st\u006fp"}]}`)
	c := v.Choices[0]
	require.Equal(t, 2, c.Index)
	require.Equal(t, "stop", c.FinishReason)
	require.Len(t, c.Calls, 1)
	require.Equal(t, 1, c.Calls[0].Index)
	require.Equal(t, `"f"`, string(c.Calls[0].Name.Of(v.Data)))
	require.Equal(t, `{}`, string(c.Calls[0].ArgumentsRaw(v.Data)))
	require.Equal(t, []string{"id", "type"}, memberNames(c.Calls[0].Outer))
	require.True(t, c.HasLegacy)
}

func TestHasText(t *testing.T) {
	for members, want := range map[string]bool{``: false, `"role":"assistant"`: false, `"content":""`: false, `"content":null`: false, `"content":[]`: false, `"content":"x"`: true, `"content":[{"type":"text","text":"x"}]`: true,
		`"refusal":null`: false, `"refusal":"no"`: true, `"reasoning_content":"hm"`: true, `"reasoning":""`: false, `"audio":{"data":"x"}`: true, `"annotations":[]`: false, `"vendor":{}`: false,
		`"index":0,"content":""`: false, `"vendor":true`: false, `"tool_calls":[{"function":{"name":"f"}}]`: false, `"tool_calls":null`: false, `"function_call":{"name":"f"}`: false, `"tool_calls":[],"reasoning":"x"`: true} {
		require.Equal(t, want, view(t, `{"choices":[{"index":0,"delta":{`+members+`}}]}`).Choices[0].HasText, members)
	}
}

func TestFinishReasons(t *testing.T) {
	for raw, want := range map[string]string{`null`: "", `"stop"`: "stop", `"length"`: "length", `"tool_calls"`: "tool_calls", `"function_call"`: "function_call", `"content_filter"`: "content_filter", `"model_length"`: "model_length", `""`: "", `"st\u006fp"`: "stop"} {
		require.Equal(t, want, view(t, `{"choices":[{"finish_reason":`+raw+`}]}`).Choices[0].FinishReason)
	}
}

// drawChunk is a chunk of some shape, now and then of a shape that is refused.
func drawChunk(t *rapid.T) string {
	some := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	var choices []string
	for range rapid.IntRange(0, 3).Draw(t, "choices") {
		var calls []string
		for range rapid.IntRange(0, 3).Draw(t, "calls") {
			calls = append(calls, "{"+some("call", `"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{","v":1}`, `"index":1,"function":{"arguments":"}"}`, `"custom":{"name":"c","input":"x"},"type":"custom"`,
				``, `"id":null,"vendor":{"a":[1]}`, `"index":2,"function":null`, `"index":-1`, `"Function":{}`)+"}")
		}
		body := some("text", `"content":"x",`, `"content":null,`, `"reasoning":"y",`, ``) + some("legacy", ``, ``, `"function_call":{"name":"l","arguments":"","w":2},`, `"function_call":null,`, `"function_call":[],`) + `"tool_calls":` + some("list", "["+strings.Join(calls, ",")+"]", "null")
		choices = append(choices, `{"index":`+some("index", "0", "1", "2", "null")+`,`+some("finish", ``, `"finish_reason":"stop",`, `"finish_reason":"odd",`, `"finish_reason":null,`)+`"`+some("body", "delta", "message")+`":{`+body+`}}`)
	}
	return `{` + some("head", ``, `"id":"x","model":"m","created":1,`, `"usage":{"a":1},`, `"error":{},`, `"gate":1,"status":2,`) + `"choices":[` + strings.Join(choices, ",") + `]}`
}

var sameView = []cmp.Option{cmpopts.IgnoreUnexported(View{}), cmpopts.EquateEmpty()}

// A view that was used holds nothing of what it was used for.
func TestAUsedViewIsLikeANewOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var used View
		for range rapid.IntRange(1, 4).Draw(t, "uses") {
			data := []byte(drawChunk(t))
			var fresh View
			err, want := used.Parse(data), fresh.Parse(data)
			require.Equal(t, want, err)
			if err != nil {
				continue
			}
			require.Empty(t, cmp.Diff(fresh, used, sameView...))
			require.Equal(t, fresh.Cut("gate", "status", "error"), used.Cut("gate", "status", "error"))
			require.Equal(t, fresh.doc.nodes, used.doc.nodes)
		}
	})
}

// E66: a last chunk without a delta is read, and its usage is not lost.
func TestALastChunkWithoutADelta(t *testing.T) {
	for _, choice := range []string{`{"index":0,"finish_reason":"stop"}`, `{"index":0,"delta":null,"finish_reason":"stop"}`, `{"message":null,"delta":null,"finish_reason":"stop"}`, `{"delta":null,"message":{},"finish_reason":"stop"}`} {
		v := view(t, `{"choices":[`+choice+`],"usage":{"total_tokens":5}}`)
		require.Equal(t, "stop", v.Choices[0].FinishReason, choice)
		require.Empty(t, v.Choices[0].Calls)
		require.False(t, v.Choices[0].HasText)
		require.Equal(t, `{"total_tokens":5}`, string(v.Usage.Of(v.Data)))
	}
}
