package policies

import (
	"bytes"
	"encoding/json"
	"time"

	"cadreen/governance"
)

// Document is a policy in the language of policy files, ready to be written as JSON.
type Document struct {
	Name   string          `json:"name"`
	Domain string          `json:"domain,omitempty"`
	Config json.RawMessage `json:"config,omitempty"`
	Rules  []DocumentRule  `json:"rules"`
}

// DocumentRule is one rule with its CEL.
type DocumentRule struct {
	ID         string            `json:"id"`
	Condition  string            `json:"condition,omitempty"`
	Tools      []string          `json:"tools,omitempty"`
	When       []DocumentLine    `json:"when"`
	Else       string            `json:"else,omitempty"`
	Unless     string            `json:"unless,omitempty"`
	Message    string            `json:"message,omitempty"`
	Mode       governance.Mode   `json:"mode,omitempty"`
	SelfReview bool              `json:"self_review,omitempty"`
	Examples   []DocumentExample `json:"examples,omitempty"`
	Confidence float64           `json:"confidence,omitempty"` // of a model that read the condition
}

// DocumentLine is one condition with its effect.
type DocumentLine struct {
	If      string             `json:"if"`
	Effect  governance.Verdict `json:"effect"`
	To      string             `json:"to,omitempty"`
	Expires string             `json:"expires,omitempty"`
	Missing string             `json:"missing,omitempty"`
	From    string             `json:"from,omitempty"`
}

// DocumentExample is a call with the verdict it must get.
type DocumentExample struct {
	Call      DocumentCall       `json:"call"`
	Requester *DocumentRequester `json:"requester,omitempty"`
	Messages  []string           `json:"messages,omitempty"`
	Domain    string             `json:"domain,omitempty"`
	Now       string             `json:"now,omitempty"`
	Expect    governance.Verdict `json:"expect"`
}

// DocumentCall names a tool and its arguments, an object or the model's text.
type DocumentCall struct {
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
}

// DocumentRequester is who asks in an example.
type DocumentRequester struct {
	ID     string         `json:"id,omitempty"`
	Roles  []string       `json:"roles,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
}

// DocumentOf writes a policy out, without its config.
func DocumentOf(p governance.Policy) Document { return documentOf(p.Name, p.Domain, nil, p.Rules) }

// documentOf writes rules out.
func documentOf(name, domain string, config json.RawMessage, rules []governance.Rule) Document {
	d := Document{Name: name, Domain: domain, Config: config, Rules: make([]DocumentRule, len(rules))}
	for i, r := range rules {
		d.Rules[i] = ruleOf(r)
	}
	return d
}

func ruleOf(r governance.Rule) DocumentRule {
	out := DocumentRule{ID: r.ID, Condition: r.Condition, Tools: r.Tools, Else: r.Else, Unless: r.Unless, Message: r.Message,
		Mode: r.Mode, SelfReview: r.SelfReview, Confidence: r.Confidence, When: make([]DocumentLine, len(r.When))}
	for i, l := range r.When {
		out.When[i] = DocumentLine{If: l.If, Effect: l.Effect, To: l.To, Missing: l.Missing, From: l.From}
		if l.Expires > 0 {
			out.When[i].Expires = l.Expires.String()
		}
	}
	for _, e := range r.Examples {
		x := DocumentExample{Call: DocumentCall{Name: e.Call.Name, Arguments: argumentsOf(e.Call.Arguments)},
			Messages: e.Messages, Domain: e.Domain, Expect: e.Expect}
		if q := e.Requester; q != nil {
			x.Requester = &DocumentRequester{ID: q.ID, Roles: q.Roles, Claims: q.Claims}
		}
		if !e.Now.IsZero() {
			x.Now = e.Now.Format(time.RFC3339Nano)
		}
		out.Examples = append(out.Examples, x)
	}
	return out
}

// argumentsOf are arguments as an object where they are one, else as the text.
func argumentsOf(text []byte) json.RawMessage {
	if json.Valid(text) && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return text
	}
	quoted, _ := json.Marshal(string(text))
	return quoted
}

// encode writes JSON with <, > and & as they are: they are common in CEL.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}
