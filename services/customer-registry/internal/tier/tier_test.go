package tier

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"pgregory.net/rapid"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

func model() *customerv1.TierModel {
	return &customerv1.TierModel{
		Weights: &customerv1.TierWeights{Scale: 0.35, Length: 0.15, Profit: 0.3, Growth: 0.2},
		Limits:  &customerv1.TierLimits{Key: 85, A: 70, B: 40}, CurrencyCode: "CNY",
		Rates: []*customerv1.CurrencyRate{{CurrencyCode: "USD", Rate: "7.1"}},
		Plans: []*customerv1.ResourcePlan{{Tier: typev1.Tier_TIER_KEY, ManagerLoad: 10}, {Tier: typev1.Tier_TIER_A, ManagerLoad: 30}},
	}
}

func TestCheck(t *testing.T) {
	if faults := Check(model()); len(faults) > 0 {
		t.Fatal(faults)
	}
	for name, tc := range map[string]struct {
		spoil func(*customerv1.TierModel)
		want  []string
	}{
		"more than one":      {func(m *customerv1.TierModel) { m.Weights.Volume = 0.1 }, []string{"weights"}},
		"a little less":      {func(m *customerv1.TierModel) { m.Weights.Growth = 0.19999 }, []string{"weights"}},
		"no weights":         {func(m *customerv1.TierModel) { m.Weights = nil }, []string{"weights"}},
		"limits in disorder": {func(m *customerv1.TierModel) { m.Limits.A = 85 }, []string{"limits"}},
		"own currency":       {func(m *customerv1.TierModel) { m.Rates[0].CurrencyCode = "CNY" }, []string{"rates[0].currency_code"}},
		"nothing worth":      {func(m *customerv1.TierModel) { m.Rates[0].Rate = "0.000" }, []string{"rates[0].rate"}},
		"a currency twice":   {func(m *customerv1.TierModel) { m.Rates = append(m.Rates, m.Rates[0]) }, []string{"rates[1].currency_code"}},
		"a tier twice":       {func(m *customerv1.TierModel) { m.Plans[1].Tier = typev1.Tier_TIER_KEY }, []string{"plans[1].tier"}},
		"a negative gift":    {func(m *customerv1.TierModel) { m.Plans[0].GiftBudget = &money.Money{CurrencyCode: "CNY", Units: -1} }, []string{"plans[0].gift_budget"}},
		"a gift of nothing known": {func(m *customerv1.TierModel) { m.Plans[0].GiftBudget = &money.Money{Units: 1} },
			[]string{"plans[0].gift_budget"}},
	} {
		m := model()
		tc.spoil(m)
		var fields []string
		for _, f := range Check(m) {
			fields = append(fields, f.Field)
			if f.Text.EN == "" || f.Text.ZH == "" {
				t.Errorf("%s: no text", name)
			}
		}
		if !slices.Equal(fields, tc.want) {
			t.Errorf("%s: blames %v, want %v", name, fields, tc.want)
		}
	}
}

func TestOf(t *testing.T) {
	for score, want := range map[float64]typev1.Tier{
		0: typev1.Tier_TIER_C, 39.999: typev1.Tier_TIER_C, 40: typev1.Tier_TIER_B, 69.9999: typev1.Tier_TIER_B,
		70: typev1.Tier_TIER_A, 84.999999: typev1.Tier_TIER_A, 85: typev1.Tier_TIER_KEY, 100: typev1.Tier_TIER_KEY,
		85 - 1e-12: typev1.Tier_TIER_KEY, // a sum of fractions lacks that much in binary numbers
	} {
		if got := Of(model(), score); got != want {
			t.Errorf("%v is %v, want %v", score, got, want)
		}
	}
}

func TestMarks(t *testing.T) {
	const key, a, c = typev1.Tier_TIER_KEY, typev1.Tier_TIER_A, typev1.Tier_TIER_C
	for _, tc := range []struct {
		marks  Marks
		tier   typev1.Tier
		reason customerv1.TierReason
	}{
		{Marks{}, c, customerv1.TierReason_TIER_REASON_UNSCORED},
		{Marks{Scored: a}, a, customerv1.TierReason_TIER_REASON_SCORE},
		{Marks{Scored: c, Strategic: true}, key, customerv1.TierReason_TIER_REASON_STRATEGIC},
		{Marks{Scored: key, Strategic: true, Held: c}, c, customerv1.TierReason_TIER_REASON_OVERRIDE},
	} {
		if got, reason := tc.marks.Tier(); got != tc.tier || reason != tc.reason {
			t.Errorf("%+v: %v by %v", tc.marks, got, reason)
		}
	}
}

func TestKey(t *testing.T) {
	parts := func(scale, length float64) []*customerv1.ScorePart {
		return []*customerv1.ScorePart{{Measure: "scale", Rank: scale, Weight: 0.5}, {Measure: "length", Rank: length, Weight: 0.5}}
	}
	const key = typev1.Tier_TIER_KEY
	for _, tc := range []struct {
		tier      typev1.Tier
		strategic bool
		parts     []*customerv1.ScorePart
		want      customerv1.KeyReason
	}{
		{typev1.Tier_TIER_A, true, parts(1, 2), customerv1.KeyReason_KEY_REASON_UNSPECIFIED},
		{key, true, parts(99, 2), customerv1.KeyReason_KEY_REASON_STRATEGIC},
		{key, false, parts(99, 98), customerv1.KeyReason_KEY_REASON_HIGH_VALUE},
		{key, false, parts(90, 98), customerv1.KeyReason_KEY_REASON_LONG_TERM},
		{key, false, nil, customerv1.KeyReason_KEY_REASON_HIGH_VALUE},
	} {
		if got := Key(tc.tier, tc.strategic, tc.parts); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}

func TestWindowIsTwoYears(t *testing.T) {
	zone := time.FixedZone("UTC+8", 8*60*60)
	w := WindowOf(time.Date(2026, 3, 31, 20, 0, 0, 0, time.UTC), zone) // 1 April in the zone
	if want := time.Date(2025, 3, 31, 20, 0, 0, 0, time.UTC); !w.YearStart.Equal(want) {
		t.Errorf("the year starts %v, want %v", w.YearStart, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		w := WindowOf(time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), 0), zone)
		for _, d := range []time.Duration{w.AsOf.Sub(w.YearStart), w.YearStart.Sub(w.YearBefore)} {
			if d < 364*24*time.Hour || d > 366*24*time.Hour {
				t.Fatalf("a year of %v in %+v", d, w)
			}
		}
	})
}

func TestPeriod(t *testing.T) {
	zone := time.FixedZone("UTC+8", 8*60*60)
	at := time.Date(2026, 9, 30, 17, 0, 0, 0, time.UTC) // October in the zone
	for s, want := range map[Schedule]string{Off: "", "": "", Monthly: "2026-10", Quarterly: "2026-q4"} {
		if got := s.Period(at, zone); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
	if Schedule("weekly").Valid() || !Monthly.Valid() || Schedule("").Valid() {
		t.Error("the wrong schedules are valid")
	}
}
