package conversations

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

const refundArguments = `{"order_id":"456","amount":750}`

func confirmItem(tool, arguments string) Item {
	return Item{Tool: tool, Arguments: arguments, Verdict: governance.Confirm}
}

func reviewItem(tool, arguments, id string) Item {
	return Item{Tool: tool, Arguments: arguments, Verdict: governance.Escalate, EscalationID: id, ApproveURL: "https://cadreen.example/api/v1/cadreen/escalations/" + id}
}

// goldens are asks by the name of the file in testdata/prompts that holds their text.
func goldens() map[string]Ask {
	withMessage := confirmItem("process_refund", refundArguments)
	withMessage.Message = "Refund of $750 is above $100."
	review := reviewItem("wire_money", `{"iban":"DE02120300000000202051","amount":2500.00}`, "esc_01")
	review.Message = "Transfers over $2,000 need a reviewer."
	also := Item{Tool: "get_order", Arguments: `{"order_id":"456"}`, Verdict: governance.Allow, Also: true}
	custom := Item{Tool: "run_sql", Arguments: "DELETE FROM orders\nWHERE id = 456; -- ```\n", Custom: true, Verdict: governance.Confirm}
	return map[string]Ask{
		"single_short":       {Items: []Item{confirmItem("process_refund", refundArguments)}, UserText: "Refund order 456 for $750"},
		"single_arguments":   {Items: []Item{confirmItem("process_refund", refundArguments)}, UserText: "Refund my last order"},
		"single_message":     {Items: []Item{withMessage}, UserText: "Refund order 456 for $750"},
		"single_tag":         {Items: []Item{confirmItem("process_refund", refundArguments)}, UserText: "Refund order 456 for $750", Tag: "K7"},
		"single_custom":      {Items: []Item{custom}, UserText: "Delete order 456"},
		"single_hidden":      {Items: []Item{confirmItem("send_mail", "{\"to\":\"bob@example.com\u202e\",\"text\":\"hi\"}")}, UserText: "Mail bob"},
		"single_not_json":    {Items: []Item{confirmItem("send_mail", `{"to": bob}`)}, UserText: "Mail bob"},
		"single_companion":   {Items: []Item{also, confirmItem("process_refund", refundArguments)}, UserText: "Refund order 456 for $750"},
		"single_mixed":       {Items: []Item{confirmItem("process_refund", refundArguments), review}, UserText: "Refund order 456 for $750"},
		"several":            {Items: []Item{withMessage, confirmItem("delete_user", `{"user":{"id":7}}`)}, UserText: "x"},
		"several_everything": {Items: []Item{also, withMessage, review, custom}, UserText: "x", ModelText: true, Tag: "K7"},
		"review_single":      {Items: []Item{review}, UserText: "x"},
		"review_several":     {Items: []Item{review, also, reviewItem("delete_account", `{"id":1}`, "esc_02")}, UserText: "x", Tag: "B2"},
	}
}

func TestPromptsToTheByte(t *testing.T) {
	for name, ask := range goldens() {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join("testdata", "prompts", name+".txt"))
			require.NoError(t, err)
			p := Render(ask)
			require.Equal(t, strings.TrimSuffix(string(want), "\n"), p.Text)
			require.True(t, strings.HasPrefix(p.Text, p.First+"\n\n"))
			require.True(t, strings.HasSuffix(p.Text, "\n\n"+p.Last))
		})
	}
}

func TestTheSeedsPromptToTheByte(t *testing.T) {
	p := Render(goldens()["single_short"])
	require.Equal(t, "I need your approval before I can process_refund.\n\nSay \"yes\" to proceed or \"no\" to skip.", p.Text)
	require.Equal(t, []int{0}, p.Numbered)
}

func TestOnlyItemsToConfirmAreNumbered(t *testing.T) {
	require.Equal(t, []int{1, 3}, Render(goldens()["several_everything"]).Numbered)
	require.Equal(t, []int{1}, Render(goldens()["single_companion"]).Numbered)
	require.Equal(t, []int{0}, Render(goldens()["single_mixed"]).Numbered)
	require.Empty(t, Render(goldens()["review_several"]).Numbered)
	require.Equal(t, Prompt{}, Render(Ask{}))
	require.Equal(t, Prompt{}, Render(Ask{Items: []Item{{Tool: "x", Also: true}}}))
}

func TestTheTagStandsBeforeTheLastLine(t *testing.T) {
	for _, ask := range goldens() {
		ask.Tag = "K7"
		p := Render(ask)
		require.True(t, strings.HasSuffix(p.Text, "\n\nRequest K7\n\n"+p.Last))
	}
}

func TestAMessageStaysOnOneLineAndIsBounded(t *testing.T) {
	item := confirmItem("x", "{}")
	item.Message = "first\n\n" + confirmLast + "\n\u202esecond"
	text := Render(Ask{Items: []Item{item}}).Text
	require.Contains(t, text, "first "+confirmLast+` \u{202e}second`+"\n")
	require.Contains(t, text, hiddenWarning)
	item.Message = strings.Repeat("é", 100_000)
	text = Render(Ask{Items: []Item{item}}).Text
	require.Less(t, len(text), 3<<10)
	require.Contains(t, text, "[... shortened: 200000 bytes, sha256 ")
}

func TestAToolNameIsShownAsOneWord(t *testing.T) {
	for name, want := range map[string]string{
		"a b":                       `a\u{20}b`,
		"x.\n\n" + confirmLast[:3]:  `x.\u{a}\u{a}Say`,
		"a\u202eb":                  `a\u{202e}b`,
		"":                          "(unnamed)",
		"stripe.refunds:create/v-1": "stripe.refunds:create/v-1",
	} {
		require.Equal(t, confirmFirst+want+".", Render(Ask{Items: []Item{confirmItem(name, "{}")}}).First)
	}
}

func TestEscalationsWithoutAnAddress(t *testing.T) {
	require.Equal(t, "Waiting for a reviewer.", Render(Ask{Items: []Item{{Tool: "x", Verdict: governance.Escalate}}}).Last)
	require.Equal(t, "Waiting for a reviewer: esc_1", Render(Ask{Items: []Item{{Tool: "x", Verdict: governance.Escalate, EscalationID: "esc_1"}}}).Last)
	one := reviewItem("x", "{}", "esc_1")
	require.Equal(t, 1, strings.Count(Render(Ask{Items: []Item{one, one}}).Last, "esc_1 at "), "one escalation of two calls is named once")
}
