package rule

import (
	"fmt"
	"slices"
	"strings"

	"cadreen/governance"
)

// MaxSentence is the longest sentence that is read, in bytes.
const MaxSentence = 2000

// Result is what a sentence means for the given tools.
type Result struct {
	// Tools are names and globs, nil for every tool.
	Tools []string
	// When are the lines of the rule, the strictest effect first.
	When   []governance.Line
	Unless string // CEL, "" if there is no exception
	Mode   governance.Mode
	// ReadBack says in one English sentence what the compiled rule does.
	ReadBack string
	// Questions are what the author must decide by writing it out; where there are
	// any, the rest is empty.
	Questions []Question
}

// Question is one thing that a sentence leaves open.
type Question struct {
	Text    string
	Options []string // what fits, if that is what is open
}

// Word is a piece of a sentence; Start and End are bytes.
type Word struct {
	Text       string
	Start, End int
}

// NotUnderstood says which words of a sentence were not understood.
type NotUnderstood struct{ Words []Word }

// Error names the words and where they begin, counted from 1.
func (e *NotUnderstood) Error() string { return "not understood: " + places(e.Words) }

// NotInThisVersion says which words were recognised as something that rules
// cannot say yet.
type NotInThisVersion struct {
	Words []Word
	What  string
}

// Error names the words and what they ask for.
func (e *NotInThisVersion) Error() string {
	return fmt.Sprintf("not in this version: %s (%s)", places(e.Words), e.What)
}

func places(words []Word) string {
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = fmt.Sprintf("%q at %d", w.Text, w.Start+1)
	}
	return strings.Join(parts, ", ")
}

// Compile reads one sentence, or several that make one rule, for the given tools.
// The error is a *NotUnderstood or a *NotInThisVersion. Where the sentence leaves
// something open, the result has Questions and nothing else.
func Compile(sentence string, tools []governance.Tool) (Result, error) {
	return CompileRule(governance.Rule{Condition: sentence}, tools)
}

// CompileRule is Compile for the condition of a rule as it is written: the rule's
// own tools bound what the sentence may mean, and the effect of its first line is
// that of a sentence that names none. What the rule says else is read back too.
func CompileRule(r governance.Rule, tools []governance.Tool) (result Result, err error) {
	sentence := r.Condition
	if len(sentence) > MaxSentence {
		return Result{}, &NotUnderstood{[]Word{{sentence[MaxSentence:], MaxSentence, len(sentence)}}}
	}
	if valid := strings.ToValidUTF8(sentence, "\x00"); valid != sentence {
		at := strings.IndexByte(valid, 0)
		return Result{}, &NotUnderstood{[]Word{{sentence[at:], at, len(sentence)}}}
	}
	c := &compiler{sentence: sentence, known: newVocabulary(tools), given: r}
	for i := range c.known.tools {
		if t := &c.known.tools[i]; Covers(r.Tools, t.Name) {
			c.scoped = append(c.scoped, t)
		}
	}
	defer func() {
		switch stop := recover().(type) {
		case nil:
		case stopped:
			if result, err = (Result{}), stop.err; stop.ask != nil {
				result.Questions = []Question{*stop.ask}
			}
		default:
			panic(stop)
		}
	}()
	return c.compile(), nil
}

// stopped ends a compilation from inside it.
type stopped struct {
	err error
	ask *Question
}

func ask(text string, options ...string) { panic(stopped{ask: &Question{text, options}}) }

// compiler is one compilation.
type compiler struct {
	sentence string
	known    *vocabulary
	tokens   []token
	given    governance.Rule
	scoped   []*tool // those that the rule may be about; others can have been called before
}

// effect that the rule names beside the sentence, 0 if none.
func (c *compiler) effect() governance.Verdict {
	if len(c.given.When) == 0 {
		return 0
	}
	return c.given.When[0].Effect
}

// Covers says whether one of a rule's patterns covers a tool's name; no patterns
// cover every tool.
func Covers(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return governance.MatchTool(p, name) })
}

func (c *compiler) compile() Result {
	var unknown []Word
	c.tokens, unknown = scan(c.sentence, c.known)
	if len(unknown) > 0 {
		panic(stopped{err: &NotUnderstood{unknown}})
	}
	for i, t := range c.tokens {
		if t.class == "Later" {
			panic(stopped{err: &NotInThisVersion{c.words(span{i, i + 1}), t.value}})
		}
	}
	parsed, err := parse(c.tokens)
	if err != nil {
		c.notUnderstood(span{err.at, err.at + 1})
	}
	clauses, leading := c.clauses(parsed)
	return c.rule(clauses, leading)
}

// span is a range of tokens.
type span struct{ from, to int }

// words of a span as they stand in the sentence.
func (c *compiler) words(s span) []Word {
	if s.from >= len(c.tokens) {
		// The sentence ends where something is missing: the last word shows where.
		s = span{len(c.tokens) - 1, len(c.tokens)}
	}
	if s.from < 0 {
		return []Word{{c.sentence, 0, len(c.sentence)}}
	}
	var words []Word
	for _, t := range c.tokens[s.from:min(s.to, len(c.tokens))] {
		words = append(words, Word{c.sentence[t.start:t.end], t.start, t.end})
	}
	return words
}

func (c *compiler) notUnderstood(s span) { panic(stopped{err: &NotUnderstood{c.words(s)}}) }

// text of a span as it was written.
func (c *compiler) text(s span) string {
	return c.sentence[c.tokens[s.from].start:c.tokens[s.to-1].end]
}

// stems of the words of a span.
func (c *compiler) stems(s span) []string {
	var words []string
	for _, t := range c.tokens[s.from:s.to] {
		if t.class != "Poss" {
			words = append(words, stems(c.sentence[t.start:t.end])...)
		}
	}
	return words
}
