package governance

import (
	"fmt"
	"slices"
	"strings"
)

// Explain draws a decision as a small tree of text: the verdict, what decided it
// and with which values, and the other rules that were heard.
func Explain(d CallDecision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s (%s)\n", showText(d.Call.Name), d.Verdict, d.Reason)
	leaves := []string{d.Detail}
	if d.Message != "" {
		leaves = append(leaves, "message: "+strings.ReplaceAll(d.Message, "\n", " / "))
	}
	if d.To != "" {
		leaves = append(leaves, "to: "+d.To)
	}
	if d.Expires > 0 {
		leaves = append(leaves, "expires: "+d.Expires.String())
	}
	if d.Missing != "" {
		missing := "missing: " + d.Missing
		if d.Supplier != "" {
			missing += ", which " + d.Supplier + " supplies"
		}
		leaves = append(leaves, missing)
	}
	if d.Kind != "" {
		leaves = append(leaves, "the tool looks like: "+string(d.Kind))
	}
	fired := slices.Clone(d.Fired)
	slices.SortStableFunc(fired, func(x, y Fired) int {
		switch {
		case x.Determining == y.Determining:
			return 0
		case x.Determining:
			return -1
		}
		return 1
	})
	args, err := ReadArguments(d.Call)
	if err != nil {
		args = &Arguments{}
	}
	for i, leaf := range leaves {
		branch := "├─ "
		if i == len(leaves)-1 && len(fired) == 0 {
			branch = "└─ "
		}
		b.WriteString(branch + leaf + "\n")
	}
	for i, f := range fired {
		branch, stem := "├─ ", "│  "
		if i == len(fired)-1 {
			branch, stem = "└─ ", "   "
		}
		mark := ""
		if f.Determining {
			mark = ", decides"
		}
		if f.Mode == Shadow {
			mark = ", shadow: recorded only"
		}
		fmt.Fprintf(&b, "%s%s/%s: %s%s\n", branch, f.Policy, f.Rule, f.Effect, mark)
		inner := ruleLeaves(f, args)
		for j, leaf := range inner {
			twig := "├─ "
			if j == len(inner)-1 {
				twig = "└─ "
			}
			b.WriteString(stem + twig + leaf + "\n")
		}
	}
	return b.String()
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
