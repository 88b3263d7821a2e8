package tools

import (
	"slices"
	"strings"
	"unicode"

	"cadreen/governance"
)

// Match is a tool that a task in plain words may mean.
type Match struct {
	Tool governance.Tool
	// Score is the part of the telling words of the tool's name that the task
	// says, above 0 and at most 1.
	Score float64
	// On are those words.
	On []string

	first int // where the task says the first of them
}

// Matching are the tools that a task may mean, the best first. It compares words
// and knows nothing of what they mean: it helps to name what exists, and decides
// nothing.
func Matching(list []governance.Tool, task string) []Match {
	said := wordsOf(task)
	var found []Match
	for _, t := range list {
		telling := slices.DeleteFunc(wordsOf(t.Name), func(w string) bool { return vagueWords[w] })
		m := Match{Tool: t, first: len(said)}
		for _, w := range telling {
			if at := slices.IndexFunc(said, func(s string) bool { return sameWord(w, s) }); at >= 0 {
				m.On = append(m.On, w)
				m.first = min(m.first, at)
			}
		}
		if len(m.On) > 0 {
			m.Score = float64(len(m.On)) / float64(len(telling))
			found = append(found, m)
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		case len(a.On) != len(b.On):
			return len(b.On) - len(a.On)
		case a.first != b.first:
			return a.first - b.first // "refund the order" is more about the refund
		}
		return strings.Compare(a.Tool.Name, b.Tool.Name)
	})
	return found
}

func wordsOf(text string) []string {
	return governance.NameWords(text, unicode.IsLetter)
}

// vagueWords of a tool's name say nothing about what it is for.
var vagueWords = map[string]bool{
	"get": true, "set": true, "do": true, "make": true, "run": true, "perform": true, "process": true, "execute": true, "handle": true,
	"call": true, "use": true, "tool": true, "function": true, "api": true, "my": true, "new": true, "the": true, "for": true, "and": true,
	"with": true, "from": true, "of": true, "to": true, "in": true, "on": true, "or": true, "by": true, "at": true, "a": true, "an": true, "id": true,
	"list": true, "find": true, "fetch": true, "look": true, "up": true, "lookup": true, "create": true, "update": true, "add": true,
}

// sameWord brings the forms of one word together: refund, refunds, refunding;
// delete, deleting; copy, copies.
func sameWord(a, b string) bool {
	if a == b {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) < 4 {
		return len(a) == 3 && b == a+"s"
	}
	base := strings.TrimRight(a, "ey")
	rest, begins := strings.CutPrefix(b, base)
	if !begins {
		return false
	}
	switch rest {
	case "s", "es", "ed", "ing", "ies", "ied", "er", "ment", "e", "y":
		return true
	}
	return false
}
