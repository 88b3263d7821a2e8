package rule

import (
	"slices"
	"strings"
	"unicode"

	"cadreen/governance"
)

// nameWords are the lower-case words of a name or of plain text; numbers count.
func nameWords(name string) []string {
	return governance.NameWords(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// stems of the words of a text.
func stems(text string) []string {
	words := nameWords(text)
	for i, w := range words {
		words[i] = stem(w)
	}
	for i := len(words) - 1; i > 0; i-- {
		if words[i] == "up" && words[i-1] == "look" {
			words = slices.Delete(words, i, i+1) // "looked up", look_up_order
		}
	}
	return words
}

// stem brings the forms of one word together: refund, refunds, refunded and
// refunding; delete, deletes and deleting; copy, copies and copied. Both sides of
// every comparison go through it, so that it need not be an English word.
func stem(word string) string {
	if base, ok := irregular[word]; ok {
		word = base
	}
	return stemRegular(word)
}

func stemRegular(w string) string {
	switch {
	case strings.HasSuffix(w, "ies") && len(w) > 4:
		w = w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "shes"), strings.HasSuffix(w, "xes"):
		w = w[:len(w)-2]
	case strings.HasSuffix(w, "ss"), strings.HasSuffix(w, "us"), strings.HasSuffix(w, "is"):
	case strings.HasSuffix(w, "s") && len(w) > 3:
		w = w[:len(w)-1]
	}
	switch {
	case strings.HasSuffix(w, "ied") && len(w) > 4:
		w = w[:len(w)-3] + "y"
	case strings.HasSuffix(w, "ing") && len(w) > 5:
		w = w[:len(w)-3]
	case strings.HasSuffix(w, "ed") && !strings.HasSuffix(w, "eed") && len(w) > 4:
		w = w[:len(w)-2]
	}
	if strings.HasSuffix(w, "e") && len(w) > 3 {
		w = w[:len(w)-1]
	}
	if n := len(w); n > 3 && w[n-1] == w[n-2] && !strings.ContainsRune("sz", rune(w[n-1])) {
		return w[:n-1] // cancell, shipp
	}
	return w
}
