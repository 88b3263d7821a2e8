package chat

import (
	"testing"

	"github.com/stretchr/testify/require"
	gosse "github.com/tmaxmax/go-sse"
)

// Frames that are put together by hand are those that the library makes.
func TestEventIsTheLibrarysFrame(t *testing.T) {
	for _, payload := range []string{"", "{}", "[DONE]", `{"a":"é\u2028"}`, "{\n}", "a\r\nb", "a\rb", "\n", " leading", "tab\t"} {
		var m gosse.Message
		m.AppendData(payload)
		want, err := m.MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(want), string(event([]byte(payload))), "%q", payload)
	}
}
