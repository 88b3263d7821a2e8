package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cadreen/governance"
)

// ReadBack says in one English sentence what any rule does, also one whose CEL was
// written by hand. What cannot be said in words is quoted.
func ReadBack(r governance.Rule, evaluator governance.Evaluator) string {
	analyzer, _ := evaluator.(governance.Analyzer)
	read := func(expr string) condition {
		if analyzer != nil {
			if x, err := analyzer.Parse(expr); err == nil {
				return conditionOf(x)
			}
		}
		return quoted{expr}
	}
	var outcomes []outcome
	for _, l := range r.When {
		outcomes = append(outcomes, outcome{when: read(l.If), effect: l.Effect, to: l.To})
	}
	var unless condition
	if r.Unless != "" {
		unless = read(r.Unless)
	}
	c := compiler{given: governance.Rule{Else: r.Else}}
	return c.readBack(r.Tools, outcomes, unless, r.Mode)
}

// quoted is a condition that has no words: the CEL itself.
type quoted struct{ expr string }

func (c quoted) cel() string     { return c.expr }
func (c quoted) english() string { return "`" + c.expr + "` holds" }
func (c quoted) deny() string    { return "`" + c.expr + "` does not hold" }

// worded is a condition of hand-written CEL that has words.
type worded struct{ expr, is, isNot string }

func (c worded) cel() string     { return c.expr }
func (c worded) english() string { return c.is }
func (c worded) deny() string    { return c.isNot }

// conditionOf finds the words of an expression.
func conditionOf(x *governance.Expr) condition {
	if x.Kind == governance.ExprLiteral && x.Value == true {
		return always{}
	}
	if name, ok := nameOf(x); ok {
		return flag{argument: name}
	}
	if x.Kind != governance.ExprCall {
		return quoted{x.Text}
	}
	switch x.Name {
	case "&&", "||":
		var parts []condition
		for _, o := range x.Operands {
			part := conditionOf(o)
			// a && b && c is one list, not a list in a list.
			if inner, ok := part.(all); ok && x.Name == "&&" {
				parts = append(parts, inner...)
			} else if inner, ok := part.(some); ok && x.Name == "||" {
				parts = append(parts, inner...)
			} else {
				parts = append(parts, part)
			}
		}
		if x.Name == "&&" {
			return all(parts)
		}
		return some(parts)
	case "!":
		return not{conditionOf(x.Operands[0])}
	case "==", "!=", "<", "<=", ">", ">=":
		return comparison(x)
	case "in":
		return membership(x)
	case "has":
		if name, ok := nameOf(x.Operands[0]); ok {
			return worded{x.Text, name + " is given", name + " is missing"}
		}
	case "startsWith", "endsWith", "contains", "matches":
		name, ok := nameOf(x.Operands[0])
		value, isText := x.Operands[len(x.Operands)-1].Value.(string)
		if ok && isText && len(x.Operands) == 2 {
			does := map[string]string{"startsWith": "starts with", "endsWith": "ends with", "contains": "contains", "matches": "matches the expression"}[x.Name]
			doesNot := map[string]string{"startsWith": "start with", "endsWith": "end with", "contains": "contain", "matches": "match the expression"}[x.Name]
			return worded{x.Text, fmt.Sprintf("%s %s %q", name, does, value), fmt.Sprintf("%s does not %s %q", name, doesNot, value)}
		}
	case "from_user":
		if name, ok := nameOf(x.Operands[0]); ok {
			return fromUser{argument: name}
		}
	case "called":
		return calledBefore(x)
	case "confirmed":
		return worded{x.Text, "the requester has said yes to the call", "the requester has not said yes to the call"}
	case "in_hours":
		return hoursIn(x)
	}
	return quoted{x.Text}
}

