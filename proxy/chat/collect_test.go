package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
	"cadreen/proxy/openai"
)

// collected feeds chunks, each the inside of the delta of choice 0 unless it is
// a list of choices, to a collector.
func collected(t require.TestingT, finish string, chunks ...string) *collector {
	c := newCollector(1 << 20)
	var v openai.View
	for _, chunk := range chunks {
		if !strings.HasPrefix(chunk, "[") {
			chunk = `[{"index":0,"delta":{` + chunk + `}}]`
		}
		require.NoError(t, v.Parse([]byte(`{"choices":`+chunk+`}`)), chunk)
		for i := range v.Choices {
			if ch := &v.Choices[i]; len(ch.Calls) > 0 || ch.HasLegacy {
				c.delta(v.Data, ch)
				c.finish(ch.Index, finish)
			}
		}
	}
	c.truncate()
	return c
}

// proposed are what is judged, malformed in few words.
func proposed(c *collector) (list []string) {
	for _, call := range c.sealed.Calls() {
		s := fmt.Sprintf("%d/%d %s %q %s(%s)", call.Choice, call.Index, call.Form, call.ID, call.Name, call.Arguments)
		if call.Truncated {
			s += " truncated"
		}
		if call.Malformed != "" {
			s += " malformed: " + call.Malformed
		}
		list = append(list, s)
	}
	return list
}

func calls(list ...string) string { return `"tool_calls":[` + strings.Join(list, ",") + `]` }

