// Package policies keeps the policies of workspaces: how they are sent in, what
// they compile to, their versions, which of them enforces, and the bundle that
// decides in a workspace now.
//
// The life of a policy: a draft is made and compiled, its examples run; one exact
// version is confirmed and enforces; it is replaced, rolled back or retired. A
// version never changes. Policies in files apply to every workspace beside these.
//
// What does not live here: what a rule says of a call (governance), what a sentence
// means (governance/rule, behind Compiler), and how a policy looks on the wire
// (proxy/api).
package policies
