package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/proxy/scripted"
)

// Text that the model writes around and behind its calls: allowed it comes back
// as it came, held it stands before the question.
func TestTextAroundCalls(t *testing.T) {
	h := scripted.Head{}
	call := refund("call_1", refundArgs)
	parts := h.CallChunks(0, 0, call, 2)
	for name, c := range map[string]struct {
		chunks []string
		text   string
	}{
		"behind the call":                {[]string{h.Role(0), parts[0], parts[1], parts[2], h.Text(0, "So be it."), h.Finish(0, "tool_calls")}, "So be it."},
		"in the middle of the call":      {[]string{h.Role(0), parts[0], h.Text(0, "So "), parts[1], h.Text(0, "be it."), parts[2], h.Finish(0, "tool_calls"), h.Usage()}, "So be it."},
		"before and behind":              {[]string{h.Role(0), h.Text(0, "Well. "), parts[0], parts[1], parts[2], h.Text(0, "So be it."), h.Finish(0, "tool_calls")}, "Well. So be it."},
		"behind, with the finish":        {[]string{h.Role(0), parts[0], parts[1], parts[2], h.Chunk(`[{"index":0,"delta":{"content":"So be it."},"logprobs":null,"finish_reason":"tool_calls"}]`, `,"usage":`+scripted.Usage)}, "So be it."},
		"empty text with the finish":     {[]string{h.Role(0), parts[0], parts[1], parts[2], h.Chunk(`[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":"tool_calls"}]`, "")}, ""},
		"null calls in the text":         {[]string{h.Delta(0, `{"role":"assistant","content":"So be it.","tool_calls":null,"function_call":null}`), parts[0], parts[1], parts[2], h.Delta(0, `{"content":null,"tool_calls":[]}`), h.Finish(0, "tool_calls")}, "So be it."},
		"two finishes":                   {[]string{h.Role(0), parts[0], parts[1], parts[2], h.Finish(0, "tool_calls"), h.Finish(0, "tool_calls"), h.Usage()}, ""},
		"usage in every chunk":           {[]string{h.Chunk(`[{"index":0,"delta":{"role":"assistant","content":"So be it."},"finish_reason":null}]`, `,"usage":`+scripted.Usage), h.Chunk(`[{"index":0,"delta":{"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`},"finish_reason":null}]`, `,"usage":`+scripted.Usage), h.Chunk(`[{"index":0,"delta":{},"finish_reason":"tool_calls"}]`, `,"usage":`+scripted.Usage)}, "So be it."},
		"usage before the finish":        {[]string{h.Role(0), parts[0], parts[1], parts[2], h.Usage(), h.Finish(0, "tool_calls")}, ""},
		"an empty choices chunk first":   {[]string{h.Chunk(`[]`, `,"prompt_filter_results":[]`), h.Role(0), parts[0], parts[1], parts[2], h.Finish(0, "tool_calls")}, ""},
		"finish without a delta":         {[]string{h.Role(0), parts[0], parts[1], parts[2], h.FinishNoDelta(0, "tool_calls")}, ""},
		"no role from the model":         {[]string{parts[0], parts[1], parts[2], h.Finish(0, "tool_calls")}, ""},
		"a role with the first fragment": {[]string{h.Delta(0, `{"role":"assistant","content":null,"tool_calls":`+wholeCall("0", "call_1", "process_refund", refundArgs)+`}`), h.Finish(0, "tool_calls")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("allowed", func(t *testing.T) {
				p, model := startScripted(t, setup{policy: allowAll})
				p.loose = true
				model.Next(scripted.Wire{}.OneRead(c.chunks...))
				r := p.post(newChat("Refund it").streaming(true).body())
				checkStrict(t, r)
				sameStream(t, scripted.Wire{}.Bytes(c.chunks...), r)
				require.Equal(t, "ok", r.read(t).gate)
			})
			t.Run("held", func(t *testing.T) {
				p, model := startScripted(t, setup{})
				p.loose = true
				model.Next(scripted.Wire{}.Reply(c.chunks...))
				ask := newChat("Refund it").streaming(true)
				r := p.post(ask.body())
				checkStrict(t, r)
				asked := r.read(t)
				asked.held(t, "process_refund")
				got := r.choice(t, 0)
				require.Zero(t, got.calls)
				require.GreaterOrEqual(t, got.roles, 1)
				want := promptFirst
				if c.text != "" {
					want = c.text + "\n\n" + promptFirst
				}
				require.True(t, strings.HasPrefix(got.text, want), "%q", got.text)
				require.True(t, strings.HasSuffix(got.text, promptLast), "%q", got.text)
				require.Equal(t, strings.Contains(strings.Join(c.chunks, ""), `"usage"`), strings.Contains(r.body, `"usage":`+scripted.Usage))
				// The first delta that a client sees of the choice opens it.
				for _, payload := range payloads(r.body) {
					if strings.Contains(payload, `"index":0`) {
						require.Contains(t, payload, `"role":"assistant"`)
						break
					}
				}
				p.post(ask.say(asked.text, "yes").body()).read(t).released(t, call)
			})
		})
	}
}

// Three calls, one of them refused: the others leave, whole and numbered anew.
func TestCallsThatLeaveWithoutARefusedOne(t *testing.T) {
	h := scripted.Head{}
	read := func(id string) scripted.Call {
		return scripted.Call{ID: id, Name: "get_order", Arguments: `{"order_id":"Z\u00fcrich", "n":1.0}`, Extra: `,"extra_content":{"s":"c2ln"}`}
	}
	bothWays(t, func(t *testing.T, stream bool) {
		for at := range 3 {
			p, model := startScripted(t, setup{policy: blockRefunds})
			calls := []scripted.Call{read("call_a"), read("call_b"), read("call_c")}
			calls[at] = refund("call_refused", refundArgs)
			model.Next(turnOf(stream, "All three.", calls...))
			r := p.post(newChat("do it").streaming(stream).body())
			got := r.read(t)
			want := append(append([]scripted.Call(nil), calls[:at]...), calls[at+1:]...)
			require.Equal(t, asCalls(want...), got.calls)
			require.Equal(t, "tool_calls", got.finish)
			require.Equal(t, "ok", got.gate)
			require.True(t, strings.HasPrefix(got.text, "All three.\n\nI cannot process_refund"), got.text)
			require.NotContains(t, r.body, "call_refused")
			require.Equal(t, 2, strings.Count(r.body, `"extra_content":{"s":"c2ln"}`))
			require.Contains(t, r.body, `{\"order_id\":\"Z\\u00fcrich\", \"n\":1.0}`)
		}
	})
	t.Run("interleaved fragments", func(t *testing.T) {
		p, model := startScripted(t, setup{policy: blockRefunds})
		a, b := h.CallChunks(0, 0, refund("call_refused", refundArgs), 3), h.CallChunks(0, 1, read("call_b"), 3)
		chunks := []string{h.Role(0)}
		for i := range a {
			chunks = append(chunks, a[i], b[i])
		}
		model.Next(scripted.Wire{}.Reply(append(chunks, h.Finish(0, "tool_calls"))...))
		r := p.post(newChat("do it").streaming(true).body())
		require.Equal(t, asCalls(read("call_b")), r.read(t).calls)
		require.NotContains(t, r.body, "456")
	})
}

