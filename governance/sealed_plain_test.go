package governance

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is taken without the library is what the library makes of it, and nothing is taken that it refuses.
func FuzzPlainStringsAreWhatTheLibraryReads(f *testing.F) {
	for _, s := range []string{"", "<", ">", "&", "\"", "\"\"", "\"a\"", "\"a\"b\"", "\"a\\\"", "\"\\u0041\"", "\"<&>\"", "\"\x01\"", "\"\x7f\"", "\"\xff\"", "\"é\"", "null", "\"a", " \"a\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var want string
		failed := json.Unmarshal([]byte(raw), &want)
		got, err := unquote([]byte(raw))
		require.Equal(t, failed == nil, err == nil, raw)
		require.Equal(t, want, got)
		name, err := json.Marshal(raw)
		require.NoError(t, err)
		require.Equal(t, "{"+string(name), string(appendName([]byte("{"), raw)))
	})
}
