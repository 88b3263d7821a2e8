package rule

import (
	"slices"

	"cadreen/governance"
)

// clause is one effect with what it hangs on. What it speaks of is not bound to
// arguments yet.
type clause struct {
	subject    []span // words for tools
	any        bool   // "all", "anything": several tools may fit
	conditions terms
	only       *terms // what stands behind "only": the effect is for the rest
	exceptions *terms
	effect     governance.Verdict
	shadow     bool
	to         string
	effectAt   span
	needs      bool // the effect was said with "need": the next may leave it out
	otherwise  bool
	ruled      bool // "may" was just read: what follows says what may be done
	place      span
}

// terms are conditions with how they are joined.
type terms struct {
	list     []term
	or, and  int // written joins
	joinedBy *item
}

// term is one condition as written.
type term struct {
	item     *item
	place    span
	argument span // words for the argument; from == to if there are none
	counted  span // the noun behind a bare number
	tool     span // order: words for the tool
	negative bool
	role     string
}

// clauses puts phrases together. A break ends a clause that has its effect; what
// stands between breaks without one belongs to the clause after it, or to the last.
// leading are the exceptions of "Unless …, " at the beginning: they are for all.
func (c *compiler) clauses(s *sentence) (list []*clause, leading *terms) {
	var segments [][]*item
	var now []*item
	hasEffect := false
	flush := func() {
		if len(now) > 0 {
			segments = append(segments, now)
		}
		now, hasEffect = nil, false
	}
	for i, it := range s.Items {
		switch {
		case it.Break:
			flush()
		case (it.And || it.Or) && len(now) == 0 && len(segments) > 0 && !it.Or:
			// ", and over $2,000 …"
		case it.And && hasEffect && followed(s.Items[i+1:]):
			flush()
		default:
			hasEffect = hasEffect || it.Effect != nil
			now = append(now, it)
		}
	}
	flush()
	var waiting [][]*item
	otherwise := func(i int) bool { return i < len(segments) && segments[i][0].Otherwise }
	for i, segment := range segments {
		k := c.segment(slices.Concat(append(waiting, segment)...), len(list) > 0 && list[len(list)-1].needs)
		switch {
		case k.effect != 0 || k.shadow || k.only != nil && otherwise(i+1):
			if len(waiting) > 0 && len(list) > 0 {
				c.problem("Does %q belong to what stands before it or behind it? Write two sentences.", c.text(c.segment(slices.Concat(waiting...), false).place))
			}
			list, waiting = append(list, k), nil
		case len(list) == 0 && len(waiting) == 0 && i < len(segments)-1 && k.exceptions != nil && len(k.conditions.list) == 0 && len(k.subject) == 0 && !k.any:
			leading = k.exceptions
		case i == len(segments)-1 && len(list) > 0:
			list[len(list)-1].absorb(c, k)
			waiting = nil
		default:
			waiting = append(waiting, segment)
		}
	}
	if len(waiting) > 0 {
		list = append(list, c.segment(slices.Concat(waiting...), false))
	}
	if len(list) == 0 {
		c.notUnderstood(span{0, len(c.tokens)})
	}
	return list, leading
}

// followed: another effect comes before the next break, so that an "and" behind
// the first one begins a clause of its own.
func followed(rest []*item) bool {
	for i, it := range rest {
		if it.Break {
			return false
		}
		if it.Effect != nil || it.Phrase != nil && i > 0 && rest[i-1].Compare != nil {
			return true
		}
	}
	return false
}

// absorb takes what was said behind the effect: ", unless …", ", after 5pm …".
func (k *clause) absorb(c *compiler, more *clause) {
	if len(more.subject) > 0 || more.any || more.only != nil || more.exceptions != nil && k.exceptions != nil {
		c.notUnderstood(more.place)
	}
	if len(more.conditions.list) > 0 && k.only != nil {
		c.notUnderstood(more.place)
	}
	k.conditions.list = append(k.conditions.list, more.conditions.list...)
	k.conditions.or += more.conditions.or
	if more.exceptions != nil {
		k.exceptions = more.exceptions
	}
}

