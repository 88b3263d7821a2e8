package conversations

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The reasoning blocks that models and chat UIs put into the text, by opening
// and closing tag; ASCII case does not count. The <details> of UIs carries
// attributes: see detailsOpen.
var reasoningTags = [...]struct{ open, close string }{
	{"<think>", "</think>"},
	{"<thinking>", "</thinking>"},
	{"<reasoning>", "</reasoning>"},
	{detailsTag, "</details>"},
}

const detailsTag = "<details"

// dropReasoning puts one blank in place of each reasoning block of a text that
// is valid UTF-8. A block runs
// to the first closing tag of its kind. An opening tag that is never closed, and
// a closing tag that was never opened, are ordinary text: where the reasoning
// would end is not known, and dropping the rest would drop what we look for.
//
// A block that stands inside an unfinished <details tag stays, so that taking
// blocks away never makes a new one and a second pass finds nothing to do.
func dropReasoning(s string) string {
	if strings.IndexByte(s, '<') < 0 {
		return s
	}
	low := lowerASCII(s)
	var (
		b        strings.Builder
		never    [len(reasoningTags)]bool // no closing tag from here on
		copied   int                      // s is dealt with up to here
		inside   bool                     // the last angle bracket kept opened a <details tag
		position int
	)
	for {
		next := strings.IndexAny(low[position:], "<>")
		if next < 0 {
			break
		}
		position += next
		if low[position] == '>' {
			inside = false
			position++
			continue
		}
		kind, length := reasoningOpen(low[position:])
		if kind >= 0 && !inside && !never[kind] {
			end := strings.Index(low[position+length:], reasoningTags[kind].close)
			if end >= 0 {
				b.WriteString(s[copied:position])
				b.WriteByte(' ')
				position += length + end + len(reasoningTags[kind].close)
				copied = position
				continue
			}
			never[kind] = true
		}
		inside = strings.HasPrefix(low[position:], detailsTag)
		position++
	}
	if copied == 0 {
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// reasoningOpen says which opening tag low starts with and how long it is; -1
// for none.
func reasoningOpen(low string) (kind, length int) {
	for i, tag := range reasoningTags {
		if !strings.HasPrefix(low, tag.open) {
			continue
		}
		if tag.open != detailsTag {
			return i, len(tag.open)
		}
		if n := detailsOpen(low); n > 0 {
			return i, n
		}
	}
	return -1, 0
}

// detailsOpen is the length of the tag low starts with if it is a <details …>
// whose attributes include type="reasoning", else 0.
func detailsOpen(low string) int {
	rest := low[len(detailsTag):]
	end := strings.IndexAny(rest, "<>")
	if end < 0 || rest[end] == '<' {
		return 0
	}
	if first, _ := utf8.DecodeRuneInString(rest); !unicode.IsSpace(first) {
		return 0 // another element, such as <detailsview>
	}
	for _, attribute := range strings.Fields(rest[:end]) {
		if attribute == `type="reasoning"` {
			return len(detailsTag) + end + 1
		}
	}
	return 0
}

// lowerASCII keeps every offset of valid UTF-8, which strings.ToLower does not.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
