package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Between these lines of docs/benchmarks.md stands what a run wrote. bench/run writes between others.
const (
	markerBegin = "<!-- proxies -->\n"
	markerEnd   = "<!-- /proxies -->\n"
)

// picture is the name of the plot, beside benchmarks.md.
const picture = "bench-proxy.svg"

// What a run has at least whose figures go into the documents.
const (
	wholeRounds = 5
	wholeSlice  = 500 * time.Millisecond
)

// partial says what a run lacks, "" if it is a whole one.
func (p *plan) partial(list []scenario, withHeld bool) string {
	switch {
	case p.rounds < wholeRounds || p.slice < wholeSlice:
		return fmt.Sprintf("fewer than %d rounds of %s were run", wholeRounds, wholeSlice)
	case len(list) < len(scenarios()) || !withHeld:
		return "only some scenarios were run"
	case !slices.Contains(p.streams, 1000) || !slices.Contains(p.streams, 5000):
		return "slow streams were left out"
	}
	return ""
}

// write puts the run into the documents.
func (r *report) write(folder string) error {
	page := filepath.Join(folder, "benchmarks.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	changed, err := between(string(text), r.markdown())
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	if err := os.WriteFile(filepath.Join(folder, picture), []byte(r.plot()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(changed), 0o644)
}

// between is the page with the part between the markers replaced.
func between(page, part string) (string, error) {
	before, rest, ok := strings.Cut(page, markerBegin)
	_, after, ok2 := strings.Cut(rest, markerEnd)
	if !ok || !ok2 {
		return "", errors.New("the lines " + strings.TrimSpace(markerBegin) + " and " + strings.TrimSpace(markerEnd) + " are not there")
	}
	return before + markerBegin + part + "\n" + markerEnd + after, nil
}

// markdown is the run as a part of a page.
func (r *report) markdown() string {
	var b strings.Builder
	for i, note := range r.notes() {
		b.WriteString("\n" + note + "\n")
		if i == 0 {
			b.WriteString("\n![CPU, requests a second and memory beside other proxies](" + picture + ")\n")
		}
	}
	for _, t := range r.tables() {
		b.WriteByte('\n')
		for i, row := range t {
			b.WriteString("| " + strings.Join(row, " | ") + " |\n")
			if i == 0 {
				b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
			}
		}
	}
	if problems := r.problems(); len(problems) > 0 {
		b.WriteString("\nWhat was wrong, one example each:\n\n")
		for _, p := range problems {
			b.WriteString("- " + strings.ReplaceAll(p, "|", `\|`) + "\n")
		}
	}
	return b.String()
}
