package cel

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/functions"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"cadreen/governance"
)

const (
	callType         = "the:call"
	requesterType    = "the:requester"
	conversationType = "the:conversation"
)

// fixed are the objects that every condition may read. Their fields are read
// from the input where they are, so nothing is built for a condition that does
// not ask.
var fixed = map[string]map[string]*types.FieldType{
	callType: {
		"name":   field(types.StringType, func(in *governance.Input) any { return in.Call.Name }),
		"id":     field(types.StringType, func(in *governance.Input) any { return in.Call.ID }),
		"index":  field(types.IntType, func(in *governance.Input) any { return int64(in.Index) }),
		"count":  field(types.IntType, func(in *governance.Input) any { return int64(in.Count) }),
		"server": field(types.StringType, func(in *governance.Input) any { return "" }),
	},
	requesterType: {
		"id":    field(types.StringType, func(f *governance.Facts) any { return f.Requester.ID }),
		"roles": field(types.NewListType(types.StringType), func(f *governance.Facts) any { return f.Requester.Roles }),
		"claims": field(types.NewMapType(types.StringType, types.DynType), func(f *governance.Facts) any {
			return f.Requester.Claims
		}),
	},
	conversationType: {
		"id":    field(types.StringType, func(f *governance.Facts) any { return f.Conversation }),
		"turns": field(types.IntType, func(f *governance.Facts) any { return int64(f.Turns) }),
	},
}

func field[T any](t *types.Type, get func(T) any) *types.FieldType {
	return &types.FieldType{
		Type:  t,
		IsSet: func(any) bool { return true },
		GetFrom: func(target any) (any, error) {
			from, ok := target.(T)
			if !ok {
				return nil, fmt.Errorf("unexpected %T", target)
			}
			return get(from), nil
		},
	}
}

// activation hands the input of one call to a program.
type activation struct {
	in     *governance.Input
	meters []meter // of the condition that runs
	// absent collects the facts that the condition asked for in vain; with
	// unknown they count as not known rather than as not there.
	absent  []absent
	unknown bool
}

var _ cel.Activation = (*activation)(nil)

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "args":
		return a.in.Args, true
	case "call":
		return a.in, true
	case "requester", "conversation":
		return a.in.Facts, true
	case "workspace":
		return a.in.Facts.Workspace, true
	case "domain":
		return a.in.Facts.Domain, true
	case "now":
		return a.in.Facts.Now, true
	case "config":
		return a.in.Config, true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveFunction implements cel.FunctionActivation.
func (a *activation) ResolveFunction(name string) (functions.LateBoundOp, bool) {
	switch name {
	case "called":
		return a.called, true
	case "confirmed":
		return a.confirmed, true
	case "from_user":
		return a.fromUser, true
	case "in_hours":
		return a.inHours, true
	case "weekday":
		return a.weekday, true
	case "count":
		return a.count, true
	case "total":
		return a.total, true
	case "origin":
		return a.origin, true
	case "result":
		return a.result, true
	}
	return nil, false
}

// turn is what the calls of one turn share.
func (a *activation) turn() *turn {
	if a.in.Turn == nil {
		a.in.Turn = &governance.Scratchpad{}
	}
	t, ok := a.in.Turn.Value.(*turn)
	if !ok {
		t = &turn{}
		a.in.Turn.Value = t
	}
	return t
}

type turn struct {
	words   *words                           // the requester's own, once asked for
	read    map[string]*governance.Arguments // of released calls, by their text
	values  []*any                           // of Facts.Results, once asked for
	results []*words                         // the texts in them
}

// adapter brings arguments into CEL, keeping numbers that cannot be held exactly
// from being used.
type adapter struct{ *types.Registry }

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(v any) ref.Val {
	switch v := v.(type) {
	case string:
		return types.String(v)
	case int64:
		return types.Int(v)
	case float64:
		return types.Double(v)
	case *governance.Arguments:
		return types.NewStringInterfaceMap(a, v.Map())
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	case governance.Inexact:
		return types.WrapErr(inexactError(v))
	case *governance.Input, *governance.Facts:
		return types.NewErr("an object of the environment cannot be used as a value: name one of its fields")
	}
	return a.Registry.NativeToValue(v)
}

// sizes are the worst cases of the static estimate for what a call brings along.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil {
		return nil
	}
	if n.Expr() != nil && n.Expr().Kind() == ast.LiteralKind {
		return nil
	}
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind, types.DynKind, types.StructKind:
		return &cost.SizeEstimate{Max: 256}
	case types.StringKind, types.BytesKind:
		return &cost.SizeEstimate{Max: 4096}
	}
	return nil
}

// EstimateCallCost implements cost.Estimator.
func (sizes) EstimateCallCost(function, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if n := callCosts[function]; n > 0 {
		return &cost.CallEstimate{CostEstimate: cost.FixedCostEstimate(n)}
	}
	return nil
}

// prices is what those calls cost when they run.
type prices struct{}

// CallCost implements cost.ActualCostEstimator.
func (prices) CallCost(function, _ string, _ []ref.Val, _ ref.Val) *uint64 {
	if n := callCosts[function]; n > 0 {
		return &n
	}
	return nil
}

// callCosts price the functions that look through the conversation.
var callCosts = map[string]uint64{"from_user": 200, "called": 50, "count": 50, "total": 50, "origin": 400, "result": 200}
