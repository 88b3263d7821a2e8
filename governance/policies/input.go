package policies

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cadreen/governance"
)

// Input is a policy as somebody sent it, every field in one spelling.
type Input struct {
	Name        string
	Domain      string
	Description string
	Config      json.RawMessage
	// Rules are rules of the language of policy files, one JSON object each.
	Rules []json.RawMessage

	has map[string]bool
}

// Has says that a field was sent: name, domain, description, config or rules.
func (in *Input) Has(field string) bool { return in.has[field] }

// ErrNoName says that a policy has no name.
var ErrNoName = errors.New("policies: a policy needs a name")

// Problems are the mistakes in what was sent.
type Problems []Problem

func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i := range p {
		texts[i] = p[i].String()
	}
	return strings.Join(texts, "; ")
}

func (p *Problems) add(field, format string, values ...any) {
	*p = append(*p, Problem{field, fmt.Sprintf(format, values...)})
}

// err is nil without problems.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// ruleFields are the fields of a rule, those of the language first, then other
// spellings that are understood; see ruleInput.
var ruleFields = []string{"id", "condition", "rule", "tools", "when", "effect", "to", "expires", "missing", "from", "else", "unless",
	"message", "mode", "self_review", "examples", "tool", "action", "decision"}

// unused are fields that clients send and that mean nothing here.
var unused = map[string]bool{"severity": true, "priority": true, "metadata": true, "auto_draft": true, "tags": true}

// ReadInput reads a policy in any spelling: `rules`, each with a condition (a text
// or a map) and an effect; or one rule's fields beside the name. The error is
// Problems.
func ReadInput(body map[string]json.RawMessage) (Input, error) {
	in := Input{has: map[string]bool{}}
	var problems Problems
	single := map[string]json.RawMessage{}
	for field, raw := range body {
		switch {
		case string(raw) == "null":
			continue
		case field == "name":
			in.Name = readText(raw, field, &problems)
			in.has[field] = true
		case field == "domain":
			in.Domain = readText(raw, field, &problems)
			in.has[field] = true
		case field == "description" || field == "rationale":
			in.Description = readText(raw, field, &problems)
			in.has["description"] = true
		case field == "config":
			if !isObject(raw) {
				problems.add(field, "should be an object of keys and values")
			}
			in.Config = raw
			in.has[field] = true
		case field == "rules":
			in.has[field] = true
			in.readRules(raw, &problems)
		case isRuleField(field) && field != "id":
			single[field] = raw
		case unused[field]:
		default:
			known := append([]string{"name", "domain", "description", "config", "rules"}, ruleFields...)
			if near := governance.Nearest(field, known); near != "" {
				problems.add(field, "is not known; did you mean %s?", near)
			} else if len(problems) < 20 {
				problems.add(field, "is not known; a policy has name, domain, description, config and rules")
			}
		}
	}
	if len(single) > 0 {
		if in.has["rules"] {
			problems.add("rules", "stand beside the fields of a single rule; put those into one of the rules")
		} else {
			in.has["rules"] = true
			in.Rules = append(in.Rules, ruleInput(single, "", 0, &problems))
		}
	}
	in.Name = strings.TrimSpace(in.Name)
	if len(in.Name) > 200 {
		problems.add("name", "is longer than 200 bytes")
	}
	return in, problems.err()
}

func isRuleField(name string) bool {
	for _, f := range ruleFields {
		if f == name {
			return true
		}
	}
	return false
}

func (in *Input) readRules(raw json.RawMessage, problems *Problems) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		problems.add("rules", "should be a list")
		return
	}
	if len(list) > MaxRules {
		problems.add("rules", "are more than %d", MaxRules)
		return
	}
	for i, one := range list {
		at := fmt.Sprintf("rules[%d]", i)
		var fields map[string]json.RawMessage
		if bytes.HasPrefix(bytes.TrimSpace(one), []byte(`"`)) {
			fields = map[string]json.RawMessage{"condition": one} // a sentence alone
		} else if !isObject(one) || json.Unmarshal(one, &fields) != nil {
			problems.add(at, "should be an object")
			continue
		}
		in.Rules = append(in.Rules, ruleInput(fields, at, i, problems))
	}
}

// ruleInput brings one rule into the language of policy files.
func ruleInput(fields map[string]json.RawMessage, at string, position int, problems *Problems) json.RawMessage {
	path := func(field string) string { return strings.TrimPrefix(at+"."+field, ".") }
	rule := map[string]json.RawMessage{}
	set := func(field string, value any) {
		if _, twice := rule[field]; twice {
			problems.add(path(field), "is said twice, in two spellings")
			return
		}
		raw, err := encode(value)
		if err != nil {
			problems.add(path(field), "cannot be read")
		}
		rule[field] = raw
	}
	var conditionMap json.RawMessage
	for field, raw := range fields {
		switch {
		case string(raw) == "null", unused[field], field == "description":
		case field == "condition" && isObject(raw):
			conditionMap = raw
		case field == "tool":
			set("tools", raw)
		case field == "decision":
			set("effect", raw)
		case field == "action":
			// Some clients call the effect so, others the tool.
			word := readText(raw, path(field), problems)
			if _, err := governance.ParseVerdict(word); err == nil {
				set("effect", word)
			} else {
				set("tools", word)
			}
		default:
			set(field, raw)
		}
	}
	if conditionMap != nil {
		m := readConditionMap(conditionMap, path("condition"), problems)
		set("condition", string(compact(conditionMap)))
		if _, ok := rule["when"]; !ok {
			set("when", m.expression())
		} else if m.expr != "" {
			problems.add(path("when"), "stands beside a condition that is a map; keep one")
		}
		if len(m.tools) > 0 {
			set("tools", m.tools)
		}
		if m.effect != "" {
			set("effect", m.effect)
		}
	}
	if _, ok := rule["id"]; !ok {
		set("id", fmt.Sprintf("rule-%d", position+1))
	}
	raw, err := encode(rule) // encoding/json orders the members by name
	if err != nil {
		problems.add(at, "cannot be read")
	}
	return raw
}

func readText(raw json.RawMessage, field string, problems *Problems) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		problems.add(field, "should be a text")
	}
	return s
}

func isObject(raw json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) }

func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
