package cel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/governance/cel"
)

func evaluator(t testing.TB) *cel.Evaluator {
	e, err := cel.New()
	require.NoError(t, err)
	return e
}

// evalWith compiles and evaluates one condition over arguments as they are written.
func evalWith(t testing.TB, expr, schema, args string, change func(*governance.Input)) (bool, error) {
	t.Helper()
	var raw []byte
	if schema != "" {
		raw = []byte(schema)
	}
	p, err := evaluator(t).Compile(expr, raw)
	require.NoError(t, err, expr)
	call := governance.Call{ID: "call_1", Name: "process_refund", Form: governance.FormFunction, Arguments: args}
	decoded, err := governance.ReadArguments(call)
	require.NoError(t, err)
	in := &governance.Input{Facts: &governance.Facts{Workspace: "w", Now: time.Date(2026, 1, 2, 16, 30, 0, 0, time.UTC)}, Call: &call, Args: decoded,
		Config: map[string]any{"limit": int64(500)}, Count: 1}
	if change != nil {
		change(in)
	}
	return p.Eval(in)
}

// Each row is a line of the policy-language traps: true, false or "err".
func TestPolicyLanguageTraps(t *testing.T) {
	const schema = `{"type":"object","properties":{"amount":{"type":"number"},"id":{"type":"integer"},"note":{"type":"string"},
		"tags":{"type":"array","items":{"type":"string"}},"to":{"type":"object","properties":{"name":{"type":"string"}}}}}`
	for _, c := range []struct{ name, expr, schema, args, want string }{
		{"a string amount is not compared with a number", `args.amount > 500`, "", `{"amount":"750"}`, "err"},
		{"a string amount is not compared with a number, typed", `args.amount > 500`, schema, `{"amount":"750"}`, "err"},
		{"a string amount is not equal either, typed", `args.amount == 750`, schema, `{"amount":"750"}`, "err"},
		{"a missing key is an error", `args.amount > 500`, "", `{}`, "err"},
		{"a missing key is an error, typed", `args.amount > 500`, schema, `{}`, "err"},
		{"errors are absorbed by or", `args.amount > 500 || true`, "", `{}`, "true"},
		{"errors are absorbed by and", `args.amount > 500 && false`, "", `{}`, "false"},
		{"errors are not absorbed by the other side", `args.amount > 500 || false`, "", `{}`, "err"},
		{"null is not compared", `args.amount > 500`, "", `{"amount":null}`, "err"},
		{"null is not compared, typed", `args.amount == 500`, schema, `{"amount":null}`, "err"},
		{"an int literal compares with a double", `args.amount > 500`, "", `{"amount":500.5}`, "true"},
		{"an int literal equals a double", `args.amount == 500`, "", `{"amount":500.0}`, "true"},
		{"a double literal compares with an int", `args.amount > 499.5`, schema, `{"amount":500}`, "true"},
		{"9007199254740993 is not 9007199254740992", `args.id == 9007199254740992`, "", `{"id":9007199254740993}`, "false"},
		{"9007199254740993 is not 9007199254740992, typed", `args.id == 9007199254740992`, schema, `{"id":9007199254740993}`, "false"},
		{"9007199254740993 is itself", `args.id == 9007199254740993`, schema, `{"id":9007199254740993}`, "true"},
		{"a number too long for a double is an error to use", `args.amount > 1.0`, "", `{"amount":9007199254740993.25}`, "err"},
		{"a number too long for a double is an error to use, typed", `args.amount > 1.0`, schema, `{"amount":1e400}`, "err"},
		{"20 digits keep their value", `args.id == 12345678901234567890u`, "", `{"id":12345678901234567890}`, "true"},
		{"an integral decimal is an integer", `args.id % 2 == 0`, schema, `{"id":10.0}`, "true"},
		{"a fraction is no integer", `args.id > 1`, schema, `{"id":10.5}`, "err"},
		{"a list where a string belongs is an error", `args.note == "x"`, schema, `{"note":["x"]}`, "err"},
		{"a list of other things is an error", `args.tags.exists(t, t == "x")`, schema, `{"tags":["y",["x"]]}`, "err"},
		{"an object where a list belongs is an error", `args.tags.exists(t, t == "x")`, schema, `{"tags":{"x":1}}`, "err"},
		{"a string where an object belongs is an error", `args.to.name == "x"`, schema, `{"to":"x"}`, "err"},
		{"has of a missing key is false", `has(args.note)`, schema, `{}`, "false"},
		{"nested access", `args.to.name == "x"`, schema, `{"to":{"name":"x"}}`, "true"},
		{"index spelling", `args["to"]["name"] == "x"`, schema, `{"to":{"name":"x"}}`, "true"},
		{"optional selection", `args.?note.orValue("none") == "none"`, schema, `{}`, "true"},
		{"the whole of args", `"note" in args`, schema, `{"note":"x"}`, "true"},
		{"config", `args.amount > config.limit`, schema, `{"amount":500.01}`, "true"},
		{"a condition that is no bool", `args.note`, "", `{"note":"true"}`, "err"},
		{"an object of the environment is no value", `call == call`, "", `{}`, "err"},
		{"regular expressions", `args.note.matches("^a+$")`, schema, `{"note":"aaa"}`, "true"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := evalWith(t, c.expr, c.schema, c.args, nil)
			if c.want == "err" {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want == "true", got)
		})
	}
}

