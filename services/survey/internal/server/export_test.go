package server_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"google.golang.org/grpc/metadata"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// migration is the text of one of the service's migrations.
func migration(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join("..", "db", "migrations", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}

func TestExportAnalysis(t *testing.T) {
	k := newKit(t)
	overall := question("overall", rating)
	overall.Text = &typev1.Text{Zh: "=总体", En: "=overall"}
	q := k.published(question("comment", words), question("speed", rating), question("likely", nps), question("class", single, "business", "economy"), overall).GetId()
	k.samples(q, 120, "business", "economy")
	req := &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "overall", Trend: surveyv1.TrendPeriod_TREND_PERIOD_QUARTER,
		Aspects:   []*surveyv1.AnalyzedAspect{{QuestionKey: "speed", Severity: surveyv1.ProblemSeverity_PROBLEM_SEVERITY_MAJOR}, {QuestionKey: "likely"}},
		Groupings: []*surveyv1.AnswerDimension{byQuestion("class")}}
	for language, c := range map[string]struct {
		sheets []string
		cell   string
	}{
		"zh-CN": {[]string{"问题", "分组比较", "问题排序", "趋势"}, "问题"},
		"en":    {[]string{"Questions", "Groups", "Problems", "Trend"}, "Question"},
	} {
		ctx := metadata.AppendToOutgoingContext(k.crm(), "accept-language", language)
		file, err := k.analyses.ExportAnalysis(ctx, &surveyv1.ExportAnalysisRequest{Analysis: req, Format: surveyv1.ExportFormat_EXPORT_FORMAT_CSV})
		if err != nil {
			t.Fatal(err)
		}
		records := readCSV(t, file.GetData())
		if file.GetContentType() != "text/csv; charset=utf-8" || records[0][1] != c.cell {
			t.Errorf("%s: %s, header %q", language, file.GetContentType(), records[0])
		}
		parts := map[string]int{}
		for _, record := range records[1:] {
			parts[record[0]]++
			if strings.HasPrefix(record[1], "=") {
				t.Errorf("%s: a formula: %q", language, record[1])
			}
		}
		book := openBook(ctx, t, k, req)
		if !slices.Equal(book.GetSheetList(), c.sheets) {
			t.Errorf("%s: sheets %q", language, book.GetSheetList())
		}
		for _, sheet := range c.sheets {
			rows, err := book.GetRows(sheet)
			if err != nil || len(rows) != parts[sheet]+1 || rows[0][0] != c.cell {
				t.Errorf("%s: %d rows in %s (%v), %d in the table", language, len(rows), sheet, err, parts[sheet])
			}
		}
	}
}

func readCSV(t *testing.T, data []byte) [][]string {
	t.Helper()
	text, marked := bytes.CutPrefix(data, []byte("\ufeff"))
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || !marked || len(records) < 20 {
		t.Fatalf("%d records, %v, byte order mark %v", len(records), err, marked)
	}
	return records
}

func openBook(ctx context.Context, t *testing.T, k *kit, req *surveyv1.AnalyzeAnswersRequest) *excelize.File {
	t.Helper()
	file, err := k.analyses.ExportAnalysis(ctx, &surveyv1.ExportAnalysisRequest{Analysis: req, Format: surveyv1.ExportFormat_EXPORT_FORMAT_XLSX})
	if err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenReader(bytes.NewReader(file.GetData()))
	if err != nil {
		t.Fatal(err)
	}
	return book
}
