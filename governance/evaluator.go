package governance

import (
	"errors"
	"slices"
)

// Evaluator compiles conditions. governance/cel implements it.
type Evaluator interface {
	// Compile type-checks one expression. schema is the JSON Schema of the
	// tool's arguments, nil when unknown (args is then dynamic): with a schema a
	// misspelt argument is an error that names the right one. The static cost
	// limit is applied here. The result is safe for concurrent use.
	Compile(expr string, schema []byte) (Program, error)
}

// Program is one compiled condition.
type Program interface {
	// Eval answers the condition for one call. Anything but a clean true or
	// false (missing key, wrong type, over cost, unknown) is an error.
	Eval(in *Input) (bool, error)
	// Reads says what it may look at beside the call; where no condition does,
	// it need not be loaded.
	Reads() Reads
}

// Reads are the parts of Facts that are loaded on demand.
type Reads struct {
	Released bool    // Facts.Released
	Results  bool    // Facts.Results, and with them Facts.Released
	Meters   []Meter // what is asked of Facts.Ledger
}

// join adds what another condition reads.
func (r *Reads) join(o Reads) {
	r.Released = r.Released || o.Released || o.Results
	r.Results = r.Results || o.Results
	for _, m := range o.Meters {
		key := m.key()
		if !slices.ContainsFunc(r.Meters, func(have Meter) bool { return have.key() == key }) {
			r.Meters = append(r.Meters, m)
		}
	}
}

// Input is what one evaluation reads. Building it is cheap: what a condition does
// not ask for is not built. It is not to be kept after Eval.
type Input struct {
	Facts  *Facts
	Call   *Call
	Args   *Arguments
	Config map[string]any
	Index  int // position of the call in the turn, from 0
	Count  int // calls in the turn
	// Provisional are the calls of this turn judged before this one that go out, at
	// once or when they are lifted: not those that are blocked or ask for a fact.
	Provisional []Released
	// Scratch is the evaluator's own. It starts nil with every call and is kept
	// from one condition of the call to the next; evaluations of one Input never
	// run at the same time.
	Scratch any
	// Turn is the evaluator's own too, shared by all calls of one Decide.
	Turn *Scratchpad
	// Unsupplied are facts that nobody gave: a condition that depends on one
	// answers ErrUnsupplied. Decisions are made with none of them set.
	Unsupplied Unsupplied
}

// Unsupplied says which facts an action is looked at without.
type Unsupplied struct {
	Arguments    bool // the arguments of the call
	Words        bool // the requester's own words
	Conversation bool // what was called before, and what it gave
	Ledger       bool // what was counted before
}

// ErrUnsupplied says that a condition depends on what nobody gave.
var ErrUnsupplied = errors.New("it depends on something that was not given")

// Scratchpad lets an evaluator keep what it built from the facts of a turn.
type Scratchpad struct{ Value any }
