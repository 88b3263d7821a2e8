package rule

import "slices"

// origin binds where a value comes from.
func (b *binding) origin(one term) condition {
	if one.argument.empty() {
		b.notUnderstood(one.place)
	}
	readable := func(a *argument) bool {
		return a.kind == "string" || numeric(a) || a.kind == "array" && (a.items == "string" || a.items == "number" || a.items == "integer")
	}
	a := b.target(b.tools, one, "the user gave", readable, nil)
	each, o := a.kind == "array", one.item.Origin
	var made condition
	denied := o.NotGave || o.Not || o.NotTool || o.NotModel || o.NotFrom
	switch {
	case o.Tool, o.NotTool:
		made = fromTool{argument: a.name, each: each}
	case o.Model, o.NotModel:
		made = fromModel{a.name, each}
	case o.Named != "":
		made = fromTool{argument: a.name, each: each, tool: b.one(span{one.place.to - 1, one.place.to}).Name}
	default:
		made = fromUser{a.name, each}
	}
	if denied {
		return not{made}
	}
	return made
}

// order binds a tool that must have been called before, and what it must have been
// called about: "the order was looked up" is the order of this call.
func (b *binding) order(one term) condition {
	if one.item.named() {
		return callOf{names(b.choose(one.tool, true))}
	}
	t := b.one(one.tool)
	made := called{tool: t.Name}
	for _, p := range one.per {
		made.same = append(made.same, b.shared(t, p.perWords(), p.place(), true))
	}
	if !one.noun.empty() && len(one.per) == 0 {
		if same := b.shared(t, one.noun, one.place, false); same != "" {
			made.same = append(made.same, same)
		}
	}
	if one.negative {
		return not{made}
	}
	return made
}

// named: the item says nothing of its own, so that the words with it name tools.
func (i *item) named() bool {
	return !i.After && !i.Before && !i.Called && !i.NotCalled && !i.Was && !i.WasNot
}

// shared is the argument that words name and that a tool has like all tools of the
// rule, "" if there is none.
func (b *binding) shared(t *tool, words, place span, must bool) string {
	var found []string
	for _, a := range b.compiler.named(t, words, identifying) {
		ok := len(b.tools) > 0
		for _, other := range b.tools {
			i := slices.IndexFunc(other.arguments, func(o argument) bool { return o.name == a.name && o.kind == a.kind })
			ok = ok && i >= 0
		}
		if ok {
			found = append(found, a.name)
		}
	}
	switch {
	case len(found) == 1:
		return found[0]
	case len(found) > 1:
		return b.ask("same", place, "Which argument must be the same in both calls?", found...)
	case must:
		b.notUnderstood(place)
	}
	return ""
}

// identifying: the argument says which thing a call is about, by its name.
func identifying(a *argument) bool {
	return (a.kind == "string" || a.kind == "integer") && len(a.enum) == 0
}
