package cel

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"cadreen/governance"
)

// Parse implements governance.Analyzer.
func (e *Evaluator) Parse(expr string) (*governance.Expr, error) {
	if _, _, _, err := e.check(expr, nil); err != nil {
		return nil, err
	}
	root, _, err := e.tree(expr)
	return root.expr(), err
}

// Trace implements governance.Analyzer.
func (e *Evaluator) Trace(expr string, schema []byte, in *governance.Input) (*governance.Step, error) {
	root, parsed, err := e.tree(expr)
	if err != nil {
		return nil, err
	}
	checked, env, meters, err := e.checkParsed(parsed, schema)
	if err != nil {
		return nil, err
	}
	planned, err := env.Program(checked, cel.EvalOptions(cel.OptTrackState), cel.CostTracking(prices{}), cel.CostLimit(RuntimeCost))
	if err != nil {
		return nil, err
	}
	vars, ok := in.Scratch.(*activation)
	if !ok {
		vars = &activation{in: in}
		in.Scratch = vars
	}
	vars.meters, vars.absent = meters, vars.absent[:0]
	out, details, err := planned.Eval(vars)
	top := root.step(details)
	switch {
	case err != nil:
		top.Reached, top.Value, top.Error = true, nil, err.Error()
	case out != nil:
		top.Reached, top.Value = true, plain(out)
	}
	return top, nil
}

// tree parses an expression and keeps its macros as they were written.
func (e *Evaluator) tree(expr string) (*node, *cel.Ast, error) {
	parsed, issues := e.written.Parse(expr)
	if issues.Err() != nil {
		return nil, nil, explain(issues, nil)
	}
	native := parsed.NativeRep()
	r := reader{info: native.SourceInfo()}
	root := r.read(native.Expr())
	root.Text = strings.TrimSpace(expr)
	return root, parsed, nil
}

// node is a governance.Expr that knows its place in the parsed expression.
type node struct {
	governance.Expr
	id    int64
	below []*node
}

func (n *node) expr() *governance.Expr {
	if n == nil {
		return nil
	}
	n.Operands = nil
	for _, b := range n.below {
		n.Operands = append(n.Operands, b.expr())
	}
	return &n.Expr
}

type reader struct{ info *ast.SourceInfo }

func (r reader) read(x ast.Expr) *node {
	n := &node{id: x.ID()}
	n.Kind = governance.ExprOther
	n.Text, _ = cel.ExprToString(x, r.info)
	if macro, ok := r.info.GetMacroCall(x.ID()); ok {
		r.call(n, macro.AsCall())
		return n
	}
	switch x.Kind() {
	case ast.LiteralKind:
		n.Kind = governance.ExprLiteral
		switch v := x.AsLiteral().(type) {
		case types.Null:
		case types.Bool, types.Int, types.Uint, types.Double, types.String:
			n.Value = v.Value()
		default:
			n.Kind = governance.ExprOther
		}
	case ast.IdentKind:
		n.Kind, n.Path = governance.ExprPath, []string{x.AsIdent()}
	case ast.SelectKind:
		r.selection(n, x.AsSelect().Operand(), x.AsSelect().FieldName())
	case ast.ListKind:
		n.Kind = governance.ExprList
		for _, e := range x.AsList().Elements() {
			n.below = append(n.below, r.read(e))
		}
	case ast.MapKind:
		n.Kind = governance.ExprMap
		for _, e := range x.AsMap().Entries() {
			n.below = append(n.below, r.read(e.AsMapEntry().Key()), r.read(e.AsMapEntry().Value()))
		}
	case ast.CallKind:
		r.call(n, x.AsCall())
	}
	return n
}

// selection of a field: a longer path, where it is of one.
func (r reader) selection(n *node, operand ast.Expr, field string) {
	of := r.read(operand)
	if of.Kind != governance.ExprPath {
		n.Kind, n.Name = governance.ExprCall, "[]"
		n.below = []*node{of, {Expr: governance.Expr{Kind: governance.ExprLiteral, Value: field, Text: strconv.Quote(field)}}}
		return
	}
	n.Kind, n.Name, n.Path, n.Optional = governance.ExprPath, "", append(of.Path, field), of.Optional
}

