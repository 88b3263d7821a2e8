package rule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cadreen/governance"
)

// MaxSentence is the longest sentence that is read, in bytes.
const MaxSentence = 2000

// Answers are what the author said to questions, by Question.ID. The same
// sentence, tools and answers always give the same Result.
type Answers map[string]string

// Result is what a sentence means for the given tools. Exactly one is so: the Rule
// is there (OK), or there are Questions, or Unknown words, or a Problem.
type Result struct {
	// Rule is the document: the rule that was given (its condition alone, for
	// Compile) with Tools, When, Unless and Mode of the sentence in it. The lines
	// of When stand with the strictest effect first.
	Rule governance.Rule
	// ReadBack says in one English sentence what Rule does.
	ReadBack string
	// Questions are what the sentence leaves open. Call again with the answers of
	// before and those to these; there may be more questions then.
	Questions []Question
	// Unknown are the words that were not understood, in their order.
	Unknown []Word
	// Problem says why the sentence is no rule although its words are known: it
	// says two things at once, or contradicts the rule it stands in.
	Problem string
	// Answers are those that were used.
	Answers Answers

	pin governance.Pin
}

// Question is one thing that a sentence leaves open.
type Question struct {
	// ID stays the same as long as sentence and tools do.
	ID   string
	Text string
	// Options are the answers, word for word; case does not count.
	Options []string
	// Many says that an answer may name several options, with commas between.
	Many bool
	// Other says what else may be answered, "" if nothing.
	Other string
}

// Word is a piece of a sentence; Start and End are bytes.
type Word struct {
	Text       string
	Start, End int
	Hint       string // how to say it instead, "" if that is not known
}

// OK says that the sentence became a rule.
func (r Result) OK() bool { return r.Err() == nil }

// Err says in one line why there is no rule: the words with their places counted
// from 1, or the question with its options, or the problem. It is nil if there is one.
func (r Result) Err() error {
	switch {
	case len(r.Unknown) > 0:
		parts := make([]string, len(r.Unknown))
		for i, w := range r.Unknown {
			parts[i] = fmt.Sprintf("%q at %d", w.Text, w.Start+1)
			if w.Hint != "" {
				parts[i] += " (" + w.Hint + ")"
			}
		}
		return errors.New("not understood: " + strings.Join(parts, ", "))
	case len(r.Questions) > 0:
		q := r.Questions[0]
		text := q.Text
		if len(q.Options) > 0 {
			text += " [" + strings.Join(q.Options, ", ") + "]"
		}
		return errors.New(text)
	case r.Problem != "":
		return errors.New(r.Problem)
	}
	return nil
}

// Pin is what policies.lock keeps of the result.
func (r Result) Pin() governance.Pin { return r.pin }

// Compile reads one sentence, or several that make one rule, for the given tools.
func Compile(sentence string, tools []governance.Tool, answers Answers) Result {
	return CompileRule(governance.Rule{Condition: sentence}, tools, answers)
}

// CompileRule is Compile for the condition of a rule as it is written: the rule's
// own tools bound what the sentence may mean, and the effect of its only line, with
// an empty If, is that of a sentence that names none. What the rule says else goes
// into the document and is read back too.
func CompileRule(r governance.Rule, tools []governance.Tool, answers Answers) (result Result) {
	c := &compiler{sentence: r.Condition, known: newVocabulary(tools), given: r, answers: answers, used: Answers{}}
	defer func() {
		switch stop := recover().(type) {
		case nil:
		case stopped:
			result = Result{Questions: stop.questions, Unknown: stop.unknown, Problem: stop.problem, Answers: c.used}
		default:
			panic(stop)
		}
	}()
	for _, t := range c.known.tools {
		if Covers(r.Tools, t.Name) {
			c.scoped = append(c.scoped, t)
		}
	}
	return c.compile()
}

// Covers says whether one of a rule's patterns covers a tool's name; no patterns
// cover every tool.
func Covers(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return governance.MatchTool(p, name) })
}

// compiler is one compilation.
type compiler struct {
	sentence string
	known    *vocabulary
	tokens   []token
	given    governance.Rule
	scoped   []*tool // those that the rule may be about; others can have been called before
	answers  Answers
	used     Answers
	signs    map[string]string // currency that amounts of an argument were said in
}

// effect that the rule names beside the sentence, 0 if none.
func (c *compiler) effect() governance.Verdict {
	if len(c.given.When) == 0 {
		return 0
	}
	return c.given.When[0].Effect
}

func (c *compiler) compile() Result {
	if len(c.sentence) > MaxSentence {
		panic(stopped{unknown: []Word{{c.sentence[MaxSentence:], MaxSentence, len(c.sentence), fmt.Sprintf("a condition has at most %d bytes", MaxSentence)}}})
	}
	if valid := strings.ToValidUTF8(c.sentence, "\x00"); valid != c.sentence {
		at := strings.IndexByte(valid, 0)
		panic(stopped{unknown: []Word{{c.sentence[at:], at, len(c.sentence), "no UTF-8"}}})
	}
	var unknown []Word
	c.tokens, unknown = scan(c.sentence, c.known)
	for _, t := range c.tokens {
		if t.class == "Later" {
			unknown = append(unknown, Word{c.sentence[t.start:t.end], t.start, t.end, t.value})
		}
	}
	if len(unknown) > 0 {
		slices.SortFunc(unknown, func(a, b Word) int { return a.Start - b.Start })
		panic(stopped{unknown: unknown})
	}
	parsed, err := parse(c.tokens)
	if err != nil {
		c.notUnderstood(span{err.at, err.at + 1})
	}
	clauses, leading := c.clauses(parsed)
	return c.rule(clauses, leading)
}

// finish makes the document of what was compiled.
func (c *compiler) finish(pin governance.Pin) Result {
	if len(c.used) > 0 {
		pin.Answers = maps.Clone(c.used)
	}
	c.coversMore(pin.Tools)
	applied, err := pin.Apply(c.given)
	if err != nil {
		c.problem(err.Error())
	}
	return Result{Rule: applied, ReadBack: pin.ReadBack, Answers: c.used, pin: pin}
}

// coversMore refuses a rule whose own tools are more than its sentence speaks of:
// it would take the others over and say nothing of them.
func (c *compiler) coversMore(patterns []string) {
	if len(c.given.Tools) == 0 {
		return
	}
	for _, t := range c.scoped {
		if !Covers(patterns, t.Name) {
			c.problem("`tools` covers more than the condition speaks of, which is " + strings.Join(patterns, ", "))
		}
	}
}
