package rule_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
	"cadreen/governance/rule"
)

func TestParaphrasesBecomeTheSameRule(t *testing.T) {
	for _, same := range [][]string{
		{"Refunds over $100 need approval", "Ask first if a refund is over $100", "If a refund is over $100, ask first", "refunds of more than 100 dollars require confirmation",
			"process_refund above $100.00 must be approved", "Refunds need approval if the amount exceeds $100", "Refunds over $0.1k need the user’s approval", "REFUNDS OVER $100 NEED APPROVAL!"},
		{"Never delete orders", "Deleting an order is not allowed", "Block delete_order", "Don’t delete orders.", "delete_order is forbidden"},
		{"Only admins may delete customers", "Delete customers only if the requester is an admin", "Block delete_customer if the requester is not an admin"},
		{"Send email only to addresses the user gave", "Never send email to an address the user did not give", "Never send an email to an address not given by the user"},
		{"Refunds on weekends UTC need approval", "On Saturdays and Sundays UTC, refunds need approval"},
	} {
		first, err := rule.Compile(same[0], tools(t))
		require.NoError(t, err)
		require.Empty(t, first.Questions)
		for _, says := range same[1:] {
			other, err := rule.Compile(says, tools(t))
			require.NoError(t, err, says)
			require.Equal(t, first, other, says)
		}
	}
}

// Each of these could be read as something milder or other than it says.
func TestNoSentenceIsReadAsSomethingElse(t *testing.T) {
	for _, says := range []string{
		"Not all refunds need approval", "Never block refunds", "No approval is needed for refunds under $5", "Allow no refunds over $100", "Refunds without approval are blocked",
		"Never refund more than $500 without approval", "Refunds over $100 must not be approved", "Admins may not refund", "Customers may not delete orders",
		"Do not allow refunds over $100 unless a manager approves", "Refunds to refund leads need approval", "Refund orders over $100 need approval",
		"Refunds over $100 and charge_card over $5 need approval", "Refunds need approval from the user or a manager", "send_email to the user is allowed",
		"Refunds over $100 are blocked when the user did not give", "Refunds over $100, $200 need approval", "Refunds need approval, deletes a manager's",
		"Refunds are allowed and blocked", "Refunds need approval or are blocked", "Unless refunds need approval", "Refunds only only over $100", "Refunds over $100 over need approval",
	} {
		result, err := rule.Compile(says, tools(t))
		if err == nil {
			require.NotEmpty(t, result.Questions, "%s: %+v", says, result)
		}
	}
}

func TestARuleBoundsWhatItsSentenceMeans(t *testing.T) {
	result, err := rule.CompileRule(governance.Rule{Condition: "Over $100", Tools: []string{"process_*"}, When: []governance.Line{{Effect: governance.Confirm}}}, tools(t))
	require.NoError(t, err)
	require.Equal(t, []string{"process_*"}, result.Tools)
	require.Equal(t, []governance.Line{{If: "args.amount > 100", Effect: governance.Confirm}}, result.When)

	// The tool that was called before need not be one of the rule's.
	result, err = rule.CompileRule(governance.Rule{Condition: "Only after get_order", Tools: []string{"process_refund"}}, tools(t))
	require.NoError(t, err)
	require.Equal(t, `!called("get_order")`, result.When[0].If)
	require.Equal(t, []string{"process_refund"}, result.Tools)
	require.Contains(t, result.ReadBack, "in every other case allow")

	result, err = rule.CompileRule(governance.Rule{Condition: "Only after get_order", Tools: []string{"process_refund"}, Else: "profile", Unless: `"admin" in requester.roles`}, tools(t))
	require.NoError(t, err)
	require.Contains(t, result.ReadBack, "the profile decides")
	require.Contains(t, result.ReadBack, `none of this if "admin" in requester.roles`)

	_, err = rule.CompileRule(governance.Rule{Condition: "Never delete orders", Tools: []string{"process_refund"}}, tools(t))
	var words *rule.NotUnderstood
	require.ErrorAs(t, err, &words)
}

func TestArgumentsWithOddNamesAreIndexed(t *testing.T) {
	odd := []governance.Tool{{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"in":{"type":"string","description":"The target"},"total-amount":{"type":"number"}}}`)}}
	evaluator, err := cel.New()
	require.NoError(t, err)
	for says, want := range map[string]string{
		"pay over $5 needs approval":                       `args["total-amount"] > 5`,
		"pay to a target the user did not give is blocked": `!from_user(args["in"])`,
	} {
		result, err := rule.Compile(says, odd)
		require.NoError(t, err)
		require.Empty(t, result.Questions)
		require.Equal(t, want, result.When[0].If)
		_, err = evaluator.Compile(want, odd[0].Schema)
		require.NoError(t, err)
	}
}

func TestAmountsFollowTheDescription(t *testing.T) {
	pay := func(description string) []governance.Tool {
		return []governance.Tool{{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"amount":{"type":"integer","description":"` + description + `"}}}`)}}
	}
	for description, want := range map[string]string{"How much": "args.amount > 5", "In cents": "args.amount > 500", "In minor units": "args.amount > 500", "In US dollars": "args.amount > 5"} {
		result, err := rule.Compile("pay over $5 needs approval", pay(description))
		require.NoError(t, err, description)
		require.Equal(t, want, result.When[0].If, description)
	}
	result, err := rule.Compile("pay over $5 needs approval", pay("In dollars, not cents"))
	require.NoError(t, err)
	require.Contains(t, result.Questions[0].Text, "in whole units or in cents")
	_, err = rule.Compile("pay over $5 needs approval", pay("In euros"))
	require.Error(t, err)
}

func TestALongSentenceIsRefused(t *testing.T) {
	_, err := rule.Compile(strings.Repeat("refunds ", 300), tools(t))
	var words *rule.NotUnderstood
	require.ErrorAs(t, err, &words)
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
		result, err := rule.Compile(says, given)
		var words *rule.NotUnderstood
		var later *rule.NotInThisVersion
		switch {
		case errors.As(err, &words):
			texts(t, says, words.Words)
		case errors.As(err, &later):
			texts(t, says, later.Words)
		case err != nil:
			t.Fatal(err)
		case len(result.Questions) == 0:
			for _, l := range result.When {
				if _, err := evaluator.Compile(l.If, nil); err != nil || l.Effect == 0 {
					t.Fatalf("%q became %+v: %v", says, result, err)
				}
			}
			if result.Unless != "" {
				if _, err := evaluator.Compile(result.Unless, nil); err != nil {
					t.Fatalf("%q became %+v: %v", says, result, err)
				}
			}
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	given := tools(b)
	for b.Loop() {
		if _, err := rule.Compile("Unless the requester is a refund lead, refunds over $50 need approval, over $500 a manager's", given); err != nil {
			b.Fatal(err)
		}
	}
}
