package rule

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// figure is a number as people write it: digits with or without grouping commas,
// a fraction, k for thousand.
var figure = regexp.MustCompile(`^([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?(k|K)?`)

// moreDigits behind a figure make it something else: 1,00 and 1.2.3 are no numbers
// that everybody reads alike.
var moreDigits = regexp.MustCompile(`^[.,:]?[0-9]`)

// readFigure reads a number at the beginning of a text, "" if there is none. The
// value is a decimal.
func readFigure(text string) (value, written string) {
	m := figure.FindStringSubmatch(text)
	if m == nil || moreDigits.MatchString(text[len(m[0]):]) {
		return "", ""
	}
	if len(m[2]) == 4 && len(m[1]) <= 3 && m[1] != "0" {
		return "", "" // €1.000 is a thousand to some, one to others
	}
	n, ok := new(big.Rat).SetString(strings.ReplaceAll(m[1], ",", "") + m[2])
	if !ok {
		return "", ""
	}
	if m[3] != "" {
		n.Mul(n, big.NewRat(1000, 1))
	}
	return decimal(n), m[0]
}

// decimal writes a finite decimal without trailing zeros.
func decimal(n *big.Rat) string {
	if n.IsInt() {
		return n.Num().String()
	}
	places, _ := n.FloatPrec()
	return n.FloatString(places)
}

// hundredfold is an amount of whole units in cents; false where half a cent is left.
func hundredfold(value string) (string, bool) {
	n, ok := new(big.Rat).SetString(value)
	if !ok {
		return "", false
	}
	n.Mul(n, big.NewRat(100, 1))
	return decimal(n), n.IsInt()
}

// exact says that CEL reads a decimal as the value that was written: as an
// integer of 64 bits, or as a double that prints back as the same digits.
func exact(value string) bool {
	if !strings.Contains(value, ".") {
		_, err := strconv.ParseInt(value, 10, 64)
		return err == nil
	}
	f, err := strconv.ParseFloat(value, 64)
	return err == nil && strconv.FormatFloat(f, 'f', -1, 64) == value
}

func less(a, b string) bool {
	x, _ := new(big.Rat).SetString(a)
	y, _ := new(big.Rat).SetString(b)
	return x != nil && y != nil && x.Cmp(y) < 0
}

var clockTime = regexp.MustCompile(`^(?i:([0-9]{1,2})(?::([0-9]{2}))?\s?(am|pm)\b|([0-9]{1,2}):([0-9]{2})\b)`)

// readClock reads a time of day (5pm, 5:30 pm, 17:30) at the beginning of a text
// as the minute of the day.
func readClock(text string) (minute int, written string) {
	m := clockTime.FindStringSubmatch(text)
	if m == nil {
		return 0, ""
	}
	hours, minutes := m[1], m[2]
	if hours == "" {
		hours, minutes = m[4], m[5]
	}
	h, _ := strconv.Atoi(hours)
	mm, _ := strconv.Atoi(minutes) // "" is 0
	half := strings.ToLower(m[3])
	switch {
	case mm > 59, half == "" && h > 24, half == "" && h == 24 && mm > 0, half != "" && (h < 1 || h > 12):
		return 0, ""
	case half == "pm" && h < 12:
		h += 12
	case half == "am" && h == 12:
		h = 0
	}
	return h*60 + mm, m[0]
}

// hundredth is a number of cents in whole units.
func hundredth(value string) string {
	n, ok := new(big.Rat).SetString(value)
	if !ok {
		return value
	}
	return decimal(n.Mul(n, big.NewRat(1, 100)))
}
