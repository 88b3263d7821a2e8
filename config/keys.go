package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Roles that a key may have.
const (
	RoleChat     = "chat"     // chat completions and models
	RoleReviewer = "reviewer" // decides escalations
	RoleAuthor   = "author"   // writes policies
	RoleOperator = "operator" // everything
)

// DefaultWorkspace is the workspace of a key that names none.
const DefaultWorkspace = "default"

// roleWord is what a role looks like. Beside those above a key may have words of
// the operator's own, which open nothing here: policies see them in
// requester.roles.
var roleWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$`)

var roleNames = []string{RoleChat, RoleReviewer, RoleAuthor, RoleOperator}

// shortestKey is the fewest characters of a key that stands in the configuration: nobody should be able to try them all.
const shortestKey = 16

// keyInput is one key as it was written, and where.
type keyInput struct {
	at                   place
	name, key, workspace string
	roles                []string
}

// setKeys takes keys that keyProblem has found no fault with.
func setKeys(c *Config, v value) *mistake {
	c.Keys = nil
	for i, in := range v.keys {
		k := Key{Name: in.name, Key: NewSecret(in.key), Workspace: in.workspace, Roles: slices.Clone(in.roles)}
		if k.Name == "" {
			k.Name = "key-" + strconv.Itoa(i+1)
		}
		if k.Workspace == "" {
			k.Workspace = DefaultWorkspace
		}
		if !slices.ContainsFunc(k.Roles, func(role string) bool { return slices.Contains(roleNames, role) }) {
			k.Roles = append(k.Roles, RoleChat)
		}
		c.Keys = append(c.Keys, k)
	}
	return nil
}

// keyProblem says what is wrong with one key, without showing it.
func keyProblem(in keyInput) *mistake {
	switch {
	case in.key == "":
		return wrong("has no key", "give it one with `key`, or make one with: cadreen key create")
	case !printable(in.key):
		return wrong("the key holds a blank, a line end or a character outside ASCII", "use letters, digits and _ only")
	case len(in.key) < shortestKey:
		return wrong(fmt.Sprintf("the key is shorter than %d characters", shortestKey), "make one with: cadreen key create")
	case in.workspace != "" && !workspaceName(in.workspace):
		return wrong("the workspace is "+strconv.Quote(in.workspace), "use up to 64 letters, digits, - and _")
	case len(in.name) > 64 || strings.ContainsFunc(in.name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return wrong("the name is too long or holds a control character", "use up to 64 printable characters")
	}
	for _, role := range in.roles {
		if !roleWord.MatchString(role) {
			return wrong("has the role "+strconv.Quote(role), "write "+oneOf(roleNames)+", or a word of your own for requester.roles: 1 to 64 letters, digits or one of _.:/-")
		}
	}
	return nil
}

// workspaceName keeps to characters that are safe in every store's key and in an address.
func workspaceName(name string) bool {
	for i := range len(name) {
		b := name[i]
		if ('a' > b || b > 'z') && ('A' > b || b > 'Z') && ('0' > b || b > '9') && b != '-' && b != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 64
}

// keysFromEnv reads key[=workspace], comma separated.
func keysFromEnv(text string, at place) []keyInput {
	var inputs []keyInput
	for i, part := range splitList(text) {
		key, workspace, named := strings.Cut(part, "=")
		in := keyInput{at: at, name: "env-" + strconv.Itoa(i+1), key: strings.TrimSpace(key), workspace: strings.TrimSpace(workspace)}
		if named && in.workspace == "" {
			in.workspace = "=" // refused below: an equals sign with nothing after it is a slip, not the default workspace
		}
		inputs = append(inputs, in)
	}
	return inputs
}
