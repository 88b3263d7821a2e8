package rule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/governance/rule"
)

// Each of these could be read as something milder or other than it says.
func TestNoSentenceIsReadAsSomethingElse(t *testing.T) {
	for _, says := range []string{
		"Not all refunds need approval", "Never block refunds", "No approval is needed for refunds under $5", "Allow no refunds over $100", "Refunds without approval are allowed unless a manager approves",
		"Refunds over $100 must not be approved", "Customers may not delete orders",
		"Refunds to refund leads need approval", "Refund orders over $100 need approval",
		"Refunds over $100 and charge_card over $5 need approval", "Refunds need approval from the user or a manager", "send_email to the user is allowed",
		"Refunds over $100 are blocked when the user did not give", "Refunds over $100, $200 need approval", "Refunds need approval, deletes a manager's",
		"Refunds are allowed and blocked", "Refunds need approval or are blocked", "Unless refunds need approval", "Refunds only only over $100", "Refunds over $100 over need approval",
	} {
		result := rule.Compile(says, tools(t), nil)
		require.Error(t, result.Err(), "%s: %s", says, result.ReadBack)
	}
}

func TestARuleBoundsWhatItsSentenceMeans(t *testing.T) {
	result := rule.CompileRule(governance.Rule{Condition: "Over $100", Tools: []string{"process_*"}, When: []governance.Line{{Effect: governance.Confirm}}}, tools(t), nil)
	require.NoError(t, result.Err())
	require.Equal(t, []string{"process_*"}, result.Rule.Tools)
	require.Equal(t, []governance.Line{{If: "args.amount > 100", Effect: governance.Confirm}}, result.Rule.When)

	// The tool that was called before need not be one of the rule's.
	result = rule.CompileRule(governance.Rule{Condition: "Only after get_order", Tools: []string{"process_refund"}}, tools(t), nil)
	require.NoError(t, result.Err())
	require.Equal(t, `!called("get_order")`, result.Rule.When[0].If)
	require.Equal(t, []string{"process_refund"}, result.Rule.Tools)
	require.Contains(t, result.ReadBack, "in every other case allow")

	result = rule.CompileRule(governance.Rule{Condition: "Only after get_order", Tools: []string{"process_refund"}, Else: "profile", Unless: `"admin" in requester.roles`}, tools(t), nil)
	require.NoError(t, result.Err())
	require.Contains(t, result.ReadBack, "the profile decides")
	require.Contains(t, result.ReadBack, `none of this if "admin" in requester.roles`)

	result = rule.CompileRule(governance.Rule{Condition: "Never delete orders", Tools: []string{"process_refund"}}, tools(t), nil)
	require.NotEmpty(t, result.Unknown)
}

func TestArgumentsWithOddNamesAreIndexed(t *testing.T) {
	odd := []governance.Tool{{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"in":{"type":"string","description":"The target"},"total-amount":{"type":"number"}}}`)}}
	evaluator, err := cel.New()
	require.NoError(t, err)
	for says, want := range map[string]string{
		"pay over $5 needs approval":                       `args["total-amount"] > 5`,
		"pay to a target the user did not give is blocked": `!from_user(args["in"])`,
	} {
		result := rule.Compile(says, odd, nil)
		require.NoError(t, result.Err())
		require.Equal(t, want, result.Rule.When[0].If)
		_, err = evaluator.Compile(want, odd[0].Schema)
		require.NoError(t, err)
	}
}

func TestAmountsFollowTheDescription(t *testing.T) {
	pay := func(description string) []governance.Tool {
		return []governance.Tool{{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"amount":{"type":"integer","description":"` + description + `"}}}`)}}
	}
	for description, want := range map[string]string{"How much": "args.amount > 5", "In cents": "args.amount > 500", "In minor units": "args.amount > 500", "In US dollars": "args.amount > 5"} {
		result := rule.Compile("pay over $5 needs approval", pay(description), nil)
		require.NoError(t, result.Err(), description)
		require.Equal(t, want, result.Rule.When[0].If, description)
	}
	result := rule.Compile("pay over $5 needs approval", pay("In dollars, not cents"), nil)
	require.Contains(t, result.Questions[0].Text, "in whole units or in cents")
	require.NotEmpty(t, rule.Compile("pay over $5 needs approval", pay("In euros"), nil).Unknown)
}

func TestALongSentenceIsRefused(t *testing.T) {
	result := rule.Compile(strings.Repeat("refunds ", 300), tools(t), nil)
	require.NotEmpty(t, result.Unknown)
}

// Whatever is understood is CEL that compiles; whatever is not is named where it stands.
func FuzzCompile(f *testing.F) {
	for _, g := range read[[]group](f, "sentences.yaml") {
		for _, s := range g.Sentences {
			f.Add(s.Says)
		}
	}
	for _, r := range read[[]refusal](f, "refused.yaml") {
		f.Add(r.Says)
	}
	evaluator, err := cel.New()
	require.NoError(f, err)
	given := tools(f)
	f.Fuzz(func(t *testing.T, says string) {
		result := rule.Compile(says, given, nil)
		texts(t, says, result.Unknown)
		if !result.OK() {
			return
		}
		expressions := []string{result.Rule.Unless}
		for _, l := range result.Rule.When {
			if expressions = append(expressions, l.If); l.Effect == 0 {
				t.Fatalf("%q has no effect: %+v", says, result)
			}
		}
		for _, e := range expressions {
			if _, err := evaluator.Compile(e, nil); err != nil && e != "" {
				t.Fatalf("%q became %+v: %v", says, result, err)
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	few := tools(b)
	many := few
	for i := range 200 - len(few) {
		t := few[i%len(few)]
		t.Name = fmt.Sprintf("archive_thing%d", i)
		many = append(many, t)
	}
	for name, given := range map[string][]governance.Tool{"tools=few": few, "tools=200": many} {
		b.Run(name, func(b *testing.B) {
			for _, says := range []string{
				"Unless the requester is a refund lead, refunds over $50 need approval, over $500 a manager's",
				"No more than 3 refunds per customer per day unless the order was looked up first",
			} {
				require.NoError(b, rule.Compile(says, given, nil).Err())
			}
			for b.Loop() {
				if err := rule.Compile("Unless the requester is a refund lead, refunds over $50 need approval, over $500 a manager's", given, nil).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
