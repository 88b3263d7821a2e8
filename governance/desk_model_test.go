package governance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

type contextT = context.Context

func mapKeys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

func decodeRecord(t require.TestingT, b []byte) governance.Record {
	var r governance.Record
	require.NoError(t, json.Unmarshal(b, &r))
	return r
}

func decodeLine(b []byte) (r governance.Record) { _ = json.Unmarshal(b, &r); return r }
func decodeHold(b []byte) (h governance.Hold)   { _ = json.Unmarshal(b, &h); return h }

// deskModel is what the desk should do, written from the contract and kept in
// memory.
type deskModel struct {
	now    time.Duration
	policy map[string]governance.Verdict
	holds  []*modelHold
	may    map[string]bool // call ids that somebody or some policy let go
	// judge stands in the place of policy where verdicts depend on what went before:
	// on what was let go, and what the holds keep back but for those it excepts.
	judge func(turn []modelItem, except func(*modelHold) bool) []governance.Verdict
	gone  []modelGone
}

// modelGone is a call that was let go.
type modelGone struct {
	item modelItem
	at   time.Duration
}

type modelHold struct {
	id, place, transcript string
	print                 string // the transcript that the calls were proposed after
	state                 governance.State
	items                 []modelItem
	expires, closed       time.Duration
	ready                 bool
	said, key             string // the answer that released it
	delivered             bool
	question              int // the item whose reviewer waits for the requester, -1
}

type modelItem struct {
	tool, id   string
	verdict    governance.Verdict
	answer     string // the words of governance.Answer…
	escalation string // "", "pending", or how it was resolved by the reviewer
	life       time.Duration
	customer   string
	amount     int64
}

func newDeskModel() *deskModel {
	return &deskModel{policy: map[string]governance.Verdict{}, may: map[string]bool{}}
}

func life(v governance.Verdict) time.Duration {
	if v == governance.Escalate {
		return escalateLife
	}
	return confirmLife
}

func (h *modelHold) any(fn func(modelItem) bool) bool {
	for _, it := range h.items {
		if fn(it) {
			return true
		}
	}
	return false
}

func (i modelItem) goes() bool {
	return i.answer == "yes" || i.answer == "approve" || i.answer == "along"
}

func (h *modelHold) released() []string {
	var ids []string
	for _, it := range h.items {
		if it.goes() {
			ids = append(ids, it.id)
		}
	}
	return ids
}

func (m *deskModel) end(h *modelHold, s governance.State) {
	h.state, h.closed, h.ready, h.question = s, m.now, false, -1
	for i := range h.items {
		if h.items[i].escalation == "pending" {
			h.items[i].escalation = "over"
		}
	}
}

// expired ends a hold whose time is up, and says whether it is held no more.
func (m *deskModel) expired(h *modelHold) bool {
	if h.state == governance.StateHeld && m.now >= h.expires {
		m.end(h, governance.StateExpired)
	}
	return h.state != governance.StateHeld
}

func (m *deskModel) sweep() {
	for _, h := range m.holds {
		m.expired(h)
	}
}

func (m *deskModel) ask(calls []modelItem, place, transcript string) (free []string, claimed bool, hold *modelHold) {
	h := &modelHold{place: place, transcript: transcript, print: transcript, state: governance.StateHeld, question: -1}
	waits := false
	verdicts := m.verdicts(calls, func(other *modelHold) bool { return other.print == transcript })
	for i, c := range calls {
		c.verdict, c.life = verdicts[i], life(verdicts[i])
		switch c.verdict {
		case governance.Confirm, governance.Escalate:
			waits = true
			h.expires = max(h.expires, m.now+c.life)
		case governance.Allow:
			c.answer = "along"
		default:
			continue // said, not kept
		}
		if c.verdict == governance.Escalate {
			c.escalation = "pending"
		}
		h.items = append(h.items, c)
	}
	if !waits {
		for _, it := range h.items {
			free = append(free, it.id)
			m.letGo(it)
		}
		return free, false, nil
	}
	for _, other := range m.holds {
		if other.place != place || m.expired(other) {
			continue
		}
		if other.transcript != transcript {
			return nil, true, nil
		}
		m.end(other, governance.StateSuperseded)
	}
	m.holds = append(m.holds, h)
	return nil, false, h
}

type modelOutcome struct {
	result governance.Result
	repeat bool
	calls  []string
}

func said(a governance.Answer) string {
	switch {
	case a.Pickup:
		return "pickup"
	case a.Yes && len(a.Items) == 0:
		return "all"
	}
	return fmt.Sprint(a.Yes, a.Items)
}

func (m *deskModel) answer(h *modelHold, a governance.Answer) modelOutcome {
	if m.expired(h) {
		return m.late(h, a)
	}
	touched := 0
	if !a.Pickup {
		n := 0
		for i := range h.items {
			it := &h.items[i]
			if it.answer != "" || it.verdict != governance.Confirm {
				continue
			}
			n++
			named := len(a.Items) == 0
			for _, number := range a.Items {
				named = named || number == n
			}
			switch {
			case named && a.Yes:
				it.answer = "yes"
			case named || a.Yes:
				it.answer = "no"
			default:
				continue
			}
			touched++
		}
	}
	no := !a.Pickup && !a.Yes
	if touched == 0 && no && (len(a.Items) == 0 || h.ready) {
		m.end(h, governance.StateCancelled)
		return modelOutcome{result: governance.ResultDenied}
	}
	if touched == 0 && !h.ready {
		return modelOutcome{result: governance.ResultWaiting}
	}
	if h.any(func(i modelItem) bool { return i.answer == "" }) {
		if h.any(func(i modelItem) bool { return i.answer == "" && i.verdict == governance.Confirm }) {
			return modelOutcome{result: governance.ResultOpen}
		}
		return modelOutcome{result: governance.ResultWaiting}
	}
	if !h.any(modelItem.goes) {
		m.end(h, governance.StateDenied)
		return modelOutcome{result: governance.ResultDenied}
	}
	m.prolong(h) // all is answered: it is ready, be it for a moment
	return m.release(h, a)
}

