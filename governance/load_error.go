package governance

import (
	"fmt"
	"slices"
	"strings"
)

// LoadError is one mistake in a policy: where it is, what is wrong, what to do.
type LoadError struct {
	File    string // "" where the policy came from no file
	Line    int    // from 1; 0 where no line is known
	Problem string
	Fix     string // "" where the problem says it all
}

// Error is "file:line: problem (fix)".
func (e *LoadError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	} else if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	b.WriteString(e.Problem)
	if e.Fix != "" {
		b.WriteString(" (" + e.Fix + ")")
	}
	return b.String()
}

// LoadErrors finds every *LoadError inside a (joined) error, in order.
func LoadErrors(err error) []*LoadError {
	var found []*LoadError
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case *LoadError:
			found = append(found, e)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		case interface{ Unwrap() error }:
			walk(e.Unwrap())
		}
	}
	walk(err)
	return found
}

// Nearest is the word that a misspelt one probably means, "" if none is near:
// at most a third of its letters differ.
func Nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := editDistance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// editDistance counts insertions, deletions, changes and swaps of neighbours.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := [3][]int{make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(x); i++ {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		rows[0], rows[1], rows[2] = last, row, before
	}
	return rows[1][len(y)]
}

func keysOf(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// missingConfig lists the names x of config.x in an expression that the config
// does not hold: each would be an error with every call. Text in quotes and
// has(config.x) are passed over.
func missingConfig(expr string, config map[string]any) []string {
	var missing []string
	bare := withoutStrings(expr)
	for at := 0; ; {
		i := strings.Index(bare[at:], "config.")
		if i < 0 {
			return missing
		}
		start := at + i
		at = start + len("config.")
		end := at
		for end < len(bare) && wordByte(bare[end]) {
			end++
		}
		name := bare[at:end]
		before := strings.TrimRight(bare[:start], " \t\n")
		if name == "" || start > 0 && (wordByte(bare[start-1]) || bare[start-1] == '.') || strings.HasSuffix(before, "has(") {
			continue
		}
		if _, ok := config[name]; !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// withoutStrings blanks out the quoted parts of a CEL expression.
func withoutStrings(expr string) string {
	b := []byte(expr)
	for i := 0; i < len(b); i++ {
		quote := b[i]
		if quote != '"' && quote != '\'' {
			continue
		}
		raw := i > 0 && (b[i-1] == 'r' || b[i-1] == 'R')
		closing := string(quote)
		if strings.HasPrefix(string(b[i:]), strings.Repeat(closing, 3)) {
			closing = strings.Repeat(closing, 3)
		}
		for j := i; j < i+len(closing); j++ {
			b[j] = ' '
		}
		i += len(closing)
		for i < len(b) && !strings.HasPrefix(string(b[i:]), closing) {
			if b[i] == '\\' && !raw && i+1 < len(b) {
				b[i] = ' '
				i++
			}
			b[i] = ' '
			i++
		}
		for j := i; j < min(i+len(closing), len(b)); j++ {
			b[j] = ' '
		}
		i += len(closing) - 1
	}
	return string(b)
}