// An upstream that breaks after the finish and before [DONE]: nobody knows what
// it had still to say, so what waited stays.
func TestABreakAfterTheFinishReleasesNothing(t *testing.T) {
	h := scripted.Head{}
	frames := scripted.Wire{NoDone: true}.Bytes(append(append([]string{h.Role(0), h.Text(0, "words")}, h.CallChunks(0, 0, refund("call_1", refundArgs), 2)...), h.Finish(0, "tool_calls"))...)
	for name, end := range map[string]scripted.Step{"cut": scripted.Cut(), "reset": scripted.Reset()} {
		for policy, text := range map[string]string{"held": "", "allowed": allowAll} {
			t.Run(name+"/"+policy, func(t *testing.T) {
				p, model := startScripted(t, setup{policy: text})
				model.Next(scripted.Stream(scripted.Frame(frames), end))
				r := p.post(newChat("Refund it").streaming(true).body())
				got := r.read(t)
				got.silent(t)
				require.NotEmpty(t, got.failed)
				require.False(t, got.done)
				require.NotContains(t, got.text, "approval")
				require.Empty(t, p.records(), "nothing was decided")
			})
		}
	}
}

// [DONE] without a finish: the text is ended for the client, a call is not
// taken for whole.
func TestDoneWithoutAFinish(t *testing.T) {
	h := scripted.Head{}
	p, model := startScripted(t, setup{policy: allowAll})
	model.Next(scripted.Wire{}.Reply(h.Role(0), h.Text(0, "words")))
	r := p.post(newChat("hi").streaming(true).body())
	got := r.choice(t, 0)
	require.Equal(t, "words", got.text)
	require.Equal(t, []string{"stop"}, got.finishes)
	require.Equal(t, "ok", r.read(t).gate)
	require.True(t, r.read(t).done)

	model.Next(scripted.Wire{}.Reply(append([]string{h.Role(0)}, h.CallChunks(0, 0, lookupCall, 2)...)...))
	r = p.post(newChat("hi").streaming(true).body())
	r.read(t).silent(t)
	require.Equal(t, []string{"stop"}, r.choice(t, 0).finishes)
	require.Contains(t, r.read(t).text, "cut off")
	require.Equal(t, "blocked", r.read(t).gate)
}

