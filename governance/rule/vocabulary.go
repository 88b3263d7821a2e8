package rule

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"

	"cadreen/governance"
)

// vocabulary is what the given tools let a sentence speak of.
type vocabulary struct{ tools []*tool }

// tool is a tool as sentences can speak of it. It is shared and never changed.
type tool struct {
	governance.Tool
	words     []string        // stems of the name
	about     map[string]bool // stems of name and description
	arguments []argument
	known     map[string]bool // stems of all that is said of it and its arguments
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
	v := &vocabulary{tools: make([]*tool, 0, len(tools))}
	for _, given := range tools {
		v.tools = append(v.tools, readTools.of(given))
	}
	return v
}

// newTool reads what is said of a tool.
func newTool(given governance.Tool) *tool {
	t := &tool{Tool: given, words: stems(given.Name), about: set(stems(given.Name + " " + given.Description))}
	var schema schemaText
	if json.Unmarshal(given.Schema, &schema) == nil {
		for name, p := range schema.Properties {
			t.arguments = append(t.arguments, newArgument(name, p))
		}
	}
	slices.SortFunc(t.arguments, func(a, b argument) int { return strings.Compare(a.name, b.name) })
	t.known = maps.Clone(t.about)
	for _, a := range t.arguments {
		maps.Copy(t.known, a.about)
	}
	return t
}

// toolCache keeps tools that were read, so that compiling many sentences for the
// same tools reads each once. What it answers depends on what is asked alone.
type toolCache struct {
	mu    sync.Mutex
	kept  map[toolKey]*tool
	bytes int
}

type toolKey struct{ kind, name, description, schema string }

// maxToolCache bounds the text of the tools that are kept, in bytes.
const maxToolCache = 8 << 20

var readTools toolCache

func (c *toolCache) of(given governance.Tool) *tool {
	key := toolKey{given.Type, given.Name, given.Description, string(given.Schema)}
	c.mu.Lock()
	t := c.kept[key]
	c.mu.Unlock()
	if t != nil {
		return t
	}
	given.Schema = []byte(key.schema) // the caller's may change
	t = newTool(given)
	size := len(key.name) + len(key.description) + len(key.schema)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || c.bytes+size > maxToolCache {
		c.kept, c.bytes = map[toolKey]*tool{}, 0
	}
	if c.kept[key] == nil {
		c.kept[key] = t
		c.bytes += size
	}
	return t
}

// isTool: the word is a tool's name, as it is written.
func (v *vocabulary) isTool(name string) bool {
	return slices.ContainsFunc(v.tools, func(t *tool) bool { return t.Name == name })
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

// has says that every part of a word stands in a name or description, or is a verb
// for what a tool's name says.
func (v *vocabulary) has(word string) bool {
	parts := stems(word)
	for _, p := range parts {
		same := sameVerbs[p]
		if !slices.ContainsFunc(v.tools, func(t *tool) bool {
			return t.known[p] || same != "" && slices.ContainsFunc(t.words, func(w string) bool { return sameVerbs[w] == same })
		}) {
			return false
		}
	}
	return len(parts) > 0
}

// isValue: an enum holds the word, and no tool or argument is named by it.
func (v *vocabulary) isValue(word string) bool {
	if !slices.ContainsFunc(v.tools, func(t *tool) bool {
		return slices.ContainsFunc(t.arguments, func(a argument) bool { return a.value(word) != "" })
	}) {
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
	return strings.Trim(pattern, "*") != "" && len(matching(pattern, v.tools)) > 0
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
