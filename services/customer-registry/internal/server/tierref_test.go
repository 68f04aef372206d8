package server_test

import (
	"math"
	"math/big"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/type/money"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
)

// buyer is a customer to the reference: what they bought, and what was marked by hand.
type buyer struct {
	orders    []*customerv1.Order
	rating    int
	referrals int
}

// reference scores buyers as the rules say it, measure by measure and without SQL: it gives
// measures, ranks and score of each.
func reference(buyers []buyer, m *customerv1.TierModel, asOf time.Time, zone *time.Location) (measures, ranks [][]float64, scores []float64) {
	year := asOf.In(zone).AddDate(-1, 0, 0)
	before := asOf.In(zone).AddDate(-2, 0, 0)
	for range buyers {
		measures, ranks = append(measures, make([]float64, 8)), append(ranks, make([]float64, 8))
	}
	old := make([]bool, len(buyers))
	for i, b := range buyers {
		old[i] = measure(measures[i], b, m, asOf, year, before)
	}
	for k := range 8 {
		var all []float64
		for i := range buyers {
			if k != 3 || old[i] {
				all = append(all, measures[i][k])
			}
		}
		slices.Sort(all)
		for i, b := range buyers {
			switch {
			case k == 3 && !old[i]:
				ranks[i][k] = float64(max(0, b.rating-1) * 25)
			case len(all) > 1:
				below := sort.SearchFloat64s(all, measures[i][k])
				ranks[i][k] = 100 * (float64(below) / float64(len(all)-1))
			}
		}
	}
	w := m.GetWeights()
	weights := []float64{w.GetScale(), w.GetLength(), w.GetProfit(), w.GetGrowth(), w.GetFrequency(), w.GetVolume(), w.GetLoyalty(), w.GetReferrals()}
	for i := range buyers {
		sum := 0.0
		for k, weight := range weights {
			sum += weight * ranks[i][k]
		}
		scores = append(scores, sum)
	}
	return measures, ranks, scores
}

// measure fills in one buyer's measures and tells whether they bought in the year before.
func measure(out []float64, b buyer, m *customerv1.TierModel, asOf, year, before time.Time) bool {
	amount, earlier, profit := new(big.Rat), new(big.Rat), new(big.Rat)
	quarters := map[int]bool{}
	var first time.Time
	for _, o := range b.orders {
		at := o.GetOrderTime().AsTime().Truncate(time.Microsecond)
		if at.After(asOf) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if q := int(asOf.Sub(at) / (7889238 * time.Second)); q < 8 {
			quarters[q] = true
		}
		value := nanosOf(o.GetAmount(), m)
		switch {
		case at.After(year):
			out[4]++
			for _, l := range o.GetLines() {
				out[5] += float64(l.GetQuantity())
			}
			if value != nil {
				amount.Add(amount, value)
			}
			if cost := nanosOf(o.GetCost(), m); value != nil && cost != nil {
				profit.Add(profit, new(big.Rat).Sub(value, cost))
			}
		case at.After(before) && value != nil:
			earlier.Add(earlier, value)
		}
	}
	a, _ := amount.Float64()
	e, _ := earlier.Float64()
	p, _ := profit.Float64()
	out[0], out[2], out[6], out[7] = a/1e9, p/1e9, float64(len(quarters)), float64(b.referrals)
	if !first.IsZero() {
		out[1] = float64(asOf.Sub(first).Microseconds()) / 1e6 / 2629746
	}
	if e > 0 {
		out[3] = (a - e) / e
	}
	return e > 0
}

// nanosOf is a sum in billionths of the model's currency, nil where it has no rate.
func nanosOf(m *money.Money, model *customerv1.TierModel) *big.Rat {
	if m == nil {
		return nil
	}
	rate := "1"
	if m.GetCurrencyCode() != model.GetCurrencyCode() {
		rate = ""
		for _, r := range model.GetRates() {
			if r.GetCurrencyCode() == m.GetCurrencyCode() {
				rate = r.GetRate()
			}
		}
	}
	worth, ok := new(big.Rat).SetString(rate)
	if !ok {
		return nil
	}
	nanos := new(big.Int).Mul(big.NewInt(m.GetUnits()), big.NewInt(1_000_000_000))
	nanos.Add(nanos, big.NewInt(int64(m.GetNanos())))
	return worth.Mul(worth, new(big.Rat).SetInt(nanos))
}

// equalScores compares the scores of a run with those of the reference.
func (r *registry) equalScores(t *testing.T, run string, ids []string, buyers []buyer, m *customerv1.TierModel, asOf time.Time) {
	t.Helper()
	measures, ranks, scores := reference(buyers, m, asOf, shanghai(t))
	worst := 0.0
	for i, id := range ids {
		var gotMeasures, gotRanks []float64
		var got float64
		err := r.Pool.QueryRow(t.Context(), `SELECT measures, ranks, score FROM tier_scores WHERE run_id = $1 AND customer_id = $2`,
			run, uuid.MustParse(id)).Scan(&gotMeasures, &gotRanks, &got)
		if err != nil {
			t.Fatal(err)
		}
		off := math.Abs(got - scores[i])
		for k := range 8 {
			off = max(off, math.Abs(gotRanks[k]-ranks[i][k]), math.Abs(gotMeasures[k]-measures[i][k])/max(1, math.Abs(measures[i][k])))
		}
		if worst = max(worst, off); off > 1e-9 {
			t.Fatalf("customer %d: %v %v %v\nwant       %v %v %v", i, got, gotMeasures, gotRanks, scores[i], measures[i], ranks[i])
		}
	}
	t.Logf("%d customers, the largest difference is %g", len(ids), worst)
}
