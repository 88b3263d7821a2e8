package config

import (
	"io"
	"os"
	"strings"
)

// longestSecret bounds what is read from a file: 64 KiB. A longer file is not a secret but a wrong path.
const longestSecret = 64 << 10

// expand resolves file:/path and ${VARIABLE} in a value that may be secret. What comes out of a file or a variable is taken as it
// is and not looked into again, so a secret may hold any character.
func (l *loader) expand(text string) (string, *mistake) {
	if path, found := strings.CutPrefix(text, "file:"); found {
		return readSecret(path)
	}
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", wrong("has ${ without }", "write ${NAME}, or put the value into a file and write file:/path")
		}
		if !variable(name) {
			return "", wrong("has ${…} around something that is not the name of a variable", "use letters, digits and _, as in ${OPENAI_API_KEY}")
		}
		value, set := l.env[name]
		if !set || value == "" {
			return "", wrong("names the variable "+name+", which is not set", "set "+name+" in the environment of the process")
		}
		out.WriteString(value)
		text = after
	}
}

// readSecret takes the file's text without its final line end.
func readSecret(path string) (string, *mistake) {
	file, err := os.Open(path)
	if err != nil {
		return "", wrong("names a file that cannot be read: "+err.Error(), "check the path and its permissions")
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, longestSecret+1))
	if err != nil {
		return "", wrong("names a file that cannot be read: "+err.Error(), "check the path and its permissions")
	}
	if len(data) > longestSecret {
		return "", wrong("names the file "+path+", which is longer than 64 KiB", "check the path")
	}
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		return "", wrong("names the file "+path+", which is empty", "write the secret into it")
	}
	return text, nil
}

func variable(name string) bool {
	for i := range len(name) {
		b := name[i]
		letter := 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || b == '_'
		if !letter && (i == 0 || b < '0' || b > '9') {
			return false
		}
	}
	return name != ""
}
