package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (b *binding) needZone(one term) string {
	if b.zone != "" {
		return b.zone
	}
	q := Question{ID: "zone", Text: fmt.Sprintf("In which time zone is %q?", b.text(one.place)), Options: []string{"UTC"}, Other: "a city, such as Berlin, or the zone's name, such as Europe/Berlin"}
	return b.answer(q, func(said string) (string, bool) {
		said = strings.ToLower(strings.TrimSpace(said))
		for _, spelled := range []string{said, said + " time"} {
			if e := phrases[spelled]; e.class == "Zone" {
				return e.value, true
			}
		}
		return "", false
	})[0]
}

func (b *binding) hours(one term) condition {
	p := one.item.Hours
	zone := b.needZone(one)
	minute := func(s string) int { n, _ := strconv.Atoi(s); return n }
	switch {
	case p.After != "":
		if minute(p.After) == 24*60 {
			b.notUnderstood(one.place)
		}
		if minute(p.After) == 0 {
			b.hinted(one.place, "that is all day: say until when, as in \"between midnight and 6am\"")
		}
		return hours{zone, minute(p.After), 24 * 60}
	case p.Before != "":
		if minute(p.Before) == 0 {
			b.notUnderstood(one.place) // before midnight is no part of a day
		}
		return hours{zone, 0, minute(p.Before)}
	}
	made := hours{zone, minute(p.From), minute(p.To)}
	if made.to == 0 {
		made.to = 24 * 60
	}
	if made.from == made.to || made.from == 24*60 {
		b.notUnderstood(one.place)
	}
	if made.from > made.to && b.namesDay() {
		b.problem("%q goes over midnight: to which day does the night belong? Write two sentences, one up to midnight and one after it.", b.text(one.place))
	}
	if p.Outside {
		return not{made}
	}
	return made
}

func (b *binding) namesDay() bool {
	for _, list := range []*terms{&b.clause.conditions, b.clause.only, b.clause.exceptions} {
		if list != nil && slices.ContainsFunc(list.list, func(t term) bool { return t.item.Days != nil }) {
			return true
		}
	}
	return false
}

func (b *binding) days(one term) condition {
	p := one.item.Days
	made := days{zone: b.needZone(one)}
	for _, d := range p.Days {
		switch d {
		case "weekend":
			made.days = append(made.days, "saturday", "sunday")
		case "workday":
			made.days = append(made.days, "monday", "tuesday", "wednesday", "thursday", "friday")
		default:
			made.days = append(made.days, d)
		}
	}
	made.days = unique(made.days)
	if p.Not {
		return not{made}
	}
	return made
}
