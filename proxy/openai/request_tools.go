package openai

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
)

// Tool is one tool that the request offers.
type Tool struct {
	Type        string // function, custom, or the type of a provider's tool
	Name        Span   // raw JSON string
	Description Span   // raw JSON string
	Schema      Span   // raw JSON Schema of the arguments
	Span        Span
	Legacy      bool // from functions
}

// NameIn is the tool's name, "" if it has none.
func (t *Tool) NameIn(body []byte) string {
	s, _ := Unquote(t.Name.Of(body))
	return s
}

// Choice is tool_choice, or function_call of the legacy form.
type Choice struct {
	Mode string // "", auto, none, required, function, custom, allowed_tools
	Name string
}

var (
	toolNames     = names{"type", "function", "custom", "name"}
	choiceMembers = names{"type", "function", "custom", "name", "allowed_tools"}
)

func (r *Request) readTools(tools, functions int32) error {
	var seen nameSet
	for _, list := range []struct {
		node   int32
		param  string
		legacy bool
	}{{tools, "tools", false}, {functions, "functions", true}} {
		if list.node == 0 || r.doc.first(list.node) == 'n' {
			continue
		}
		if r.doc.first(list.node) != '[' {
			return &FieldError{list.param, "an array is needed"}
		}
		r.Tools = slices.Grow(r.Tools, r.doc.count(list.node))
		for a, i := r.doc.inside(list.node), 0; a.next(); i++ {
			t, err := r.doc.tool(a.node, list.legacy)
			if err == nil && t.hasName() && seen.has(r.Body, r.Tools, t.Name) {
				err = &FieldError{"", fmt.Sprintf("a tool named %q is offered twice", t.NameIn(r.Body))}
			}
			if err != nil {
				return within(err, list.param+"["+strconv.Itoa(i)+"]")
			}
			r.Tools = append(r.Tools, t)
		}
	}
	return nil
}

// tool reads one tool. What its container says counts: that is what models are
// shown. Without a container the tool itself is read, as in functions.
func (d *document) tool(n int32, legacy bool) (Tool, error) {
	b := d.b
	t := Tool{Span: d.span(n), Legacy: legacy}
	if d.first(n) != '{' {
		return t, &FieldError{"", "an object is needed"}
	}
	if legacy {
		t.Type = "function"
		return t, t.named(t.body(d, n))
	}
	container := ""
	var inner Tool
	for o := d.inside(n); o.next(); {
		raw := o.Value.Of(b)
		var err error
		switch name := o.name(); string(name) {
		case "type":
			t.Type, err = kind(raw)
		case "function", "custom":
			if raw[0] != '{' {
				return t, &FieldError{string(name), "an object is needed"}
			}
			if container != "" {
				return t, &FieldError{"", "the tool is a function and a custom tool at once"}
			}
			if container = "custom"; name[0] == 'f' {
				container = "function"
			}
			if err = inner.body(d, o.node); err != nil {
				err = within(err, container)
			}
		default:
			err = t.say(name, o.Value, raw)
		}
		if err != nil {
			return t, err
		}
	}
	if container != "" {
		t.Name, t.Description, t.Schema = inner.Name, inner.Description, inner.Schema
	}
	switch {
	case t.Type == "":
		return t, &FieldError{"type", "this field is needed"}
	case t.Type == "function" && container == "custom" || t.Type == "custom" && container == "function":
		return t, &FieldError{"", fmt.Sprintf("a tool of type %q has the form of %q", t.Type, container)}
	}
	return t, t.named(nil)
}

// kind is a tool's type; the usual ones are not copied.
func kind(raw []byte) (string, error) {
	if string(raw) == `"function"` {
		return "function", nil
	}
	return text(raw, "type")
}

// named adds to an error that a tool that needs a name has none.
func (t *Tool) named(err error) error {
	if err == nil && !t.hasName() && (t.Type == "function" || t.Type == "custom") {
		return &FieldError{"", "the tool has no name"}
	}
	return err
}

// hasName says that there is a name, and that it is not empty.
func (t *Tool) hasName() bool { return t.Name.End-t.Name.Start > len(`""`) }

// body reads what a tool says about itself.
func (t *Tool) body(d *document, n int32) (err error) {
	for o := d.inside(n); o.next() && err == nil; {
		switch name := o.name(); string(name) {
		case "type", "function", "custom":
		default:
			err = t.say(name, o.Value, o.Value.Of(d.b))
		}
	}
	return err
}

// say takes one thing that a tool says about itself.
func (t *Tool) say(name []byte, value Span, raw []byte) error {
	switch string(name) {
	case "name":
		switch raw[0] {
		case '"':
			t.Name = value
		case 'n':
			t.Name = Span{}
		default:
			return &FieldError{"name", "a string is needed"}
		}
	case "description":
		t.Description = value
	case "parameters":
		if raw[0] == '{' {
			t.Schema = value
		}
	default:
		return toolNames.miss(name)
	}
	return nil
}

// nameSet tells whether a name was there before.
type nameSet map[string]bool

// fewTools are compared with one another.
const fewTools = 32

// has says whether one of the tools before has the name of the next one.
func (s *nameSet) has(body []byte, before []Tool, name Span) bool {
	raw := plain(name.Of(body))
	if len(before) < fewTools {
		for i := range before {
			if before[i].hasName() && bytes.Equal(plain(before[i].Name.Of(body)), raw) {
				return true
			}
		}
		return false
	}
	if *s == nil {
		*s = nameSet{}
		for i := range before {
			(*s)[before[i].NameIn(body)] = true
		}
	}
	known := (*s)[string(raw)]
	(*s)[string(raw)] = true
	return known
}

// choose reads tool_choice, or function_call where that is not given.
func (r *Request) choose(choice, legacy int32) (err error) {
	if legacy != 0 {
		if r.ToolChoice, err = r.doc.chosen(legacy, "function"); err != nil {
			return within(err, "function_call")
		}
	}
	if choice != 0 && r.doc.first(choice) != 'n' {
		if r.ToolChoice, err = r.doc.chosen(choice, ""); err != nil {
			return within(err, "tool_choice")
		}
	}
	return nil
}

// chosen reads a choice whose mode, where it names none, is mode.
func (d *document) chosen(n int32, mode string) (c Choice, err error) {
	b := d.b
	raw := d.span(n).Of(b)
	switch raw[0] {
	case '"':
		c.Mode, err = Unquote(raw)
		return c, err
	case 'n':
		return c, nil
	case '{':
	default:
		return c, &FieldError{"", "a string or an object is needed"}
	}
	c.Mode = mode
	inner := ""
	for o := d.inside(n); o.next() && err == nil; {
		raw := o.Value.Of(b)
		switch name := o.name(); string(name) {
		case "type":
			c.Mode, err = text(raw, "type")
		case "name":
			c.Name, err = text(raw, "name")
		case "function", "custom":
			if raw[0] != '{' {
				return c, &FieldError{string(name), "an object is needed"}
			}
			inner = d.named(o.node)
		case "allowed_tools":
		default:
			err = choiceMembers.miss(name)
		}
	}
	if inner != "" {
		c.Name = inner
	}
	return c, err
}
