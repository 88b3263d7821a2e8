package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain puts the real program into PATH under its name, for the scripts
// below and for tests that want a process of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"cadreen": main, "cadreen-stepped": stepped})
}

// TestScripts runs testdata/script/*.txtar: the command line as people see it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
