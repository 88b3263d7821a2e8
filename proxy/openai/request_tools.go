package openai

import (
	"fmt"
	"slices"
	"strconv"
)

// Tool is one tool that the request offers.
type Tool struct {
	Type        string // function, custom, or the type of a provider's tool
	Name        string
	Description Span // raw JSON string
	Schema      Span // raw JSON Schema of the arguments
	Span        Span
	Legacy      bool // from functions
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

func (r *Request) readTools(tools, functions Span) error {
	seen := map[string]bool{}
	for _, list := range []struct {
		Span
		param  string
		legacy bool
	}{{tools, "tools", false}, {functions, "functions", true}} {
		if !list.Present() || r.Body[list.Start] == 'n' {
			continue
		}
		if r.Body[list.Start] != '[' {
			return &FieldError{list.param, "an array is needed"}
		}
		r.Tools = slices.Grow(r.Tools, r.doc.count(list.Span))
		for a, i := r.doc.elements(list.Span), 0; a.next(); i++ {
			t, err := r.doc.tool(a.Value, list.legacy)
			if err == nil && t.Name != "" && seen[t.Name] {
				err = &FieldError{"", fmt.Sprintf("a tool named %q is offered twice", t.Name)}
			}
			if err != nil {
				return within(err, list.param+"["+strconv.Itoa(i)+"]")
			}
			seen[t.Name] = true
			r.Tools = append(r.Tools, t)
		}
	}
	return nil
}

// tool reads one tool. What its container says counts: that is what models are
// shown. Without a container the tool itself is read, as in functions.
func (d *document) tool(v Span, legacy bool) (Tool, error) {
	b := d.b
	if b[v.Start] != '{' {
		return Tool{}, &FieldError{"", "an object is needed"}
	}
	t := Tool{Span: v, Legacy: legacy}
	if err := t.body(d, v); err != nil || legacy {
		t.Type = "function"
		return t, t.named(err)
	}
	container := ""
	for o := d.members(v); o.next(); {
		raw := o.Value.Of(b)
		var err error
		switch name := plain(o.Key.Of(b)); string(name) {
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
			t.Name, t.Description, t.Schema = "", Span{}, Span{}
			if err = t.body(d, o.Value); err != nil {
				err = within(err, container)
			}
		}
		if err != nil {
			return t, err
		}
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
	if err == nil && t.Name == "" && (t.Type == "function" || t.Type == "custom") {
		return &FieldError{"", "the tool has no name"}
	}
	return err
}

// body reads what a tool says about itself.
func (t *Tool) body(d *document, v Span) (err error) {
	b := d.b
	for o := d.members(v); o.next() && err == nil; {
		raw := o.Value.Of(b)
		name := plain(o.Key.Of(b))
		switch string(name) {
		case "name":
			t.Name, err = text(raw, "name")
		case "description":
			t.Description = o.Value
		case "parameters":
			if raw[0] == '{' {
				t.Schema = o.Value
			}
		case "type", "function", "custom":
		default:
			err = toolNames.miss(name)
		}
	}
	return err
}

// choose reads tool_choice, or function_call where that is not given.
func (r *Request) choose(choice, legacy Span) (err error) {
	if legacy.Present() {
		if r.ToolChoice, err = r.doc.chosen(legacy, "function"); err != nil {
			return within(err, "function_call")
		}
	}
	if choice.Present() && r.Body[choice.Start] != 'n' {
		if r.ToolChoice, err = r.doc.chosen(choice, ""); err != nil {
			return within(err, "tool_choice")
		}
	}
	return nil
}

// chosen reads a choice whose mode, where it names none, is mode.
func (d *document) chosen(v Span, mode string) (c Choice, err error) {
	b := d.b
	raw := v.Of(b)
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
	for o := d.members(v); o.next() && err == nil; {
		raw := o.Value.Of(b)
		switch name := plain(o.Key.Of(b)); string(name) {
		case "type":
			c.Mode, err = text(raw, "type")
		case "name":
			c.Name, err = text(raw, "name")
		case "function", "custom":
			if raw[0] != '{' {
				return c, &FieldError{string(name), "an object is needed"}
			}
			inner = d.named(o.Value)
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
