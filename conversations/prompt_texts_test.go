package conversations

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func jsonString(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return string(b)
}

// shortTexts are all of them, with s wherever somebody else's words go.
func shortTexts(s string) []string {
	at := time.Date(2026, 11, 22, 5, 4, 3, 0, time.FixedZone("", 3600))
	return []string{
		TextDenied(s), TextDeniedInPart([]string{s}, []string{s}), TextBlocked("x", s), TextNowBlocked("x", s), TextClarify("x", s, s), TextTruncated(s),
		TextExpired(s), TextAlreadyReleased(at), TextAlreadyDenied(at), TextSuperseded(), TextNothingOpen(), TextUnknown(), TextRecorded(EscalationPlace("esc_1", s)),
		TextStillWaiting(EscalationPlace(s, "")), TextDeclined(s), TextHandledOutside(s), TextNeedsTools(), TextAmbiguous([]Open{{Tools: []string{s}, Tag: s}}),
	}
}

func TestShortTexts(t *testing.T) {
	at := time.Date(2026, 11, 22, 5, 4, 3, 0, time.FixedZone("", 3600))
	for want, have := range map[string]string{
		"Okay, skipped: process_refund. Nothing was done.":                                             TextDenied("process_refund"),
		"Okay, skipped: a, b. Nothing was done.":                                                       TextDenied("a", "b"),
		"Okay, skipped: b.":                                                                            TextDeniedInPart([]string{"b"}, nil),
		"Okay, skipped: b. Still waiting for your answer: a, c.":                                       TextDeniedInPart([]string{"b"}, []string{"a", "c"}),
		"I cannot delete_user: a policy blocks it.":                                                    TextBlocked("delete_user", ""),
		"I cannot delete_user: a policy blocks it. Users are never deleted.":                           TextBlocked("delete_user", "Users are\nnever deleted."),
		"The policy changed and now blocks delete_user: it was not done.":                              TextNowBlocked("delete_user", ""),
		"Before I can process_refund I need to know: the order. get_order can supply it.":              TextClarify("process_refund", "the order", "get_order"),
		"Before I can process_refund I need to know: the order.":                                       TextClarify("process_refund", "the order", ""),
		"Nothing was done: the request to process_refund has expired. Please ask again.":               TextExpired("process_refund"),
		"This was already released at 2026-11-22T04:04:03Z. Nothing was done again.":                   TextAlreadyReleased(at),
		"Your yes is recorded. A reviewer must still approve: esc_1 at https://x.example/1":            TextRecorded(EscalationPlace("esc_1", "https://x.example/1")),
		"Your yes is recorded. A reviewer must still approve.":                                         TextRecorded(),
		"A reviewer declined wire_money: it was not done.":                                             TextDeclined("wire_money"),
		"Nothing was done here: wire_money is being handled by a person outside of this chat.":         TextHandledOutside("wire_money"),
		"I cannot wire_money: the model's call was cut off before it was complete. Please ask again.":  TextTruncated("wire_money"),
		"Nothing was done: this is still waiting for a reviewer, a yes here does not decide it: esc_1": TextStillWaiting("esc_1"),
		"Nothing was done: 2 requests are open here, and the answer could mean any of them.\n\n- a, b (Request K7)\n- c\n\nPlease answer right below the request that you mean.": TextAmbiguous([]Open{{Tools: []string{"a", "b"}, Tag: "K7"}, {Tools: []string{"c"}}}),
	} {
		require.Equal(t, want, have)
	}
}

func TestShortTextsShowNothingHidden(t *testing.T) {
	for _, text := range shortTexts("a\u202e\u200bb\x1b") {
		before := rune(0)
		for _, r := range text {
			require.False(t, isHidden(r) && !dressesEmoji(before, r), "%q", text)
			before = r
		}
	}
}
