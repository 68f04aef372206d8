// Package tier holds the rules of customers' value: what a model may say, which tier a score
// and what was marked by hand come to, and why somebody is a key customer. It reads no clock
// and no database.
package tier

import (
	"fmt"
	"math"
	"strings"
	"time"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/customer"
)

// near is how close to one the weights must add up, and how little a score may lack of a
// limit: both are sums of decimal fractions in binary numbers.
const near = 1e-9

// Measures are the parts of a score in the order of the weights.
func Measures() []string {
	return []string{"scale", "length", "profit", "growth", "frequency", "volume", "loyalty", "referrals"}
}

// Weights are those of a model in the order of Measures.
func Weights(w *customerv1.TierWeights) []float64 {
	return []float64{
		w.GetScale(), w.GetLength(), w.GetProfit(), w.GetGrowth(),
		w.GetFrequency(), w.GetVolume(), w.GetLoyalty(), w.GetReferrals(),
	}
}

// Check judges what single-field rules cannot.
func Check(m *customerv1.TierModel) []customer.Fault {
	var faults []customer.Fault
	sum := 0.0
	for _, w := range Weights(m.GetWeights()) {
		sum += w
	}
	if math.Abs(sum-1) > near {
		faults = append(faults, customer.Fault{Field: "weights", Text: rpcerr.T(
			"they add up to %[1]g; give weights that add up to 1", "权重之和为 %[1]g；权重之和必须为 1", math.Round(sum*1e9)/1e9)})
	}
	l := m.GetLimits()
	if !(l.GetKey() > l.GetA() && l.GetA() > l.GetB()) {
		faults = append(faults, customer.Fault{Field: "limits", Text: rpcerr.T(
			"they are key %[1]g, A %[2]g, B %[3]g; give key above A and A above B",
			"分界为关键 %[1]g、A %[2]g、B %[3]g；关键必须高于 A，A 必须高于 B", l.GetKey(), l.GetA(), l.GetB())})
	}
	faults = append(faults, checkRates(m)...)
	return append(faults, checkPlans(m)...)
}

func checkRates(m *customerv1.TierModel) []customer.Fault {
	var faults []customer.Fault
	known := map[string]string{m.GetCurrencyCode(): "currency_code"}
	for i, r := range m.GetRates() {
		at := fmt.Sprintf("rates[%d]", i)
		if first, twice := known[r.GetCurrencyCode()]; twice {
			faults = append(faults, customer.Fault{Field: at + ".currency_code", Text: rpcerr.T(
				"it is %[1]s, as %[2]s is; give each other currency once", "币种为 %[1]s，与 %[2]s 相同；其他币种各填写一次", r.GetCurrencyCode(), first)})
		}
		known[r.GetCurrencyCode()] = at
		if strings.Trim(r.GetRate(), "0.") == "" {
			faults = append(faults, customer.Fault{Field: at + ".rate", Text: rpcerr.T(
				"it is %[1]s; give what one unit is worth, above 0", "汇率为 %[1]s；请填写大于 0 的汇率", r.GetRate())})
		}
	}
	return faults
}

func checkPlans(m *customerv1.TierModel) []customer.Fault {
	var faults []customer.Fault
	known := map[typev1.Tier]int{}
	for i, p := range m.GetPlans() {
		if first, twice := known[p.GetTier()]; twice {
			faults = append(faults, customer.Fault{Field: fmt.Sprintf("plans[%d].tier", i), Text: rpcerr.T(
				"it is %[1]s, as that of plans[%[2]d]; give one plan a tier", "等级为 %[1]s，与 plans[%[2]d] 相同；每个等级只能有一个计划", p.GetTier(), first)})
		}
		known[p.GetTier()] = i
		if p.GetGiftBudget() == nil {
			continue
		}
		if fault := customer.CheckMoney(fmt.Sprintf("plans[%d].gift_budget", i), p.GetGiftBudget()); fault != nil {
			faults = append(faults, *fault)
		}
	}
	return faults
}

