//go:build testdata

package analysis_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	. "github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

// table is a CSV file by column.
type table struct {
	columns map[string]int
	rows    [][]string
}

func read(t *testing.T, path string) table {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := table{columns: map[string]int{}, rows: rows[1:]}
	for i, column := range rows[0] {
		out.columns[column] = i
	}
	return out
}

func (d table) at(row []string, column string) string { return row[d.columns[column]] }

func (d table) number(t *testing.T, row []string, column string) int32 {
	t.Helper()
	n, err := strconv.Atoi(d.at(row, column))
	if err != nil {
		t.Fatalf("%s: %v", column, err)
	}
	return int32(n)
}

func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("KEFU_TEST_DATA_DIR")
	if dir == "" {
		t.Fatal("KEFU_TEST_DATA_DIR must name the folder of the data sets: make test-data DATA=DIR")
	}
	return dir
}

// figures are what the package computes, under the names that reference.R gives them.
type figures struct {
	t   *testing.T
	got map[string]float64
}

func (f figures) put(name string, fields map[string]float64) {
	for field, value := range fields {
		f.got[name+"/"+field] = value
	}
}

func must[T any](f figures) func(T, error) T {
	return func(v T, err error) T {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
		return v
	}
}

func (f figures) estimate(name string, e Estimate, err error) {
	f.t.Helper()
	if err != nil || e.Interval == nil {
		f.t.Fatalf("%s: %+v %v", name, e, err)
	}
	f.put(name, map[string]float64{"value": e.Value, "low": e.Interval.Low, "high": e.Interval.High})
}

func (f figures) correlations(name string, pairs Pairs) Correlation {
	p, s := must[Correlation](f)(Pearson(pairs, 0.95)), must[Correlation](f)(Spearman(pairs, 0.95))
	f.put(name+"/pearson", map[string]float64{"n": float64(p.N), "r": p.R, "df": p.DF, "p": p.P, "low": p.Interval.Low, "high": p.Interval.High})
	f.put(name+"/spearman", map[string]float64{"r": s.R, "p": s.P, "low": s.Interval.Low, "high": s.Interval.High})
	return p
}

// compare gives the p value of Welch's test.
func (f figures) compare(name string, groups []Counts) float64 {
	a, w := must[Comparison](f)(ANOVA(groups)), must[Comparison](f)(WelchANOVA(groups))
	k, c := must[Comparison](f)(KruskalWallis(groups)), must[Independence](f)(ChiSquare(rectangle(groups)))
	f.put(name+"/anova", map[string]float64{"f": a.Statistic, "df1": a.DF1, "df2": a.DF2, "p": a.P, "eta": a.Effect})
	f.put(name+"/welchanova", map[string]float64{"f": w.Statistic, "df1": w.DF1, "df2": w.DF2, "p": w.P})
	f.put(name+"/kruskal", map[string]float64{"h": k.Statistic, "df": k.DF1, "p": k.P, "epsilon": k.Effect})
	f.put(name+"/chisquare", map[string]float64{"x": c.Statistic, "df": c.DF1, "p": c.P, "v": c.Effect, "small": c.SmallExpected})
	return w.P
}

func (f figures) welch(name string, d Difference) {
	f.put(name+"/welch", map[string]float64{
		"difference": d.Value, "t": d.T, "df": d.DF, "p": d.P, "low": d.Interval.Low, "high": d.Interval.High,
		"d": d.Effect, "dlow": d.EffectInterval.Low, "dhigh": d.EffectInterval.High,
	})
}

// airline is the survey as frequency tables.
type airline struct {
	figures
	data    table
	aspects []string
}

var classes = []string{"Business", "Economy", "Economy Plus"}

// split counts an aspect by a group and together with overall satisfaction; 0 is missing.
func (a airline) split(aspect, by string, values []string) (groups []Counts, overall Pairs) {
	groups = make([]Counts, len(values))
	for _, row := range a.data.rows {
		score := a.data.number(a.t, row, aspect)
		if score == 0 {
			continue
		}
		group := slices.Index(values, a.data.at(row, by))
		groups[group] = append(groups[group], Count{Score: score, N: 1})
		overall = append(overall, Pair{X: score, Y: a.satisfied(row), N: 1})
	}
	return groups, overall
}