// Which fragments make which call, and whether they may leave as they came: the
// ways servers number, name and cut their calls. Numbers are lines of the list
// of what went wrong elsewhere.
func TestTheCollectorPutsTogetherWhatIsJudged(t *testing.T) {
	const a, b = `"id":"a","type":"function","function":{"name":"f","arguments":"{}"}`, `"id":"b","type":"function","function":{"name":"g","arguments":"{}"}`
	for name, c := range map[string]struct {
		chunks []string
		want   []string
		asCame bool
	}{
		"one call in fragments": {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}`), calls(`{"index":0,"function":{"arguments":"{\"x\":"}}`), calls(`{"index":0,"function":{"arguments":"1}"}}`)},
			[]string{`0/0 function "a" f({"x":1})`}, true},
		"two calls one after the other": {[]string{calls(`{"index":0,` + a + `}`), calls(`{"index":1,` + b + `}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, true},
		"two calls in one chunk":        {[]string{calls(`{"index":0,`+a+`}`, `{"index":1,`+b+`}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, true},
		"fragments interleaved over indexes": {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`, `{"index":1,"id":"b","function":{"name":"g","arguments":"["}}`),
			calls(`{"index":1,"function":{"arguments":"1]"}}`, `{"index":0,"function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g([1])`}, true},
		"64 the same index twice in a chunk, one call": {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}`, `{"index":0,"function":{"arguments":"}"}}`)},
			[]string{`0/0 function "a" f({})`}, true},
		"64 the same index twice in a chunk, two calls": {[]string{calls(`{"index":0,`+a+`}`, `{"index":0,`+b+`}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, false},
		"64 an index used again with a new id":          {[]string{calls(`{"index":0,` + a + `}`), calls(`{"index":0,` + b + `}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, false},
		"64 fragments after an index was used again": {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":"b","function":{"name":"g","arguments":"["}}`),
			calls(`{"index":0,"function":{"arguments":"]"}}`), calls(`{"index":0,"id":"a","function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g([])`}, false},
		"64 no index, whole calls":      {[]string{calls(`{` + a + `}`), calls(`{` + b + `}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, false},
		"64 no index, one chunk":        {[]string{calls(`{`+a+`}`, `{`+b+`}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, false},
		"64 no index, fragments":        {[]string{calls(`{"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"64 no index, fragments by id":  {[]string{calls(`{"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"id":"b","function":{"name":"g","arguments":"["}}`), calls(`{"id":"a","function":{"arguments":"}"}}`, `{"id":"b","function":{"arguments":"]"}}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g([])`}, false},
		"64 no index and no id":         {[]string{calls(`{"function":{"name":"f","arguments":"{}"}}`), calls(`{"function":{"name":"g","arguments":"{}"}}`)}, []string{`0/0 function "" f({})`, `0/1 function "" g({})`}, false},
		"64 no index on a later chunk":  {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"64 the index null":             {[]string{calls(`{"index":null,` + a + `}`)}, []string{`0/0 function "a" f({})`}, false},
		"64 the name in every chunk":    {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"function":{"name":"f","arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"64 the id in every chunk":      {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":"a","function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"the id and the name empty on":  {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":"","type":"function","function":{"name":"","arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, true},
		"the id null, the name null on": {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, true},
		"the id comes late":             {[]string{calls(`{"index":0,"function":{"name":"f","arguments":"{"}}`), calls(`{"index":0,"id":"a","function":{"arguments":"}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"the name comes late":           {[]string{calls(`{"index":0,"id":"a"}`), calls(`{"index":0,"function":{"name":"f","arguments":"{}"}}`)}, []string{`0/0 function "a" f({})`}, false},
		"the name in two parts":         {[]string{calls(`{"index":0,"id":"a","function":{"name":"get_"}}`), calls(`{"index":0,"function":{"name":"order","arguments":"{}"}}`)}, []string{`0/0 function "a" get_({}) malformed: the model gave two names to one call`}, false},
		"another name":                  {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`), calls(`{"index":0,"function":{"name":"g"}}`)}, []string{`0/0 function "a" f({}) malformed: the model gave two names to one call`}, false},
		"a gap in the indexes":          {[]string{calls(`{"index":0,` + a + `}`), calls(`{"index":2,` + b + `}`)}, []string{`0/0 function "a" f({})`, `0/1 function "b" g({})`}, false},
		"indexes from one":              {[]string{calls(`{"index":1,` + a + `}`)}, []string{`0/0 function "a" f({})`}, false},
		"indexes the wrong way round":   {[]string{calls(`{"index":1,`+b+`}`, `{"index":0,`+a+`}`)}, []string{`0/0 function "b" g({})`, `0/1 function "a" f({})`}, false},
		"a custom call":                 {[]string{calls(`{"index":0,"id":"a","type":"custom","custom":{"name":"sql","input":"select "}}`), calls(`{"index":0,"custom":{"input":"1\n"}}`)}, []string{"0/0 custom \"a\" sql(select 1\n)"}, true},
		"a custom call, its type first": {[]string{calls(`{"index":0,"id":"a","type":"custom"}`), calls(`{"index":0,"custom":{"name":"sql","input":"x"}}`)}, []string{`0/0 custom "a" sql(x)`}, false},
		"11 a legacy call":              {[]string{`"function_call":{"name":"f","arguments":""}`, `"function_call":{"arguments":"{\"x\""}`, `"function_call":{"arguments":":1}"}`}, []string{`0/0 function_call "" f({"x":1})`}, true},
		"64 a legacy name repeated":     {[]string{`"function_call":{"name":"f","arguments":"{"}`, `"function_call":{"name":"f","arguments":"}"}`}, []string{`0/0 function_call "" f({})`}, false},
		"legacy and new at once":        {[]string{`"function_call":{"name":"f","arguments":"{}"},` + calls(`{"index":0,`+b+`}`)}, []string{`0/0 function "b" g({})`, `0/1 function_call "" f({})`}, true},
		"a call that changes its form":  {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}`), calls(`{"index":0,"custom":{"input":"x"}}`)}, []string{`0/0 function "a" f({}x) malformed: the model gave two forms to one call`}, true},
		"a call that changes its type":  {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}`), calls(`{"index":0,"type":"custom"}`)}, []string{`0/0 function "a" f({}) malformed: the model gave two forms to one call`}, true},
		"a call of an unknown type":     {[]string{calls(`{"index":0,"id":"a","type":"mcp"}`)}, []string{`0/0 function "a" () malformed: the model gave two forms to one call`}, true},
		"a call without a name":         {[]string{calls(`{"index":0,"id":"a","function":{"arguments":"{}"}}`)}, []string{`0/0 function "a" ({})`}, true},
		"an empty call":                 {[]string{calls(`{}`)}, []string{`0/0 function "" ()`}, false},
		"no arguments":                  {[]string{calls(`{"index":0,"id":"a","function":{"name":"f"}}`)}, []string{`0/0 function "a" f()`}, true},
		"an escape split over fragments": {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"\\"}}`), calls(`{"index":0,"function":{"arguments":"u00"}}`), calls(`{"index":0,"function":{"arguments":"fc\"}"}}`)},
			[]string{`0/0 function "a" f({"x":"\u00fc"})`}, true},
		"a pair split over fragments": {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":\"\ud83d"}}`), calls(`{"index":0,"function":{"arguments":""}}`), calls(`{"index":0,"function":{"arguments":"\ude00\"}"}}`)},
			[]string{`0/0 function "a" f({"x":"😀"})`}, false},
		"a pair in one fragment":       {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"\ud83d\ude00\\ud83d"}}`)}, []string{`0/0 function "a" f(😀\ud83d)`}, true},
		"a half that is never whole":   {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"\ud83d"}}`)}, []string{"0/0 function \"a\" f(\ufffd) malformed: the arguments hold half a character"}, true},
		"a half and then something":    {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"\ud83d"}}`), calls(`{"index":0,"function":{"arguments":"x"}}`)}, []string{"0/0 function \"a\" f(\ufffdx) malformed: the arguments hold half a character"}, true},
		"halves the wrong way round":   {[]string{calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"\ude00\ud83d\n"}}`)}, []string{"0/0 function \"a\" f(\ufffd\ufffd\n) malformed: the arguments hold half a character"}, true},
		"6 calls of the second choice": {[]string{`[{"index":0,"delta":{"content":"x"}},{"index":1,"delta":{` + calls(`{"index":0,`+a+`}`) + `}}]`}, []string{`1/0 function "a" f({})`}, true},
		"choices with the same indexes": {[]string{`[{"index":1,"delta":{` + calls(`{"index":0,"id":"b","function":{"name":"g","arguments":"["}}`) + `}},{"index":0,"delta":{` + calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}`) + `}}]`,
			`[{"index":0,"delta":{` + calls(`{"index":0,"function":{"arguments":"}"}}`) + `}},{"index":1,"delta":{` + calls(`{"index":0,"function":{"arguments":"]"}}`) + `}}]`}, []string{`1/0 function "b" g([])`, `0/0 function "a" f({})`}, true},
		"63 vendor members": {[]string{calls(`{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}","x":1},"extra_content":{"google":{"thought_signature":"c2ln"}}}`)}, []string{`0/0 function "a" f({})`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got := collected(t, "tool_calls", c.chunks...)
			require.Equal(t, c.want, proposed(got))
			require.Equal(t, c.asCame, got.asCame(0), "as it came")
			require.True(t, got.asCame(7), "a choice without calls")
		})
	}
}

