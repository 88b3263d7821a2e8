package fault

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
)

// Entry is one code of the catalogue.
type Entry struct {
	Code string `json:"code"`
	// Status is the HTTP status that the code is sent with.
	Status int `json:"status"`
	// Type is one of invalid_request, authentication_error, permission_error, not_found, conflict, validation_error,
	// rate_limit, internal_error and service_unavailable.
	Type string `json:"type"`
	// Subsystem is the part of Cadreen that raises the code.
	Subsystem string `json:"subsystem"`
	// Served is false for codes that this version does not send; most belong to subsystems that it does not have yet.
	Served bool `json:"served"`
	// Message is what a client reads when the place that raised the fault had nothing more exact to say.
	Message string `json:"message"`
	// Hint says how to mend it.
	Hint string `json:"hint"`
	// Next is what the caller should do next.
	Next NextAction `json:"next_action"`
}

// NextAction is what a caller should do next.
type NextAction struct {
	Type     string `json:"type"`
	Label    string `json:"label"`
	Endpoint string `json:"endpoint,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// Anchor is the fragment of the code's paragraph on the errors page: err-<code>.
func (e Entry) Anchor() string { return "err-" + e.Code }

// Catalogue returns a copy of all entries, in the order of the errors page.
func Catalogue() []Entry { return slices.Clone(entries) }

// Lookup finds the entry of a code.
func Lookup(code string) (Entry, bool) {
	i, ok := byCode[code]
	if !ok {
		return Entry{}, false
	}
	return entries[i], true
}

//go:embed catalogue.json
var catalogueJSON []byte

var (
	entries = readCatalogue()
	byCode  = indexByCode(entries)
)

func readCatalogue() []Entry {
	var list []Entry
	if err := json.Unmarshal(catalogueJSON, &list); err != nil {
		panic(fmt.Sprintf("fault: catalogue.json: %v", err))
	}
	return list
}

func indexByCode(list []Entry) map[string]int {
	index := make(map[string]int, len(list))
	for i, e := range list {
		index[e.Code] = i
	}
	return index
}

// forStatus is the general entry of an HTTP status, for faults whose code comes from an upstream and is not in the catalogue.
func forStatus(status int) Entry {
	code := InternalError
	switch {
	case status == 401:
		code = Unauthorized
	case status == 403:
		code = Forbidden
	case status == 404:
		code = NotFound
	case status == 429:
		code = RateLimit
	case status >= 400 && status < 500:
		code = InvalidRequest
	case status == 502 || status == 503 || status == 504:
		code = ServiceUnavailable
	}
	return entries[byCode[code]]
}
