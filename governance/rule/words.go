package rule

import (
	_ "embed"
	"strings"
)

//go:embed words.tsv
var wordTable string

//go:embed zones.tsv
var zoneTable string

//go:embed verbs.tsv
var verbTable string

// entry is what a known phrase means.
type entry struct{ class, value string }

var (
	verbClasses, irregular, sameVerbs = readVerbs(verbTable)
	phrases, longest                  = readPhrases(wordTable, zoneTable)
)

// readPhrases reads the word and zone tables; longest is the number of words in
// the longest phrase.
func readPhrases(words, zones string) (found map[string]entry, longest int) {
	found = map[string]entry{}
	add := func(phrase string, e entry) {
		found[phrase] = e
		longest = max(longest, len(strings.Fields(phrase)))
	}
	for line := range strings.Lines(words) {
		if f := strings.Split(strings.TrimSpace(line), "\t"); !strings.HasPrefix(line, "#") && len(f) == 3 {
			for p := range strings.SplitSeq(f[2], " | ") {
				add(p, entry{f[0], f[1]})
			}
		}
	}
	for word := range smallNumbers {
		add(word, entry{"Number", word})
	}
	for line := range strings.Lines(zones) {
		zone, names, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.SplitSeq(names, " | ") {
			add(name+" time", entry{"Zone", zone})
			add("time in "+name, entry{"Zone", zone})
		}
		add(strings.ToLower(zone), entry{"Zone", zone})
		add(strings.ToLower(zone)+" time", entry{"Zone", zone})
	}
	return found, longest
}

// readVerbs reads verbs.tsv: classes by stem, irregular forms, and by stem the
// first of the verbs that say the same.
func readVerbs(table string) (classes, forms, same map[string]string) {
	classes, forms, same = map[string]string{}, map[string]string{}, map[string]string{}
	for line := range strings.Lines(table) {
		class, list, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if class == "same" {
			words := strings.Fields(list)
			for _, w := range words {
				same[stemRegular(w)] = stemRegular(words[0])
				if classes[stemRegular(w)] == "" {
					classes[stemRegular(w)] = "verb"
				}
			}
			continue
		}
		for _, w := range strings.Fields(list) {
			if form, base, ok := strings.Cut(w, "="); ok {
				forms[form] = base
				continue
			}
			classes[stemRegular(w)] = class
		}
	}
	return classes, forms, same
}
