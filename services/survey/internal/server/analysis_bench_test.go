//go:build bench

package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/testkit"
)

const (
	benchAnswers = 1_000_000
	benchAspects = 14
)

// TestBench measures the analysis of a million answers, for docs/performance.md; part of make
// bench.
func TestBench(t *testing.T) {
	t.Setenv("KEFU_DATABASE_URL", testkit.Durable(t, t.TempDir()))
	k := newKit(t)
	questions := []*surveyv1.Question{question("overall", rating), question("class", single, "business", "economy", "economy-plus")}
	for i := range benchAspects {
		questions = append(questions, question(fmt.Sprintf("aspect-%d", i), rating))
	}
	q := k.published(questions...).GetId()
	fill(t, k, q)
	groupings := []*surveyv1.AnswerDimension{byQuestion("class"), byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER),
		byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_REGION)}
	t.Logf("| analysis of %d answers, %d aspects | first | again | most memory of the service |", benchAnswers, benchAspects)
	for _, c := range []struct {
		name string
		req  *surveyv1.AnalyzeAnswersRequest
	}{
		{"without groups", &surveyv1.AnalyzeAnswersRequest{}},
		{"three ways of grouping", &surveyv1.AnalyzeAnswersRequest{Groupings: groupings}},
		{"three, weights and months", &surveyv1.AnalyzeAnswersRequest{Groupings: groupings, WeightByTier: true, Trend: surveyv1.TrendPeriod_TREND_PERIOD_MONTH}},
		{"three, of one tier", &surveyv1.AnalyzeAnswersRequest{Groupings: groupings, Filters: []*surveyv1.AnswerFilter{
			{Dimension: byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER), Values: []string{"TIER_C"}}}}},
	} {
		c.req.QuestionnaireId, c.req.Overall = q, "overall"
		var first, again []time.Duration
		for round := range 3 {
			// Another order of the aspects is another request, which nothing remembers.
			c.req.Aspects = nil
			for i := range benchAspects {
				c.req.Aspects = append(c.req.Aspects, &surveyv1.AnalyzedAspect{QuestionKey: fmt.Sprintf("aspect-%d", (i+round)%benchAspects)})
			}
			first, again = append(first, timed(t, k, c.req)), append(again, timed(t, k, c.req))
		}
		slices.Sort(first)
		slices.Sort(again)
		t.Logf("| %s | %.2f s | %.1f ms | %s |", c.name, first[1].Seconds(), float64(again[1].Microseconds())/1000, peak(t))
	}
}

func timed(t *testing.T, k *kit, req *surveyv1.AnalyzeAnswersRequest) time.Duration {
	t.Helper()
	began := time.Now()
	a := k.analyze(req)
	took := time.Since(began)
	if a.GetDataVersion() != benchAnswers || a.GetAspects()[0].GetMean().Value == nil {
		t.Fatalf("analysis %v", a.GetAspects()[0])
	}
	return took
}

// peak is the most memory that the process ever had; the harness is part of it.
func peak(t *testing.T) string {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// fill writes the answers as importing them would, but for the responses, which an analysis
// does not read.
func fill(t *testing.T, k *kit, q string) {
	t.Helper()
	// One connection: its limit of time is that of a service.
	owner, err := k.DB.Owner(t).Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Release()
	for _, sql := range []string{
		`SET statement_timeout = 0`,
		`INSERT INTO answers (id, questionnaire_id, questionnaire_version, round, order_number, score, low, answer_time, source, external_id, record_time)
		 SELECT lpad(to_hex(n), 32, '0')::uuid, '` + q + `', 1, 0, '', 1, false, timestamptz '2025-01-01' + n * interval '45 s', 'bench', n, now()
		 FROM generate_series(1, ` + fmt.Sprint(benchAnswers) + `) n`,
		`INSERT INTO answer_scores (answer_id, questionnaire_id, answer_time, tier, kind, region, cause, scores)
		 SELECT id, questionnaire_id, answer_time, 1 + (hashtext(id::text || 't') & 3), 1 + (hashtext(id::text) & 255) % 3, 'CN-' || (hashtext(id::text || 'r') & 15), 4,
		   ARRAY[1 + (h & 1023) % 5, 1 + ((h >> 10) & 1023) % 3] ||
		   ARRAY(SELECT CASE WHEN v < 6 THEN v ELSE -1 END FROM generate_series(1, ` + fmt.Sprint(benchAspects) + `) s, LATERAL (SELECT 1 + (hashint4(h # s) & 1023) % 6 AS v) x)
		 FROM answers, LATERAL (SELECT hashtext(id::text || 'h') AS h) hashed WHERE questionnaire_id = '` + q + `'`,
		`INSERT INTO counts VALUES ('` + q + `', 1, '', 'imported', ` + fmt.Sprint(benchAnswers) + `)`,
		`VACUUM (ANALYZE) answer_scores`,
	} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%.60s: %v", sql, err)
		}
	}
}
