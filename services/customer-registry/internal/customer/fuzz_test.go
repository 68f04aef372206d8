package customer_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// FuzzParseQuery: a search asks for one thing, what it asks for is normal, and a part of a
// name is found by its terms wherever it stands.
func FuzzParseQuery(f *testing.F) {
	for _, s := range []string{"晨光", "晨", "C-202611-000001", "c-202611-000001", "138 0013 8000", "8000", "+86 (21) 6888-1234", "a@b.cn", "@", "a@", "\xff", "　全角　Ｅｘａｍｐｌｅ", "ﬁ", "%_\\", "İ", "' OR 1=1"} {
		f.Add(s, "前", "后")
	}
	f.Fuzz(func(t *testing.T, text, before, after string) {
		q := customer.ParseQuery(text, "CN")
		set := 0
		for _, s := range []string{q.Folded, q.Number, q.Email} {
			if s != "" {
				set++
			}
		}
		if set > 1 || (set == 0) != (customer.Fold(text) == "") || (q.Folded == "" && (q.Phone != "" || q.Last4 != "" || len(q.Terms) > 0)) {
			t.Fatalf("%q asks for %+v", text, q)
		}
		if q.Folded == "" {
			return
		}
		name := customer.Fold(before + text + after)
		if !strings.Contains(name, q.Folded) {
			return // the neighbours melt into the text
		}
		if len(q.Terms) == 0 {
			t.Fatalf("%q is sought by no term", text)
		}
		terms := customer.Terms(name, 1<<20)
		for _, sought := range indexed(q, 1<<20) {
			if _, found := slices.BinarySearch(terms, sought); !found && sought != " " {
				t.Fatalf("%q in %q is not found by %q", text, name, sought)
			}
		}
	})
}
