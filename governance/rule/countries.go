package rule

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed countries.tsv
var countryTable string

// country has the spellings of its name in calls, upper case.
type country struct {
	name      string
	spellings []string
}

type countryGroup struct{ members []string }

var (
	countriesByCode, countryGroups, countryPhrases = readCountries(countryTable)
	longestCountry                                 = longestOf(countryPhrases)
)

func readCountries(table string) (map[string]country, map[string]countryGroup, map[string]entry) {
	countries, groups, said := map[string]country{}, map[string]countryGroup{}, map[string]entry{}
	for line := range strings.Lines(table) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case len(f) == 4 && f[0] == "group":
			groups[f[1]] = countryGroup{strings.Fields(f[2])}
			for phrase := range strings.SplitSeq(f[3], " | ") {
				said[phrase] = entry{"Group", f[1]}
			}
		case len(f) == 3:
			names := strings.Split(f[2], " | ")
			c := country{names[0], []string{f[0], f[1]}}
			for _, n := range names {
				c.spellings = append(c.spellings, strings.ToUpper(n))
				said[strings.ToLower(n)] = entry{"Country", f[0]}
			}
			countries[f[0]] = c
		}
	}
	return countries, groups, said
}

func longestOf(phrases map[string]entry) int {
	longest := 0
	for p := range phrases {
		longest = max(longest, len(strings.Fields(p)))
	}
	return longest
}

// countrySpellings are all that calls may write for the countries of a list.
func countrySpellings(codes []string) []string {
	var all []string
	for _, code := range codes {
		all = append(all, countriesByCode[code].spellings...)
	}
	return unique(all)
}

// countries of a tool: texts that name one.
func countries(t *tool) []*argument {
	var found []*argument
	for i := range t.arguments {
		if a := &t.arguments[i]; namesCountry(a) {
			found = append(found, a)
		}
	}
	return found
}

func namesCountry(a *argument) bool {
	return a.kind == "string" && (slices.Contains(a.words, stem("country")) || slices.Contains(a.words, "nation"))
}
