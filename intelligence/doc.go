// Package intelligence is the trace of a request: what was done, by which
// decision, what was not known and how long it took.
//
// What lives here: the Trace that a request carries while it is answered and
// that every room above writes to, its wire form in the profiles full, audit and
// lean, the Recorder that stores traces behind the answers, and what is asked of
// stored traces (lists, statistics, the handoff to a person). What does not: who
// may read them and HTTP (proxy), deciding again (governance), spans and metrics
// (proxy).
//
// A trace holds what was measured or decided and nothing else. No argument value
// and no text of a conversation is in it: of a call's arguments it has the names
// and kinds, and what clients may name freely goes through Redact.
package intelligence
