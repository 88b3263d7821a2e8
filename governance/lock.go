package governance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LockFile is the name of the file beside policies that says what conditions
// written in plain words mean: a YAML map from ConditionHash to a Pin, or to the
// CEL alone.
const LockFile = "policies.lock"

// Pin is what one condition in plain words means. What the rule itself says goes
// before it: tools, and, where the sentence names none, the effect.
type Pin struct {
	Condition string   // as it stands in the rule
	ReadBack  string   // what it does, for who reviews the lock file
	Tools     []string // nil: those of the rule
	When      []Line   // an Effect of 0 is the rule's
	Unless    string   // holds beside the rule's own
	Mode      Mode     // Shadow, or "" for the rule's
	// Answers are what its author said to questions about the condition, by the
	// question's id. They are kept so that compiling again asks nothing twice.
	Answers map[string]string
	// Confidence is Rule.Confidence: 0 is that no model had a part in it.
	Confidence float64
	// Schemas are the hashes (Tool.SchemaHash) of the schemas that the condition was
	// compiled for, by the names of the tools it is about: see Policy.Schemas.
	Schemas map[string]string
}

// For notes the schemas of the tools that the condition is about, as a rule with it
// names them.
func (p Pin) For(r Rule, tools []Tool) Pin {
	patterns := r.Tools
	if len(patterns) == 0 {
		patterns = p.Tools
	}
	p.Schemas = nil
	for _, t := range tools {
		if NamesTool(patterns, t.Name) {
			if p.Schemas == nil {
				p.Schemas = map[string]string{}
			}
			p.Schemas[t.Name] = t.SchemaHash()
		}
	}
	return p
}

// NamesTool says whether one of a rule's patterns, but one for every tool, covers a
// tool's name.
func NamesTool(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return !anyTool(p) && matchTool(p, name) })
}

// PinConflict is why a pin does not go with the rule its condition stands in.
type PinConflict struct {
	Field        string // the rule's, "" for all of it
	Problem, Fix string
}

func (e *PinConflict) Error() string { return e.Problem }

// Apply gives a rule what its condition means. What the rule says itself stands:
// its tools, its `unless` beside the sentence's, and whatever its only line, with an
// empty If, says of every line. The error is a *PinConflict.
func (p Pin) Apply(r Rule) (Rule, error) {
	var every Line
	if len(r.When) > 0 {
		every = r.When[0]
	}
	r.When, r.Confidence = nil, p.Confidence
	for _, pinned := range p.When {
		l := every
		l.If = pinned.If
		switch {
		case pinned.Effect == 0 && every.Effect == 0:
			return r, &PinConflict{"", "the rule has no effect", "add `effect:`, or say it in the condition"}
		case pinned.Effect != 0 && every.Effect != 0 && every.Effect != pinned.Effect:
			return r, &PinConflict{"effect", fmt.Sprintf("the condition says %s and `effect` says %s", pinned.Effect, every.Effect), "leave `effect` out"}
		case pinned.Effect != 0:
			l.Effect = pinned.Effect
		}
		if pinned.To != "" && every.To != "" && pinned.To != every.To {
			return r, &PinConflict{"", fmt.Sprintf("the condition says %s and `to` says %s", pinned.To, every.To), "leave `to` out"}
		}
		switch {
		case l.Effect != Escalate:
			l.To = ""
		case l.To == "":
			l.To = pinned.To
		}
		r.When = append(r.When, l)
	}
	if len(r.Tools) == 0 {
		r.Tools = slices.Clone(p.Tools)
	}
	switch {
	case r.Unless == "":
		r.Unless = p.Unless
	case p.Unless != "":
		r.Unless = "(" + r.Unless + ") || (" + p.Unless + ")"
	}
	if p.Mode == Shadow {
		if r.Mode == Enforce {
			return r, &PinConflict{"", "the condition says to log only and `mode` says enforce", "leave one out"}
		}
		if r.Mode == "" {
			r.Mode = Shadow
		}
	}
	return r, nil
}

