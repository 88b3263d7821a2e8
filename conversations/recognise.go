package conversations

import (
	"slices"
	"strings"
	"unicode"
)

// candidateLimit bounds the starting points that Recognise reports: a text that
// repeats our first line more often has only its longest and its shortest half
// of them reported. A prompt among the rest is then not found, and the caller
// says that nothing was done.
const candidateLimit = 64

// Recognise says whether an assistant message ends with one of our prompts, by
// shape: a first line of ours at the start of a line, and below it, as the very
// last line, the last line that belongs to it. A quoted prompt, or one with
// anything behind it, has not the shape.
//
// The words of our first line can also stand in the model's text or in the values
// shown, so every possible start is reported: candidates are normalised texts
// from there to the end, longest first, to be compared with Normalise(Prompt.Text)
// of open holds. Shape alone proves nothing, anybody can write it. ok is
// len(candidates) > 0.
//
// It survives escaping by a markdown editor, trimmed lines, CRLF, reasoning
// blocks around the prompt, and a client that turned all line ends into blanks.
func Recognise(assistantText string) (candidates []string, ok bool) {
	// Most messages are not prompts. Every form holds one of these words, which no
	// client escapes or breaks.
	if !strings.Contains(assistantText, "approval") && !strings.Contains(assistantText, "reviewer") {
		return nil, false
	}
	text := unescaped(assistantText)
	candidates = promptCandidates(collapseLines(text))
	if stripped := dropReasoning(text); stripped != text {
		candidates = longestFirst(candidates, promptCandidates(collapseLines(stripped)))
	}
	return candidates, len(candidates) > 0
}

// promptForm is one pair of a first and a last line.
type promptForm struct {
	first   string
	several bool // the first line goes on with "make these N calls."
	ends    func(line string) bool
}

var promptForms = [...]promptForm{
	{first: confirmFirst, ends: func(line string) bool { return line == confirmLast }},
	{first: confirmFirst, several: true, ends: func(line string) bool { return line == severalLast }},
	{first: reviewFirst, ends: isWaitingLine},
	{first: reviewFirst, several: true, ends: isWaitingLine},
}

// promptCandidates finds the starts in a text that is unescaped and has its
// lines collapsed.
func promptCandidates(text string) []string {
	last, body, flat := lastLine(text)
	var forms []promptForm
	for _, form := range promptForms {
		if form.ends(last) {
			forms = append(forms, form)
		}
	}
	if len(forms) == 0 {
		return nil
	}
	var starts []int
	for from := 0; ; {
		i, next := nextStart(body, from, forms[0].first, flat)
		if i < 0 {
			break
		}
		for _, form := range forms {
			if form.opens(body[i:]) {
				starts = append(starts, i)
				break
			}
		}
		from = next
	}
	if len(starts) > candidateLimit {
		starts = append(starts[:candidateLimit/2:candidateLimit/2], starts[len(starts)-candidateLimit/2:]...)
	}
	candidates := make([]string, len(starts))
	for n, i := range starts {
		candidates[n] = collapse(dropReasoning(text[i:])) // the rest of Normalise is done
	}
	return candidates
}

// lastLine cuts the last line off a text with collapsed lines. flat: the text has
// no line ends at all, as a client leaves it that turned them into blanks; the
// last line then begins at the last words that can begin it.
func lastLine(text string) (last, body string, flat bool) {
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		return text[i+1:], text[:i], false
	}
	for _, line := range [...]string{confirmLast, severalLast} {
		if body, ok := strings.CutSuffix(text, " "+line); ok {
			return line, body, true
		}
	}
	if i := strings.LastIndex(text, " "+reviewLast); i >= 0 {
		return text[i+1:], text[:i], true
	}
	return "", "", true
}

// nextStart finds the next place at or after from where a first line may begin:
// at the start of a line or, in a flat text, after a blank that follows no quote
// mark. next is where to go on looking.
func nextStart(body string, from int, first string, flat bool) (start, next int) {
	for from < len(body) {
		i := strings.Index(body[from:], first)
		if i < 0 {
			break
		}
		i += from
		from = i + len(first)
		switch {
		case i == 0, !flat && body[i-1] == '\n':
			return i, from
		case flat && body[i-1] == ' ' && !strings.HasSuffix(body[:i-1], ">"):
			return i, from
		}
	}
	return -1, from
}

// opens says whether s begins with the form's whole first line.
func (f promptForm) opens(s string) bool {
	s, _ = strings.CutPrefix(s, f.first)
	if !f.several {
		tool := s
		if end := strings.IndexFunc(s, unicode.IsSpace); end >= 0 {
			tool = s[:end]
		}
		return len(tool) > 1 && strings.HasSuffix(tool, ".")
	}
	s, ok := strings.CutPrefix(s, severalPrefix)
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	return ok && digits > 0 && strings.HasPrefix(s[digits:], severalSuffix+".")
}

// isWaitingLine knows what waitingLine writes.
func isWaitingLine(line string) bool {
	rest, ok := strings.CutPrefix(line, reviewLast)
	if !ok {
		return false
	}
	if rest == "." {
		return true
	}
	rest, ok = strings.CutPrefix(rest, ": ")
	if !ok {
		return false
	}
	for _, place := range strings.Split(rest, "; ") {
		words := strings.Split(place, " ")
		switch {
		case len(words) == 1 && isPlaceWord(words[0]):
		case len(words) == 3 && isPlaceWord(words[0]) && words[1] == "at" && isPlaceWord(words[2]):
		default:
			return false
		}
	}
	return true
}

func isPlaceWord(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isPlaceByte(s[i]) {
			return false
		}
	}
	return s != ""
}

// longestFirst merges two lists that are ordered so, without repeats.
func longestFirst(a, b []string) []string {
	merged := make([]string, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		from := &a
		if len(a) == 0 || len(b) > 0 && len(b[0]) > len(a[0]) {
			from = &b
		}
		next := (*from)[0]
		*from = (*from)[1:]
		if !slices.Contains(merged, next) {
			merged = append(merged, next)
		}
	}
	return merged
}
