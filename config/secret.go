package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret is a text that no log, dump or JSON shows: whatever way it is printed, it reads "[redacted]", or "" when it is empty.
// Only Reveal gives it out.
type Secret struct {
	// A pointer, because fmt calls no methods on unexported fields: a Secret inside somebody's unexported field prints as an
	// address then, not as the text.
	text *string
}

// NewSecret hides a text.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal gives the text out.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says that there is no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String is "[redacted]".
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format covers every verb, %d and %x and %#v included.
func (s Secret) Format(f fmt.State, verb rune) { printHidden(f, verb, s.String()) }

// GoString is for callers that ask for it without fmt.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// MarshalText also covers JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON is the quoted String.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue is for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// URL is an address that may hold a password. Printed, it shows everything but the user part and the query; Reveal gives all of it.
type URL struct{ text Secret }

// NewURL wraps an address.
func NewURL(text string) URL { return URL{NewSecret(text)} }

// Reveal gives the whole address out.
func (u URL) Reveal() string { return u.text.Reveal() }

// IsZero says that there is no address.
func (u URL) IsZero() bool { return u.text.IsZero() }

// String is the address without user, password and query.
func (u URL) String() string {
	text, _, cut := strings.Cut(u.text.Reveal(), "?")
	if cut {
		text += "?" + redacted
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	// The last @ ends the user part, however the password is spelled; a slash inside an unescaped password must not hide it.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user := redacted
		if scheme == sentinelScheme && !strings.Contains(rest[:at], ":") {
			user = rest[:at] // the name of the master, not a credential
		}
		rest = user + "@" + rest[at+1:]
	}
	return scheme + "://" + rest
}

// Format prints String for every verb.
func (u URL) Format(f fmt.State, verb rune) { printHidden(f, verb, u.String()) }

// GoString is the quoted String.
func (u URL) GoString() string { return fmt.Sprintf("%q", u.String()) }

// MarshalText is String.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue is for slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }

func printHidden(f fmt.State, verb rune, text string) {
	if verb == 'q' || (verb == 'v' && f.Flag('#')) {
		text = fmt.Sprintf("%q", text)
	}
	_, _ = io.WriteString(f, text)
}
