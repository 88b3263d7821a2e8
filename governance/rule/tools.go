package rule

import (
	"fmt"
	"slices"
	"strings"
)

// fit is how tools match words of a sentence.
type fit struct {
	strong []*tool // the words say what the tool does, or are its name
	weak   []*tool // the words are in it, and more that changes what it does
}

func (f fit) all() []*tool { return slices.Concat(f.strong, f.weak) }

// matchTools finds the tools that words may mean. A tool's full name or a glob
// means itself; "process refund" is process_refund and nothing else; "refunds" is
// every tool whose name says refund and otherwise no more than process or issue;
// "deletes" is every tool that begins with delete.
func (c *compiler) matchTools(s span) fit { return c.matchAmong(s, c.scoped) }

func (c *compiler) matchAmong(s span, tools []*tool) fit {
	if s.to-s.from == 1 && c.tokens[s.from].class == "Tool" {
		return fit{strong: matching(c.tokens[s.from].value, tools)}
	}
	words := c.stems(s)
	var f fit
	for _, t := range tools {
		switch grade(t, words) {
		case sameWords:
			return fit{strong: []*tool{t}}
		case strongFit:
			f.strong = append(f.strong, t)
		case weakFit:
			f.weak = append(f.weak, t)
		}
	}
	return f
}

const (
	noFit = iota
	weakFit
	strongFit
	sameWords
)

// grade holds a tool against the stems of words.
func grade(t *tool, words []string) int {
	inName := 0
	for _, w := range words {
		switch {
		case slices.Contains(t.words, w):
			inName++
		case !t.about[w]:
			return noFit
		}
	}
	switch {
	case inName == 0:
		return noFit
	case inName == len(words) && len(words) == len(t.words):
		return sameWords
	case inName < len(words):
		// The description says the rest: "anything that sends email" and send_message,
		// "Sends an email".
		if verbClasses[words[0]] == "verb" && slices.Contains(t.words, words[0]) {
			return weakFit
		}
		return noFit
	}
	onlyVerb := len(words) == 1 && verbClasses[words[0]] == "verb"
	last := -1
	for i, w := range t.words {
		if slices.Contains(words, w) {
			last = i
		}
	}
	for i, w := range t.words {
		if slices.Contains(words, w) {
			continue
		}
		switch class := verbClasses[w]; {
		case class == "plain" && i < last:
		case class == "aspect", class == "verb" && i < last, class == "verb" && !onlyVerb:
			return weakFit
		case i > last && !onlyVerb:
			return weakFit // delete_order_item is no "delete orders"
		}
	}
	return strongFit
}

// tools of a rule: what its subjects and exceptions leave.
func (c *compiler) toolsOf(k *clause) (patterns []string, found []*tool) {
	for _, s := range k.subject {
		token := c.tokens[s.from]
		if s.to-s.from == 1 && token.class == "Tool" {
			covered := matching(token.value, c.scoped)
			if len(covered) == 0 {
				c.notUnderstood(s)
			}
			patterns, found = append(patterns, token.value), append(found, covered...)
			continue
		}
		chosen := c.choose(s, k.any)
		for _, t := range chosen {
			patterns = append(patterns, t.Name)
		}
		found = append(found, chosen...)
	}
	return unique(patterns), unique(found)
}

// choose settles which tools the words of a subject mean, or asks.
func (c *compiler) choose(s span, any bool) []*tool {
	f := c.matchTools(s)
	switch {
	case len(f.all()) == 0:
		c.notUnderstood(s)
	case len(f.weak) > 0 && len(f.strong) == 0, len(f.weak) > 0 && any, len(f.strong) > 1 && !any && !c.sameVerb(s, f.strong):
		return c.withNames(c.askMany("tools", s, fmt.Sprintf("Which tools does %q mean?", c.text(s)), names(f.all())...), f.all())
	}
	return f.strong
}

// sameVerb: the words begin with a verb, and it is what every one of the tools does.
func (c *compiler) sameVerb(s span, tools []*tool) bool {
	verb := stem(strings.ToLower(c.sentence[c.tokens[s.from].start:c.tokens[s.from].end]))
	if verbClasses[verb] != "verb" || s.to-s.from > 1 {
		return false
	}
	for _, t := range tools {
		if t.words[0] != verb {
			return false
		}
	}
	return true
}

// one tool that an order speaks of.
func (c *compiler) one(s span) *tool {
	f := c.matchAmong(s, c.known.all())
	switch {
	case len(f.all()) == 0:
		c.notUnderstood(s)
	case len(f.strong) != 1 || strings.ContainsAny(c.tokens[s.from].value, "*"):
		return c.withNames([]string{c.ask("tool", s, fmt.Sprintf("Which tool does %q mean?", c.text(s)), names(f.all())...)}, f.all())[0]
	}
	return f.strong[0]
}

// withNames are the tools of these names, in the order of the list.
func (c *compiler) withNames(names []string, tools []*tool) []*tool {
	return slices.DeleteFunc(slices.Clone(tools), func(t *tool) bool { return !slices.Contains(names, t.Name) })
}

func names(tools []*tool) []string {
	out := make([]string, len(tools))
	for i, t := range tools {
		out[i] = t.Name
	}
	return out
}

func unique[T comparable](list []T) []T {
	var out []T
	for _, one := range list {
		if !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	return out
}