// nameOf an argument, or of its length, as sentences write it.
func nameOf(x *governance.Expr) (string, bool) {
	if x.IsArgument() {
		return strings.Join(x.Path[1:], "."), true
	}
	if x.Kind == governance.ExprCall && len(x.Operands) > 0 {
		switch x.Name {
		case "lowerAscii", "upperAscii", "trim":
			return nameOf(x.Operands[0])
		case "orValue":
			if name, ok := nameOf(x.Operands[0]); ok {
				return name + " (or " + x.Operands[1].Text + " where it is missing)", true
			}
		}
	}
	return "", false
}

// thing is what a comparison may be about, beside arguments.
func thing(x *governance.Expr) (string, bool) {
	if name, ok := nameOf(x); ok {
		return name, true
	}
	if x.Kind == governance.ExprPath {
		switch path := strings.Join(x.Path, "."); path {
		case "requester.id":
			return "the requester", true
		case "domain", "workspace":
			return "the " + path, true
		case "call.name":
			return "the tool", true
		case "call.count":
			return "the number of calls in the turn", true
		case "conversation.turns":
			return "the number of the requester's messages", true
		default:
			if x.Path[0] == "config" || x.Path[0] == "requester" {
				return path, true
			}
		}
	}
	if x.Kind != governance.ExprCall || len(x.Operands) == 0 {
		return "", false
	}
	switch x.Name {
	case "size":
		if name, ok := nameOf(x.Operands[0]); ok {
			return "the length of " + name, true
		}
	case "domain_of":
		if name, ok := nameOf(x.Operands[0]); ok {
			return "the mail domain of " + name, true
		}
	case "origin":
		if name, ok := nameOf(x.Operands[0]); ok {
			return "the origin of " + name, true
		}
	case "count", "total":
		return meterWords(x)
	case "+", "-", "*", "/":
		a, okA := termWords(x.Operands[0])
		b, okB := termWords(x.Operands[len(x.Operands)-1])
		if okA && okB && len(x.Operands) == 2 {
			return a + " " + x.Name + " " + b, true
		}
	}
	return "", false
}

func termWords(x *governance.Expr) (string, bool) {
	if x.Kind == governance.ExprLiteral {
		return literalWords(x.Value), true
	}
	return thing(x)
}

// meterWords is a count or a sum in words.
func meterWords(x *governance.Expr) (string, bool) {
	fixed := 2
	text := "the number of calls of "
	if x.Name == "total" {
		fixed = 3
	}
	if len(x.Operands) < fixed {
		return "", false
	}
	tool, _ := x.Operands[0].Value.(string)
	window, _ := x.Operands[fixed-1].Value.(string)
	if fixed == 3 {
		amount, _ := x.Operands[1].Value.(string)
		text = "the sum of " + amount + " of "
	}
	text += tool
	for _, by := range x.Operands[fixed:] {
		switch path := strings.Join(by.Path, "."); path {
		case "requester.id":
			text += " of the same requester"
		case "conversation.id":
			text += " in the same conversation"
		default:
			text += " with the same " + strings.TrimPrefix(path, "args.")
		}
	}
	return text + " in the last " + window + ", this call included,", true
}

func comparison(x *governance.Expr) condition {
	a, b, op := x.Operands[0], x.Operands[1], x.Name
	if a.Kind == governance.ExprLiteral && b.Kind != governance.ExprLiteral {
		a, b = b, a
		op = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
		if op == "" {
			op = x.Name
		}
	}
	if a.Kind == governance.ExprCall && a.Name == "weekday" && (op == "==" || op == "!=") {
		zone, okZone := a.Operands[0].Value.(string)
		day, okDay := b.Value.(string)
		if okZone && okDay && day != "" {
			made := condition(days{zone: zone, days: []string{day}})
			if op == "!=" {
				made = not{made}
			}
			return made
		}
	}
	if text, ok := b.Value.(string); ok && (op == "==" || op == "!=") && a.IsArgument() {
		made := condition(oneOf{argument: strings.Join(a.Path[1:], "."), values: []string{text}})
		if op == "!=" {
			made = not{made}
		}
		return made
	}
	if name, ok := nameOf(a); ok && b.Kind == governance.ExprLiteral && compareWords[op] != "" {
		switch b.Value.(type) {
		case int64, uint64, float64:
			return compare{argument: name, op: op, value: literalWords(b.Value)}
		}
	}
	what, ok := thing(a)
	with, okWith := termWords(b)
	if !ok || !okWith {
		return quoted{x.Text}
	}
	words := map[string]string{">": "more than ", ">=": "at least ", "<": "less than ", "<=": "at most ", "==": ""}
	deny := map[string]string{">": "at most ", ">=": "less than ", "<": "at least ", "<=": "more than ", "==": "not "}
	if op == "!=" {
		return worded{x.Text, what + " is not " + with, what + " is " + with}
	}
	return worded{x.Text, what + " is " + words[op] + with, what + " is " + deny[op] + with}
}

