package governance

import "time"

// MaxReplayChanges is how many changed decisions a Replay lists; all are counted.
const MaxReplayChanges = 1000

// Replay is what recorded decisions would be under other policies. The zero value
// is an empty one.
type Replay struct {
	Turns, Calls int
	Changed      int
	// CannotTell counts the calls that nobody can judge again, by the reason.
	CannotTell map[string]int
	// Table counts the others: by the verdict of then, by the one that it would be.
	Table map[Verdict]map[Verdict]int
	// Changes are the newest that would be decided otherwise.
	Changes  []ReplayChange
	From, To time.Time // of the decisions; zero if there are none
}

// ReplayChange is a recorded decision that would be another one.
type ReplayChange struct {
	TraceID string
	At      time.Time
	Before  Verdict
	After   CallDecision
}

// Add judges one record again. Records are added newest first.
func (r *Replay) Add(e *Evidence, judge Decider) {
	if r.Turns++; r.Turns == 1 {
		r.To = e.Created
		r.CannotTell, r.Table = map[string]int{}, map[Verdict]map[Verdict]int{}
	}
	r.From = e.Created
	for _, c := range e.Redecide(judge) {
		r.Calls++
		if c.CannotTell != "" {
			r.CannotTell[c.CannotTell]++
			continue
		}
		if r.Table[c.Before] == nil {
			r.Table[c.Before] = map[Verdict]int{}
		}
		r.Table[c.Before][c.After.Verdict]++
		if !c.Changed() {
			continue
		}
		if r.Changed++; len(r.Changes) < MaxReplayChanges {
			r.Changes = append(r.Changes, ReplayChange{TraceID: e.TraceID, At: e.Created, Before: c.Before, After: c.After})
		}
	}
}

// Verdicts are all verdicts, the mildest first.
var Verdicts = []Verdict{Allow, Clarify, Confirm, Escalate, Block}
