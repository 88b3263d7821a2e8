package governance

import (
	"slices"
	"strings"
)

// landmarks are the places at which the conditions of a rule may change their
// minds, by what is read there.
type landmarks struct {
	config map[string]any
	values map[string]*landmark // arguments and claims, by their path
	order  []string             // of values
	roles  []string
	ids    []string // requester.id
	// domains and workspaces that conditions name.
	domains, workspaces []string
	called              []calledMark
	meters              []*meterMark
	minutes             []minuteMark
	days                []dayMark
	turns, index, count []any
	confirmed           bool
	// left is what the conditions read and no grid varies, in words.
	left []string
}

// landmark is one value that conditions read.
type landmark struct {
	path     []string
	numbers  []any // int64, uint64 or float64
	sizes    []any
	texts    []string
	starts   []string
	ends     []string
	parts    []string
	patterns []string
	hosts    []string // of domain_of
	folded   bool     // case does not count
	truth    bool     // used as true or false
	optional bool     // asked for with has() or ?.
	said     bool     // held against the requester's words
	origins  []string // words of origin()
	summed   bool     // by total()
	list     bool
	element  *landmark // of a list
	// rough: used in a way whose edges are not known.
	rough bool
}

type calledMark struct {
	tool string
	args []calledArgument
}

// calledArgument of called("t", {"id": args.order_id}): a path, or a fixed value.
type calledArgument struct {
	name  string
	path  []string
	value any
}

// meterMark is one count() or total().
type meterMark struct {
	text    string // as CEL
	tool    string
	amount  []string   // path of what is summed, nil for a count
	by      [][]string // paths of arguments
	numbers []any
}

type minuteMark struct {
	zone   string
	minute int
}

type dayMark struct{ zone, day string }

func newLandmarks(config map[string]any) *landmarks {
	return &landmarks{config: config, values: map[string]*landmark{}}
}

// read adds what one expression shows.
func (m *landmarks) read(x *Expr) { m.collect(x, nil) }

// scope are the variables of loops.
type scope map[string]*landmark

func (m *landmarks) collect(x *Expr, in scope) {
	if x == nil {
		return
	}
	if x.Kind != ExprCall {
		if mark := m.subject(x, in); mark != nil {
			mark.truth = true // a condition by itself
			return
		}
		m.rest(x, in)
		return
	}
	switch x.Name {
	case "&&", "||", "!", "?:":
		for _, o := range x.Operands {
			m.collect(o, in)
		}
	case "==", "!=", "<", "<=", ">", ">=":
		if !m.compare(x.Operands[0], x.Operands[1], in) && !m.compare(x.Operands[1], x.Operands[0], in) {
			m.rest(x, in)
		}
	case "in":
		if !m.within(x.Operands[0], x.Operands[1], in) {
			m.rest(x, in)
		}
	case "startsWith", "endsWith", "contains", "matches":
		text, ok := m.constant(x.Operands[len(x.Operands)-1]).(string)
		if from := x.Operands[0]; ok && x.Name == "startsWith" && from.Kind == ExprCall && from.Name == "origin" {
			if mark := m.subject(from.Operands[0], in); mark != nil {
				mark.said = true
				mark.origins = addText(mark.origins, text+"a_tool")
				return
			}
		}
		mark := m.subject(x.Operands[0], in)
		if mark == nil || !ok || len(x.Operands) != 2 {
			m.rest(x, in)
			return
		}
		into := map[string]*[]string{"startsWith": &mark.starts, "endsWith": &mark.ends, "contains": &mark.parts, "matches": &mark.patterns}[x.Name]
		*into = addText(*into, text)
	case "has":
		if mark := m.subject(x.Operands[0], in); mark != nil {
			mark.optional = true
		}
	case "from_user":
		if mark := m.subject(x.Operands[0], in); mark != nil {
			mark.said = true
		} else {
			m.rest(x, in)
		}
	case "all", "exists", "exists_one":
		m.loop(x, in)
	case "called":
		m.call(x)
	case "confirmed":
		m.confirmed = true
	case "in_hours":
		zone, _ := m.constant(x.Operands[0]).(string)
		hours, _ := m.constant(x.Operands[1]).(string)
		if from, to, ok := hoursOf(hours); ok && zone != "" {
			m.minutes = addTo(m.minutes, minuteMark{zone, from}, minuteMark{zone, to})
		} else {
			m.leave(x.Text)
		}
	default:
		m.rest(x, in)
	}
}

// rest is an expression whose edges are not known: what it reads is varied
// roughly, and what no grid varies is named.
func (m *landmarks) rest(x *Expr, in scope) {
	x.Walk(func(n *Expr) bool {
		if n.Kind == ExprCall {
			switch n.Name {
			case "all", "exists", "exists_one", "from_user", "called", "has", "confirmed", "in_hours", "startsWith", "endsWith", "contains", "matches", "in",
				"==", "!=", "<", "<=", ">", ">=", "&&", "||":
				if n != x {
					m.collect(n, in)
					return false
				}
			case "count", "total", "origin", "result", "weekday", "map", "filter":
				m.leave(n.Text)
			}
			return true
		}
		if n.Kind != ExprPath {
			return true
		}
		if mark := m.subject(n, in); mark != nil {
			mark.rough = true
		} else if root := n.Path[0]; root == "now" || root == "requester" || root == "conversation" || root == "call" && len(n.Path) > 1 && n.Path[1] != "name" {
			m.leave(n.Text)
		}
		return false
	})
}

