// Package config reads Cadreen's settings: defaults, then a YAML file, then the environment, then secrets that are named by
// ${VARIABLE} or file:/path. It knows what a well-formed setting is and names every mistake at once, with its file, its line and
// the fix.
//
// The table in settings.go is the only list of settings; defaults, both readers and docs/settings.md are made from it.
//
// Not here: opening what a setting points to. A policy folder that does not exist or a store that is away is found by the room
// that opens it.
package config
