package governance

import (
	"encoding/json"
)

// schemaNode is what a grid wants to know of a JSON Schema.
type schemaNode struct {
	Type       any                    `json:"type"`
	Enum       []any                  `json:"enum"`
	Format     string                 `json:"format"`
	Properties map[string]*schemaNode `json:"properties"`
	Items      *schemaNode            `json:"items"`
	Required   []string               `json:"required"`
}

func readSchemaText(text []byte) *schemaNode {
	var s schemaNode
	if len(text) == 0 || json.Unmarshal(text, &s) != nil {
		return nil
	}
	return &s
}

func (s *schemaNode) at(path []string) *schemaNode {
	for _, name := range path {
		if s == nil {
			return nil
		}
		s = s.Properties[name]
	}
	return s
}

// kind is the one type that the schema allows beside null, "" if it does not say.
func (s *schemaNode) kind() string {
	if s == nil {
		return ""
	}
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		kind := ""
		for _, n := range t {
			if name, _ := n.(string); name != "null" && name != "" {
				if kind != "" {
					return ""
				}
				kind = name
			}
		}
		return kind
	}
	if s.Properties != nil {
		return "object"
	}
	return ""
}
