package governance

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Fact is something that a condition asked for and that is not there: that a
// tool was called, or what it gave.
type Fact struct {
	Tool   string
	Result bool   // its result, not just that it was called
	With   string // the arguments that were asked for, in words; "" for any
}

// String names the fact for the requester.
func (f Fact) String() string {
	text := "a call of " + f.Tool
	if f.Result {
		text = "the result of " + f.Tool
	}
	if f.With != "" {
		text += " with " + f.With
	}
	return text
}

// MissingFacts is the error of a condition whose value depends on facts that are
// not there. The rule then asks for the first of them.
type MissingFacts struct {
	Facts []Fact // at least one
	// Residual is what is left of the condition where all that is known is put in.
	Residual string
}

// Error implements error.
func (m *MissingFacts) Error() string {
	var list []string
	for _, f := range m.Facts {
		list = append(list, f.String())
	}
	return "it depends on " + strings.Join(list, " and on ") + ": " + m.Residual
}

// Absentee is what a Program may offer beside Eval.
type Absentee interface {
	// Absent lists the facts that the last Eval of this input asked for in vain.
	Absent(in *Input) []Fact
}

// Value is the text of a result as conditions see it: what it says as JSON, with
// numbers as in Arguments, else the text itself.
func (r *ToolResult) Value() any {
	text := strings.TrimSpace(r.Text)
	if text == "" || !jsontext.Value(text).IsValid() {
		return r.Text
	}
	args, err := ReadArguments(Call{Arguments: `{"value":` + text + `}`})
	if err != nil {
		return r.Text // nested too deep
	}
	value, _ := args.Get("value")
	return value
}
