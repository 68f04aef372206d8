package ticket_test

import (
	"testing"
	"time"

	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func TestExcepted(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	key, a, none := typev1.Tier_TIER_KEY, typev1.Tier_TIER_A, typev1.Tier_TIER_UNSPECIFIED
	all := []ticket.Exception{
		{Version: 1, Tier: key, Start: day(2), End: day(20)},
		{Version: 2, Tier: a, Start: day(10), End: day(12)},
		{Version: 3, Tier: a, Start: day(15), End: day(15)}, // ended
	}
	for _, c := range []struct {
		of         []ticket.Exception
		day        int
		tier       typev1.Tier
		next       int
		whatItSays string
	}{
		{nil, 5, none, 0, "nothing agreed"},
		{all[:1], 1, none, 2, "to come"},
		{all[:1], 2, key, 20, "from its first instant"},
		{all[:1], 20, none, 0, "its end is past"},
		{all, 9, key, 10, "until the next version"},
		{all, 10, a, 12, "the later version"},
		{all, 12, none, 0, "the earlier one does not come back"},
		{all, 15, none, 0, "ended"},
		{append(all[:1:1], ticket.Exception{Version: 2, Tier: key, Start: day(5), End: day(5)}), 6, none, 0, "ended by a version"},
		{[]ticket.Exception{{Version: 1, Tier: key, Start: day(9), End: day(20)}, {Version: 2, Tier: key, Start: day(5), End: day(5)}}, 6, none, 0, "ended before it began"},
	} {
		tier, next := ticket.Excepted(c.of, day(c.day))
		want := time.Time{}
		if c.next > 0 {
			want = day(c.next)
		}
		if tier != c.tier || !next.Equal(want) {
			t.Errorf("%s: %v until %v, want %v until %v", c.whatItSays, tier, next, c.tier, want)
		}
	}
}

func TestNextTier(t *testing.T) {
	for from, want := range map[typev1.Tier]typev1.Tier{
		typev1.Tier_TIER_C: typev1.Tier_TIER_B, typev1.Tier_TIER_B: typev1.Tier_TIER_A, typev1.Tier_TIER_A: typev1.Tier_TIER_KEY,
	} {
		if got, ok := ticket.NextTier(from); got != want || !ok {
			t.Errorf("above %v: %v, %v", from, got, ok)
		}
	}
	if _, ok := ticket.NextTier(typev1.Tier_TIER_KEY); ok {
		t.Error("there is one above key")
	}
}
