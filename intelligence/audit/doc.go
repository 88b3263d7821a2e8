// Package audit makes the records of a store tamper-evident, and answers questions
// about them.
//
// What lives here: the chain, its check, and the listing, timing, counting and
// export of records. What does not: making records (governance, proxy/keys), HTTP
// (proxy/api), and the bytes that a record speaks of: a record holds digests of
// arguments, the arguments themselves lie in documents that can be erased.
//
// # The chain
//
// A record is appended to a log of its workspace in the same Commit as what it
// tells of (a decision, an answer, a release, a change of a policy or a key). That
// commit knows nothing of the chain: many requests of many replicas commit side by
// side, and nobody waits for a head.
//
// Behind them a Writer, one in each process, seals. It reads the records that no
// link covers yet and appends one Link to the log ChainLog of the workspace, with
//   - the digest of every record it covers: its number, its time and its bytes,
//   - the hash of the writer's own link before it (the first has none),
//   - the heads of other writers, as far as they moved since it last said so; once
//     a minute the heads of all workspaces stand in the chain of store.System, and
//     the head of store.System in those of the workspaces.
//
// An Append needs no condition, so writers do not fight over a head: each has its
// own chain, and all chains of a workspace stand in one log. Two writers may seal
// the same record at the same moment; then two links vouch for it.
//
// # When a record is in the chain
//
// Not in the moment it is durable, but soon after, and provably: a Writer seals
// what its process committed after Options.Delay (200 ms), many records with one
// link, and what others left behind (a process that was killed, a command) after
// Options.Adopt (5 s). Until then an edit could go into the chain unseen, with one
// exception: a Writer remembers the digests of what its own process committed. What
// it does not find in the log as it committed it, it says so in its next link, as
// Lost, and the check of the chain fails from then on. So the gap is open for the
// last 200 ms of a killed process, and for no longer.
//
// # Beginnings and ends
//
// A Writer is new with every start of a process: its chain begins with link 1, in
// which the heads of the others stand as it found them. The chain of a process that
// ended or was killed just ends; whoever comes next covers what it left unsealed
// and notes its head. Where the outcome of an append is unknown (the store went
// away) the Writer ends its chain and begins another one, so that no link number
// can be given out twice.
//
// # What is found, and what is not
//
// An edited, reordered, removed or inserted record or link is found, also at the
// tail, as long as anything that was written later, or a process that still runs,
// or a head that was kept outside (of a check, an export or the program's log) tells of what is missing. Two things cannot be found from the store alone:
// that all of it was set back to an earlier state while no process ran, and that
// somebody who may write to the store made all chains anew from some point on: a
// hash is not a signature. Both are found by a head that was kept elsewhere. A link
// that was appended with a claim of retention is taken for what it claims; the check
// reports it.
package audit
