package intelligence_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/intelligence"
)

func TestRedactTakesSecretsByTheirForm(t *testing.T) {
	for name, text := range map[string]string{
		"openai":        "sk-proj-abcdefghijklmnop",
		"cadreen":       "sk_cadreen_abcdefghijklmnop",
		"stripe":        "rk_live_ABCDEFGHIJKLMNOP",
		"bearer":        "Bearer abcdefghijklmnop",
		"basic":         "basic dXNlcjpwYXNzd29yZA==",
		"password":      "password=hunter2secret",
		"api key":       `"api_key": "hunter2secret"`,
		"aws":           "AKIAIOSFODNN7EXAMPLE",
		"github":        "ghp_abcdefghijklmnopqrstuvwxyz",
		"github fine":   "github_pat_abcdefghijklmnopqrstuvwxyz",
		"gitlab":        "glpat-abcdefghijklmnopqrst",
		"slack":         "xoxb-1234567890-abcdef",
		"google":        "AIzaSyA-abcdefghijklmnopqrstuvwxyz0123",
		"jwt":           "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
		"private key":   "-----BEGIN RSA PRIVATE KEY-----\nMIIEabcdefghijklmnop",
		"in an address": "https://user:hunter2secret@example.com/x",
		"e-mail":        "ann.smith+x@example.co.uk",
		"card":          "4111 1111 1111 1111",
		"card, plain":   "4111111111111111",
	} {
		for _, around := range []string{"%", "a_%", "shop %", "shop:% end", "(%)"} {
			got := intelligence.Redact(strings.Replace(around, "%", text, 1))
			require.Contains(t, got, intelligence.Redacted, "%s in %q", name, around)
			for _, part := range []string{"hunter2", "abcdefghijkl", "ABCDEFGHIJ", "IOSFODNN", "1234567890-", "eyJzdWIi", "ann.smith", "4111", "dXNlcj"} {
				require.NotContains(t, got, part, "%s in %q", name, around)
			}
		}
	}
}

func TestRedactLeavesNames(t *testing.T) {
	for _, text := range []string{"", "shop", "process_refund", "task_process_refund_now", "conv_01M8C0ZC3NY0S84G22CKT5YWNF", "get_order", "stripe.refunds.create",
		"gpt-4o-2024-08-06", "ask_someone_something", "mcp:server/tool", "Zürich", "disk-usage-report-of-today", "chat-1732627200001", "key_01M8C0ZC3NY0S84G22CKT5YWNF"} {
		require.Equal(t, text, intelligence.Redact(text))
	}
}

func TestRedactIsShortAndValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "text"))
		got := intelligence.Redact(text)
		require.LessOrEqual(t, len(got), 256)
		require.True(t, utf8.ValidString(got))
		require.Equal(t, got, intelligence.Redact(got))
	})
}

func FuzzRedact(f *testing.F) {
	f.Add("Bearer abcdefghijklmnop sk-abcdefghijklmnop")
	f.Fuzz(func(t *testing.T, text string) {
		got := intelligence.Redact(text)
		if len(got) > 256 || !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
	})
}
