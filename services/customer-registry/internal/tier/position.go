package tier

import (
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// Position is where a customer stands: the tier, what it was set to by hand with, and what it
// comes from.
type Position struct {
	Tier typev1.Tier
	// HandReason and EndTime are those of a tier set by hand.
	HandReason string
	EndTime    *time.Time
	Marks      Marks
}

func (p Position) reasons() (customerv1.TierReason, customerv1.KeyReason) {
	m := p.Marks
	m.Held = typev1.Tier_TIER_UNSPECIFIED
	if p.EndTime != nil {
		m.Held = p.Tier
	}
	_, reason := m.Tier()
	return reason, Key(p.Tier, m.Strategic, m.Parts)
}

// Moved tells for the history of the file what a customer's move changed.
func Moved(before, after Position) []customer.Change {
	reasonBefore, keyBefore := before.reasons()
	reasonAfter, keyAfter := after.reasons()
	var out []customer.Change
	for _, c := range []customer.Change{
		{Field: "tier", Before: before.Tier.String(), After: after.Tier.String()},
		{Field: "tier_reason", Before: before.HandReason, After: after.HandReason},
		{Field: "tier_end_time", Before: customer.TimeText(before.EndTime), After: customer.TimeText(after.EndTime)},
		{Field: "standing.reason", Before: reasonBefore.String(), After: reasonAfter.String()},
		{Field: "standing.key_reason", Before: keyText(keyBefore), After: keyText(keyAfter)},
	} {
		if c.Before != c.After {
			out = append(out, c)
		}
	}
	return out
}

func keyText(r customerv1.KeyReason) string {
	if r == customerv1.KeyReason_KEY_REASON_UNSPECIFIED {
		return ""
	}
	return r.String()
}