// written are the operators by the names they are written with.
var written = map[string]string{
	operators.LogicalAnd: "&&", operators.LogicalOr: "||", operators.LogicalNot: "!", operators.Conditional: "?:",
	operators.Equals: "==", operators.NotEquals: "!=", operators.Less: "<", operators.LessEquals: "<=", operators.Greater: ">", operators.GreaterEquals: ">=",
	operators.Add: "+", operators.Subtract: "-", operators.Multiply: "*", operators.Divide: "/", operators.Modulo: "%", operators.Negate: "neg",
	operators.In: "in", operators.OldIn: "in", operators.Index: "[]", operators.OptIndex: "[?]", operators.OptSelect: "?.",
	operators.Has: "has", operators.All: "all", operators.Exists: "exists", operators.ExistsOne: "exists_one", operators.Map: "map", operators.Filter: "filter",
}

func (r reader) call(n *node, call ast.CallExpr) {
	n.Kind, n.Name = governance.ExprCall, call.FunctionName()
	if name, ok := written[n.Name]; ok {
		n.Name = name
	}
	args := call.Args()
	if len(args) == 2 && (n.Name == "[]" || n.Name == "[?]" || n.Name == "?.") && args[1].Kind() == ast.LiteralKind {
		if field, ok := args[1].AsLiteral().(types.String); ok {
			r.selection(n, args[0], string(field))
			n.Optional = n.Optional || n.Kind == governance.ExprPath && call.FunctionName() != operators.Index
			return
		}
	}
	if call.IsMemberFunction() {
		n.below = append(n.below, r.read(call.Target()))
	}
	for _, a := range args {
		n.below = append(n.below, r.read(a))
	}
}

// step is a node with what it came to; literals and the insides of loops have no
// line of their own.
func (n *node) step(details *cel.EvalDetails) *governance.Step {
	s := &governance.Step{Text: n.Text}
	if details != nil {
		if v, ok := details.State().Value(n.id); ok {
			if e, isError := v.(*types.Err); isError {
				s.Reached, s.Error = true, strings.Replace(e.Error(), "optional.none() dereference", "there is no value", 1)
			} else if !types.IsUnknown(v) {
				s.Reached, s.Value = true, plain(v)
			}
		}
	}
	switch n.Kind {
	case governance.ExprCall:
		below := n.below
		switch n.Name {
		case "all", "exists", "exists_one", "map", "filter":
			below = below[:1]
		case "has":
			return s
		}
		for _, b := range below {
			if b.reads() {
				s.Steps = append(s.Steps, b.step(details))
			}
		}
	case governance.ExprList, governance.ExprMap:
		for _, b := range n.below {
			if b.reads() {
				s.Steps = append(s.Steps, b.step(details))
			}
		}
	}
	return s
}

// reads says whether a node is more than fixed values.
func (n *node) reads() bool {
	switch n.Kind {
	case governance.ExprPath, governance.ExprOther:
		return true
	case governance.ExprCall:
		if len(n.below) == 0 || late[n.Name] {
			return true
		}
	}
	for _, b := range n.below {
		if b.reads() {
			return true
		}
	}
	return false
}

// plain is a value without the types of CEL.
func plain(v ref.Val) any {
	switch v := v.(type) {
	case types.Null:
		return nil
	case types.Bool, types.Int, types.Uint, types.Double, types.String:
		return v.Value()
	case types.Timestamp:
		return v.Time.UTC().Format(time.RFC3339)
	case types.Duration:
		return v.Duration.String()
	case *types.Optional:
		if !v.HasValue() {
			return nil
		}
		return plain(v.GetValue())
	case traits.Mapper:
		m := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			m[fmt.Sprint(key.Value())] = plain(v.Get(key))
		}
		return m
	case traits.Lister:
		list := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			list = append(list, plain(it.Next()))
		}
		return list
	}
	return fmt.Sprint(v.Value())
}
