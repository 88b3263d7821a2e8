package cel

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cadreen/governance"
)

// late are the functions that read the conversation or the clock. They are bound
// when a condition is evaluated and never folded.
var late = map[string]bool{"called": true, "confirmed": true, "from_user": true, "in_hours": true, "weekday": true,
	"count": true, "total": true, "origin": true, "result": true}

// functionDecls declares what conditions may call beside CEL's own.
//
//	called("t")                    t was released earlier in this conversation,
//	                               or stands earlier in this turn and goes out with it
//	called("t", {"id": args.id})   the same, with at least these arguments
//	confirmed()                    the requester said yes to this call
//	from_user(x)                   x stands in the requester's own words; see words.go
//	in_hours("Europe/Berlin", "9-17")   now is at or after 9:00 and before 17:00 there
//	weekday("Europe/Berlin")       "monday" to "sunday"
//	domain_of("a@Example.com")     "example.com"
//	count("t", "24h", args.id)     calls of t in the last 24 hours; see ledger.go
//	total("t", "amount", "24h")    the sum of their amounts
//	origin(x)                      where x came from; see provenance.go
//	result("t", {"id": args.id})   what the newest such call gave, optional
func functionDecls() []cel.EnvOption {
	s, d, b := cel.StringType, cel.DynType, cel.BoolType
	bound := func(name string, overloads ...cel.FunctionOpt) cel.EnvOption { return cel.Function(name, overloads...) }
	return []cel.EnvOption{
		bound("count", meterOverloads("count", []*cel.Type{s, s}, cel.IntType)...),
		bound("total", meterOverloads("total", []*cel.Type{s, s, s}, cel.DoubleType)...),
		bound("origin", cel.Overload("origin", []*cel.Type{d}, s, cel.LateFunctionBinding())),
		bound("result",
			cel.Overload("result_name", []*cel.Type{s}, cel.OptionalType(d), cel.LateFunctionBinding()),
			cel.Overload("result_name_arguments", []*cel.Type{s, cel.MapType(s, d)}, cel.OptionalType(d), cel.LateFunctionBinding())),
		bound("called",
			cel.Overload("called_name", []*cel.Type{s}, b, cel.LateFunctionBinding()),
			cel.Overload("called_name_arguments", []*cel.Type{s, cel.MapType(s, d)}, b, cel.LateFunctionBinding())),
		bound("confirmed", cel.Overload("confirmed", nil, b, cel.LateFunctionBinding())),
		bound("from_user", cel.Overload("from_user", []*cel.Type{d}, b, cel.LateFunctionBinding())),
		bound("in_hours", cel.Overload("in_hours", []*cel.Type{s, s}, b, cel.LateFunctionBinding())),
		bound("weekday", cel.Overload("weekday", []*cel.Type{s}, s, cel.LateFunctionBinding())),
		cel.Function("domain_of", cel.Overload("domain_of", []*cel.Type{s}, s, cel.UnaryBinding(domainOf))),
	}
}

func (a *activation) confirmed(string, ...ref.Val) ref.Val {
	return types.Bool(a.in.Facts.Confirmed)
}

func (a *activation) called(_ string, args ...ref.Val) ref.Val {
	name, partial, bad := nameAndArguments(args)
	if bad != nil {
		return bad
	}
	for _, list := range [][]governance.Released{a.in.Facts.Released, a.in.Provisional} {
		for i := range list {
			if list[i].Name != name {
				continue
			}
			holds, err := a.calledWith(list[i].Arguments, partial)
			if err != nil {
				return types.WrapErr(err)
			}
			if holds {
				return types.True
			}
		}
	}
	a.miss(name, false, partial)
	if a.in.Unsupplied.Conversation {
		return unsupplied("called")
	}
	return types.False
}

// arguments of a released call, read once a turn.
func (t *turn) arguments(text string) (*governance.Arguments, error) {
	if args := t.read[text]; args != nil {
		return args, nil
	}
	args, err := (&governance.Released{Arguments: text}).ReadArguments()
	if err != nil {
		return nil, err
	}
	if t.read == nil {
		t.read = map[string]*governance.Arguments{}
	}
	t.read[text] = args
	return args, nil
}

// contains: every entry of partial is in args, numbers compared by value.
func contains(args *governance.Arguments, partial traits.Mapper) (bool, error) {
	to := adapter{registryForValues}
	for it := partial.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.(types.String)
		if !ok {
			return false, errors.New("called: argument names are strings")
		}
		have, ok := args.Get(string(name))
		if !ok {
			return false, nil
		}
		value := to.NativeToValue(have)
		if types.IsError(value) {
			return false, value.(*types.Err)
		}
		switch equal := types.Equal(value, partial.Get(key)).(type) {
		case types.Bool:
			if !equal {
				return false, nil
			}
		case *types.Err:
			return false, equal
		default:
			return false, fmt.Errorf("called: %s cannot be compared", name)
		}
	}
	return true, nil
}

// registryForValues converts plain values; it knows no types of its own.
var registryForValues = func() *types.Registry {
	r, err := types.NewRegistry()
	if err != nil {
		panic(err) // an empty registry cannot fail
	}
	return r
}()

func domainOf(v ref.Val) ref.Val {
	address, ok := v.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	local, domain, found := strings.Cut(string(address), "@")
	if !found || local == "" || domain == "" || strings.ContainsAny(domain, "@<>\"(),:;[]\\/ \t\r\n") || strings.ContainsAny(local, "<>\" ,;\t\r\n") ||
		strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return types.NewErr("domain_of: %.80q is not one plain e-mail address", string(address))
	}
	return types.String(strings.ToLower(strings.TrimSuffix(domain, ".")))
}

// checkLiterals refuses at load what would be an error with every call: an
// unknown time zone, hours that are none.
func checkLiterals(root ast.Expr) error {
	var found error
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || found != nil {
			return
		}
		call := x.AsCall()
		text := func(i int) (string, bool) {
			if i >= len(call.Args()) || call.Args()[i].Kind() != ast.LiteralKind {
				return "", false
			}
			s, ok := call.Args()[i].AsLiteral().(types.String)
			return string(s), ok
		}
		switch call.FunctionName() {
		case "in_hours", "weekday":
			if zone, ok := text(0); ok {
				_, found = zoneOf(zone)
			}
			if span, ok := text(1); ok && found == nil {
				_, _, found = parseHours(span)
			}
		case "from_user", "origin":
			if call.Args()[0].Kind() == ast.LiteralKind {
				found = fmt.Errorf("%s of a fixed value: give it an argument of the call, such as args.email", call.FunctionName())
			}
		}
	}))
	return found
}
