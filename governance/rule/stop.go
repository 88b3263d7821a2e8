package rule

import (
	"fmt"
	"slices"
	"strings"
)

// stopped ends a compilation from inside it.
type stopped struct {
	questions []Question
	unknown   []Word
	problem   string
}

func (c *compiler) problem(format string, values ...any) {
	if len(values) > 0 {
		format = fmt.Sprintf(format, values...)
	}
	panic(stopped{problem: format})
}

// ask gives what was answered to a question, as the option is written, or ends the
// compilation with it. kind and place make its id; the place is that of the words
// that the question is about.
func (c *compiler) ask(kind string, at span, text string, options ...string) string {
	return c.answer(Question{ID: c.questionID(kind, at), Text: text, Options: options}, nil)[0]
}

// askMany is ask for one option or several.
func (c *compiler) askMany(kind string, at span, text string, options ...string) []string {
	return c.answer(Question{ID: c.questionID(kind, at), Text: text, Options: options, Many: len(options) > 1}, nil)
}

func (c *compiler) questionID(kind string, at span) string {
	if at.empty() || at.from >= len(c.tokens) {
		return kind
	}
	return fmt.Sprintf("%s@%d", kind, c.tokens[at.from].start+1)
}

// answer finds the answer to a question. other reads what is no option.
func (c *compiler) answer(q Question, other func(string) (string, bool)) []string {
	given, ok := c.answers[q.ID]
	if !ok {
		panic(stopped{questions: []Question{q}})
	}
	parts := []string{given}
	if q.Many {
		parts = strings.Split(given, ",")
	}
	var chosen []string
	for _, p := range parts {
		p = strings.TrimSpace(p)
		i := slices.IndexFunc(q.Options, func(o string) bool { return strings.EqualFold(o, p) })
		switch {
		case i >= 0:
			chosen = append(chosen, q.Options[i])
			continue
		case other != nil:
			if read, ok := other(p); ok {
				chosen = append(chosen, read)
				continue
			}
		}
		q.Text = fmt.Sprintf("%.60q is no answer. %s", p, q.Text)
		panic(stopped{questions: []Question{q}})
	}
	c.used[q.ID] = strings.Join(unique(chosen), ", ")
	return unique(chosen)
}

// span is a range of tokens.
type span struct{ from, to int }

func (s span) empty() bool { return s.from >= s.to }

// words of a span as they stand in the sentence.
func (c *compiler) words(s span) []Word {
	if s.from >= len(c.tokens) {
		// The sentence ends where something is missing: the last word shows where.
		s = span{len(c.tokens) - 1, len(c.tokens)}
	}
	if s.from < 0 {
		return []Word{{c.sentence, 0, len(c.sentence), ""}}
	}
	var words []Word
	for _, t := range c.tokens[s.from:min(s.to, len(c.tokens))] {
		words = append(words, Word{c.sentence[t.start:t.end], t.start, t.end, ""})
	}
	return words
}

func (c *compiler) notUnderstood(s span) { panic(stopped{unknown: c.words(s)}) }

// hinted is notUnderstood with how to say it instead.
func (c *compiler) hinted(s span, hint string) {
	words := c.words(s)
	words[len(words)-1].Hint = hint
	panic(stopped{unknown: words})
}

// text of a span as it was written.
func (c *compiler) text(s span) string {
	return c.sentence[c.tokens[s.from].start:c.tokens[s.to-1].end]
}

// stems of the words of a span.
func (c *compiler) stems(s span) []string {
	var words []string
	for _, t := range c.tokens[s.from:s.to] {
		if t.class != "Poss" && t.class != "Was" && t.class != "WasNot" {
			words = append(words, stems(c.sentence[t.start:t.end])...)
		}
	}
	return words
}
