package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"cadreen/fault"
	"cadreen/intelligence"
)

const (
	defaultLimit = 20
	maxLimit     = 200
	maxOffset    = 1_000_000
)

// listPage is the pagination of a list; clients need all three fields.
type listPage struct {
	Limit   int  `json:"limit"`
	Offset  int  `json:"offset"`
	HasMore bool `json:"has_more"`
}

// readPage reads limit and offset. Empty values count as absent: some clients
// send them so. A limit above the maximum is lowered, and the answer says so.
func readPage(r *http.Request) (listPage, error) {
	limit, err := readNumber(r, "limit", 1, defaultLimit)
	if err != nil {
		return listPage{}, err
	}
	offset, err := readNumber(r, "offset", 0, 0)
	if err != nil {
		return listPage{}, err
	}
	return listPage{Limit: min(limit, maxLimit), Offset: min(offset, maxOffset)}, nil
}

func readNumber(r *http.Request, name string, least, absent int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		e := fault.New(fault.InvalidRequest, "%s must be a whole number, at least %d", name, least)
		e.Param = name
		return 0, e
	}
	return n, nil
}

// readBody decodes a JSON object. Unknown fields are tolerated, an empty body
// is an empty object; a name that stands twice, bad UTF-8 and anything after
// the object are refused.
func readBody(r *http.Request, into any) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fault.Wrap(err, fault.InvalidRequest, "The request body could not be read")
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if err := jsonv2.Unmarshal(raw, into); err != nil {
		return fault.Wrap(err, fault.InvalidRequest, "The request body is not the expected JSON object%s", where(err))
	}
	return nil
}

// where says which field or place is at fault, without the library's words.
func where(err error) string {
	var semantic *jsonv2.SemanticError
	if errors.As(err, &semantic) && semantic.JSONPointer != "" {
		return ": look at " + strconv.Quote(string(semantic.JSONPointer))
	}
	return ""
}

// Write is write for answers that are made elsewhere.
func Write(w http.ResponseWriter, r *http.Request, v any) error { return write(w, r, v) }

// write answers a JSON object with the request's trace in it, as far as the
// request's profile shows it.
func write(w http.ResponseWriter, r *http.Request, v any) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	traced(&buf, v, intelligence.From(r.Context()))
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(http.StatusOK)
	// A client that went away needs no answer.
	_, _ = w.Write(buf.Bytes())
	return nil
}

// traced adds trace_id and intelligence to an encoded object, unless it has
// fields of these names.
func traced(buf *bytes.Buffer, v any, t *intelligence.Trace) {
	object := bytes.TrimRight(buf.Bytes(), "\n")
	if t == nil || len(object) < 2 || object[0] != '{' {
		return
	}
	buf.Truncate(len(object) - 1)
	comma := len(object) > len("{}")
	add := func(name string, value []byte) {
		if value == nil || hasField(reflect.TypeOf(v), name) {
			return
		}
		if comma {
			buf.WriteByte(',')
		}
		comma = true
		buf.WriteString(strconv.Quote(name) + ":")
		buf.Write(value)
	}
	add("trace_id", []byte(strconv.Quote(t.ID())))
	add("intelligence", t.Block())
	buf.WriteString("}\n")
}

// hasField says that a struct is encoded with a field of this name.
func hasField(t reflect.Type, name string) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, f := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name && f.IsExported() {
			return true
		}
	}
	return false
}
