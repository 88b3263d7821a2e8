package fault

import (
	"bytes"
	_ "embed"
	"html"
	"html/template"
	"strconv"
	"strings"
)

// Markdown is docs/errors.md: every code with its status, type, meaning and hint, by subsystem.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString("# Errors\n\n<!-- Made from fault/catalogue.json by: go test ./fault -update -->\n\n")
	for _, p := range preface {
		b.WriteString(p + "\n\n")
	}
	b.WriteString("## " + absentTitle + "\n\n" + absentText + "\n\n")
	for _, a := range Absences() {
		b.WriteString("- " + a.Name + ": [`" + a.Code + "`](#err-" + a.Code + ") at `" + strings.Join(a.Routes, "`, `") + "`\n")
	}
	b.WriteString("\n")
	for _, s := range sections() {
		b.WriteString("## " + s.Name + "\n\n")
		if !s.Served {
			b.WriteString("**" + notServed + "** " + notServedWhy + "\n\n")
		}
		b.WriteString("| HTTP | code | type | message | hint | next action |\n|---|---|---|---|---|---|\n")
		for _, e := range s.Entries {
			b.WriteString(markdownRow(e, s.Served && !e.Served))
		}
		b.WriteString("\n")
	}
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

// Page is the same as Markdown, as one HTML page without any outside asset. Each code's paragraph has the id err-<code>, which
// doc_url points to.
func Page() []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"Preface":      preface,
		"AbsentTitle":  absentTitle,
		"AbsentText":   absentText,
		"Absences":     Absences(),
		"Sections":     sections(),
		"NotServed":    notServed,
		"NotServedWhy": notServedWhy,
		"NotSent":      notSent,
	})
	if err != nil {
		// The template and its data are both our own and fixed.
		panic("fault: errors page: " + err.Error())
	}
	return b.Bytes()
}

const (
	notServed    = "Not served by this version."
	notServedWhy = "The codes are reserved; nothing sends them yet."
	notSent      = "reserved, not sent by this version"
	absentTitle  = "What this version does not have"
	absentText   = "The addresses of these parts of the contract exist, need a key and answer their code with `x-should-retry: false` and a `next_action` of the type `none`. The other codes of such a part are reserved."
)

var preface = []string{
	"Every error has the same form. Branch on `error.code`: codes are stable, messages may change.",
	"`{\"error\":{\"type\",\"code\",\"message\",\"hint\",\"param\",\"doc_url\",\"next_action\",\"details\",\"retry_after\",\"trace_id\"},\"trace_id\"}`",
	"`param` is null when no single field is at fault. `next_action`, `details` and `retry_after` (whole seconds) are absent when there is nothing to say. `trace_id` also comes in the `X-Cadreen-Trace-ID` header.",
	"`x-should-retry: false` marks a final refusal: every 4xx other than 408, 409 and 429. Sending the same request again gives the same answer.",
	"On a stream that has already begun, the error comes as a last event, `data: {\"error\":{…}}`, and the stream ends without `[DONE]`.",
	"An error that the model's server answers to a client's own fault keeps its status, `code`, `type`, `param` and message; its `code` may then be one that is not listed here.",
	"A call that policy blocks or holds is not an error of chat completions: it is a normal 200 answer whose gate says so, unless the client or the configuration asks for HTTP errors.",
}

//go:embed page.html.tmpl
var pageSource string

var pageTemplate = template.Must(template.New("errors").Funcs(template.FuncMap{"code": codeSpans}).Parse(pageSource))

// section is the codes of one subsystem. It is served when one of its codes is.
type section struct {
	Name    string
	Served  bool
	Entries []Entry
}

// sections groups the catalogue by subsystem, in the order in which the catalogue names them.
func sections() []section {
	var list []section
	for _, e := range entries {
		if n := len(list); n == 0 || list[n-1].Name != e.Subsystem {
			list = append(list, section{Name: e.Subsystem})
		}
		last := &list[len(list)-1]
		last.Served = last.Served || e.Served
		last.Entries = append(last.Entries, e)
	}
	return list
}

// markdownRow is one row; reserved marks a code of a served subsystem that is not sent itself.
func markdownRow(e Entry, reserved bool) string {
	message := e.Message
	if reserved {
		message += " (" + notSent + ")"
	}
	next := "`" + e.Next.Type + "`: " + e.Next.Label
	if e.Next.Endpoint != "" {
		next += " (`" + e.Next.Endpoint + "`)"
	}
	cells := []string{strconv.Itoa(e.Status), `<a id="` + e.Anchor() + `"></a>` + "`" + e.Code + "`", "`" + e.Type + "`", message, e.Hint, next}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// codeSpans turns text between back-ticks into <code> and escapes everything.
func codeSpans(text string) template.HTML {
	parts := strings.Split(text, "`")
	var b strings.Builder
	for i, part := range parts {
		if i%2 == 1 {
			b.WriteString("<code>" + html.EscapeString(part) + "</code>")
			continue
		}
		b.WriteString(html.EscapeString(part))
	}
	return template.HTML(b.String())
}
