package intelligence

import (
	"encoding/json"

	"github.com/oklog/ulid/v2"

	"cadreen/store"
)

// mostDomains is how many domains an hour counts by name, for each key: clients
// name them freely.
const mostDomains = 100

// otherDomains counts the rest.
const otherDomains = "(other)"

// mostKeys is how many keys one document counts; the next one begins another.
const mostKeys = 1000

// hour is counts of one hour. Each writer has its own, and begins another when
// it likes: what an hour came to is the sum of all.
type hour struct {
	id    string
	Start int64              `json:"start"` // unix seconds
	All   counts             `json:"all"`
	Keys  map[string]*counts `json:"keys"`
}

type counts struct {
	Traces    int               `json:"traces"`
	Decisions map[string]int    `json:"decisions,omitempty"`
	Judged    int               `json:"judged,omitempty"` // traces with calls or gaps
	Gaps      int               `json:"gaps,omitempty"`   // of them with a gap
	Domains   map[string]*means `json:"domains,omitempty"`
}

// means is what an average of confidences is made from.
type means struct {
	N   int     `json:"n"`
	Sum float64 `json:"sum"`
}

func newHour(start int64) *hour {
	return &hour{id: "hour_" + ulid.Make().String(), Start: start, Keys: map[string]*counts{}}
}

// full says that the next trace of this key belongs to another document.
func (h *hour) full(key string) bool { return len(h.Keys) >= mostKeys && h.Keys[key] == nil }

func (h *hour) add(e *Entry) {
	h.All.add(e)
	of := h.Keys[e.Key]
	if of == nil {
		of = new(counts)
		h.Keys[e.Key] = of
	}
	of.add(e)
}

func (c *counts) add(e *Entry) {
	c.Traces++
	if d := e.Decision(); d != "" && (e.Judged || e.Answer != "") {
		if c.Decisions == nil {
			c.Decisions = map[string]int{}
		}
		c.Decisions[d]++
	}
	if len(e.Calls)+len(e.Gaps) > 0 {
		c.Judged++
		if detected, _ := e.gaps(); detected > 0 {
			c.Gaps++
		}
	}
	if confidence, ok := e.confidence(); ok {
		c.domain(e.Domain).add(means{1, confidence})
	}
}

func (c *counts) domain(name string) *means {
	if c.Domains == nil {
		c.Domains = map[string]*means{}
	}
	m := c.Domains[name]
	if m == nil {
		if len(c.Domains) >= mostDomains {
			name = otherDomains
		}
		if m = c.Domains[name]; m == nil {
			m = new(means)
			c.Domains[name] = m
		}
	}
	return m
}

func (m *means) add(o means) { m.N, m.Sum = m.N+o.N, m.Sum+o.Sum }

// sum adds the counts of another hour or writer.
func (c *counts) sum(o *counts) {
	c.Traces, c.Judged, c.Gaps = c.Traces+o.Traces, c.Judged+o.Judged, c.Gaps+o.Gaps
	for word, n := range o.Decisions {
		if c.Decisions == nil {
			c.Decisions = map[string]int{}
		}
		c.Decisions[word] += n
	}
	for name, m := range o.Domains {
		c.domain(name).add(*m)
	}
}

// put is the step that stores the counts as they are now.
func (h *hour) put() (store.Op, error) {
	value, err := json.Marshal(h)
	return store.Put{Doc: store.Doc{Kind: kindHour, ID: h.id, Value: value,
		Index: []store.Index{{Name: indexAt, Score: h.Start * 1000}}}}, err
}
