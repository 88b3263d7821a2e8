package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is a fault on its way to the client. Everything but Code is optional: what is left zero comes from the catalogue.
// Message, Hint, Param, Details and Next are sent to the client; Err is not, it is for the log.
type Error struct {
	// Code is a code of the catalogue, or an upstream's own code that is passed through; then Status must be set.
	Code string
	// Status is the HTTP status; 0 means the catalogue's.
	Status int
	// Type is the error type; "" means the catalogue's.
	Type string
	// Message, Hint: "" means the catalogue's.
	Message string
	Hint    string
	// Param names the request field at fault; "" is sent as null.
	Param string
	// Details lists several fields at fault; absent when empty.
	Details []Detail
	// RetryAfter is in whole seconds; 0 is not sent.
	RetryAfter int
	// ShouldRetry overrides what ShouldRetryHeader would say; used to pass on an upstream's own word.
	ShouldRetry *bool
	// Next replaces the catalogue's next action.
	Next *NextAction
	// Header holds further response headers, such as an upstream's retry-after-ms.
	Header http.Header
	// Err is the cause. It never reaches the client.
	Err error
}

// Detail is one field at fault.
type Detail struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// New makes a fault with a catalogue code. An empty format means the catalogue's message. The text is sent to the client. An
// unknown code is a mistake in our own program and panics.
func New(code, format string, args ...any) *Error {
	mustKnow(code)
	e := &Error{Code: code}
	if format != "" {
		e.Message = fmt.Sprintf(format, args...)
	}
	return e
}

// Wrap is New with a cause, which errors.Is and errors.As find and the client never sees.
func Wrap(err error, code, format string, args ...any) *Error {
	e := New(code, format, args...)
	e.Err = err
	return e
}

// Error is for the log: code, message and cause.
func (e *Error) Error() string {
	text := e.code() + ": " + e.message()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// From finds the fault in an error's chain. nil stays nil. An error without one becomes internal_error with the catalogue's
// message, so that nothing about the inside leaks; the error itself is kept as the cause, for the log.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	return &Error{Code: InternalError, Err: err}
}

// HTTPStatus is the status to answer with.
func (e *Error) HTTPStatus() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.entry().Status
}

// ShouldRetryHeader is the value of x-should-retry, which OpenAI's SDKs obey. ok is false where the header should not be sent
// and the SDK's own rule is right. A final refusal (any 4xx but 408, 409 and 429) says "false": the same request would be
// refused again.
func (e *Error) ShouldRetryHeader() (value string, ok bool) {
	if e.ShouldRetry != nil {
		if *e.ShouldRetry {
			return "true", true
		}
		return "false", true
	}
	switch status := e.HTTPStatus(); {
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooManyRequests:
		return "", false
	case status >= 400 && status < 500:
		return "false", true
	}
	return "", false
}

// NextAction is what the caller should do next.
func (e *Error) NextAction() NextAction {
	if e.Next != nil {
		return *e.Next
	}
	return e.entry().Next
}

func mustKnow(code string) {
	if _, ok := byCode[code]; !ok {
		panic(fmt.Sprintf("fault: %q is not in the catalogue", code))
	}
}

// entry is the catalogue entry that fills what the fault leaves open: its own, or the general one of its status.
func (e *Error) entry() Entry {
	if i, ok := byCode[e.Code]; ok {
		return entries[i]
	}
	return forStatus(e.Status)
}

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	return e.entry().Code
}

func (e *Error) message() string {
	if e.Message != "" {
		return e.Message
	}
	return e.entry().Message
}
