package policies

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"cadreen/governance"
)

// conditionMap is a condition that was sent as a map.
type conditionMap struct {
	expr   string // CEL, "" where the map names a tool alone
	tools  []string
	effect string
}

func (m conditionMap) expression() string {
	if m.expr == "" {
		return "true"
	}
	return m.expr
}

// operators in their CEL form; %[1]s is the field, %[2]s the value.
var operators = map[string]string{
	"eq": "%[1]s == %[2]s", "equals": "%[1]s == %[2]s", "==": "%[1]s == %[2]s", "=": "%[1]s == %[2]s", "is": "%[1]s == %[2]s",
	"ne": "%[1]s != %[2]s", "neq": "%[1]s != %[2]s", "not_equals": "%[1]s != %[2]s", "!=": "%[1]s != %[2]s",
	"gt": "%[1]s > %[2]s", "greater_than": "%[1]s > %[2]s", ">": "%[1]s > %[2]s", "over": "%[1]s > %[2]s", "exceeds": "%[1]s > %[2]s",
	"gte": "%[1]s >= %[2]s", "greater_than_or_equal": "%[1]s >= %[2]s", ">=": "%[1]s >= %[2]s",
	"lt": "%[1]s < %[2]s", "less_than": "%[1]s < %[2]s", "<": "%[1]s < %[2]s",
	"lte": "%[1]s <= %[2]s", "less_than_or_equal": "%[1]s <= %[2]s", "<=": "%[1]s <= %[2]s",
	"in": "%[1]s in %[2]s", "not_in": "!(%[1]s in %[2]s)",
	"contains": "%[1]s.contains(%[2]s)", "starts_with": "%[1]s.startsWith(%[2]s)", "ends_with": "%[1]s.endsWith(%[2]s)",
	"matches": "%[1]s.matches(%[2]s)",
}

// requirements are what `require` may ask for, beside the spellings of an effect.
var requirements = map[string]string{"approval": "confirm", "human_approval": "confirm", "confirmation": "confirm", "human": "confirm",
	"reviewer": "escalate", "review": "escalate", "escalation": "escalate"}

// readConditionMap reads {field, operator, value}, {action, require}, both at once,
// and {all: […]} or {any: […]} of them.
func readConditionMap(raw json.RawMessage, at string, problems *Problems) conditionMap {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		problems.add(at, "should be an object")
		return conditionMap{}
	}
	var m conditionMap
	var field, operator string
	var value json.RawMessage
	var parts []string
	for _, name := range sortedKeys(fields) {
		raw := fields[name]
		switch name {
		case "field":
			field = readText(raw, at+".field", problems)
		case "operator", "op":
			operator = strings.ToLower(readText(raw, at+".operator", problems))
		case "value":
			value = raw
		case "action", "tool":
			if word := readText(raw, at+"."+name, problems); word != "" {
				m.tools = append(m.tools, word)
			}
		case "require", "requires", "effect":
			word := readText(raw, at+"."+name, problems)
			if canonical, ok := requirements[word]; ok {
				word = canonical
			}
			if _, err := governance.ParseVerdict(word); err != nil {
				problems.add(at+"."+name, "%v", err)
			}
			m.effect = word
		case "all", "any":
			parts = append(parts, nested(raw, at+"."+name, map[string]string{"all": " && ", "any": " || "}[name], &m, problems))
		default:
			problems.add(at+"."+name, "is not known; a condition is a sentence, or a map of field, operator and value, of action and require, or of all or any of those")
		}
	}
	if field != "" || operator != "" || value != nil {
		parts = append(parts, comparison(field, operator, value, at, &m, problems))
	}
	m.expr = strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " && ")
	if m.expr == "" && len(m.tools) == 0 && len(*problems) == 0 {
		problems.add(at, "says nothing")
	}
	return m
}

// nested joins the conditions of a list. What they say of tools must be the same.
func nested(raw json.RawMessage, at, operator string, m *conditionMap, problems *Problems) string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		problems.add(at, "should be a list of conditions")
		return ""
	}
	var parts []string
	for i, one := range list {
		inner := readConditionMap(one, fmt.Sprintf("%s[%d]", at, i), problems)
		if len(inner.tools) > 0 || inner.effect != "" {
			problems.add(fmt.Sprintf("%s[%d]", at, i), "names a tool or an effect; say it once, beside %s", strings.TrimPrefix(at[strings.LastIndexByte(at, '.'):], "."))
		}
		if inner.expr != "" {
			parts = append(parts, "("+inner.expr+")")
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "(" + strings.Join(parts, operator) + ")"
}

// comparison is one field compared, in CEL. A comparison of the tool itself names
// the rule's tools.
func comparison(field, operator string, value json.RawMessage, at string, m *conditionMap, problems *Problems) string {
	form, ok := operators[operator]
	switch {
	case field == "":
		problems.add(at+".field", "is missing")
	case !ok:
		problems.add(at+".operator", "%.40q is not known; use one of eq, ne, gt, gte, lt, lte, in, not_in, contains, starts_with, ends_with, matches", operator)
	case value == nil:
		problems.add(at+".value", "is missing")
	default:
		if field == "tool" || field == "action" || field == "tool_name" || field == "call.name" {
			var one string
			var many []string
			if json.Unmarshal(value, &one) == nil && form == operators["eq"] {
				m.tools = append(m.tools, one)
				return ""
			}
			if json.Unmarshal(value, &many) == nil && operator == "in" {
				m.tools = append(m.tools, many...)
				return ""
			}
			field = "call.name"
		}
		name := celField(field)
		if name == "" {
			problems.add(at+".field", "%.60q is no name of an argument", field)
			return ""
		}
		return fmt.Sprintf(form, name, celLiteral(value, at+".value", problems))
	}
	return ""
}

// celField is a field's place: an argument of the call unless it names something
// else that conditions know.
func celField(field string) string {
	switch field {
	case "domain", "workspace", "requester.id", "requester.roles", "call.name":
		return field
	}
	for _, prefix := range []string{"args.", "arguments.", "context.", "parameters."} {
		field = strings.TrimPrefix(field, prefix)
	}
	out := "args"
	for part := range strings.SplitSeq(field, ".") {
		if part == "" {
			return ""
		}
		for i := range len(part) {
			if c := part[i]; c != '_' && (c < '0' || c > '9' || i == 0) && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return ""
			}
		}
		out += "." + part
	}
	return out
}

// celLiteral is a JSON value as CEL writes it.
func celLiteral(raw json.RawMessage, at string, problems *Problems) string {
	text := strings.TrimSpace(string(raw))
	switch text[0] {
	case '[':
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list)
		parts := make([]string, len(list))
		for i, one := range list {
			parts[i] = celLiteral(one, fmt.Sprintf("%s[%d]", at, i), problems)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case '"':
		var s string
		_ = json.Unmarshal(raw, &s)
		quoted, _ := encode(s)
		return string(quoted)
	case '{':
		problems.add(at, "should be a text, a number, true or false, or a list of them")
		return "null"
	}
	return text
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
