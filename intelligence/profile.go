package intelligence

import (
	"mime"
	"strconv"
	"strings"
)

// Profile is how much of its trace an answer shows.
type Profile int

const (
	// Unnamed: the request names no profile. A chat completion then shows
	// nothing, everything else what Full shows.
	Unnamed Profile = iota
	Lean            // the trace id only
	Audit           // what was decided, how surely, and what was missing
	Full            // everything
)

var profiles = map[string]Profile{"lean": Lean, "audit": Audit, "full": Full}

// String is the word of the profile parameter, "" for Unnamed.
func (p Profile) String() string {
	for word, q := range profiles {
		if p == q {
			return word
		}
	}
	return ""
}

// ProfileOf reads the profile parameter of an Accept header, quoted or not. Of
// several media ranges the one with the highest q counts, then the first; ranges
// that cannot be read, and profiles that are not ours, count as absent.
func ProfileOf(accept []string) Profile {
	found, best := Unnamed, 0.0
	for _, line := range accept {
		for len(line) > 0 {
			var element string
			element, line = cutRange(line)
			if !mentionsProfile(element) {
				continue
			}
			_, params, err := mime.ParseMediaType(strings.TrimSpace(element))
			if err != nil {
				continue
			}
			q := 1.0
			if text, ok := params["q"]; ok {
				if q, err = strconv.ParseFloat(text, 64); err != nil {
					continue
				}
			}
			if p, ok := profiles[strings.ToLower(strings.TrimSpace(params["profile"]))]; ok && q > best && q <= 1 {
				found, best = p, q
			}
		}
	}
	return found
}

// cutRange is the part of an Accept header before its first comma outside of
// quotes, and the rest.
func cutRange(line string) (element, rest string) {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return line[:i], line[i+1:]
		}
	}
	return line, ""
}

// mentionsProfile spares the parser what nearly every request sends.
func mentionsProfile(element string) bool {
	const word = "profile"
	for i := 0; i+len(word) <= len(element); i++ {
		if strings.EqualFold(element[i:i+len(word)], word) {
			return true
		}
	}
	return false
}
