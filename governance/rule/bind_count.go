package rule

import (
	"fmt"
	"slices"
	"strings"
)

// metered binds counts and sums over time.
func (b *binding) metered(one term) condition {
	made := metered{window: b.window(one), by: b.by(one)}
	p := one.item.Compare
	made.op, made.value = p.Op, ""
	amount := p.Value
	switch {
	case p.Often != "":
		made.op, made.value, _ = strings.Cut(p.Often, " ")
	case p.Least != nil && p.LeastOp != "":
		made.op, amount = p.LeastOp, p.Least
	case p.Least != nil:
		if made.op, amount = "<=", p.Least; one.beyond {
			made.op = ">"
		}
	}
	tools := b.meteredTools(one)
	switch {
	case amount != nil && amount.Money != "":
		currency, value, _ := strings.Cut(amount.Money, " ")
		sum := &binding{compiler: b.compiler, clause: b.clause, tools: tools}
		a := sum.money(one, currency, value)
		made.argument, made.value = a.name, sum.inUnitOf(a, one, currency, value)
		if currency != "cents" && a.unit.currency == "" && slices.ContainsFunc(tools, func(t *tool) bool { return len(currencies(t)) > 0 }) {
			b.sumsAnyCurrency(one, tools)
		}
	case amount != nil:
		made.value = amount.Figure
		if a := b.summed(one, tools); a != nil {
			made.argument = a.name
		}
	}
	if made.argument == "" && strings.Contains(made.value, ".") || !exact(made.value) {
		b.notUnderstood(one.place)
	}
	made.tools, made.others = b.meterPatterns(one, tools), !slices.Equal(tools, b.tools)
	if one.beyond && made.others {
		made.op = ">=" // the call that comes after them is none of them
	}
	b.alone(one)
	return made
}

// meteredTools are those whose calls are counted: the noun that is counted, or
// those of the rule.
func (b *binding) meteredTools(one term) []*tool {
	tools := b.tools
	if !one.counted.empty() && !slices.Contains(b.clause.subject, one.counted) && len(b.matchAmong(one.counted, b.known.tools).all()) > 0 {
		tools = b.chooseAmong(one.counted, true, b.known.tools)
	}
	if len(tools) == 0 {
		b.hinted(one.place, "of which tools? such as \"more than 3 refunds per day\"")
	}
	return tools
}

// meterPatterns are names, or the glob that the sentence has.
func (b *binding) meterPatterns(one term, tools []*tool) []string {
	if s := b.clause.subject; len(s) == 1 && b.tokens[s[0].from].class == "Tool" && slices.Equal(tools, b.tools) {
		return []string{b.tokens[s[0].from].value}
	}
	return names(tools)
}

// summed is the argument that a number without a unit is about, nil where calls
// are counted.
func (b *binding) summed(one term, tools []*tool) *argument {
	sum := &binding{compiler: b.compiler, clause: b.clause, tools: tools}
	inNumbers := func(a *argument) bool { return numeric(a) }
	switch {
	case one.times:
		return nil
	case !one.argument.empty():
		return sum.target(tools, one, "in total", inNumbers, nil)
	case one.counted.empty():
		if one.total {
			return sum.target(tools, one, "in total", inNumbers, numbers)
		}
		return nil
	case len(b.matchAmong(one.counted, b.known.tools).all()) == 0:
		one.argument = one.counted
		return sum.target(tools, one, "in total", inNumbers, nil)
	}
	// "no more than 50 shares per day" of a tool that is told how many.
	for _, t := range tools {
		for i := range t.arguments {
			a := &t.arguments[i]
			if len(tools) > 1 || !numeric(a) || !slices.ContainsFunc(a.words, func(w string) bool { return quantityWords[w] }) {
				continue
			}
			calls, sums := "calls of "+t.Name, "the sum of "+a.name
			if b.ask("counted", one.place, fmt.Sprintf("%q: what is counted?", b.text(one.place)), calls, sums) == sums {
				return a
			}
			return nil
		}
	}
	return nil
}

var quantityWords = set(stems("quantity qty count units number pieces shares items seats tickets"))

// window of a term; a month is not always as long.
func (b *binding) window(one term) string {
	if one.window != "month" {
		return one.window
	}
	days := b.ask("month", one.place, fmt.Sprintf("%q looks back from the call: over how many days?", b.text(one.place)), "30 days", "31 days")
	return strings.TrimSuffix(days, " days") + "d"
}

// by is what calls must share to be counted together.
func (b *binding) by(one term) []by {
	var list []by
	for _, it := range one.per {
		p := it.Per
		switch {
		case p.Conversation:
			list = append(list, by{conversation: true})
		case p.User:
			if a := b.userArgument(it); a != "" {
				list = append(list, by{argument: a})
			} else {
				list = append(list, by{requester: true})
			}
		default:
			about := term{item: it, place: it.place(), argument: it.perWords()}
			list = append(list, by{argument: b.target(b.tools, about, "", identifying, nil).name})
		}
	}
	if list = unique(list); len(list) > 3 {
		b.notUnderstood(one.per[3].place())
	}
	return list
}

// userArgument asks, where calls name a user, which one is meant.
func (b *binding) userArgument(it *item) string {
	word := b.tokens[it.place().to-1]
	if b.sentence[word.start:word.end] == "requester" || len(b.tools) == 0 {
		return ""
	}
	options := []string{"the requester"}
	for _, a := range b.tools[0].arguments {
		if identifying(&a) && slices.Contains(a.words, "user") {
			options = append(options, a.name)
		}
	}
	if len(options) == 1 {
		return ""
	}
	if chosen := b.ask("user", it.place(), "Whose calls are counted together: those of the same requester, or those about the same user?", options...); chosen != options[0] {
		return chosen
	}
	return ""
}

// perWords are the words behind "per".
func (i *item) perWords() span {
	place := i.place()
	return span{place.from + 1, place.to}
}

// alone refuses what would be counted apart: the ledger knows calls by their tool
// and by what they share, not by their other arguments.
func (b *binding) alone(one term) {
	for _, other := range append(slices.Clone(b.clause.conditions.list), b.clause.only.all()...) {
		it := other.item
		if other.place != one.place && (it.valued() || it.Origin != nil || other.flag || other.missing) && other.window == "" {
			b.problem("Counts and sums are over all calls of a tool: %q cannot be told apart in %q. Write a rule for each.", b.text(other.place), b.text(one.place))
		}
	}
}

// sumsAnyCurrency: a sum adds up whatever is written.
func (b *binding) sumsAnyCurrency(one term, tools []*tool) {
	if b.anyCurrency() {
		return
	}
	b.ask("sum", one.place, fmt.Sprintf("%s has a currency, and sums do not tell currencies apart: should they all be added up?", tools[0].Name), "in any currency")
}
