package backend

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// How well a word fits an argument: by its kind alone, 2 to 8; one that stands
// beside the argument's own word ("order 456", "3 nights") gets up to 10 more.
const (
	fitLoose = 1 // good enough for a required argument only
	fitKind  = 2 // the right JSON type
	fitSense = 8 // the type and what the argument's name asks for
	beside   = 10
)

// sense is what an argument's name (or format) asks for.
type sense int

const (
	anything sense = iota
	amountSense
	percentSense
	mailSense
	urlSense
	dateSense
	idSense
	placeSense
	nameSense
	querySense   // words to look for
	bodySense    // a text, for which the whole message will do
	commandSense // what to run
	titleSense   // a text that must be said to be one
)

// senses lists the stems of names; the last stem of an argument's name decides first.
var senses = map[string]sense{
	"amount": amountSense, "pric": amountSense, "total": amountSense, "cost": amountSense, "sum": amountSense,
	"usd": amountSense, "dollar": amountSense, "valu": amountSense, "budget": amountSense, "fee": amountSense,
	"pay": amountSense, "eur": amountSense, "salary": amountSense, "balanc": amountSense,
	"percent": percentSense, "percentag": percentSense, "pct": percentSense, "rat": percentSense, "rate": percentSense, "discount": percentSense,
	"email": mailSense, "recipient": mailSense, "cc": mailSense, "bcc": mailSense,
	"url": urlSense, "uri": urlSense, "link": urlSense, "websit": urlSense, "href": urlSense,
	"dat": dateSense, "date": dateSense, "day": dateSense, "deadlin": dateSense, "due": dateSense, "until": dateSense, "sinc": dateSense,
	"id": idSense, "number": idSense, "code": idSense, "ref": idSense, "referenc": idSense, "sku": idSense,
	"key": idSense, "track": idSense, "ticket": idSense, "order": idSense, "invoic": idSense, "account": idSense,
	"city": placeSense, "locat": placeSense, "plac": placeSense, "country": placeSense, "reg": placeSense,
	"destinat": placeSense, "origin": placeSense, "address": placeSense, "timezon": placeSense,
	"nam": nameSense, "name": nameSense, "customer": nameSense, "person": nameSense, "user": nameSense, "assigne": nameSense,
	"query": querySense, "q": querySense, "search": querySense, "keyword": querySense, "term": querySense, "topic": querySense,
	"text": bodySense, "messag": bodySense, "body": bodySense, "content": bodySense, "prompt": bodySense,
	"input": bodySense, "quest": bodySense, "question": bodySense, "task": bodySense, "descript": bodySense, "instruct": bodySense,
	"command": commandSense, "cmd": commandSense, "sql": commandSense, "script": commandSense, "express": commandSense,
	"subject": titleSense, "titl": titleSense, "title": titleSense, "reason": titleSense, "comment": titleSense, "not": titleSense, "note": titleSense,
}

var formats = map[string]sense{
	"email": mailSense, "uri": urlSense, "url": urlSense, "date": dateSense, "date-time": dateSense, "uuid": idSense,
}

func senseOf(p property) sense {
	if s, ok := formats[p.schema.format]; ok {
		return s
	}
	stems := nameStems(p.name)
	for _, s := range slices.Backward(stems) {
		if found, ok := senses[s]; ok {
			return found
		}
	}
	return anything
}