func (m *landmarks) leave(what string) { m.left = addText(m.left, what) }

// subject is the landmark of an argument, a claim or a loop's variable, through
// functions that keep its edges; nil for anything else.
func (m *landmarks) subject(x *Expr, in scope) *landmark {
	switch {
	case x.Kind == ExprPath && in[x.Path[0]] != nil:
		if len(x.Path) == 1 {
			return in[x.Path[0]]
		}
		in[x.Path[0]].rough = true // a member of an element
		return nil
	case x.Kind == ExprPath && (x.IsArgument() || len(x.Path) > 2 && x.Path[0] == "requester" && x.Path[1] == "claims"):
		mark := m.at(x.Path)
		mark.optional = mark.optional || x.Optional
		return mark
	case x.Kind == ExprCall && len(x.Operands) > 0:
		switch x.Name {
		case "lowerAscii", "upperAscii":
			if mark := m.subject(x.Operands[0], in); mark != nil {
				mark.folded = true
				return mark
			}
		case "trim", "orValue", "value", "string", "double", "int":
			return m.subject(x.Operands[0], in)
		}
	}
	return nil
}

func (m *landmarks) at(path []string) *landmark {
	key := strings.Join(path, "\x00")
	if m.values[key] == nil {
		m.values[key] = &landmark{path: path}
		m.order = append(m.order, key)
	}
	return m.values[key]
}

// compare notes that a is held against a fixed b.
func (m *landmarks) compare(a, b *Expr, in scope) bool {
	value := m.constant(b)
	if mark := m.subject(a, in); mark != nil {
		if value == nil {
			if other := m.subject(b, in); other != nil {
				mark.rough, other.rough = true, true
				return true
			}
			return false
		}
		mark.add(value)
		return true
	}
	if value == nil {
		return false
	}
	text, _ := value.(string)
	switch {
	case a.Kind == ExprCall && a.Name == "size" && len(a.Operands) == 1:
		if mark := m.subject(a.Operands[0], in); mark != nil {
			mark.sizes = addValue(mark.sizes, value)
			return true
		}
	case a.Kind == ExprCall && a.Name == "domain_of":
		if mark := m.subject(a.Operands[0], in); mark != nil {
			mark.hosts = addText(mark.hosts, text)
			return true
		}
	case a.Kind == ExprCall && (a.Name == "count" || a.Name == "total"):
		return m.meter(a, value)
	case a.Kind == ExprCall && a.Name == "origin":
		if mark := m.subject(a.Operands[0], in); mark != nil && text != "" {
			mark.said = true
			mark.origins = addText(mark.origins, text)
			return true
		}
	case a.Kind == ExprCall && a.Name == "weekday":
		if zone, ok := m.constant(a.Operands[0]).(string); ok {
			m.days = addTo(m.days, dayMark{zone, text})
			return true
		}
	case a.Kind == ExprPath:
		switch strings.Join(a.Path, ".") {
		case "requester.id":
			m.ids = addText(m.ids, text)
		case "domain":
			m.domains = addText(m.domains, text)
		case "workspace":
			m.workspaces = addText(m.workspaces, text)
		case "conversation.turns":
			m.turns = addValue(m.turns, value)
		case "call.index":
			m.index = addValue(m.index, value)
		case "call.count":
			m.count = addValue(m.count, value)
		case "call.name":
		default:
			return false
		}
		return true
	}
	return false
}

// within notes `a in b`.
func (m *landmarks) within(a, b *Expr, in scope) bool {
	list, ok := m.constant(b).([]any)
	if ok {
		done := true
		for _, v := range list {
			done = m.compare(a, &Expr{Kind: ExprLiteral, Value: v}, in) && done
		}
		return done
	}
	value := m.constant(a)
	if value == nil || b.Kind != ExprPath {
		return false
	}
	text, isText := value.(string)
	switch path := strings.Join(b.Path, "."); {
	case path == "requester.roles" && isText:
		m.roles = addText(m.roles, text)
		return true
	case path == "args" && isText:
		m.at([]string{"args", text}).optional = true
		return true
	}
	if mark := m.subject(b, in); mark != nil {
		mark.elements().add(value)
		return true
	}
	return false
}

