package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// kept is what Cadreen says that it did and stored, from its metrics and its audit.
type kept struct {
	chats, stored, lost int // chat completions that were answered, their traces
	decisions, records  int // decisions on calls, records in the log of the audit
}

// missing says what was left out, or nil: figures without it would be another program's.
func (k kept) missing() error {
	switch {
	case k.lost > 0:
		return fmt.Errorf("%d traces were lost", k.lost)
	case k.chats == 0 || k.stored < k.chats:
		return fmt.Errorf("%d chats were answered and %d traces stored", k.chats, k.stored)
	case k.records < k.decisions:
		return fmt.Errorf("%d calls were decided and %d records stored", k.decisions, k.records)
	}
	return nil
}

// writtenWithin is how long the traces of the last answers may take: they are stored behind them.
const writtenWithin = 5 * time.Second

// keepsAll says why Cadreen did not store a trace of every answer and a record of every decision.
func keepsAll(ctx context.Context, c *contestant) error {
	for begun := time.Now(); ; {
		k, err := c.kept(ctx)
		if err == nil {
			err = k.missing()
		}
		if err == nil {
			return nil
		}
		if time.Since(begun) > writtenWithin || ctx.Err() != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (c *contestant) kept(ctx context.Context) (kept, error) {
	response, err := c.get(ctx, strings.TrimSuffix(c.base, "/v1")+"/metrics")
	if err != nil {
		return kept{}, err
	}
	defer func() { _ = response.Body.Close() }()
	var k kept
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		k.count(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return kept{}, err
	}
	stats, err := c.get(ctx, c.base+"/audit/stats")
	if err != nil {
		return kept{}, err
	}
	defer func() { _ = stats.Body.Close() }()
	var audit struct {
		Total int `json:"total"`
	}
	err = json.NewDecoder(stats.Body).Decode(&audit)
	k.records = audit.Total
	return k, err
}

// count takes one line of the metrics.
func (k *kept) count(line string) {
	series, text, _ := strings.Cut(line, " ")
	value, err := strconv.ParseFloat(text, 64)
	if err != nil { // a comment
		return
	}
	name, labels, _ := strings.Cut(series, "{")
	switch {
	case name == "cadreen_http_requests_total" && strings.Contains(labels, `route="chat"`):
		k.chats += int(value)
	case name == "cadreen_traces_stored_total":
		k.stored += int(value)
	case name == "cadreen_traces_lost_total":
		k.lost += int(value)
	case name == "cadreen_decisions_total":
		k.decisions += int(value)
	}
}

func (c *contestant) get(ctx context.Context, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%s: status %d", address, response.StatusCode)
	}
	return response, nil
}
