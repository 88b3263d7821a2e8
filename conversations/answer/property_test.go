package answer

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var pureList = regexp.MustCompile(`^(no +)?[1-9][0-9]*(( *, *| +)(and +)?[1-9][0-9]*)*$`)

// check is what must hold of every text, whatever Read answers.
func check(t interface {
	Fatalf(format string, args ...any)
}, text string, count int) {
	got := Read(text, count)
	phrase, ok := reduce(text)
	switch got.Kind {
	case None:
	case Yes, No:
		if !ok || table()[phrase] != got.Kind {
			t.Fatalf("%q reads %v and is not in the table", text, got.Kind)
		}
	case Items, NoItems:
		if !pureList.MatchString(phrase) || strings.HasPrefix(phrase, "no") != (got.Kind == NoItems) {
			t.Fatalf("%q reads %v and is not a pure list", text, got)
		}
		if len(got.Items) == 0 || got.Items[0] < 1 || got.Items[len(got.Items)-1] > count || !slices.IsSorted(got.Items) ||
			len(slices.Compact(slices.Clone(got.Items))) != len(got.Items) {
			t.Fatalf("%q of %d reads %v", text, count, got.Items)
		}
	}
	if (got.Kind == Yes || got.Kind == No) == (len(got.Items) > 0) && got.Kind != None {
		t.Fatalf("%q: items %v with %v", text, got.Items, got.Kind)
	}
	if got.Kind == None {
		return
	}
	if strings.Contains(text, "?") || strings.ContainsAny(strings.TrimSpace(text), "\n\r") {
		t.Fatalf("%q is an answer", text)
	}
	if count <= listable && !Looks(text) {
		t.Fatalf("%q is an answer and does not look like one", text)
	}
	if again := Read(" "+strings.TrimSpace(text)+"\n", count); again.Kind != got.Kind || !slices.Equal(again.Items, got.Items) {
		t.Fatalf("%q reads %v, with white space around it %v", text, got, again)
	}
}

func phrases(kind Kind) []string {
	var list []string
	for phrase, k := range table() {
		if k == kind {
			list = append(list, phrase)
		}
	}
	slices.Sort(list)
	return list
}

func pieces() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom(append(phrases(Yes), phrases(No)...)),
		rapid.SampledFrom([]string{"1", "2", "3", "10", ",", " ", ", ", " and ", "and", ".", "!", "?", "\n", `"`, "'", "“", "”", "\u200b", "no ", "not", "don't", "but", "\u00a0", "0"}),
		rapid.String(),
	)
}

func TestPropertyAnAnswerIsTheWholeText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces(), 0, 6).Draw(t, "pieces"), "")
		check(t, text, rapid.IntRange(0, 20).Draw(t, "count"))
	})
}

func TestPropertyAWordAddedToAYesIsNoYes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		yes := rapid.SampledFrom(phrases(Yes)).Draw(t, "yes")
		word := rapid.OneOf(rapid.StringMatching(`[\pL\pN]+`), rapid.SampledFrom([]string{"not", "no", "but", "never", "yes", "ok", "later"})).Draw(t, "word")
		gap := rapid.SampledFrom([]string{" ", ", ", "\n", ". ", "! ", "", " - "}).Draw(t, "gap")
		for _, text := range []string{yes + gap + word, word + gap + yes} {
			if got := Read(text, 3).Kind; got == Yes && table()[fold(text)] != Yes {
				t.Fatalf("%q reads %v", text, got)
			}
		}
	})
}

func TestPropertyAQuestionMarkMakesNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(pieces(), 0, 4).Draw(t, "pieces"), "")
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		if text = text[:at] + "?" + text[at:]; Read(text, 3).Kind != None || Looks(text) {
			t.Fatalf("%q is an answer", text)
		}
	})
}

func FuzzRead(f *testing.F) {
	for _, text := range []string{"yes", "No.", "1, 2 and 3", "no 2", "yes\nbut", "“oui !”", "HAYIR", "\xff", "yes\u200b", "١", ""} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, count int) { check(t, text, count) })
}
