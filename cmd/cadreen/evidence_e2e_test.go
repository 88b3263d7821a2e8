package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
	"cadreen/store"
)

// A turn of text costs no document; one with calls costs one, under its trace.
func TestOneDocumentOfEvidencePerTurnWithCalls(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL})
		kept := func() []store.Doc {
			docs, err := p.main.engine.List(t.Context(), "shop", "evidence", store.Query{Index: "kept"})
			require.NoError(t, err)
			return docs
		}
		p.post(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`)
		require.Empty(t, kept())
		r := p.post(`{"model":"m","messages":[{"role":"user","content":"Refund order 456 for $750"}],"tools":[` + refundTool + `]}`)
		docs := kept()
		require.Len(t, docs, 1)
		var e governance.Evidence
		require.NoError(t, json.Unmarshal(docs[0].Value, &e))
		require.Equal(t, r.header.Get("X-Cadreen-Trace-Id"), e.TraceID)
		require.JSONEq(t, `{"order_id":"456","amount":750}`, string(e.Calls[0].Arguments))
		require.Equal(t, []string{"Refund order 456 for $750"}, e.Facts.UserTexts)
		// The answer judges nothing that was not proposed.
		p.post(`{"model":"m","messages":[{"role":"user","content":"Refund order 456 for $750"},{"role":"assistant","content":"I need your approval before I can process_refund.\n\nSay \"yes\" to proceed or \"no\" to skip."},{"role":"user","content":"yes"}],"tools":[` + refundTool + `]}`)
		require.Len(t, kept(), 1)
	})
}
