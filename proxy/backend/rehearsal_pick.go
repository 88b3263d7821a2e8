package backend

import "slices"

// picked is a tool to be called and the part of the message that asks for it.
type picked struct {
	tool   *offer
	clause int
}

// everything stands for the whole message, instead of a clause of it.
const everything = -1

const (
	// nameWeight is what a word of the message that is in a tool's name is
	// worth; a word of its description or of an argument's name is worth 1.
	nameWeight = 4
	// enough is the worth from which a tool is called.
	enough = 2
)

// generic words say nothing about which tool is meant.
var generic = map[string]bool{
	"process": true, "get": true, "set": true, "do": true, "mak": true, "make": true, "run": true, "perform": true,
	"execut": true, "handl": true, "call": true, "use": true, "tool": true, "function": true, "api": true, "my": true,
	"new": true, "the": true, "for": true, "and": true, "with": true, "from": true, "this": true, "that": true,
	"an": true, "of": true, "to": true, "in": true, "is": true, "it": true, "on": true, "or": true, "by": true, "at": true,
	"a": true, "be": true, "are": true, "wa": true, "you": true, "your": true, "i": true, "me": true, "we": true,
	"can": true, "pleas": true, "if": true, "not": true, "no": true, "all": true, "any": true, "id": true,
}

var refusals = map[string]bool{"not": true, "don't": true, "don’t": true, "never": true, "dont": true, "without": true}

// pick chooses the tools to call: the best by its words, and where several calls
// may be made, each further one that another clause names ("refund order 456 and
// email the customer"). Among equals the one offered first wins.
func pick(offered []offer, said words, choice toolChoice, parallel bool) []picked {
	var best *offer
	var bestWorth float64
	for i := range offered {
		tool := &offered[i]
		worth := tool.worth(said)
		if worth >= enough && said.asked && !choice.must && tool.schema.hasProperties() && !hasEvidence(tool.schema, said) {
			continue // "what is a refund?" asks for no refund
		}
		if worth > bestWorth {
			best, bestWorth = tool, worth
		}
	}
	switch {
	case best == nil && choice.must:
		best = &offered[0]
	case best == nil || bestWorth < enough && !choice.must:
		return nil
	}
	calls := []picked{{tool: best, clause: everything}}
	if !parallel || choice.forced {
		return calls
	}
	first := best.namedIn(said)
	if first < 0 {
		return calls
	}
	taken := map[int]bool{first: true}
	for i := range offered {
		tool := &offered[i]
		if tool == best {
			continue
		}
		if clause := tool.namedIn(said, best); clause >= 0 && !taken[clause] {
			taken[clause] = true
			calls = append(calls, picked{tool: tool, clause: clause})
		}
	}
	if len(calls) > 1 {
		calls[0].clause = first
		slices.SortStableFunc(calls, func(a, b picked) int { return a.clause - b.clause })
	}
	return calls
}

// worth says how well a tool fits the message.
func (o *offer) worth(said words) float64 {
	total := 0.0
	names := nameStems(o.name)
	hits := 0
	for _, name := range names {
		if !generic[name] && mention(said, name) >= 0 {
			hits++
		}
	}
	if hits > 0 {
		// Of two tools with the same word, the shorter name fits better.
		total += float64(hits*nameWeight) + float64(hits)/float64(len(names)+1)
	}
	about := slices.DeleteFunc(nameStems(o.description), func(s string) bool { return slices.Contains(names, s) })
	total += float64(mentions(said, about, 3))
	if o.schema == nil {
		return total
	}
	var arguments []string
	for _, p := range o.schema.properties {
		arguments = append(arguments, nameStems(p.name)...)
		// "run ls" of run_command: the verb alone says it.
		if senseOf(p) == commandSense && len(said.list) > 0 && slices.Contains(names, said.list[0].stem) {
			total += enough
		}
	}
	return total + float64(mentions(said, arguments, 2))
}

// mentions counts which of the stems the message mentions, each once, up to most.
func mentions(said words, stems []string, most int) int {
	seen := make(map[string]bool)
	for _, s := range stems {
		if len(seen) < most && !generic[s] && !seen[s] && mention(said, s) >= 0 {
			seen[s] = true
		}
	}
	return len(seen)
}

// mention finds a stem in the message, as the index of its word; -1 if it is not
// there, or only to say that it is not wanted.
func mention(said words, wanted string) int {
	for i, w := range said.list {
		if w.kind != plainWord || !alike(w.stem, wanted) {
			continue
		}
		if !refused(said, i) {
			return i
		}
	}
	return -1
}

// refused tells whether one of the three words before the word takes it back.
func refused(said words, at int) bool {
	for i := max(0, at-3); i < at; i++ {
		if said.list[i].clause == said.list[at].clause && refusals[lower(said.list[i].value)] {
			return true
		}
	}
	return false
}

// namedIn finds the clause that names the tool by a word which the name of
// none of the others has; -1 if there is none.
func (o *offer) namedIn(said words, others ...*offer) int {
	for _, name := range nameStems(o.name) {
		if generic[name] {
			continue
		}
		shared := false
		for _, other := range others {
			for _, theirs := range nameStems(other.name) {
				shared = shared || alike(theirs, name)
			}
		}
		if shared {
			continue
		}
		if at := mention(said, name); at >= 0 && opens(said, at) {
			return said.list[at].clause
		}
	}
	return -1
}

// opens tells whether a word is one of the first three of its clause, where an
// order has its verb.
func opens(said words, at int) bool {
	before := 0
	for i := at - 1; i >= 0 && said.list[i].clause == said.list[at].clause; i-- {
		before++
	}
	return before < 3
}
