package governance

import _ "embed"

// CaseSchema is the JSON Schema of files of decision cases, for editors.
//
//go:embed cases.schema.json
var CaseSchema []byte

// PolicySchema is the JSON Schema of policy files, for editors. What an expression
// means, and which fields go together, only loading can tell.
//
//go:embed policy.schema.json
var PolicySchema []byte
