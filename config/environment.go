package config

import (
	"regexp"
	"slices"
	"strings"
)

const (
	envPrefix = "CADREEN_"
	// Environment stands in place of a file name in a Problem.
	Environment = "environment"
)

// foreignEnv are variables that begin like ours and are not: those of client SDKs, and those that Kubernetes and Docker put into
// every container for a service whose name begins with cadreen.
var (
	foreignEnv = regexp.MustCompile(`^CADREEN_(API_KEY|BASE_URL|(\w+_)?SERVICE_(HOST|PORT)(_\w+)?|(\w+_)?PORT_\d+_(TCP|UDP)(_\w+)?)$`)
	// CADREEN_PORT=tcp://10.0.0.7:8080 is such a variable; CADREEN_PORT=8080 is somebody's attempt at a setting.
	foreignPort = regexp.MustCompile(`^CADREEN_(\w+_)?PORT=(tcp|udp)://`)
)

func foreign(name, text string) bool {
	return foreignEnv.MatchString(name) || foreignPort.MatchString(name+"="+text)
}

// environment lays the variables over what the file said. A variable that is set to nothing counts as not set, since compose
// files and charts pass empty values along.
func (l *loader) environment() {
	var unknown []string
	for name, text := range l.env {
		if strings.HasPrefix(name, envPrefix) && byEnv[name] == nil && text != "" && !foreign(name, text) {
			unknown = append(unknown, name)
		}
	}
	for _, s := range settings {
		text := l.env[s.Env]
		if text == "" {
			continue
		}
		at := place{file: Environment, key: s.Env}
		switch s.kind {
		case keyList:
			l.apply(s, value{keys: keysFromEnv(text, at)}, at)
		case manyValues:
			l.apply(s, value{list: splitList(text)}, at)
		default:
			l.apply(s, value{text: strings.TrimSpace(text)}, at)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		l.wrong(place{file: Environment, key: name}, unknownEnv(name))
	}
}

func unknownEnv(name string) *mistake {
	key := strings.ToLower(strings.TrimPrefix(name, envPrefix))
	for _, l := range later {
		written := strings.ReplaceAll(l, ".", "_")
		if key == written || (strings.HasSuffix(l, ".") && strings.HasPrefix(key, written)) {
			return wrong("is not in this version", "take it out")
		}
	}
	names := make([]string, 0, len(byEnv))
	for known := range byEnv {
		names = append(names, strings.ToLower(known))
	}
	slices.Sort(names)
	if near := nearest(name, names); near != "" {
		return wrong("is not a setting", "did you mean "+strings.ToUpper(near)+"?")
	}
	return wrong("is not a setting", "take it out; docs/settings.md lists the variables")
}
