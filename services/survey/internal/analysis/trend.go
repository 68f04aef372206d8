package analysis

import "fmt"

// Trend is how the mean of a question moves over periods.
type Trend struct {
	Points []Point
	// Slope is by how much the mean rises a period; where there is none, SlopeWhy says why.
	Slope    *Slope
	SlopeWhy *Lack
}

// Point is one period.
type Point struct {
	// Mean is nil where Why says that there are not enough answers.
	Mean *Estimate
	Why  *Lack
	// Change compares it with the period before; nil where ChangeWhy says why, and both are nil
	// for the first period.
	Change    *Difference
	ChangeWhy *Lack
}

// TrendOf follows a question over periods of equal length, in the order of time: the mean of
// each with its t interval (MeanInterval), its change since the period before (Welch's t-test,
// the later less the earlier), and the slope of the straight line through all answers
// (Regression on the period's number). Periods without answers keep their place. It assumes that
// different people answered in each period, and for the slope a straight line. What is lacking
// says so in its place; no periods: a trend without points whose slope is TooFew.
func TrendOf(periods []Counts, level float64) (Trend, error) {
	if err := checkLevel(level); err != nil {
		return Trend{}, err
	}
	out := Trend{Points: make([]Point, len(periods))}
	var all Pairs
	for i, period := range periods {
		table, err := ordered(period)
		if err != nil {
			return Trend{}, fmt.Errorf("period %d: %w", i, err)
		}
		for _, entry := range table {
			all = append(all, Pair{X: int32(i), Y: entry.Score, N: entry.N})
		}
		if out.Points[i].Mean, out.Points[i].Why, err = orLack(MeanInterval(table, level)); err != nil {
			return Trend{}, fmt.Errorf("period %d: %w", i, err)
		}
		if i == 0 {
			continue
		}
		if out.Points[i].Change, out.Points[i].ChangeWhy, err = orLack(Welch(table, periods[i-1], level)); err != nil {
			return Trend{}, fmt.Errorf("period %d: %w", i, err)
		}
	}
	var err error
	out.Slope, out.SlopeWhy, err = orLack(Regression(all, level))
	return out, err
}

// orLack parts a figure from the lack of it.
func orLack[T any](figure T, err error) (*T, *Lack, error) {
	if lack := AsLack(err); lack != nil {
		return nil, lack, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return &figure, nil, nil
}
