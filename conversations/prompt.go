package conversations

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cadreen/governance"
)

// Item is one call of a held turn.
type Item struct {
	Tool string
	// Arguments is the decoded JSON text of a function call, as stored, or the
	// input of a custom tool.
	Arguments string
	Custom    bool   // Arguments is the input of a custom tool
	Message   string // the rules' message, may be empty
	// Verdict is Confirm (the requester answers) or Escalate (a reviewer decides).
	Verdict governance.Verdict
	// EscalationID and ApproveURL name the escalation of an Escalate item.
	EscalationID, ApproveURL string
	// Also: an allowed call that only waits with its turn. It is named and needs
	// no answer, whatever Verdict says.
	Also bool
}

// Ask is everything a prompt depends on.
type Ask struct {
	Items    []Item
	UserText string // the last user message, its text parts joined
	// ModelText: the model wrote text before the calls; it stands above the prompt.
	ModelText bool
	// Tag tells this prompt from an equal one that is open, such as "K7"; "" for none.
	Tag string
}

// Prompt is what the requester reads.
type Prompt struct {
	Text string
	// Numbered are the indexes in Ask.Items of the items that an answer can name,
	// in the order of their numbers: Numbered[0] is number 1. They are the Confirm
	// items; a single one has no visible number and still is number 1.
	Numbered []int
	// First and Last are the first and the last line of Text.
	First, Last string
}

// The fixed words of prompts. recognise.go knows a prompt by them.
const (
	confirmFirst  = "I need your approval before I can "
	reviewFirst   = "A reviewer must approve before I can "
	severalPrefix = "make these "
	severalSuffix = " calls"

	confirmLast = `Say "yes" to proceed or "no" to skip.`
	severalLast = `Say "yes" to proceed with all, "no" to skip all, or the numbers to proceed with, such as "1,2".`
	severalHint = `To skip one and leave the rest open, say "no" and its number, such as "no 2".`
	reviewLast  = "Waiting for a reviewer"

	hiddenWarning = `Warning: this contains hidden characters, shown as escapes such as \u{200b}.`
)

// Render writes the prompt of a held turn. One call to confirm gives the single
// form, several the numbered form; where only reviewers are awaited the text says
// so and asks nothing. Calls that wait with the turn, and calls that a reviewer
// must approve, are listed without a number. Values are shown in full up to 8 KB
// each, hidden characters as escapes; the short form, without values, is used
// only where shortForm allows it. An Ask without a call that waits for somebody
// gives the zero Prompt.
func Render(a Ask) Prompt {
	var confirm, review, also []int
	for i, item := range a.Items {
		switch {
		case item.Also:
			also = append(also, i)
		case item.Verdict == governance.Escalate:
			review = append(review, i)
		default:
			confirm = append(confirm, i)
		}
	}
	p := Prompt{Numbered: confirm}
	var paragraphs []string
	switch {
	case len(confirm) == 1:
		item := a.Items[confirm[0]]
		p.First, p.Last = confirmFirst+toolName(item)+".", confirmLast
		if !shortForm(a) {
			paragraphs = append(paragraphs, details(item)...)
		}
		paragraphs = append(paragraphs, alsoReviewed(a.Items, review)...)
	case len(confirm) > 1:
		p.First, p.Last = confirmFirst+severalCalls(len(confirm))+".", severalLast
		for n, i := range confirm {
			paragraphs = append(paragraphs, strconv.Itoa(n+1)+". "+toolName(a.Items[i]))
			paragraphs = append(paragraphs, details(a.Items[i])...)
		}
		paragraphs = append(paragraphs, alsoReviewed(a.Items, review)...)
	case len(review) == 1:
		item := a.Items[review[0]]
		p.First, p.Last = reviewFirst+toolName(item)+".", waitingLine(a.Items, review)
		paragraphs = details(item)
	case len(review) > 1:
		p.First, p.Last = reviewFirst+severalCalls(len(review))+".", waitingLine(a.Items, review)
		for _, i := range review {
			paragraphs = append(paragraphs, "- "+toolName(a.Items[i]))
			paragraphs = append(paragraphs, details(a.Items[i])...)
		}
	default:
		return Prompt{}
	}
	if len(also) > 0 {
		paragraphs = append(paragraphs, companions(a.Items, also))
	}
	if len(confirm) > 1 {
		paragraphs = append(paragraphs, severalHint)
	}
	if a.Tag != "" {
		tag, _ := visibleLine(a.Tag)
		paragraphs = append(paragraphs, "Request "+tag)
	}
	p.Text = strings.Join(append(append([]string{p.First}, paragraphs...), p.Last), "\n\n")
	return p
}

// details are the paragraphs that show what a call would do and why it is asked.
func details(item Item) []string {
	var paragraphs []string
	message, hidden := showMessage(item.Message)
	if message != "" {
		paragraphs = append(paragraphs, message)
	}
	value := showArguments(item.Arguments, item.Custom)
	paragraphs = append(paragraphs, fence(value))
	if value.note != "" {
		paragraphs = append(paragraphs, value.note)
	}
	if value.hidden || hidden {
		paragraphs = append(paragraphs, hiddenWarning)
	}
	return paragraphs
}

// alsoReviewed are the paragraphs about calls of the turn that a reviewer must
// approve beside the requester's answer.
func alsoReviewed(items []Item, review []int) []string {
	if len(review) == 0 {
		return nil
	}
	paragraphs := []string{"A reviewer must also approve the following; your answer does not cover it."}
	for _, i := range review {
		paragraphs = append(paragraphs, "- "+toolName(items[i]))
		paragraphs = append(paragraphs, details(items[i])...)
	}
	return append(paragraphs, waitingLine(items, review))
}

func companions(items []Item, also []int) string {
	names := make([]string, len(also))
	for n, i := range also {
		names[n] = toolName(items[i])
	}
	return "Already allowed, waiting to go along: " + strings.Join(names, ", ") + "."
}

// waitingLine names the escalations: "Waiting for a reviewer: esc_1 at <url>; …".
func waitingLine(items []Item, review []int) string {
	var places []string
	named := map[string]bool{}
	for _, i := range review {
		place := escalationPlace(items[i].EscalationID, items[i].ApproveURL)
		if place != "" && !named[place] {
			named[place] = true
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		return reviewLast + "."
	}
	return reviewLast + ": " + strings.Join(places, "; ")
}

// escalationPlace is "esc_1 at <url>".
func escalationPlace(id, url string) string {
	id, url = placeWord(id), placeWord(url)
	if id == "" || url == "" {
		return id + url
	}
	return id + " at " + url
}

// placeWord percent-encodes what is not plain in an address, so that the end of
// the word is plain too: recognise.go knows the last line by such words.
func placeWord(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if isPlaceByte(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func isPlaceByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:/?#[]@$&+,=%", c) >= 0
}

// toolName shows a tool's name as one word; what is not a letter, a digit or one
// of _ . : / - becomes an escape. Governance blocks such names; a prompt still
// never depends on that.
func toolName(item Item) string {
	if item.Tool == "" {
		return "(unnamed)"
	}
	var b strings.Builder
	for i, r := range item.Tool {
		_, size := utf8.DecodeRuneInString(item.Tool[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x{%02x}`, item.Tool[i])
		case unicode.IsLetter(r) && !isHidden(r), unicode.IsDigit(r), strings.ContainsRune("_.:/-", r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
	}
	return b.String()
}

func severalCalls(n int) string { return fmt.Sprintf("%s%d%s", severalPrefix, n, severalSuffix) }
