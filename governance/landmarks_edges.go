package governance

import (
	"slices"
	"strings"
)

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
