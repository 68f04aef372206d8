package report

import (
	"time"

	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// Tables are the frequency tables of an analysis.
type Tables struct {
	// Answers within period and filters, and for each question those who answered it among all
	// answers whatever period and filters.
	Answers, AllAnswers int64
	AllAnswered         map[int16]int64
	// Asked and Answered count invitations and the answers to them.
	Asked, Answered int64
	// Recorded counts all answers of the questionnaire.
	Recorded int64
	// Periods are the times at which periods begin.
	Periods []time.Time
	// Population is the number of customers by tier.
	Population map[string]int64

	plan    *Plan
	pairs   map[pairKey]int64
	groups  map[groupKey]int64
	periods map[periodKey]int64
}

type (
	pairKey  struct{ slot, x, y int16 }
	groupKey struct {
		dimension int
		slot, x   int16
		value     string
	}
	periodKey struct {
		slot, x int16
		period  int32
	}
)

// NewTables makes empty tables.
func NewTables(plan *Plan) *Tables {
	return &Tables{plan: plan, AllAnswered: map[int16]int64{}, Population: map[string]int64{},
		pairs: map[pairKey]int64{}, groups: map[groupKey]int64{}, periods: map[periodKey]int64{}}
}

// Add counts n answers that answered X to the question of the slot and Y to the overall one (-1
// where they did not), with the stored values of the plan's dimensions.
func (t *Tables) Add(slot, x, y int16, stored []string, n int64) {
	t.pairs[pairKey{slot, x, y}] += n
	for i, d := range t.plan.Dimensions() {
		t.groups[groupKey{i, slot, x, d.value(stored[i])}] += n
	}
}

// AddPeriod counts n answers that answered X to the question of the slot in a period, the first
// being 1.
func (t *Tables) AddPeriod(slot, x int16, period int32, n int64) {
	t.periods[periodKey{slot, x, period}] += n
}

// counts is the table of a question alone.
func (t *Tables) counts(q Question) analysis.Counts {
	var out analysis.Counts
	for key, n := range t.pairs {
		if key.slot == q.Slot {
			out = append(out, analysis.Count{Score: q.score(key.x), N: n})
		}
	}
	return out
}

// joint is the table of a question with the overall one, of those who answered both.
func (t *Tables) joint(q, overall Question) analysis.Pairs {
	var out analysis.Pairs
	for key, n := range t.pairs {
		if key.slot == q.Slot && key.y >= 0 {
			out = append(out, analysis.Pair{X: q.score(key.x), Y: overall.score(key.y), N: n})
		}
	}
	return out
}

// values are those of a dimension that occur, in its order.
func (t *Tables) values(dimension int, d Dimension) []string {
	seen := map[string]bool{}
	var out []string
	for key := range t.groups {
		if key.dimension == dimension && !seen[key.value] {
			seen[key.value], out = true, append(out, key.value)
		}
	}
	d.sorted(out)
	return out
}

// grouped are the tables of a question by the values of a dimension.
func (t *Tables) grouped(dimension int, q Question) map[string]analysis.Counts {
	out := map[string]analysis.Counts{}
	for key, n := range t.groups {
		if key.dimension == dimension && key.slot == q.Slot {
			out[key.value] = append(out[key.value], analysis.Count{Score: q.score(key.x), N: n})
		}
	}
	return out
}

// overTime are the tables of a question by period.
func (t *Tables) overTime(q Question) []analysis.Counts {
	out := make([]analysis.Counts, len(t.Periods))
	for key, n := range t.periods {
		if key.slot == q.Slot {
			out[key.period-1] = append(out[key.period-1], analysis.Count{Score: q.score(key.x), N: n})
		}
	}
	return out
}