func (a airline) satisfied(row []string) int32 {
	if a.data.at(row, "Satisfaction") == "Satisfied" {
		return 1
	}
	return 0
}

// band is the group of age, which stands for a period.
func (a airline) band(row []string) int {
	age, band := a.data.number(a.t, row, "Age"), 0
	for _, from := range []int32{30, 45, 60} {
		if age >= from {
			band++
		}
	}
	return band
}

func (a airline) bands(aspect string) []Counts {
	out := make([]Counts, 4)
	for _, row := range a.data.rows {
		if score := a.data.number(a.t, row, aspect); score != 0 {
			out[a.band(row)] = append(out[a.band(row)], Count{Score: score, N: 1})
		}
	}
	return out
}

func (a airline) describe(aspect string, counts Counts) {
	e := must[Estimate](a.figures)(MeanInterval(counts, 0.95))
	sd := must[float64](a.figures)(Deviation(counts))
	a.put(aspect+"/mean", map[string]float64{"n": float64(e.N), "mean": e.Value, "sd": sd, "low": e.Interval.Low, "high": e.Interval.High})
	top, err := CSAT(counts, 0.95)
	a.estimate(aspect+"/toptwo", top, err)
	nps, err := NPS(moved(counts, 2, 0), 0.95)
	a.estimate(aspect+"/nps", nps, err)
	ces, err := CES(moved(counts, 1, 2), 0.95)
	a.estimate(aspect+"/ces", ces, err)
}

// aspect computes all figures of one; the p values of Welch's test are for Holm.
func (a airline) aspect(aspect string) (p map[string]float64, importance float64, counts Counts) {
	class, overall := a.split(aspect, "Class", classes)
	kind, _ := a.split(aspect, "Customer Type", []string{"Returning", "First-time"})
	counts = Merge(class...)
	a.describe(aspect, counts)
	r := a.correlations(aspect, overall)
	p = map[string]float64{"Class": a.compare(aspect+"/Class", class), "Customer Type": a.compare(aspect+"/Customer Type", kind)}
	a.welch(aspect+"/Customer Type", must[Difference](a.figures)(Welch(kind[0], kind[1], 0.95)))
	w := must[Weighted](a.figures)(PostStratify([]Stratum{{40000, class[0]}, {50000, class[1]}, {10000, class[2]}}, 0.95))
	a.put(aspect+"/Class/weighted", map[string]float64{"mean": w.Value, "low": w.Interval.Low, "high": w.Interval.High, "effective": w.EffectiveN})
	trend := must[Trend](a.figures)(TrendOf(a.bands(aspect), 0.95))
	a.put(aspect+"/slope", map[string]float64{"value": trend.Slope.Value, "p": trend.Slope.P, "low": trend.Slope.Interval.Low, "high": trend.Slope.Interval.High})
	return p, r.R, counts
}

func (a airline) all() {
	p := map[string][]float64{}
	var driving []Aspect
	var problems []Problem
	for _, aspect := range a.aspects {
		ps, importance, counts := a.aspect(aspect)
		for by, value := range ps {
			p[by] = append(p[by], value)
		}
		n := counts.N()
		driving = append(driving, Aspect{Importance: importance, Performance: must[float64](a.figures)(Mean(counts))})
		problems = append(problems, Problem{Key: aspect, Importance: importance,
			Shortfall: must[float64](a.figures)(Shortfall(counts, RatingScale)), Share: Part(counts.Between(1, 2), n)})
	}
	for by, values := range p {
		for i, adjusted := range must[[]float64](a.figures)(Holm(values)) {
			a.put("holm/"+by, map[string]float64{a.aspects[i]: adjusted})
		}
	}
	for i, q := range must[[]Quadrant](a.figures)(Quadrants(driving)) {
		a.put("quadrant", map[string]float64{a.aspects[i]: float64(q)})
	}
	for i, problem := range must[[]Problem](a.figures)(RankProblems(problems)) {
		a.put("problem", map[string]float64{problem.Key: float64(i + 1)})
	}
	for by, values := range map[string][]string{"Class": classes, "Customer Type": {"Returning", "First-time"}} {
		groups := make([]Counts, len(values))
		for _, row := range a.data.rows {
			g := slices.Index(values, a.data.at(row, by))
			groups[g] = append(groups[g], Count{Score: a.satisfied(row), N: 1})
		}
		a.compare("overall/"+by, groups)
		satisfied := Merge(groups...)
		share, err := Share(satisfied.Between(1, 1), satisfied.N(), 0.95)
		a.estimate("overall/share", share, err)
	}
}

