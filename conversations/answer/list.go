package answer

import (
	"slices"
	"strings"
)

// list reads "1", "1,3", "1 3", "1 and 3", "1, 2 and 3" and nothing else:
// numbers in ASCII digits without leading zeros, each within 1..count. Between
// two numbers stands a comma, the word "and", both, or blanks.
func list(s string, count int) ([]int, bool) {
	var items []int
	for {
		n, rest, ok := number(s, count)
		if !ok {
			return nil, false
		}
		items = append(items, n)
		if rest == "" {
			break
		}
		if s, ok = separator(rest); !ok {
			return nil, false
		}
	}
	slices.Sort(items)
	return slices.Compact(items), true
}

// number reads one number from 1 to count off the front of s.
func number(s string, count int) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		if n == 0 || n > count || i == 9 { // nine digits are enough, and never overflow
			return 0, "", false
		}
		i++
	}
	return n, s[i:], i > 0
}

// separator reads what stands between two numbers off the front of s.
func separator(s string) (rest string, ok bool) {
	rest = strings.TrimLeft(s, " ")
	spaced := len(rest) < len(s)
	if r, found := strings.CutPrefix(rest, ","); found {
		rest, spaced = strings.TrimLeft(r, " "), true
	}
	if r, found := strings.CutPrefix(rest, "and "); found && spaced {
		rest = strings.TrimLeft(r, " ")
	}
	return rest, spaced
}
