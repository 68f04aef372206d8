package cell

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// No cell that leaves is a formula, and each comes back as it was.
func TestGuard(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": "'=1+1", "+8613812345678": "'+8613812345678", "-x": "'-x", "@x": "'@x", "\tx": "'\tx", "\rx": "'\rx",
		"plain": "plain", "": "", "'x": "'x", "'=x": "''=x", "a=b": "a=b",
	} {
		if got := Guard(cell); got != want {
			t.Errorf("%q is written %q, want %q", cell, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		cell := rapid.StringMatching(`['=+@\t\r-]{0,4}[a-z=']{0,3}`).Draw(t, "cell")
		got := Guard(cell)
		if got != "" && strings.ContainsRune("=+-@\t\r", rune(got[0])) {
			t.Fatalf("%q leaves as %q", cell, got)
		}
		if strings.HasPrefix(cell, "''") {
			return // two apostrophes before a formula are nobody's data
		}
		if Bare(got) != cell {
			t.Fatalf("%q leaves as %q and comes back as %q", cell, got, Bare(got))
		}
	})
}
