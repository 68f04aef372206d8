package app

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage a program may gather in percent of what lives. What lives is
// a few MiB, so Go's 100 has it collect many times a second under load, for a tenth to a
// fifth of its processor time. docs/performance.md says what this saves and costs.
const gcPercent = 300

// TuneGC sets how often garbage is collected; GOGC in the environment wins. Programs call it
// once, before they serve.
func TuneGC() {
	if _, given := os.LookupEnv("GOGC"); !given {
		debug.SetGCPercent(gcPercent)
	}
}
