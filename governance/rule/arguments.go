package rule

import (
	"fmt"
	"slices"
	"strings"
)

// unit is what a number in an argument counts.
type unit struct {
	cents    bool
	currency string // USD, EUR, GBP, or "" where it is not said
	unclear  bool   // the description speaks of cents and of whole units
}

var currencyWords = map[string]string{"usd": "USD", "dollars": "USD", "dollar": "USD", "eur": "EUR", "euro": "EUR", "euros": "EUR", "gbp": "GBP", "pounds": "GBP"}

// amountWords name arguments that hold money.
var amountWords = set(stems("amount total price cost value sum fee payment balance charge refund subtotal cents pence usd eur gbp dollars euros budget credit"))

// notAmounts are words of numbers that are no amounts, though another word says so.
var notAmounts = set(stems("id number no count quantity index percent percentage rate type code days"))

func unitOf(name, description []string) unit {
	var u unit
	inCents := func(words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains([]string{"cent", "cents", "pence", "minor"}, w) })
	}
	whole := false
	for _, w := range description {
		if currency, ok := currencyWords[w]; ok {
			whole = true
			if u.currency != "" && u.currency != currency {
				u.unclear = true
			}
			u.currency = currency
		}
	}
	for _, w := range name {
		if currency, ok := currencyWords[w]; ok {
			u.currency = currency
		}
	}
	// Names come as stems.
	named := slices.Contains(name, stem("cents")) || slices.Contains(name, stem("pence")) || slices.Contains(name, stem("minor"))
	u.cents = named || inCents(description)
	u.unclear = u.unclear || u.cents && !named && whole
	return u
}

// namesArgument: the words name an argument of some tool.
func (c *compiler) namesArgument(s span) bool {
	for _, t := range c.scoped {
		if len(c.named(t, s, nil)) > 0 {
			return true
		}
	}
	return false
}

// namesFlag: the words are just the name of a boolean.
func (c *compiler) namesFlag(s span) bool {
	words := c.stems(s)
	return slices.ContainsFunc(c.scoped, func(t *tool) bool {
		return slices.ContainsFunc(t.arguments, func(a argument) bool { return isFlag(&a) && slices.Equal(a.words, words) })
	})
}

// named lists the arguments of a tool that words name: the one with just these
// words, else all whose name has them, else all whose name and description have
// them. keep filters, nil keeps all.
func (c *compiler) named(t *tool, s span, keep func(*argument) bool) []*argument {
	words := c.stems(s)
	var same, inName, found []*argument
	for i := range t.arguments {
		a := &t.arguments[i]
		if keep != nil && !keep(a) {
			continue
		}
		if slices.Equal(a.words, words) {
			same = append(same, a)
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(a.words, w) }) {
			inName = append(inName, a)
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !a.about[w] }) {
			found = append(found, a)
		}
	}
	switch {
	case len(words) == 0:
		return nil
	case len(same) == 1:
		return same
	case len(inName) > 0:
		return inName
	}
	return found
}

// target is the one argument that a term is about, the same in all tools.
func (c *compiler) target(tools []*tool, one term, what string, fits func(*argument) bool, unnamed func(*tool) []*argument) *argument {
	var found *argument
	var owner *tool
	for _, t := range tools {
		var list []*argument
		if one.argument.empty() {
			list = unnamed(t)
		} else {
			list = c.named(t, one.argument, fits)
		}
		switch {
		case len(list) == 0:
			if len(tools) > 1 {
				c.problem("%s has no argument for %q. Write a rule of its own for it.", t.Name, c.text(one.place))
			}
			c.notUnderstood(one.place)
		case len(list) > 1:
			options := make([]string, len(list))
			for i, a := range list {
				options[i] = a.name
			}
			kind := "argument"
			if len(tools) > 1 {
				kind += "-of-" + t.Name
			}
			chosen := c.ask(kind, one.place, fmt.Sprintf("Which argument of %s is %q about?", t.Name, c.text(one.place)), options...)
			list = list[slices.Index(options, chosen):][:1]
		}
		if found != nil && (found.name != list[0].name || found.kind != list[0].kind || found.unit != list[0].unit) {
			c.problem("%s has %s and %s has %s: write a rule for each.", owner.Name, found.name, t.Name, list[0].name)
		}
		found, owner = list[0], t
	}
	return found
}

func numeric(a *argument) bool { return a.kind == "number" || a.kind == "integer" }

// amounts of a tool: numbers that hold money by name, else by description.
func amounts(t *tool) []*argument {
	var byName, byAbout []*argument
	for i := range t.arguments {
		a := &t.arguments[i]
		if !numeric(a) || slices.ContainsFunc(a.words, func(w string) bool { return notAmounts[w] }) {
			continue
		}
		if slices.ContainsFunc(a.words, func(w string) bool { return amountWords[w] }) {
			byName = append(byName, a)
		}
		for w := range a.about {
			if amountWords[w] {
				byAbout = append(byAbout, a)
				break
			}
		}
	}
	if len(byName) > 0 {
		return byName
	}
	return byAbout
}

// numbers of a tool that are no ids.
func numbers(t *tool) []*argument {
	var found []*argument
	for i := range t.arguments {
		a := &t.arguments[i]
		if numeric(a) && !slices.Contains(a.words, "id") && !slices.Contains(a.words, "number") && !slices.Contains(a.words, "no") {
			found = append(found, a)
		}
	}
	return found
}

// currencies of a tool: texts that name one.
func currencies(t *tool) []*argument {
	var found []*argument
	for i := range t.arguments {
		if a := &t.arguments[i]; namesCurrency(a) {
			found = append(found, a)
		}
	}
	return found
}

func namesCurrency(a *argument) bool {
	return a.kind == "string" && slices.Contains(a.words, stem("currency"))
}

// holding lists the arguments whose enum has all the values.
func holding(values []string) func(*tool) []*argument {
	return func(t *tool) []*argument {
		var found []*argument
		for i := range t.arguments {
			a := &t.arguments[i]
			if !slices.ContainsFunc(values, func(v string) bool { return a.value(v) == "" }) {
				found = append(found, a)
			}
		}
		return found
	}
}

// value is the spelling of an enum's value, "" if the enum does not have it.
func (a *argument) value(text string) string {
	for _, e := range a.enum {
		if strings.EqualFold(e, text) {
			return e
		}
	}
	return ""
}