// significant are the stems of an argument's name by which people refer to it:
// "order" of order_id.
func significant(name string) []string {
	all := nameStems(name)
	var out []string
	for _, s := range all {
		if found := senses[s]; generic[s] || len(all) > 1 && (s == "id" || s == "number" || s == "code" || found == nameSense) {
			continue
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return all
	}
	return out
}

// fit weighs the word at a position as the value of an argument.
func (f *filler) fit(p property, at int) match {
	w := f.said.list[at]
	m := match{from: at, to: at + 1}
	asked := senseOf(p)
	switch p.schema.kind {
	case "number", "integer":
		if !f.numeric(p.schema, w) {
			return m
		}
		m.value = json.RawMessage(w.number)
		m.score = fitKind
		switch {
		case w.kind == moneyWord && asked == amountSense, w.kind == percentWord && asked == percentSense:
			m.score = fitSense
		case w.kind != numberWord:
			m.score = fitLoose // dollars for a count
		}
	case "string", "":
		m.score = f.fitString(&m, p, asked, w)
	default:
		return m
	}
	if near := f.near(p, at); m.score > 0 && near > 0 {
		m.score += near
	} else if f.clause != everything && w.clause != f.clause {
		return match{from: at, to: at + 1} // another call's word
	}
	if m.score > 0 && m.value == nil {
		m.value = encode(f.said.text[f.said.list[m.from].start:f.said.list[m.to-1].end])
		if m.to == m.from+1 {
			m.value = encode(dated(p.schema, w))
		}
	}
	return m
}

func (f *filler) numeric(s *schema, w word) bool {
	if w.number == "" || s.kind == "integer" && strings.Contains(w.number, ".") {
		return false
	}
	number, err := strconv.ParseFloat(w.number, 64)
	return err == nil && (s.minimum == nil || number >= *s.minimum) && (s.maximum == nil || number <= *s.maximum)
}

func dated(s *schema, w word) string {
	if s.format == "date-time" && w.kind == dateWord && !strings.Contains(w.value, "T") {
		return w.value + "T00:00:00Z"
	}
	return w.value
}

func (f *filler) fitString(m *match, p property, asked sense, w word) int {
	own := map[wordKind]sense{emailWord: mailSense, urlWord: urlSense, dateWord: dateSense}
	switch w.kind {
	case emailWord, urlWord, dateWord:
		if asked == own[w.kind] {
			return fitSense
		}
		if p.schema.format == "" {
			return fitLoose
		}
		return 0
	case moneyWord, percentWord:
		if asked == amountSense || asked == percentSense {
			return fitSense
		}
		return 0
	}
	if p.schema.format != "" && formats[p.schema.format] != idSense {
		return 0
	}
	switch w.kind {
	case codeWord, numberWord:
		switch asked {
		case idSense:
			return fitKind + 1
		case amountSense:
			return fitKind
		case anything, nameSense:
			if w.kind == codeWord || f.near(p, m.from) > 0 {
				return fitLoose
			}
		}
		return 0
	case quotedWord:
		if asked == idSense || asked == mailSense || asked == urlSense || asked == dateSense {
			return fitLoose
		}
		return fitKind + 1
	}
	return f.fitName(m, asked)
}

// fitName weighs a plain word as the name of a place, a person or a thing: it
// has a capital, or stands behind a word that leads to one.
func (f *filler) fitName(m *match, asked sense) int {
	list := f.said.list
	w := list[m.from]
	if asked != placeSense && asked != nameSense && asked != anything || generic[w.stem] && w.stem != "new" {
		return 0
	}
	lead := ""
	if m.from > 0 && list[m.from-1].kind == plainWord && list[m.from-1].clause == w.clause {
		lead = lower(list[m.from-1].value)
	}
	if !w.capital {
		if asked == placeSense && (lead == "in" || lead == "near") {
			return fitKind
		}
		return 0
	}
	for m.to < len(list) && list[m.to].kind == plainWord && list[m.to].capital && list[m.to].clause == w.clause &&
		list[m.to].start == list[m.to-1].end+1 {
		m.to++ // New York
	}
	leads := map[sense][]string{
		placeSense: {"in", "at", "near", "to", "for", "from"},
		nameSense:  {"to", "for", "named", "called", "customer", "user", "with", "of"},
	}
	if slices.Contains(leads[asked], lead) {
		return fitSense
	}
	if asked == anything {
		return fitLoose
	}
	return fitKind
}

// fillers may stand between an argument's word and its value.
var fillers = map[string]bool{
	"id": true, "number": true, "no": true, "nr": true, "is": true, "of": true, "to": true, "called": true, "named": true, "code": true, "the": true,
}

// near is what a value gets for standing beside the argument's own word: behind
// it, with nothing of weight between them, or directly before it.
func (f *filler) near(p property, at int) int {
	list := f.said.list
	names := significant(p.name)
	named := func(i int) bool {
		return list[i].kind == plainWord && slices.ContainsFunc(names, func(s string) bool { return alike(s, list[i].stem) })
	}
	for back := 1; back <= 8 && at-back >= 0; back++ {
		w := list[at-back]
		if named(at - back) {
			return beside - min(back, 5)
		}
		// Other values of a list, and small words.
		if w.kind == plainWord && !fillers[lower(w.value)] && !clauseStarts[lower(w.value)] {
			break
		}
	}
	if at+1 < len(list) && list[at].number != "" && list[at].kind == numberWord && named(at+1) && list[at+1].clause == list[at].clause {
		return beside - 2
	}
	return 0
}

func lower(text string) string { return strings.ToLower(text) }
