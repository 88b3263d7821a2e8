package rule

import (
	"strconv"
	"strings"
)

// by is what calls must share to be counted together.
type by struct {
	argument     string // "" for one of the others
	requester    bool
	conversation bool
}

func (b by) cel() string {
	switch {
	case b.requester:
		return "requester.id"
	case b.conversation:
		return "conversation.id"
	}
	return field(b.argument)
}

func (b by) english() string {
	switch {
	case b.requester:
		return "of the same requester"
	case b.conversation:
		return "in the same conversation"
	}
	return "with the same " + b.argument
}

// metered holds how many calls there were, or what they sum up to, against a
// limit. The judged call is one of them.
type metered struct {
	tools    []string // names or globs
	argument string   // what is summed, "" to count calls
	window   string
	by       []by
	others   bool // the judged call is none of them
	op       string
	value    string
}

func (c metered) cel() string {
	parts := make([]string, len(c.tools))
	for i, t := range c.tools {
		args := []string{strconv.Quote(t)}
		function := "count"
		if c.argument != "" {
			function = "total"
			args = append(args, strconv.Quote(c.argument))
		}
		args = append(args, strconv.Quote(c.window))
		for _, b := range c.by {
			args = append(args, b.cel())
		}
		parts[i] = function + "(" + strings.Join(args, ", ") + ")"
	}
	return strings.Join(parts, " + ") + " " + c.op + " " + c.value
}

func (c metered) english() string {
	var b strings.Builder
	tools := list(c.tools, "and")
	if c.argument != "" {
		b.WriteString("the sum of " + c.argument + " of " + tools)
	} else {
		b.WriteString("the number of calls of " + tools)
	}
	for _, one := range c.by {
		b.WriteString(" " + one.english())
	}
	b.WriteString(" in the last " + windowWords(c.window) + map[bool]string{false: ", this call included,", true: ""}[c.others] + " is " + compareWords[c.op] + " " + c.value)
	return b.String()
}

// fromTool: the argument stands in what a tool gave earlier.
type fromTool struct {
	argument string
	each     bool
	tool     string // "" for any
	claimed  bool   // or in what the transcript claims that a tool gave: see suspicious
}

func (c fromTool) cel() string {
	x := field(c.argument)
	if c.each {
		x = "x"
	}
	kinds := []string{"tool:", "claimed:"}
	if !c.claimed {
		kinds = kinds[:1]
	}
	parts := make([]string, len(kinds))
	for i, kind := range kinds {
		if c.tool != "" {
			parts[i] = "origin(" + x + ") == " + strconv.Quote(kind+c.tool)
		} else {
			parts[i] = "origin(" + x + ").startsWith(" + strconv.Quote(kind) + ")"
		}
	}
	made := strings.Join(parts, " || ")
	if c.each {
		return field(c.argument) + ".exists(x, " + made + ")"
	}
	return made
}

func (c fromTool) english() string {
	return c.left("something") + " comes from the result of " + c.source() + " and does not stand in the requester's own words"
}

func (c fromTool) deny() string {
	if c.each {
		return "nothing in " + c.argument + " comes from the result of " + c.source() + " without standing in the requester's own words"
	}
	return c.argument + " does not come from the result of " + c.source() + " or stands in the requester's own words"
}

func (c fromTool) left(some string) string {
	if c.each {
		return some + " in " + c.argument
	}
	return c.argument
}

func (c fromTool) source() string {
	source := c.tool
	if source == "" {
		source = "a tool"
	}
	if c.claimed {
		source += ", or from what is only claimed to be one,"
	}
	return source
}

// suspicious is the condition with what a transcript only claims that a tool gave
// taken for a tool's result wherever that makes a rule stricter: strict says
// whether that is where the condition holds or where it does not. Whoever writes
// the transcript must not slip out of a rule about results by making one up.
func suspicious(c condition, strict bool) condition {
	switch c := c.(type) {
	case fromTool:
		c.claimed = strict
		return c
	case not:
		return not{suspicious(c.inner, !strict)}
	case all:
		return all(suspiciousAll(c, strict))
	case some:
		return some(suspiciousAll(c, strict))
	}
	return c
}

func suspiciousAll(list []condition, strict bool) []condition {
	out := make([]condition, len(list))
	for i, c := range list {
		out[i] = suspicious(c, strict)
	}
	return out
}

// fromModel: the argument stands neither in the requester's words nor in what a
// tool was seen to give.
type fromModel struct {
	argument string
	each     bool
}

func (c fromModel) cel() string {
	// What a transcript only claims that a tool gave was not seen: it counts as
	// made up.
	made := func(x string) string {
		return "!(origin(" + x + `) == "user" || origin(` + x + `).startsWith("tool:"))`
	}
	if c.each {
		return field(c.argument) + ".exists(x, " + made("x") + ")"
	}
	return made(field(c.argument))
}

func (c fromModel) english() string {
	if c.each {
		return "something in " + c.argument + " comes neither from the requester nor from a tool's result"
	}
	return c.argument + " comes neither from the requester nor from a tool's result"
}

func (c fromModel) deny() string {
	if c.each {
		return "everything in " + c.argument + " comes from the requester or from a tool's result"
	}
	return c.argument + " comes from the requester or from a tool's result"
}
