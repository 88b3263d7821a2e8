package main

import (
	"errors"
	"fmt"
	"time"

	"cadreen/config"
	"cadreen/governance"
)

type policyCommands struct {
	Compile policyCompileCommand `cmd:"" help:"Turn conditions in plain English into CEL and write policies.lock."`
	Check   policyCheckCommand   `cmd:"" help:"Load policies, run their examples, and say what is probably not meant."`
	Test    policyTestCommand    `cmd:"" help:"Run files of decision cases."`
	Explain policyExplainCommand `cmd:"" help:"Say which verdict a call gets, and why."`
	Schema  policySchemaCommand  `cmd:"" help:"Print the JSON Schema of policies or of decision cases, for editors."`
	Replay  policyReplayCommand  `cmd:"" help:"Judge recorded decisions again by other policies, and say which would change."`
}

// policyFlags choose the policies and the profile.
type policyFlags struct {
	configFlag
	Policies string `help:"Policy file or folder, instead of the one in the settings." placeholder:"PATH"`
	Profile  string `help:"Profile, instead of the one in the settings: guarded, observe or locked." placeholder:"NAME"`
}

func (f policyFlags) load(p program) (*config.Config, error) {
	cfg, err := f.configFlag.load(p)
	if err != nil {
		return nil, err
	}
	if f.Policies != "" {
		cfg.Policies = f.Policies
	}
	if f.Profile != "" {
		cfg.Profile = f.Profile
	}
	return cfg, nil
}

// loadNamed is load for the commands that take the policies' path as an argument
// too, and need policies to work on.
func (f policyFlags) loadNamed(p program, path string) (*config.Config, error) {
	if path != "" {
		f.Policies = path
	}
	cfg, err := f.load(p)
	if err == nil && cfg.Policies == "" {
		err = usageError{errors.New("no policies: give a path, or set policies")}
	}
	return cfg, err
}

type policyCheckCommand struct {
	policyFlags
	Path  string `arg:"" optional:"" help:"Policy file or folder; the same as --policies."`
	Tools string `help:"JSON file with the tools that are known, as a chat completion request lists them." placeholder:"FILE" type:"existingfile"`
}

// Run fails if the policies do not load; warnings alone do not fail.
func (c policyCheckCommand) Run(p program) error {
	cfg, err := c.loadNamed(p, c.Path)
	if err != nil {
		return err
	}
	opts, err := policyOptions(cfg)
	if err != nil {
		return err
	}
	tools, err := readTools(c.Tools)
	if err != nil {
		return usageError{err}
	}
	policies, err := governance.LoadFiles(cfg.Policies)
	var report governance.Report
	if err != nil {
		report.AddErrors(err)
	} else {
		report = governance.Check(policies, opts, tools...)
	}
	for _, f := range report.Findings {
		fmt.Fprintln(p.Stdout, f)
	}
	if !report.OK() {
		return errReported
	}
	for _, s := range report.Stops {
		fmt.Fprintln(p.Stdout, s)
		if s.Call != nil {
			around := ""
			if s.Call.Circumstances != "" {
				around = " (" + s.Call.Circumstances + ")"
			}
			fmt.Fprintf(p.Stdout, "  for example %s %s%s: %s\n", s.Call.Name, s.Call.Arguments, around, s.Verdict)
		}
	}
	fmt.Fprintf(p.Stdout, "%d policies, %d rules: they load, and their examples come out right.\n", report.Policies, report.Rules)
	return nil
}

type policyTestCommand struct {
	policyFlags
	Files []string `arg:"" help:"YAML or JSON files of decision cases." type:"existingfile"`
}

// Run fails if one case comes out wrong.
func (c policyTestCommand) Run(p program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	bundle, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	right, wrong := 0, 0
	for _, file := range c.Files {
		results, err := governance.RunCases(bundle, file)
		if err != nil {
			return usageError{err}
		}
		for _, r := range results {
			if r.OK() {
				right++
				fmt.Fprintf(p.Stdout, "ok    %s: %s\n", oneLine(r.Name), r.Want)
				continue
			}
			wrong++
			fmt.Fprintf(p.Stdout, "WRONG %s: %s (%s:%d)\n", oneLine(r.Name), oneLine(r.Problem), r.File, r.Line)
		}
	}
	fmt.Fprintf(p.Stdout, "%d right, %d wrong\n", right, wrong)
	if wrong > 0 {
		return errReported
	}
	return nil
}

type policyExplainCommand struct {
	policyFlags
	Tool     string   `required:"" help:"Name of the tool that is called." placeholder:"NAME"`
	Args     string   `help:"Arguments of the call." default:"{}" placeholder:"JSON"`
	UserText []string `help:"Words of the requester, as from_user sees them; may be given more than once." placeholder:"TEXT" sep:"none"`
	Role     []string `help:"Role of the requester; may be given more than once." placeholder:"NAME"`
	Domain   string   `help:"The request's context.domain." placeholder:"NAME"`
	Tools    string   `help:"JSON file with tools, as a chat completion request lists them: the schema types the arguments." placeholder:"FILE" type:"existingfile"`
	Time     string   `help:"Time of the decision, as 2026-01-02T20:00:00Z, instead of now." placeholder:"TIME"`
}

// Run decides one call as the server would and draws why.
func (c policyExplainCommand) Run(p program) error {
	cfg, err := c.load(p)
	if err != nil {
		return err
	}
	bundle, err := loadPolicies(cfg)
	if err != nil {
		return err
	}
	facts := governance.Facts{
		Workspace: config.DefaultWorkspace,
		Domain:    c.Domain,
		Turns:     len(c.UserText),
		Requester: governance.Requester{ID: "explain", KeyID: "explain", Roles: c.Role},
		Tools:     map[string]governance.Tool{c.Tool: {Type: "function", Name: c.Tool, Assumed: true}},
		UserTexts: c.UserText,
		Now:       time.Now(),
	}
	if c.Time != "" {
		if facts.Now, err = time.Parse(time.RFC3339, c.Time); err != nil {
			return usageError{fmt.Errorf("--time %q is no time: write it like 2026-01-02T20:00:00Z", c.Time)}
		}
	}
	tools, err := readTools(c.Tools)
	if err != nil {
		return usageError{err}
	}
	form := governance.FormFunction
	for _, t := range tools {
		facts.Tools[t.Name] = t
		if t.Name == c.Tool && t.Type == "custom" {
			form = governance.FormCustom
		}
	}
	fmt.Fprint(p.Stdout, bundle.Explain(facts, []governance.Call{{ID: "call_explain", Name: c.Tool, Form: form, Arguments: c.Args}}))
	return nil
}
