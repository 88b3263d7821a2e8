package backend

import (
	"encoding/json"
	"strings"
)

// text fills an argument that is a text of its own: what is quoted, what stands
// behind a colon or a leading word, and for some the message itself.
func (f *filler) text(p property) json.RawMessage {
	if p.schema.format != "" || len(p.schema.enum) > 0 {
		return nil
	}
	said := f.said.text
	if f.clause != everything {
		said = f.clauseText()
	}
	said = strings.TrimSpace(said)
	found := ""
	switch senseOf(p) {
	case querySense:
		found = behind(said, ": ", " for ", " about ", " on ")
	case commandSense:
		found = behind(said, ": ")
		if found == "" {
			_, found, _ = strings.Cut(said, " ") // "run ls -l"
		}
	case bodySense:
		found = behind(said, ": ", " saying that ", " saying ")
	case titleSense:
		for _, name := range significant(p.name) {
			if name == "reason" {
				return f.written(behind(said, " because ", " since ", " due to ", "reason: "))
			}
		}
		return nil
	default:
		return nil
	}
	if found == "" && !f.strict {
		found = said
	}
	return f.written(found)
}

func (f *filler) written(text string) json.RawMessage {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return encode(text)
}

// behind is what follows the first of the leads that the text has.
func behind(text string, leads ...string) string {
	for _, lead := range leads {
		if _, rest, found := strings.Cut(text, lead); found {
			return strings.TrimRight(rest, ".?! ")
		}
	}
	return ""
}

// clauseText is the part of the message that the clause's words span.
func (f *filler) clauseText() string {
	from, to := -1, 0
	for _, w := range f.said.list {
		if w.clause != f.clause || from < 0 && clauseStarts[lower(w.value)] {
			continue
		}
		if from < 0 {
			from = w.start
		}
		to = w.end
	}
	if from < 0 {
		return ""
	}
	return f.said.text[from:to]
}
