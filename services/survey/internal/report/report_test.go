package report_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
	"github.com/kefu-suite/kefu/services/survey/internal/report"
)

const (
	rating = surveyv1.QuestionType_QUESTION_TYPE_RATING
	single = surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE
)

func ask(key string, kind surveyv1.QuestionType, choices ...string) *surveyv1.Question {
	q := &surveyv1.Question{Key: key, Type: kind, Text: &typev1.Text{En: key}}
	for _, c := range choices {
		q.Choices = append(q.Choices, &surveyv1.Choice{Key: c, Text: &typev1.Text{Zh: c}})
	}
	return q
}

// survey has one version with a rating, an overall rating and a group.
func survey() report.Survey {
	version := &surveyv1.Questionnaire{Title: &typev1.Text{En: "title"}, Version: 1,
		Questions: []*surveyv1.Question{ask("overall", rating), ask("speed", rating), ask("class", single, "a", "b", "c")}}
	return report.Survey{ID: "x", Versions: []*surveyv1.Questionnaire{version}, Slots: questionnaire.Slots(nil, version)}
}

func plan(t interface{ Fatal(...any) }, req *surveyv1.AnalyzeAnswersRequest) *report.Plan {
	out, faults := report.NewPlan(survey(), req, questionnaire.Thresholds{Rating: 2, NPS: 6})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return out
}

func byClass() []*surveyv1.AnswerDimension {
	return []*surveyv1.AnswerDimension{{By: &surveyv1.AnswerDimension_QuestionKey{QuestionKey: "class"}}}
}

// Whatever the answers: of less than 5 nothing is shown, neither as a figure nor as what is
// left of the whole when all that is shown is taken away.
func TestNothingSmallIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plan(t, &surveyv1.AnalyzeAnswersRequest{Overall: "overall", Groupings: byClass(), Trend: surveyv1.TrendPeriod_TREND_PERIOD_MONTH})
		tables := report.NewTables(p)
		tables.Periods = []time.Time{time.Unix(0, 0), time.Unix(1, 0), time.Unix(2, 0)}
		n := rapid.IntRange(0, 40).Draw(t, "answers")
		for range n {
			speed := rapid.Int16Range(1, 5).Draw(t, "speed")
			overall := rapid.Int16Range(1, 5).Draw(t, "overall")
			class := rapid.SampledFrom([]string{"1", "1", "1", "2", "3", "-1"}).Draw(t, "class")
			period := rapid.Int32Range(1, 3).Draw(t, "period")
			tables.Add(2, speed, overall, []string{class}, 1)
			tables.Add(1, overall, overall, []string{class}, 1)
			tables.AddPeriod(2, speed, period, 1)
			tables.AddPeriod(1, overall, period, 1)
		}
		tables.Answers, tables.AllAnswers, tables.Recorded = int64(n), int64(n), int64(n)
		got, err := report.Build(p, tables)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range append(got.GetAspects(), got.GetOverall()) {
			whole := checkFigure(t, q.GetMean())
			var months []int64
			for _, point := range q.GetTrend() {
				months = append(months, checkFigure(t, point.GetMean()))
			}
			checkRest(t, whole, months)
		}
		for _, q := range got.GetGroupings()[0].GetQuestions() {
			var groups []int64
			for _, mean := range q.GetMeans() {
				groups = append(groups, checkFigure(t, mean))
			}
			if n >= analysis.MinShown {
				checkRest(t, int64(n), groups)
			}
		}
	})
}

// checkFigure gives the answers behind a figure that is shown, 0 for one that is not.
func checkFigure(t *rapid.T, f *surveyv1.Figure) int64 {
	if f.Value == nil {
		if f.GetLack() == nil || f.GetInterval() != nil || f.GetText().GetZh() == "" {
			t.Fatalf("no value and no lack: %v", f)
		}
		return 0
	}
	if f.GetN() < analysis.MinShown {
		t.Fatalf("a figure of %d answers: %v", f.GetN(), f)
	}
	return f.GetN()
}

func checkRest(t *rapid.T, whole int64, shown []int64) {
	rest := whole
	for _, n := range shown {
		rest -= n
	}
	if rest > 0 && rest < analysis.MinShown {
		t.Fatalf("%v of %d leaves %d", shown, whole, rest)
	}
}

// An answer without one of both languages is told in the other.
func TestTextsInOneLanguage(t *testing.T) {
	p := plan(t, &surveyv1.AnalyzeAnswersRequest{Groupings: byClass()})
	tables := report.NewTables(p)
	for i := range int16(20) {
		tables.Add(2, 1+i%5, -1, []string{string('1' + rune(i%2))}, 1)
	}
	tables.Answers, tables.AllAnswers = 20, 20
	got, err := report.Build(p, tables)
	if err != nil {
		t.Fatal(err)
	}
	grouping := got.GetGroupings()[0]
	if label := grouping.GetGroups()[0].GetLabel(); label.GetZh() != "a" {
		t.Errorf("label %v", label)
	}
	want := "「speed（a）」的平均分为 3.00（95% 置信区间 1.93 至 4.07；10 份回答）。"
	if text := grouping.GetQuestions()[1].GetMeans()[0].GetText().GetZh(); text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

func TestPeriods(t *testing.T) {
	at := func(s string) *time.Time {
		parsed, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return &parsed
	}
	for _, c := range []struct {
		length      surveyv1.TrendPeriod
		first, last *time.Time
		want        []string
	}{
		{surveyv1.TrendPeriod_TREND_PERIOD_MONTH, at("2025-11-30"), at("2026-02-01"), []string{"2025-11-01", "2025-12-01", "2026-01-01", "2026-02-01"}},
		{surveyv1.TrendPeriod_TREND_PERIOD_QUARTER, at("2025-11-30"), at("2026-03-31"), []string{"2025-10-01", "2026-01-01"}},
		{surveyv1.TrendPeriod_TREND_PERIOD_YEAR, at("2025-01-01"), at("2025-12-31"), []string{"2025-01-01"}},
		{surveyv1.TrendPeriod_TREND_PERIOD_YEAR, nil, nil, nil},
	} {
		periods, faults := report.Periods(c.length, c.first, c.last)
		var got []string
		for _, p := range periods {
			got = append(got, p.Format(time.DateOnly))
		}
		if !slices.Equal(got, c.want) || faults != nil {
			t.Errorf("%v: %v %v, want %v", c.length, got, faults, c.want)
		}
	}
	if _, faults := report.Periods(surveyv1.TrendPeriod_TREND_PERIOD_MONTH, at("2000-01-01"), at("2026-01-01")); len(faults) != 1 || faults[0].Path != "trend" {
		t.Errorf("too many: %v", faults)
	}
}
