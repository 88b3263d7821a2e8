package main

import "cadreen/governance"

type policySchemaCommand struct {
	Of string `arg:"" enum:"policy,cases" help:"policy or cases: the kind of file."`
}

// Run prints the JSON Schema of a kind of file, for editors.
func (c policySchemaCommand) Run(p program) error {
	text := governance.PolicySchema
	if c.Of == "cases" {
		text = governance.CaseSchema
	}
	_, err := p.Stdout.Write(text)
	return err
}
