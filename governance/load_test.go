package governance_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"cadreen/governance"
)

func TestEveryMistakeInAPolicyIsNamedWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "name: p\nrulez: []\n", `test.yaml:2: unknown key "rulez" in a policy (did you mean rules?)`},
		{"unknown key of a rule", "name: p\nrules:\n  - {id: a, tool: [x], when: 'true', effect: block}\n", `test.yaml:3: unknown key "tool" in a rule (did you mean tools?)`},
		{"duplicate key", "name: p\nname: q\nrules: []\n", `test.yaml:2: the key "name" stands twice`},
		{"duplicate key inside", "name: p\nrules:\n  - {when: 'true', effect: block, effect: allow}\n", `test.yaml:3: the key "effect" stands twice`},
		{"unknown effect", "name: p\nrules:\n  - {when: 'true', effect: blok}\n", `test.yaml:3: unknown effect "blok" (did you mean block?)`},
		{"bad duration", "name: p\nrules:\n  - {when: 'true', effect: confirm, expires: 4 hours}\n", `test.yaml:3: "4 hours" is no duration`},
		{"negative duration", "name: p\nrules:\n  - {when: 'true', effect: confirm, expires: -4h}\n", `"-4h" is no duration`},
		{"wrong type", "name: 5\nrules:\n  - {when: 'true', effect: block}\n", `test.yaml:1: "5" should be text`},
		{"no name", "rules:\n  - {when: 'true', effect: block}\n", "the policy has no name"},
		{"no rules", "name: p\n", "the policy has no rules"},
		{"no CEL", "name: p\nrules:\n\n  - {condition: 'never delete', effect: block}\n", "test.yaml:4: the condition has no CEL (write `when`, or run `cadreen policy compile`"},
		{"no condition", "name: p\nrules:\n  - {effect: block}\n", "neither `when` nor `condition`"},
		{"no effect", "name: p\nrules:\n  - {when: 'true'}\n", "test.yaml:3: the rule has no effect"},
		{"line without effect", "name: p\nrules:\n  - when:\n      - {if: 'true'}\n", "test.yaml:4: a line has no effect"},
		{"line without if", "name: p\nrules:\n  - when:\n      - {effect: block}\n", "test.yaml:4: a line has no `if`"},
		{"condition and rule", "name: p\nrules:\n  - {condition: a, rule: b, when: 'true', effect: block}\n", "alias"},
		{"bad mode", "name: p\nrules:\n  - {when: 'true', effect: block, mode: shadows}\n", `unknown mode "shadows"`},
		{"bad else", "name: p\nrules:\n  - {when: 'true', effect: block, tools: [x], else: block}\n", "unknown else"},
		{"else allow without tools", "name: p\nrules:\n  - {when: 'true', effect: block, else: allow}\n", "needs `tools`"},
		{"bad tool name", "name: p\nrules:\n  - {when: 'true', effect: block, tools: ['a b']}\n", `"a b" is no tool name`},
		{"no tools", "name: p\nrules:\n  - {when: 'true', effect: block, tools: []}\n", "`tools` is empty"},
		{"anchors", "name: &x p\nrules:\n  - {when: 'true', effect: block, message: *x}\n", "anchors"},
		{"not YAML", "name: p\n\t- x\n", "test.yaml:2"},
		{"not a mapping", "- a\n", "should be a mapping"},
		{"example without expectation", "name: p\nrules:\n  - when: 'true'\n    effect: block\n    examples:\n      - {call: {name: x}}\n", "test.yaml:6: the example expects nothing"},
		{"inexact config number", "name: p\nconfig: {x: 0.1000000000000000055511151231257827}\nrules:\n  - {when: 'true', effect: block}\n", "test.yaml:2"},
		{"infinite config number", "name: p\nconfig: {x: .inf}\nrules:\n  - {when: 'true', effect: block}\n", "test.yaml:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := governance.ParsePolicies("test.yaml", []byte(c.text), nil)
			require.ErrorContains(t, err, c.want)
			require.NotEmpty(t, governance.LoadErrors(err))
		})
	}
}

