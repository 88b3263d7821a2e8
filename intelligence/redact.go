package intelligence

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// longest is how much is kept of a word that a client or a model may choose, in
// bytes.
const longest = 256

// shortestSecret spares short words, which hold no secret that can be told by
// its form, the search.
const shortestSecret = 8

// secrets are the forms of credentials and of numbers that must not be kept.
var secrets = regexp.MustCompile(strings.Join([]string{
	`(?i:bearer|basic)[ +:]+[A-Za-z0-9._~+/=-]{8,}`,                                   // Authorization
	`(?i:sk|pk|rk)[_-][A-Za-z0-9_-]{12,}`,                                             // OpenAI, Stripe, Cadreen
	`(?i:password|passwd|pwd|secret|token|api[_-]?key)["' ]*[=:]["' ]*[^\s"',;&]{3,}`, // name=value
	`(?:AKIA|ASIA)[A-Z0-9]{16}`,                                                       // AWS
	`gh[pousr]_[A-Za-z0-9]{20,}`, `github_pat_[A-Za-z0-9_]{20,}`, `glpat-[A-Za-z0-9_-]{16,}`,
	`xox[a-z]-[A-Za-z0-9-]{10,}`,                              // Slack
	`AIza[A-Za-z0-9_-]{30,}`,                                  // Google
	`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`, // JWT
	`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*`,
	`://[^/\s:@]+:[^/\s@]+@`,                          // user:password in an address
	`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+`, // e-mail address
	`\b(?:[0-9][ -]?){12,18}[0-9]\b`,                  // card numbers
}, "|"))

// Redacted stands for what is left out.
const Redacted = "[redacted]"

// Redact is text without what has the form of a secret, as valid UTF-8, cut to
// 256 bytes.
func Redact(text string) string {
	if len(text) < shortestSecret {
		if utf8.ValidString(text) {
			return text
		}
	} else if suspicious(text) {
		text = secrets.ReplaceAllString(text, Redacted)
	}
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= longest {
		return text
	}
	cut := longest - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// suspicious says that text is worth the search: it has a digit, or one of the
// signs that go before a secret. Names such as process_refund have none.
func suspicious(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case '0' <= c && c <= '9', c == '@', c == ':', c == '=', c == ' ', c == '-', c == '+':
			return true
		}
	}
	return len(text) > 24
}
