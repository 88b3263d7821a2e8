package rule

import (
	"encoding/json"
	"slices"
	"strings"

	"cadreen/governance"
)

// vocabulary is what the given tools let a sentence speak of.
type vocabulary struct {
	tools  []tool
	names  map[string]bool // tool names as written
	words  map[string]bool // stems of names, arguments and their descriptions
	verbs  map[string]bool // of names, as the first of those that say the same
	values map[string]bool // enum values, lower case
}

type tool struct {
	governance.Tool
	words     []string        // stems of the name
	about     map[string]bool // stems of name and description
	arguments []argument
}

// argument is one argument of a tool, as far as sentences can speak of it.
type argument struct {
	name  string
	kind  string // JSON Schema type; "" unless it is one, null aside
	items string // kind of an array's elements
	enum  []string
	words []string        // stems of the name
	about map[string]bool // stems of name and description
	unit  unit
}

// schemaText is what is read of a JSON Schema.
type schemaText struct {
	Type        any                   `json:"type"`
	Description string                `json:"description"`
	Enum        []any                 `json:"enum"`
	Items       *schemaText           `json:"items"`
	Properties  map[string]schemaText `json:"properties"`
}

func newVocabulary(tools []governance.Tool) *vocabulary {
	v := &vocabulary{names: map[string]bool{}, words: map[string]bool{}, verbs: map[string]bool{}, values: map[string]bool{}}
	for _, given := range tools {
		t := tool{Tool: given, words: stems(given.Name), about: set(stems(given.Name + " " + given.Description))}
		var schema schemaText
		if json.Unmarshal(given.Schema, &schema) == nil {
			for name, p := range schema.Properties {
				t.arguments = append(t.arguments, newArgument(name, p))
			}
		}
		slices.SortFunc(t.arguments, func(a, b argument) int { return strings.Compare(a.name, b.name) })
		v.tools = append(v.tools, t)
		v.names[given.Name] = true
		for w := range t.about {
			v.words[w] = true
		}
		for _, w := range t.words {
			if same := sameVerbs[w]; same != "" {
				v.verbs[same] = true
			}
		}
		for _, a := range t.arguments {
			for w := range a.about {
				v.words[w] = true
			}
			for _, value := range a.enum {
				v.values[strings.ToLower(value)] = true
			}
		}
	}
	return v
}

func newArgument(name string, p schemaText) argument {
	a := argument{name: name, kind: kindOf(p.Type), words: stems(name), about: set(stems(name + " " + p.Description))}
	if p.Items != nil {
		a.items = kindOf(p.Items.Type)
	}
	for _, e := range p.Enum {
		if text, ok := e.(string); ok {
			a.enum = append(a.enum, text)
		}
	}
	a.unit = unitOf(a.words, nameWords(p.Description))
	return a
}

// kindOf a schema's type, null aside.
func kindOf(t any) string {
	switch t := t.(type) {
	case string:
		return t
	case []any:
		kind := ""
		for _, one := range t {
			text, _ := one.(string)
			switch {
			case text == "null":
			case kind != "":
				return ""
			default:
				kind = text
			}
		}
		return kind
	}
	return ""
}

func set(words []string) map[string]bool {
	m := map[string]bool{}
	for _, w := range words {
		m[w] = true
	}
	return m
}

// inArguments: an argument has the word in its name.
func (t *tool) inArguments(word string) bool {
	return slices.ContainsFunc(t.arguments, func(a argument) bool { return slices.Contains(a.words, word) })
}

// has says that every part of a word stands in a name or description.
func (v *vocabulary) has(word string) bool {
	parts := stems(word)
	for _, p := range parts {
		if !v.words[p] && !v.verbs[sameVerbs[p]] {
			return false
		}
	}
	return len(parts) > 0
}

// isValue: an enum holds the word, and no tool or argument is named by it.
func (v *vocabulary) isValue(word string) bool {
	if !v.values[strings.ToLower(word)] {
		return false
	}
	for _, t := range v.tools {
		if slices.Contains(t.words, stem(strings.ToLower(word))) {
			return false
		}
		for _, a := range t.arguments {
			if slices.Contains(a.words, stem(strings.ToLower(word))) {
				return false
			}
		}
	}
	return true
}

// glob says that a pattern matches a tool and names more than "everything".
func (v *vocabulary) glob(pattern string) bool {
	return strings.Trim(pattern, "*") != "" && len(matching(pattern, v.all())) > 0
}

// all tools, whatever the rule is about.
func (v *vocabulary) all() []*tool {
	list := make([]*tool, len(v.tools))
	for i := range v.tools {
		list[i] = &v.tools[i]
	}
	return list
}

// matching lists the tools of a name or glob.
func matching(pattern string, tools []*tool) []*tool {
	var found []*tool
	for _, t := range tools {
		if governance.MatchTool(pattern, t.Name) {
			found = append(found, t)
		}
	}
	return found
}
