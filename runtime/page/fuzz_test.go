package page_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/page"
)

// FuzzOpen: no token but a sealed one opens, for no other caller and no other filter.
func FuzzOpen(f *testing.F) {
	c := &clock{at: time.Unix(1_700_000_000, 0)}
	s, err := page.NewSealer(bytes.Repeat([]byte{7}, 32), c.now)
	if err != nil {
		f.Fatal(err)
	}
	token, err := s.Seal(as("li"), filter("open"), "cursor-7")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token, "li", "open")
	f.Add(token, "han", "open")
	f.Add(token, "li", "closed")
	f.Add(token[:20], "li", "open")
	f.Add("AAAA", "", "")
	f.Fuzz(func(t *testing.T, given, who, what string) {
		cursor, err := s.Open(as(who), filter(what), given)
		if err != nil || given == "" {
			return
		}
		// Each process of a fuzzing run seals the same with a nonce of its own.
		if who != "li" || what != "open" || cursor != "cursor-7" {
			t.Fatalf("%q opens for %q and %q as %q", given, who, what, cursor)
		}
	})
}
