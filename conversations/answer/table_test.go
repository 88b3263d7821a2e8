package answer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func entriesOfTheTable(t *testing.T) []entry {
	t.Helper()
	entries, err := parse(words)
	require.NoError(t, err)
	return entries
}

func TestNoPhraseHasTwoKinds(t *testing.T) {
	kinds := map[string]entry{}
	for _, e := range entriesOfTheTable(t) {
		key, ok := reduce(e.phrase)
		require.True(t, ok, "line %d: %q cannot be an answer", e.line, e.phrase)
		if before, seen := kinds[key]; seen {
			require.Equal(t, before.kind, e.kind, "%q is on lines %d and %d", e.phrase, before.line, e.line)
		}
		kinds[key] = e
	}
}

func TestAPhraseWithTwoKindsIsRefused(t *testing.T) {
	_, err := parse("xx\tyes\tNe\nyy\tno\tne\n")
	require.ErrorContains(t, err, `words.tsv:2: "ne"`)
	_, err = parse("xx\tyes\tne\nyy\tneither\tne\n")
	require.ErrorContains(t, err, "words.tsv:2")
	_, err = parse("xx\tyes\n")
	require.ErrorContains(t, err, "words.tsv:1")
	_, err = parse("xx\tperhaps\tne\n")
	require.ErrorContains(t, err, "words.tsv:1")
}

func TestAWordThatIsYesInOneLanguageAndNoInAnotherIsNeither(t *testing.T) {
	n := 0
	for _, e := range entriesOfTheTable(t) {
		if e.kind == None {
			n++
			require.Equal(t, Answer{}, Read(e.phrase, 3), e.phrase)
		}
	}
	require.GreaterOrEqual(t, n, 5)
	for _, word := range []string{"ne", "jo", "tak", "nai", "iya"} {
		require.Equal(t, Answer{}, Read(word, 3), word)
	}
	require.Equal(t, No, Read("no", 1).Kind, "the English words stay what they are")
	require.Equal(t, No, Read("n", 1).Kind)
}

func TestEveryPhraseReadsAsItsKind(t *testing.T) {
	for _, e := range entriesOfTheTable(t) {
		for _, text := range []string{e.phrase, strings.ToUpper(e.phrase), e.phrase + ".", " “" + e.phrase + "!”\n"} {
			got := Read(text, 3).Kind
			if e.phrase == "hayır" && text == "HAYIR" {
				require.Equal(t, No, got) // upper case loses the difference; the plain spelling is listed too
			}
			require.Equal(t, e.kind, got, "line %d: %q", e.line, text)
			require.Equal(t, e.kind != None, Looks(text), "line %d: %q", e.line, text)
		}
	}
}

func TestLanguages(t *testing.T) {
	yes, no := map[string]bool{}, map[string]bool{}
	for _, e := range entriesOfTheTable(t) {
		switch e.kind {
		case Yes:
			yes[e.language] = true
		case No:
			no[e.language] = true
		}
	}
	both := 0
	for language := range yes {
		if no[language] {
			both++
		}
	}
	require.GreaterOrEqual(t, both, 25)
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{Yes, "Ja"}, {No, "nein"}, {Yes, "Oui !"}, {No, "non"}, {Yes, "Sí."}, {Yes, "s\u0069\u0301"}, {Yes, "si"}, {Yes, "是"}, {Yes, "好"}, {No, "不"}, {No, "不要"},
		{Yes, "はい"}, {No, "いいえ"}, {Yes, "네"}, {No, "아니요"}, {Yes, "نعم"}, {No, "لا"}, {Yes, "כן"}, {No, "לא"}, {Yes, "हाँ"}, {No, "नहीं"}, {Yes, "Да"}, {No, "НЕТ"},
		{No, "nie"}, {Yes, "Ano"}, {Yes, "ΝΑΙ"}, {No, "ΟΧΙ"}, {No, "Όχι"}, {Yes, "evet"}, {No, "HAYIR"}, {No, "Hayır"}, {Yes, "igen"}, {No, "nem"}, {Yes, "sim"}, {No, "não"},
	} {
		require.Equal(t, c.kind, Read(c.text, 1).Kind, c.text)
	}
}

// English is exactly what the contract lists.
func TestNoFurtherEnglishWords(t *testing.T) {
	var yes, no []string
	for _, e := range entriesOfTheTable(t) {
		switch {
		case e.language != "en":
		case e.kind == Yes:
			yes = append(yes, e.phrase)
		case e.kind == No:
			no = append(no, e.phrase)
		}
	}
	require.Equal(t, []string{"yes", "y", "confirm", "approve", "approved", "ok", "okay", "go ahead", "do it", "proceed", "all", "everything"}, yes)
	require.Equal(t, []string{"no", "n", "skip", "cancel", "deny", "stop"}, no)
}
