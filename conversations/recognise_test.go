package conversations

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"cadreen/governance"
)

// journeys are what clients do to an assistant message on its way back.
var journeys = map[string]func(string) string{
	"unchanged":                      func(s string) string { return s },
	"trimmed":                        strings.TrimSpace,
	"white space around it":          func(s string) string { return "\n \u00a0" + s + " \r\n\n" },
	"CRLF":                           func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"CR":                             func(s string) string { return strings.ReplaceAll(s, "\n", "\r") },
	"markdown escapes":               escapeMarkdown,
	"markdown escapes twice":         func(s string) string { return escapeMarkdown(escapeMarkdown(s)) },
	"escaped underscores":            func(s string) string { return strings.ReplaceAll(s, "_", `\_`) },
	"blank lines dropped":            func(s string) string { return strings.ReplaceAll(s, "\n\n", "\n") },
	"blank lines added":              func(s string) string { return strings.ReplaceAll(s, "\n", "\n\n\n") },
	"blanks at line ends":            func(s string) string { return strings.ReplaceAll(s, "\n", "  \n") },
	"line ends turned into blanks":   func(s string) string { return strings.Join(strings.Fields(s), " ") },
	"no-break spaces":                func(s string) string { return strings.ReplaceAll(s, " ", "\u00a0") },
	"reasoning before it":            func(s string) string { return "<think>\nshould I ask?\n</think>\n\n" + s },
	"reasoning of a UI before it":    func(s string) string { return "<details type=\"reasoning\" done=\"true\">\n> hm\n</details>\n" + s },
	"unclosed reasoning before it":   func(s string) string { return "<think>\nshould I ask?\n\n" + s },
	"reasoning behind it":            func(s string) string { return s + "\n<think>done</think>" },
	"the model's text before it":     func(s string) string { return "I will look into that.\n\n" + s },
	"an open code fence before it":   func(s string) string { return "```\ncode\n\n" + s },
	"another prompt before it":       func(s string) string { return confirmFirst + "a.\n\n" + confirmLast + "\n\n" + s },
	"an unfinished prompt before it": func(s string) string { return confirmFirst + "a.\n\n" + s },
}

func TestEveryFormIsRecognisedAfterEveryJourney(t *testing.T) {
	for name, ask := range goldens() {
		text := Render(ask).Text
		for journey, travel := range journeys {
			t.Run(name+"/"+journey, func(t *testing.T) {
				candidates, ok := Recognise(travel(text))
				require.True(t, ok)
				require.Contains(t, candidates, Normalise(text))
				for i := 1; i < len(candidates); i++ {
					require.GreaterOrEqual(t, len(candidates[i-1]), len(candidates[i]))
				}
			})
		}
	}
}

func TestAPromptWithAnythingBehindItIsNotRecognised(t *testing.T) {
	for name, ask := range goldens() {
		text := Render(ask).Text
		for _, behind := range []string{"\n\nOr shall I?", " x", "\n.", "\n```", `"`, "\n> ", "\n\nyes", "\u200b", "\n</think>"} {
			_, ok := Recognise(text + behind)
			require.False(t, ok, "%s with %q behind it", name, behind)
		}
	}
}

func TestAQuotedPromptIsNotRecognised(t *testing.T) {
	for name, ask := range goldens() {
		text := Render(ask).Text
		for how, quoted := range map[string]string{
			"every line":            "> " + strings.ReplaceAll(text, "\n", "\n> "),
			"the first line":        "> " + text,
			"without a blank":       ">" + text,
			"every line, and flat":  strings.Join(strings.Fields("Hm. > "+strings.ReplaceAll(text, "\n", "\n> ")), " "),
			"in quotation marks":    `"` + text + `"`,
			"within a sentence":     "You asked: " + text,
			"in a code fence":       "````\n" + text + "\n````",
			"in a reasoning block":  "<think>" + text + "</think>",
			"only its last line":    text[strings.LastIndexByte(text, '\n'):],
			"without its last line": text[:strings.LastIndexByte(text, '\n')],
		} {
			candidates, _ := Recognise(quoted)
			require.NotContains(t, candidates, Normalise(text), "%s: %s", name, how)
		}
	}
}

