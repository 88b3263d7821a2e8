package config

import (
	"bytes"
	"strings"
)

// Markdown is docs/settings.md: the table, how values are written, and an example file that the tests load.
func Markdown() []byte {
	var b bytes.Buffer
	b.WriteString(settingsIntro)
	b.WriteString("| key | environment | default | what it does |\n|---|---|---|---|\n")
	for _, s := range settings {
		fallback := ""
		if s.Default != "" {
			fallback = "`" + s.Default + "`"
		}
		text := s.Text
		if s.hidden {
			text += " (secret form allowed)"
		}
		b.WriteString("| " + strings.Join([]string{"`" + s.Key + "`", "`" + s.Env + "`", fallback, text}, " | ") + " |\n")
	}
	b.WriteString("\n## Example\n\n```yaml\n" + Example + "```\n")
	return b.Bytes()
}

const settingsIntro = `# Settings

<!-- Made from config/settings.go by: go test ./config -update -->

Settings come from a YAML file (` + "`cadreen serve --config cadreen.yaml`" + `), with the environment on top of it. With neither, the defaults
below hold. A variable replaces the whole setting of the file; a variable that is set to nothing counts as not set.

- A dotted key is a path of groups: ` + "`confirm.expires`" + ` is ` + "`expires`" + ` below ` + "`confirm`" + `.
- Times are written ` + "`90s`, `15m`, `4h`" + `; sizes ` + "`512 KiB`, `32 MiB`" + `; lists in a variable are comma separated.
- Where the table says "secret form allowed", ` + "`${NAME}`" + ` anywhere in the value stands for an environment variable, and a value that begins with
  ` + "`file:`" + ` names a file whose text, without its final line end, is the value. Secrets are never printed.
- Unknown keys and unknown ` + "`CADREEN_`" + ` variables are errors. Every mistake is named at once, with its file, its line and the fix.

`

// Example is a settings file that shows the usual choices.
const Example = `listen: 0.0.0.0:8080
public_url: https://cadreen.example.com

backend:
  url: https://api.openai.com/v1
  api_key: ${OPENAI_API_KEY}

store:
  url: sqlite:/data/cadreen.db

policies: /etc/cadreen/policies
profile: guarded

confirm:
  expires: 15m

keys:
  - name: support-bot
    key: file:/run/secrets/support_bot_key
    workspace: support
  - name: on-call
    key: ${ON_CALL_KEY}
    workspace: support
    roles: [chat, reviewer]

limits:
  body: 32 MiB

cors:
  origins: [https://chat.example.com]
`
