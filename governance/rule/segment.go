package rule

import (
	"slices"
	"strings"

	"cadreen/governance"
)

const needsWindow = `in which time? such as "per day" or "in 2 hours"`

// segmentReader walks over the items of a clause.
type segmentReader struct {
	*compiler
	clause   *clause
	items    []*item
	at       int
	elliptic bool
	into     *terms
	join     string // written before what comes next
	joinAt   span
	// subjectJoin: an "and" or "or" stands behind the words for tools.
	subjectJoin bool
	per         []*item // said before what is counted
	total       span    // "in total", said before what is summed
	limit       bool    // "limit": the number that comes is the most there may be
	after       bool    // "after": the number that comes is the last that is let go
}

func (r *segmentReader) peek(n int) *item {
	if r.at+n < len(r.items) {
		return r.items[r.at+n]
	}
	return &item{}
}

// add a condition to where conditions go now.
func (r *segmentReader) add(one term) {
	r.into.add(one, r.join)
	r.join = ""
}

func (r *segmentReader) step() {
	k, it := r.clause, r.items[r.at]
	r.at++
	switch {
	case it.opensRest():
		k.otherwise, k.beyond = true, it.Beyond
		if it.Beyond != "" {
			k.beyond = r.tokens[it.place().from].class
		}
	case it.Only:
		if k.only != nil || k.exceptions != nil {
			r.notUnderstood(it.place())
		}
		k.only, k.limit = &terms{}, r.tokens[it.place().from].class == "Must"
		r.into = k.only
	case it.Unless:
		if k.exceptions != nil {
			r.notUnderstood(it.place())
		}
		k.exceptions = &terms{}
		r.into = k.exceptions
	case it.Unapproved != nil:
		if k.unapproved != nil {
			r.notUnderstood(it.place())
		}
		k.unapproved = &unapproved{it.Unapproved, it.place()}
	case it.Any:
		if r.into == k.exceptions {
			r.notUnderstood(it.place())
		}
		k.any = true
	case it.And, it.Or:
		r.readJoin(it)
	case it.Effect != nil:
		if k.effect != 0 || k.shadow {
			r.notUnderstood(it.place())
		}
		if r.at == len(r.items) && r.denies(it) {
			// "over $100 need approval, over $500 do not": they are not blocked
			r.hinted(it.place(), "say what should happen to them, as in \"need no approval\"")
		}
		r.readEffect(k, it)
		if r.into == k.exceptions {
			r.into = &k.conditions // "except in EUR need approval"
		}
	case it.Phrase != nil, it.Tool != "", it.With, it.After, it.Before:
		r.at--
		r.phrases()
		if k.ruled {
			r.into, k.ruled = &k.conditions, false // "only admins may …"
		}
	case it.Was && r.at < len(r.items):
		// "when the amount was over $100"
	case it.Limit:
		r.limit = true
	case it.Per != nil:
		r.per = append(r.per, it)
	case it.Total && r.at < len(r.items):
		r.total = it.place()
	case it.Window != "":
		r.hinted(it.place(), "a time stands behind what is counted or summed, as in \"more than 3 refunds per day\"")
	case it.Called, it.NotCalled, it.May, it.Was, it.WasNot, it.Times, it.Total:
		r.notUnderstood(it.place())
	case it.Compare != nil:
		r.at--
		r.compared(span{})
	case it.Origin != nil && r.join != "" && len(r.into.list) > 0 && r.into.list[len(r.into.list)-1].item.Origin != nil:
		// "only to addresses the user gave or that came from a tool result"
		r.add(term{item: it, place: it.place(), argument: r.into.list[len(r.into.list)-1].argument})
	default:
		r.add(term{item: it, place: it.place()})
	}
}

// denies: the words only say "not" of what stands behind them.
func (r *segmentReader) denies(it *item) bool {
	said := strings.ToLower(strings.ReplaceAll(r.text(it.place()), "’", "'"))
	return said == "do not" || said == "don't"
}

// readJoin reads "and" or "or": between conditions, or between words for tools.
func (r *segmentReader) readJoin(it *item) {
	next, before := r.peek(0), r.items[max(0, r.at-2)]
	behindTool := r.at > 1 && (before.Phrase != nil || before.Tool != "")
	k := r.clause
	switch {
	case r.at == 1 || r.at == len(r.items):
		r.notUnderstood(it.place())
	case behindTool && (next.Phrase != nil || next.Tool != "" || next.Any) && len(k.subject) > 0 && r.into == &k.conditions && len(r.into.list) == 0:
		r.subjectJoin = true
	case len(r.into.list) == 0 || r.join != "":
		r.notUnderstood(it.place())
	default:
		if r.join = "and"; it.Or {
			r.join = "or"
		}
		r.joinAt = it.place()
	}
}

