//go:build testdata

package server_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

func readTable(t *testing.T, path string) [][]string {
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
	return rows
}

// keyOf makes a key of a column's or a value's name.
func keyOf(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "-")) }

// airlineColumns are the choices and the aspects of the file by their place.
var airlineColumns = struct {
	choices map[int][]string
	first   int
	last    int
}{map[int][]string{3: {"returning", "first-time"}, 5: {"business", "economy", "economy-plus"}, 23: {"neutral-or-dissatisfied", "satisfied"}}, 9, 22}

// importAirline imports the whole file; 0 is not applicable and no answer.
func (k *kit) importAirline(rows [][]string) string {
	k.t.Helper()
	var questions []*surveyv1.Question
	for i, column := range rows[0] {
		if choices := airlineColumns.choices[i]; choices != nil {
			questions = append(questions, question(keyOf(column), single, choices...))
		} else if i >= airlineColumns.first && i <= airlineColumns.last {
			questions = append(questions, question(keyOf(column), rating))
		}
	}
	q := k.published(questions...).GetId()
	var records []*surveyv1.AnswerRecord
	for _, row := range rows[1:] {
		record := k.record(row[0])
		for i, value := range row {
			if airlineColumns.choices[i] != nil {
				record.Responses = append(record.Responses, choice(keyOf(rows[0][i]), keyOf(value)))
			} else if i >= airlineColumns.first && i <= airlineColumns.last && value != "0" {
				n, err := strconv.Atoi(value)
				if err != nil {
					k.t.Fatal(err)
				}
				record.Responses = append(record.Responses, score(keyOf(rows[0][i]), int32(n)))
			}
		}
		if records = append(records, record); len(records) == 500 {
			k.imports(q, records...)
			records = nil
		}
	}
	k.imports(q, records...)
	return q
}

// TestDataAirline imports the survey and holds what the API says against R.
func TestDataAirline(t *testing.T) {
	dir := os.Getenv("KEFU_TEST_DATA_DIR")
	if dir == "" {
		t.Fatal("KEFU_TEST_DATA_DIR must name the folder of the data sets: make test-data DATA=DIR")
	}
	rows := readTable(t, filepath.Join(dir, "airline_satisfaction.csv"))
	k := newKit(t)
	q := k.importAirline(rows)
	a := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "satisfaction",
		Groupings: []*surveyv1.AnswerDimension{byQuestion("class"), byQuestion("customer-type")}})
	got := figuresOf(a, rows[0])
	compared := 0
	for _, row := range readTable(t, filepath.Join("..", "analysis", "testdata", "reference.csv"))[1:] {
		value, known := got[row[0]]
		want, err := strconv.ParseFloat(row[1], 64)
		if !known || err != nil {
			continue
		}
		compared++
		if !(math.Abs(value-want) <= 1e-6*math.Abs(want)) {
			t.Errorf("%s: %v, R computes %v", row[0], value, want)
		}
		delete(got, row[0])
	}
	if compared < 500 || len(got) > 0 {
		t.Errorf("%d figures compared, R did not compute %v", compared, fmt.Sprint(got))
	}
	for _, problem := range a.GetProblems()[:3] {
		t.Log(problem.GetText().GetZh(), problem.GetText().GetEn())
	}
}

func interval(got map[string]float64, name, field string, f *surveyv1.Figure) {
	got[name+"/"+field], got[name+"/low"], got[name+"/high"] = f.GetValue(), f.GetInterval().GetLow(), f.GetInterval().GetHigh()
}

// figuresOf names the figures of an analysis as reference.R does.
func figuresOf(a *surveyv1.Analysis, header []string) map[string]float64 {
	got := map[string]float64{"overall/share/value": a.GetOverall().GetMean().GetValue()}
	names := map[string]string{}
	for i := airlineColumns.first; i <= airlineColumns.last; i++ {
		names[keyOf(header[i])] = header[i]
	}
	for _, aspect := range a.GetAspects() {
		name := names[aspect.GetQuestionKey()]
		interval(got, name+"/mean", "mean", aspect.GetMean())
		interval(got, name+"/toptwo", "value", aspect.GetCsat())
		interval(got, name+"/pearson", "r", aspect.GetPearson().GetR())
		interval(got, name+"/spearman", "r", aspect.GetSpearman().GetR())
		got[name+"/mean/n"], got[name+"/mean/sd"] = float64(aspect.GetMean().GetN()), aspect.GetStandardDeviation()
		got[name+"/pearson/p"], got[name+"/spearman/p"] = aspect.GetPearson().GetP(), aspect.GetSpearman().GetP()
		got["quadrant/"+name] = float64(aspect.GetQuadrant())
	}
	for i, problem := range a.GetProblems() {
		got["problem/"+names[problem.GetQuestionKey()]] = float64(i + 1)
	}
	for i, by := range []string{"Class", "Customer Type"} {
		for _, compared := range a.GetGroupings()[i].GetQuestions() {
			name, aspect := names[compared.GetQuestionKey()], true
			if name == "" {
				name, aspect = "overall", false
			}
			for test, c := range map[string]*surveyv1.GroupTest{"anova/f": compared.GetAnova(), "welchanova/f": compared.GetWelchAnova(),
				"kruskal/h": compared.GetKruskalWallis(), "chisquare/x": compared.GetChiSquare()} {
				got[name+"/"+by+"/"+test] = c.GetStatistic()
				got[name+"/"+by+"/"+test[:strings.Index(test, "/")]+"/p"] = c.GetP()
			}
			if aspect && by == "Customer Type" {
				interval(got, name+"/Customer Type/welch", "difference", compared.GetWelchT().GetDifference())
				got[name+"/Customer Type/welch/d"] = compared.GetWelchT().GetEffect()
			}
		}
	}
	return got
}
