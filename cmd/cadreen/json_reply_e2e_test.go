package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

func jsonChoice(index, content, calls, finish string) string {
	if calls != "" {
		calls = `,"tool_calls":` + calls
	}
	return `{"index":` + index + `,"message":{"role":"assistant","content":` + content + `,"refusal":null` + calls + `},"logprobs":null,"finish_reason":` + finish + `}`
}

// Replies of several alternatives, as JSON: the lowest choice that holds is
// asked about, the others keep what is allowed and say what is left out.
func TestAlternativesInJSON(t *testing.T) {
	h := scripted.Head{}
	held := func(id string) string { return wholeCall("0", id, "process_refund", `{"order_id":"1"}`) }
	free := wholeCall("0", "call_free", "get_order", `{"order_id":"1"}`)
	for name, c := range map[string]struct {
		choices []string
		asks    int
		calls   map[int]int
		texts   map[int]string
	}{
		"held in choice 1 only":       {[]string{jsonChoice("0", `"words"`, "", `"stop"`), jsonChoice("1", `null`, held("call_b"), `"tool_calls"`)}, 1, nil, map[int]string{0: "words"}},
		"both hold":                   {[]string{jsonChoice("0", `null`, held("call_a"), `"tool_calls"`), jsonChoice("1", `"Or so."`, held("call_b"), `"tool_calls"`)}, 0, nil, nil},
		"both hold, in another order": {[]string{jsonChoice("1", `null`, held("call_b"), `"tool_calls"`), jsonChoice("0", `null`, held("call_a"), `"tool_calls"`)}, 0, nil, nil},
		"held and allowed":            {[]string{jsonChoice("0", `null`, held("call_a"), `"tool_calls"`), jsonChoice("1", `null`, free, `"tool_calls"`)}, 0, map[int]int{1: 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(scripted.JSON(h.CompletionOf(c.choices...)))
			ask := newChat("Refund it").with(`,"n":2`)
			r := p.post(ask.body())
			r.choice(t, c.asks).asksIn(t, "process_refund")
			for i := range 2 {
				got := r.choice(t, i)
				require.Equal(t, c.calls[i], got.calls)
				if i != c.asks {
					require.NotContains(t, got.text, promptLast)
					require.NotEqual(t, "", got.text+strings.Repeat("x", got.calls), "an alternative that lost its call says so")
				}
				if want := c.texts[i]; want != "" {
					require.Equal(t, want, got.text)
				}
				if got.calls > 0 {
					require.Equal(t, []string{"tool_calls"}, got.finishes)
				} else {
					require.Equal(t, []string{"stop"}, got.finishes)
				}
			}
			require.Len(t, r.read(t).pending, 1)
			require.Equal(t, "needs_input", r.read(t).gate)
			want := "call_a"
			if c.asks == 1 {
				want = "call_b"
			}
			p.post(ask.say(r.choice(t, c.asks).text, "yes").body()).read(t).released(t, refund(want, `{"order_id":"1"}`))
		})
	}
}

// A reply that does not say how it ended is not finished: its call stays, and
// the reply is still JSON.
func TestAJSONReplyWithoutAFinishReason(t *testing.T) {
	h := scripted.Head{}
	call := wholeCall("0", "call_1", "get_order", `{"order_id":"1"}`)
	for name, choice := range map[string]string{
		"missing": `{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"tool_calls":` + call + `},"logprobs":null}`,
		"null":    jsonChoice("0", `null`, call, `null`),
		"empty":   jsonChoice("0", `null`, call, `""`),
		"first":   `{"message":{"tool_calls":` + call + `,"role":"assistant"},"index":0}`,
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			p.loose = true
			model.Next(scripted.JSON(h.CompletionOf(choice)))
			r := p.post(newChat("hi").body())
			require.Equal(t, 200, r.status, r.body)
			checkStrict(t, r)
			got := r.read(t)
			got.silent(t)
			require.NotEmpty(t, got.text)
		})
	}
}

// limits.kept holds for replies in one piece as well.
func TestAJSONCallOverTheKeptLimitDoesNotLeave(t *testing.T) {
	for name, policy := range map[string]string{"asked": "", "allowed": allowAll} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: policy, yaml: "limits: {kept: 64 KiB}\n"})
			model.Next(scripted.JSON(scripted.Head{}.Completion("", refund("call_1", `{"order_id":"`+strings.Repeat("x", 200_000)+`"}`))))
			r := p.post(newChat("Refund it").body())
			require.Equal(t, 503, r.status)
			require.NotContains(t, r.body, "xxxx")
		})
	}
}

// The content of a reply in any of its forms, before a question.
func TestTheModelsTextStandsBeforeTheQuestion(t *testing.T) {
	h := scripted.Head{}
	for name, c := range map[string]struct{ content, before string }{
		"null":    {`null`, ""},
		"empty":   {`""`, ""},
		"text":    {`"Z\u00fcrich \/ one"`, "Zürich / one\n\n"},
		"newline": {`"a\n"`, "a\n\n\n"},
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{})
			model.Next(scripted.JSON(h.CompletionOf(jsonChoice("0", c.content, wholeCall("0", "call_1", "process_refund", `{"order_id":"1"}`), `"tool_calls"`))))
			ask := newChat("Refund it")
			r := p.post(ask.body())
			asked := r.choice(t, 0)
			asked.asksIn(t, "process_refund")
			require.True(t, strings.HasPrefix(asked.text, c.before+promptFirst), "%q", asked.text)
			if name == "text" {
				require.Contains(t, r.body, `"Z\u00fcrich \/ one\n\nI need`, "the model's own characters stay")
			}
			p.post(ask.say(asked.text, "yes").body()).read(t).released(t, refund("call_1", `{"order_id":"1"}`))
		})
	}
	t.Run("no content at all", func(t *testing.T) {
		p, model := startScripted(t, setup{})
		model.Next(scripted.JSON(h.CompletionOf(`{"index":0,"message":{"role":"assistant","tool_calls":` + wholeCall("0", "call_1", "process_refund", `{}`) + `},"finish_reason":"tool_calls"}`)))
		p.loose = true
		r := p.post(newChat("Refund it").body())
		checkStrict(t, r)
		r.choice(t, 0).asksIn(t, "process_refund")
	})
}
