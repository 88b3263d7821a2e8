// Package keys is who may talk to the proxy: API keys, their workspace and
// their roles.
//
// What lives here: making, listing, revoking and recognising keys, the memory
// that lets a verified key go on while the store is away, and the principal of
// a caller that brings the model server's own credentials (passthrough). What
// does not: HTTP, and what a role may do (proxy).
//
// A key is 32 random bytes, so its plain SHA-256 is what is stored and looked
// up: there is nothing to guess and nothing to compare in variable time.
package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"cadreen/store"
)

// Prefix starts every key that this program makes.
const Prefix = "sk_cadreen_"

// Roles of a key. RoleOperator may do everything. A key may have further roles,
// any words, that policies look at (requester.roles); a key that has only such
// roles also has RoleChat.
const (
	RoleChat     = "chat"     // chat completions and models
	RoleReviewer = "reviewer" // escalations
	RoleAuthor   = "author"   // policies
	RoleOperator = "operator" // everything
)

// DefaultWorkspace is the workspace of a key that names none.
const DefaultWorkspace = "default"

var (
	// ErrUnknown is answered for a key that does not exist or was revoked.
	ErrUnknown = errors.New("keys: unknown API key")
	// ErrInvalid wraps every complaint about a name, workspace or role.
	ErrInvalid = errors.New("keys: invalid")
)

// Principal is a caller that has been recognised.
type Principal struct {
	// KeyID is the key's public id (key_…), or pass_… for passthrough.
	KeyID     string
	Workspace string
	Roles     []string
	// Passthrough: the caller brought the model server's own credentials; it
	// reaches chat and models only.
	Passthrough bool
}

// Can says whether the principal has a role; an operator has them all.
func (p Principal) Can(role string) bool {
	return slices.Contains(p.Roles, role) || slices.Contains(p.Roles, RoleOperator)
}

// Record is what is kept about a key. The key itself is kept nowhere.
type Record struct {
	ID        string     `json:"id"`
	Name      string     `json:"name"`
	Prefix    string     `json:"key_prefix"` // the first characters, to tell keys apart
	Workspace string     `json:"workspace"`
	Roles     []string   `json:"roles"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// Configured is a key that stands in the configuration. It is never stored.
type Configured struct {
	Name      string
	Key       string   // any text; keys made here start with Prefix
	Workspace string   // "" means DefaultWorkspace
	Roles     []string // empty means RoleChat
}

// Template describes a key to be made.
type Template struct {
	Name      string   // at most 200 characters
	Workspace string   // "" means DefaultWorkspace
	Roles     []string // empty means RoleChat
}

// Options build a Ring. Engine is required.
type Options struct {
	Engine     store.Engine
	Configured []Configured
	// Passthrough makes a principal of every Authorization that is no key.
	Passthrough bool
	Now         func() time.Time // time.Now if nil
	Logger      *slog.Logger     // slog.Default if nil
}

// Ring holds the keys. It is safe for concurrent use, and any number of
// processes may use the same store.
type Ring struct {
	engine      store.Engine
	configured  map[hash]Principal
	passthrough bool
	now         func() time.Time
	log         *slog.Logger
	memory      memory
}

// New makes a Ring. Errors wrap ErrInvalid and name the configured key at
// fault by its place, never by its text.
func New(o Options) (*Ring, error) {
	r := &Ring{engine: o.Engine, configured: map[hash]Principal{}, passthrough: o.Passthrough, now: o.Now, log: o.Logger}
	if r.now == nil {
		r.now = time.Now
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	for i, c := range o.Configured {
		t, err := Template{Name: c.Name, Workspace: c.Workspace, Roles: c.Roles}.complete()
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		if c.Key == "" || strings.ContainsFunc(c.Key, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			return nil, fmt.Errorf("keys[%d]: %w: a key is one or more visible ASCII characters", i, ErrInvalid)
		}
		sum := hashOf(c.Key)
		if _, twice := r.configured[sum]; twice {
			return nil, fmt.Errorf("keys[%d]: %w: the same key stands in the configuration twice", i, ErrInvalid)
		}
		r.configured[sum] = Principal{KeyID: configuredID(c.Key), Workspace: t.Workspace, Roles: t.Roles}
	}
	return r, nil
}

// Authenticate recognises the value of an Authorization header.
//
// ErrUnknown: there is no such key. An error that wraps
// store.ErrUnavailable: the store is away and the key was not verified within
// the last five minutes.
func (r *Ring) Authenticate(ctx context.Context, authorization string) (Principal, error) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(authorization), " ")
	token = strings.TrimSpace(token)
	if strings.EqualFold(scheme, "bearer") && token != "" {
		sum := hashOf(token)
		if p, ok := r.configured[sum]; ok {
			return p, nil
		}
		if wellFormed(token) {
			return r.stored(ctx, sum)
		}
	}
	// What looks like one of our keys is never forwarded to a model server.
	if r.passthrough && strings.TrimSpace(authorization) != "" && !strings.Contains(authorization, Prefix) {
		return passthroughPrincipal(scheme, token), nil
	}
	return Principal{}, ErrUnknown
}

var roleName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}$`)

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// complete fills in the defaults and checks the rest.
func (t Template) complete() (Template, error) {
	if t.Workspace == "" {
		t.Workspace = DefaultWorkspace
	}
	if !workspaceName.MatchString(t.Workspace) {
		return t, fmt.Errorf("%w: workspace %q: use 1 to 64 letters, digits, '_', '.' or '-', the first a letter or digit", ErrInvalid, t.Workspace)
	}
	if len([]rune(t.Name)) > 200 {
		return t, fmt.Errorf("%w: the name is longer than 200 characters", ErrInvalid)
	}
	t.Roles = slices.Clone(t.Roles)
	ours := false
	for _, role := range t.Roles {
		if !roleName.MatchString(role) {
			return t, fmt.Errorf("%w: role %q: use 1 to 64 letters, digits or one of _.:/-, the first a letter or digit", ErrInvalid, role)
		}
		ours = ours || KnownRole(role)
	}
	if !ours {
		t.Roles = append(t.Roles, RoleChat)
	}
	return t, nil
}

// KnownRole says whether a role opens something here. Any other is a word that
// only policies know.
func KnownRole(role string) bool {
	switch role {
	case RoleChat, RoleReviewer, RoleAuthor, RoleOperator:
		return true
	}
	return false
}
