package governance_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestEverySpellingOfAnEffectIsStoredCanonically(t *testing.T) {
	for want, words := range map[string]string{"allow": "allow auto auto_approve auto_complete approve", "confirm": "confirm handoff require_human_approval require_approval",
		"clarify": "clarify clarify_requester", "escalate": "escalate", "block": "block deny forbid abstain"} {
		for _, word := range strings.Fields(words) {
			v, err := governance.ParseVerdict(word)
			require.NoError(t, err)
			stored, err := v.MarshalText()
			require.NoError(t, err)
			require.Equal(t, want, string(stored), word)
		}
	}
	for _, word := range []string{"", "Allow", "allow ", "yes", "none"} {
		_, err := governance.ParseVerdict(word)
		require.Error(t, err, word)
	}
}

func TestToolNamesHaveOneAlphabetAndABound(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "A-z_0.9:/x": true, strings.Repeat("x", governance.MaxNameLength): true, strings.Repeat("x", governance.MaxNameLength+1): false,
		"": false, "a b": false, "a\n": false, "a\u200b": false, "é": false, "a*": false, "a\x00": false} {
		require.Equal(t, want, governance.ValidName(name), "%q", name)
		if !want {
			d := policyBundle(t, "name: p\nrules: [{tools: ['a*'], when: 'true', effect: allow}]", governance.Observe).Judge(offer(name), function(name, `{}`))
			require.Equal(t, []any{governance.Block, governance.ReasonBadName}, []any{d.Verdict, d.Reason}, "%q", name)
		}
	}
}

// The message is shown above a yes/no question: no value may end it, hide in it,
// or be read as a placeholder.
func TestMessagesShowHostileValuesSafely(t *testing.T) {
	b := policyBundle(t, `
name: p
config: {limit: 1000000000000000000000, words: [a, "<b>"], secret: s3cret}
rules:
  - {id: a, tools: [pay], when: "true", effect: confirm, message: "${args.x}|${call.name}|${config.limit}|${config.words}|${requester.id}"}
`, "")
	facts := offer("pay")
	facts.Requester.ID = "key_1/\u202euser"
	for args, want := range map[string]string{
		`{"x":"a\n\nSay \"yes\" to proceed"}`:                `a\u000A\u000ASay "yes" to proceed`,
		`{"x":"a\r\u0000\u001b[2J\u0085"}`:                   `a\u000D\u0000\u001B[2J\u0085`,
		`{"x":"\u202e\u2066\u200b\u200d\ufeff\u00ad\u2028"}`: `\u202E\u2066\u200B\u200D\uFEFF\u00AD\u2028`,
		`{"x":"\ud83d\ude00\ufe0f\udb40\udc41\ue000"}`:       "\U0001F600" + `\uFE0F\U000E0041\uE000`,
		`{"x":"${config.secret} ${args.x}"}`:                 `${config.secret} ${args.x}`,
		`{"x":{"b":"\u202e","a":[1.50,true,null]}}`:          `{"a":[1.5,true,null],"b":"\u202E"}`,
		`{"x":1e21}`:             `1000000000000000000000`,
		`{"x":0.000000010}`:      `0.00000001`,
		`{"x":9007199254740993}`: `9007199254740993`,
		`{"x":1e400}`:            `1e400`,
		`{"x":"` + strings.Repeat("é", 500) + `"}`:   strings.Repeat("é", 128) + "…",
		`{"x":["` + strings.Repeat("y", 500) + `"]}`: `["` + strings.Repeat("y", 254) + "…",
		`{"x":null}`: `null`,
		`{"x":` + strings.Repeat("9", 300) + `.` + `5` + `}`: strings.Repeat("9", 256) + "…",
		`{"x":` + strings.Repeat("9", 300) + `}`:             strings.Repeat("9", 256) + "…",
		`{"x":false}`:                                        `false`,
		`{"x":""}`:                                           ``,
		"{\"x\":\"\u0301\u0301a\"}":                          "\u0301\u0301a",
		`{"x":"` + "```" + `"}`:                              "```",
	} {
		d := b.Judge(facts, function("pay", args))
		require.Equal(t, want+`|pay|1000000000000000000000|["a","<b>"]|key_1/\u202Euser`, d.Message, args)
		require.Equal(t, governance.Confirm, d.Verdict)
	}
	d := b.Judge(facts, function("pay", `{"y":"\u202e"}`))
	require.Equal(t, "${args.x}|${call.name}|${config.limit}|${config.words}|${requester.id}", d.Message, "a placeholder without a value")
}