// segment reads the items of one clause.
func (c *compiler) segment(items []*item, elliptic bool) *clause {
	k := &clause{place: span{items[0].place().from, items[len(items)-1].place().to}}
	into := &k.conditions
	r := &segmentReader{compiler: c, clause: k, items: items}
	for r.at < len(items) {
		it := items[r.at]
		switch {
		case it.Otherwise:
			k.otherwise = true
		case it.Only:
			if k.only != nil || k.exceptions != nil {
				c.notUnderstood(it.place())
			}
			k.only = &terms{}
			into = k.only
		case it.Unless:
			if k.exceptions != nil {
				c.notUnderstood(it.place())
			}
			k.exceptions = &terms{}
			into = k.exceptions
		case it.Any:
			if into == k.exceptions {
				c.notUnderstood(it.place())
			}
			k.any = true
		case it.And, it.Or:
			r.join(into, it)
		case it.Effect != nil:
			if k.effect != 0 || k.shadow {
				c.notUnderstood(it.place())
			}
			c.readEffect(k, it)
			if into == k.exceptions {
				into = &k.conditions // "except in EUR need approval"
			}
		case it.Phrase != nil, it.Tool != "", it.With, it.After, it.Before:
			r.phrases(into, elliptic)
			if k.ruled {
				into, k.ruled = &k.conditions, false // "only admins may …"
			}
			continue
		case it.Called, it.NotCalled, it.May:
			c.notUnderstood(it.place())
		default:
			into.add(term{item: it, place: it.place(), counted: r.counted()})
		}
		r.at++
	}
	if k.only != nil && len(k.only.list) == 0 || k.exceptions != nil && len(k.exceptions.list) == 0 {
		c.notUnderstood(span{k.place.to - 1, k.place.to})
	}
	return k
}

func (t *terms) add(one term) { t.list = append(t.list, one) }

// segmentReader walks over the items of a clause.
type segmentReader struct {
	*compiler
	clause *clause
	items  []*item
	at     int
	// subjectJoin: an "and" or "or" stands behind the words for tools.
	subjectJoin bool
}

func (r *segmentReader) peek(n int) *item {
	if r.at+n < len(r.items) {
		return r.items[r.at+n]
	}
	return &item{}
}

// join reads "and" or "or": between conditions, or between words for tools.
func (r *segmentReader) join(into *terms, it *item) {
	next, before := r.peek(1), r.items[max(0, r.at-1)]
	behindTool := r.at > 0 && (before.Phrase != nil || before.Tool != "")
	switch {
	case r.at == 0 || r.at == len(r.items)-1:
		r.notUnderstood(it.place())
	case behindTool && (next.Phrase != nil || next.Tool != "" || next.Any) && len(r.clause.subject) > 0 && into == &r.clause.conditions && len(into.list) == 0:
		r.subjectJoin = true
	case len(into.list) == 0:
		r.notUnderstood(it.place())
	case it.Or:
		into.or++
		into.joinedBy = it
	default:
		into.and++
		into.joinedBy = it
	}
}

// counted takes the noun behind a bare number: "more than 5 items".
func (r *segmentReader) counted() span {
	it, next := r.items[r.at], r.peek(1)
	if it.Compare == nil || next.Phrase == nil || !it.Compare.bare() {
		return span{}
	}
	r.at++
	return next.place()
}

func (p *comparePhrase) bare() bool {
	for _, a := range []*amountPhrase{p.Value, p.High, p.Least} {
		if a != nil {
			return a.Figure != ""
		}
	}
	return false
}