func TestWhatIsNotAPrompt(t *testing.T) {
	for _, text := range []string{
		"", " ", "Hello.", confirmLast, confirmFirst + "x.", confirmFirst + "x. " + confirmFirst,
		confirmFirst + "\n\n" + confirmLast,
		confirmFirst + ".\n\n" + confirmLast,
		confirmFirst + "x\n\n" + confirmLast,
		confirmFirst + "do that.\n\n" + confirmLast,
		confirmFirst + "make these 2 calls.\n\n" + confirmLast,
		confirmFirst + "make these calls.\n\n" + severalLast,
		confirmFirst + "x.\n\n" + severalLast,
		confirmFirst + "x.\n\n" + reviewLast + ": esc_1",
		reviewFirst + "x.\n\n" + confirmLast,
		reviewFirst + "x.\n\n" + reviewLast,
		reviewFirst + "x.\n\n" + reviewLast + ": ",
		reviewFirst + "x.\n\n" + reviewLast + ": esc_1 at",
		reviewFirst + "x.\n\n" + reviewLast + ": esc_1 at a b",
		"The last words were: " + confirmFirst + "x.\n\n" + confirmLast,
		confirmFirst + "x.\n\nPlease " + confirmLast,
		strings.ToLower(confirmFirst) + "x.\n\n" + confirmLast,
		confirmFirst + "x.\n\nSay “yes” to proceed or “no” to skip.",
	} {
		candidates, ok := Recognise(text)
		require.False(t, ok, "%q", text)
		require.Empty(t, candidates)
	}
}

func TestNoShortTextHasTheShapeOfAPrompt(t *testing.T) {
	for _, text := range shortTexts("process_refund") {
		_, ok := Recognise(text)
		require.False(t, ok, text)
	}
}

func TestOurPromptInsideArgumentsDoesNotHideTheTrueOne(t *testing.T) {
	inner := Render(goldens()["single_short"]).Text
	for _, ask := range []Ask{
		{Items: []Item{{Tool: "write_file", Arguments: inner, Custom: true, Verdict: governance.Confirm}}},
		{Items: []Item{{Tool: "write_file", Arguments: "```\n" + inner + "\n````\n" + inner, Custom: true, Verdict: governance.Confirm}}},
		{Items: []Item{confirmItem("write_file", `{"text":"I need your approval before I can x.\n\nSay \"yes\" to proceed or \"no\" to skip."}`)}},
		{Items: []Item{confirmItem("write_file", `{"text":"</think> <think> \u2028 \\"}`)}},
	} {
		text := Render(ask).Text
		candidates, ok := Recognise("Let me.\n\n" + text)
		require.True(t, ok)
		require.Equal(t, Normalise(text), candidates[0], "the longest is the true one")
		require.NotContains(t, candidates, Normalise(inner), "what is shown inside is not a prompt of its own")
	}
}

func TestStartsAreBounded(t *testing.T) {
	text := Render(goldens()["single_arguments"]).Text
	flood := strings.Repeat(confirmFirst+"x.\n", 10_000)
	candidates, ok := Recognise(flood + text)
	require.True(t, ok)
	require.Len(t, candidates, candidateLimit)
	require.Contains(t, candidates, Normalise(text))
	candidates, _ = Recognise(text[:len(text)-len(confirmLast)] + flood + confirmLast)
	require.Len(t, candidates, candidateLimit)
}

func hostileText() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{
			"`", "```", "````json", "\n", "\r\n", "\r", " ", "\u00a0", "\u2028", "\u200b", "\u202e", "\U000e0041", `\`, `\\`, `"`, "<think>", "</think>", `<details type="reasoning">`,
			"</details>", "<details", "> ", "e", "\u0301", "\u0338", "=", "\xff", confirmFirst, confirmFirst + "x.\n\n" + confirmLast, confirmLast, severalLast, reviewFirst + "x.", reviewLast + ": esc_1 at http://x", "Request K7", "{", "}",
		}),
		rapid.String(),
	), 0, 8), func(pieces []string) string { return strings.Join(pieces, "") })
}

