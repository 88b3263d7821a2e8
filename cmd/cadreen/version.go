package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when a release is linked (-ldflags -X main.version=…).
var version = ""

type versionCommand struct{}

func (versionCommand) Run(p program) error {
	fmt.Fprintf(p.Stdout, "cadreen %s %s %s/%s\n", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

// versionText falls back on what the build recorded.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
