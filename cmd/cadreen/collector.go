package main

import "runtime/debug"

// collectAt is how much the heap of a server may grow, in percent, before garbage is collected: nearly all that a
// request needs is gone with it, so the heap that lives is small, and collecting half as often costs a few megabytes.
const collectAt = 200

// collect sets when garbage is collected, unless whoever runs the server has said so in the environment.
func collect(env func(string) string) {
	if env("GOGC") == "" && env("GOMEMLIMIT") == "" {
		debug.SetGCPercent(collectAt)
	}
}