// Limits are the least scores of key, A and B, each with what a score may lack of it.
func Limits(m *customerv1.TierModel) (key, a, b float64) {
	l := m.GetLimits()
	return l.GetKey() - near, l.GetA() - near, l.GetB() - near
}

// Of is the tier of a score.
func Of(m *customerv1.TierModel, score float64) typev1.Tier {
	key, a, b := Limits(m)
	switch {
	case score >= key:
		return typev1.Tier_TIER_KEY
	case score >= a:
		return typev1.Tier_TIER_A
	case score >= b:
		return typev1.Tier_TIER_B
	}
	return typev1.Tier_TIER_C
}

// Marks are what a tier comes from. The zero value is a customer not scored.
type Marks struct {
	// Held is the tier set by hand whose end has not come; unspecified without one.
	Held      typev1.Tier
	Strategic bool
	// Scored is the tier of the score; unspecified before there is one.
	Scored typev1.Tier
	// Parts are those of the score, which tell why somebody is a key customer.
	Parts []*customerv1.ScorePart
}

// Tier is the one the marks come to, and by which of them.
func (m Marks) Tier() (typev1.Tier, customerv1.TierReason) {
	switch {
	case m.Held != typev1.Tier_TIER_UNSPECIFIED:
		return m.Held, customerv1.TierReason_TIER_REASON_OVERRIDE
	case m.Strategic:
		return typev1.Tier_TIER_KEY, customerv1.TierReason_TIER_REASON_STRATEGIC
	case m.Scored != typev1.Tier_TIER_UNSPECIFIED:
		return m.Scored, customerv1.TierReason_TIER_REASON_SCORE
	}
	return customer.TierAfterOverride(), customerv1.TierReason_TIER_REASON_UNSCORED
}

// Key tells why somebody in the tier is a key customer; parts are those of the score, none
// before there is one.
func Key(tier typev1.Tier, strategic bool, parts []*customerv1.ScorePart) customerv1.KeyReason {
	switch {
	case tier != typev1.Tier_TIER_KEY:
		return customerv1.KeyReason_KEY_REASON_UNSPECIFIED
	case strategic:
		return customerv1.KeyReason_KEY_REASON_STRATEGIC
	}
	most, name := 0.0, ""
	for _, p := range parts {
		if weighs := p.GetWeight() * p.GetRank(); weighs > most {
			most, name = weighs, p.GetMeasure()
		}
	}
	if name == "length" {
		return customerv1.KeyReason_KEY_REASON_LONG_TERM
	}
	return customerv1.KeyReason_KEY_REASON_HIGH_VALUE
}

// Window is the time that a run looks at: the 12 months up to an instant and the 12 before
// them.
type Window struct{ AsOf, YearStart, YearBefore time.Time }

// WindowOf counts months in the calendar of the zone.
func WindowOf(asOf time.Time, zone *time.Location) Window {
	local := asOf.In(zone)
	return Window{AsOf: asOf, YearStart: local.AddDate(-1, 0, 0).UTC(), YearBefore: local.AddDate(-2, 0, 0).UTC()}
}

// Schedule says how often a run is made by itself.
type Schedule string

// The schedules.
const (
	Off       Schedule = "off"
	Monthly   Schedule = "monthly"
	Quarterly Schedule = "quarterly"
)

// Valid tells whether it is one of the schedules.
func (s Schedule) Valid() bool { return s == Off || s == Monthly || s == Quarterly }

// Period names the one that now lies in, "" where no run is due by itself.
func (s Schedule) Period(now time.Time, zone *time.Location) string {
	local := now.In(zone)
	switch s {
	case Monthly:
		return local.Format("2006-01")
	case Quarterly:
		return fmt.Sprintf("%d-q%d", local.Year(), (int(local.Month())+2)/3)
	}
	return ""
}
