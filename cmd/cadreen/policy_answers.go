package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"cadreen/config"
	"cadreen/governance"
	"cadreen/governance/rule"
	"cadreen/store"
	"cadreen/tools"
)

// tools that conditions may speak of: of a file, of a workspace, or of both.
func (c policyCompileCommand) tools(ctx context.Context, p program) ([]governance.Tool, error) {
	list, err := readTools(c.Tools)
	if err != nil {
		return nil, usageError{err}
	}
	if c.Workspace == "" {
		return list, nil
	}
	err = withStore(ctx, p, c.configFlag, false, func(engine store.Engine, _ *config.Config) error {
		seen, err := tools.NewSeen(engine, nil).Tools(ctx, c.Workspace)
		if err == nil && len(seen) == 0 {
			err = usageError{fmt.Errorf("no request of workspace %q has offered a tool yet: name them with --tools FILE", c.Workspace)}
		}
		for _, t := range seen {
			// What the file says of a tool goes before what was seen of it.
			if !slices.ContainsFunc(list, func(o governance.Tool) bool { return o.Name == t.Name }) {
				list = append(list, t)
			}
		}
		return err
	})
	return list, err
}

// answers to the questions of conditions: those of the lock file, by the hash of
// the condition, and those of the command line, by the rule, which go before.
type answers struct {
	kept  map[string]governance.Pin
	given map[string]rule.Answers
	asked map[string]bool // rules that were compiled
}

func readAnswers(p program, lock string, given []string) (*answers, error) {
	a := &answers{given: map[string]rule.Answers{}, asked: map[string]bool{}}
	for _, one := range given {
		key, value, ok := strings.Cut(one, "=")
		id, question, found := strings.Cut(key, "/")
		if !ok || !found || question == "" {
			return nil, usageError{fmt.Errorf("--answer %q: write RULE/ID=ANSWER, as the question was printed", one)}
		}
		if a.given[id] == nil {
			a.given[id] = rule.Answers{}
		}
		a.given[id][question] = value
	}
	var err error
	if a.kept, err = governance.ReadLock(lock); err != nil {
		// It is written anew anyway.
		fmt.Fprintf(p.Stderr, "%s cannot be read, so that answers in it are lost: %v\n", lock, err)
	}
	return a, nil
}

func (a *answers) of(r governance.Rule) rule.Answers {
	a.asked[r.ID] = true
	all := rule.Answers{}
	maps.Copy(all, a.kept[governance.ConditionHash(r.Condition)].Answers)
	maps.Copy(all, a.given[r.ID])
	return all
}

// unused names an answer for a rule that has no condition to compile.
func (a *answers) unused() error {
	for id := range a.given {
		if !a.asked[id] {
			return usageError{fmt.Errorf("--answer: no rule %q has a condition to compile", id)}
		}
	}
	return nil
}
