package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options of a bundle.
type Options struct {
	// Evaluator compiles the conditions; required.
	Evaluator Evaluator
	// Profile decides about calls that no rule takes over; "" is Guarded.
	Profile Profile
	// DefaultExpires is how long a held call waits where its rule does not say;
	// 0 is 15 minutes.
	DefaultExpires time.Duration
}

// DefaultExpires of a held call where neither rule nor options say.
const DefaultExpires = 15 * time.Minute

// Bundle is a compiled set of policies: what decides. It never changes after
// NewBundle and is safe for concurrent use.
type Bundle struct {
	opts     Options
	profile  Profile
	policies []Policy
	rules    []*compiledRule
	index    toolIndex
	plans    planCache
	digest   string
	reads    Reads // of all rules
}

// compiledRule is a rule that is not off, ready to run.
type compiledRule struct {
	*Rule
	policy      *Policy
	lines       []condition
	unless      *condition
	message     *template
	elseVerdict Verdict
	elseDecides bool
	reads       Reads
}

// condition is one expression, compiled without a schema.
type condition struct {
	expr     string
	program  Program
	usesArgs bool // may compile differently once the arguments are typed
}

// NewBundle compiles policies. Every expression must compile, every message must
// name things that exist, every example must get its verdict, and rule ids must
// be unique within their policy; the error joins a *LoadError for each mistake.
func NewBundle(policies []Policy, opts Options) (*Bundle, error) {
	if opts.Evaluator == nil {
		return nil, errors.New("governance: a bundle needs an Evaluator")
	}
	profile, err := ParseProfile(string(opts.Profile))
	if err != nil {
		return nil, err
	}
	opts.Profile = profile
	if opts.DefaultExpires <= 0 {
		opts.DefaultExpires = DefaultExpires
	}
	b := &Bundle{opts: opts, profile: profile, policies: make([]Policy, len(policies))}
	var problems []error
	seenPolicies := map[string]*Policy{}
	for i := range policies {
		b.policies[i] = policies[i]
		p := &b.policies[i]
		if p.Version == "" {
			p.Version = p.Digest()
		}
		if twin := seenPolicies[p.Name]; twin != nil {
			problems = append(problems, &LoadError{File: p.Source, Problem: fmt.Sprintf("policy %q is already defined in %s", p.Name, twin.Source),
				Fix: "give every policy its own name"})
		}
		seenPolicies[p.Name] = p
		seen := map[string]bool{}
		for j := range p.Rules {
			r := &p.Rules[j]
			if seen[r.ID] {
				problems = append(problems, &LoadError{File: p.Source, Line: r.Line, Problem: fmt.Sprintf("rule id %q stands twice", r.ID),
					Fix: "give every rule of a policy its own id"})
			}
			seen[r.ID] = true
			compiled, errs := b.compile(p, r)
			problems = append(problems, errs...)
			if len(errs) > 0 {
				continue
			}
			problems = append(problems, b.runExamples(compiled)...)
			if r.Mode != Off {
				b.rules = append(b.rules, compiled)
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	b.index = newToolIndex(b.rules)
	for _, r := range b.rules {
		b.reads.join(r.reads)
	}
	b.digest = bundleDigest(b.policies, opts)
	return b, nil
}

// Digest identifies the bundle: policies, versions, modes, profile and default
// expiry. Hexadecimal SHA-256.
func (b *Bundle) Digest() string { return b.digest }

// Version is the short form of Digest, for records and people.
func (b *Bundle) Version() string { return b.digest[:12] }

// Profile of the calls that no rule takes over.
func (b *Bundle) Profile() Profile { return b.profile }

// Policies that the bundle was made from, in order. Not to be changed.
func (b *Bundle) Policies() []Policy { return b.policies }

// Options that the bundle was made with.
func (b *Bundle) Options() Options { return b.opts }

// Digest is the short digest (12 hexadecimal digits) of everything in a policy
// that decides: names, scope, condition texts, CEL, config, effects, examples, and
// the schemas that the tools had.
// Where the policy was read from does not count.
func (p Policy) Digest() string { return p.FullDigest()[:12] }

// FullDigest is Digest in full: the hexadecimal SHA-256.
func (p Policy) FullDigest() string {
	sum := sha256.Sum256(p.canonical())
	return hex.EncodeToString(sum[:])
}

func (p Policy) canonical() []byte {
	p.Source, p.Version = "", ""
	rules := make([]Rule, len(p.Rules))
	for i, r := range p.Rules {
		r.Line = 0
		lines := make([]Line, len(r.When))
		for j, l := range r.When {
			l.Line = 0
			lines[j] = l
		}
		r.When = lines
		examples := make([]Example, len(r.Examples))
		for j, e := range r.Examples {
			e.Line = 0
			examples[j] = e
		}
		r.Examples = examples
		rules[i] = r
	}
	p.Rules = rules
	text, err := json.Marshal(p)
	if err != nil {
		// Config values that JSON cannot write (no file or request holds any)
		// still have to tell two versions apart.
		text = fmt.Appendf(nil, "%#v", p)
	}
	return text
}

func bundleDigest(policies []Policy, opts Options) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %d\n", opts.Profile, opts.DefaultExpires)
	for _, p := range policies {
		fmt.Fprintf(h, "%d %s %d %s ", len(p.Name), p.Name, len(p.Version), p.Version)
		sum := sha256.Sum256(p.canonical())
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// compile makes a rule ready, or lists everything that is wrong with it.
func (b *Bundle) compile(p *Policy, r *Rule) (*compiledRule, []error) {
	c := &compiledRule{Rule: r, policy: p}
	c.elseVerdict, c.elseDecides = r.ElseVerdict()
	var problems []error
	complain := func(line int, problem, fix string) {
		if line == 0 {
			line = r.Line
		}
		problems = append(problems, &LoadError{File: p.Source, Line: line, Problem: fmt.Sprintf("rule %q: %s", r.ID, problem), Fix: fix})
	}
	one := func(line int, expr string) condition {
		program, err := b.opts.Evaluator.Compile(expr, nil)
		if err != nil {
			complain(line, err.Error(), "correct the expression")
		} else {
			c.reads.join(program.Reads())
		}
		for _, key := range missingConfig(expr, p.Config) {
			fix := "add it to the policy's config"
			if near := Nearest(key, keysOf(p.Config)); near != "" {
				fix = "did you mean config." + near + "?"
			}
			complain(line, "config."+key+" does not exist", fix)
		}
		return condition{expr: expr, program: program, usesArgs: strings.Contains(expr, "args")}
	}
	if r.ID == "" {
		complain(0, "the rule has no id", "give it one")
	}
	switch r.Mode {
	case Enforce, Shadow, Off, "":
	default:
		complain(0, fmt.Sprintf("unknown mode %q", r.Mode), "use enforce, shadow or off")
	}
	switch r.Else {
	case "", "allow", "profile":
	default:
		complain(0, fmt.Sprintf("unknown else %q", r.Else), "use allow or profile")
	}
	if len(r.When) == 0 {
		complain(0, "the rule has a condition but no CEL", "write `when`, or compile the condition into policies.lock")
	}
	for _, l := range r.When {
		if l.Effect < Allow || l.Effect > Block {
			complain(l.Line, "a line has no effect", "use allow, clarify, confirm, escalate or block")
		}
		c.lines = append(c.lines, one(l.Line, l.If))
	}
	if r.Unless != "" {
		u := one(0, r.Unless)
		c.unless = &u
	}
	if r.Message != "" {
		t, err := parseTemplate(r.Message, p.Config)
		if err != nil {
			complain(0, err.Error(), "use ${args.<name>}, ${config.<name>}, ${call.name}, ${requester.id}, ${workspace} or ${domain}")
		}
		c.message = t
	}
	return c, problems
}

func (r *compiledRule) mode() Mode {
	if r.Mode == "" {
		return Enforce
	}
	return r.Mode
}
