package conversations

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNormalise(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"empty":                         {"", ""},
		"only white space":              {" \t\n\u00a0 ", ""},
		"trimmed":                       {"\n hello \r\n", "hello"},
		"runs of white space":           {"a\t\tb\n\n\nc\u00a0 d\u2003e", "a b c d e"},
		"CRLF and CR":                   {"a\r\nb\rc", "a b c"},
		"NFC":                           {"Zu\u0308rich", "Zürich"},
		"not UTF-8":                     {"a\xffb", "a\ufffdb"},
		"markdown escapes":              {`process\_refund \"yes\" 1\.`, `process_refund "yes" 1.`},
		"escaped twice":                 {`process\\\_refund`, `process_refund`},
		"hard break":                    {"a\\\nb", "a b"},
		"a backslash before a letter":   {`C:\new \u{200b}`, `C:\new \u{200b}`},
		"a backslash at the end":        {`a\`, "a"},
		"a backslash before a blank":    {`a\ b`, "a b"},
		"reasoning":                     {"<think>hm</think>\n\nanswer", "answer"},
		"reasoning, other tags":         {"a <thinking>x</thinking>b <Reasoning>y</REASONING> c", "a b c"},
		"reasoning of a chat UI":        {"<details type=\"reasoning\" done=\"true\" duration=\"3\">\n<summary>Thought</summary>\n> x\n</details>\nanswer", "answer"},
		"reasoning, attributes swapped": {`<details done="true" type="reasoning">x</details> answer`, "answer"},
		"reasoning, escaped":            {`\<think\>x\</think\>answer`, "answer"},
		"other details stay":            {`<details type="code">x</details>`, `<details type="code">x</details>`},
		"an unclosed block stays":       {"<think>hm\nanswer", "<think>hm answer"},
		"a lone closing tag stays":      {"hm</think> answer", "hm</think> answer"},
		"invisible characters stay":     {"a\u200bb", "a\u200bb"},
		"case stays":                    {"Yes", "Yes"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, Normalise(c.in))
			require.Equal(t, c.want, Normalise(c.want), "idempotent")
		})
	}
}

func TestTakingABlockAwayMakesNoNewBlock(t *testing.T) {
	for _, s := range []string{
		"<thi<think>x</think>nk>y</think>",
		`<details<think>x</think>type="reasoning">y</details>`,
		`<details <think>x</think> type="reasoning">y</details>`,
		"<details\u00a0type=\"reasoning\">y</details>",
		"<think>a<think>b</think>c</think>d",
		"<reasoning>a<think>b</reasoning>c</think>",
		`<details type="reasoning"><details type="reasoning">x</details></details>`,
	} {
		once := Normalise(s)
		require.Equal(t, once, Normalise(once), s)
	}
}

func normalisePieces() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"<think>", "</think>", "<thinking>", "</thinking>", "<details", "<details ", ` type="reasoning"`, ">", "<", "</details>", "<reasoning>", "</reasoning>",
			"<think", "det", "ails", `\`, `\\`, "\n", "\r", " ", "\u00a0", "\u2003", "e", "\u0301", "\u0338", "=", "*", `"`, "\xff", "\u200b", "\u1fef", "\u212b", "a",
		}),
		rapid.String(),
	)
}

func TestPropertyNormaliseIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOfN(normalisePieces(), 0, 14).Draw(t, "pieces"), "")
		checkNormal(t, s)
	})
}

func checkNormal(t interface {
	Fatalf(format string, args ...any)
}, s string) {
	once := Normalise(s)
	if again := Normalise(once); again != once {
		t.Fatalf("%q\nonce  %q\ntwice %q", s, once, again)
	}
	if !utf8.ValidString(once) || strings.TrimSpace(once) != once || strings.ContainsAny(once, "\n\r\t\u00a0") || strings.Contains(once, "  ") {
		t.Fatalf("%q is not normal: %q", s, once)
	}
}

// escapeMarkdown is what an editor does to a text when it writes it back.
func escapeMarkdown(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if isPunctuation(s[i]) {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func TestPropertyATextEqualsItselfEscaped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ToValidUTF8(strings.Join(rapid.SliceOfN(normalisePieces(), 0, 10).Draw(t, "pieces"), ""), "")
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			if escaped := escapeMarkdown(s); Normalise(escaped) != Normalise(s) {
				t.Fatalf("%q: %q is not %q", s, Normalise(escaped), Normalise(s))
			}
			s = escapeMarkdown(s)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"", `a\*b`, "<think>x</think>", `<details type="reasoning">x</details>`, "e\u0301\r\n", "\xff\\", `<details<think></think>type="reasoning">`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkNormal(t, s) })
}

// Two megabytes each: a quadratic pass would not end before go test gives up.
func TestNormaliseTakesLinearTime(t *testing.T) {
	const size = 2_000_000
	for _, piece := range []string{"<think>", "<details ", "<details type=\"reasoning\">", `\`, "<", "</think>", "<think>x</think>", "<details <think></think>", confirmFirst + "x.\n"} {
		s := strings.Repeat(piece, size/len(piece))
		require.LessOrEqual(t, len(Normalise(s)), len(s))
		_, ok := Recognise(s)
		require.False(t, ok)
	}
}

func TestFingerprintKeepsBoundaries(t *testing.T) {
	require.Len(t, Fingerprint("a"), 64)
	require.Equal(t, Fingerprint("a", "b"), Fingerprint("a", "b"))
	seen := map[string]bool{}
	for _, parts := range [][]string{nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a", "", "b"}, {"b", "a"}} {
		require.False(t, seen[Fingerprint(parts...)], "%q", parts)
		seen[Fingerprint(parts...)] = true
	}
}

func BenchmarkNormalisePlainText(b *testing.B) {
	s := strings.Repeat("An ordinary message of some words.\n", 30)
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Normalise(s)
	}
}