func TestEveryMistakeInARuleIsFoundWhenItCompiles(t *testing.T) {
	for _, c := range []struct{ name, rules, want string }{
		{"syntax", "- {id: a, when: 'args.amount >', effect: block}", `test.yaml:4: rule "a": column`},
		{"unknown function", "- {id: a, when: 'colled(\"x\")', effect: block}", "undeclared reference to 'colled'"},
		{"not a condition", "- {id: a, when: '1 + 1', effect: block}", "a condition is true or false"},
		{"missing config", "- {id: a, when: 'args.amount > config.limmit', effect: block}", "config.limmit does not exist (did you mean config.limit?)"},
		{"bad unless", "- {id: a, when: 'true', unless: 'x', effect: block}", "undeclared reference to 'x'"},
		{"bad message", "- {id: a, when: 'true', effect: block, message: 'a ${secret.x}'}", "nothing that a message can show"},
		{"message of missing config", "- {id: a, when: 'true', effect: block, message: '${config.limmit}'}", "does not exist"},
		{"message not closed", "- {id: a, when: 'true', effect: block, message: '${args.x'}", "not closed"},
		{"duplicate ids", "- {id: a, when: 'true', effect: block}\n  - {id: a, when: 'true', effect: block}", `test.yaml:5: rule id "a" stands twice`},
		{"failing example", "- id: a\n    when: 'args.amount > config.limit'\n    tools: [pay]\n    effect: block\n    examples:\n      - {call: {name: pay, arguments: {amount: 5}}, expect: block}", `test.yaml:9: rule "a": example 1 should be block and is allow`},
		{"example of another tool", "- id: a\n    when: 'true'\n    tools: [pay]\n    effect: block\n    examples:\n      - {call: {name: play}, expect: block}", `calls "play", which is none of the rule's tools`},
		{"too costly", "- {id: a, when: 'args.a.all(x, args.b.all(y, args.c.all(z, args.d.all(w, x + y + z + w > 1))))', effect: block}", "could cost"},
		{"bad zone", "- {id: a, when: 'in_hours(\"Mars/Base\", \"9-17\")', effect: block}", "unknown time zone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			policies, err := governance.ParsePolicies("test.yaml", []byte("name: p\nconfig: {limit: 10}\nrules:\n  "+c.rules+"\n"), nil)
			require.NoError(t, err)
			_, err = governance.NewBundle(policies, policyOptions(t))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestAllMistakesAreReportedTogether(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("name: a\nrules:\n  - {when: 'true', effect: blok}\n  - {when: 'true'}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.json"), []byte("{\"name\":\"b\",\n\"rules\":[{\"when\":\"true\",\n\"effect\":\"nope\"}]}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "c.json"), []byte("{\"name\":\"b\",\n\"name\":\"c\"}"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not a policy"), 0o600))
	_, err := governance.LoadFiles(dir)
	found := governance.LoadErrors(err)
	require.Len(t, found, 4)
	require.Equal(t, filepath.Join(dir, "a.yaml"), found[0].File)
	require.Equal(t, []int{3, 4, 3, 2}, []int{found[0].Line, found[1].Line, found[2].Line, found[3].Line})
	_, err = governance.LoadFiles(filepath.Join(dir, "absent"))
	require.ErrorContains(t, err, "cannot be read")
}

func TestJSONAndYAMLMakeTheSamePolicy(t *testing.T) {
	yaml := "name: p\ndomain: d\nconfig: {over: 100, rate: 0.5}\nrules:\n  - {id: a, tools: [x, 'y.*'], when: [{if: 'args.n > config.over', effect: require_human_approval, expires: 15m}], message: \"\U0001F600\"}\n"
	json := "\t{\"name\":\"p\",\"domain\":\"d\",\"config\":{\"rate\":0.5,\"over\":100},\n\t\"rules\":[{\"id\":\"a\",\"tools\":[\"x\",\"y.*\"],\"when\":[{\"if\":\"args.n > config.over\",\"effect\":\"confirm\",\"expires\":\"15m\"}],\"message\":\"\\ud83d\\ude00\"}]}"
	a, err := governance.ParsePolicies("a.yaml", []byte(yaml), nil)
	require.NoError(t, err)
	b, err := governance.ParsePolicies("b.json", []byte(json), nil)
	require.NoError(t, err)
	require.Equal(t, a[0].Version, b[0].Version)
	require.Len(t, a[0].Version, 12)
	a[0].Rules[0].Condition = "other words"
	require.NotEqual(t, a[0].Digest(), b[0].Digest(), "the words are part of the version")
}

func TestSeveralDocumentsAreSeveralPolicies(t *testing.T) {
	policies, err := governance.ParsePolicies("x.yaml", []byte("name: a\nrules: [{when: true, effect: deny}]\n---\nname: b\nrules: [{rule: never, when: 'true', effect: abstain}]\n---\n"), nil)
	require.NoError(t, err)
	require.Len(t, policies, 2)
	require.Equal(t, governance.Block, policies[1].Rules[0].When[0].Effect)
	require.Equal(t, "never", policies[1].Rules[0].Condition)
}

func TestAPinnedConditionNeedsNoCEL(t *testing.T) {
	dir := t.TempDir()
	condition := "Never delete orders"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("name: a\nrules:\n  - {condition: "+condition+", tools: [delete_order], effect: block}\n"), 0o600))
	_, err := governance.LoadFiles(dir)
	require.ErrorContains(t, err, "a.yaml:3: the condition has no CEL")
	require.NoError(t, os.WriteFile(filepath.Join(dir, governance.LockFile), []byte(governance.ConditionHash(condition)+": 'true'\n"), 0o600))
	policies, err := governance.LoadFiles(dir)
	require.NoError(t, err)
	require.Equal(t, "true", policies[0].Rules[0].When[0].If)
	require.NoError(t, os.WriteFile(filepath.Join(dir, governance.LockFile), []byte("abc: 'true'\n"), 0o600))
	_, err = governance.LoadFiles(dir)
	require.ErrorContains(t, err, "policies.lock:1")
}

func FuzzParsePolicies(f *testing.F) {
	for _, file := range []string{"refunds.yaml", "everywhere.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", "decisions", file))
		require.NoError(f, err)
		f.Add(text, false)
	}
	f.Add([]byte(`{"name":"p","rules":[{"when":"true","effect":"block"}]}`), true)
	f.Add([]byte("a: &a [*a]\n"), false)
	f.Add([]byte("? {a: b}\n: c\n"), false)
	f.Fuzz(func(t *testing.T, text []byte, json bool) {
		source := "x.yaml"
		if json {
			source = "x.json"
		}
		policies, err := governance.ParsePolicies(source, text, nil)
		if err != nil {
			if len(governance.LoadErrors(err)) == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		for _, p := range policies {
			if p.Name == "" || len(p.Rules) == 0 || p.Version == "" {
				t.Fatalf("an empty policy was accepted: %+v", p)
			}
		}
	})
}

const watchedGood, watchedStrict = "name: p\nrules:\n  - {id: a, tools: [pay], when: 'args.amount > 100', effect: confirm}\n", "name: p\nrules:\n  - {id: a, tools: [pay], when: 'args.amount > 1', effect: block}\n"

// watched starts watching a path and answers with what onReload hears.
func watched(t *testing.T, path string) (*governance.Live, func() error) {
	policies, err := governance.LoadFiles(path)
	require.NoError(t, err)
	b, err := governance.NewBundle(policies, policyOptions(t))
	require.NoError(t, err)
	live := governance.NewLive(b)
	heard := make(chan error, 16)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- live.Watch(ctx, path, func(err error) { heard <- err }) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return live, func() error {
		select {
		case err := <-heard:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("no reload was heard")
			return nil
		}
	}
}

// replace writes a file the way careful programs do: beside it, then renamed.
func replace(t *testing.T, path, text string) {
	require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
	require.NoError(t, os.Rename(path+".new", path))
}

func TestABadEditIsRefusedAndTheOldBundleStays(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(file, []byte(watchedGood), 0o600))
	live, next := watched(t, dir)
	first := live.Bundle()
	pay := function("pay", `{"amount":50}`)
	require.Equal(t, governance.Allow, live.Decide(offer("pay"), []governance.Call{pay})[0].Verdict)

	replace(t, file, strings.Replace(watchedGood, "confirm", "confrim", 1))
	err := next()
	require.ErrorContains(t, err, "p.yaml:3: unknown effect")
	require.Same(t, first, live.Bundle())

	replace(t, file, watchedStrict)
	require.NoError(t, next())
	require.Equal(t, governance.Block, live.Decide(offer("pay"), []governance.Call{pay})[0].Verdict)
	require.NotEqual(t, first.Version(), live.Bundle().Version())

	require.NoError(t, os.WriteFile(filepath.Join(dir, "q.yaml"), []byte("name: q\nrules:\n  - {when: 'args.', effect: block}\n"), 0o600))
	require.ErrorContains(t, next(), "q.yaml:3")
	require.NoError(t, os.Remove(filepath.Join(dir, "q.yaml")))
	require.NoError(t, next(), "a mistake that is taken back is heard")
}

func TestASingleFileIsWatchedThroughRenames(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.yaml")
	require.NoError(t, os.WriteFile(file, []byte(watchedGood), 0o600))
	live, next := watched(t, file)
	for _, text := range []string{watchedStrict, watchedGood} {
		replace(t, file, text)
		require.NoError(t, next())
	}
	require.Equal(t, governance.Allow, live.Bundle().Judge(offer("pay"), function("pay", `{"amount":50}`)).Verdict)
	require.NoError(t, os.Remove(file))
	require.ErrorContains(t, next(), "cannot be read")
	require.NoError(t, os.WriteFile(file, []byte(watchedStrict), 0o600))
	require.NoError(t, next())
}

// Files that change while they are read are read again: in the end the policies
// are those of the files, also where the last change takes the one before back.
func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "zz.yaml") // read last
			require.NoError(t, os.WriteFile(file, []byte(watchedGood), 0o600))
			for n := range 100 { // so that reading takes a while
				name := fmt.Sprintf("other%d", n)
				require.NoError(t, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(strings.Replace(watchedGood, "name: p", "name: "+name, 1)), 0o600))
			}
			live, next := watched(t, dir)
			first := live.Bundle().Version()
			for range 10 * i { // each begins at another moment of the first reading
				_, _ = os.ReadFile(file)
			}
			replace(t, file, watchedStrict)
			require.NoError(t, next())
			replace(t, file, watchedGood)
			require.NoError(t, next())
			require.Equal(t, first, live.Bundle().Version())
		})
	}
}

