package openai

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that counts in another way than OpenAI's does is no reason to fail.
func TestTokensOfOddUsage(t *testing.T) {
	for usage, want := range map[string][2]int64{
		`{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}`:       {9, 12},
		"{ \"completion_tokens\" : 12 ,\n\"details\":{\"prompt_tokens\":3}}": {0, 12},
		`{"prompt_tokens":null,"completion_tokens":-1}`:                      {0, 0},
		`{"prompt_tokens":"9","completion_tokens":1.5}`:                      {0, 0},
		`{"prompt_tokens":99999999999999999999,"completion_tokens":[1]}`:     {0, 0},
		`{}`: {0, 0}, `"prompt_tokens"`: {0, 0}, `[{"prompt_tokens":9}]`: {0, 0}, `7`: {0, 0},
	} {
		prompt, completion := Tokens([]byte(usage))
		require.Equal(t, want, [2]int64{prompt, completion}, usage)
	}
}
