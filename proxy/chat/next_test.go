package chat

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"cadreen/fault"
)

// What is written by hand reads as what the library writes, whatever the members hold.
func TestNextActionIsWrittenAsItsJSON(t *testing.T) {
	for _, n := range []fault.NextAction{
		{},
		{Type: "none", Label: "Nothing to do"},
		{Type: "retry", Label: `say "yes" \ <b>&`, Endpoint: "http://h/v1?a=1&b=<2>", Reason: "line\nbreak\u2028\x00\x7f é\xff"},
	} {
		var want, got map[string]any
		b, err := json.Marshal(n)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &want))
		require.NoError(t, json.Unmarshal(appendNext(nil, n), &got))
		require.Equal(t, want, got)
	}
}
