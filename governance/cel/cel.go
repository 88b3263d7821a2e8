// Package cel evaluates the conditions of rules: the CEL environment that rules
// are written in, the typing of arguments by JSON Schema, and the functions. It
// implements governance.Evaluator and is the only importer of cel-go.
//
// What a verdict follows from a condition, which rules apply and what happens to
// a call is not decided here but in package governance.
package cel

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"cadreen/governance"
)

// Limits of a condition. Costs are cel-go's units: about one per step and one per
// ten characters that a string function reads.
const (
	// MaxExpression is the longest expression text, in characters.
	MaxExpression = 8 << 10
	// StaticCost is the largest worst case that compiles, with strings of 4,096
	// characters and lists of 256 elements.
	StaticCost = 20_000_000
	// RuntimeCost is where an evaluation is stopped with an error: some
	// milliseconds.
	RuntimeCost = 500_000
)

// Evaluator compiles conditions. Safe for concurrent use.
type Evaluator struct {
	base  *cel.Env // everything but args
	open  *cel.Env // with args of unknown shape, read by name
	whole *cel.Env // with args as a map
	// written parses as base does and remembers how macros were written.
	written *cel.Env
}

var _ interface {
	governance.Evaluator
	governance.Analyzer
} = (*Evaluator)(nil)

// New makes the environment. It fails only if cel-go changed under us.
func New() (*Evaluator, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	base, err := cel.NewEnv(append([]cel.EnvOption{
		cel.CustomTypeAdapter(adapter{registry}),
		cel.CustomTypeProvider(&provider{Registry: registry}),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.EnableIdentifierEscapeSyntax(),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(100),
		cel.OptionalTypes(),
		ext.Strings(),
		cel.Variable("call", types.NewObjectType(callType)),
		cel.Variable("requester", types.NewObjectType(requesterType)),
		cel.Variable("conversation", types.NewObjectType(conversationType)),
		cel.Variable("workspace", cel.StringType),
		cel.Variable("domain", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		cel.Variable("config", cel.MapType(cel.StringType, cel.DynType)),
	}, functionDecls()...)...)
	if err != nil {
		return nil, fmt.Errorf("cel environment: %w", err)
	}
	open, _, err := typed(base, &shape{want: wantObject, fields: map[string]*shape{}, open: true}, nil)
	if err != nil {
		return nil, err
	}
	whole, err := base.Extend(cel.Variable("args", cel.MapType(cel.StringType, cel.DynType)))
	if err != nil {
		return nil, fmt.Errorf("cel environment: %w", err)
	}
	written, err := base.Extend(cel.EnableMacroCallTracking())
	if err != nil {
		return nil, fmt.Errorf("cel environment: %w", err)
	}
	return &Evaluator{base: base, open: open, whole: whole, written: written}, nil
}

// Compile implements governance.Evaluator.
func (e *Evaluator) Compile(expr string, schema []byte) (governance.Program, error) {
	checked, env, meters, err := e.check(expr, schema)
	if err != nil {
		return nil, err
	}
	if err := checkLiterals(checked.NativeRep().Expr()); err != nil {
		return nil, err
	}
	estimate, err := env.EstimateCost(checked, sizes{})
	if err != nil {
		return nil, fmt.Errorf("the cost of the expression cannot be told: %w", err)
	}
	if estimate.Max > StaticCost {
		return nil, fmt.Errorf("the expression could cost %d units, more than the %d that are allowed: nest fewer loops over lists", estimate.Max, StaticCost)
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	if !cheap(checked.NativeRep().Expr()) {
		options = append(options, cel.EvalOptions(cel.OptTrackCost), cel.CostTracking(prices{}), cel.CostLimit(RuntimeCost))
	}
	planned, err := env.Program(checked, options...)
	if err != nil {
		return nil, err
	}
	root := checked.NativeRep().Expr()
	reads := governance.Reads{Released: calls(root, "called"), Results: calls(root, "origin") || calls(root, "result")}
	reads.Released = reads.Released || reads.Results
	for _, m := range meters {
		reads.Meters = append(reads.Meters, m.Meter)
	}
	return &program{planned: planned, reads: reads, meters: meters, env: env, checked: checked}, nil
}

// calls says whether an expression calls a function.
func calls(root ast.Expr, function string) bool {
	found := false
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		found = found || x.Kind() == ast.CallKind && x.AsCall().FunctionName() == function
	}))
	return found
}

