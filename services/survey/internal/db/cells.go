package db

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Cell is how often, among the answers of one combination of groups, X was answered to the
// question of a slot and Y to the overall one; Y is -1 where it was not answered.
type Cell struct {
	Slot int16
	X, Y int16
	// Groups has the value of each dimension in digits, or the region; -1 and empty where it is
	// not known.
	Groups []string
	N      int64
}

// PeriodCell is how often X was answered to the question of a slot in a period, which counts
// from 1.
type PeriodCell struct {
	Slot, X int16
	Period  int32
	N       int64
}

// Cells are the frequency tables of a query, in no order. Periods are not crossed with groups:
// there would be more cells than many surveys have answers.
type Cells struct {
	Cells   []Cell
	Periods []PeriodCell
}

// maxDimensions is how many dimensions a query may have.
const maxDimensions = 8

type (
	// combination are the values of the dimensions, the region by its number.
	combination [maxDimensions]int
	cellKey     struct {
		slot, x, y int16
		groups     int
	}
	periodKey struct {
		slot, x int16
		period  int32
	}
)

// counter counts answers as they are read. It holds one number a cell, however many answers
// there are.
type counter struct {
	query   CellQuery
	regions numbers[string]
	groups  numbers[combination]
	cells   map[cellKey]int64
	periods map[periodKey]int64
}

// Count reads every answer of the query once and counts all of it in that pass. A GROUP BY of
// Postgres takes one pass a question: of a million answers to 14 questions in three groupings
// 12 to 14 s, where reading them takes 3.
func (q *Queries) Count(ctx context.Context, db DBTX, query CellQuery) (Cells, error) {
	if len(query.Dimensions) > maxDimensions {
		return Cells{}, fmt.Errorf("%d dimensions; count by at most %d", len(query.Dimensions), maxDimensions)
	}
	sql, args := query.statement()
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return Cells{}, err
	}
	c := &counter{query: query, regions: newNumbers[string](), groups: newNumbers[combination](), cells: map[cellKey]int64{}, periods: map[periodKey]int64{}}
	var scores []int16
	var period int32
	var region string
	stored := make([]int16, len(query.Dimensions))
	into := []any{&scores, &period, &region}
	for i, d := range query.Dimensions {
		if d.Slot == 0 && !d.region() {
			into = append(into, &stored[i])
		}
	}
	if _, err := pgx.ForEachRow(rows, into, func() error {
		c.add(scores, period, region, stored)
		return nil
	}); err != nil {
		return Cells{}, err
	}
	return c.result(), nil
}

// at is the score of a slot. Versions before the question have shorter rows.
func at(scores []int16, slot int16) int16 {
	if slot == 0 || int(slot) > len(scores) {
		return -1
	}
	return scores[slot-1]
}

func (c *counter) add(scores []int16, period int32, region string, stored []int16) {
	var values combination
	for i, d := range c.query.Dimensions {
		switch {
		case d.region():
			values[i] = c.regions.of(region)
		case d.Slot > 0:
			values[i] = int(at(scores, d.Slot))
		default:
			values[i] = int(stored[i])
		}
	}
	groups, y := c.groups.of(values), at(scores, c.query.Overall)
	for _, slot := range c.query.Slots {
		x := at(scores, slot)
		if x < 0 {
			continue
		}
		c.cells[cellKey{slot, x, y, groups}]++
		if period > 0 {
			c.periods[periodKey{slot, x, period}]++
		}
	}
}

func (c *counter) result() Cells {
	names := make([][]string, len(c.groups.values))
	for i, values := range c.groups.values {
		for n, d := range c.query.Dimensions {
			name := strconv.Itoa(values[n])
			if d.region() {
				name = c.regions.values[values[n]]
			}
			names[i] = append(names[i], name)
		}
	}
	out := Cells{Cells: make([]Cell, 0, len(c.cells)), Periods: make([]PeriodCell, 0, len(c.periods))}
	for key, n := range c.cells {
		out.Cells = append(out.Cells, Cell{Slot: key.slot, X: key.x, Y: key.y, Groups: names[key.groups], N: n})
	}
	for key, n := range c.periods {
		out.Periods = append(out.Periods, PeriodCell{Slot: key.slot, X: key.x, Period: key.period, N: n})
	}
	return out
}

// numbers gives values small numbers in the order in which they come.
type numbers[T comparable] struct {
	known  map[T]int
	values []T
}

func newNumbers[T comparable]() numbers[T] { return numbers[T]{known: map[T]int{}} }

func (n *numbers[T]) of(value T) int {
	number, known := n.known[value]
	if !known {
		number = len(n.values)
		n.known[value], n.values = number, append(n.values, value)
	}
	return number
}
