package openai

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxDepth is how deep a document may nest.
const MaxDepth = 128

// SyntaxError says what is wrong with a document and where.
type SyntaxError struct {
	Offset  int    // bytes from the start
	Pointer string // JSON Pointer of the value, "" if it is the document
	Reason  string
}

func (e *SyntaxError) Error() string {
	where := fmt.Sprintf("at byte %d", e.Offset)
	if e.Pointer != "" {
		where += " in " + e.Pointer
	}
	return e.Reason + " " + where
}

// FieldError says that a field does not have the form it needs.
type FieldError struct {
	Param  string // dotted path such as messages[0].role
	Reason string
}

func (e *FieldError) Error() string { return e.Param + ": " + e.Reason }

// within puts the path of the value around it before the path of a FieldError.
func within(err error, path string) error {
	var field *FieldError
	if !errors.As(err, &field) {
		return err
	}
	if field.Param == "" {
		return &FieldError{path, field.Reason}
	}
	return &FieldError{path + "." + field.Param, field.Reason}
}

// lenient lets escapes of lone surrogates through: JSON has them, and a
// surrogate pair may be split over the fragments of a stream. Raw bytes are
// checked on their own.
var lenient = jsontext.AllowInvalidUTF8(true)

// check says whether b is one JSON object, spelled as everybody reads it. How
// deep it nests is for scan to see.
func check(b []byte) error {
	if !utf8.Valid(b) {
		return invalidUTF8(b)
	}
	if !jsontext.Value(b).IsValid(lenient) {
		return locate(b)
	}
	if at := blanks(b, 0); b[at] != '{' {
		return &SyntaxError{Offset: at, Reason: "a JSON object is needed, this is another value"}
	}
	return nil
}

func invalidUTF8(b []byte) error {
	at := 0
	for at < len(b) {
		r, n := utf8.DecodeRune(b[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return &SyntaxError{Offset: at, Reason: "invalid UTF-8"}
}

func deep(at int) error {
	return &SyntaxError{Offset: at, Reason: fmt.Sprintf("nesting deeper than %d levels", MaxDepth)}
}

// locate reads an invalid document again to say what is wrong.
func locate(b []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(b), lenient)
	err := dec.SkipValue()
	if err == nil {
		return &SyntaxError{Offset: blanks(b, int(dec.InputOffset())), Reason: "something stands behind the JSON value"}
	}
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return &SyntaxError{Offset: len(b), Reason: "the JSON ends too early"}
	}
	reason := "invalid JSON"
	if dec.StackDepth() > MaxDepth {
		return deep(int(syntactic.ByteOffset))
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		reason = "duplicate name"
	case syntactic.Err != nil:
		reason = "invalid JSON: " + syntactic.Err.Error()
	}
	return &SyntaxError{Offset: int(syntactic.ByteOffset), Pointer: string(syntactic.JSONPointer), Reason: reason}
}