// 77: a call that the model did not finish is never whole.
func TestOnlyAKnownEndFinishesACall(t *testing.T) {
	for reason, whole := range map[string]bool{"stop": true, "tool_calls": true, "function_call": true, "STOP": true, "eos_token": true, "tool_use": true, "": false, "length": false, "content_filter": false,
		"model_length": false, "max_tokens": false, "error": false, "network_error": false, "insufficient_system_resource": false, "sensitive": false, "cancelled": false, "something new": false} {
		c := collected(t, reason, `"function_call":{"name":"l","arguments":"{}"},`+calls(`{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}`))
		for _, call := range c.sealed.Calls() {
			require.Equal(t, !whole, call.Truncated, "%q", reason)
		}
	}
	// Each choice ends for itself.
	c := collected(t, "tool_calls", `[{"index":0,"delta":{`+calls(`{"index":0,"id":"a"}`)+`}},{"index":1,"delta":{`+calls(`{"index":0,"id":"b"}`)+`}}]`)
	c.finish(1, "length")
	c.truncate()
	require.Equal(t, []string{`0/0 function "a" ()`, `1/0 function "b" () truncated`}, proposed(c))
}

// More calls than anybody wants are not looked through again and again.
func TestTooManyCallsAreMalformed(t *testing.T) {
	var chunks []string
	for i := range openai.MaxCalls + 500 {
		chunks = append(chunks, calls(fmt.Sprintf(`{"id":"c%d","function":{"name":"f","arguments":"{}"}}`, i)))
	}
	c := collected(t, "tool_calls", chunks...)
	list := c.sealed.Calls()
	require.Len(t, list, openai.MaxCalls)
	require.NotEmpty(t, list[len(list)-1].Malformed)
	require.False(t, c.asCame(0))
}

