package governance

// Analyzer is what an Evaluator may offer beside Compile, for those that look at
// rules before they decide anything: check, lint, read-back and explain.
type Analyzer interface {
	// Constant says whether an expression that compiles always has one value.
	Constant(expr string) (value, constant bool)
	// Parse answers an expression as a tree. The error is that of Compile without
	// a schema.
	Parse(expr string) (*Expr, error)
	// Trace evaluates an expression for one call, as the program of the same
	// schema does, and keeps the value of every part. The error is that of
	// Compile; an evaluation that errs is in the steps.
	Trace(expr string, schema []byte, in *Input) (*Step, error)
}

// ExprKind says what a node of an expression is.
type ExprKind uint8

const (
	ExprLiteral ExprKind = iota + 1 // Value
	ExprPath                        // Path: args.amount is [args amount]
	ExprCall                        // Name and Operands: operators, functions and loops
	ExprList                        // Operands
	ExprMap                         // Operands: key, value, key, value …
	ExprOther                       // what rules hardly use; Text says what it is
)

// Expr is a node of an expression as it was written, macros not unfolded.
type Expr struct {
	Kind ExprKind
	// Name of a call. Operators have the names they are written with: && || ! == != <
	// <= > >= + - * / % in ?: [] and, for a minus before one operand, neg. A method's
	// target is its first operand. Loops (all, exists, exists_one, filter, map) have
	// the list, the variable and the body as operands.
	Name string
	// Path are the names of a selection. Indexes by a fixed text are selections.
	Path []string
	// Optional: the path is read with ?. and may be missing.
	Optional bool
	// Value of a literal: nil, bool, int64, uint64, float64 or string.
	Value    any
	Operands []*Expr
	Text     string // as CEL
}

// Walk calls visit for a node and everything below it, from above to below; below
// a node for which it answers false it does not go.
func (x *Expr) Walk(visit func(*Expr) bool) {
	if x == nil || !visit(x) {
		return
	}
	for _, o := range x.Operands {
		o.Walk(visit)
	}
}

// IsArgument says whether a node is an argument of the call, or a member of one.
func (x *Expr) IsArgument() bool {
	return x.Kind == ExprPath && len(x.Path) > 1 && x.Path[0] == "args"
}

// Step is one part of an expression with the value it had.
type Step struct {
	Text string `json:"text"`
	// Reached says that the part was evaluated; what && and || leave out is not.
	Reached bool `json:"reached"`
	// Value is nil, bool, int64, uint64, float64, string, []any or map[string]any.
	Value any     `json:"value,omitempty"`
	Error string  `json:"error,omitempty"`
	Steps []*Step `json:"steps,omitempty"`
}
