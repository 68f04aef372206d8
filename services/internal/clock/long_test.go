//go:build long

package clock_test

import (
	"flag"
	"testing"

	"pgregory.net/rapid"
)

// TestLongWalk folds a hundred thousand histories and asks some thirty questions of each;
// part of make long.
func TestLongWalk(t *testing.T) {
	if err := flag.Set("rapid.checks", "10000"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, agree)
}
