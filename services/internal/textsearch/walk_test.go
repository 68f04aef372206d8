package textsearch_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kefu-suite/kefu/services/internal/textsearch"
)

// Whatever has the text is found once and in order, page by page, and no part is read that
// begins where another had not ended.
func TestWalkFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := rapid.Int64Range(1, 3_000_000).Draw(t, "last")
		having := rapid.SliceOfNDistinct(rapid.Int64Range(1, last), 0, 60, rapid.ID[int64]).Draw(t, "having")
		slices.SortFunc(having, func(a, b int64) int { return int(b - a) })
		size, grams := rapid.IntRange(1, 30).Draw(t, "size"), rapid.IntRange(1, 6).Draw(t, "grams")
		var all []int64
		for before := last + 1; ; {
			var page []int64
			end := before
			if err := textsearch.Walk(before, grams, size, func(p textsearch.Part) (int, error) {
				if p.Before != end || p.Since >= p.Before {
					t.Fatalf("a part from %d to %d after one that ended at %d", p.Since, p.Before, end)
				}
				for i, span := range p.Spans {
					if want := (p.Before-1)>>textsearch.SpanBits - int64(i); span != want {
						t.Fatalf("spans %v below %d", p.Spans, p.Before)
					}
				}
				end = p.Since
				var found []int64
				for _, at := range having {
					if at < p.Before && at >= p.Since && len(found) < p.Count {
						found = append(found, at)
					}
				}
				page = append(page, found...)
				return len(found), nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			all, before = append(all, page...), page[len(page)-1]
			if len(page) < size {
				break
			}
		}
		if !slices.Equal(all, having) {
			t.Fatalf("found %v, there are %v", all, having)
		}
	})
}