func (m *landmarks) loop(x *Expr, in scope) {
	if len(x.Operands) != 3 || x.Operands[1].Kind != ExprPath {
		m.leave(x.Text)
		return
	}
	inner := scope{}
	for name, mark := range in {
		inner[name] = mark
	}
	variable := x.Operands[1].Path[0]
	over := x.Operands[0]
	switch {
	case over.Kind == ExprPath && strings.Join(over.Path, ".") == "requester.roles":
		role := &landmark{}
		inner[variable] = role
		m.collect(x.Operands[2], inner)
		m.roles = addText(m.roles, role.texts...)
		return
	case m.subject(over, in) != nil:
		inner[variable] = m.subject(over, in).elements()
	default:
		if list, ok := m.constant(over).([]any); ok {
			// A loop over fixed values: the body is held against each.
			m.unroll(x, list, variable, in)
			return
		}
		m.rest(over, in)
		inner[variable] = &landmark{}
	}
	m.collect(x.Operands[2], inner)
}

func (m *landmarks) unroll(x *Expr, list []any, variable string, in scope) {
	var put func(*Expr, any) *Expr
	put = func(n *Expr, value any) *Expr {
		if n.Kind == ExprPath && len(n.Path) == 1 && n.Path[0] == variable {
			return &Expr{Kind: ExprLiteral, Value: value, Text: n.Text}
		}
		with := *n
		with.Operands = make([]*Expr, len(n.Operands))
		for i, o := range n.Operands {
			with.Operands[i] = put(o, value)
		}
		return &with
	}
	for _, v := range list {
		m.collect(put(x.Operands[2], v), in)
	}
}

func (m *landmarks) call(x *Expr) {
	name, ok := m.constant(x.Operands[0]).(string)
	if !ok {
		m.leave(x.Text)
		return
	}
	mark := calledMark{tool: name}
	if len(x.Operands) == 2 {
		entries := x.Operands[1]
		for i := 0; entries.Kind == ExprMap && i+1 < len(entries.Operands); i += 2 {
			key, _ := m.constant(entries.Operands[i]).(string)
			a := calledArgument{name: key}
			if v := entries.Operands[i+1]; v.IsArgument() {
				a.path = v.Path
				m.at(v.Path)
			} else if a.value = m.constant(v); a.value == nil {
				m.leave(x.Text)
			}
			mark.args = append(mark.args, a)
		}
	}
	if !slices.ContainsFunc(m.called, func(c calledMark) bool { return c.tool == mark.tool && len(c.args) == len(mark.args) }) {
		m.called = append(m.called, mark)
	}
}

// meter notes what a count or total is held against.
func (m *landmarks) meter(x *Expr, value any) bool {
	fixed := 2
	if x.Name == "total" {
		fixed = 3
	}
	if len(x.Operands) < fixed || rat(value) == nil {
		return false
	}
	i := slices.IndexFunc(m.meters, func(o *meterMark) bool { return o.text == x.Text })
	if i < 0 {
		mark := &meterMark{text: x.Text}
		mark.tool, _ = x.Operands[0].Value.(string)
		if fixed == 3 {
			amount, _ := x.Operands[1].Value.(string)
			mark.amount = append([]string{"args"}, strings.Split(strings.TrimPrefix(amount, "args."), ".")...)
			m.at(mark.amount).summed = true
		}
		for _, by := range x.Operands[fixed:] {
			if by.IsArgument() {
				mark.by = append(mark.by, by.Path)
				m.at(by.Path)
			}
		}
		i = len(m.meters)
		m.meters = append(m.meters, mark)
	}
	m.meters[i].numbers = addValue(m.meters[i].numbers, value)
	return true
}

// constant is the value of an expression of fixed values and config, nil if it is
// none.
func (m *landmarks) constant(x *Expr) any {
	switch x.Kind {
	case ExprLiteral:
		return x.Value
	case ExprPath:
		if x.Path[0] != "config" {
			return nil
		}
		var at any = m.config
		for _, name := range x.Path[1:] {
			inner, ok := at.(map[string]any)
			if !ok {
				return nil
			}
			at = inner[name]
		}
		return at
	case ExprList:
		list := make([]any, len(x.Operands))
		for i, o := range x.Operands {
			if list[i] = m.constant(o); list[i] == nil {
				return nil
			}
		}
		return list
	case ExprCall:
		var numbers []any
		for _, o := range x.Operands {
			v := m.constant(o)
			if v == nil {
				return nil
			}
			numbers = append(numbers, v)
		}
		return calculate(x.Name, numbers)
	}
	return nil
}

func (l *landmark) elements() *landmark {
	l.list = true
	if l.element == nil {
		l.element = &landmark{path: l.path}
	}
	return l.element
}

func (l *landmark) add(value any) {
	switch v := value.(type) {
	case string:
		l.texts = addText(l.texts, v)
	case bool:
		l.truth = true
	case int64, uint64, float64:
		l.numbers = addValue(l.numbers, v)
	case []any:
		l.elements()
		for _, e := range v {
			l.element.add(e)
		}
	}
}

func addText(list []string, more ...string) []string { return addTo(list, more...) }

func addValue(list []any, value any) []any {
	switch value.(type) {
	case int64, uint64, float64:
		return addTo(list, value)
	}
	return list
}

func addTo[T comparable](list []T, more ...T) []T {
	for _, v := range more {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}
