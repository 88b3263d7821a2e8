package rule

import (
	"slices"
	"strings"

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
	beyond     string      // "above that", "below that": the rest of one limit
	limit      bool        // "no more than 3 a day": nothing is said but the limit
	rest       *clause     // what happens to the rest of "only", where it is said
	ruled      bool        // "may" was just read: what follows says what may be done
	unapproved *unapproved // "without approval", "unless a manager approves"
	chosen     []*tool     // what the subject and what is counted mean together
	dangling   span        // "per customer", with nothing that is counted
	place      span
}

// unapproved is an effect that is said as what must not be missing.
type unapproved struct {
	phrase *unapprovedPhrase
	place  span
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
		case it.Break && !hasEffect && i+1 < len(s.Items) && (s.Items[i+1].word() || s.Items[i+1].Any) && c.isBut(it):
			c.notUnderstood(it.place()) // "all deletes but delete_order": an exception, or a list?
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
	otherwise := func(i int) bool { return i < len(segments) && segments[i][0].opensRest() }
	for i, segment := range segments {
		k := c.segment(slices.Concat(append(waiting, segment)...), len(list) > 0 && list[len(list)-1].needs)
		switch {
		case k.complete() || k.only != nil && otherwise(i+1):
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

// opensRest: the item begins a clause about the rest of what was said before.
func (i *item) opensRest() bool { return i.Otherwise || i.Beyond != "" }

// complete: the clause says what should happen.
func (k *clause) complete() bool { return k.effect != 0 || k.shadow || k.limit }

// followed: another effect comes before the next break, so that an "and" behind
// the first one begins a clause of its own.
func followed(rest []*item) bool {
	for i, it := range rest {
		if it.Break {
			return false
		}
		if i == 0 && it.Only {
			return true // "and must be under $500"
		}
		if it.Effect != nil || it.Phrase != nil && i > 0 && rest[i-1].Compare != nil {
			return true
		}
	}
	return false
}

// absorb takes what was said behind the effect: ", unless …", ", after 5pm …".
func (k *clause) absorb(c *compiler, more *clause) {
	if len(more.subject) > 0 || more.any || more.only != nil || more.exceptions != nil && k.exceptions != nil || more.otherwise {
		c.notUnderstood(more.place)
	}
	if len(more.conditions.list) > 0 && k.only != nil {
		c.notUnderstood(more.place)
	}
	for i, t := range more.conditions.list {
		k.conditions.add(t, more.conditions.joins[i])
	}
	if more.unapproved != nil {
		if k.unapproved != nil {
			c.notUnderstood(more.unapproved.place)
		}
		k.unapproved = more.unapproved
		c.settle(k)
	}
	if more.exceptions != nil {
		k.exceptions = more.exceptions
	}
}

// segment reads the items of one clause.
func (c *compiler) segment(items []*item, elliptic bool) *clause {
	k := &clause{place: span{items[0].place().from, items[len(items)-1].place().to}}
	r := &segmentReader{compiler: c, clause: k, items: items, elliptic: elliptic, into: &k.conditions}
	for r.at < len(items) {
		r.step()
	}
	if k.only != nil && len(k.only.list) == 0 || k.exceptions != nil && len(k.exceptions.list) == 0 {
		c.notUnderstood(span{k.place.to - 1, k.place.to})
	}
	if r.join != "" {
		c.notUnderstood(r.joinAt)
	}
	if r.total.to > 0 || len(r.per) > 0 || r.limit {
		k.dangling = k.place
	}
	c.settle(k)
	return k
}

// settle gives the clause the effect that "without approval" stands for.
func (c *compiler) settle(k *clause) {
	// "no more than 3 refunds a day": only that many
	if k.effect == 0 && !k.shadow && k.only == nil && len(k.conditions.list) > 0 && !k.otherwise {
		at := len(k.conditions.list) - 1
		for at > 0 && (k.conditions.list[at].item.AnyMoney || k.conditions.list[at].item.Zone != "") {
			at--
		}
		if last := &k.conditions.list[at]; last.window != "" && last.upper() || last.least {
			k.only = &terms{}
			k.only.add(*last, "")
			k.conditions.list = slices.Delete(slices.Clone(k.conditions.list), at, at+1)
			k.conditions.joins = slices.Delete(slices.Clone(k.conditions.joins), at, at+1)
			k.limit = true
		}
	}
	if k.unapproved == nil {
		return
	}
	p, place := k.unapproved.phrase, k.unapproved.place
	onlyWith := c.tokens[place.from].class == "Only"
	switch {
	case onlyWith && k.only == nil && (k.effect == 0 || k.effect == governance.Allow):
		c.owned(k, p) // "delete orders only with a manager's approval"
	case onlyWith:
		c.notUnderstood(place)
	case k.effect == governance.Block:
		k.effect = 0
		c.owned(k, p)
	case k.effect == governance.Allow && k.only == nil && p.Approver == nil && p.ByWhom == nil && p.Whose == nil && p.By == nil && !c.isUnless(place):
		// "allowed without approval"
	case k.only != nil && (k.effect == 0 || k.effect == governance.Allow):
		// "only admins may delete without approval": the others need it
		k.rest = &clause{}
		c.owned(k.rest, p)
	case k.effect == 0 && !k.shadow:
		return // what stands behind may say it
	default:
		c.notUnderstood(place)
	}
	k.effectAt, k.unapproved = place, nil
}

func (c *compiler) isUnless(s span) bool {
	return c.tokens[s.from].class == "Unless" || c.tokens[s.from].class == "UnlessApproved"
}

// owned reads who approves.
func (c *compiler) owned(k *clause, p *unapprovedPhrase) {
	for _, o := range []*ownerPhrase{p.By, p.Whose, p.Approver, p.ByWhom} {
		if o != nil && !o.User {
			k.effect, k.to = governance.Escalate, c.reviewer(o.name())
			return
		}
	}
	k.effect = governance.Confirm
}

func (c *compiler) isBut(it *item) bool {
	t := c.tokens[it.place().from]
	return strings.Contains(strings.ToLower(c.sentence[t.start:t.end]), "but")
}
