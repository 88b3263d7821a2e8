package cadreen_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/conversations"
	"cadreen/conversations/answer"
)

var update = flag.Bool("update", false, "write the generated parts of the documents anew")

const askingPage = "docs/asking.md"

// The prompts of the page are those that the tests of conversations hold to the byte.
func TestPromptsOfTheAskingPage(t *testing.T) {
	_, blocks := readPage(t, askingPage)
	shown := 0
	for _, b := range blocks {
		name, ok := strings.CutPrefix(b.Note, "prompt: ")
		if !ok {
			continue
		}
		shown++
		want, err := os.ReadFile(filepath.Join("conversations", "testdata", "prompts", name))
		require.NoError(t, err)
		require.Equal(t, strings.TrimRight(string(want), "\n"), strings.TrimRight(b.Text, "\n"), "%s:%d", b.Page, b.Line)
		_, is := conversations.Recognise(b.Text)
		require.True(t, is, "%s:%d", b.Page, b.Line)
	}
	require.NotZero(t, shown)
}

const (
	tableBegin = "<!-- answers: made from conversations/answer/words.tsv by: go test . -run TestAnswerTable -update -->\n"
	tableEnd   = "<!-- /answers -->\n"
)

// The table of the page is made from the table that is read.
func TestAnswerTable(t *testing.T) {
	text, err := os.ReadFile(askingPage)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), tableBegin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, tableEnd)
	require.True(t, ok)
	made := before + tableBegin + answerTable(t) + tableEnd + after
	if *update {
		require.NoError(t, os.WriteFile(askingPage, []byte(made), 0o644))
		return
	}
	require.Equal(t, made, string(text), "make docs")
}

func answerTable(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("conversations/answer/words.tsv")
	require.NoError(t, err)
	words := map[string]map[string][]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if strings.HasPrefix(line, "#") || len(f) < 3 || f[1] == "neither" {
			continue
		}
		language, kind, phrase := f[0], f[1], f[2]
		require.Equal(t, kind, answer.Read(phrase, 1).Kind.String(), phrase)
		if words[language] == nil {
			words[language] = map[string][]string{}
		}
		words[language][kind] = append(words[language][kind], phrase)
	}
	languages := slices.Sorted(maps.Keys(words))
	languages = slices.DeleteFunc(languages, func(l string) bool { return l == "en" })
	var b strings.Builder
	b.WriteString("| | yes | no |\n|---|---|---|\n")
	for _, l := range append([]string{"en"}, languages...) {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l, strings.Join(words[l]["yes"], " · "), strings.Join(words[l]["no"], " · "))
	}
	return b.String()
}

// The fixed texts of the page are those that are sent.
func TestTextsOfTheAskingPage(t *testing.T) {
	text, err := os.ReadFile(askingPage)
	require.NoError(t, err)
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	place := conversations.EscalationPlace("esc_01", "https://cadreen.example.com/api/v1/cadreen/escalations/esc_01")
	const tool = "process_refund"
	for _, want := range []string{
		conversations.TextDenied(tool),
		conversations.TextDeniedInPart([]string{tool}, []string{"delete_user"}),
		conversations.TextBlocked(tool, ""),
		conversations.TextNowBlocked(tool, ""),
		conversations.TextClarify("cancel_order", "order_status", "get_order"),
		conversations.TextTruncated(tool),
		conversations.TextDropped(tool),
		conversations.TextExpired(tool),
		conversations.TextAlreadyReleased(at),
		conversations.TextAlreadyDenied(at),
		conversations.TextSuperseded(),
		conversations.TextNothingOpen(),
		conversations.TextUnknown(),
		conversations.TextNeedsTools(),
		conversations.TextRecorded(place),
		conversations.TextStillWaiting(place),
		conversations.TextDeclined(tool),
		conversations.TextHandledOutside(tool),
	} {
		require.Contains(t, string(text), "`"+want+"`")
	}
}

// What the page calls answers and not answers is read so.
func TestAnswersOfTheAskingPage(t *testing.T) {
	for _, text := range []string{"1,3", "1 3", "1 and 3", "no 2", "no 1,3"} {
		require.NotEqual(t, answer.None, answer.Read(text, 3).Kind, text)
	}
	for _, text := range []string{"yes, but only 10", "is yes right?", "no, don't approve", "yes\nno", "4", "yes?", "y\u200bes"} {
		require.Equal(t, answer.None, answer.Read(text, 3).Kind, text)
	}
}
