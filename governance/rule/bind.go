package rule

import (
	"fmt"
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
	conditions, joins, places := []condition{}, []string{}, []span{}
	for i, one := range t.list {
		made, last := b.term(one), len(conditions)-1
		if i > 0 && t.joins[i] == "and" && one.listed() && t.list[i-1].listed() {
			// "admins and refund leads may", "except get_order and get_user": a list,
			// of which one is enough
			if before, ok := conditions[last].(some); ok {
				made = append(before, made)
			} else {
				made = some{conditions[last], made}
			}
			conditions[last], places[last].to = made, one.place.to
			continue
		}
		if i > 0 && one.item.timed() && t.list[i-1].item.timed() && (t.joins[i] == "and" || t.joins[i] == "" && one.item.sameTime(t.list[i-1].item)) {
			place := span{places[last].from, one.place.to}
			if b.ask("times", place, fmt.Sprintf("%q: should both times hold, or is one of them enough?", b.text(place)), "both", "one is enough") == "both" {
				made = both(conditions[last], made)
			} else {
				made = some{conditions[last], made}
			}
			conditions[last], places[last] = made, place
			continue
		}
		conditions, joins, places = append(conditions, made), append(joins, t.joins[i]), append(places, one.place)
	}
	return b.join(&terms{list: t.list, joins: joins}, conditions, places)
}

// sameTime: both say an hour, or both a day, so that hardly both can hold.
func (i *item) sameTime(o *item) bool { return (i.Hours == nil) == (o.Hours == nil) }

func (i *item) timed() bool { return i.Hours != nil || i.Days != nil }

// join puts conditions together; where "and" and "or" stand beside each other, it
// asks which of the two bind first.
func (b *binding) join(t *terms, conditions []condition, places []span) condition {
	switch {
	case !t.mixed() && t.anyOf():
		return some(conditions)
	case !t.mixed():
		b.possible(conditions, places)
		return both(conditions...)
	}
	andFirst, orFirst := b.groups(t.joins, places, "or"), b.groups(t.joins, places, "and")
	question := fmt.Sprintf("\"and\" and \"or\" stand together in %q: which reading is meant?", b.text(span{places[0].from, places[len(places)-1].to}))
	split, inner := "or", func(c []condition) condition { return both(c...) }
	outer := func(c []condition) condition { return some(c) }
	if b.ask("join", span{places[0].from, places[len(places)-1].to}, question, andFirst, orFirst) == orFirst {
		split, inner, outer = "and", outer, inner
	}
	var parts, now []condition
	for i, c := range conditions {
		if i > 0 && sameJoin(t.joins[i], split) {
			parts, now = append(parts, inner(now)), nil
		}
		now = append(now, c)
	}
	parts = append(parts, inner(now))
	return outer(parts)
}

// possible refuses conditions of which never all hold: "with reason gift and reason
// late" means something else.
func (b *binding) possible(conditions []condition, places []span) {
	for i := range conditions {
		for j := range conditions[:i] {
			if disjoint(conditions[j], conditions[i]) {
				b.problem("%q and %q never hold together. Write \"or\", or a rule for each.", b.text(places[j]), b.text(places[i]))
			}
		}
	}
}

func sameJoin(written, wanted string) bool {
	return written == wanted || written == "" && wanted == "and"
}

// groups writes one reading of conditions, with parentheses.
func (b *binding) groups(joins []string, places []span, split string) string {
	inner := map[string]string{"or": " and ", "and": " or "}[split]
	var parts, now []string
	flush := func() {
		text := strings.Join(now, inner)
		if len(now) > 1 {
			text = "(" + text + ")"
		}
		parts, now = append(parts, text), nil
	}
	for i, p := range places {
		if i > 0 && sameJoin(joins[i], split) {
			flush()
		}
		now = append(now, b.text(p))
	}
	flush()
	return strings.Join(parts, " "+split+" ")
}

// filter takes what says how others are read (zone, any currency) out of a list.
func (b *binding) filter(t *terms) *terms {
	if t == nil {
		return nil
	}
	kept := &terms{}
	for i, one := range t.list {
		switch {
		case one.item.Zone != "":
			if b.zone != "" && b.zone != one.item.Zone {
				b.problem("Which time zone is meant, %s or %s? Write a rule for each.", b.zone, one.item.Zone)
			}
			b.zone = one.item.Zone
		case one.item.AnyMoney:
		default:
			kept.add(one, t.joins[i])
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
	case one.missing:
		return b.missing(one)
	case !one.tool.empty():
		return b.order(one)
	case one.window != "":
		return b.metered(one)
	case it.Compare != nil:
		return b.compare(one)
	case it.Values != nil:
		return b.values(one)
	case it.Text != nil:
		return b.pieces(one)
	case one.flag, it.Truth != "":
		if one.argument.empty() {
			b.notUnderstood(one.place)
		}
		a := b.target(b.tools, one, "is true", isFlag, nil)
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
