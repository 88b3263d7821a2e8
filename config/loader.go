package config

import (
	"strconv"
	"strings"
)

// place is where a value was written.
type place struct {
	file string
	line int
	key  string
}

// loader gathers values and mistakes; it never stops at the first.
type loader struct {
	config   *Config
	problems Problems
	env      map[string]string
	from     map[string]place // where each setting that was written stands
}

func newLoader(environ []string) *loader {
	l := &loader{config: &Config{}, env: make(map[string]string, len(environ)), from: make(map[string]place)}
	for _, pair := range environ {
		if name, text, ok := strings.Cut(pair, "="); ok && name != "" {
			l.env[name] = text
		}
	}
	return l
}

// defaults goes through the same setters as everything else, so that a documented default is always a valid value.
func (l *loader) defaults() {
	for _, s := range settings {
		if s.Default == "" {
			continue
		}
		v := value{text: s.Default}
		if s.kind == manyValues {
			v = value{list: splitList(s.Default)}
		}
		if m := s.set(l.config, v); m != nil {
			panic("config: default of " + s.Key + ": " + m.problem)
		}
	}
}

// apply sets one setting from a value that was written at a place.
func (l *loader) apply(s *Setting, v value, at place) {
	l.from[s.Key] = at
	if s.kind == keyList {
		if !l.checkKeys(v.keys) {
			return
		}
	} else if s.hidden {
		text, m := l.expand(v.text)
		if m != nil {
			l.wrong(at, m)
			return
		}
		v.text = text
	}
	if m := s.set(l.config, v); m != nil {
		l.wrong(at, m)
	}
}

// checkKeys names the mistakes of all keys, and keys or names that stand twice.
func (l *loader) checkKeys(inputs []keyInput) bool {
	before := len(l.problems)
	keyAt, nameAt := make(map[string]int), make(map[string]int)
	for i := range inputs {
		in := &inputs[i]
		text, m := l.expand(in.key)
		if m == nil {
			in.key = text
			m = keyProblem(*in)
		}
		if m != nil {
			l.wrong(in.at, m)
			continue
		}
		if first, twice := keyAt[in.key]; twice {
			l.wrong(in.at, wrong("is the same key as number "+strconv.Itoa(first+1), "take one of them out"))
		}
		if first, twice := nameAt[in.name]; twice && in.name != "" {
			l.wrong(in.at, wrong("has the same name as number "+strconv.Itoa(first+1), "give each key its own name"))
		}
		keyAt[in.key], nameAt[in.name] = i, i
	}
	return len(l.problems) == before
}

// together checks what only several settings show.
func (l *loader) together() {
	c := l.config
	if l.sound("listen", "backend.url") && c.Backend.URL.IsZero() && !c.Loopback() {
		at := l.place("listen")
		at.key = "backend.url"
		l.wrong(at, wrong("is empty while "+c.Listen+" can be reached from other machines",
			"set it to your model's base URL, or to rehearsal if you mean the built-in rehearsal model"))
	}
	if l.sound("backend.auth", "backend.api_key") && c.Backend.Auth == "passthrough" && !c.Backend.APIKey.IsZero() {
		l.wrong(l.place("backend.api_key"), wrong("is never sent when backend.auth is passthrough", "take one of the two out"))
	}
}

// sound says that none of the settings has a mistake already; a second one about the same cause would only confuse.
func (l *loader) sound(keys ...string) bool {
	for _, key := range keys {
		at, written := l.from[key]
		for _, p := range l.problems {
			if written && p.File == at.file && p.Line == at.line && p.Key == at.key {
				return false
			}
		}
	}
	return true
}

func (l *loader) place(key string) place {
	if at, ok := l.from[key]; ok {
		return at
	}
	return place{file: "defaults", key: key}
}

func (l *loader) wrong(at place, m *mistake) {
	l.problems = append(l.problems, Problem{File: at.file, Line: at.line, Key: at.key, Problem: m.problem, Fix: m.fix})
}

// splitList reads a comma separated list; blanks around an element and empty elements are dropped.
func splitList(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
