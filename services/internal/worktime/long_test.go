//go:build long

package worktime_test

import (
	"flag"
	"testing"

	"pgregory.net/rapid"
)

// TestLong asks more than a million questions; part of make long.
func TestLong(t *testing.T) {
	for _, part := range []struct {
		checks   string
		property func(*rapid.T)
	}{{"20500", agree}, {"200000", laws}} {
		if err := flag.Set("rapid.checks", part.checks); err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, part.property)
	}
}
