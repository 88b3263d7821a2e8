package governance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// maxNodeDepth bounds the nesting of a policy document.
const maxNodeDepth = 64

var yamlLine = regexp.MustCompile(`line (\d+): `)

// parseYAML reads all documents of a YAML text. Aliases and merge keys are
// refused: a policy says what it says where it stands, and cannot be made to
// unfold into more than its file.
func parseYAML(file string, text []byte) (documents []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			documents, err = nil, &LoadError{File: file, Problem: fmt.Sprintf("is not YAML: %v", r)}
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			e := &LoadError{File: file, Problem: strings.TrimPrefix(err.Error(), "yaml: ")}
			if at := yamlLine.FindStringSubmatch(e.Problem); at != nil {
				e.Line, _ = strconv.Atoi(at[1])
				e.Problem = strings.Replace(e.Problem, at[0], "", 1)
			}
			return nil, e
		}
		if document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
			continue
		}
		root := document.Content[0]
		if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
			continue // an empty document
		}
		if err := plainNodes(file, root, 0); err != nil {
			return nil, err
		}
		documents = append(documents, root)
	}
}

func plainNodes(file string, n *yaml.Node, depth int) error {
	switch {
	case depth > maxNodeDepth:
		return &LoadError{File: file, Line: n.Line, Problem: "nested too deep"}
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return &LoadError{File: file, Line: n.Line, Problem: "anchors and aliases are not allowed", Fix: "write the value out"}
	case n.Tag == "!!merge":
		return &LoadError{File: file, Line: n.Line, Problem: "merge keys are not allowed", Fix: "write the members out"}
	}
	for _, c := range n.Content {
		if err := plainNodes(file, c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// parseJSON reads one JSON document into the same nodes, with lines.
func parseJSON(file string, text []byte) (*yaml.Node, error) {
	p := &jsonNodes{file: file, text: text, decoder: jsontext.NewDecoder(bytes.NewReader(text))}
	node, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, &LoadError{File: file, Line: p.line(), Problem: "text behind the JSON document"}
	}
	return node, nil
}

type jsonNodes struct {
	file    string
	text    []byte
	decoder *jsontext.Decoder
}

func (p *jsonNodes) line() int {
	return 1 + bytes.Count(p.text[:min(int(p.decoder.InputOffset()), len(p.text))], []byte("\n"))
}

func (p *jsonNodes) value(depth int) (*yaml.Node, error) {
	if depth > maxNodeDepth {
		return nil, &LoadError{File: p.file, Line: p.line(), Problem: "nested too deep"}
	}
	token, err := p.decoder.ReadToken()
	if err != nil {
		problem := "is not JSON: " + strings.TrimPrefix(err.Error(), "jsontext: ")
		if errors.Is(err, jsontext.ErrDuplicateName) {
			problem = "a key stands twice: " + strings.TrimPrefix(err.Error(), "jsontext: ")
		}
		line := p.line()
		if at := (*jsontext.SyntacticError)(nil); errors.As(err, &at) {
			line = 1 + bytes.Count(p.text[:min(int(at.ByteOffset), len(p.text))], []byte("\n"))
		}
		return nil, &LoadError{File: p.file, Line: line, Problem: problem}
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Line: p.line()}
	switch token.Kind() {
	case 'n':
		node.Tag, node.Value = "!!null", "null"
	case 't', 'f':
		node.Tag, node.Value = "!!bool", token.String()
	case '"':
		node.Tag, node.Value, node.Style = "!!str", token.String(), yaml.DoubleQuotedStyle
	case '0':
		node.Tag, node.Value = "!!int", token.String()
		if strings.ContainsAny(node.Value, ".eE") {
			node.Tag = "!!float"
		}
	case '{', '[':
		closing := jsontext.Kind('}')
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
		if token.Kind() == '[' {
			closing, node.Kind, node.Tag = ']', yaml.SequenceNode, "!!seq"
		}
		for p.decoder.PeekKind() != closing {
			child, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		if _, err := p.decoder.ReadToken(); err != nil {
			return nil, &LoadError{File: p.file, Line: p.line(), Problem: "is not JSON: " + err.Error()}
		}
	}
	return node, nil
}

// entry is one member of a mapping.
type entry struct {
	key            string
	keyNode, value *yaml.Node
}

// members of a mapping, in order; duplicates and keys that are no text are
// mistakes.
func (r *reader) members(n *yaml.Node) []entry {
	if n.Kind != yaml.MappingNode {
		r.complain(n, "should be a mapping of keys and values", "")
		return nil
	}
	seen := map[string]bool{}
	var out []entry
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			r.complain(k, "a key is no text", "")
			continue
		}
		if seen[k.Value] {
			r.complain(k, fmt.Sprintf("the key %q stands twice", k.Value), "keep one")
			continue
		}
		seen[k.Value] = true
		out = append(out, entry{k.Value, k, n.Content[i+1]})
	}
	return out
}

// plain turns a node into values as conditions see them: string, bool, nil,
// int64, uint64, float64, []any, map[string]any.
func (r *reader) plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, e := range r.members(n) {
			m[e.key] = r.plain(e.value)
		}
		return m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, r.plain(c))
		}
		return list
	}
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		return n.Value
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
		var u uint64
		if n.Decode(&u) == nil {
			return u
		}
	case "!!float":
		if json.Valid([]byte(n.Value)) {
			if v := exactNumber(n.Value); v != (Inexact{n.Value}) {
				return v
			}
		}
	}
	r.complain(n, fmt.Sprintf("%.40q is a value that cannot be used here", n.Value), "write a plain text, number, true or false; put text in quotes")
	return nil
}
