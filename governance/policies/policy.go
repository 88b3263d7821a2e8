package policies

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cadreen/governance"
	"cadreen/store"
)

// Kinds of documents.
const (
	kindPolicy  = "policy"
	kindVersion = "policy_version"
	kindName    = "policy_name"
	kindSet     = "policy_set"
)

// Bounds of one workspace.
const (
	// MaxPolicies is the number of policies that are not retired.
	MaxPolicies = 1000
	// MaxRules is the number of rules of one policy.
	MaxRules = 2000
	// maxConfirmations is how far back the history of a policy reaches.
	maxConfirmations = 100
)

// Status of a policy, or of one of its versions.
type Status string

const (
	// Draft: nothing of it enforces yet.
	Draft Status = "draft"
	// Active: it enforces.
	Active Status = "active"
	// Retired: it enforced, or could have, and does not any more.
	Retired Status = "retired"
)

// Policy is a name with versions, of which at most one enforces.
type Policy struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Status    Status    `json:"status"`
	Latest    int       `json:"latest"`           // number of the newest version
	Active    int       `json:"active,omitempty"` // number of the version that enforces, 0 if none
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
	Changed   time.Time `json:"changed"`
	// Confirmations are the versions that were made active, oldest first.
	Confirmations []Confirmation `json:"confirmations,omitempty"`
}

// Confirmation is a version becoming active.
type Confirmation struct {
	Version  int       `json:"version"`
	Previous int       `json:"previous,omitempty"` // what was active before, 0 if nothing
	At       time.Time `json:"at"`
	By       string    `json:"by"`
	Rollback bool      `json:"rollback,omitempty"`
}

// last is the newest confirmation, nil if there is none.
func (p *Policy) last() *Confirmation {
	if len(p.Confirmations) == 0 {
		return nil
	}
	return &p.Confirmations[len(p.Confirmations)-1]
}

// confirmed says whether a version ever was active.
func (p *Policy) confirmed(version int) bool {
	return slices.ContainsFunc(p.Confirmations, func(c Confirmation) bool { return c.Version == version })
}

// StatusOf is the status of one version.
func (p *Policy) StatusOf(version int) Status {
	switch {
	case p.Active == version:
		return Active
	case p.Status == Retired || p.confirmed(version):
		return Retired
	}
	return Draft
}

func (p *Policy) index() []store.Index {
	at := p.Created.UnixMilli()
	list := []store.Index{{Name: "list", Key: string(p.Status), Score: at}}
	if p.Status != Retired {
		list = append(list, store.Index{Name: "list", Key: "current", Score: at})
	}
	return list
}

// Version is one text of a policy and what it compiled to. It never changes.
type Version struct {
	Policy      string `json:"policy"`
	Number      int    `json:"number"`
	Domain      string `json:"domain,omitempty"`
	Description string `json:"description,omitempty"`
	// Source is the policy as it was sent in: a JSON object.
	Source []byte `json:"source"`
	// Document is what it compiled to, in the language of policy files as a JSON
	// object; nil where something is open.
	Document []byte `json:"document,omitempty"`
	// Digest covers condition texts, CEL, config, examples and Schemas; "" where
	// something is open.
	Digest string `json:"digest,omitempty"`
	// Schemas are the hashes of the schemas of the tools it names, as they were seen.
	Schemas map[string]string `json:"schemas,omitempty"`
	Rules   []RuleReport      `json:"rules"`
	// Problems keep it from being confirmed; Warnings do not.
	Problems []Problem         `json:"problems,omitempty"`
	Warnings []string          `json:"warnings,omitempty"`
	Stops    []string          `json:"stops,omitempty"` // what is no longer asked about
	Examples int               `json:"examples"`        // that ran and came out right
	Answers  map[string]string `json:"answers,omitempty"`
	// Kept are the readings of a model, by rule, so that answers ask it nothing again.
	Kept    map[string]string `json:"kept,omitempty"`
	Created time.Time         `json:"created"`
	By      string            `json:"by"`
}

// Ready says that the version can be confirmed.
func (v *Version) Ready() bool { return v.Document != nil && len(v.Problems) == 0 }

// RuleReport is what became of one rule's condition.
type RuleReport struct {
	ID        string     `json:"id"`
	Condition string     `json:"condition,omitempty"`
	Means     string     `json:"means,omitempty"` // read back in one sentence, for conditions in plain words
	Questions []Question `json:"questions,omitempty"`
	Unknown   []Word     `json:"unknown,omitempty"`
	// Confidence of a model that read the condition; 0 if none did.
	Confidence float64 `json:"confidence,omitempty"`
	// Notes say why a model that was asked did not read it.
	Notes []string `json:"notes,omitempty"`
}

// Question is one thing that a sentence leaves open.
type Question struct {
	ID      string   `json:"id"` // rule id, a slash, and the compiler's own
	Text    string   `json:"text"`
	Options []string `json:"options,omitempty"`
	Many    bool     `json:"many,omitempty"`  // several options may be named, with commas
	Other   string   `json:"other,omitempty"` // what else may be answered
}

// Word is a piece of a sentence that was not understood; Start and End are bytes.
type Word struct {
	Text  string `json:"text"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	Hint  string `json:"hint,omitempty"`
}

// Problem is one mistake: which field, what is wrong, what to do.
type Problem struct {
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (p Problem) String() string {
	if p.Field == "" {
		return p.Message
	}
	return p.Field + ": " + p.Message
}

// activeSet says what enforces in a workspace. It is one document, so that replicas
// learn of every change by looking at one version.
type activeSet struct {
	Active []activePolicy `json:"active"`
}

type activePolicy struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version int    `json:"version"`
	Digest  string `json:"digest"`
}

const setID = "active"

// with is the set with one policy put in or, where its version is 0, taken out.
func (s activeSet) with(p activePolicy) activeSet {
	next := slices.DeleteFunc(slices.Clone(s.Active), func(a activePolicy) bool { return a.ID == p.ID })
	if p.Version > 0 {
		next = append(next, p)
	}
	slices.SortFunc(next, func(a, b activePolicy) int { return cmp.Compare(a.ID, b.ID) })
	return activeSet{next}
}

// Tools knows what tools a workspace's requests offer.
type Tools interface {
	Tools(ctx context.Context, workspace string) ([]governance.Tool, error)
	// SchemaHashes are those of all of them, by name; "" for a tool without one.
	SchemaHashes(ctx context.Context, workspace string) (map[string]string, error)
}

// versionID is the id of a version's document.
func versionID(policy string, number int) string { return fmt.Sprintf("%s.%d", policy, number) }
