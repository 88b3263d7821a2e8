package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// The setters below turn a written value into a field of Config, or say what is wrong with it. None of them repeats a value
// that may be secret.

type durationField = *time.Duration

const (
	sentinelScheme = "redis+sentinel"
	sqlitePrefix   = "sqlite:"
)

var redisSchemes = []string{"redis", "rediss", "redis+cluster", sentinelScheme}

func plain(field func(*Config) *string) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		*field(c) = v.text
		return nil
	}
}

func word(field func(*Config) *string, allowed ...string) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		if !slices.Contains(allowed, v.text) {
			return wrong("is "+strconv.Quote(v.text), "write "+oneOf(allowed))
		}
		*field(c) = v.text
		return nil
	}
}

func boolean(field func(*Config) *bool) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		switch v.text {
		case "true":
			*field(c) = true
		case "false":
			*field(c) = false
		default:
			return wrong("is "+strconv.Quote(v.text), "write true or false")
		}
		return nil
	}
}

// longestDuration keeps sums of times far from overflow.
const longestDuration = 366 * 24 * time.Hour

func duration(field func(*Config) durationField) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		d, err := time.ParseDuration(strings.ReplaceAll(v.text, " ", ""))
		switch {
		case err != nil:
			return wrong("is "+strconv.Quote(v.text)+", not a time", "write a number with its unit, like 90s, 15m or 4h")
		case d <= 0:
			return wrong("is not above zero", "write a time like 90s, 15m or 4h")
		case d > longestDuration:
			return wrong("is longer than a year", "write a time like 90s, 15m or 4h")
		}
		*field(c) = d
		return nil
	}
}

// longestPeriod is a hundred years.
const longestPeriod = 36_525 * 24 * time.Hour

// period is a longer time: days, or what a duration may be.
func period(field func(*Config) durationField) func(*Config, value) *mistake {
	const fix = "write days or hours, like 30d or 12h"
	return func(c *Config, v value) *mistake {
		text := strings.ReplaceAll(v.text, " ", "")
		for _, unit := range []string{"days", "day", "d"} {
			days, ok := strings.CutSuffix(text, unit)
			if !ok {
				continue
			}
			if n, err := strconv.Atoi(days); err == nil && n >= 0 && n <= 36_525 {
				text = strconv.Itoa(24*n) + "h"
			}
			break
		}
		d, err := time.ParseDuration(text)
		switch {
		case err != nil:
			return wrong("is "+strconv.Quote(v.text)+", not a time", fix)
		case d <= 0:
			return wrong("is not above zero", fix)
		case d > longestPeriod:
			return wrong("is longer than a hundred years", fix)
		}
		*field(c) = d
		return nil
	}
}

// periodOrForever is a period, or the word forever, which is 0.
func periodOrForever(field func(*Config) durationField) func(*Config, value) *mistake {
	set := period(field)
	return func(c *Config, v value) *mistake {
		if v.text == "forever" {
			*field(c) = 0
			return nil
		}
		m := set(c, v)
		if m != nil {
			m.fix = "write forever, or days or hours, like 3650d or 12h"
		}
		return m
	}
}

// largestSize is the most that a size setting may be: 1 GiB is buffered in memory for each request that is so long.
const (
	smallestSize = 1 << 10
	largestSize  = 1 << 30
)

func size(field func(*Config) *int64) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		n, err := humanize.ParseBytes(v.text)
		switch {
		case err != nil:
			return wrong("is "+strconv.Quote(v.text)+", not a size", "write a number with its unit, like 512 KiB or 32 MiB")
		case n < smallestSize || n > largestSize:
			return wrong("is not between 1 KiB and 1 GiB", "write a size like 512 KiB or 32 MiB")
		}
		*field(c) = int64(n)
		return nil
	}
}

func count(field func(*Config) *int, most int) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		n, err := strconv.Atoi(strings.ReplaceAll(v.text, "_", ""))
		if err != nil || n < 1 || n > most {
			return wrong("is "+strconv.Quote(v.text)+", not a whole number from 1 to "+strconv.Itoa(most), "write a number like 10000")
		}
		*field(c) = n
		return nil
	}
}

