package intelligence

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// spared asserts that what is not searched has nothing that would be found.
func spared(t require.TestingT, text string) {
	if !suspicious(text) {
		require.False(t, secrets.MatchString(text), "%q", text)
		require.False(t, cards.MatchString(text), "%q", text)
	}
}

// Whatever the forms find, the look before the search sees.
func TestNothingThatHoldsASecretIsSpared(t *testing.T) {
	form := rapid.StringMatching(secrets.String())
	number := rapid.StringMatching(cards.String())
	around := rapid.StringMatching(`[a-zA-Z0-9_ .:/-]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		text := around.Draw(t, "before") + rapid.OneOf(form, number).Draw(t, "secret") + around.Draw(t, "behind")
		spared(t, text)
	})
}

func FuzzSuspicious(f *testing.F) {
	for _, s := range []string{"Bearer abcdefghi", "sk_live_123456789012", "Sk-123456789012", "ſK_123456789012345", "x=password:abc", "api-key = abcd", "AKIAABCDEFGHIJKLMNOP", "ghp_123456789012345678901", "github_pat_123456789012345678901",
		"glpat-12345678901234567", "xoxb-1234567890", "AIza123456789012345678901234567890", "eyJabcdefgh.abcdefgh.", "-----BEGIN PRIVATE KEY-----", "a://b:c@d", "a@b.c", "4111 1111 1111 1111", "1-2-3-4-5-6-7-8-9-0-1-2-3", "conv_01M8C46PJ9E9X8QH6BCGP18227"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { spared(t, text) })
}

// Ids and paths of our own are not searched.
func TestOurOwnWordsAreSpared(t *testing.T) {
	for _, text := range []string{"conv_01M8C46PJ9E9X8QH6BCGP18227", "cad_01M8C46PJ9E9X8QH6BCGP18227", "/v1/chat/completions", "/api/v1/cadreen/policies/pol_01M8C46PJ9E9X8QH6BCGP18227/confirm", "process_refund", "gpt-4.1-mini-2026-01-01", "ecommerce"} {
		require.False(t, suspicious(text), text)
	}
}
