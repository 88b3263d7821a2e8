package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file reads the YAML file. Only the node tree is used, never a decoder into structs: it keeps the line of every value.
func (l *loader) file(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		l.wrong(place{file: path}, wrong("cannot be read: "+err.Error(), "check the path given with --config"))
		return
	}
	l.yaml(path, data)
}

func (l *loader) yaml(path string, data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return // empty, or comments only
	}
	if err == nil {
		if extra := dec.Decode(&second); !errors.Is(extra, io.EOF) {
			if err = extra; err == nil {
				l.wrong(place{file: path, line: second.Line}, wrong("has a second document", "keep one document; take the line --- out"))
				return
			}
		}
	}
	if err != nil {
		line, text := yamlError(err)
		l.wrong(place{file: path, line: line}, wrong("is not valid YAML: "+text, "check the indentation and the quotes there"))
		return
	}
	if len(doc.Content) == 1 {
		l.group(path, "", doc.Content[0])
	}
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\s*)?(?:line (\d+): )?`)

// yamlError takes the line number out of the library's message.
func yamlError(err error) (line int, text string) {
	text = err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return line, text
}

// group reads one mapping. Its depth is bounded by the table of settings, so an alias that points at itself ends there.
func (l *loader) group(path, prefix string, node *yaml.Node) {
	node = resolve(node)
	at := place{file: path, line: node.Line, key: prefix}
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		return // a group whose lines are all commented out
	}
	if node.Kind != yaml.MappingNode {
		l.wrong(at, wrong("must be a group of settings", "write name: value lines below it"))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, below := resolve(node.Content[i]), node.Content[i+1]
		at := place{file: path, line: node.Content[i].Line, key: joinKey(prefix, name.Value)}
		if name.Kind != yaml.ScalarNode {
			at.key = prefix
			l.wrong(at, wrong("has a name that is not a word", "write name: value"))
			continue
		}
		if first, twice := seen[name.Value]; twice {
			l.wrong(at, wrong("stands twice, first on line "+strconv.Itoa(first), "take one of them out"))
			continue
		}
		seen[name.Value] = at.line
		l.member(path, prefix, name.Value, below, at)
	}
}

func (l *loader) member(path, prefix, name string, node *yaml.Node, at place) {
	// A dot inside one name is not a path: `backend.url: x` at the top level is refused with the way to write it.
	if strings.Contains(name, ".") && byKey[at.key] != nil {
		l.wrong(at, wrong("is written with a dot", "write it as groups, one level each: "+strings.ReplaceAll(at.key, ".", ": {")+": …"+strings.Repeat("}", strings.Count(at.key, "."))))
		return
	}
	if s := byKey[at.key]; s != nil {
		if v, ok := l.read(s, resolve(node), at); ok {
			l.apply(s, v, at)
		}
		return
	}
	if _, isGroup := groups[at.key]; isGroup && !strings.Contains(name, ".") {
		l.group(path, at.key, node)
		return
	}
	l.wrong(at, unknownKey(prefix, name, at.key))
}

func unknownKey(prefix, name, key string) *mistake {
	if isLater(key) {
		return wrong("is not in this version", "take it out")
	}
	if near := nearest(name, groups[prefix]); near != "" {
		return wrong("is not a setting", "did you mean "+joinKey(prefix, near)+"?")
	}
	return wrong("is not a setting", "here stand: "+strings.Join(groups[prefix], ", "))
}

// read takes a node as the kind of value that the setting has.
func (l *loader) read(s *Setting, node *yaml.Node, at place) (value, bool) {
	switch s.kind {
	case keyList:
		inputs, ok := l.readKeys(node, at)
		return value{keys: inputs}, ok
	case manyValues:
		items, ok := l.readList(node, at)
		return value{list: items}, ok
	}
	text, ok := l.readText(node, at)
	return value{text: text}, ok
}

func (l *loader) readText(node *yaml.Node, at place) (string, bool) {
	if node.Kind != yaml.ScalarNode {
		l.wrong(at, wrong("must be a single value", "write it on the same line as its name"))
		return "", false
	}
	if text := strings.TrimSpace(node.Value); node.ShortTag() != "!!null" {
		// Written and empty is the same as the default of those settings whose default is empty.
		if text != "" || (byKey[at.key] != nil && byKey[at.key].Default == "") {
			return text, text != ""
		}
	}
	l.wrong(at, wrong("has no value", "give it one, or take the line out"))
	return "", false
}

func (l *loader) readList(node *yaml.Node, at place) ([]string, bool) {
	if node.Kind != yaml.SequenceNode {
		l.wrong(at, wrong("must be a list", "write [a, b], or one `- a` line for each"))
		return nil, false
	}
	items, ok := []string{}, true
	for i, element := range node.Content {
		there := place{file: at.file, line: element.Line, key: at.key + "[" + strconv.Itoa(i) + "]"}
		text, sound := l.readText(resolve(element), there)
		items, ok = append(items, text), ok && sound
	}
	return items, ok
}

var keyFields = []string{"name", "key", "workspace", "roles"}

func (l *loader) readKeys(node *yaml.Node, at place) ([]keyInput, bool) {
	if node.Kind != yaml.SequenceNode {
		l.wrong(at, wrong("must be a list", "write one `- {name: …, key: …}` line for each"))
		return nil, false
	}
	inputs, ok := []keyInput{}, true
	for i, element := range node.Content {
		in := keyInput{at: place{file: at.file, line: element.Line, key: at.key + "[" + strconv.Itoa(i) + "]"}}
		ok = l.readKey(resolve(element), &in) && ok
		inputs = append(inputs, in)
	}
	return inputs, ok
}

func (l *loader) readKey(node *yaml.Node, in *keyInput) bool {
	if node.Kind != yaml.MappingNode {
		l.wrong(in.at, wrong("must be a group", "write {name: …, key: …, workspace: …, roles: […]}"))
		return false
	}
	sound, seen := true, make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, below := resolve(node.Content[i]).Value, resolve(node.Content[i+1])
		at := place{file: in.at.file, line: node.Content[i].Line, key: joinKey(in.at.key, name)}
		if seen[name] {
			l.wrong(at, wrong("stands twice", "take one of them out"))
			sound = false
			continue
		}
		seen[name] = true
		read := true
		switch name {
		case "name":
			in.name, read = l.readText(below, at)
		case "key":
			in.key, read = l.readText(below, at)
		case "workspace":
			in.workspace, read = l.readText(below, at)
		case "roles":
			in.roles, read = l.readList(below, at)
		default:
			fix := "here stand: " + strings.Join(keyFields, ", ")
			if near := nearest(name, keyFields); near != "" {
				fix = "did you mean " + near + "?"
			}
			l.wrong(at, wrong("is not a setting", fix))
			read = false
		}
		sound = sound && read
	}
	return sound
}

func resolve(node *yaml.Node) *yaml.Node {
	for node.Kind == yaml.AliasNode && node.Alias != nil {
		node = node.Alias
	}
	return node
}

func joinKey(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}
