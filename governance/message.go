package governance

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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
	text string   // literal text, or
	path []string // the placeholder's path
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
		if root == "config" {
			if _, found := lookUp(config, path[1:]); !found {
				return nil, fmt.Errorf("message: ${%s} does not exist", inside)
			}
		}
		t.parts = append(t.parts, templatePart{path: path})
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
		var v any
		found := true
		switch p.path[0] {
		case "args":
			v, found = lookUp(in.Args, p.path[1:])
		case "config":
			v, found = lookUp(in.Config, p.path[1:])
		case "call":
			v = in.Call.Name
		case "requester":
			v = in.Facts.Requester.ID
		case "workspace":
			v = in.Facts.Workspace
		case "domain":
			v = in.Facts.Domain
		}
		if !found {
			return t.raw
		}
		b.WriteString(showValue(v))
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

func showValue(v any) string {
	switch v := v.(type) {
	case string:
		return showText(v)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return showText(string(appendCanonical(nil, v)))
}

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
