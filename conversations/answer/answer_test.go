package answer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheWordsOfTheContract(t *testing.T) {
	for _, word := range []string{"yes", "y", "confirm", "approve", "approved", "ok", "okay", "go ahead", "do it", "proceed", "all", "everything"} {
		for _, count := range []int{0, 1, 3} {
			require.Equal(t, Answer{Kind: Yes}, Read(word, count), word)
		}
	}
	for _, word := range []string{"no", "n", "skip", "cancel", "deny", "stop"} {
		for _, count := range []int{0, 1, 3} {
			require.Equal(t, Answer{Kind: No}, Read(word, count), word)
		}
	}
}

func TestWhatIsTakenOffAnAnswer(t *testing.T) {
	for _, text := range []string{
		"Yes.", "YES", "yes!", "yes!!!", "yes.,!", "  yes \n", "\u00a0yes\u3000", "yes\r\n", "\n\nyes", `"yes"`, `"Yes."`, `"yes".`, "'yes'",
		"`yes`", "“yes”", "‘yes’", "„yes“", "„yes”", "«yes»", "« yes »", "yes !", "Go ahead.", "OK,", "ye\u017f", // a long s folds to s
	} {
		require.Equal(t, Yes, Read(text, 2).Kind, "%q", text)
	}
	require.Equal(t, No, Read(`"No!"`, 2).Kind)
}

func TestWhatIsNotTakenOff(t *testing.T) {
	for _, text := range []string{
		"yes?", "yes?!", "yes!?", "?", "¿sí", "yes:", "yes;", "yes…", "yes)", "(yes)", "*yes*", "**yes**", "> yes", "- yes", ".yes", ",yes",
		`""yes""`, `"'yes'"`, `"yes`, `yes"`, `“yes"`, "»yes«", "go  ahead", "go\u00a0ahead", "goahead", "ｙｅｓ", "y e s",
	} {
		require.Equal(t, Answer{}, Read(text, 2), "%q", text)
	}
}

// TRAPS C 32 to 46 and Approvals 1 to 4, as far as reading an answer goes.
func TestReadingATextForAWordInIt(t *testing.T) {
	hazards := map[string][]string{
		"32 a denial that holds a yes word": {"no, don't approve", "not approved", "not allowed", "don't approve", "do not approve", "no, do not proceed", "no approve"},
		"33 a word inside a word":           {"disallow", "north", "allow", "known", "yesterday", "yesno", "nope", "oky", "okey dokey", "approver", "notebook", "yes/no"},
		"34 a negated approval":             {"not okay", "not ok", "don't go ahead", "do not go ahead", "don't do it", "do NOT run", "never approve", "no go ahead"},
		"41 two lines":                      {"yes\nbut not before Friday", "yes\n\nyes", "yes\r\nno", "yes\rno", "yes\u2028no", "yes\u2029no", "yes\u0085no", "1\n2", "yes\vno", "yes\fno"},
		"42 a yes with a condition":         {"yes, but not now", "yes but only 10", "yes, but only 10", "ok later", "yes if it is under 10", "yes please add more tests", "all but 2"},
		"43 once, and an empty line":        {"once", "session", "always", "", " ", "\n", "\r\n", "\t", "!", ".", "...", `""`, "“”"},
		"a question":                        {"is yes right?", "yes?", "ok?", "y?", "no?", "1?", "yes or no", "should I say yes"},
		"3 thanks, and the like":            {"ok thanks", "ok, thanks!", "yes yes", "yesyes", "no no", "okay okay", "thanks", "sure", "go for it"},
		"44 pictures alone":                 {"👍", "👍🏽", "✅", "❌", "🆗", "ok 👍"},
		"a quote of our prompt":             {`> Say "yes" to proceed or "no" to skip.`, `Say "yes" to proceed or "no" to skip.`, `"yes" to proceed`, `say "yes"`},
	}
	for hazard, texts := range hazards {
		t.Run(hazard, func(t *testing.T) {
			for _, text := range texts {
				require.Equal(t, Answer{}, Read(text, 3), "%q", text)
				require.False(t, Looks(text), "%q", text)
			}
		})
	}
}

func TestATrailingPointDoesNotHideAYes(t *testing.T) { // TRAPS C 41
	require.Equal(t, Yes, Read("Yes.", 1).Kind)
	require.Equal(t, Yes, Read("yes\n", 1).Kind)
}