// phrases reads a run of words for tools, arguments and roles. What each is
// follows from what stands behind the run.
func (r *segmentReader) phrases(into *terms, elliptic bool) {
	marker := r.items[r.at]
	if marker.With || marker.After || marker.Before {
		r.at++
	} else {
		marker = &item{}
	}
	start := r.at
	for r.at < len(r.items) && (r.items[r.at].Phrase != nil || r.items[r.at].Tool != "") {
		r.at++
	}
	run := r.items[start:r.at]
	if len(run) == 0 {
		if next := r.peek(0); marker.With && (next.Compare != nil || next.Role != nil) {
			return // "with more than 5 items", "when the requester is …"
		}
		r.notUnderstood(marker.place())
	}
	whole := span{run[0].place().from, run[len(run)-1].place().to}
	last := run[len(run)-1].place()
	next := r.peek(0)
	switch {
	case marker.After, marker.Before:
		// "only after get_order was called", "without verify_identity"
		if next.Called {
			r.at++
		}
		into.add(term{item: marker, place: whole, tool: whole, negative: marker.Before})
	case next.Called || next.NotCalled:
		r.at++
		tool := last
		if run[len(run)-1].Tool == "" && noName(run) {
			tool = whole
		} else {
			r.subject(into, run[:len(run)-1])
		}
		into.add(term{item: next, place: tool, tool: tool, negative: next.NotCalled})
	case next.Origin != nil:
		r.at++
		r.subject(into, run[:len(run)-1])
		into.add(term{item: next, place: next.place(), argument: last})
	case next.Compare != nil || next.Values != nil || next.Truth != "":
		argument := whole
		if !marker.With {
			argument = r.argumentIn(run, whole, last)
			if argument.empty() {
				r.subject(into, run)
				return
			}
			if argument == last {
				r.subject(into, run[:len(run)-1])
			}
		}
		r.at++
		into.add(term{item: next, place: span{argument.from, next.place().to}, argument: argument})
	case marker.With:
		r.notUnderstood(whole)
	case next.May && r.isRole(last) && len(run) == 1:
		r.at++
		r.clause.may(r.compiler, into, term{item: next, place: last, role: r.roleName(last)})
	case into == r.clause.exceptions && r.isRole(whole) && len(r.matchTools(whole).all()) == 0:
		into.add(term{item: &item{}, place: whole, role: r.roleName(whole)})
	case r.clause.effect == governance.Escalate && r.clause.to == "" && (len(r.clause.subject) > 0 || len(run) > 1) && r.isReviewer(last):
		// "escalate refunds over $100 to finance"
		r.subject(into, run[:len(run)-1])
		r.clause.to = r.reviewer(r.roleName(last))
	case elliptic && r.clause.effect == 0 && len(run) == 1 && r.isRole(whole) && len(r.clause.conditions.list) > 0:
		r.clause.effect, r.clause.effectAt, r.clause.needs = governance.Escalate, whole, true
		r.clause.to = r.reviewer(r.roleName(whole))
	default:
		r.subject(into, run)
	}
}

// noName says that no word of a run is a tool's full name.
func noName(run []*item) bool {
	return !slices.ContainsFunc(run, func(i *item) bool { return i.Tool != "" })
}

// may: "only refund leads may …", "refund leads may …".
func (k *clause) may(c *compiler, into *terms, t term) {
	into.add(t)
	k.ruled = into == k.only
	if k.effect == 0 && !k.shadow {
		k.effect, k.effectAt = governance.Allow, t.place
	}
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
	return span{}
}

// subject adds words for tools. They stand together, or are joined.
func (r *segmentReader) subject(into *terms, run []*item) {
	if len(run) == 0 {
		return
	}
	whole := span{run[0].place().from, run[len(run)-1].place().to}
	if into == r.clause.exceptions {
		into.add(term{item: &item{}, place: whole, tool: whole})
		return
	}
	if len(r.clause.subject) > 0 && !r.subjectJoin {
		r.notUnderstood(whole)
	}
	r.subjectJoin = false
	// Full names stand for themselves, words belong together.
	var words *span
	for _, it := range run {
		p := it.place()
		switch {
		case it.Tool != "":
			r.clause.subject = append(r.clause.subject, p)
			words = nil
		case words != nil:
			words.to = p.to
		default:
			r.clause.subject = append(r.clause.subject, p)
			words = &r.clause.subject[len(r.clause.subject)-1]
		}
	}
}