// ConditionHash is the key of a condition in policies.lock: the hexadecimal
// SHA-256 of its text, outer white space off.
func ConditionHash(condition string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(condition)))
	return hex.EncodeToString(sum[:])
}

// LockPath is where the lock file of the policies at a path stands.
func LockPath(path string) string {
	if isFolder(path) {
		return filepath.Join(path, LockFile)
	}
	return filepath.Join(filepath.Dir(path), LockFile)
}

// LoadOpen is LoadFiles without the lock file: a rule with a condition and no
// `when` has one line, with an empty If and whatever else the rule says of it. It
// is for compiling conditions; NewBundle refuses such rules.
func LoadOpen(path string) ([]Policy, error) {
	return loadWith(path, &reader{open: true})
}

// ParseOpen is ParsePolicies for conditions that are not compiled yet, as LoadOpen
// is LoadFiles.
func ParseOpen(source string, text []byte) ([]Policy, error) {
	return parseWith(source, text, reader{open: true})
}

// LoadPinned is LoadFiles with other pins than those of the lock file.
func LoadPinned(path string, pins []Pin) ([]Policy, error) {
	pinned := make(map[string]Pin, len(pins))
	for _, p := range pins {
		pinned[ConditionHash(p.Condition)] = p
	}
	return loadWith(path, &reader{pinned: pinned})
}

// lockedPin is a Pin as it stands in the file.
type lockedPin struct {
	Condition string            `yaml:"condition"`
	Means     string            `yaml:"means,omitempty"`
	Tools     []string          `yaml:"tools,omitempty,flow"`
	When      []lockedLine      `yaml:"when"`
	Unless    string            `yaml:"unless,omitempty"`
	Mode      Mode              `yaml:"mode,omitempty"`
	Answers   map[string]string `yaml:"answers,omitempty"`
	// Model is the confidence of a condition that a model read.
	Model   float64           `yaml:"model,omitempty"`
	Schemas map[string]string `yaml:"schemas,omitempty"`
}

type lockedLine struct {
	If     string `yaml:"if"`
	Effect string `yaml:"effect,omitempty"`
	To     string `yaml:"to,omitempty"`
}

// EncodeLock writes pins as LoadFiles reads them, in their order; a condition
// that comes twice is written once.
func EncodeLock(pins []Pin) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode, HeadComment: "Written by `cadreen policy compile`: what the conditions of the policies beside it mean. Review it like code."}
	seen := map[string]bool{}
	for _, p := range pins {
		hash := ConditionHash(p.Condition)
		if seen[hash] {
			continue
		}
		seen[hash] = true
		locked := lockedPin{Condition: strings.TrimSpace(p.Condition), Means: p.ReadBack, Tools: p.Tools, Unless: p.Unless, Mode: p.Mode, Answers: p.Answers, Model: p.Confidence, Schemas: p.Schemas}
		for _, l := range p.When {
			line := lockedLine{If: l.If, To: l.To}
			if l.Effect != 0 {
				line.Effect = l.Effect.String()
			}
			locked.When = append(locked.When, line)
		}
		var value yaml.Node
		if err := value.Encode(locked); err != nil {
			return nil, err
		}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: hash}, &value)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

// WriteLock replaces the lock file as a whole: a reader sees the old or the new.
func WriteLock(file string, pins []Pin) error {
	text, err := EncodeLock(pins)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "."+LockFile+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}

