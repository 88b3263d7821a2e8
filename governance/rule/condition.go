package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// condition is one condition of the compiled rule: CEL for the machine, English
// for reading it back. Both are written from the same value, never from the input.
type condition interface {
	cel() string
	english() string
}

// denial is a condition that has words of its own for not being so.
type denial interface{ deny() string }

type always struct{}

func (always) cel() string     { return "true" }
func (always) english() string { return "always" }

// compare holds an argument against a number.
type compare struct {
	argument string
	op       string // CEL's
	value    string // decimal
	size     bool   // the argument is a list: its length counts
}

var compareWords = map[string]string{">": "more than", ">=": "at least", "<": "less than", "<=": "at most", "==": "exactly"}

func (c compare) cel() string {
	left := field(c.argument)
	if c.size {
		left = "size(" + left + ")"
	}
	return left + " " + c.op + " " + c.value
}

func (c compare) english() string {
	left := c.argument
	if c.size {
		left = "the number of " + left
	}
	return left + " is " + compareWords[c.op] + " " + c.value
}

// oneOf holds an argument against a list of texts.
type oneOf struct {
	argument string
	values   []string
	upper    bool // case does not count; values are upper case
}

func (c oneOf) cel() string {
	left := field(c.argument)
	if c.upper {
		left += ".upperAscii()"
	}
	if len(c.values) == 1 {
		return left + " == " + strconv.Quote(c.values[0])
	}
	return left + " in " + quoteAll(c.values)
}

func (c oneOf) english() string { return c.argument + " is " + list(c.values, "or") }

func (c oneOf) deny() string { return c.argument + " is not " + list(c.values, "or") }

// flag is a boolean argument.
type flag struct{ argument string }

func (c flag) cel() string     { return field(c.argument) }
func (c flag) english() string { return c.argument + " is true" }

func (c flag) deny() string { return c.argument + " is false" }

// fromUser: the argument stands in the requester's own words.
type fromUser struct {
	argument string
	each     bool // a list: all of its elements do
}

func (c fromUser) cel() string {
	if c.each {
		return field(c.argument) + ".all(x, from_user(x))"
	}
	return "from_user(" + field(c.argument) + ")"
}

func (c fromUser) english() string {
	if c.each {
		return "everything in " + c.argument + " stands in the requester's own words"
	}
	return c.argument + " stands in the requester's own words"
}

func (c fromUser) deny() string {
	if c.each {
		return "something in " + c.argument + " does not stand in the requester's own words"
	}
	return c.argument + " does not stand in the requester's own words"
}

// called: a tool was called earlier in the conversation, with the same values of
// these arguments.
type called struct {
	tool string
	same []string
}

func (c called) cel() string {
	if len(c.same) == 0 {
		return "called(" + strconv.Quote(c.tool) + ")"
	}
	pairs := make([]string, len(c.same))
	for i, name := range c.same {
		pairs[i] = strconv.Quote(name) + ": " + field(name)
	}
	return "called(" + strconv.Quote(c.tool) + ", {" + strings.Join(pairs, ", ") + "})"
}

func (c called) english() string { return c.said("was") }
func (c called) deny() string    { return c.said("was not") }

func (c called) said(was string) string {
	if len(c.same) == 0 {
		return c.tool + " " + was + " called before"
	}
	return c.tool + " " + was + " called before with the same " + list(c.same, "and")
}

// role: the requester has it.
type role struct{ name string }

func (c role) cel() string     { return strconv.Quote(c.name) + " in requester.roles" }
func (c role) english() string { return "the requester has the role " + c.name }

func (c role) deny() string { return "the requester does not have the role " + c.name }