// Constant implements governance.Analyzer: true of an expression that reads
// nothing, such as `true` or `1 > 2`.
func (e *Evaluator) Constant(expr string) (value, constant bool) {
	checked, env, _, err := e.check(expr, nil)
	if err != nil {
		return false, false
	}
	reads := false
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.IdentKind:
			reads = true
		case ast.CallKind:
			reads = reads || late[x.AsCall().FunctionName()]
		}
	}))
	if reads {
		return false, false
	}
	planned, err := env.Program(checked, cel.CostLimit(RuntimeCost))
	if err != nil {
		return false, false
	}
	out, _, err := planned.Eval(cel.NoVars())
	b, ok := out.(types.Bool)
	return bool(b), err == nil && ok
}

// check parses, brings args["name"] into the form args.name and type-checks.
func (e *Evaluator) check(expr string, schema []byte) (checked *cel.Ast, env *cel.Env, meters []meter, err error) {
	if strings.TrimSpace(expr) == "" {
		return nil, nil, nil, errors.New("the expression is empty")
	}
	parsed, issues := e.base.Parse(expr)
	if issues.Err() != nil {
		return nil, nil, nil, explain(issues, nil)
	}
	return e.checkParsed(parsed, schema)
}

func (e *Evaluator) checkParsed(parsed *cel.Ast, schema []byte) (checked *cel.Ast, env *cel.Env, meters []meter, err error) {
	use := constantIndexes(parsed.NativeRep().Expr())
	if meters, err = meterCalls(parsed.NativeRep().Expr()); err != nil {
		return nil, nil, nil, err
	}
	env = e.open
	var known *provider
	if use.whole {
		env = e.whole
	} else if root := readSchema(schema); root != nil {
		if env, known, err = typed(e.base, root, use.tested); err != nil {
			return nil, nil, nil, err
		}
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, nil, nil, explain(issues, known)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, nil, nil, fmt.Errorf("the expression is a %s; a condition is true or false", cel.FormatCELType(t))
	}
	return checked, env, meters, nil
}

// typed extends an environment by args of a shape.
func typed(base *cel.Env, root *shape, tested map[string]bool) (*cel.Env, *provider, error) {
	p := newProvider(base.CELTypeProvider().(*provider).Registry, root, tested)
	env, err := base.Extend(cel.CustomTypeProvider(p), cel.Variable("args", types.NewObjectType(argsType)))
	if err != nil {
		return nil, nil, fmt.Errorf("cel environment: %w", err)
	}
	return env, p, nil
}

// explain turns cel-go's issues into one line; a misspelt argument names the
// right one.
func explain(issues *cel.Issues, p *provider) error {
	var parts []string
	missed := 0
	for _, issue := range issues.Errors() {
		text := issue.Message
		if strings.HasPrefix(text, "undefined field") && p != nil && missed < len(p.missed) {
			text = p.missed[missed]
			missed++
		}
		parts = append(parts, fmt.Sprintf("column %d: %s", issue.Location.Column()+1, text))
		if len(parts) == 3 {
			break
		}
	}
	return errors.New(strings.Join(parts, "; "))
}

