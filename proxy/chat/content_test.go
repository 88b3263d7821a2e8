package chat

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheModelsContentStandsBeforeOurWords(t *testing.T) {
	for name, c := range map[string]struct{ content, text, want string }{
		"none":                {"", "Yes?", `"Yes?"`},
		"null":                {"null", "Yes?", `"Yes?"`},
		"empty":               {`""`, "Yes?", `"Yes?"`},
		"nothing to say":      {"null", "", "null"},
		"its own escapes":     {`"Z\u00fcrich \/"`, "Yes?", `"Z\u00fcrich \/\n\nYes?"`},
		"parts":               {`[{"type":"text","text":"a"}]`, "Yes?", `[{"type":"text","text":"a"},{"type":"text","text":"Yes?"}]`},
		"parts, no words":     {`[{"type":"text","text":"a"}]`, "", `[{"type":"text","text":"a"}]`},
		"no parts":            {`[]`, "Yes?", `"Yes?"`},
		"text without a word": {`"a"`, "", `"a"`},
	} {
		require.Equal(t, c.want, string(withText([]byte(c.content), c.text)), name)
	}
}