func TestACollectorSaysWhenItIsFull(t *testing.T) {
	c := newCollector(10)
	require.NoError(t, c.full())
	c.sealed.Piece([]byte("0123456789"), 0)
	require.NoError(t, c.full())
	c.sealed.Piece([]byte("x"), 0)
	require.Error(t, c.full())
}

// A JSON reply's calls are whole as they stand.
func TestTheCallsOfAJSONReply(t *testing.T) {
	var v openai.View
	data := []byte(`{"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[ { "id" : "a", "type":"function","function":{"arguments":"{\"x\":\"\u00fc\"}","name":"f"},"v":1 },
		{"index":7,"id":"b","type":"custom","custom":{"name":"sql","input":"select 1"}}],"function_call":{"name":"l","arguments":"{}"}}}]}`)
	require.NoError(t, v.Parse(data))
	c := newCollector(1 << 20)
	c.finish(0, v.Choices[0].FinishReason)
	c.whole(data, &v.Choices[0])
	c.truncate()
	require.Equal(t, []string{`0/0 function "a" f({"x":"ü"})`, `0/1 custom "b" sql(select 1)`, `0/2 function_call "" l({})`}, proposed(c))
	require.True(t, c.asCame(0))
}

// However calls are cut into fragments and chunks, what is judged is what was
// meant; and where it may leave as it came, a client that joins by index, the
// only thing all do, puts together the same.
func TestEveryCutOfACallIsTheSameCall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type meant struct{ id, name, arguments string }
		n := rapid.IntRange(1, 3).Draw(t, "calls")
		var want []meant
		var chunks []string
		indexed, repeatName := rapid.Bool().Draw(t, "indexed"), rapid.Bool().Draw(t, "repeatName")
		for i := range n {
			m := meant{fmt.Sprint("call_", i), rapid.SampledFrom([]string{"f", "g"}).Draw(t, "name"), rapid.StringMatching(`[{}"\\a-zü😀:, ]{0,12}`).Draw(t, "arguments")}
			want = append(want, m)
			head := fmt.Sprintf(`"id":%q,"type":"function",`, m.id)
			name := fmt.Sprintf(`"name":%q,`, m.name)
			for rest, first := []rune(m.arguments), true; first || len(rest) > 0; first = false {
				k := rapid.IntRange(0, len(rest)).Draw(t, "k")
				if !first {
					k = max(k, 1)
				}
				s := ""
				if indexed {
					s = fmt.Sprintf(`"index":%d,`, i)
				}
				chunks = append(chunks, `{`+s+head+`"function":{`+name+`"arguments":`+string(openai.Quote(nil, string(rest[:k])))+`}}`)
				rest = rest[k:]
				if head = ""; !indexed {
					head = fmt.Sprintf(`"id":%q,`, m.id)
				}
				if !repeatName {
					name = ""
				}
			}
		}
		var parts []string
		for len(chunks) > 0 {
			k := rapid.IntRange(1, len(chunks)).Draw(t, "together")
			parts, chunks = append(parts, calls(chunks[:k]...)), chunks[k:]
		}
		c := collected(t, "tool_calls", parts...)
		var got []meant
		for _, call := range c.sealed.Calls() {
			require.Equal(t, governance.FormFunction, call.Form)
			require.Empty(t, call.Malformed)
			got = append(got, meant{call.ID, call.Name, call.Arguments})
		}
		require.Equal(t, want, got)

		joined := map[int]*meant{}
		var order []int
		var v openai.View
		for _, part := range parts {
			require.NoError(t, v.Parse([]byte(`{"choices":[{"delta":{`+part+`}}]}`)))
			for _, f := range v.Choices[0].Calls {
				m := joined[f.Index]
				if m == nil {
					m = new(meant)
					joined[f.Index], order = m, append(order, f.Index)
				}
				for to, raw := range map[*string]openai.Span{&m.id: f.ID, &m.name: f.Name, &m.arguments: f.Arguments} {
					s, _ := openai.Unquote(raw.Of(v.Data))
					*to += s
				}
			}
		}
		if !c.asCame(0) {
			return
		}
		for i, at := range order {
			require.Equal(t, want[i], *joined[at])
		}
	})
}
