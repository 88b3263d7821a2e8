package rule

import (
	"slices"
	"strconv"
	"strings"
)

// values binds "in USD or EUR", "status is shipped", `reason is "gift"`, "in the
// EU", "at example.com".
func (b *binding) values(one term) condition {
	p := one.item.Values
	var texts []string
	kinds := map[string]bool{}
	for _, v := range p.Values {
		texts = append(texts, v.Currency+v.Value+v.Quoted+v.Country+v.Group+v.Domain)
		switch {
		case v.Currency != "":
			kinds["currency"] = true
		case v.Country != "", v.Group != "":
			kinds["country"] = true
		case v.Domain != "":
			kinds["domain"] = true
		case v.Quoted != "":
			kinds["quoted"] = true
		default:
			kinds["value"] = true
		}
	}
	if kinds["quoted"] && (b.tokens[one.item.place().from].class == "Outside" || slices.ContainsFunc(texts, func(v string) bool { return strings.HasSuffix(v, "/") })) {
		// A folder is not a value, and what stands behind it may lead out of it again.
		b.hinted(one.place, `say "starting with" or "not starting with" where that is meant`)
	}
	var made condition
	switch {
	case kinds["country"] && len(kinds) == 1:
		made = b.inCountries(one, p)
	case kinds["domain"] && len(kinds) == 1:
		made = b.mailTo(one, texts)
	case kinds["country"], kinds["domain"]:
		b.notUnderstood(one.place)
	default:
		made = b.texts(one, texts, kinds)
	}
	if p.Not {
		return not{made}
	}
	return made
}

// texts binds currencies, values of enums and quoted texts.
func (b *binding) texts(one term, texts []string, kinds map[string]bool) condition {
	currency := kinds["currency"] && len(kinds) == 1
	unnamed := holding(texts)
	if currency {
		unnamed = func(t *tool) []*argument {
			if found := currencies(t); len(found) > 0 {
				return found
			}
			return holding(texts)(t)
		}
	}
	fits := func(a *argument) bool { return a.kind == "string" }
	if currency {
		// "refunds to customers in EUR": the words before must name what has a currency.
		fits = func(a *argument) bool { return a.kind == "string" && (namesCurrency(a) || len(a.enum) > 0) }
	}
	a := b.target(b.tools, one, "is "+texts[0], fits, unnamed)
	made := oneOf{argument: a.name}
	for _, text := range texts {
		spelled := text
		switch {
		case len(a.enum) > 0:
			if spelled = a.value(text); spelled == "" {
				b.notUnderstood(one.place)
			}
		case currency:
			made.upper = true
		case kinds["value"] || kinds["currency"]:
			b.notUnderstood(one.place) // a bare word is only a value where an enum says so
		}
		made.values = append(made.values, spelled)
	}
	return made
}

// inCountries binds countries and groups of them. An enum is held to those of its
// values that are meant; another text may write a country in any usual way.
func (b *binding) inCountries(one term, p *valuesPhrase) condition {
	var codes, said []string
	for _, v := range p.Values {
		if v.Group != "" {
			codes = append(codes, countryGroups[v.Group].members...)
			said = append(said, "in "+v.Group)
			continue
		}
		codes = append(codes, v.Country)
		said = append(said, countriesByCode[v.Country].name)
	}
	a := b.target(b.tools, one, "is "+said[0], namesCountry, countries)
	spellings := countrySpellings(codes)
	if len(a.enum) == 0 {
		return inCountries{a.name, spellings, list(said, "or")}
	}
	made := oneOf{argument: a.name}
	for _, e := range a.enum {
		if slices.Contains(spellings, strings.ToUpper(e)) {
			made.values = append(made.values, e)
		}
	}
	if len(made.values) == 0 {
		b.notUnderstood(one.place)
	}
	return made
}

// mailTo binds domains of mail addresses.
func (b *binding) mailTo(one term, domains []string) condition {
	fits := func(a *argument) bool {
		return (a.kind == "string" || a.kind == "array" && a.items == "string") && (a.about["email"] || a.about["mail"] || a.about[stem("address")] || a.about[stem("recipient")])
	}
	unnamed := func(t *tool) []*argument {
		var found []*argument
		for i := range t.arguments {
			if a := &t.arguments[i]; fits(a) {
				found = append(found, a)
			}
		}
		return found
	}
	a := b.target(b.tools, one, "is at "+domains[0], fits, unnamed)
	return mailTo{a.name, a.kind == "array", domains}
}

// pieces binds "containing", "starting with" and "ending with".
func (b *binding) pieces(one term) condition {
	p := one.item.Text
	fits := func(a *argument) bool { return a.kind == "string" || a.kind == "array" && a.items == "string" }
	unnamed := func(t *tool) []*argument {
		var found []*argument
		for i := range t.arguments {
			if a := &t.arguments[i]; fits(a) && len(a.enum) == 0 {
				found = append(found, a)
			}
		}
		return found
	}
	a := b.target(b.tools, one, "has "+strconv.Quote(p.Values[0]), fits, unnamed)
	made := text{a.name, a.kind == "array", p.Op, p.Values}
	if p.Not {
		return not{made}
	}
	return made
}

// missing binds "without a reason".
func (b *binding) missing(one term) condition {
	a := b.target(b.tools, one, "is missing", func(a *argument) bool { return isName(a.name) }, nil)
	return missing{a.name, a.kind == "string", a.kind == "array"}
}

func isFlag(a *argument) bool { return a.kind == "boolean" }
