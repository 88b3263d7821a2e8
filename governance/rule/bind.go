package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// binding turns the terms of one clause into conditions on the arguments of its
// tools.
type binding struct {
	*compiler
	clause *clause
	tools  []*tool
	zone   string // "" if the clause names none
}

// bind joins the conditions of a list of terms.
func (b *binding) bind(t *terms) condition {
	if t == nil || len(t.list) == 0 {
		return always{}
	}
	if t.or > 0 && t.or != len(t.list)-1 {
		b.problem("\"and\" and \"or\" stand together: which belongs to which? Write two sentences.")
	}
	var conditions []condition
	times := 0
	for _, one := range t.list {
		conditions = append(conditions, b.term(one))
		if one.item.Hours != nil || one.item.Days != nil {
			times++
		}
	}
	if times > 1 && t.and > 0 {
		b.problem("Should both times hold, or either of them? Write \"or\", or leave \"and\" out.")
	}
	if t.or > 0 {
		return some(conditions)
	}
	return both(conditions...)
}

// filter takes what says how others are read (zone, any currency) out of a list.
func (b *binding) filter(t *terms) *terms {
	if t == nil {
		return nil
	}
	kept := &terms{or: t.or, and: t.and}
	for _, one := range t.list {
		switch {
		case one.item.Zone != "":
			if b.zone != "" && b.zone != one.item.Zone {
				b.problem("Which time zone is meant, %s or %s?", b.zone, one.item.Zone)
			}
			b.zone = one.item.Zone
		case one.item.AnyMoney:
		default:
			kept.list = append(kept.list, one)
		}
	}
	return kept
}

func (b *binding) term(one term) condition {
	it := one.item
	var made condition
	switch {
	case one.role != "":
		return role{one.role}
	case it.Role != nil:
		made = role{it.Role.role(b.compiler, one.place)}
		if it.Role.Not || it.Role.Lacks {
			return not{made}
		}
		return made
	case !one.tool.empty():
		made = called{b.one(one.tool).Name}
		if one.negative {
			return not{made}
		}
		return made
	case it.Compare != nil:
		return b.compare(one)
	case it.Values != nil:
		return b.values(one)
	case it.Truth != "":
		if one.argument.empty() {
			b.notUnderstood(one.place)
		}
		a := b.target(b.tools, one, "is true", func(a *argument) bool { return a.kind == "boolean" }, nil)
		if it.Truth == "false" {
			return not{flag{a.name}}
		}
		return flag{a.name}
	case it.Origin != nil:
		return b.origin(one)
	case it.Hours != nil:
		return b.hours(one)
	case it.Days != nil:
		return b.days(one)
	}
	b.notUnderstood(one.place)
	return nil
}

func (b *binding) origin(one term) condition {
	if one.argument.empty() {
		b.notUnderstood(one.place)
	}
	readable := func(a *argument) bool {
		return a.kind == "string" || numeric(a) || a.kind == "array" && (a.items == "string" || a.items == "number" || a.items == "integer")
	}
	a := b.target(b.tools, one, "the user gave", readable, nil)
	made := condition(fromUser{a.name, a.kind == "array"})
	if o := one.item.Origin; o.NotGave || o.Not {
		return not{made}
	}
	return made
}

// values binds "in USD or EUR", "status is shipped", `reason is "gift"`.
func (b *binding) values(one term) condition {
	p := one.item.Values
	var texts []string
	currency, quoted := true, false
	for _, v := range p.Values {
		texts = append(texts, v.Currency+v.Value+v.Quoted)
		currency = currency && v.Currency != ""
		quoted = quoted || v.Quoted != ""
	}
	unnamed := holding(texts)
	if currency {
		unnamed = func(t *tool) []*argument {
			if found := currencies(t); len(found) > 0 {
				return found
			}
			return holding(texts)(t)
		}
	}
	a := b.target(b.tools, one, "is "+texts[0], func(a *argument) bool { return a.kind == "string" }, unnamed)
	made := oneOf{argument: a.name}
	for _, text := range texts {
		spelled := text
		switch {
		case len(a.enum) > 0:
			if spelled = a.value(text); spelled == "" {
				b.notUnderstood(one.place)
			}
		case currency:
			made.upper = true
		case !quoted:
			b.notUnderstood(one.place) // a bare word is only a value where an enum says so
		}
		made.values = append(made.values, spelled)
	}
	if p.Not {
		return not{made}
	}
	return made
}

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
		if p.LeastOp == "" {
			b.notUnderstood(one.place) // "refunds of $100": which side?
		}
		made := b.limit(one, p.LeastOp, p.Least)
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
	return nil
}

// saysCurrency: the clause says which currency is meant, or that any is.
func (b *binding) saysCurrency(currency string) bool {
	for _, list := range []*terms{&b.clause.conditions, b.clause.only} {
		for _, other := range list.all() {
			if other.item.AnyMoney {
				return true
			}
			if v := other.item.Values; v != nil && !v.Not && len(v.Values) == 1 && v.Values[0].Currency == currency && list.or == 0 {
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

func (b *binding) needZone(one term) string {
	if b.zone != "" {
		return b.zone
	}
	q := Question{ID: "zone", Text: fmt.Sprintf("In which time zone is %q?", b.text(one.place)), Options: []string{"UTC"}, Other: "a city, such as Berlin, or the zone's name, such as Europe/Berlin"}
	return b.answer(q, func(said string) (string, bool) {
		said = strings.ToLower(strings.TrimSpace(said))
		for _, spelled := range []string{said, said + " time"} {
			if e := phrases[spelled]; e.class == "Zone" {
				return e.value, true
			}
		}
		return "", false
	})[0]
}

func (b *binding) hours(one term) condition {
	p := one.item.Hours
	zone := b.needZone(one)
	minute := func(s string) int { n, _ := strconv.Atoi(s); return n }
	switch {
	case p.After != "":
		if minute(p.After) == 24*60 {
			b.notUnderstood(one.place)
		}
		return hours{zone, minute(p.After), 24 * 60}
	case p.Before != "":
		if minute(p.Before) == 0 {
			b.notUnderstood(one.place) // before midnight is no part of a day
		}
		return hours{zone, 0, minute(p.Before)}
	}
	made := hours{zone, minute(p.From), minute(p.To)}
	if made.to == 0 {
		made.to = 24 * 60
	}
	if made.from == made.to || made.from == 24*60 {
		b.notUnderstood(one.place)
	}
	if made.from > made.to && b.namesDay() {
		b.problem("%q goes over midnight: to which day does the night belong? Write two sentences, one up to midnight and one after it.", b.text(one.place))
	}
	if p.Outside {
		return not{made}
	}
	return made
}

func (b *binding) namesDay() bool {
	for _, list := range []*terms{&b.clause.conditions, b.clause.only, b.clause.exceptions} {
		if list != nil && slices.ContainsFunc(list.list, func(t term) bool { return t.item.Days != nil }) {
			return true
		}
	}
	return false
}

func (b *binding) days(one term) condition {
	p := one.item.Days
	made := days{zone: b.needZone(one)}
	for _, d := range p.Days {
		switch d {
		case "weekend":
			made.days = append(made.days, "saturday", "sunday")
		case "workday":
			made.days = append(made.days, "monday", "tuesday", "wednesday", "thursday", "friday")
		default:
			made.days = append(made.days, d)
		}
	}
	made.days = unique(made.days)
	if p.Not {
		return not{made}
	}
	return made
}
