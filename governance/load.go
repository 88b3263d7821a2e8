package governance

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// LockFile is the name of the file beside policies that holds the compiled CEL of
// conditions written in plain words: a YAML map from ConditionHash to CEL.
const LockFile = "policies.lock"

// MaxPolicyFile bounds one policy file, in bytes.
const MaxPolicyFile = 4 << 20

// ConditionHash is the key of a condition in policies.lock: the hexadecimal
// SHA-256 of its text, outer white space off.
func ConditionHash(condition string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(condition)))
	return hex.EncodeToString(sum[:])
}

// LoadFiles reads policies from a YAML or JSON file, or from all *.yaml, *.yml
// and *.json files directly in a folder, in the order of their names. Reading is
// strict: unknown and duplicate keys, wrong types, bad durations and unknown
// effects are mistakes. The error joins one *LoadError for each; nothing is
// loaded if there is any. What the expressions mean is checked by NewBundle.
func LoadFiles(path string) ([]Policy, error) {
	files, lock, err := policyFiles(path)
	if err != nil {
		return nil, err
	}
	var policies []Policy
	var problems []error
	pinned := map[string]string{}
	if lock != "" {
		pinned, err = readLock(lock)
		problems = append(problems, err)
	}
	for _, file := range files {
		text, err := readPolicyFile(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found, err := ParsePolicies(file, text, pinned)
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
// policies. source is what errors name; pinned maps ConditionHash to CEL, nil if
// there is no lock file. Errors are those of LoadFiles.
func ParsePolicies(source string, text []byte, pinned map[string]string) ([]Policy, error) {
	documents, err := parseDocuments(source, text)
	if err != nil {
		return nil, err
	}
	r := &reader{file: source, pinned: pinned}
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

func readLock(file string) (map[string]string, error) {
	text, err := readPolicyFile(file)
	if err != nil {
		return nil, err
	}
	documents, err := parseDocuments(file, text)
	if err != nil {
		return nil, err
	}
	pinned := map[string]string{}
	r := &reader{file: file}
	for _, d := range documents {
		for _, m := range r.members(d) {
			hash, err := hex.DecodeString(m.key)
			if err != nil || len(hash) != sha256.Size {
				r.complain(m.keyNode, fmt.Sprintf("%.20q is no condition hash", m.key), "let `cadreen policy compile` write this file")
				continue
			}
			pinned[m.key] = r.text(m.value)
		}
	}
	return pinned, errors.Join(r.problems...)
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
