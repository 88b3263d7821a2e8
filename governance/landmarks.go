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
