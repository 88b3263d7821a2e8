package governance

// Kind of a tool, guessed from its name, description and schema.
type Kind string

const (
	KindRead    Kind = "read"
	KindWrite   Kind = "write"
	KindUnknown Kind = "unknown"
)