// hours of the day in a zone, in minutes; to before from goes over midnight.
type hours struct {
	zone     string
	from, to int
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

func (c hours) cel() string {
	return fmt.Sprintf("in_hours(%q, %q)", c.zone, clock(c.from)+"-"+clock(c.to))
}

func (c hours) english() string {
	return fmt.Sprintf("it is at or after %s and before %s in %s", clock(c.from), clock(c.to), c.zone)
}

func (c hours) deny() string {
	return fmt.Sprintf("it is before %s or at or after %s in %s", clock(c.from), clock(c.to), c.zone)
}

// days of the week in a zone.
type days struct {
	zone string
	days []string
}

func (c days) cel() string {
	left := fmt.Sprintf("weekday(%q)", c.zone)
	if len(c.days) == 1 {
		return left + " == " + strconv.Quote(c.days[0])
	}
	return left + " in " + quoteAll(c.days)
}

func (c days) english() string { return "it is " + dayNames(c.days) + " in " + c.zone }
func (c days) deny() string    { return "it is not " + dayNames(c.days) + " in " + c.zone }

func dayNames(days []string) string {
	names := make([]string, len(days))
	for i, d := range days {
		names[i] = strings.ToUpper(d[:1]) + d[1:]
	}
	return list(names, "or")
}

// not, all and some combine.
type not struct{ inner condition }

func (c not) cel() string { return "!" + tight(c.inner, true) }
func (c not) english() string {
	switch inner := c.inner.(type) {
	case some:
		return combineWords(denied(inner), " and ")
	case all:
		return combineWords(denied(inner), " or ")
	}
	if d, ok := c.inner.(denial); ok {
		return d.deny()
	}
	return "it is not so that " + tightWords(c.inner)
}

func denied(list []condition) []condition {
	out := make([]condition, len(list))
	for i, c := range list {
		out[i] = negate(c)
	}
	return out
}

type all []condition

func (c all) cel() string     { return combine(c, " && ") }
func (c all) english() string { return combineWords(c, " and ") }

type some []condition

func (c some) cel() string     { return combine(c, " || ") }
func (c some) english() string { return combineWords(c, " or ") }

func combine(list []condition, join string) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = tight(c, false)
	}
	return strings.Join(parts, join)
}

func combineWords(list []condition, join string) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = tightWords(c)
	}
	return strings.Join(parts, join)
}

// tight is CEL that keeps together inside another expression; behind a "!", a
// comparison needs parentheses too.
func tight(c condition, negated bool) string {
	loose := false
	switch c := c.(type) {
	case all, some:
		loose = true
	case missing:
		loose = c.text || c.list
	case text:
		loose = len(c.values) > 1 && !c.each
	case compare, oneOf, days, role, metered, inCountries, callOf:
		loose = negated
	case mailTo:
		loose = negated && !c.each
	case fromTool:
		loose = !c.each && (c.claimed || negated && c.tool != "")
	}
	if loose {
		return "(" + c.cel() + ")"
	}
	return c.cel()
}

func tightWords(c condition) string {
	switch c := c.(type) {
	case not:
		switch c.inner.(type) {
		case all, some, fromTool:
			return "(" + c.english() + ")"
		}
	case all, some:
		return "(" + c.english() + ")"
	}
	return c.english()
}

// both joins conditions that must all hold, without needless nesting.
func both(list ...condition) condition {
	var flat all
	for _, c := range list {
		switch c := c.(type) {
		case nil, always:
		case all:
			flat = append(flat, c...)
		default:
			flat = append(flat, c)
		}
	}
	switch len(flat) {
	case 0:
		return always{}
	case 1:
		return flat[0]
	}
	return flat
}

func negate(c condition) condition {
	switch c := c.(type) {
	case not:
		return c.inner
	case compare:
		// An argument that is no number is an error either way.
		if op := opposite[c.op]; op != "" {
			c.op = op
			return c
		}
	case metered:
		if op := opposite[c.op]; op != "" {
			c.op = op
			return c
		}
	}
	return not{c}
}

var opposite = map[string]string{">": "<=", "<=": ">", "<": ">=", ">=": "<"}

// field is the argument in CEL; names that are no identifiers are indexed.
func field(argument string) string {
	if isName(argument) {
		return "args." + argument
	}
	return "args[" + strconv.Quote(argument) + "]"
}

// isName: CEL takes the argument's name for one.
func isName(argument string) bool {
	for i, r := range argument {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return argument != "" && !slices.Contains(reserved, argument)
}

// reserved words of CEL cannot be selected.
var reserved = strings.Fields("as break const continue else false for function if import in let loop namespace null package return true var void while")

func quoteAll(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// list writes words with commas and a last conjunction.
func list(words []string, conjunction string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " " + conjunction + " " + words[last]
}
