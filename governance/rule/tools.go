package rule

import (
	"fmt"
	"slices"
	"strings"
)

// fit is how tools match words of a sentence, best first.
type fit struct {
	strong    []*tool // the words say what the tool does, or are its name
	loose     []*tool // they do with another verb for the same: "remove" and delete_order
	described []*tool // its description says the rest: "sends email" and send_message
	weak      []*tool // the words are in it, and more that changes what it does
}

func (f fit) all() []*tool { return slices.Concat(f.strong, f.loose, f.described, f.weak) }

// matchTools finds the tools that words may mean. A tool's full name or a glob
// means itself; "process refund" is process_refund and nothing else; "refunds" is
// every tool whose name says refund and otherwise no more than process or issue;
// "deletes" is every tool that begins with delete.
func (c *compiler) matchTools(s span) fit { return c.matchAmong(s, c.scoped) }

func (c *compiler) matchAmong(s span, tools []*tool) fit { return c.match(s, tools, false) }

// match grades tools. Where the words are for what was done before a call, a
// description may say part of it in any order ("the identity check").
func (c *compiler) match(s span, tools []*tool, done bool) fit {
	if s.to-s.from == 1 && c.tokens[s.from].class == "Tool" {
		return fit{strong: matching(c.tokens[s.from].value, tools)}
	}
	return c.matchWords(c.stems(s), tools, done)
}

func (c *compiler) matchWords(words []string, tools []*tool, done bool) fit {
	var f fit
	for _, t := range tools {
		switch grade(t, words, done) {
		case sameWords:
			return fit{strong: []*tool{t}}
		case strongFit:
			f.strong = append(f.strong, t)
		case looseFit:
			f.loose = append(f.loose, t)
		case describedFit:
			f.described = append(f.described, t)
		case weakFit:
			f.weak = append(f.weak, t)
		}
	}
	return f
}

const (
	noFit = iota
	weakFit
	describedFit
	looseFit
	strongFit
	sameWords
)

// grade holds a tool against the stems of words.
func grade(t *tool, words []string, done bool) int {
	matched := map[string]bool{} // words of the tool's name
	described, loose := 0, false
	for _, w := range words {
		i := slices.Index(t.words, w)
		if i < 0 {
			if i = slices.IndexFunc(t.words, func(n string) bool { return sameVerbs[n] != "" && sameVerbs[n] == sameVerbs[w] }); i >= 0 {
				loose = true
			}
		}
		switch {
		case i >= 0:
			matched[t.words[i]] = true
		case t.about[w] && (done || !t.inArguments(w)):
			described++ // "refund orders over $100" is about orders, not about refunds
		default:
			return noFit
		}
	}
	fitted := strongFit
	if loose {
		fitted = looseFit
	}
	switch {
	case len(matched) == 0:
		return noFit
	case described > 0:
		if done || isVerb(words[0]) && (matched[words[0]] || sameVerbs[words[0]] != "" && loose) {
			return describedFit
		}
		return noFit
	case len(matched) == len(t.words) && len(words) == len(t.words):
		if loose {
			return looseFit
		}
		return sameWords
	}
	onlyVerb := len(words) == 1 && isVerb(words[0])
	last := -1
	for i, w := range t.words {
		if matched[w] {
			last = i
		}
	}
	for i, w := range t.words {
		if matched[w] {
			continue
		}
		switch class := verbClasses[w]; {
		case (class == "plain" || class == "deliver") && i < last:
		case class == "aspect", class == "verb" && i < last, class == "verb" && !onlyVerb:
			return weakFit
		case i > last && !onlyVerb:
			return weakFit // delete_order_item is no "delete orders"
		}
	}
	return fitted
}

func isVerb(stem string) bool { return verbClasses[stem] == "verb" || verbClasses[stem] == "deliver" }

// tools of a rule: what its subjects and exceptions leave.
func (c *compiler) toolsOf(k *clause) (patterns []string, found []*tool) {
	if k.chosen != nil {
		return names(k.chosen), k.chosen
	}
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
func (c *compiler) choose(s span, any bool) []*tool { return c.chooseAmong(s, any, c.scoped) }

func (c *compiler) chooseAmong(s span, any bool, tools []*tool) []*tool {
	f := c.matchAmong(s, tools)
	verb := c.onlyVerb(s)
	switch {
	case len(f.all()) == 0:
		c.notUnderstood(s)
	case verb && c.anyKind(s):
		// "everything that writes": the tools that are named so, or all that change something?
	case len(f.all()) == len(f.strong) && (len(f.strong) == 1 || any || verb && c.sameVerb(s, f.strong) || c.isGlob(s)):
		return f.strong
	case len(f.all()) == 1 && len(f.weak) == 0:
		return f.all()
	case len(f.strong) == 1 && !any && len(f.loose) == 0:
		return f.strong // others are of another kind
	}
	return c.withNames(c.askMany("tools", s, fmt.Sprintf("Which tools does %q mean?", c.text(s)), names(f.all())...), f.all())
}

// anyKind: the verb is also what tools are sorted by.
func (c *compiler) anyKind(s span) bool {
	word := strings.ToLower(c.sentence[c.tokens[s.from].start:c.tokens[s.from].end])
	return stem(word) == stem("write") || stem(word) == "read"
}

func (c *compiler) isGlob(s span) bool { return c.tokens[s.from].class == "Tool" }

// onlyVerb: the words are one verb, so that every tool that does it is meant.
func (c *compiler) onlyVerb(s span) bool {
	words := c.stems(s)
	return len(words) == 1 && isVerb(words[0])
}

// sameVerb: the words begin with a verb, and it is what every one of the tools does.
func (c *compiler) sameVerb(s span, tools []*tool) bool {
	verb := stem(strings.ToLower(c.sentence[c.tokens[s.from].start:c.tokens[s.from].end]))
	if !isVerb(verb) || s.to-s.from > 1 {
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
	f := c.match(s, c.known.tools, true)
	for _, tier := range [][]*tool{f.strong, f.loose, f.described} {
		switch {
		case len(tier) == 1 && (len(f.strong) > 0 || len(f.strong)+len(f.loose) == len(tier) || len(f.all()) == 1):
			return tier[0]
		case len(tier) > 0:
			return c.withNames([]string{c.ask("tool", s, fmt.Sprintf("Which tool does %q mean?", c.text(s)), names(f.all())...)}, f.all())[0]
		}
	}
	if len(f.weak) == 0 {
		c.notUnderstood(s)
	}
	return c.withNames([]string{c.ask("tool", s, fmt.Sprintf("Which tool does %q mean?", c.text(s)), names(f.weak)...)}, f.weak)[0]
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
