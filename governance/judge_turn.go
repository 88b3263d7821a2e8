package governance

import "maps"

// judgeTurn judges the calls of a reply: those of each choice together, in order.
// In a choice that holds some of its calls, those that go out without the others
// are judged without them. What goes out of one choice, or is kept back for it, is
// in the ledger for the next: choices are alternatives, but nobody keeps a client
// from taking two.
func judgeTurn(judge Decider, facts Facts, calls []Call, releaseAllowed bool) []CallDecision {
	decisions := make([]CallDecision, len(calls))
	asked := false
	for _, choice := range choicesOf(calls) {
		at, some := ofChoice(calls, choice)
		holds := false
		for j, cd := range judge.Decide(facts, some) {
			decisions[at[j]] = cd
			holds = holds || cd.holds()
		}
		asks := holds && !asked
		asked = asked || asks
		if holds && (!asks || releaseAllowed) {
			judgeAlone(judge, facts, calls, at, decisions)
		}
		facts.Ledger = ledgerAfter(judge, &facts, calls, at, func(i int) bool {
			return decisions[i].Verdict == Allow || asks && decisions[i].holds()
		})
	}
	return decisions
}

// ledgerAfter are the readings where those of the calls count too that go.
func ledgerAfter(judge Decider, f *Facts, calls []Call, at []int, goes func(i int) bool) map[string]Tally {
	if len(f.Ledger) == 0 || len(at) == len(calls) {
		return f.Ledger
	}
	after := maps.Clone(f.Ledger)
	for _, i := range at {
		if !goes(i) {
			continue
		}
		for _, e := range postings(judge, f, calls[i]) {
			if t, read := after[e.account]; read {
				t.Add(1, e.micro)
				after[e.account] = t
			}
		}
	}
	return after
}

// judgeAlone judges the allowed calls of a choice again without the others, where
// they go out and the others do not: a call that is allowed only because another
// goes before it stays with that one.
func judgeAlone(judge Decider, facts Facts, calls []Call, at []int, decisions []CallDecision) {
	for changed := true; changed; {
		changed = false
		var alone []int
		var allowed []Call
		for _, i := range at {
			if decisions[i].Verdict == Allow {
				alone, allowed = append(alone, i), append(allowed, calls[i])
			}
		}
		for j, cd := range judge.Decide(facts, allowed) {
			if cd.Verdict != Allow {
				decisions[alone[j]], changed = cd, true
			}
		}
	}
}

// holds says that the call waits for somebody.
func (d *CallDecision) holds() bool { return d.Verdict == Confirm || d.Verdict == Escalate }

// ofChoice are the calls of a choice, with their positions.
func ofChoice(calls []Call, choice int) (at []int, some []Call) {
	for i, c := range calls {
		if c.Choice == choice {
			at, some = append(at, i), append(some, c)
		}
	}
	return at, some
}

// GateOf is the gate that these decisions come to: that of a Plan.
func GateOf(calls []Call, decisions []CallDecision) Gate {
	gate, free := GateOK, false
	for i := range decisions {
		free = free || decisions[i].Verdict == Allow
		gate = strictest(gate, decisions[i].Verdict.Gate())
	}
	for _, choice := range choicesOf(calls) {
		at, _ := ofChoice(calls, choice)
		held := GateOK
		for _, i := range at {
			switch {
			case decisions[i].Verdict == Confirm:
				return GateNeedsInput
			case decisions[i].Verdict == Escalate:
				held = GateEscalate
			}
		}
		if held != GateOK {
			return held
		}
	}
	if free {
		return GateOK
	}
	return gate
}