func literalWords(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case nil:
		return "nothing"
	}
	return fmt.Sprint(v)
}

func membership(x *governance.Expr) condition {
	a, b := x.Operands[0], x.Operands[1]
	if name, ok := a.Value.(string); ok && b.Kind == governance.ExprPath {
		switch path := strings.Join(b.Path, "."); {
		case path == "requester.roles":
			return role{name: name}
		case path == "args":
			return worded{x.Text, name + " is given", name + " is missing"}
		case b.IsArgument():
			list := strings.Join(b.Path[1:], ".")
			return worded{x.Text, fmt.Sprintf("%q is in %s", name, list), fmt.Sprintf("%q is not in %s", name, list)}
		}
	}
	if b.Kind != governance.ExprList || len(b.Operands) == 0 {
		return quoted{x.Text}
	}
	var values []string
	texts := true
	for _, o := range b.Operands {
		if o.Kind != governance.ExprLiteral {
			return quoted{x.Text}
		}
		text, ok := o.Value.(string)
		texts = texts && ok
		if !ok {
			text = literalWords(o.Value)
		}
		values = append(values, text)
	}
	if a.Kind == governance.ExprCall && a.Name == "weekday" && texts {
		if zone, ok := a.Operands[0].Value.(string); ok && !slices.Contains(values, "") {
			return days{zone: zone, days: values}
		}
	}
	if a.IsArgument() && texts {
		return oneOf{argument: strings.Join(a.Path[1:], "."), values: values}
	}
	if what, ok := thing(a); ok {
		return worded{x.Text, what + " is " + list(values, "or"), what + " is not " + list(values, "or")}
	}
	return quoted{x.Text}
}

func calledBefore(x *governance.Expr) condition {
	tool, ok := x.Operands[0].Value.(string)
	if !ok {
		return quoted{x.Text}
	}
	if len(x.Operands) == 1 {
		return called{tool: tool}
	}
	var with []string
	for i := 0; i+1 < len(x.Operands[1].Operands); i += 2 {
		key, value := x.Operands[1].Operands[i], x.Operands[1].Operands[i+1]
		name, _ := key.Value.(string)
		if argument, ok := nameOf(value); ok && argument == name {
			with = append(with, "the same "+name)
		} else {
			with = append(with, name+" "+value.Text)
		}
	}
	tail := " called before with " + list(with, "and")
	return worded{x.Text, tool + " was" + tail, tool + " was not" + tail}
}

func hoursIn(x *governance.Expr) condition {
	zone, okZone := x.Operands[0].Value.(string)
	span, okSpan := x.Operands[1].Value.(string)
	from, to, ok := strings.Cut(span, "-")
	if !okZone || !okSpan || !ok {
		return quoted{x.Text}
	}
	return worded{x.Text, fmt.Sprintf("it is at or after %s and before %s in %s", hour(from), hour(to), zone), fmt.Sprintf("it is before %s or at or after %s in %s", hour(from), hour(to), zone)}
}

// hour writes 9 as 09:00.
func hour(s string) string {
	s = strings.TrimSpace(s)
	if !strings.Contains(s, ":") {
		s += ":00"
	}
	if len(s) == 4 {
		s = "0" + s
	}
	return s
}
