package rule

import (
	"slices"

	"cadreen/governance"
)

// phrases reads a run of words for tools, arguments and roles. What each is
// follows from what stands behind the run.
func (r *segmentReader) phrases() {
	marker := r.items[r.at]
	if marker.With || marker.After || marker.Before {
		r.at++
	} else {
		marker = &item{}
	}
	start := r.at
	for r.at < len(r.items) && r.items[r.at].word() {
		r.at++
	}
	run := r.items[start:r.at]
	if len(run) == 0 {
		if next := r.peek(0); marker.After && next.Compare != nil {
			r.after = true // "after 3 refunds per day"
			return
		}
		if next := r.peek(0); marker.With && (next.Compare != nil || next.Role != nil || next.Text != nil) {
			return // "with more than 5 items", "when the requester is …"
		}
		r.notUnderstood(marker.place())
	}
	whole := span{run[0].place().from, run[len(run)-1].place().to}
	last := run[len(run)-1].place()
	next := r.peek(0)
	k := r.clause
	switch {
	case marker.After, marker.Before:
		r.order(marker, run, whole)
	case r.join != "" && r.orderBefore() && (noName(run) || len(run) == 1) && len(r.matchAmong(whole, r.known.tools).all()) > 0 && !next.valued() && next.Origin == nil && !next.Was && !next.WasNot:
		// "only after get_order and verify_identity"
		before := r.into.list[len(r.into.list)-1]
		for r.peek(0).Called {
			r.at++
		}
		r.add(term{item: before.item, place: whole, tool: whole, negative: before.negative})
	case (next.And || next.Or) && r.calledAhead():
		called := r.calledItem()
		r.subject(run[:len(run)-1])
		r.add(term{item: called, place: last, tool: last})
	case (next.Was || next.WasNot) && r.peek(1).word():
		// "the order was looked up first"
		verb := r.peek(1).place()
		r.at += 2
		if r.peek(0).Called {
			r.at++
		}
		r.subject(run[:len(run)-1])
		r.add(term{item: next, place: span{last.from, verb.to}, tool: span{last.from, verb.to}, noun: last, negative: next.WasNot})
	case next.Called || next.NotCalled:
		if r.at++; r.peek(0).Called {
			r.at++
		}
		tool, noun := last, span{}
		if run[len(run)-1].Tool == "" && noName(run) {
			if tool = whole; len(run) > 1 {
				noun = run[0].place()
			}
		} else {
			r.subject(run[:len(run)-1])
		}
		r.add(term{item: next, place: tool, tool: tool, noun: noun, negative: next.NotCalled})
	case next.Origin != nil || (next.Was && r.peek(1).Origin != nil):
		if next.Was {
			r.at++
			next = r.peek(0)
		}
		r.at++
		r.subject(run[:len(run)-1])
		r.add(term{item: next, place: next.place(), argument: last})
	case next.Compare != nil || next.Values != nil || next.Truth != "" || next.Text != nil || next.Was && r.peek(1).valued():
		if next.Was {
			r.at++
			next = r.peek(0)
		}
		r.argued(marker, run, whole, last, next)
	case marker.With && r.enumTail(whole):
		// "with role admin": a value that is a word of the grammar too
		value := span{whole.to - 1, whole.to}
		said := valuesPhrase{Values: []*valuePhrase{{Value: r.text(value)}}}
		r.add(term{item: &item{Values: &said}, place: whole, argument: span{whole.from, value.from}})
	case marker.With:
		r.notUnderstood(whole)
	case (next.And || next.Or) && r.isReviewer(whole) && len(run) == 1 && len(r.matchTools(whole).all()) == 0 && r.mayAhead():
		r.add(term{item: &item{}, place: whole, role: r.roleName(whole)}) // "admins and refund leads may …"
	case next.May && r.isReviewer(last) && len(run) == 1:
		r.at++
		r.may(term{item: next, place: last, role: r.roleName(last)})
	case next.Effect != nil && (next.Effect.Word == "block" || next.Effect.Need) && r.isRole(whole) && len(k.subject) == 0 && len(r.matchTools(whole).all()) == 0 && (r.peek(1).word() || r.peek(1).Any) && r.into == &k.conditions:
		r.add(term{item: &item{}, place: whole, role: r.roleName(whole)}) // "operators may not delete orders"
	case r.into == k.exceptions && r.isRole(whole) && len(r.matchTools(whole).all()) == 0:
		r.add(term{item: &item{}, place: whole, role: r.roleName(whole)})
	case k.effect == governance.Escalate && k.to == "" && (len(k.subject) > 0 || len(run) > 1) && r.isReviewer(last):
		// "escalate refunds over $100 to finance"
		r.subject(run[:len(run)-1])
		k.to = r.reviewer(r.roleName(last))
	case r.elliptic && k.effect == 0 && len(run) == 1 && r.isRole(whole) && len(k.conditions.list) > 0:
		k.effect, k.effectAt, k.needs = governance.Escalate, whole, true
		k.to = r.reviewer(r.roleName(whole))
	default:
		r.subject(run)
	}
}

// word: the item is words for a tool, an argument or a role.
func (i *item) word() bool { return i.Phrase != nil || i.Tool != "" }

// valued: the item says something of an argument before it.
func (i *item) valued() bool {
	return i.Compare != nil || i.Values != nil || i.Truth != "" || i.Text != nil
}

// noName says that no word of a run is a tool's full name.
func noName(run []*item) bool {
	return !slices.ContainsFunc(run, func(i *item) bool { return i.Tool != "" })
}