// ReadLock reads a lock file: pins by ConditionHash. One that is not there has
// none.
func ReadLock(file string) (map[string]Pin, error) {
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	text, err := readPolicyFile(file)
	if err != nil {
		return nil, err
	}
	documents, err := parseDocuments(file, text)
	if err != nil {
		return nil, err
	}
	pinned := map[string]Pin{}
	r := &reader{file: file}
	for _, d := range documents {
		for _, m := range r.members(d) {
			hash, err := hex.DecodeString(m.key)
			if err != nil || len(hash) != sha256.Size {
				r.complain(m.keyNode, fmt.Sprintf("%.20q is no condition hash", m.key), "let `cadreen policy compile` write this file")
				continue
			}
			pinned[m.key] = r.pin(m)
		}
	}
	return pinned, errors.Join(r.problems...)
}

// pin reads one entry of the lock file: CEL alone, or everything.
func (r *reader) pin(m entry) Pin {
	if m.value.Kind == yaml.ScalarNode {
		return Pin{When: []Line{{If: r.text(m.value)}}}
	}
	var p Pin
	for _, e := range r.members(m.value) {
		switch e.key {
		case "condition":
			p.Condition = r.text(e.value)
			if ConditionHash(p.Condition) != m.key {
				r.complain(e.value, "this is not the condition that the hash is of", "let `cadreen policy compile` write this file")
			}
		case "means":
			p.ReadBack = r.text(e.value)
		case "tools":
			p.Tools = r.tools(e.value)
		case "when":
			for _, n := range r.list(e.value) {
				p.When = append(p.When, r.pinnedLine(n))
			}
		case "unless":
			p.Unless = r.expression(e.value)
		case "mode":
			if p.Mode = Mode(r.text(e.value)); p.Mode != Shadow {
				r.complain(e.value, fmt.Sprintf("unknown mode %.40q", e.value.Value), "use shadow, or leave it out")
			}
		case "answers":
			p.Answers = map[string]string{}
			for _, a := range r.members(e.value) {
				p.Answers[a.key] = r.text(a.value)
			}
		case "model":
			p.Confidence = r.confidence(e.value)
		case "schemas":
			p.Schemas = map[string]string{}
			for _, s := range r.members(e.value) {
				p.Schemas[s.key] = r.text(s.value)
			}
		default:
			r.unknown(e, "a pinned condition", "condition", "means", "tools", "when", "unless", "mode", "answers", "model", "schemas")
		}
	}
	if len(p.When) == 0 {
		r.complain(m.keyNode, "a pinned condition has no `when`", "let `cadreen policy compile` write this file")
	}
	return p
}

func (r *reader) pinnedLine(n *yaml.Node) Line {
	var l Line
	for _, e := range r.members(n) {
		switch e.key {
		case "if":
			l.If = r.expression(e.value)
		case "effect":
			l.Effect = r.effect(e.value)
		case "to":
			l.To = r.text(e.value)
		default:
			r.unknown(e, "a pinned line", "if", "effect", "to")
		}
	}
	return l
}

// pinnedLines are the lines of a rule whose condition is in the lock file. They
// may not contradict what the rule itself says.
func (r *reader) pinnedLines(rule *yaml.Node, every Line, effect *yaml.Node, into *Rule) []Line {
	every.Line = rule.Line
	if r.open {
		return []Line{every}
	}
	pin, ok := r.pinned[ConditionHash(into.Condition)]
	if !ok {
		r.complain(rule, "the condition has no CEL", "write `when`, or run `cadreen policy compile` to add it to "+LockFile)
		return nil
	}
	given := *into
	given.When = []Line{every}
	applied, err := pin.Apply(given)
	var conflict *PinConflict
	if errors.As(err, &conflict) {
		at := rule
		if conflict.Field == "effect" && effect != nil {
			at = effect
		}
		r.complain(at, conflict.Problem, conflict.Fix)
		return nil
	}
	*into = applied
	if len(pin.Schemas) > 0 && r.schemas == nil {
		r.schemas = map[string]string{}
	}
	maps.Copy(r.schemas, pin.Schemas)
	return applied.When
}

// MatchTool says whether a rule's pattern, a name or a glob, covers a tool's name.
func MatchTool(pattern, name string) bool { return matchTool(pattern, name) }