func address(field func(*Config) *string) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		_, port, err := net.SplitHostPort(v.text)
		if err != nil {
			return wrong("is "+strconv.Quote(v.text)+", not host:port", "write it like 127.0.0.1:8080, or [::1]:8080")
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			return wrong("has the port "+strconv.Quote(port), "write a number from 0 to 65535; 0 takes a free port")
		}
		*field(c) = v.text
		return nil
	}
}

func base(field func(*Config) *string) func(*Config, value) *mistake {
	return func(c *Config, v value) *mistake {
		text, m := httpURL(v.text)
		if m == nil {
			*field(c) = text
		}
		return m
	}
}

func backendURL(c *Config, v value) *mistake {
	if v.text == rehearsal {
		c.Backend.URL = NewURL(v.text)
		return nil
	}
	text, m := httpURL(v.text)
	if m != nil {
		if strings.Contains(m.problem, "user") {
			m.fix += " and put the key into backend.api_key"
		}
		return m
	}
	if rest, found := strings.CutSuffix(text, "/chat/completions"); found {
		return wrong("ends in /chat/completions", "write the base URL only: "+rest)
	}
	c.Backend.URL = NewURL(text)
	return nil
}

// storeURL checks the scheme; the engine that opens the store reads the rest.
func storeURL(c *Config, v value) *mistake {
	if path, found := strings.CutPrefix(v.text, sqlitePrefix); found {
		if path == "" {
			return wrong("names no file", "write it like sqlite:cadreen-data/cadreen.db")
		}
		c.Store.URL = NewURL(v.text)
		return nil
	}
	scheme, rest, found := strings.Cut(v.text, "://")
	if !found || !slices.Contains(redisSchemes, scheme) {
		return wrong("is not a store that Cadreen knows", "begin it with sqlite:, redis://, rediss://, redis+cluster:// or redis+sentinel://")
	}
	hosts, _, _ := strings.Cut(rest[strings.LastIndexByte(rest, '@')+1:], "/")
	if strings.Trim(hosts, ",") == "" {
		return wrong("names no host", "write it like "+scheme+"://127.0.0.1:6379")
	}
	if scheme == sentinelScheme && strings.IndexByte(rest, '@') <= 0 {
		return wrong("names no master", "write it like redis+sentinel://mymaster@h1:26379,h2:26379")
	}
	c.Store.URL = NewURL(v.text)
	return nil
}

// headerSecret takes a text that will stand in an Authorization header.
func headerSecret(field *Secret, text string) *mistake {
	if !printable(text) {
		return wrong("holds a blank, a line end or another character that a header cannot carry", "check the secret for a stray line or quotes")
	}
	*field = NewSecret(text)
	return nil
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// neverIdentity are headers that every request of a client shares or that hold a secret.
var neverIdentity = []string{"authorization", "cookie", "proxy-authorization", "user-agent", "host", "content-type", "content-length", "accept"}

func headerNames(c *Config, v value) *mistake {
	for _, name := range v.list {
		if !headerToken(name) {
			return wrong(strconv.Quote(name)+" is not the name of a header", "use letters, digits and -")
		}
		if slices.Contains(neverIdentity, strings.ToLower(name)) {
			return wrong(name+" does not name a conversation", "take it out of the list")
		}
	}
	c.Conversation.Headers = slices.Clone(v.list)
	return nil
}

func headerToken(name string) bool {
	for i := range len(name) {
		b := name[i]
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(b)) {
			return false
		}
	}
	return name != ""
}

func origins(c *Config, v value) *mistake {
	for _, origin := range v.list {
		if origin == "*" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			return wrong(strconv.Quote(origin)+" is not an origin", "write it like https://chat.example.com, without a path or final slash")
		}
	}
	c.CORS.Origins = slices.Clone(v.list)
	return nil
}

// httpURL checks a base address and takes its final slashes off.
func httpURL(text string) (string, *mistake) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Hostname() == "":
		return "", wrong("is not an http or https address", "write it like https://example.com")
	case u.User != nil:
		return "", wrong("holds a user name or password", "take the part before @ out of the address")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", wrong("holds a query or a fragment", "end the address before ? or #")
	}
	return strings.TrimRight(text, "/"), nil
}
