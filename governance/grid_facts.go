package governance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// facts are the dimensions of what stands around the call.
func (b *gridBuilder) facts() {
	var roles, ids, domains, workspaces []string
	var minutes []minuteMark
	var days []dayMark
	var turns, index, count []any
	confirmed := false
	for _, m := range b.marks {
		roles, ids, domains, workspaces = addText(roles, m.roles...), addText(ids, m.ids...), addText(domains, m.domains...), addText(workspaces, m.workspaces...)
		minutes, days = addTo(minutes, m.minutes...), addTo(days, m.days...)
		turns, index, count = addTo(turns, m.turns...), addTo(index, m.index...), addTo(count, m.count...)
		confirmed = confirmed || m.confirmed
	}
	if len(roles) > 0 {
		settings := []setting{{key: "none", set: func(*draft) {}}}
		for _, r := range roles {
			settings = append(settings, setting{key: r, words: "a requester with the role " + r, set: func(d *draft) { d.facts.Requester.Roles = []string{r} }})
		}
		b.dimension("roles", 1, settings)
	}
	b.texts("requester", ids, "the requester ", "key_check", func(d *draft, s string) { d.facts.Requester.ID = s })
	b.texts("workspace", workspaces, "the workspace ", "default", func(d *draft, s string) { d.facts.Workspace = s })
	if len(domains) > 0 {
		// A policy of a domain speaks of nothing else: that one is the ordinary.
		settings := []setting{}
		for _, s := range append(slices.Clone(domains), "") {
			words := "the domain " + s
			if s == "" {
				words = "no domain"
			}
			settings = append(settings, setting{key: s, words: words, odd: s == "", set: func(d *draft) { d.facts.Domain = s }})
		}
		b.dimension("domain", 1, settings)
	}
	if confirmed {
		b.dimension("confirmed", 1, []setting{{key: "no", set: func(*draft) {}},
			{key: "yes", words: "after the requester said yes", set: func(d *draft) { d.facts.Confirmed = true }}})
	}
	b.whole("turns", turns, 1, "the requester's messages", func(d *draft, n int) { d.facts.Turns = n })
	b.whole("count", append(index, count...), 1, "calls in the turn", func(d *draft, n int) {
		for i := range min(n-1, 64) {
			d.before = append(d.before, Call{ID: fmt.Sprintf("call_before_%d", i+1), Name: "another_tool", Form: FormFunction, Arguments: "{}"})
		}
		d.facts.Tools["another_tool"] = Tool{Type: "function", Name: "another_tool"}
	})
	b.calls()
	b.times(minutes, days)
	b.meters()
}

func (b *gridBuilder) texts(name string, list []string, words, usual string, set func(*draft, string)) {
	if len(list) == 0 {
		return
	}
	settings := []setting{{key: "usual", set: func(d *draft) { set(d, usual) }}}
	for _, s := range list {
		settings = append(settings, setting{key: "=" + s, words: words + s, set: func(d *draft) { set(d, s) }})
	}
	b.dimension(name, 1, settings)
}

func (b *gridBuilder) whole(name string, list []any, least int, words string, set func(*draft, int)) {
	if len(list) == 0 {
		return
	}
	var numbers []int
	for _, v := range list {
		if n, ok := v.(int64); ok && n < 10_000 {
			numbers = addTo(numbers, max(least, int(n)-1), max(least, int(n)), max(least, int(n)+1))
		}
	}
	var settings []setting
	for _, n := range numbers {
		settings = append(settings, setting{key: fmt.Sprint(n), words: fmt.Sprintf("%s: %d", words, n), set: func(d *draft) { set(d, n) }})
	}
	b.dimension(name, 1, settings)
}

// calls varies which tools were called before.
func (b *gridBuilder) calls() {
	var marks []calledMark
	for _, m := range b.marks {
		for _, c := range m.called {
			if i := slices.IndexFunc(marks, func(o calledMark) bool { return o.tool == c.tool }); i < 0 {
				marks = append(marks, c)
			} else if len(marks[i].args) < len(c.args) {
				marks[i] = c
			}
		}
	}
	for _, c := range marks {
		add := func(d *draft, args map[string]any) {
			text, _ := json.Marshal(args)
			d.facts.Released = append(d.facts.Released, Released{ID: "call_" + c.tool, Name: c.tool, Arguments: string(text), At: exampleTime.Add(-time.Hour)})
		}
		settings := []setting{{key: "no", set: func(*draft) {}}, {key: "yes", words: "after " + c.tool, set: func(d *draft) {
			args := map[string]any{}
			for _, a := range c.args {
				args[a.name] = a.value
				if a.path != nil {
					if args[a.name] = get(d.args, a.path[1:]); args[a.name] == nil {
						delete(args, a.name)
					}
				}
			}
			add(d, args)
		}}}
		if len(c.args) > 0 {
			settings = append(settings, setting{key: "other", words: "after " + c.tool + " with other arguments", set: func(d *draft) {
				args := map[string]any{}
				for _, a := range c.args {
					args[a.name] = "something different"
				}
				add(d, args)
			}})
		}
		b.dimension("called "+c.tool, 1, settings)
	}
}

// maxInstants bounds the moments that a grid tries.
const maxInstants = 64

// times varies the moment: before and at each hour, on each day named and another.
func (b *gridBuilder) times(minutes []minuteMark, days []dayMark) {
	if len(minutes)+len(days) == 0 {
		return
	}
	zoneName := "UTC"
	if len(minutes) > 0 {
		zoneName = minutes[0].zone
	} else {
		zoneName = days[0].zone
	}
	var offsets []int // days from the ordinary Thursday
	if len(days) == 0 {
		offsets = []int{0}
	} else {
		named := map[string]bool{}
		for _, d := range days {
			named[d.day] = true
		}
		another := false
		for n := range 7 {
			day := strings.ToLower(exampleTime.AddDate(0, 0, n).Weekday().String())
			switch {
			case named[day]:
				offsets = append(offsets, n)
			case !another:
				another = true
				offsets = append([]int{n}, offsets...)
			}
		}
	}
	type instant struct {
		zone   string
		minute int
	}
	instants := []instant{{zoneName, 12 * 60}}
	for _, m := range minutes {
		at := m.minute % (24 * 60)
		instants = addTo(instants, instant{m.zone, (at + 24*60 - 1) % (24 * 60)}, instant{m.zone, at})
	}
	var settings []setting
	for _, offset := range offsets {
		for _, i := range instants {
			zone, err := time.LoadLocation(i.zone)
			if err != nil || len(settings) == maxInstants {
				continue
			}
			day := exampleTime.AddDate(0, 0, offset)
			at := time.Date(day.Year(), day.Month(), day.Day(), i.minute/60, i.minute%60, 0, 0, zone)
			settings = append(settings, setting{key: at.UTC().Format(time.RFC3339), words: fmt.Sprintf("on a %s at %02d:%02d in %s", at.Weekday(), i.minute/60, i.minute%60, i.zone),
				set: func(d *draft) { d.facts.Now = at.UTC() }})
		}
	}
	b.dimension("time", 1, settings)
}
