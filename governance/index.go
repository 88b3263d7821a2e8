package governance

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// HostedPrefix in front of a provider-executed tool's type makes the name by
// which rules speak of it. Only a name or glob written with the prefix does.
const HostedPrefix = "hosted:"

// toolIndex finds the rules that apply to a tool name without asking each.
// The numbers are positions in Bundle.rules.
type toolIndex struct {
	exact map[string][]int
	globs []globRule
	any   []int // rules without tools, or with "*"
}

type globRule struct {
	pattern string
	rule    int
}

func newToolIndex(rules []*compiledRule) toolIndex {
	x := toolIndex{exact: map[string][]int{}}
	for i, r := range rules {
		if len(r.Tools) == 0 {
			x.any = append(x.any, i)
		}
		for _, t := range r.Tools {
			switch {
			case anyTool(t):
				x.any = append(x.any, i)
			case strings.ContainsAny(t, "*?"):
				x.globs = append(x.globs, globRule{t, i})
			default:
				x.exact[t] = append(x.exact[t], i)
			}
		}
	}
	return x
}

// find lists the rules of a tool in their order; named are those that name it
// by more than "*".
func (x *toolIndex) find(name string) (all []int, named map[int]bool) {
	named = map[int]bool{}
	for _, i := range x.exact[name] {
		named[i] = true
	}
	for _, g := range x.globs {
		if matchTool(g.pattern, name) {
			named[g.rule] = true
		}
	}
	all = slices.Clone(x.any)
	for i := range named {
		all = append(all, i)
	}
	slices.Sort(all)
	return slices.Compact(all), named
}

// anyTool: the pattern names no tool in particular.
func anyTool(pattern string) bool { return strings.Trim(pattern, "*") == "" }

// matchTool matches a tool pattern: * stands for any characters, dots included,
// ? for one. Case counts.
func matchTool(pattern, name string) bool {
	if strings.HasPrefix(name, HostedPrefix) {
		rest, ok := strings.CutPrefix(pattern, HostedPrefix)
		return ok && glob(rest, name[len(HostedPrefix):])
	}
	return glob(pattern, name)
}

func glob(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// plan is what a bundle does for one tool with one schema: the rules that apply,
// their conditions typed by the schema.
type plan struct {
	tool       Tool
	schemaHash string
	kind       Kind
	stale      bool // an enforced rule was confirmed for another schema
	rules      []planRule
}

type planRule struct {
	*compiledRule
	names  bool // names the tool by more than "*"
	stale  bool // was confirmed for another schema
	lines  []typed
	unless typed
}

// typed is a condition compiled for a schema; the error of an expression that
// does not fit the schema is what its evaluation answers.
type typed struct {
	program Program
	err     error
}

// maxPlans bounds the cache: tool names and schemas come from clients.
const maxPlans = 1024

type planKey struct {
	name   string
	schema uint64
}

type planCache struct {
	mu   sync.RWMutex
	held map[planKey]*plan
}

var planSeed = maphash.MakeSeed()

func (b *Bundle) plan(name string, tool Tool) *plan {
	key := planKey{name, maphash.Bytes(planSeed, tool.Schema)}
	b.plans.mu.RLock()
	p := b.plans.held[key]
	b.plans.mu.RUnlock()
	if p != nil && p.tool.Description == tool.Description && p.tool.Assumed == tool.Assumed && bytes.Equal(p.tool.Schema, tool.Schema) {
		return p
	}
	tool.Schema = bytes.Clone(tool.Schema)
	tool.Name = name
	p = b.makePlan(name, tool)
	b.plans.mu.Lock()
	if b.plans.held == nil || len(b.plans.held) >= maxPlans {
		b.plans.held = make(map[planKey]*plan)
	}
	b.plans.held[key] = p
	b.plans.mu.Unlock()
	return p
}

func (b *Bundle) makePlan(name string, tool Tool) *plan {
	p := &plan{tool: tool, kind: GuessKind(tool)}
	p.schemaHash = tool.SchemaHash()
	all, named := b.index.find(name)
	for _, i := range all {
		r := planRule{compiledRule: b.rules[i], names: named[i]}
		schema := tool.Schema
		if confirmed, ok := r.policy.Schemas[name]; ok && confirmed != p.schemaHash && !tool.Assumed {
			// As it was written: types that it was never confirmed for do not count.
			r.stale, schema = true, nil
			p.stale = p.stale || r.mode() == Enforce
		}
		for _, c := range r.compiledRule.lines {
			r.lines = append(r.lines, b.typed(c, schema))
		}
		if r.compiledRule.unless != nil {
			r.unless = b.typed(*r.compiledRule.unless, schema)
		}
		p.rules = append(p.rules, r)
	}
	if p.stale {
		p.kind = KindUnknown
	}
	return p
}

// ReadsReleased implements Decider.
func (b *Bundle) ReadsReleased(tool string) bool { return b.Reads(tool).Released }

// Reads is what the rules of a tool may look at.
func (b *Bundle) Reads(tool string) Reads {
	var reads Reads
	if !b.reads.Released && len(b.reads.Meters) == 0 {
		return reads
	}
	all, _ := b.index.find(tool)
	for _, i := range all {
		reads.join(b.rules[i].reads)
	}
	return reads
}

// Meters that a call of this tool is counted by, whichever rules ask for them.
func (b *Bundle) Meters(tool string) []Meter {
	var list []Meter
	for i := range b.reads.Meters {
		if b.reads.Meters[i].Counts(tool) {
			list = append(list, b.reads.Meters[i])
		}
	}
	return list
}

func (b *Bundle) typed(c condition, schema []byte) typed {
	if len(schema) == 0 || !c.usesArgs {
		return typed{program: c.program}
	}
	program, err := b.opts.Evaluator.Compile(c.expr, schema)
	return typed{program: program, err: err}
}
