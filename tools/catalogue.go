// Package tools knows what may be called: the catalogue of tools that a request
// offers, and the memory of what a workspace's requests offered.
//
// What does not live here: whether a call may go out (governance), and how a
// tool is spelled on the wire (proxy/openai). Tools that run on the server do
// not exist in this version.
package tools

import "cadreen/governance"

// Types of tools that go back to the client to be run, and so pass the gate.
const (
	TypeFunction = "function"
	TypeCustom   = "custom"
)

// Catalogue is what one request offers.
type Catalogue struct {
	byName map[string]governance.Tool
	hosted []string
}

// Hosted says whether tools of this type are run by the model's provider: no gate
// can hold their calls.
func Hosted(kind string) bool { return kind != TypeFunction && kind != TypeCustom }

// Offer adds a tool.
func (c *Catalogue) Offer(t governance.Tool) {
	if Hosted(t.Type) {
		c.hosted = append(c.hosted, t.Type)
		return
	}
	if c.byName == nil {
		c.byName = map[string]governance.Tool{}
	}
	c.byName[t.Name] = t
}

// ByName are the tools that the client runs, by name.
func (c *Catalogue) ByName() map[string]governance.Tool { return c.byName }

// Hosted are the types of the tools that the provider runs, in the order they
// were offered.
func (c *Catalogue) Hosted() []string { return c.hosted }
