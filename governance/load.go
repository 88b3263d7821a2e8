package governance

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// MaxPolicyFile bounds one policy file, in bytes.
const MaxPolicyFile = 4 << 20

// LoadFiles reads policies from a YAML or JSON file, or from all *.yaml, *.yml
// and *.json files directly in a folder, in the order of their names. Reading is
// strict: unknown and duplicate keys, wrong types, bad durations and unknown
// effects are mistakes. The error joins one *LoadError for each; nothing is
// loaded if there is any. What the expressions mean is checked by NewBundle.
func LoadFiles(path string) ([]Policy, error) {
	_, lock, err := policyFiles(path)
	if err != nil {
		return nil, err
	}
	var pinned map[string]Pin
	var problem error
	if lock != "" {
		pinned, problem = ReadLock(lock)
	}
	policies, err := loadWith(path, &reader{pinned: pinned})
	if err := errors.Join(problem, err); err != nil {
		return nil, err
	}
	return policies, nil
}

// loadWith reads the files at a path with a copy of a reader for each.
func loadWith(path string, with *reader) ([]Policy, error) {
	files, _, err := policyFiles(path)
	if err != nil {
		return nil, err
	}
	var policies []Policy
	var problems []error
	for _, file := range files {
		text, err := readPolicyFile(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found, err := parseWith(file, text, *with)
		policies = append(policies, found...)
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return policies, nil
}

// ParsePolicies reads the policies of one text, YAML or (by the source's ending,
// or where the text begins with a brace) JSON. Several YAML documents are several
// policies. source is what errors name; pinned maps ConditionHash to what the
// condition means, nil if there is no lock file. Errors are those of LoadFiles.
func ParsePolicies(source string, text []byte, pinned map[string]Pin) ([]Policy, error) {
	return parseWith(source, text, reader{pinned: pinned})
}

func parseWith(source string, text []byte, r reader) ([]Policy, error) {
	documents, err := parseDocuments(source, text)
	if err != nil {
		return nil, err
	}
	r.file = source
	var policies []Policy
	for _, document := range documents {
		policies = append(policies, r.policy(document))
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	return policies, nil
}

// policyFiles lists the policy files at a path, and the lock file if there is one.
func policyFiles(path string) (files []string, lock string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", &LoadError{File: path, Problem: "cannot be read: " + reason(err), Fix: "name a policy file or a folder of them"}
	}
	folder := path
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, "", &LoadError{File: path, Problem: "cannot be read: " + reason(err)}
		}
		for _, e := range entries {
			name := filepath.Join(path, e.Name())
			if !isPolicyFile(e.Name()) {
				continue
			}
			// A ConfigMap's files are links: what they lead to counts.
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				continue
			}
			files = append(files, name)
		}
		slices.Sort(files)
	} else {
		folder = filepath.Dir(path)
		files = []string{path}
	}
	lock = filepath.Join(folder, LockFile)
	if _, err := os.Stat(lock); err != nil {
		lock = ""
	}
	return files, lock, nil
}

func isPolicyFile(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false // editors' swap files
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

func readPolicyFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > MaxPolicyFile {
		return nil, &LoadError{File: file, Problem: fmt.Sprintf("is larger than %d bytes", MaxPolicyFile), Fix: "split it"}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, &LoadError{File: file, Problem: "cannot be read: " + reason(err)}
	}
	return text, nil
}

// reason of a file error without the path, which is shown anyway.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// parseDocuments makes YAML nodes of a text, whichever of the two it is.
func parseDocuments(source string, text []byte) ([]*yaml.Node, error) {
	trimmed := strings.TrimLeft(string(text), " \t\r\n")
	if filepath.Ext(source) == ".json" || filepath.Ext(source) == "" && strings.HasPrefix(trimmed, "{") {
		node, err := parseJSON(source, text)
		if err != nil {
			return nil, err
		}
		return []*yaml.Node{node}, nil
	}
	return parseYAML(source, text)
}