// order reads "only after get_order was called", "without verify_identity",
// "after the order was looked up", and "without a reason", which is no order.
func (r *segmentReader) order(marker *item, run []*item, whole span) {
	next := r.peek(0)
	t := term{item: marker, place: whole, tool: whole, negative: marker.Before}
	switch {
	case (next.Was) && r.peek(1).word():
		verb := r.peek(1).place()
		t.place.to, t.tool.to, t.noun = verb.to, verb.to, run[len(run)-1].place()
		r.at += 2
		if r.peek(0).Called {
			r.at++
		}
	case next.Called:
		r.at++
		if len(run) > 1 && noName(run) && r.tokens[next.place().from].class == "First" {
			t.noun = run[len(run)-1].place() // "without looking up the order first"
		}
	case len(run) > 1 && noName(run):
		t.noun = run[len(run)-1].place() // "without looking up the order"
	}
	for r.peek(0).Per != nil {
		t.per = append(t.per, r.peek(0))
		r.at++
	}
	if marker.Before && len(run) == 1 && len(t.per) == 0 && len(r.matchAmong(whole, r.known.tools).all()) == 0 && r.namesArgument(whole) {
		r.add(term{item: marker, place: whole, argument: whole, missing: true})
		return
	}
	r.add(t)
}

// argued reads a run that ends in an argument of which something is said.
func (r *segmentReader) argued(marker *item, run []*item, whole, last span, next *item) {
	argument := whole
	if !marker.With {
		if argument = r.argumentIn(run, whole, last); argument.empty() {
			r.subject(run)
			return
		}
		switch {
		case argument == last:
			r.subject(run[:len(run)-1])
		case argument.from > whole.from:
			r.clause.subject = append(r.clause.subject, span{whole.from, argument.from})
		}
	}
	if next.Compare != nil {
		r.compared(argument)
		return
	}
	r.at++
	r.add(term{item: next, place: span{argument.from, next.place().to}, argument: argument})
}

// argumentIn decides which part of a run before a comparison names an argument:
// all of it, its last phrase, or nothing, where it names a tool.
func (r *segmentReader) argumentIn(run []*item, whole, last span) span {
	if len(run) > 1 && len(r.matchTools(whole).all()) == 0 && r.namesArgument(last) {
		return last
	}
	if len(r.clause.subject) == 0 && len(r.matchTools(whole).all()) > 0 {
		return span{}
	}
	if r.namesArgument(whole) {
		return whole
	}
	if len(run) == 1 && run[0].Tool == "" && len(r.clause.subject) == 0 {
		// "refund amounts", "shell commands"
		for at := whole.from + 1; at < whole.to; at++ {
			if name := (span{at, whole.to}); r.namesArgument(name) && len(r.matchTools(span{whole.from, at}).all()) > 0 {
				return name
			}
		}
	}
	return span{}
}

// subject adds words for tools. They stand together, or are joined.
func (r *segmentReader) subject(run []*item) {
	if len(run) == 0 {
		return
	}
	whole := span{run[0].place().from, run[len(run)-1].place().to}
	if r.into == r.clause.exceptions {
		if next := r.peek(0); (next.valued() || next.With || next.timed()) && r.saysSubject(whole) {
			return // "refunds need approval except refunds under $20"
		}
		r.add(term{item: &item{}, place: whole, tool: whole})
		return
	}
	if flag := run[len(run)-1].place(); len(run) > 1 && r.namesFlag(flag) && len(r.matchTools(whole).all()) == 0 {
		r.subject(run[:len(run)-1])
		r.add(term{item: &item{}, place: flag, argument: flag, flag: true}) // "refunds to new customers"
		return
	}
	if len(r.clause.subject) > 0 && !r.subjectJoin {
		r.notUnderstood(whole)
	}
	r.subjectJoin = false
	// Full names stand for themselves, words belong together.
	var words *span
	for i, it := range run {
		p := it.place()
		if i > 0 && run[i-1].place().to == p.from && (it.Tool != "" || run[i-1].Tool != "") {
			r.notUnderstood(p) // "send_email to the user"
		}
		switch {
		case it.Tool != "":
			r.clause.subject = append(r.clause.subject, p)
			words = nil
		case words != nil && words.to == p.from:
			words.to = p.to
		default:
			r.clause.subject = append(r.clause.subject, p)
			words = &r.clause.subject[len(r.clause.subject)-1]
		}
	}
}

// mayAhead: roles and "may" follow.
func (r *segmentReader) mayAhead() bool {
	for _, it := range r.items[r.at:] {
		switch {
		case it.May:
			return true
		case !it.word() && !it.And && !it.Or:
			return false
		}
	}
	return false
}

// enumTail: the last word is a value of the argument that the words before name.
func (r *segmentReader) enumTail(s span) bool {
	if s.to-s.from < 2 {
		return false
	}
	name, value := span{s.from, s.to - 1}, r.text(span{s.to - 1, s.to})
	return slices.ContainsFunc(r.scoped, func(t *tool) bool {
		return len(r.named(t, name, func(a *argument) bool { return a.value(value) != "" })) > 0
	})
}

// saysSubject: the words are those of the clause's subject again.
func (r *segmentReader) saysSubject(s span) bool {
	return slices.ContainsFunc(r.clause.subject, func(o span) bool { return slices.Equal(r.stems(o), r.stems(s)) })
}

// orderBefore: the condition before is about what was called.
func (r *segmentReader) orderBefore() bool {
	if len(r.into.list) == 0 {
		return false
	}
	before := &r.into.list[len(r.into.list)-1]
	return !before.tool.empty() && !before.item.named()
}

// calledAhead: only names of tools come before "were called".
func (r *segmentReader) calledAhead() bool { return r.calledItem() != nil }

func (r *segmentReader) calledItem() *item {
	for _, it := range r.items[r.at:] {
		switch {
		case it.Called:
			return it
		case it.Tool == "" && !it.And && !it.Or:
			return nil
		}
	}
	return nil
}
