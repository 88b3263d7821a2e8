package openai

var (
	bodyNames  = names{"role", "content", "tool_calls", "function_call"}
	callNames  = names{"index", "id", "type", "function", "custom"}
	innerNames = names{"name", "arguments", "input"}
)

// body reads a message or a delta.
func (v *View) body(c *ChoiceView, n int32) error {
	for o := v.doc.inside(n); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := bodyNames.find(o.name())
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		switch at {
		case 0:
			c.Role = o.Value
		case 1:
			c.Content = o.Value
			c.HasText = c.HasText || says(raw)
		case 2:
			c.CallsMember = o.member().Span()
			if err := v.calls(c, o.node); err != nil {
				return err
			}
		case 3:
			if raw[0] == 'n' {
				continue
			}
			if raw[0] != '{' {
				return malformed("function_call is no object")
			}
			c.HasLegacy, c.LegacyMember = true, o.member().Span()
			c.Legacy.Form, c.Legacy.Span = "function_call", o.Value
			if err := v.inner(&c.Legacy, o.node, "arguments"); err != nil {
				return err
			}
		default:
			c.HasText = c.HasText || says(raw)
		}
	}
	return nil
}

// says tells a value that tells a client something from null, numbers (an index,
// a count), booleans and what is empty.
func says(raw []byte) bool {
	return (raw[0] == '"' || raw[0] == '[' || raw[0] == '{') && len(raw) > 2
}

func (v *View) calls(c *ChoiceView, list int32) error {
	switch v.doc.first(list) {
	case '[':
	case 'n':
		return nil
	default:
		return malformed("tool_calls is no array")
	}
	c.CallsValue = v.doc.span(list)
	for a := v.doc.inside(list); a.next(); {
		if v.doc.first(a.node) != '{' {
			return malformed("a call is no object")
		}
		if len(c.Calls) == MaxCalls {
			return malformed("more than %d calls", MaxCalls)
		}
		if err := v.call(c.grow(), a.node); err != nil {
			return err
		}
	}
	return nil
}

// grow adds a call, keeping the slices of the one that stood there before.
func (c *ChoiceView) grow() *CallView {
	if len(c.Calls) == cap(c.Calls) {
		c.Calls = append(c.Calls, CallView{})
		return &c.Calls[len(c.Calls)-1]
	}
	c.Calls = c.Calls[:len(c.Calls)+1]
	call := &c.Calls[len(c.Calls)-1]
	*call = CallView{Outer: call.Outer[:0], Inner: call.Inner[:0]}
	return call
}

func (v *View) call(c *CallView, n int32) error {
	c.Span, c.Form = v.doc.span(n), "function"
	for o := v.doc.inside(n); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := callNames.find(o.name())
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		switch at {
		case 0:
			c.Placed = true
			if raw[0] == 'n' {
				continue
			}
			n, ok := number(raw, MaxCalls)
			if !ok {
				return malformed("a call with the index %s", raw)
			}
			c.HasIndex, c.Index = true, n
			continue
		case 1, 2:
			if raw[0] != '"' && raw[0] != 'n' {
				return malformed("%s of a call is no string", o.Key.Of(v.Data))
			}
			if at == 1 {
				c.ID = notNull(v.Data, o.Value)
			} else {
				c.Type = notNull(v.Data, o.Value)
			}
		case 3, 4:
			if raw[0] == 'n' {
				continue
			}
			if raw[0] != '{' || c.Container.Present() {
				return malformed("a call that is not one function or one custom tool")
			}
			c.Container = o.Value
			payload := "arguments"
			if at == 4 {
				c.Form, payload = "custom", "input"
			}
			if err := v.inner(c, o.node, payload); err != nil {
				return err
			}
			continue
		}
		c.Outer = append(c.Outer, v.kept(o.member()))
	}
	if c.Type.Present() {
		kind, _ := Unquote(c.Type.Of(v.Data))
		switch {
		case c.Container.Present() && kind != "" && kind != c.Form:
			return malformed("a call of type %q carries %q", kind, c.Form)
		case !c.Container.Present() && kind == "custom":
			c.Form = kind
		}
	}
	return nil
}

// inner reads function, custom or function_call.
func (v *View) inner(c *CallView, n int32, payload string) error {
	for o := v.doc.inside(n); o.next(); {
		raw := o.Value.Of(v.Data)
		at, near := innerNames.find(o.name())
		if near {
			return malformed("a field named %s", o.Key.Of(v.Data))
		}
		if at >= 0 && raw[0] != '"' && raw[0] != 'n' {
			return malformed("%s of a call is no string", o.Key.Of(v.Data))
		}
		if at > 0 && innerNames[at] == payload {
			c.Arguments = notNull(v.Data, o.Value)
			continue
		}
		if at == 0 {
			c.Name = notNull(v.Data, o.Value)
		}
		c.Inner = append(c.Inner, v.kept(o.member()))
	}
	return nil
}

// kept is a member with its name unescaped.
func (v *View) kept(m Member) Member {
	m.Name, _ = Unquote(m.Key.Of(v.Data))
	return m
}