// prolong gives a hold that is ready its whole time again.
func (m *deskModel) prolong(h *modelHold) {
	h.ready, h.question = true, -1
	for _, it := range h.items {
		h.expires = max(h.expires, m.now+it.life)
	}
}

// verdicts are what the policies say of calls.
func (m *deskModel) verdicts(calls []modelItem, except func(*modelHold) bool) []governance.Verdict {
	if m.judge != nil {
		return m.judge(calls, except)
	}
	var list []governance.Verdict
	for _, c := range calls {
		list = append(list, m.policy[c.tool])
	}
	return list
}

func (m *deskModel) letGo(it modelItem) {
	m.may[it.id] = true
	m.gone = append(m.gone, modelGone{it, m.now})
}

func (m *deskModel) release(h *modelHold, a governance.Answer) modelOutcome {
	var going []modelItem
	for _, it := range h.items {
		if it.goes() {
			going = append(going, it)
		}
	}
	verdicts := m.verdicts(going, func(other *modelHold) bool { return other == h })
	for i := range h.items {
		it := &h.items[i]
		if !it.goes() {
			continue
		}
		today := verdicts[0]
		verdicts = verdicts[1:]
		lifts := map[string]governance.Verdict{"yes": governance.Confirm, "approve": it.verdict, "along": governance.Allow}[it.answer]
		if today <= lifts && today != governance.Clarify {
			continue
		}
		it.verdict, it.escalation = today, ""
		switch today {
		case governance.Confirm, governance.Escalate:
			it.answer, it.life = "", life(today)
			h.expires = max(h.expires, m.now+it.life)
			if today == governance.Escalate {
				it.escalation = "pending"
			}
		default:
			it.answer = "policy"
		}
	}
	switch {
	case h.any(func(i modelItem) bool { return i.answer == "" }):
		h.ready = false
		return modelOutcome{result: governance.ResultChanged}
	case !h.any(modelItem.goes):
		m.end(h, governance.StateDenied)
		return modelOutcome{result: governance.ResultChanged}
	}
	m.end(h, governance.StateReleased)
	h.said, h.key = said(a), a.Key
	for _, it := range h.items {
		if it.goes() {
			m.letGo(it)
		}
	}
	return modelOutcome{result: governance.ResultReleased, calls: h.released()}
}

// late is what an answer hears after the end.
func (m *deskModel) late(h *modelHold, a governance.Answer) modelOutcome {
	if h.state != governance.StateReleased {
		return modelOutcome{result: governance.ResultOver}
	}
	same := said(a) == h.said || h.said == "pickup" && said(a) == "all"
	soon := m.now-h.closed <= machineReplay
	if same && (a.Key != "" && a.Key == h.key || soon && (a.Retry || !h.delivered)) {
		return modelOutcome{result: governance.ResultReleased, repeat: true}
	}
	return modelOutcome{result: governance.ResultAlready}
}

func (m *deskModel) supersede(h *modelHold) {
	asked := func(i modelItem) bool { return i.answer == "" && i.verdict == governance.Confirm }
	if m.expired(h) || !h.any(asked) {
		return
	}
	if !h.any(func(i modelItem) bool {
		return i.answer == "" && i.verdict == governance.Escalate || i.answer == "approve"
	}) {
		m.end(h, governance.StateSuperseded)
		return
	}
	for i := range h.items {
		if asked(h.items[i]) {
			h.items[i].answer = "passed"
		}
	}
	m.settle(h)
}

// settle is what follows when a reviewer, or nobody, answered the last call.
func (m *deskModel) settle(h *modelHold) {
	switch {
	case h.any(func(i modelItem) bool { return i.answer == "" }):
	case h.any(modelItem.goes):
		m.prolong(h)
	default:
		m.end(h, governance.StateDenied)
	}
}

func (m *deskModel) delivery(h *modelHold, whole bool) {
	if h.state == governance.StateReleased {
		h.delivered = h.delivered || whole
	}
}

func (m *deskModel) reply(h *modelHold) {
	if !m.expired(h) {
		h.question = -1
	}
}

// resolve answers whether the decision is taken.
func (m *deskModel) resolve(h *modelHold, at int, decision string) bool {
	it := &h.items[at]
	if it.escalation == decision {
		return true // once more
	}
	if m.expired(h) || it.escalation != "pending" {
		return false
	}
	words := map[string]string{governance.DecideAuto: "approve", governance.DecideHandoff: "handoff", governance.DecideAbstain: "decline"}
	switch decision {
	case governance.DecideEscalate:
		h.expires = max(h.expires, m.now+it.life)
		return true
	case governance.DecideClarify:
		if h.question >= 0 && h.question != at {
			return false
		}
		h.question = at
		return true
	case governance.DecideAutoComplete:
		for i := range h.items {
			other := &h.items[i]
			if other.answer != "" {
				continue
			}
			other.answer = "approve"
			if other.escalation == "pending" {
				other.escalation = decision
			}
		}
	default:
		it.answer, it.escalation = words[decision], decision
	}
	if h.question == at {
		h.question = -1
	}
	m.settle(h)
	return true
}
