package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What a request offered is known to the workspace of its key, and to no other.
func TestOfferedToolsAreSeen(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL})
		p.post(`{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[` + refundTool + `]}`)
		awaitTrue(t, "the tool is seen", func() bool {
			tools, err := p.main.seen.Tools(t.Context(), "shop")
			require.NoError(t, err)
			return len(tools) == 1 && tools[0].Name == "process_refund"
		})
		tools, err := p.main.seen.Tools(t.Context(), "elsewhere")
		require.NoError(t, err)
		require.Empty(t, tools)
	})
}
