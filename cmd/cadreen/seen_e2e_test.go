package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a request offered is known to the workspace of its key, and to no other.
func TestOfferedToolsAreSeen(t *testing.T) {
	onBothStores(t, func(t *testing.T, storeURL string) {
		p := start(t, setup{store: storeURL})
		p.post(`{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[` + refundTool + `]}`)
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			tools, err := p.main.seen.Tools(t.Context(), "shop")
			require.NoError(t, err)
			if len(tools) == 1 && tools[0].Name == "process_refund" {
				break
			}
			require.True(t, time.Now().Before(deadline))
		}
		tools, err := p.main.seen.Tools(t.Context(), "elsewhere")
		require.NoError(t, err)
		require.Empty(t, tools)
	})
}
