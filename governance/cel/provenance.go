package cel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cadreen/governance"
)

// Where a value came from, beside tool:<name> and claimed:<name>.
const (
	fromUser  = "user"
	fromModel = "model"
)

// origin is where x came from: "user" if it stands in the requester's own words,
// "tool:<name>" if it stands in an observed result (the newest that holds it),
// "claimed:<name>" if it stands only in a result that the transcript claims and
// nobody observed, else "model".
func (a *activation) origin(_ string, args ...ref.Val) ref.Val {
	t := a.turn()
	switch said := a.userWords().holdValue("origin", args[0]).(type) {
	case types.Bool:
		if said {
			return types.String(fromUser)
		}
	default:
		return said
	}
	if a.in.Unsupplied.Words || a.in.Unsupplied.Conversation {
		return unsupplied("origin")
	}
	results := a.in.Facts.Results
	if t.results == nil {
		t.results = make([]*words, len(results))
	}
	for _, claimed := range []bool{false, true} {
		for i := range slices.Backward(results) {
			r := &results[i]
			if r.Claimed != claimed {
				continue
			}
			if t.results[i] == nil {
				t.results[i] = &words{texts: textsOf(nil, a.valueOf(i))}
			}
			if t.results[i].holdValue("origin", args[0]) != types.True {
				continue
			}
			if claimed {
				return types.String("claimed:" + r.Name)
			}
			return types.String("tool:" + r.Name)
		}
	}
	return types.String(fromModel)
}

// textsOf are the texts and numbers in a value.
func textsOf(list []string, v any) []string {
	switch v := v.(type) {
	case string:
		return append(list, v)
	case int64:
		return append(list, strconv.FormatInt(v, 10))
	case uint64:
		return append(list, strconv.FormatUint(v, 10))
	case float64:
		return append(list, strconv.FormatFloat(v, 'f', -1, 64))
	case governance.Inexact:
		return append(list, v.Text)
	case []any:
		for _, e := range v {
			list = textsOf(list, e)
		}
	case map[string]any:
		for _, e := range v {
			list = textsOf(list, e)
		}
	}
	return list
}

// valueOf reads a result once a turn.
func (a *activation) valueOf(i int) any {
	t, results := a.turn(), a.in.Facts.Results
	if t.values == nil {
		t.values = make([]*any, len(results))
	}
	if t.values[i] == nil {
		v := results[i].Value()
		t.values[i] = &v
	}
	return *t.values[i]
}

// result is what the newest observed call of a tool, with at least these
// arguments, gave; none if there is no such result.
func (a *activation) result(_ string, args ...ref.Val) ref.Val {
	name, partial, bad := nameAndArguments(args)
	if bad != nil {
		return bad
	}
	results := a.in.Facts.Results
	for i := range slices.Backward(results) {
		r := &results[i]
		if r.Claimed || r.Name != name {
			continue
		}
		holds, err := a.calledWith(r.Arguments, partial)
		if err != nil {
			return types.WrapErr(err)
		}
		if holds {
			value := adapter{registryForValues}.NativeToValue(a.valueOf(i))
			if types.IsError(value) {
				return value
			}
			return types.OptionalOf(value)
		}
	}
	a.miss(name, true, partial)
	if a.unknown || a.in.Unsupplied.Conversation {
		return types.NewUnknown(0, types.NewAttributeTrail("result"))
	}
	return types.OptionalNone
}

// nameAndArguments reads the arguments of called and result.
func nameAndArguments(args []ref.Val) (name string, partial traits.Mapper, bad ref.Val) {
	tool, ok := args[0].(types.String)
	if !ok {
		return "", nil, types.MaybeNoSuchOverloadErr(args[0])
	}
	if len(args) == 2 {
		if partial, ok = args[1].(traits.Mapper); !ok {
			return "", nil, types.MaybeNoSuchOverloadErr(args[1])
		}
	}
	return string(tool), partial, nil
}

// calledWith says whether the arguments of a call hold at least these.
func (a *activation) calledWith(text string, partial traits.Mapper) (bool, error) {
	if partial == nil {
		return true, nil
	}
	args, err := a.turn().arguments(text)
	if err != nil {
		return false, err
	}
	return contains(args, partial)
}

// absent is a fact that a condition asked for in vain.
type absent struct {
	tool    string
	result  bool
	partial traits.Mapper
}

func (a *activation) miss(tool string, result bool, partial traits.Mapper) {
	a.absent = append(a.absent, absent{tool, result, partial})
}

// maxWith bounds what of an argument's value is shown, in bytes.
const maxWith = 64

func (x absent) fact() governance.Fact {
	f := governance.Fact{Tool: x.tool, Result: x.result}
	if x.partial == nil {
		return f
	}
	var with []string
	for it := x.partial.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		value := fmt.Sprint(x.partial.Get(key).Value())
		if len(value) > maxWith {
			value = strings.ToValidUTF8(value[:maxWith], "") + "…"
		}
		with = append(with, fmt.Sprintf("%v %s", key.Value(), value))
	}
	slices.Sort(with) // a map has no order of its own
	f.With = strings.Join(with, ", ")
	return f
}

// Absent implements governance.Absentee.
func (p *program) Absent(in *governance.Input) []governance.Fact {
	vars, ok := in.Scratch.(*activation)
	if !ok {
		return nil
	}
	var list []governance.Fact
	for _, x := range vars.absent {
		if f := x.fact(); !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}

// without evaluates a condition that erred once more, with every result that is
// absent taken for unknown: what does not depend on it is decided all the same,
// and what does answers governance.MissingFacts.
func (p *program) without(vars *activation) (bool, error) {
	p.partial.Do(func() {
		p.known, p.unplanned = p.env.Program(p.checked, cel.EvalOptions(cel.OptTrackState), cel.CostTracking(prices{}), cel.CostLimit(RuntimeCost))
	})
	if p.unplanned != nil {
		return false, p.unplanned
	}
	vars.unknown, vars.absent = true, vars.absent[:0]
	out, details, err := p.known.Eval(vars)
	vars.unknown = false
	switch out := out.(type) {
	case types.Bool:
		return bool(out), nil
	case *types.Unknown:
		missing := &governance.MissingFacts{}
		for _, f := range p.Absent(vars.in) {
			if f.Result {
				missing.Facts = append(missing.Facts, f)
			}
		}
		if residual, err := p.env.ResidualAst(p.checked, details); err == nil {
			missing.Residual, _ = cel.AstToString(residual)
		}
		if missing.Residual == "" {
			missing.Residual, _ = cel.AstToString(p.checked)
		}
		if len(missing.Facts) > 0 {
			return false, missing
		}
	}
	if err == nil {
		err = errors.New("the condition has no value")
	}
	return false, err
}