// An EOF after the finish is an end; an EOF before another choice's finish is
// not, for either of them.
func TestEOFWithoutDone(t *testing.T) {
	h := scripted.Head{}
	p, model := startScripted(t, setup{policy: allowAll})
	for name, chunks := range map[string][]string{"text": {h.Role(0), h.Text(0, "words"), h.Finish(0, "stop")}, "usage behind": {h.Role(0), h.Text(0, "words"), h.Finish(0, "stop"), h.Usage()}} {
		t.Run(name, func(t *testing.T) {
			model.Next(scripted.Wire{NoDone: true}.Reply(chunks...))
			r := p.post(newChat("hi").streaming(true).body())
			sameStream(t, scripted.Wire{}.Bytes(chunks...), r)
			require.True(t, r.read(t).done)
		})
	}
	for name, chunks := range map[string][]string{
		"the other one began":     {h.Role(0), h.Role(1), h.Finish(0, "stop")},
		"the other one has calls": append(append([]string{h.Role(0), h.Finish(0, "stop")}, h.CallChunks(1, 0, lookupCall, 1)...), h.Usage()),
		"nothing at all":          nil,
		"only usage":              {h.Usage()},
	} {
		t.Run(name, func(t *testing.T) {
			model.Next(scripted.Wire{NoDone: true}.Reply(chunks...))
			r := p.post(newChat("hi").streaming(true).with(`,"n":2`).body())
			got := r.read(t)
			got.silent(t)
			require.False(t, got.done)
			if r.status == 200 {
				require.NotEmpty(t, got.failed, r.body)
			} else {
				require.Equal(t, 503, r.status)
			}
		})
	}
}

// Errors of the model's in the middle of its stream, in the shapes they have.
func TestErrorsInTheMiddleOfAStream(t *testing.T) {
	h := scripted.Head{}
	for name, bad := range map[string]string{
		"object":           scripted.StreamError,
		"string":           `{"error":"out of memory"}`,
		"with choices":     strings.Replace(h.Delta(0, `{"content":"x"}`), `{"id"`, `{"error":{"message":"no","code":502},"id"`, 1),
		"behind the calls": scripted.StreamError,
	} {
		t.Run(name, func(t *testing.T) {
			p, model := startScripted(t, setup{policy: allowAll})
			chunks := []string{h.Role(0), h.Text(0, "half")}
			if name == "behind the calls" {
				chunks = append(append(chunks, h.CallChunks(0, 0, lookupCall, 1)...), h.Finish(0, "tool_calls"))
			}
			model.Next(scripted.Wire{}.Reply(append(chunks, bad)...))
			r := p.post(newChat("hi").streaming(true).body())
			got := r.read(t)
			got.silent(t)
			require.Equal(t, "service_unavailable", got.failed)
			require.False(t, got.done)
			require.True(t, strings.Contains(r.body, "\n\ndata: {\"error\":{"))
			require.True(t, strings.HasSuffix(r.body, "}}\n\n"), "the error is the end: %q", r.body)
			require.NotContains(t, r.body, "get_order")
		})
	}
}
