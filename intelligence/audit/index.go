package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"cadreen/store"
)

// The records of one execution are found through pages: a page is a document beside
// a link, listed under every id that its records name.
const (
	kindPage = "audit_page"
	pageOf   = "of"  // by id, ordered by the first record
	pageAll  = "all" // all of them
)

// span is what a page says: where its records stand.
type span struct {
	From int64 `json:"from"`
	To   int64 `json:"to"`
}

type pageIndex struct {
	from int64
	ids  map[string]bool
}

func newIndex() *pageIndex { return &pageIndex{ids: map[string]bool{}} }

// add takes the ids of a record, unless there is no room for them.
func (p *pageIndex) add(value []byte) bool {
	var r named
	if json.Unmarshal(value, &r, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) != nil {
		return true // it is sealed and found by its number only
	}
	var fresh []string
	for _, id := range r.ids() {
		if !p.ids[id] {
			fresh = append(fresh, id)
		}
	}
	if len(p.ids)+len(fresh) >= store.MaxIndexes {
		return false
	}
	for _, id := range fresh {
		p.ids[id] = true
	}
	return true
}

func (p *pageIndex) put(l Link) store.Put {
	index := []store.Index{{Name: pageAll, Score: l.From}}
	for _, id := range slices.Sorted(maps.Keys(p.ids)) {
		index = append(index, store.Index{Name: pageOf, Key: id, Score: l.From})
	}
	return store.Put{Doc: store.Doc{Kind: kindPage, ID: fmt.Sprintf("%s-%d", l.Writer, l.N), Index: index,
		Value: fmt.Appendf(nil, `{"from":%d,"to":%d}`, l.From, l.end())}}
}
