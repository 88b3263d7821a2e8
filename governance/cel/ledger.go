package cel

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"cadreen/governance"
)

// meter is one count() or total() of an expression.
type meter struct {
	governance.Meter
	// words are its constant arguments as they are evaluated, by which the call
	// finds it again.
	words []string
}

// meterOverloads declare a function of fixed arguments and up to MaxBy things to
// count by. Each of those stands as two arguments, its name and its value, in
// the form that meterCalls brings an expression into.
func meterOverloads(name string, fixed []*cel.Type, result *cel.Type) []cel.FunctionOpt {
	var list []cel.FunctionOpt
	args := fixed
	for n := range governance.MaxBy + 1 {
		list = append(list, cel.Overload(fmt.Sprintf("%s_by_%d", name, n), args, result, cel.LateFunctionBinding()))
		args = append(args[:len(args):len(args)], cel.StringType, cel.DynType)
	}
	return list
}

// fixedWords is how many constants stand before what is counted by.
var fixedWords = map[string]int{"count": 2, "total": 3}

// meterCalls finds every count and total of an expression, checks its constants,
// and puts before each thing that is counted by its name:
//
//	count("t", "24h", args.id)  becomes  count("t", "24h", "args.id", args.id)
//
// so that the value is typed like any other and its place is known.
func meterCalls(root ast.Expr) ([]meter, error) {
	var meters []meter
	var found error
	factory := ast.NewExprFactory()
	next := ast.MaxID(ast.NewAST(root, nil)) + 1
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(x ast.Expr) {
		if x.Kind() != ast.CallKind || found != nil {
			return
		}
		call := x.AsCall()
		name := call.FunctionName()
		fixed := fixedWords[name]
		if fixed == 0 || call.IsMemberFunction() {
			return
		}
		form := map[string]string{"count": `count("tool", "24h", args.customer)`, "total": `total("tool", "amount", "24h", args.customer)`}[name]
		args := call.Args()
		if len(args) < fixed {
			found = fmt.Errorf("%s takes more: write %s", name, form)
			return
		}
		var words []string
		for _, a := range args[:fixed] {
			word, ok := literal(a)
			if !ok {
				found = fmt.Errorf("the first %d arguments of %s are text that does not change: write %s", fixed, name, form)
				return
			}
			words = append(words, word)
		}
		var by []string
		whole := args[:fixed:fixed]
		for _, a := range args[fixed:] {
			thing, err := countedBy(a)
			if err != nil {
				found = fmt.Errorf("%s: %w", name, err)
				return
			}
			by = append(by, thing)
			whole = append(whole, factory.NewLiteral(next, types.String(thing)), a)
			next++
		}
		tool, amount, window := words[0], "", words[fixed-1]
		if fixed == 3 {
			if amount = words[1]; strings.Trim(amount, ". ") == "" {
				found = fmt.Errorf("total: the argument that is summed is missing: write %s", form)
				return
			}
		}
		m, err := governance.NewMeter(tool, amount, window, by...)
		if err != nil {
			found = fmt.Errorf("%s: %w", name, err)
			return
		}
		meters = append(meters, meter{Meter: m, words: append(words, by...)})
		x.SetKindCase(factory.NewCall(x.ID(), name, whole...))
	}))
	return meters, found
}

func literal(x ast.Expr) (string, bool) {
	if x.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := x.AsLiteral().(types.String)
	return string(s), ok
}

// countedBy names what an expression counts by.
func countedBy(x ast.Expr) (string, error) {
	for y := x; y.Kind() == ast.SelectKind; y = y.AsSelect().Operand() {
		if y.AsSelect().IsTestOnly() {
			return "", errors.New("has() is nothing to count by")
		}
	}
	switch p := path(x); {
	case p == "requester.id":
		return governance.ByRequester, nil
	case p == "conversation.id":
		return governance.ByConversation, nil
	case p == governance.ByWorkspace, p == governance.ByDomain:
		return p, nil
	case strings.HasPrefix(p, "args.") && !strings.Contains(p, ".."):
		return p, nil
	}
	return "", errors.New("calls are counted by requester.id, conversation.id, workspace, domain or args.<name>, as they stand")
}

// count is how many calls the meter counts, this one among them.
func (a *activation) count(_ string, args ...ref.Val) ref.Val {
	if a.in.Unsupplied.Ledger {
		return unsupplied("count")
	}
	t, err := a.tally(2, args)
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Int(t.Count)
}

// total is the sum of their amounts, in the amount's own unit.
func (a *activation) total(_ string, args ...ref.Val) ref.Val {
	if a.in.Unsupplied.Ledger {
		return unsupplied("total")
	}
	t, err := a.tally(3, args)
	if err != nil {
		return types.WrapErr(err)
	}
	units, err := t.Units()
	if err != nil {
		return types.WrapErr(err)
	}
	return types.Double(units)
}

func (a *activation) tally(fixed int, args []ref.Val) (governance.Tally, error) {
	for i := range a.meters {
		if a.meters[i].is(fixed, args) {
			return a.in.Tally(&a.meters[i].Meter)
		}
	}
	return governance.Tally{}, errors.New("the expression asks for something else than it was compiled for")
}

// is says whether evaluated arguments are those of this meter.
func (m *meter) is(fixed int, args []ref.Val) bool {
	if len(m.words) != fixed+(len(args)-fixed)/2 {
		return false
	}
	for i, word := range m.words {
		at := i
		if i >= fixed {
			at = fixed + 2*(i-fixed)
		}
		if have, ok := args[at].(types.String); !ok || string(have) != word {
			return false
		}
	}
	return true
}
