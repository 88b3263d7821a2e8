package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"cadreen/store"
)

var errForeign = errors.New("a key holds what this program did not write")

// Get reads one document from the master.
func (e *Engine) Get(ctx context.Context, workspace, kind, id string) (store.Doc, error) {
	if err := store.CheckGet(workspace, kind, id); err != nil {
		return store.Doc{}, err
	}
	key := docPrefix(workspace, kind) + id
	fields, err := ask(ctx, e, "get", func(ctx context.Context) ([]any, error) {
		return e.client.Do(ctx, "HGETALL", key).Slice()
	})
	if err != nil {
		return store.Doc{}, err
	}
	if len(fields) == 0 {
		return store.Doc{}, fmt.Errorf("%w: %s %q", store.ErrNotFound, kind, id)
	}
	doc, err := document(kind, id, fields)
	if err != nil {
		return store.Doc{}, unavailable("get", err)
	}
	return doc, nil
}

// List runs one script, which sees one state.
func (e *Engine) List(ctx context.Context, workspace, kind string, q store.Query) ([]store.Doc, error) {
	q, err := store.CheckList(workspace, kind, q)
	if err != nil {
		return nil, err
	}
	command, from, to := "ZRANGEBYSCORE", q.Min, q.Max
	if q.Desc {
		command, from, to = "ZREVRANGEBYSCORE", q.Max, q.Min
	}
	keys := []string{indexPrefix(workspace, kind) + q.Index + ":" + q.Key}
	found, err := ask(ctx, e, "list", func(ctx context.Context) ([]any, error) {
		return listScript.Run(ctx, e.client, keys, command, from, to, q.Offset, q.Limit, docPrefix(workspace, kind)).Slice()
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	docs := make([]store.Doc, 0, len(found)/2)
	for ; len(found) >= 2; found = found[2:] {
		id, ok1 := found[0].(string)
		fields, ok2 := found[1].([]any)
		if !ok1 || !ok2 {
			return nil, unavailable("list", errForeign)
		}
		doc, err := document(kind, id, fields)
		if err != nil {
			return nil, unavailable("list", err)
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// Read reads a part of a log.
func (e *Engine) Read(ctx context.Context, workspace, log string, after int64, limit int) ([]store.Entry, error) {
	after, limit, err := store.CheckRead(workspace, log, after, limit)
	if err != nil {
		return nil, err
	}
	if after == math.MaxInt64 {
		return nil, nil
	}
	from := strconv.FormatInt(after+1, 10) + "-0"
	lines, err := ask(ctx, e, "read", func(ctx context.Context) ([]redis.XMessage, error) {
		return e.client.XRangeN(ctx, logKey(workspace, log), from, "+", int64(limit)).Result()
	})
	if err != nil || len(lines) == 0 {
		return nil, err
	}
	entries := make([]store.Entry, len(lines))
	for i, line := range lines {
		seq, rest, _ := strings.Cut(line.ID, "-")
		at, ok1 := line.Values["t"].(string)
		value, ok2 := line.Values["d"].(string)
		number, err1 := strconv.ParseInt(seq, 10, 64)
		micros, err2 := strconv.ParseInt(at, 10, 64)
		if !ok1 || !ok2 || rest != "0" || err1 != nil || err2 != nil {
			return nil, unavailable("read", errForeign)
		}
		entries[i] = store.Entry{Seq: number, At: time.UnixMicro(micros).UTC(), Value: []byte(value)}
	}
	return entries, nil
}

// document reads the fields of a hash, names and values in turn.
func document(kind, id string, fields []any) (store.Doc, error) {
	doc := store.Doc{Kind: kind, ID: id}
	for ; len(fields) >= 2; fields = fields[2:] {
		name, ok1 := fields[0].(string)
		value, ok2 := fields[1].(string)
		if !ok1 || !ok2 || name == "" {
			return doc, errForeign
		}
		switch {
		case name == "v":
			version, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return doc, errForeign
			}
			doc.Version = version
		case name == "d":
			doc.Value = []byte(value)
		case name[0] == 'i':
			index, key, found := strings.Cut(name[1:], ":")
			score, err := strconv.ParseInt(value, 10, 64)
			if !found || err != nil {
				return doc, errForeign
			}
			doc.Index = append(doc.Index, store.Index{Name: index, Key: key, Score: score})
		}
	}
	if doc.Version == 0 {
		return doc, errForeign
	}
	doc.Index = store.SortedIndex(doc.Index)
	return doc, nil
}