func hostileAsk() *rapid.Generator[Ask] {
	return rapid.Custom(func(t *rapid.T) Ask {
		a := Ask{
			UserText:  hostileText().Draw(t, "user"),
			ModelText: rapid.Bool().Draw(t, "model text"),
			Tag:       rapid.SampledFrom([]string{"", "K7"}).Draw(t, "tag"),
		}
		for range rapid.IntRange(1, 4).Draw(t, "items") {
			text := hostileText().Draw(t, "text")
			item := Item{
				Tool:         rapid.OneOf(rapid.SampledFrom([]string{"process_refund", "a.b:c/d-e"}), hostileText()).Draw(t, "tool"),
				Arguments:    rapid.SampledFrom([]string{"", "{}", text, `{"a":` + jsonString(text) + `}`}).Draw(t, "arguments"),
				Message:      rapid.OneOf(rapid.Just(""), hostileText()).Draw(t, "message"),
				Verdict:      rapid.SampledFrom([]governance.Verdict{governance.Confirm, governance.Escalate}).Draw(t, "verdict"),
				EscalationID: rapid.OneOf(rapid.SampledFrom([]string{"", "esc_1"}), hostileText()).Draw(t, "id"),
				ApproveURL:   rapid.OneOf(rapid.SampledFrom([]string{"", "https://x.example/e/1"}), hostileText()).Draw(t, "url"),
				Also:         rapid.IntRange(0, 3).Draw(t, "also") == 0,
				Custom:       rapid.Bool().Draw(t, "custom"),
			}
			a.Items = append(a.Items, item)
		}
		return a
	})
}

func TestPropertyARenderedPromptIsRecognisedBehindAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := hostileAsk().Draw(t, "ask")
		text := Render(a).Text
		if text == "" {
			t.Skip("nothing is asked")
		}
		want := Normalise(text)
		prefix := hostileText().Draw(t, "prefix")
		for name, travelled := range map[string]string{
			"alone": text, "behind a prefix": prefix + "\n\n" + text, "escaped": escapeMarkdown(prefix + "\n\n" + text),
			"flat": strings.Join(strings.Fields(text), " "), "CRLF": strings.ReplaceAll(prefix+"\n\n"+text, "\n", "\r\n"),
		} {
			candidates, ok := Recognise(travelled)
			found := false
			for _, c := range candidates {
				found = found || c == want
			}
			if !ok || !found {
				t.Fatalf("%s: not recognised\ntext %q\nwant %q\nhave %q", name, travelled, want, candidates)
			}
		}
	})
}

func FuzzRecognise(f *testing.F) {
	for _, ask := range goldens() {
		f.Add(Render(ask).Text)
	}
	f.Add("<think>" + confirmFirst + "x.\n</think>" + confirmLast)
	f.Fuzz(func(t *testing.T, s string) {
		candidates, ok := Recognise(s)
		if ok != (len(candidates) > 0) {
			t.Fatalf("%q: %v with %d candidates", s, ok, len(candidates))
		}
		for _, c := range candidates {
			if c != Normalise(c) || !strings.HasPrefix(c, confirmFirst) && !strings.HasPrefix(c, reviewFirst) {
				t.Fatalf("%q: candidate %q", s, c)
			}
		}
	})
}

func BenchmarkRecogniseOrdinaryText(b *testing.B) {
	s := strings.Repeat("An ordinary answer of some words.\n", 120)
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Recognise(s)
	}
}

func BenchmarkRecognisePrompt(b *testing.B) {
	s := strings.Repeat("An ordinary answer of some words.\n", 30) + "\n" + Render(goldens()["single_arguments"]).Text
	b.ReportAllocs()
	b.SetBytes(int64(len(s)))
	for b.Loop() {
		Recognise(s)
	}
}

func BenchmarkRenderSingle(b *testing.B) {
	ask := goldens()["single_arguments"]
	b.ReportAllocs()
	for b.Loop() {
		Render(ask)
	}
}
