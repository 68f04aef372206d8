package authz

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
)

// Clearances are kept together by purpose, and what is planned for some serves all that show
// the same. No rule may tell the difference.
func TestTogetherSeesAsBefore(t *testing.T) {
	purposes := []string{"", "repair", "sales", "s"}
	level := rapid.Custom(func(t *rapid.T) accessv1.Sensitivity {
		return accessv1.Sensitivity(rapid.Int32Range(0, 4).Draw(t, "level"))
	})
	clearance := rapid.Custom(func(t *rapid.T) Clearance {
		return Clearance{Purpose: rapid.SampledFrom(purposes).Draw(t, "purpose"), Shown: level.Draw(t, "shown"), Masked: level.Draw(t, "masked")}
	})
	rapid.Check(t, func(t *rapid.T) {
		with := rapid.SliceOfN(clearance, 0, 8).Draw(t, "clearances")
		before := slices.Clone(with)
		one := together(with)
		if !slices.Equal(with, before) {
			t.Fatalf("the clearances themselves became %v", with)
		}
		if !slices.IsSortedFunc(one, func(a, b Clearance) int { return strings.Compare(a.Purpose, b.Purpose) }) {
			t.Fatalf("%v are in no order", one)
		}
		for _, purpose := range append(purposes, "other") {
			for l := range accessv1.Sensitivity(5) {
				rule := &accessv1.DataRule{Level: l, Purpose: purpose}
				if got, want := See(one, rule), See(with, rule); got != want {
					t.Fatalf("%v is seen as %v with %v, as %v with %v", rule, got, one, want, with)
				}
			}
		}
		if sightOf(with) != sightOf(one) {
			t.Fatal("the same sight is planned twice")
		}
	})
}

func TestSightsAreKeptApart(t *testing.T) {
	of := func(purpose string, shown, masked accessv1.Sensitivity) []Clearance {
		return []Clearance{{Purpose: purpose, Shown: shown, Masked: masked}}
	}
	all := [][]Clearance{nil, of("", 0, 0), of("", 2, 0), of("", 0, 2), of("a", 2, 3), of("b", 2, 3), of("a", 3, 2),
		append(of("a", 2, 3), of("b", 2, 3)...), of("a\x02\x03\x01b", 2, 3)}
	for i, a := range all {
		for j, b := range all {
			if (sightOf(a) == sightOf(b)) != (i == j) {
				t.Errorf("%v and %v", a, b)
			}
		}
	}
}
