package governance

import (
	"encoding/json"
)

// absent stands where a value is missing, so that nothing below it makes it again.
type absent struct{}

// putArgument sets a value of the arguments, making the objects that it is in.
func putArgument(d *draft, path []string, v any) { putIn(d.args, path[1:], v) }

func putClaim(d *draft, path []string, v any) {
	if d.facts.Requester.Claims == nil {
		d.facts.Requester.Claims = map[string]any{}
	}
	if text, ok := v.(json.RawMessage); ok {
		v = claimValue(text)
	}
	if _, missing := v.(absent); !missing {
		putIn(d.facts.Requester.Claims, path[2:], v)
	}
}

func claimValue(text json.RawMessage) (value any) {
	if json.Unmarshal(text, &value) != nil {
		return nil
	}
	if _, ok := value.(float64); ok {
		return exactNumber(string(text))
	}
	return value
}

func putIn(at map[string]any, path []string, v any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := at[name].(map[string]any)
		if !ok {
			if at[name] != nil {
				return // something odd was put there, or it is missing: it has no members
			}
			inner = map[string]any{}
			at[name] = inner
		}
		at = inner
	}
	at[path[len(path)-1]] = v
}

func get(at map[string]any, path []string) any {
	var v any = at
	for _, name := range path {
		inner, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inner[name]
	}
	if _, missing := v.(absent); missing {
		return nil
	}
	return v
}

// withoutAbsent takes away what is marked as missing.
func withoutAbsent(at map[string]any) map[string]any {
	for name, v := range at {
		switch v := v.(type) {
		case absent:
			delete(at, name)
		case map[string]any:
			withoutAbsent(v)
		}
	}
	return at
}
