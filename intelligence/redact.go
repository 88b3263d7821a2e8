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
	`(?:\b|_)(?i:sk|pk|rk)[_-][A-Za-z0-9_-]{12,}`,                                     // OpenAI, Stripe, Cadreen
	`(?i:password|passwd|pwd|secret|token|api[_-]?key)["' ]*[=:]["' ]*[^\s"',;&]{3,}`, // name=value
	`(?:AKIA|ASIA)[A-Z0-9]{16}`,                                                       // AWS
	`gh[pousr]_[A-Za-z0-9]{20,}`, `github_pat_[A-Za-z0-9_]{20,}`, `glpat-[A-Za-z0-9_-]{16,}`,
	`xox[a-z]-[A-Za-z0-9-]{10,}`,                              // Slack
	`AIza[A-Za-z0-9_-]{30,}`,                                  // Google
	`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`, // JWT
	`-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*`,
	`://[^/\s:@]+:[^/\s@]+@`,                          // user:password in an address
	`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.-]+`, // e-mail address
}, "|"))

// cards are numbers as long as those of cards, in groups or not.
var cards = regexp.MustCompile(`[0-9](?:[ -]?[0-9]){12,18}`)

// card replaces a number if its check digit is right, as that of one in ten is
// by chance: times in milliseconds are as long.
func card(number string) string {
	sum, n := 0, 0
	for i := len(number) - 1; i >= 0; i-- {
		if c := number[i]; c >= '0' && c <= '9' {
			d := int(c - '0')
			if n%2 == 1 {
				if d *= 2; d > 9 {
					d -= 9
				}
			}
			sum += d
			n++
		}
	}
	if sum%10 != 0 {
		return number
	}
	return Redacted
}

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
		text = cards.ReplaceAllStringFunc(secrets.ReplaceAllString(text, Redacted), card)
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

// suspicious says that text may hold one of the forms above, which nearly no text
// does; it looks for what each of them begins with.
func suspicious(text string) bool {
	digits := 0 // in a row, blanks and hyphens between them left out
	for i := range len(text) {
		c := text[i]
		switch {
		case '0' <= c && c <= '9':
			if digits++; digits == fewestDigits {
				return true
			}
			continue
		case c == '@' || c == '=' || c == ':' || c >= utf8.RuneSelf: // there are others that fold to ASCII letters
			return true
		case (c == ' ' || c == '-') && digits > 0:
			if begins(text[i:], "-----") {
				return true
			}
			continue
		}
		digits = 0
		for _, mark := range marks[c] {
			if begins(text[i:], mark) {
				return true
			}
		}
	}
	return false
}

// fewestDigits is how many a card number has at least.
const fewestDigits = 13

// marks are what secrets begin with, by their first byte. Letters count in either
// case.
var marks = func() (by [256][]string) {
	for _, mark := range []string{"bearer", "basic", "sk_", "sk-", "pk_", "pk-", "rk_", "rk-", "akia", "asia", "aiza", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_",
		"glpat-", "xox", "eyj", "-----"} {
		by[mark[0]] = append(by[mark[0]], mark)
		if upper := strings.ToUpper(mark[:1])[0]; upper != mark[0] {
			by[upper] = append(by[upper], mark)
		}
	}
	return by
}()

func begins(text, mark string) bool {
	return len(text) >= len(mark) && strings.EqualFold(text[:len(mark)], mark)
}
