package cel

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// foldSlowly is what folding means, without a short way for ASCII.
func foldSlowly(s string) string {
	s = norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
	return strings.Join(strings.Fields(s), " ")
}

func folded(s string) string { return string(appendFolded(nil, s)) }

// A text without the anchor is passed over, so nothing else may fold into one.
func TestNothingFoldsIntoTheCharactersThatAnchorASearch(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		got := folded(string(r))
		if i := strings.IndexAny(got, unfolded); i >= 0 {
			require.Equal(t, string(r), got, "%U", r)
		}
		if strings.ContainsRune(unfolded, r) {
			require.Equal(t, string(r), got)
		}
	}
}

func TestTheAnchorIsTheLongestUnfoldedPart(t *testing.T) {
	for text, want := range map[string]string{"bob@example.com": "@", "ord-000456/a": "-000456/", "x": "", "": "", "12 345": "345", "a.b1": "."} {
		require.Equal(t, want, anchor(text), text)
	}
}

var pieces = []string{"456", "45", "4", "1,000.50", "1000.5", "0.5", ".5", "-5", "−7", "750", "$750", "US$", "€", "k", "%", "bob", "Bob", "BOB", "straße", "STRASSE", "É", "e\u0301", "K", "ſ", "x.com", "@",
	"#", ":", ",", ".", "-", "_", "/", "=", "&", "'", "(", ")", " ", "  ", "\n", "\t", "\u00a0", "\u2003", "\x00", "\x1f", "\u0338", "<"}

func drawText(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, label), "")
}

func TestFoldingBytesIsFoldingText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SampledFrom([]string{"", "x", " "}).Draw(t, "before")
		text := drawText(t, "text")
		if got := string(appendFolded([]byte(before), text)); got != before+foldSlowly(text) {
			t.Fatalf("%q is folded to %q, should be %q", text, got, before+foldSlowly(text))
		}
	})
}

func holdsSlowly(text, x string) bool {
	number, isNumber := writtenNumber(x)
	return x != "" && (holdsWord(text, x) || isName(x) && holdsWord(unaccented(text), unaccented(x)) || isNumber && holdsNumber(text, plainNumber(number)))
}

// Looking into few texts, the newest first, finds what looking into all finds.
func TestASearchThatPassesTextsOverFindsWhatASlowOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := make([]string, rapid.IntRange(0, 5).Draw(t, "texts"))
		for i := range texts {
			texts[i] = drawText(t, "text")
		}
		w := &words{texts: texts}
		for range rapid.IntRange(1, 4).Draw(t, "searches") {
			x := drawText(t, "word")
			want := false
			for _, text := range texts {
				want = want || holdsSlowly(foldSlowly(text), foldSlowly(x))
			}
			if got := w.hold(x); got != want {
				t.Fatalf("%q in %q: %v, should be %v", x, texts, got, want)
			}
			number := rapid.SampledFrom([]string{"0", "4", "5", "-5", "7", "-7", "45", "456", "750", "1000.5", "0.5", "1000", "50", "000"}).Draw(t, "number")
			want = false
			for _, text := range texts {
				want = want || holdsNumber(foldSlowly(text), plainNumber(number))
			}
			if got := w.holdNumber(number); got != want {
				t.Fatalf("number %s in %q: %v, should be %v", number, texts, got, want)
			}
		}
	})
}
