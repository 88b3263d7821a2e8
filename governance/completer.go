package governance

import "context"

// Completer is a model that helps to write rules. It never judges a call, and what
// it writes is a proposal: it is checked like anything from outside, and nothing
// becomes of it until somebody confirms it. proxy/backend implements it.
type Completer interface {
	// Complete asks once and answers the text of the reply as it came. The model is
	// asked to keep to the JSON Schema, which servers may ignore: the text may be
	// anything. An error means that there is no reply.
	Complete(ctx context.Context, q Completion) (string, error)
}

// Completion is one question to a model.
type Completion struct {
	Instructions string // what it is to do; ours alone
	Input        string // what it is to do it with; written by others
	Name         string // of the schema: letters and _
	Schema       []byte // JSON Schema of the reply
}
