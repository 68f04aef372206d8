package tier_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/tier"
)

func TestMoved(t *testing.T) {
	const key, b, c = typev1.Tier_TIER_KEY, typev1.Tier_TIER_B, typev1.Tier_TIER_C
	end := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	long := []*customerv1.ScorePart{{Measure: "length", Rank: 100, Weight: 1}}
	for name, tc := range map[string]struct {
		before, after tier.Position
		want          []customer.Change
	}{
		"nothing": {tier.Position{Tier: c}, tier.Position{Tier: c}, nil},
		"the first score": {
			tier.Position{Tier: c}, tier.Position{Tier: key, Marks: tier.Marks{Scored: key, Parts: long}},
			[]customer.Change{
				{Field: "tier", Before: "TIER_C", After: "TIER_KEY"},
				{Field: "standing.reason", Before: "TIER_REASON_UNSCORED", After: "TIER_REASON_SCORE"},
				{Field: "standing.key_reason", After: "KEY_REASON_LONG_TERM"},
			},
		},
		"set by hand": {
			tier.Position{Tier: key, Marks: tier.Marks{Strategic: true}},
			tier.Position{Tier: b, HandReason: "paused", EndTime: &end, Marks: tier.Marks{Strategic: true}},
			[]customer.Change{
				{Field: "tier", Before: "TIER_KEY", After: "TIER_B"},
				{Field: "tier_reason", After: "paused"},
				{Field: "tier_end_time", After: `"2026-12-01T00:00:00Z"`},
				{Field: "standing.reason", Before: "TIER_REASON_STRATEGIC", After: "TIER_REASON_OVERRIDE"},
				{Field: "standing.key_reason", Before: "KEY_REASON_STRATEGIC"},
			},
		},
		"marked where the score had them": {
			tier.Position{Tier: key, Marks: tier.Marks{Scored: key}}, tier.Position{Tier: key, Marks: tier.Marks{Scored: key, Strategic: true}},
			[]customer.Change{
				{Field: "standing.reason", Before: "TIER_REASON_SCORE", After: "TIER_REASON_STRATEGIC"},
				{Field: "standing.key_reason", Before: "KEY_REASON_HIGH_VALUE", After: "KEY_REASON_STRATEGIC"},
			},
		},
		"the end, in the same tier": {
			tier.Position{Tier: b, HandReason: "paused", EndTime: &end, Marks: tier.Marks{Scored: b}}, tier.Position{Tier: b, Marks: tier.Marks{Scored: b}},
			[]customer.Change{
				{Field: "tier_reason", Before: "paused"},
				{Field: "tier_end_time", Before: `"2026-12-01T00:00:00Z"`},
				{Field: "standing.reason", Before: "TIER_REASON_OVERRIDE", After: "TIER_REASON_SCORE"},
			},
		},
	} {
		if diff := cmp.Diff(tc.want, tier.Moved(tc.before, tc.after)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
