package rule

import (
	"strconv"
	"strings"
)

// text holds an argument against pieces of text; one of them is enough.
type text struct {
	argument string
	each     bool   // a list: one of its elements is enough
	op       string // contains, startsWith, endsWith
	values   []string
}

func (c text) cel() string {
	left := field(c.argument)
	if c.each {
		left = "x"
	}
	parts := make([]string, len(c.values))
	for i, v := range c.values {
		parts[i] = left + "." + c.op + "(" + strconv.Quote(v) + ")"
	}
	made := strings.Join(parts, " || ")
	if c.each {
		return field(c.argument) + ".exists(x, " + made + ")"
	}
	return made
}

func (c text) english() string {
	left := c.argument
	if c.each {
		left = "something in " + left
	}
	return left + " " + map[string]string{"contains": "contains", "startsWith": "starts with", "endsWith": "ends with"}[c.op] + " " + list(quotes(c.values), "or")
}

func (c text) deny() string {
	verb := map[string]string{"contains": "contain", "startsWith": "start with", "endsWith": "end with"}[c.op]
	if c.each {
		return "nothing in " + strings.TrimPrefix(c.english(), "something in ")
	}
	return c.argument + " does not " + verb + " " + list(quotes(c.values), "or")
}

func quotes(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strconv.Quote(v)
	}
	return out
}

// mailTo holds the domain of a mail address against a list.
type mailTo struct {
	argument string
	each     bool // a list: all of its elements are there
	domains  []string
}

func (c mailTo) cel() string {
	x := field(c.argument)
	if c.each {
		x = "x"
	}
	made := "domain_of(" + x + ") in " + quoteAll(c.domains)
	if len(c.domains) == 1 {
		made = "domain_of(" + x + ") == " + strconv.Quote(c.domains[0])
	}
	if c.each {
		return field(c.argument) + ".all(x, " + made + ")"
	}
	return made
}

func (c mailTo) said(is, every string) string {
	left := c.argument + " " + is
	if c.each {
		left = every + " in " + c.argument + " " + is
	}
	return left + " an address of " + list(c.domains, "or")
}

func (c mailTo) english() string { return c.said("is", "everything") }

func (c mailTo) deny() string {
	return c.said("is not", "something")
}

// inCountries holds an argument against countries in any of their spellings.
type inCountries struct {
	argument string
	values   []string // upper case
	name     string
}

func (c inCountries) cel() string {
	return field(c.argument) + ".upperAscii() in " + quoteAll(c.values)
}
func (c inCountries) english() string { return c.argument + " is " + c.name }
func (c inCountries) deny() string    { return c.argument + " is not " + c.name }

// missing: the argument was left out, or is an empty text or list.
type missing struct {
	argument string
	text     bool
	list     bool
}

func (c missing) cel() string {
	made := "!has(" + field(c.argument) + ")"
	switch {
	case c.list:
		made += " || size(" + field(c.argument) + ") == 0"
	case c.text:
		made += " || " + field(c.argument) + ` == ""`
	}
	return made
}

func (c missing) english() string { return c.argument + " is missing or empty" }
func (c missing) deny() string    { return c.argument + " is there" }

// callOf: the call is of one of these tools.
type callOf struct{ tools []string }

func (c callOf) cel() string {
	if len(c.tools) == 1 {
		return "call.name == " + strconv.Quote(c.tools[0])
	}
	return "call.name in " + quoteAll(c.tools)
}

func (c callOf) english() string { return "the tool is " + list(c.tools, "or") }
func (c callOf) deny() string    { return "the tool is not " + list(c.tools, "or") }
