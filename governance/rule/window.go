package rule

import (
	"regexp"
	"strconv"
	"strings"
)

// smallNumbers are numbers that are written as words.
var smallNumbers = map[string]string{"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"}

// windowPattern is a time that counts and sums reach back: "per day", "a week",
// "in 24 hours", "within the last 7 days", "in any 10-minute period".
var windowPattern = func() *regexp.Regexp {
	number := `(?:[0-9]{1,5}|` + strings.Join(numberWords(), "|") + `|an?)[ -]+`
	unit := `(?:minute|min|hour|hr|day|week|month|year)s?`
	reach := `(?:any|each|every|the (?:last|past|previous)|a period of)[ ]+`
	return regexp.MustCompile(`^(?:` + strings.Join([]string{
		`(?:within|in|during) +(?:` + reach + `)*(` + number + `)(` + unit + `)`,
		`(?:within|in|during) +(?:` + reach + `)()(` + unit + `)`,
		`(?:per|every|each|over +(?:the +(?:last|past)|any)|the +(?:last|past)) +(` + number + `)?(` + unit + `)`,
		`(an? +)(` + unit + `)`,
	}, "|") + `)(?:[ -](?:period|window))?\b`)
}()

func numberWords() []string {
	var words []string
	for w := range smallNumbers {
		words = append(words, w)
	}
	return words
}

// window reads a time that counts reach back. Its value is the CEL functions', or
// "month", which is not always as long.
func (s *scanner) window() bool {
	m := windowPattern.FindStringSubmatch(s.plain[s.at:])
	if m == nil {
		return false
	}
	var parts []string
	for _, group := range m[1:] {
		if group != "" {
			parts = append(parts, strings.TrimRight(group, " -"))
		}
	}
	n, unit := 1, parts[len(parts)-1]
	if len(parts) == 2 && parts[0] != "a" && parts[0] != "an" {
		text := parts[0]
		if word := smallNumbers[text]; word != "" {
			text = word
		}
		n, _ = strconv.Atoi(text) // at most five digits
	}
	value := windowValue(n, unit)
	if value == "" {
		s.reject(len(m[0]))
		return true
	}
	s.emit("Window", value, len(m[0]))
	return true
}

// windowValue writes a window as the CEL functions have it, "" if it is none.
func windowValue(n int, unit string) string {
	days := 0
	switch strings.TrimSuffix(unit, "s") {
	case "minute", "min":
		if n < 1 || n > 366*24*60 {
			return ""
		}
		return strconv.Itoa(n) + "m"
	case "hour", "hr":
		if n < 1 || n > 366*24 {
			return ""
		}
		return strconv.Itoa(n) + "h"
	case "month":
		if n == 1 {
			return "month"
		}
		return ""
	case "week":
		days = 7 * n
	case "day":
		days = n
	}
	switch {
	case days < 1 || days > 366:
		return ""
	case days == 1:
		return "24h"
	}
	return strconv.Itoa(days) + "d"
}

// windowWords says a window in English.
func windowWords(window string) string {
	n, unit := window[:len(window)-1], map[byte]string{'m': "minute", 'h': "hour", 'd': "day"}[window[len(window)-1]]
	if n == "1" {
		return unit
	}
	return n + " " + unit + "s"
}