// punctuality parts Olist's scores by whether the order came after the day it was promised for.
func punctuality(t *testing.T, dir string) (late, punctual Counts) {
	orders, reviews := read(t, filepath.Join(dir, "orders.csv")), read(t, filepath.Join(dir, "order_reviews.csv"))
	delivered := map[string][2]string{}
	for _, row := range orders.rows {
		delivered[orders.at(row, "order_id")] = [2]string{orders.at(row, "order_delivered_customer_date"), orders.at(row, "order_estimated_delivery_date")}
	}
	seen := map[[2]string]bool{}
	for _, row := range reviews.rows {
		id := [2]string{reviews.at(row, "review_id"), reviews.at(row, "order_id")}
		times := delivered[id[1]]
		if seen[id] || times[0] == "" || times[1] == "" {
			continue
		}
		seen[id] = true
		count := Count{Score: reviews.number(t, row, "review_score"), N: 1}
		if times[0][:10] > times[1][:10] {
			late = append(late, count)
		} else {
			punctual = append(punctual, count)
		}
	}
	return late, punctual
}

// TestDataReference holds every figure against what R computed from the single answers.
func TestDataReference(t *testing.T) {
	a := airline{figures: figures{t, map[string]float64{}}, data: read(t, filepath.Join(dataDir(t), "airline_satisfaction.csv"))}
	a.aspects = make([]string, 14)
	for column, i := range a.data.columns {
		if i >= 9 && i <= 22 {
			a.aspects[i-9] = column
		}
	}
	a.all()
	late, punctual := punctuality(t, filepath.Join(dataDir(t), "olist"))
	a.welch("olist", must[Difference](a.figures)(Welch(late, punctual, 0.95)))
	a.put("olist", map[string]float64{"late": float64(late.N()), "punctual": float64(punctual.N())})
	a.compare("olist", []Counts{late, punctual})

	reference := read(t, filepath.Join("testdata", "reference.csv"))
	worst, where := 0.0, ""
	for _, row := range reference.rows {
		want, err := strconv.ParseFloat(row[1], 64)
		got, computed := a.got[row[0]]
		if err != nil || !computed {
			t.Errorf("%s: not computed (%v)", row[0], err)
			continue
		}
		delete(a.got, row[0])
		off := math.Abs(got-want) / max(math.Abs(want), 1e-300)
		if !(off <= 1e-6) {
			t.Errorf("%s: %v, R computes %v", row[0], got, want)
		}
		if off > worst {
			worst, where = off, row[0]
		}
	}
	for name := range a.got {
		t.Errorf("%s: R did not compute it", name)
	}
	t.Logf("%d figures, the farthest off by %.1e (%s)", len(reference.rows), worst, where)
}

func TestDataOlistLate(t *testing.T) {
	late, punctual := punctuality(t, filepath.Join(dataDir(t), "olist"))
	d := must[Difference](figures{t: t})(Welch(late, punctual, 0.95))
	got := d.Explain(Name{EN: "the score", ZH: "评分"}, Name{EN: "a late order", ZH: "延迟送达"}, Name{EN: "one on time", ZH: "准时送达"}, d.P)
	want := Name{
		EN: "In the score, a late order is on average 2.10 lower than one on time, a large difference (95% interval of the difference -2.26 to -1.93; Cohen's d = -1.75, -1.87 to -1.64; Welch's t(372.8) = -24.92, p < 0.001).",
		ZH: "在「评分」上，「延迟送达」平均比「准时送达」低 2.10 分，差异较大（差值的 95% 置信区间 -2.26 至 -1.93；Cohen's d = -1.75，-1.87 至 -1.64；Welch t(372.8) = -24.92，p < 0.001）。",
	}
	if got != want {
		t.Errorf("got %s\n%s", got.EN, got.ZH)
	}
}