func TestMisspeltArgumentNamesTheRightOne(t *testing.T) {
	schema := []byte(`{"type":"object","properties":{"amount":{"type":"number"},"order_id":{"type":"string"},"customer":{"type":"object","properties":{"email":{"type":"string"}}}}}`)
	for expr, want := range map[string]string{
		`args.ammount > 5`:                      "did you mean amount?",
		`args["ordr_id"] == "4"`:                "did you mean order_id?",
		`args.customer.emial == "x"`:            "args.customer.emial: the tool has no such argument; did you mean email?",
		`has(args.ammount) && args.ammount > 5`: "did you mean amount?",
		`args.zzz == 5`:                         "it has [amount customer order_id]",
		`args.order_id > 5`:                     "no matching overload",
		`args.order_id`:                         "a condition is true or false",
		`amount > 5`:                            "undeclared reference to 'amount'",
		`calld("x")`:                            "undeclared reference to 'calld'",
		`in_hours("Europe/Belrin", "9-17")`:     "unknown time zone",
		`in_hours("Europe/Berlin", "9 to 17")`:  "are no hours",
		`args.order_id.matches("(")`:            "missing closing )",
		`from_user("x")`:                        "fixed value",
		``:                                      "empty",
		`args.amount >`:                         "Syntax error",
		`call.nme == "x"`:                       "undefined field 'nme'",
	} {
		_, err := evaluator(t).Compile(expr, schema)
		require.ErrorContains(t, err, want, expr)
	}
	// A rule for many tools may ask whether this one has such an argument.
	got, err := evalWith(t, `has(args.url) && args.url.contains("internal")`, string(schema), `{"amount":1}`, nil)
	require.NoError(t, err)
	require.False(t, got)
}

func TestLoopsThatCouldCostTooMuchDoNotCompile(t *testing.T) {
	e := evaluator(t)
	_, err := e.Compile(`args.a.all(x, x > 1)`, nil)
	require.NoError(t, err)
	_, err = e.Compile(`args.a.all(x, args.b.all(y, args.c.all(z, args.d.all(w, x + y + z + w > 1))))`, nil)
	require.ErrorContains(t, err, "could cost")
}

func TestAnEvaluationThatCostsTooMuchIsStopped(t *testing.T) {
	list := "[" + strings.TrimSuffix(strings.Repeat("1,", 2000), ",") + "]"
	_, err := evalWith(t, `args.a.all(x, args.a.all(y, x == y))`, "", `{"a":`+list+`}`, nil)
	require.ErrorContains(t, err, "cost limit")
}
