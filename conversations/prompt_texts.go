package conversations

import (
	"fmt"
	"strings"
	"time"
)

// The fixed short texts of the chat, each in one place. Names and messages are
// shown like values in a prompt, hidden characters as escapes. None of them has
// the shape of a prompt.

// Open names an open hold in a text: what it asks for and its tag, if any.
type Open struct {
	Tools []string
	Tag   string
}

// TextDenied answers a no.
func TextDenied(tools ...string) string {
	return "Okay, skipped: " + toolNames(tools) + ". Nothing was done."
}

// TextDeniedInPart answers a no to some items, or a yes to the others: skipped
// were refused, open still wait for an answer.
func TextDeniedInPart(skipped, open []string) string {
	text := "Okay, skipped: " + toolNames(skipped) + "."
	if len(open) > 0 {
		text += " Still waiting for your answer: " + toolNames(open) + "."
	}
	return text
}

// TextBlocked says that a policy does not let a call through.
func TextBlocked(tool, message string) string {
	return withMessage("I cannot "+toolNames([]string{tool})+": a policy blocks it.", message)
}

// TextNowBlocked says that a held call is blocked since the policy changed.
func TextNowBlocked(tool, message string) string {
	return withMessage("The policy changed and now blocks "+toolNames([]string{tool})+": it was not done.", message)
}

// TextClarify asks for the fact that a rule needs; supplier is the offered tool
// that can give it, "" if none can.
func TextClarify(tool, missing, supplier string) string {
	fact, _ := visibleLine(missing)
	text := "Before I can " + toolNames([]string{tool}) + " I need to know: " + fact + "."
	if supplier != "" {
		text += " " + toolNames([]string{supplier}) + " can supply it."
	}
	return text
}

// TextTruncated says that the model did not finish a call.
func TextTruncated(tool string) string {
	return "I cannot " + toolNames([]string{tool}) + ": the model's call was cut off before it was complete. Please ask again."
}

// TextExpired answers an answer that came too late.
func TextExpired(tools ...string) string {
	return "Nothing was done: the request to " + toolNames(tools) + " has expired. Please ask again."
}

// TextAlreadyReleased answers a repeated yes.
func TextAlreadyReleased(at time.Time) string {
	return "This was already released at " + at.UTC().Format(time.RFC3339) + ". Nothing was done again."
}

// TextAlreadyDenied answers an answer to what was refused before.
func TextAlreadyDenied(at time.Time) string {
	return "Nothing was done: this was already skipped at " + at.UTC().Format(time.RFC3339) + ". Please ask again if you want it."
}

// TextSuperseded answers an answer to a prompt that a later message replaced.
func TextSuperseded() string {
	return "Nothing was done: a later message replaced this request. Please ask again."
}

// TextNothingOpen answers an answer where nothing is open.
func TextNothingOpen() string {
	return "Nothing was done: nothing is waiting for your answer here."
}

// TextUnknown answers an answer to a prompt that is not this requester's, or is
// not known at all: the two are not told apart.
func TextUnknown() string {
	return "Nothing was done: I know of no open request of yours for this prompt. Please ask again."
}

// TextRecorded answers a yes that waits for a reviewer as well. escalations are
// the places to decide, as EscalationPlace gives them.
func TextRecorded(escalations ...string) string {
	return "Your yes is recorded. A reviewer must still approve" + places(escalations)
}

// TextStillWaiting answers an answer to what only a reviewer can decide.
func TextStillWaiting(escalations ...string) string {
	return "Nothing was done: this is still waiting for a reviewer, a yes here does not decide it" + places(escalations)
}

// TextDeclined says that a reviewer decided against the calls.
func TextDeclined(tools ...string) string {
	return "A reviewer declined " + toolNames(tools) + ": it was not done."
}

// TextHandledOutside says that a person does it outside of the chat.
func TextHandledOutside(tools ...string) string {
	return "Nothing was done here: " + toolNames(tools) + " is being handled by a person outside of this chat."
}

// TextNeedsTools answers a yes in a request that offers no tools.
func TextNeedsTools() string {
	return "Nothing was done: this request carries no tools, so the approved calls cannot be sent with it. Please answer in a request with the same tools."
}

// TextAmbiguous asks again where one answer could mean several open requests.
func TextAmbiguous(open []Open) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nothing was done: %d requests are open here, and the answer could mean any of them.\n", len(open))
	for _, o := range open {
		b.WriteString("\n- " + toolNames(o.Tools))
		if o.Tag != "" {
			tag, _ := visibleLine(o.Tag)
			b.WriteString(" (Request " + tag + ")")
		}
	}
	b.WriteString("\n\nPlease answer right below the request that you mean.")
	return b.String()
}

// EscalationPlace names where an escalation is decided: "esc_1 at <url>".
func EscalationPlace(id, approveURL string) string { return escalationPlace(id, approveURL) }

func places(escalations []string) string {
	if len(escalations) == 0 {
		return "."
	}
	return ": " + strings.Join(escalations, "; ")
}

func toolNames(tools []string) string {
	names := make([]string, len(tools))
	for i, tool := range tools {
		names[i] = toolName(Item{Tool: tool})
	}
	return strings.Join(names, ", ")
}

func withMessage(text, message string) string {
	if message, _ = showMessage(message); message != "" {
		text += " " + message
	}
	return text
}