func TestInvisibleCharactersAreNotDropped(t *testing.T) {
	for name, r := range map[string]rune{
		"zero-width space": 0x200b, "zero-width joiner": 0x200d, "zero-width non-joiner": 0x200c, "byte order mark": 0xfeff, "soft hyphen": 0xad,
		"right-to-left override": 0x202e, "isolate": 0x2066, "left-to-right mark": 0x200e, "word joiner": 0x2060, "tag letter": 0xe0079,
		"Hangul filler": 0x3164, "combining grapheme joiner": 0x34f, "variation selector": 0xfe0f, "variation selector 17": 0xe0100,
		"NUL": 0, "backspace": 8, "escape": 0x1b, "delete": 0x7f, "C1 control": 0x9b, "private use": 0xe000, "unassigned": 0x378, "noncharacter": 0xffff,
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{"y" + string(r) + "es", string(r) + "yes", "yes" + string(r), "1," + string(r) + "2", string(r)} {
				require.Equal(t, Answer{}, Read(text, 3), "%q", text)
			}
		})
	}
	require.Equal(t, Answer{}, Read("yes\tok", 1))
	require.Equal(t, Answer{}, Read("yes\xff", 1), "not UTF-8")
	require.Equal(t, Answer{}, Read("\xffyes", 1), "not UTF-8")
}

func TestLookalikesAreNotAnswers(t *testing.T) {
	for _, text := range []string{"уes", "yеs", "оk", "nо", "١", "１", "²", "①", "Ⅰ", "1‚2", "1，2", "1٫2"} {
		require.Equal(t, Answer{}, Read(text, 3), "%q", text)
	}
}

func TestItems(t *testing.T) {
	for text, want := range map[string]Answer{
		"1": {Items, []int{1}}, "2.": {Items, []int{2}}, "1,3": {Items, []int{1, 3}}, "1 3": {Items, []int{1, 3}}, "1 and 3": {Items, []int{1, 3}},
		"1, 2 and 3": {Items, []int{1, 2, 3}}, "1, 2, and 3": {Items, []int{1, 2, 3}}, "3,1": {Items, []int{1, 3}}, "1 1": {Items, []int{1}},
		"1 , 3": {Items, []int{1, 3}}, "1  3": {Items, []int{1, 3}}, `"1,2"`: {Items, []int{1, 2}}, "1 AND 3!": {Items, []int{1, 3}}, "1,3,": {Items, []int{1, 3}},
		"no 2": {NoItems, []int{2}}, "No 2.": {NoItems, []int{2}}, "no 1,3": {NoItems, []int{1, 3}}, "no 1 and 3": {NoItems, []int{1, 3}}, "no  3": {NoItems, []int{3}},
	} {
		require.Equal(t, want, Read(text, 3), "%q", text)
	}
	require.Equal(t, Answer{Items, []int{1}}, Read("1", 1))
	require.Equal(t, Answer{Items, []int{12}}, Read("12", 12))
}

func TestANumberOutsideTheListIsNoAnswer(t *testing.T) {
	for _, text := range []string{"0", "4", "1,4", "1 2 3 4", "no 4", "no 0", "00", "01", "1,03", "99999999999999999999999999", "-1", "+1", "1.0", "1e0", "0x1"} {
		require.Equal(t, Answer{}, Read(text, 3), "%q", text)
	}
	require.Equal(t, Answer{}, Read("1", 0))
	require.Equal(t, Answer{}, Read("1", -1))
	require.Equal(t, Answer{}, Read("2", 1))
}

func TestWhatIsNotAPureList(t *testing.T) {
	for _, text := range []string{
		"1;2", "1/2", "1-3", "1.2", "1+2", "1&2", "1 & 2", "1 or 2", "and 1", "1 and", "1 and and 2", "1 and2", "1and 2", ",1", "1,,2", "1 2 please",
		"yes 1", "yes 1,2", "ok 2", "all 1", "n 2", "no", "no2", "no, 2", "no. 2", "not 2", "no no 2", "no 1 no 2", "no 1, yes 2", "only 1", "#1", "1)", "(1)", "$1", "one", "1 two", "1\t2", "1\u00a02",
	} {
		got := Read(text, 3)
		require.NotContains(t, []Kind{Items, NoItems, Yes}, got.Kind, "%q", text)
	}
}

func TestLooksKnowsNumbersUpTo99(t *testing.T) {
	require.True(t, Looks("yes"))
	require.True(t, Looks("99"))
	require.True(t, Looks("no 42"))
	require.False(t, Looks("100"))
	require.False(t, Looks("2026"))
}

func TestAVeryLongTextIsNoAnswer(t *testing.T) {
	require.Equal(t, Answer{}, Read(strings.Repeat("1 ", 2000)+"1", 3))
	require.Equal(t, Answer{}, Read("yes"+strings.Repeat("!", 5000), 3))
	require.Equal(t, Yes, Read(strings.Repeat(" ", 5000)+"yes", 3).Kind, "white space around it does not count")
	var all []string
	for i := 1; i <= 99; i++ {
		all = append(all, fmt.Sprint(i))
	}
	require.Len(t, Read(strings.Join(all, ", "), 99).Items, 99)
}

func BenchmarkReadYes(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Read("Yes.", 3)
	}
}

func BenchmarkReadLongMessage(b *testing.B) {
	text := strings.Repeat("please do this and that. ", 4000)
	b.ReportAllocs()
	for b.Loop() {
		Read(text, 3)
	}
}