// A ConfigMap is a folder of links through ..data, which is swapped by a rename.
func TestASwappedConfigMapIsSeen(t *testing.T) {
	dir := t.TempDir()
	version := func(name, text string) {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "p.yaml"), []byte(text), 0o600))
	}
	version("..1", watchedGood)
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink(filepath.Join("..data", "p.yaml"), filepath.Join(dir, "p.yaml")))
	live, next := watched(t, dir)
	version("..2", watchedStrict)
	require.NoError(t, os.Symlink("..2", filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	require.NoError(t, next())
	require.Equal(t, governance.Block, live.Bundle().Judge(offer("pay"), function("pay", `{"amount":50}`)).Verdict)
}

// A turn is judged by one bundle: its calls never get verdicts of two.
func TestABundleIsSwappedUnderConcurrentDecisions(t *testing.T) {
	a, b := policyBundle(t, watchedGood, ""), policyBundle(t, watchedStrict, "")
	live := governance.NewLive(a)
	facts := offer("pay")
	facts.Tools["pay"] = governance.Tool{Type: "function", Name: "pay", Schema: []byte(`{"type":"object","properties":{"amount":{"type":"number"}}}`)}
	calls := []governance.Call{function("pay", `{"amount":50}`), function("pay", `{"amount":60}`)}
	var readers sync.WaitGroup
	mixed := make(chan [2]governance.Verdict, 4)
	for range 4 {
		readers.Go(func() {
			for range 300 {
				d := live.Decide(facts, calls)
				if d[0].Verdict != d[1].Verdict || d[0].Verdict == governance.Confirm {
					select {
					case mixed <- [2]governance.Verdict{d[0].Verdict, d[1].Verdict}:
					default:
					}
				}
			}
		})
	}
	for i := range 300 {
		live.Swap([]*governance.Bundle{a, b}[i%2])
	}
	readers.Wait()
	require.Empty(t, mixed)
}
