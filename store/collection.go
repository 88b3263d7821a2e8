package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
)

// Collection is the typed view of the documents of one kind. Values are stored
// as JSON by encoding/json, whose rules hold: unexported fields are left out,
// strings are made valid UTF-8, numbers inside fields of type any come back as
// float64, and a json.RawMessage loses its white space. Bytes that must come
// back as they were belong in fields of type []byte.
type Collection[T any] struct {
	engine Engine
	kind   string
}

// Item is one document of a collection.
type Item[T any] struct {
	ID      string
	Version int64
	Value   T
}

// Of answers the collection of the documents of one kind ([a-z_]{1,32}).
func Of[T any](engine Engine, kind string) *Collection[T] {
	return &Collection[T]{engine: engine, kind: kind}
}

// Get answers one value with its version, or ErrNotFound.
func (c *Collection[T]) Get(ctx context.Context, workspace, id string) (T, int64, error) {
	var v T
	doc, err := c.engine.Get(ctx, workspace, c.kind, id)
	if err != nil {
		return v, 0, err
	}
	if err := c.decode(doc, &v); err != nil {
		var none T
		return none, 0, err
	}
	return v, doc.Version, nil
}

// List answers the values that the query selects, in its order. One value that
// cannot be read fails the whole list: a list with a hole would look complete.
func (c *Collection[T]) List(ctx context.Context, workspace string, q Query) ([]Item[T], error) {
	docs, err := c.engine.List(ctx, workspace, c.kind, q)
	if err != nil {
		return nil, err
	}
	items := make([]Item[T], len(docs))
	for i, doc := range docs {
		items[i].ID, items[i].Version = doc.ID, doc.Version
		if err := c.decode(doc, &items[i].Value); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// Create answers the step that writes a value that must not exist yet.
func (c *Collection[T]) Create(id string, v T, index ...Index) (Put, error) {
	put, err := c.Set(id, v, index...)
	put.Create = true
	return put, err
}

// Replace answers the step that writes a value whose stored version must be
// exactly version (1 or more; anything else is ErrInvalid, because it would
// silently be an unconditional write).
func (c *Collection[T]) Replace(id string, version int64, v T, index ...Index) (Put, error) {
	if version < 1 {
		return Put{}, fmt.Errorf("%w: replace %s %q: version %d", ErrInvalid, c.kind, id, version)
	}
	put, err := c.Set(id, v, index...)
	put.IfVersion = version
	return put, err
}

// Set answers the step that writes a value in any case.
func (c *Collection[T]) Set(id string, v T, index ...Index) (Put, error) {
	value, err := encode(v)
	if err != nil {
		return Put{}, fmt.Errorf("store: encode %s %q: %w", c.kind, id, err)
	}
	return Put{Doc: Doc{Kind: c.kind, ID: id, Value: value, Index: index}}, nil
}

// Remove answers the step that deletes a value. With version 0 it is deleted
// in any case, else its stored version must be exactly version.
func (c *Collection[T]) Remove(id string, version int64) Delete {
	return Delete{Kind: c.kind, ID: id, IfVersion: version}
}

func (c *Collection[T]) decode(doc Doc, v *T) error {
	if err := json.Unmarshal(doc.Value, v); err != nil {
		return fmt.Errorf("store: decode %s %q version %d: %w", c.kind, doc.ID, doc.Version, err)
	}
	return nil
}

// encode leaves <, > and & as they are: nothing here is put into HTML unescaped.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
