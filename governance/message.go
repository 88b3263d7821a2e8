package governance

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// maxShown bounds a value shown in a message, in bytes.
const maxShown = 256

// template is a rule's message with ${…} placeholders: args.<path>,
// config.<path>, call.name, requester.id, workspace, domain.
type template struct {
	raw   string
	parts []templatePart
}

type templatePart struct {
	text string   // literal text or a config value, or
	path []string // the path of a placeholder that each call fills
}

// parseTemplate checks every placeholder; args cannot be checked before a call.
func parseTemplate(raw string, config map[string]any) (*template, error) {
	t := &template{raw: raw}
	rest := raw
	for {
		before, after, found := strings.Cut(rest, "${")
		if before != "" {
			t.parts = append(t.parts, templatePart{text: before})
		}
		if !found {
			return t, nil
		}
		inside, tail, closed := strings.Cut(after, "}")
		if !closed {
			return nil, fmt.Errorf("message: ${ is not closed")
		}
		path := strings.Split(strings.TrimSpace(inside), ".")
		root := path[0]
		ok := len(path) > 1 && (root == "args" || root == "config") ||
			len(path) == 2 && (inside == "call.name" || inside == "requester.id") ||
			len(path) == 1 && (root == "workspace" || root == "domain")
		if !ok {
			return nil, fmt.Errorf("message: ${%s} is nothing that a message can show", inside)
		}
		part := templatePart{path: path}
		if root == "config" {
			v, found := lookUp(config, path[1:])
			if !found {
				return nil, fmt.Errorf("message: ${%s} does not exist", inside)
			}
			part = templatePart{text: showValue(v)}
		}
		t.parts = append(t.parts, part)
		rest = tail
	}
}

// render fills the placeholders. If one has no value, the message is shown as it
// was written: a message never changes a verdict. Values are made safe to show:
// control, bidirectional and invisible characters as escapes, long ones cut.
func (t *template) render(in *Input) string {
	var b strings.Builder
	for _, p := range t.parts {
		if p.path == nil {
			b.WriteString(p.text)
			continue
		}
		switch p.path[0] {
		case "args":
			at := in.Args.lookUp(p.path[1:])
			if at == 0 {
				return t.raw
			}
			b.WriteString(in.Args.show(at))
		case "call":
			b.WriteString(showText(in.Call.Name))
		case "requester":
			b.WriteString(showText(in.Facts.Requester.ID))
		case "workspace":
			b.WriteString(showText(in.Facts.Workspace))
		case "domain":
			b.WriteString(showText(in.Facts.Domain))
		}
	}
	return b.String()
}

func lookUp(m map[string]any, path []string) (any, bool) {
	var v any = m
	for _, name := range path {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// show is one argument as text for people.
func (a *Arguments) show(at int32) string {
	switch a.nodes[at].kind {
	case '"', '0':
		return showValue(a.value(at))
	}
	return showText(string(a.appendCanonical(nil, at)))
}

// showValue is a value as text for people: a decimal number without an exponent,
// lists and mappings as JSON.
func showValue(v any) string {
	switch v := v.(type) {
	case string:
		return showText(v)
	case Inexact:
		return showText(v.Text)
	case float64:
		return showText(strconv.FormatFloat(v, 'f', -1, 64))
	}
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		return showText(fmt.Sprint(v)) // no file or request holds such a value
	}
	return showText(string(text))
}

// Shown is a text as people may see it: control, bidirectional and invisible
// characters as escapes, cut after 256 bytes.
func Shown(s string) string { return showText(s) }

// showText escapes what a reader could not see or what would move other text.
func showText(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i >= maxShown {
			return b.String() + "…"
		}
		switch {
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r),
			unicode.Is(unicode.Co, r), r >= 0xFE00 && r <= 0xFE0F:
			if r > 0xFFFF {
				fmt.Fprintf(&b, `\U%08X`, r)
			} else {
				fmt.Fprintf(&b, `\u%04X`, r)
			}
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
