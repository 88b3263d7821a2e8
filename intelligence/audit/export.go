package audit

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"cadreen/store"
)

// exported is one line of an export.
type exported struct {
	Kind      string          `json:"kind"` // record, link or end
	Workspace string          `json:"workspace"`
	Log       string          `json:"log,omitempty"`
	Sequence  int64           `json:"sequence,omitempty"`
	At        *time.Time      `json:"at,omitempty"`
	Value     json.RawMessage `json:"value,omitempty"` // the entry, byte for byte
	Bytes     []byte          `json:"bytes,omitempty"` // in its place where it is not one line of JSON
	Records   *int64          `json:"records,omitempty"`
	Links     *int64          `json:"links,omitempty"`
	Heads     []string        `json:"heads,omitempty"`
}

// Export writes all records of a workspace, oldest first, those of store.System that
// are about it, then its chain, as JSON Lines. The last line is of the kind "end": an
// export without it is not whole. Between From and To of the query the records are
// exported without the chain, which would not fit.
func (l *Log) Export(ctx context.Context, out io.Writer, workspace string, q Query) error {
	if l.writer != nil {
		if err := l.writer.Seal(ctx, workspace); err != nil {
			return err
		}
	}
	w := bufio.NewWriterSize(out, 64<<10)
	var records, links int64
	put := func(kind, place, log string, e store.Entry) error {
		line := exported{Kind: kind, Workspace: place, Log: log, Sequence: e.Seq, At: &e.At}
		if oneLine(e.Value) {
			line.Value = e.Value
		} else {
			line.Bytes = e.Value
		}
		return writeLine(w, line)
	}
	c := newChecker(nil, l.records)
	whole := q.From.IsZero() && q.To.IsZero()
	if whole {
		// Links first: what they cover is there, and what comes later does not matter.
		for e, err := range (engineSource{l.engine, l.records}).links(ctx, workspace) {
			if err == nil {
				links++
				if link, hash, bad := decodeLink(e); bad == nil {
					c.link(workspace, link, hash)
				}
				err = put("link", workspace, ChainLog, e)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, place := range places(workspace) {
		for e, err := range entries(ctx, l.engine, place, l.records, 0) {
			if err != nil {
				return err
			}
			if !q.From.IsZero() && e.At.Before(q.From) || !q.To.IsZero() && e.At.After(q.To) {
				continue
			}
			if f := show(e); !f.concerns(place, workspace) {
				continue
			}
			records++
			if err := put("record", place, l.records, e); err != nil {
				return err
			}
		}
	}
	end := exported{Kind: "end", Workspace: workspace, Records: &records, Links: &links, Heads: c.finish(nil).Heads}
	return errors.Join(writeLine(w, end), w.Flush())
}

// oneLine says that bytes stand as they are in a line of JSON.
func oneLine(b []byte) bool {
	for _, c := range b {
		if c < ' ' {
			return false
		}
	}
	return json.Valid(b)
}

// writeLine leaves raw values as they are, which json.Marshal does not.
func writeLine(w *bufio.Writer, line exported) error {
	value := line.Value
	line.Value = nil
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if value != nil {
		b = append(b[:len(b)-1], `,"value":`...)
		b = append(append(b, value...), '}')
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// VerifyFile checks an export of a workspace: its chain against its records.
// Records of store.System are in it and not checked, because those between them are
// others'.
func VerifyFile(ctx context.Context, path, records string, heads ...Head) (Report, error) {
	workspace, err := exportOf(path)
	if err != nil {
		return Report{}, err
	}
	c := newChecker(file{path, records}, records)
	if err := c.workspace(ctx, workspace); err != nil {
		return Report{}, err
	}
	var outside []telling
	for _, h := range heads {
		outside = append(outside, telling{h, "a head that was kept outside"})
	}
	return c.finish(outside, workspace), nil
}

// file is an export as the source of a check.
type file struct{ path, log string }

func (f file) links(_ context.Context, workspace string) iter.Seq2[store.Entry, error] {
	return f.entries("link", workspace, ChainLog, 0)
}

func (f file) records(_ context.Context, workspace string, after int64) iter.Seq2[store.Entry, error] {
	return f.entries("record", workspace, f.log, after)
}

func (f file) entries(kind, workspace, log string, after int64) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		for line, err := range lines(f.path) {
			if err != nil {
				yield(store.Entry{}, err)
				return
			}
			if line.Kind != kind || line.Workspace != workspace || line.Log != log || line.Sequence <= after || line.At == nil {
				continue
			}
			value := []byte(line.Value)
			if line.Bytes != nil {
				value = line.Bytes
			}
			if !yield(store.Entry{Seq: line.Sequence, At: *line.At, Value: value}, nil) {
				return
			}
		}
	}
}

// exportOf is the workspace of an export that has its end.
func exportOf(path string) (string, error) {
	var last exported
	for line, err := range lines(path) {
		if err != nil {
			return "", err
		}
		last = line
	}
	if last.Kind != "end" || last.Links == nil || *last.Links == 0 {
		return "", fmt.Errorf("%s is not a whole export: its last line is not the end of one with a chain", path)
	}
	return last.Workspace, nil
}

func lines(path string) iter.Seq2[exported, error] {
	return func(yield func(exported, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(exported{}, err)
			return
		}
		defer f.Close()
		dec := json.NewDecoder(bufio.NewReaderSize(f, 64<<10))
		for n := 1; ; n++ {
			var line exported
			err := dec.Decode(&line)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(exported{}, fmt.Errorf("%s, line %d: %w", path, n, err))
				return
			}
			if !yield(line, nil) {
				return
			}
		}
	}
}
