package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the settings.
type Problem struct {
	File    string // path of the file, or "environment"
	Line    int    // counted from 1; 0 where there are no lines
	Key     string // the setting as it was written: a dotted path or the name of a variable; "" for the file as a whole
	Problem string // what is wrong, without any secret
	Fix     string // what to do about it
}

// String is one line: file:line: key: problem; fix.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Problem)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems is every mistake that Load found, in the order of the places.
type Problems []Problem

// Error is one line for each mistake.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// mistake is what a check says about a value; the loader adds where the value stands.
type mistake struct{ problem, fix string }

func wrong(problem, fix string) *mistake { return &mistake{problem, fix} }

// nearest is the candidate that name is most likely a misspelling of, or "".
func nearest(name string, candidates []string) string {
	best, bestAt := "", 3
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), c); d < bestAt && d < len(c) {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is the number of single-letter edits between two short names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// oneOf lists the allowed words for a fix.
func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(slices.Clone(words[:len(words)-1]), ", ") + " or " + words[len(words)-1]
}
