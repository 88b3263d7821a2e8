package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// keepsTraces says why Cadreen keeps no traces of what it answered: figures without them would be another program's.
func keepsTraces(ctx context.Context, c *contestant) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/intelligence?limit=1", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var list struct {
		Traces []json.RawMessage `json:"traces"`
	}
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return fmt.Errorf("%s: traces: status %d: %w", c.name, response.StatusCode, err)
	}
	if len(list.Traces) == 0 {
		return fmt.Errorf("%s kept no trace (status %d)", c.name, response.StatusCode)
	}
	return nil
}