// compared reads a comparison with what belongs to it: the noun that is counted,
// and how far back counts and sums reach.
func (r *segmentReader) compared(argument span) {
	it := r.items[r.at]
	r.at++
	t := term{item: it, place: it.place(), argument: argument, per: r.per, total: r.total.to > 0}
	p := it.Compare
	if !argument.empty() {
		t.place.from = argument.from
	}
	start := r.at
	for r.at < len(r.items) {
		next := r.items[r.at]
		switch {
		case next.Window != "" && t.window == "":
			t.window = next.Window
		case next.Per != nil:
			t.per = append(slices.Clip(t.per), next)
		case next.Times && !t.times && t.counted.empty():
			t.times = true
		case next.Total && !t.total:
			t.total = true
		case (next.Phrase != nil || next.Tool != "") && t.counted.empty() && !t.times && t.window == "" && p.counts() && (p.bare() || r.windowAhead()) && !r.whoApproves(next):
			t.counted = next.place()
		case next.Was && !t.counted.empty() && r.peek(1).Window != "":
		default:
			r.finish(t, start)
			return
		}
		r.at++
	}
	r.finish(t, start)
}

// whoApproves: the words are a role and nothing else, as in "more than two a manager".
func (r *segmentReader) whoApproves(next *item) bool {
	return r.isReviewer(next.place()) && len(r.matchTools(next.place()).all()) == 0 && !r.namesArgument(next.place())
}

// windowAhead: a time that is counted over comes before anything but words and
// "per": the noun behind an amount is what is summed.
func (r *segmentReader) windowAhead() bool {
	for _, it := range r.items[r.at:] {
		switch {
		case it.Window != "":
			return true
		case it.Phrase == nil && it.Tool == "" && it.Per == nil && !it.Total && !it.Was:
			return false
		}
	}
	return false
}

func (r *segmentReader) finish(t term, start int) {
	p := t.item.Compare
	if r.at > start {
		t.place.to = r.items[r.at-1].place().to
	}
	bare := p.Least != nil && p.LeastOp == ""
	t.least = bare && (t.window != "" && r.into == r.clause.only || r.limit)
	if t.beyond = bare && r.after && t.window != ""; r.after && !t.beyond {
		r.notUnderstood(t.place)
	}
	switch {
	case t.window == "" && !t.counted.empty() && p.bare() && t.argument.empty() && !r.namesArgument(t.counted) && len(r.matchAmong(t.counted, r.known.tools).all()) > 0:
		if next := r.peek(0); next.valued() || next.With || next.Origin != nil {
			r.problem("Counts and sums are over all calls of a tool: some of them cannot be told apart in %q.", r.text(span{t.place.from, next.place().to}))
		}
		r.hinted(t.place, needsWindow)
	case t.window == "" && (t.times || t.total || len(t.per) > 0 || p.Often != ""):
		r.hinted(t.place, needsWindow)
	case t.window != "" && bare && !t.least && !t.beyond, t.window != "" && p.Low != nil:
		r.hinted(t.place, "say more than, at least, or no more than")
	}
	r.per, r.total, r.limit, r.after = nil, span{}, false, false
	if t.window != "" && !t.counted.empty() {
		r.countedVerb(&t)
	}
	if t.window != "" && !t.counted.empty() && len(r.clause.subject) == 0 && r.into != r.clause.exceptions {
		if !r.sums(t) {
			r.clause.subject = append(r.clause.subject, t.counted)
		}
	}
	r.add(t)
}

// countedVerb puts a verb and what is counted together: "delete more than 5 orders
// per hour" is about delete_order alone.
func (r *segmentReader) countedVerb(t *term) {
	k := r.clause
	if len(k.subject) != 1 || r.isGlob(k.subject[0]) || !r.onlyVerb(k.subject[0]) {
		return
	}
	if f := r.matchWords(append(r.stems(k.subject[0]), r.stems(t.counted)...), r.scoped, false); len(f.strong)+len(f.loose) == 1 {
		k.chosen = append(f.strong, f.loose...)
		t.counted = span{}
	}
}

// sums: the noun is an argument that is added up, as in "more than 50 items a day".
func (r *segmentReader) sums(t term) bool {
	return len(r.matchTools(t.counted).all()) == 0 && r.namesArgument(t.counted)
}

func (p *comparePhrase) counts() bool { return p.Often == "" }

func (p *comparePhrase) bare() bool {
	for _, a := range []*amountPhrase{p.Value, p.High, p.Least} {
		if a != nil {
			return a.Figure != ""
		}
	}
	return false
}

// may: "only refund leads may …", "refund leads may …".
func (r *segmentReader) may(t term) {
	k := r.clause
	k.ruled = r.into == k.only || r.into == k.exceptions
	r.add(t)
	if k.effect == 0 && !k.shadow {
		k.effect, k.effectAt = governance.Allow, t.place
	}
}
