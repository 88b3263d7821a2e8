package conversations

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHiddenCharactersAreShownAsEscapes(t *testing.T) { // TRAPS, Approvals 22
	for in, want := range map[string]string{
		"a\u200bb": `a\u{200b}b`, "\u202eabc": `\u{202e}abc`, "a\u2066b\u2069": `a\u{2066}b\u{2069}`, "\U000e0041": `\u{e0041}`,
		"a\x00b": `a\u{0}b`, "a\x1b[2Kb": `a\u{1b}[2Kb`, "a\x7f": `a\u{7f}`, "a\u0085b": `a\u{85}b`, "a\u00a0b": `a\u{a0}b`, "a\u3000b": `a\u{3000}b`,
		"a\u2028b": `a\u{2028}b`, "a\u00adb": `a\u{ad}b`, "\ufeffa": `\u{feff}a`, "a\u3164b": `a\u{3164}b`, "a\u2800b": `a\u{2800}b`, "a\ufe00b": `a\u{fe00}b`,
		"a\U000e0100b": `a\u{e0100}b`, "a\ue000b": `a\u{e000}b`, "a\xffb": `a\x{ff}b`, "a\rb": `a\u{d}b`,
	} {
		visible, hidden := visibleText(in)
		require.Equal(t, want, visible)
		require.True(t, hidden, want)
	}
}

func TestOrdinaryWritingIsNotEscaped(t *testing.T) {
	for _, s := range []string{"", "plain", "Zürich 東京 हाँ Ελλάδα", "a\nb\tc", "❤\ufe0f ✔\ufe0f", "👍🏽", "\ufffd", "€ — “x”", `\u{200b}`} {
		visible, hidden := visibleText(s)
		require.Equal(t, s, visible)
		require.False(t, hidden, "%q", s)
	}
	visible, hidden := visibleText("a\r\nb")
	require.Equal(t, "a\nb", visible)
	require.False(t, hidden)
}

func TestArgumentsKeepOrderAndSpelling(t *testing.T) {
	v := showArguments(` {"z":750.00,"a":1e3,"id":12345678901234567890,"s":"Z\u00fcrich <&> \/","e":{},"l":[ ],"n":{"x":[1,2]}} `, false)
	require.Equal(t, `{
  "z": 750.00,
  "a": 1e3,
  "id": 12345678901234567890,
  "s": "Z\u00fcrich <&> \/",
  "e": {},
  "l": [],
  "n": {
    "x": [
      1,
      2
    ]
  }
}`, v.text)
	require.Equal(t, "json", v.language)
	require.False(t, v.hidden)
	require.Empty(t, v.note)
	require.Equal(t, "{}", showArguments("", false).text)
}

func TestBothOfTwoEqualNamesAreShown(t *testing.T) {
	require.Equal(t, "{\n  \"a\": 1,\n  \"a\": 2\n}", showArguments(`{"a":1,"a":2}`, false).text)
}

func TestWhatIsNotJSONIsShownAsText(t *testing.T) {
	v := showArguments("{\"a\": 1", false)
	require.Equal(t, shownValue{text: "{\"a\": 1"}, v)
	v = showArguments("{\"a\u202e\": 1", false)
	require.Equal(t, shownValue{text: "{\"a\\u{202e}\": 1", hidden: true}, v)
	v = showArguments("SELECT 1;\nDROP\u200b TABLE x", true)
	require.Equal(t, shownValue{text: "SELECT 1;\nDROP\\u{200b} TABLE x", hidden: true}, v)
	require.Equal(t, shownValue{}, showArguments("", true))
}

func TestAHiddenCharacterSpelledAsAJSONEscapeIsWarnedOf(t *testing.T) {
	for arguments, want := range map[string]bool{
		`{"a":"\u200b"}`: true, `{"a":"x\u202ey"}`: true, `{"a":"\udb40\udc41"}`: true, `{"a":"\u0000"}`: true, `{"\u2066a":1}`: true, `{"a":"\u00e9\u200d"}`: true,
		`{"a":"\u00fc"}`: false, `{"a":"\ud83d\ude00"}`: false, `{"a":"\n\t\r\u000a"}`: false, `{"a":"\\u200b"}`: false, `{"a":"\\\u200b"}`: true, `{"a":"\ud800"}`: false,
	} {
		require.Equal(t, want, showArguments(arguments, false).hidden, arguments)
	}
}

func TestALongValueIsShortenedWithLengthAndDigest(t *testing.T) {
	arguments := `{"body":"` + strings.Repeat("é", 6000) + `THE END"}`
	v := showArguments(arguments, false)
	require.Less(t, len(v.text), shownLimit+100)
	require.True(t, utf8.ValidString(v.text))
	require.True(t, strings.HasPrefix(v.text, "{\n  \"body\": \"éé"))
	require.Contains(t, v.text, "\n[... left out ...]\n")
	require.True(t, strings.HasSuffix(v.text, "THE END\"\n}"))
	require.Equal(t, fmt.Sprintf("Shortened: the whole value has %d bytes, sha256 %x.", len(arguments), sha256.Sum256([]byte(arguments))), v.note)
	require.Empty(t, showArguments(strings.Repeat("x", shownLimit), true).note)
	require.NotEmpty(t, showArguments(strings.Repeat("x", shownLimit+1), true).note)
	require.NotEmpty(t, showArguments(strings.Repeat("\u200b", shownLimit/6), true).note, "escapes count")
}

func TestDeepJSONDoesNotGrow(t *testing.T) {
	arguments := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	require.Less(t, len(showArguments(arguments, false).text), shownLimit+100)
	require.Equal(t, "json", showArguments(arguments, false).language)
}

func TestAFenceCannotBeClosedFromInside(t *testing.T) {
	require.Equal(t, "```\nx\n```", fence(shownValue{text: "x"}))
	require.Equal(t, "````\n```\n````", fence(shownValue{text: "```"}))
	require.Equal(t, "``````json\na ````` b `` c\n``````", fence(shownValue{language: "json", text: "a ````` b `` c"}))
}

func TestShownShortensAndEscapes(t *testing.T) {
	require.Equal(t, `a\u{200b}`, Shown("a\u200b"))
	require.Contains(t, Shown(strings.Repeat("x", shownLimit+1)), "Shortened: the whole value has 8193 bytes")
}

func TestPropertyNothingShownIsHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune("a`{}\"\\\n\r\u200b\u202e\ufe0f❤\x00\u00a0")))).Draw(t, "s")
		custom := rapid.Bool().Draw(t, "custom")
		if rapid.Bool().Draw(t, "json") {
			b, err := json.Marshal(map[string]string{"s": s})
			if err != nil {
				t.Fatalf("%v", err)
			}
			s = string(b)
		}
		v := showArguments(s, custom)
		before := rune(0)
		for _, r := range v.text {
			if r != '\n' && r != '\t' && isHidden(r) && !dressesEmoji(before, r) {
				t.Fatalf("%q shows %q", s, r)
			}
			before = r
		}
		marks := fence(v)
		marks = marks[strings.LastIndexByte(marks, '\n')+1:]
		if strings.Contains(v.text, marks) {
			t.Fatalf("%q stands in %q", marks, v.text)
		}
	})
}
