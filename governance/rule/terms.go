package rule

// terms are conditions with how they are joined.
type terms struct {
	list  []term
	joins []string // before each: "and", "or", or "" where nothing is written
}

// term is one condition as written.
type term struct {
	item     *item
	place    span
	argument span // words for the argument; empty if there are none
	counted  span // the noun behind a number: what is counted or summed
	tool     span // order: words for the tool
	noun     span // order: words for what the tool was called about
	negative bool
	role     string
	flag     bool // the argument is a boolean that is said by its name alone
	missing  bool // "without a reason"
	window   string
	per      []*item
	times    bool
	total    bool
	beyond   bool // "after 3 refunds a day": what comes behind them
	least    bool // a bare number that is a limit: "only 3 refunds a day"
}

func (t *terms) add(one term, join string) {
	t.list = append(t.list, one)
	t.joins = append(t.joins, join)
}

func (t *terms) all() []term {
	if t == nil {
		return nil
	}
	return t.list
}

// listed: the term only names who or what, as in a list.
func (t *term) listed() bool { return t.role != "" || !t.tool.empty() && t.item.named() }

// mixed: both "and", written or not, and "or" join them.
func (t *terms) mixed() bool {
	and, or := false, false
	for i, j := range t.joins {
		and, or = and || i > 0 && j != "or", or || i > 0 && j == "or"
	}
	return and && or
}

// anyOf: "or" joins them all.
func (t *terms) anyOf() bool { return len(t.joins) > 1 && t.joins[1] == "or" && !t.mixed() }

// joined: some join was written.
func (t *terms) joined() bool {
	for i, j := range t.joins {
		if i > 0 && j != "" {
			return true
		}
	}
	return false
}

// upper: the term is met up to a limit.
func (t *term) upper() bool {
	p := t.item.Compare
	if p == nil {
		return false
	}
	return p.Op == "<=" || p.Op == "<" || p.LeastOp == "<=" || t.least || len(p.Often) > 0 && p.Often[0] == '<'
}