// cheap: no loop and nothing but comparisons, logic and our own functions, so
// that the cost is bounded by the text of the expression and counting it would
// take longer than evaluating it.
func cheap(root ast.Expr) bool {
	simple := true
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.ComprehensionKind:
			simple = false
		case ast.CallKind:
			switch name := x.AsCall().FunctionName(); name {
			case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional, operators.Equals, operators.NotEquals,
				operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals, operators.Negate, operators.Subtract,
				operators.Multiply, operators.Divide, operators.Modulo, operators.Index, operators.In, "size", "domain_of":
			case operators.Add:
				// Of numbers: two lists or strings that are added grow.
				t := x.AsCall().Args()[0]
				simple = simple && (t.Kind() == ast.SelectKind || t.Kind() == ast.LiteralKind)
			default:
				simple = simple && late[name]
			}
		}
	}))
	return simple
}

// use is how an expression reads args.
type use struct {
	whole  bool            // args as a value: `"x" in args`, args[config.name]
	tested map[string]bool // paths under has() or ?., like args.note
}

// constantIndexes rewrites x["name"] to the selection x.name, which means the
// same and is typed, and reports how args is read.
func constantIndexes(root ast.Expr) use {
	factory := ast.NewExprFactory()
	u := use{tested: map[string]bool{}}
	rooted := 0
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.CallKind:
			call := x.AsCall()
			if len(call.Args()) != 2 || call.Args()[1].Kind() != ast.LiteralKind {
				return
			}
			name, isString := call.Args()[1].AsLiteral().(types.String)
			if !isString {
				return
			}
			switch call.FunctionName() {
			case operators.Index:
				x.SetKindCase(factory.NewSelect(x.ID(), call.Args()[0], string(name)))
			case operators.OptSelect, operators.OptIndex:
				u.tested[path(call.Args()[0])+"."+string(name)] = true
				if call.FunctionName() == operators.OptSelect && isArgs(call.Args()[0]) {
					rooted--
				}
			}
		case ast.SelectKind:
			if s := x.AsSelect(); s.IsTestOnly() {
				u.tested[path(s.Operand())+"."+s.FieldName()] = true
			}
		}
	}))
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if isArgs(x) {
			rooted++
		}
		if x.Kind() == ast.SelectKind && isArgs(x.AsSelect().Operand()) {
			rooted--
		}
	}))
	u.whole = rooted > 0
	return u
}

func isArgs(x ast.Expr) bool { return x.Kind() == ast.IdentKind && x.AsIdent() == "args" }

// path spells a chain of selections, "" for anything else.
func path(x ast.Expr) string {
	switch x.Kind() {
	case ast.IdentKind:
		return x.AsIdent()
	case ast.SelectKind:
		return path(x.AsSelect().Operand()) + "." + x.AsSelect().FieldName()
	}
	return ""
}

// program is one compiled condition.
type program struct {
	planned cel.Program
	reads   governance.Reads
	meters  []meter
	env     *cel.Env
	checked *cel.Ast
	// The condition planned for facts that are not known, once one was absent.
	partial   sync.Once
	known     cel.Program
	unplanned error
}

// Reads implements governance.Program.
func (p *program) Reads() governance.Reads { return p.reads }

// Eval implements governance.Program.
func (p *program) Eval(in *governance.Input) (bool, error) {
	vars, ok := in.Scratch.(*activation)
	if !ok {
		vars = &activation{in: in}
		in.Scratch = vars
	}
	vars.meters, vars.absent = p.meters, vars.absent[:0]
	out, _, err := p.planned.Eval(vars)
	if _, unknown := out.(*types.Unknown); unknown && in.Unsupplied != (governance.Unsupplied{}) {
		return false, governance.ErrUnsupplied
	}
	if err != nil {
		if slices.ContainsFunc(vars.absent, func(x absent) bool { return x.result }) {
			return p.without(vars)
		}
		return false, err
	}
	holds, ok := out.(types.Bool)
	if !ok {
		return false, fmt.Errorf("the condition is a %s, not true or false", out.Type().TypeName())
	}
	return bool(holds), nil
}
