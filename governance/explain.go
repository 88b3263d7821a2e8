package governance

import (
	"fmt"
	"slices"
	"strings"
)

// Tree is an explanation: a text, and below it what it follows from.
type Tree struct {
	Text  string `json:"text"`
	Below []Tree `json:"below,omitempty"`
}

// String draws the tree, one line each.
func (t Tree) String() string {
	var b strings.Builder
	b.WriteString(t.Text + "\n")
	t.draw(&b, "")
	return b.String()
}

func (t Tree) draw(b *strings.Builder, stem string) {
	for i, child := range t.Below {
		branch, further := "├─ ", "│  "
		if i == len(t.Below)-1 {
			branch, further = "└─ ", "   "
		}
		b.WriteString(stem + branch + child.Text + "\n")
		child.draw(b, stem+further)
	}
}

func (t *Tree) add(format string, values ...any) *Tree {
	t.Below = append(t.Below, Tree{Text: fmt.Sprintf(format, values...)})
	return &t.Below[len(t.Below)-1]
}

// Explain draws a decision as a small tree of text, from what the decision itself
// holds: the verdict, what decided it, and the rules that were heard. With the
// bundle and the facts at hand, Bundle.Explain says more.
func Explain(d CallDecision) string {
	t := decisionTree(d)
	args, err := ReadArguments(d.Call)
	if err != nil {
		args = &Arguments{}
	}
	for _, f := range decidingFirst(d.Fired) {
		r := t.add("%s", firedText(f))
		for _, leaf := range ruleLeaves(f, args) {
			r.add("%s", leaf)
		}
	}
	return t.String()
}

// decisionTree is the verdict and what goes with it.
func decisionTree(d CallDecision) Tree {
	t := Tree{Text: fmt.Sprintf("%s → %s (%s)", showText(d.Call.Name), d.Verdict, d.Reason)}
	t.add("%s", d.Detail)
	if d.Message != "" {
		t.add("message: %s", strings.ReplaceAll(d.Message, "\n", " / "))
	}
	if d.To != "" {
		t.add("to: %s", d.To)
	}
	if d.Expires > 0 {
		t.add("expires: %s", d.Expires)
	}
	if d.Missing != "" {
		missing := "missing: " + d.Missing
		if d.Supplier != "" {
			missing += ", which " + d.Supplier + " supplies"
		}
		t.add("%s", missing)
	}
	if d.Kind != "" {
		t.add("the tool looks like: %s", d.Kind)
	}
	return t
}

// decidingFirst puts the rules that decide before the others.
func decidingFirst(list []Fired) []Fired {
	fired := slices.Clone(list)
	slices.SortStableFunc(fired, func(x, y Fired) int {
		switch {
		case x.Determining == y.Determining:
			return 0
		case x.Determining:
			return -1
		}
		return 1
	})
	return fired
}

func firedText(f Fired) string {
	mark := ""
	if f.Determining {
		mark = ", decides"
	}
	if f.Mode == Shadow {
		mark = ", shadow: recorded only"
	}
	return fmt.Sprintf("%s/%s: %s%s", f.Policy, f.Rule, f.Effect, mark)
}

func ruleLeaves(f Fired, args *Arguments) []string {
	var leaves []string
	switch {
	case f.Exempt:
		leaves = append(leaves, "its unless holds")
	case f.Line == 0 && f.byProfile:
		leaves = append(leaves, "none of its lines holds; else: profile")
	case f.Line == 0:
		leaves = append(leaves, "none of its lines holds; else")
	default:
		leaves = append(leaves, fmt.Sprintf("line %d: %s", f.Line, f.If))
		for _, path := range argumentPaths(f.If) {
			value := "missing"
			if at := args.lookUp(strings.Split(path, ".")); at != 0 {
				value = args.show(at)
				if args.nodes[at].kind == '"' {
					value = `"` + value + `"`
				}
			}
			leaves = append(leaves, "args."+path+" = "+value)
		}
	}
	if f.Error != "" {
		leaves = append(leaves, "could not be evaluated: "+f.Error)
	}
	if f.UnlessError != "" {
		leaves = append(leaves, "its unless could not be evaluated, which counts as false: "+f.UnlessError)
	}
	if f.Condition != "" {
		leaves = append(leaves, "in words: "+showText(f.Condition))
	}
	return leaves
}

// argumentPaths lists the a.b of every args.a.b in an expression.
func argumentPaths(expr string) []string {
	var paths []string
	bare := withoutStrings(expr)
	for at := 0; ; {
		i := strings.Index(bare[at:], "args.")
		if i < 0 {
			return paths
		}
		start := at + i + len("args.")
		end := start
		for end < len(bare) && (wordByte(bare[end]) || bare[end] == '.') {
			end++
		}
		at = end
		path := bare[start:end]
		if end < len(bare) && bare[end] == '(' { // a method: args.note.matches(…)
			path = path[:max(0, strings.LastIndexByte(path, '.'))]
		}
		if path = strings.Trim(path, "."); path != "" && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
}
