// Package governance decides about tool calls. It holds the words of the subject
// (Call, Facts, Verdict, Policy, Rule), reads and compiles policies into a Bundle,
// judges the calls of a turn with it, and owns what becomes of a call that was
// judged: holds, what is asked, what is released, the record.
//
// A decision is pure: same bundle, same facts, same verdict; no clock, no network,
// no model. The language of conditions is in governance/cel behind Evaluator. How
// calls look on the wire, who the requester is and which conversation a message
// belongs to are decided elsewhere and arrive here as facts.
package governance
