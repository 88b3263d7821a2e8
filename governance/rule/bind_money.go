package rule

import (
	"fmt"
	"slices"
	"strings"
)

func (b *binding) compare(one term) condition {
	p := one.item.Compare
	switch {
	case p.Low != nil:
		low, high := b.limit(one, ">=", p.Low), b.limit(one, "<=", p.High)
		if !less(low.value, high.value) {
			b.notUnderstood(one.place)
		}
		return both(low, high, b.currencyOf(one, low, p.Low))
	case p.Least != nil:
		op := p.LeastOp
		if op == "" && one.least {
			op = "<=" // "limit refunds to $100"
		}
		if op == "" {
			b.notUnderstood(one.place) // "refunds of $100": which side?
		}
		made := b.limit(one, op, p.Least)
		return both(made, b.currencyOf(one, made, p.Least))
	}
	made := b.limit(one, p.Op, p.Value)
	return both(made, b.currencyOf(one, made, p.Value))
}

// limit binds one number to an argument, with its unit.
func (b *binding) limit(one term, op string, n *amountPhrase) compare {
	if n.Figure != "" {
		return b.figure(one, op, n.Figure)
	}
	currency, value, _ := strings.Cut(n.Money, " ")
	a := b.money(one, currency, value)
	value = b.inUnitOf(a, one, currency, value)
	if !exact(value) {
		b.notUnderstood(one.place)
	}
	return compare{argument: a.name, op: op, value: value}
}

// money finds the argument that holds an amount.
func (b *binding) money(one term, currency, value string) *argument {
	fits := func(a *argument) bool {
		return numeric(a) && (a.unit.currency == "" || currency == "cents" || a.unit.currency == currency)
	}
	unnamed := func(t *tool) []*argument {
		return slices.DeleteFunc(amounts(t), func(a *argument) bool { return !fits(a) })
	}
	return b.target(b.tools, one, "over "+value, fits, unnamed)
}

// inUnitOf is an amount in the unit of its argument.
func (b *binding) inUnitOf(a *argument, one term, currency, value string) string {
	cents := a.unit.cents
	if a.unit.unclear {
		cents = b.ask("unit", one.place, fmt.Sprintf("Is %s in whole units or in cents?", a.name), "whole units", "cents") == "cents"
	}
	switch {
	case currency == "cents" && !cents:
		return hundredth(value)
	case currency != "cents" && cents:
		whole, ok := hundredfold(value)
		if !ok {
			b.notUnderstood(one.place)
		}
		return whole
	}
	return value
}

// currencyOf asks, where calls name their currency, whether "$100" means 100 euros
// too. It is nil where that is said or does not matter.
func (b *binding) currencyOf(one term, made compare, n *amountPhrase) condition {
	currency, _, _ := strings.Cut(n.Money, " ")
	if n.Money == "" || currency == "cents" {
		return nil
	}
	for _, t := range b.tools {
		list := currencies(t)
		i := slices.IndexFunc(t.arguments, func(a argument) bool { return a.name == made.argument })
		if len(list) == 0 || i >= 0 && t.arguments[i].unit.currency != "" {
			continue
		}
		if b.saysCurrency(currency) {
			return nil
		}
		in := "in " + currency
		if b.ask("currency", one.place, fmt.Sprintf("%s has a currency: does %q mean %s only, or that number in any currency?", t.Name, b.text(one.place), currency), in, "in any currency") != in {
			return nil
		}
		value := valuesPhrase{Values: []*valuePhrase{{Currency: currency}}}
		return b.values(term{item: &item{Values: &value}, place: one.place})
	}
	b.oneCurrency(one, made.argument, currency)
	return nil
}

// oneCurrency refuses "over $100 or over €90" where calls do not say which of the
// two an amount is in.
func (b *binding) oneCurrency(one term, argument, currency string) {
	if before := b.signs[argument]; before != "" && before != currency {
		b.hinted(one.place, fmt.Sprintf("%s was said in %s before, and calls do not say which currency it is in", argument, before))
	}
	if b.signs == nil {
		b.signs = map[string]string{}
	}
	b.signs[argument] = currency
}

// saysCurrency: the clause says which currency is meant, or that any is.
func (b *binding) saysCurrency(currency string) bool {
	if b.anyCurrency() {
		return true
	}
	for _, list := range []*terms{&b.clause.conditions, b.clause.only} {
		for _, other := range list.all() {
			if v := other.item.Values; v != nil && !v.Not && len(v.Values) == 1 && v.Values[0].Currency == currency && !list.anyOf() && !list.mixed() {
				return true
			}
		}
	}
	return false
}

// figure binds a bare number: "more than 5 items", "quantity over 5", "over 100".
func (b *binding) figure(one term, op, value string) compare {
	if one.argument.empty() && !one.counted.empty() {
		one.argument = one.counted
		if !b.namesArgument(one.counted) {
			if len(b.matchTools(one.counted).all()) > 0 {
				place := span{one.place.from, one.counted.to}
				b.hinted(place, "in which time? such as \"per day\" or \"in 2 hours\"")
			}
			b.notUnderstood(one.counted)
		}
	} else if !one.counted.empty() {
		b.notUnderstood(one.counted)
	}
	fits := func(a *argument) bool { return numeric(a) || a.kind == "array" }
	a := b.target(b.tools, one, "over "+value, fits, numbers)
	if a.unit.cents {
		inCents := value + " cents"
		if b.ask("unit", one.place, fmt.Sprintf("%s is in cents: are %s cents meant, or %s whole units?", a.name, value, value), inCents, value+" whole units") != inCents {
			whole, ok := hundredfold(value)
			if !ok {
				b.notUnderstood(one.place)
			}
			value = whole
		}
	}
	if !exact(value) {
		b.notUnderstood(one.place)
	}
	return compare{argument: a.name, op: op, value: value, size: a.kind == "array"}
}

// anyCurrency: the sentence says once that it does not matter.
func (c *compiler) anyCurrency() bool {
	return slices.ContainsFunc(c.tokens, func(t token) bool { return t.class == "AnyCurrency" })
}
