package scripted

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Recorded is a stream as a provider once sent it.
type Recorded struct {
	Name   string
	Chunks []string
}

// Load reads every *.jsonl file of a folder: one chunk a line. A folder that
// does not exist is an error for which errors.Is(err, fs.ErrNotExist) holds.
func Load(folder string) ([]Recorded, error) {
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("recorded streams: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("recorded streams: %w", err)
	}
	all := make([]Recorded, 0, len(files))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("recorded streams: %w", err)
		}
		r := Recorded{Name: strings.TrimSuffix(filepath.Base(file), ".jsonl")}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				r.Chunks = append(r.Chunks, line)
			}
		}
		all = append(all, r)
	}
	return all, nil
}