func TestAMessageLooksIntoObjectsByName(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [pay], when: "true", effect: confirm, message: "to ${args.to.name}"}
`, "")
	require.Equal(t, "to Ada", b.Judge(offer("pay"), function("pay", `{"to":{"n":1,"name":"Ada"},"name":"Eve"}`)).Message)
	for _, args := range []string{`{"to":"Ada"}`, `{"to":[{"name":"Ada"}]}`, `{"name":"Ada"}`, `{"to":{}}`, `{"to":{"nam":{"name":"Eve"}}}`} {
		require.Equal(t, "to ${args.to.name}", b.Judge(offer("pay"), function("pay", args)).Message, args)
	}
}

func TestAnErrorInShadowIsRecordedAndDecidesNothing(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [get_order], when: "args.absent > 1", effect: block, mode: shadow}
`, "")
	d := b.Judge(offer("get_order"), function("get_order", `{}`))
	require.Equal(t, []any{governance.Allow, governance.ReasonProfile}, []any{d.Verdict, d.Reason})
	require.Len(t, d.Fired, 1)
	require.Equal(t, []any{governance.Block, governance.Shadow, false}, []any{d.Fired[0].Effect, d.Fired[0].Mode, d.Fired[0].Determining})
	require.NotEmpty(t, d.Fired[0].Error)
}

// panicking is an evaluator whose conditions all break down.
type panicking struct{}

func (panicking) Compile(string, []byte) (governance.Program, error) { return panicking{}, nil }
func (panicking) Eval(*governance.Input) (bool, error)               { panic("broken") }
func (panicking) Reads() governance.Reads                            { return governance.Reads{} }

func TestAnEvaluatorThatPanicsIsAnErrorLikeAnyOther(t *testing.T) {
	rules := []governance.Rule{{ID: "a", Tools: []string{"pay"}, When: []governance.Line{{If: "x", Effect: governance.Allow}, {If: "y", Effect: governance.Escalate, To: "role:finance"}}, Unless: "z"}}
	b, err := governance.NewBundle([]governance.Policy{{Name: "p", Rules: rules}}, governance.Options{Evaluator: panicking{}})
	require.NoError(t, err)
	d := b.Judge(offer("pay"), function("pay", `{}`))
	require.Equal(t, []any{governance.Escalate, governance.ReasonError, "role:finance"}, []any{d.Verdict, d.Reason, d.To})
	require.Contains(t, d.Fired[0].Error, "broken")
	require.Contains(t, d.Fired[0].UnlessError, "broken")
}

// What one decision works in is used again by the next; nothing of it may be seen.
func TestDecisionsShareNoFacts(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: a, tools: [pay], when: 'from_user(args.to) && called("check", {"to": args.to}) && (!has(args.extra) || args.extra.note == args.to)', effect: allow, else: allow, message: "${args.to}"}
  - {id: b, tools: [pay], when: 'args.to != requester.id || has(args.leak)', effect: confirm, message: "${args.to} ${requester.id}"}
`, "")
	first := offer("pay", "check")
	first.Requester.ID = "me"
	kept := b.Decide(first, []governance.Call{function("pay", `{"to":"first","leak":"secret"}`)})
	message, digest := kept[0].Message, kept[0].ArgsDigest

	var wait sync.WaitGroup
	wrong := make(chan string, 8)
	for g := range 8 {
		wait.Go(func() {
			for i := range 200 {
				who := fmt.Sprintf("user-%d-%d", g, i)
				facts := offer("pay", "check")
				facts.Requester.ID = who
				facts.UserTexts = []string{"pay " + who}
				calls := []governance.Call{function("check", `{"to":"`+who+`"}`), function("pay", `{"to":"`+who+`","extra":{"note":"`+who+`"}}`), function("pay", `{"to":"someone"}`),
					function("pay", `{"to":`), function("pay", ``)}
				want := []governance.Verdict{governance.Allow, governance.Allow, governance.Confirm, governance.Block, governance.Confirm}
				for j, d := range b.Decide(facts, calls) {
					if d.Verdict != want[j] || d.ArgsDigest != governance.ActionDigest(calls[j]) || strings.Contains(d.Message, "secret") {
						wrong <- fmt.Sprintf("%s, call %d: %s %s %q", who, j, d.Verdict, d.Detail, d.Message)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	close(wrong)
	for text := range wrong {
		t.Error(text)
	}
	require.Equal(t, []string{message, digest}, []string{kept[0].Message, kept[0].ArgsDigest})
	require.Equal(t, "first me", message)
}

// The position of a call in its turn, among those of its own choice.
func TestIndexAndCountAreThoseOfTheChoice(t *testing.T) {
	b := policyBundle(t, `
name: p
rules:
  - {id: third, tools: [pay], when: "call.index >= 2", effect: block}
  - {id: many, tools: [pay], when: "call.count > 3", effect: escalate}
`, "")
	var calls []governance.Call
	for i := range 5 {
		c := function("pay", `{}`)
		c.Choice = i % 2
		calls = append(calls, c)
	}
	var got []governance.Verdict
	for _, d := range b.Decide(offer("pay"), calls) {
		got = append(got, d.Verdict)
	}
	require.Equal(t, []governance.Verdict{governance.Allow, governance.Allow, governance.Allow, governance.Allow, governance.Block}, got)
	got = nil
	for _, d := range b.Decide(offer("pay"), append(calls, function("pay", `{}`))) {
		got = append(got, d.Verdict)
	}
	require.Equal(t, governance.Escalate, got[0])
	require.Equal(t, governance.Allow, got[1])
}
