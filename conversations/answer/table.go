package answer

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// words is the table: language, kind (yes, no or neither) and phrase, separated
// by tabs; '#' starts a comment line. See the head of the file.
//
//go:embed words.tsv
var words string

// table maps each phrase, reduced as a message is, to its kind.
var table = sync.OnceValue(func() map[string]Kind {
	entries, err := parse(words)
	if err != nil {
		panic(err) // the embedded file is wrong: no test of this package passes
	}
	m := make(map[string]Kind, len(entries))
	for _, e := range entries {
		if e.kind != None {
			m[fold(e.phrase)] = e.kind
		}
	}
	return m
})

type entry struct {
	line     int
	language string
	kind     Kind // None for "neither"
	phrase   string
}

// parse reads the table and refuses a line that is not three fields and a
// phrase that has two kinds.
func parse(text string) ([]entry, error) {
	var entries []entry
	kinds := map[string]Kind{}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) < 3 {
			return nil, fmt.Errorf("words.tsv:%d: want language, kind and phrase separated by tabs", i+1)
		}
		e := entry{line: i + 1, language: f[0], phrase: f[2]}
		switch f[1] {
		case "yes":
			e.kind = Yes
		case "no":
			e.kind = No
		case "neither":
		default:
			return nil, fmt.Errorf("words.tsv:%d: kind %q: use yes, no or neither", i+1, f[1])
		}
		key := fold(e.phrase)
		if before, ok := kinds[key]; ok && before != e.kind {
			return nil, fmt.Errorf("words.tsv:%d: %q is listed as %s and as %s: list it once, as neither", i+1, e.phrase, before, e.kind)
		}
		kinds[key] = e.kind
		entries = append(entries, e)
	}
	return entries, nil
}
