package server_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/analysis"
)

func (k *kit) analyze(req *surveyv1.AnalyzeAnswersRequest) *surveyv1.Analysis {
	k.t.Helper()
	a, err := k.analyses.AnalyzeAnswers(k.crm(), req)
	if err != nil {
		k.t.Fatalf("analyze: %v", err)
	}
	return a
}

func byQuestion(key string) *surveyv1.AnswerDimension {
	return &surveyv1.AnswerDimension{By: &surveyv1.AnswerDimension_QuestionKey{QuestionKey: key}}
}

func byAttribute(a surveyv1.AnswerAttribute) *surveyv1.AnswerDimension {
	return &surveyv1.AnswerDimension{By: &surveyv1.AnswerDimension_Attribute{Attribute: a}}
}

// sample is an answer as it was given; 0 is not answered (NPS: -1).
type sample struct {
	speed, overall, likely int32
	class                  string
	at                     time.Time
}

// samples imports n random answers and gives them.
func (k *kit) samples(q string, n int, classes ...string) []sample {
	k.t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(n)))
	var out []sample
	var records []*surveyv1.AnswerRecord
	for i := range n {
		s := sample{speed: random.Int32N(6), likely: random.Int32N(12) - 1, class: classes[random.IntN(len(classes))],
			at: k.Clock.Now().AddDate(0, -random.IntN(6), -1)}
		s.overall = min(5, max(1, s.speed+random.Int32N(3)-1))
		responses := []*surveyv1.Response{score("overall", s.overall)}
		if s.speed > 0 {
			responses = append(responses, score("speed", s.speed))
		}
		if s.likely >= 0 {
			responses = append(responses, score("likely", s.likely))
		}
		if s.class != "" {
			responses = append(responses, choice("class", s.class))
		}
		record := k.record(fmt.Sprintf("%d-%d", n, i), responses...)
		record.AnswerTime = timestamppb.New(s.at)
		out, records = append(out, s), append(records, record)
	}
	k.imports(q, records...)
	return out
}

func (k *kit) airline() string {
	k.t.Helper()
	return k.published(question("comment", words), question("speed", rating), question("likely", nps),
		question("class", single, "business", "economy"), question("overall", rating)).GetId()
}

// speeds counts what a choice of the answers said of the speed.
func speeds(answers []sample, keep func(sample) bool) (counts analysis.Counts, overall analysis.Pairs) {
	for _, s := range answers {
		if s.speed > 0 && keep(s) {
			counts = append(counts, analysis.Count{Score: s.speed, N: 1})
			overall = append(overall, analysis.Pair{X: s.speed, Y: s.overall, N: 1})
		}
	}
	return counts, overall
}

func all(sample) bool { return true }

func figureIs(t *testing.T, what string, f *surveyv1.Figure, e analysis.Estimate) {
	t.Helper()
	if f.GetN() != e.N || f.Value == nil || math.Abs(f.GetValue()-e.Value) > 1e-12 || math.Abs(f.GetInterval().GetLow()-e.Interval.Low) > 1e-12 ||
		f.GetLack() != nil || f.GetText().GetZh() == "" || f.GetText().GetEn() == "" {
		t.Errorf("%s is %v, want %+v", what, f, e)
	}
}

// The counts of the database give what the single answers give.
func TestAnalyzeAnswers(t *testing.T) {
	k := newKit(t)
	q := k.airline()
	answers := k.samples(q, 300, "business", "economy", "")
	got := k.analyze(&surveyv1.AnalyzeAnswersRequest{
		QuestionnaireId: q, Overall: "overall", Groupings: []*surveyv1.AnswerDimension{byQuestion("class"), byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CAUSE)},
		Trend: surveyv1.TrendPeriod_TREND_PERIOD_MONTH,
	})
	if got.GetAnswers() != 300 || got.GetDataVersion() != 300 || got.GetOverall().GetQuestionKey() != "overall" || len(got.GetAspects()) != 2 ||
		got.GetResponseRate().GetLack().GetReason() != surveyv1.LackReason_LACK_REASON_TOO_FEW {
		t.Fatalf("analysis %v", got)
	}
	counts, pairs := speeds(answers, all)
	speed := got.GetAspects()[0]
	mean, _ := analysis.MeanInterval(counts, 0.95)
	figureIs(t, "mean", speed.GetMean(), mean)
	csat, _ := analysis.CSAT(counts, 0.95)
	figureIs(t, "CSAT", speed.GetCsat(), csat)
	r, _ := analysis.Pearson(pairs, 0.95)
	figureIs(t, "Pearson", speed.GetPearson().GetR(), analysis.Estimate{N: r.N, Value: r.R, Interval: r.Interval})
	rho, _ := analysis.Spearman(pairs, 0.95)
	figureIs(t, "Spearman", speed.GetSpearman().GetR(), analysis.Estimate{N: rho.N, Value: rho.R, Interval: rho.Interval})
	business, _ := speeds(answers, func(s sample) bool { return s.class == "business" })
	economy, _ := speeds(answers, func(s sample) bool { return s.class == "economy" })
	grouping := got.GetGroupings()[0]
	if values := groupValues(grouping); !slices.Equal(values, []string{"business", "economy", ""}) {
		t.Errorf("groups %q", values)
	}
	compared := grouping.GetQuestions()[1]
	mean, _ = analysis.MeanInterval(economy, 0.95)
	figureIs(t, "mean of economy", compared.GetMeans()[1], mean)
	d, _ := analysis.Welch(business, economy, 0.95)
	if test := compared.GetWelchT(); math.Abs(test.GetStatistic()-d.T) > 1e-12 || math.Abs(test.GetP()-d.P) > 1e-12 ||
		test.GetAdjustedP() < test.GetP() || math.Abs(test.GetDifference().GetValue()-d.Value) > 1e-12 || test.GetText().GetZh() == "" {
		t.Errorf("Welch %v, want %+v", test, d)
	}
	h, _ := analysis.KruskalWallis([]analysis.Counts{business, economy})
	if test := compared.GetKruskalWallis(); math.Abs(test.GetStatistic()-h.Statistic) > 1e-9 || test.GetN() != h.N {
		t.Errorf("Kruskal-Wallis %v, want %+v", test, h)
	}
	// All were imported, so there is nothing to compare.
	if test := got.GetGroupings()[1].GetQuestions()[0].GetAnova(); test.P != nil || test.GetLack().GetReason() != surveyv1.LackReason_LACK_REASON_ONE_GROUP {
		t.Errorf("one cause: %v", test)
	}
	if trend := speed.GetTrend(); len(trend) != 6 || trend[0].GetChange() != nil || trend[1].GetChange() == nil || speed.GetSlope() == nil {
		t.Errorf("trend %v", speed.GetTrend())
	}
	var inTrend int64
	for _, point := range speed.GetTrend() {
		inTrend += point.GetMean().GetN()
	}
	if inTrend != counts.N() {
		t.Errorf("the periods have %d answers of %d", inTrend, counts.N())
	}
	if len(got.GetProblems()) == 0 || got.GetProblems()[0].GetWeight() <= 0 || speed.GetQuadrant() == 0 {
		t.Errorf("problems %v, quadrant %v", got.GetProblems(), speed.GetQuadrant())
	}
}

func groupValues(g *surveyv1.GroupingAnalysis) []string {
	var out []string
	for _, group := range g.GetGroups() {
		out = append(out, group.GetValue())
	}
	return out
}

func TestAnalyzePartsOfTheAnswers(t *testing.T) {
	k := newKit(t)
	q := k.airline()
	answers := k.samples(q, 200, "business", "economy")
	cut := k.Clock.Now().AddDate(0, -3, 0)
	got := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, StartTime: timestamppb.New(cut), EndTime: timestamppb.New(k.Clock.Now()),
		Aspects: []*surveyv1.AnalyzedAspect{{QuestionKey: "speed"}},
		Filters: []*surveyv1.AnswerFilter{{Dimension: byQuestion("class"), Values: []string{"economy"}},
			{Dimension: byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_CAUSE), Values: []string{"import", "ticket"}},
			{Dimension: byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_REGION), Values: []string{""}}}})
	counts, _ := speeds(answers, func(s sample) bool { return s.class == "economy" && !s.at.Before(cut) })
	mean, _ := analysis.MeanInterval(counts, 0.95)
	figureIs(t, "mean of the part", got.GetAspects()[0].GetMean(), mean)
	if got.GetDataVersion() != 200 || got.GetOverall() != nil || got.GetAspects()[0].GetPearson() != nil {
		t.Errorf("analysis %v", got)
	}
	// A choice of two stands for 0 and 1.
	sorted := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "class"}).GetOverall()
	economy := 0.0
	for _, s := range answers {
		if s.class == "economy" {
			economy++
		}
	}
	if math.Abs(sorted.GetMean().GetValue()-economy/200) > 1e-12 || sorted.GetDistribution()[1].GetValue() != "economy" {
		t.Errorf("share of economy %v", sorted)
	}
}

func TestAnalysisWithholds(t *testing.T) {
	k := newKit(t)
	q := k.published(question("speed", rating), question("class", single, "a", "b", "c")).GetId()
	add := func(class string, n int) {
		for i := range n {
			k.imports(q, k.record(fmt.Sprint(class, i), score("speed", int32(1+i%5)), choice("class", class)))
		}
	}
	add("a", 3)
	req := &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Groupings: []*surveyv1.AnswerDimension{byQuestion("class")}, Trend: surveyv1.TrendPeriod_TREND_PERIOD_YEAR}
	small := k.analyze(req)
	speed := small.GetAspects()[0]
	if small.GetAnswers() != 0 || speed.GetMean().Value != nil || speed.GetMean().GetN() != 0 || speed.GetMean().GetLack().GetReason() != surveyv1.LackReason_LACK_REASON_WITHHELD ||
		speed.StandardDeviation != nil || len(speed.GetDistribution()) != 0 || speed.GetTrend()[0].GetMean().Value != nil || speed.GetSlope().Value != nil {
		t.Errorf("three answers: %v", small)
	}
	add("b", 6)
	add("c", 8)
	got := k.analyze(req).GetGroupings()[0].GetQuestions()[0]
	var reasons []surveyv1.LackReason
	for _, m := range got.GetMeans() {
		reasons = append(reasons, m.GetLack().GetReason())
		if (m.GetLack() == nil) != (m.Value != nil) {
			t.Errorf("mean %v", m)
		}
	}
	// With b shown, all less b and c would be a.
	if !slices.Equal(reasons, []surveyv1.LackReason{surveyv1.LackReason_LACK_REASON_WITHHELD, surveyv1.LackReason_LACK_REASON_WITHHELD_COMPLEMENT, 0}) {
		t.Errorf("groups %v", reasons)
	}
	if got.GetAnova().P != nil || got.GetAnova().GetLack().GetReason() != surveyv1.LackReason_LACK_REASON_WITHHELD {
		t.Errorf("test %v", got.GetAnova())
	}
	// All but 3: the rest would follow from the analysis of all.
	part := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Filters: []*surveyv1.AnswerFilter{{Dimension: byQuestion("class"), Values: []string{"b", "c"}}}})
	if part.GetAnswers() != 0 || part.GetAspects()[0].GetMean().GetLack().GetReason() != surveyv1.LackReason_LACK_REASON_WITHHELD_COMPLEMENT {
		t.Errorf("all but three: %v", part)
	}
}

func TestAnalysisIsNeverStale(t *testing.T) {
	k := newKit(t)
	q := k.airline()
	k.samples(q, 20, "business", "economy")
	req := &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "overall", WeightByTier: true}
	first := k.analyze(req)
	if again := k.analyze(req); !proto.Equal(first, again) {
		t.Errorf("again %v, first %v", again, first)
	}
	k.imports(q, k.record("more", score("speed", 5), score("overall", 5)))
	more := k.analyze(req)
	if more.GetAnswers() != 21 || more.GetDataVersion() != 21 {
		t.Errorf("after one more: %v", more)
	}
	k.folded()
	if folded := k.analyze(req); !proto.Equal(more, folded) {
		t.Errorf("folded %v, before %v", folded, more)
	}
	// An invitation changes the response rate, a customer the weights.
	k.invite(q, k.customer())
	invited := k.analyze(req)
	if rate := invited.GetResponseRate(); rate.Value == nil || rate.GetValue() != 0 || rate.GetN() != 1 {
		t.Errorf("response rate %v", rate)
	}
	if lack := invited.GetAspects()[0].GetWeightedMean().GetLack().GetReason(); lack != surveyv1.LackReason_LACK_REASON_TOO_FEW {
		t.Errorf("no answer names a customer: %v", lack)
	}
}

func TestAnalysisWeightsByTier(t *testing.T) {
	k := newKit(t)
	q := k.published(question("speed", rating)).GetId()
	customer := func(tier typev1.Tier) string {
		r := ref(uuid.Must(uuid.NewV7()).String(), true, 1)
		r.Tier = tier
		if _, err := customerref.Apply(t.Context(), k.Pool, r); err != nil {
			t.Fatal(err)
		}
		return r.GetId()
	}
	var key, plain analysis.Counts
	for i := range 12 {
		record, given := k.record(fmt.Sprint(i), score("speed", int32(1+i%5))), analysis.Count{Score: int32(1 + i%5), N: 1}
		if i < 6 {
			record.CustomerId, key = customer(typev1.Tier_TIER_KEY), append(key, given)
		} else {
			record.CustomerId, plain = customer(typev1.Tier_TIER_C), append(plain, given)
		}
		k.imports(q, record)
	}
	for range 28 {
		customer(typev1.Tier_TIER_C)
	}
	want, err := analysis.PostStratify([]analysis.Stratum{{Population: 6, Answers: key}, {Population: 34, Answers: plain}}, 0.95)
	if err != nil {
		t.Fatal(err)
	}
	req := &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, WeightByTier: true, Groupings: []*surveyv1.AnswerDimension{byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER)}}
	got := k.analyze(req)
	figureIs(t, "weighted mean", got.GetAspects()[0].GetWeightedMean(), want.Estimate)
	if math.Abs(got.GetAspects()[0].GetEffectiveN()-want.EffectiveN) > 1e-9 {
		t.Errorf("effective n %v, want %v", got.GetAspects()[0].GetEffectiveN(), want.EffectiveN)
	}
	if values := groupValues(got.GetGroupings()[0]); !slices.Equal(values, []string{"TIER_C", "TIER_KEY"}) {
		t.Errorf("tiers %v", values)
	}
	// A tier that was not asked cannot be stood for.
	customer(typev1.Tier_TIER_A)
	if lack := k.analyze(req).GetAspects()[0].GetWeightedMean().GetLack().GetReason(); lack != surveyv1.LackReason_LACK_REASON_UNCOVERED {
		t.Errorf("an unasked tier: %v", lack)
	}
}

func TestAnalysisRefuses(t *testing.T) {
	k := newKit(t)
	q := k.airline()
	now := timestamppb.New(k.Clock.Now())
	for name, c := range map[string]struct {
		req    *surveyv1.AnalyzeAnswersRequest
		reason string
		fields []string
	}{
		"no id":           {&surveyv1.AnalyzeAnswersRequest{}, "VALIDATION_FAILED", []string{"questionnaire_id"}},
		"unknown aspect":  {&surveyv1.AnalyzeAnswersRequest{Aspects: []*surveyv1.AnalyzedAspect{{QuestionKey: "x"}}}, "ANALYSIS_INVALID", []string{"aspects[0].question_key"}},
		"text as aspect":  {&surveyv1.AnalyzeAnswersRequest{Aspects: []*surveyv1.AnalyzedAspect{{QuestionKey: "comment"}}}, "ANALYSIS_INVALID", []string{"aspects[0].question_key"}},
		"twice":           {&surveyv1.AnalyzeAnswersRequest{Overall: "speed", Aspects: []*surveyv1.AnalyzedAspect{{QuestionKey: "speed"}}}, "ANALYSIS_INVALID", []string{"aspects[0].question_key"}},
		"text as overall": {&surveyv1.AnalyzeAnswersRequest{Overall: "comment"}, "ANALYSIS_INVALID", []string{"overall"}},
		"rating as group": {&surveyv1.AnalyzeAnswersRequest{Groupings: []*surveyv1.AnswerDimension{byQuestion("speed")}}, "ANALYSIS_INVALID", []string{"groupings[0].question_key"}},
		"empty group":     {&surveyv1.AnalyzeAnswersRequest{Groupings: []*surveyv1.AnswerDimension{{}}}, "ANALYSIS_INVALID", []string{"groupings[0]"}},
		"same group":      {&surveyv1.AnalyzeAnswersRequest{Groupings: []*surveyv1.AnswerDimension{byQuestion("class"), byQuestion("class")}}, "ANALYSIS_INVALID", []string{"groupings[1]"}},
		"unknown value": {&surveyv1.AnalyzeAnswersRequest{Filters: []*surveyv1.AnswerFilter{{Dimension: byAttribute(surveyv1.AnswerAttribute_ANSWER_ATTRIBUTE_TIER), Values: []string{"gold"}}}},
			"ANALYSIS_INVALID", []string{"filters[0].values[0]"}},
		"no time between": {&surveyv1.AnalyzeAnswersRequest{StartTime: now, EndTime: now}, "ANALYSIS_INVALID", []string{"end_time"}},
		"no instant":      {&surveyv1.AnalyzeAnswersRequest{StartTime: &timestamppb.Timestamp{Seconds: 1 << 60}}, "VALIDATION_FAILED", []string{"start_time"}},
		"four groups": {&surveyv1.AnalyzeAnswersRequest{Groupings: []*surveyv1.AnswerDimension{byQuestion("a"), byQuestion("b"), byQuestion("c"), byQuestion("d")}},
			"VALIDATION_FAILED", []string{"groupings"}},
	} {
		if name != "no id" {
			c.req.QuestionnaireId = q
		}
		_, err := k.analyses.AnalyzeAnswers(k.crm(), c.req)
		refused(t, err, codes.InvalidArgument, c.reason, c.fields...)
		_, err = k.analyses.ExportAnalysis(k.crm(), &surveyv1.ExportAnalysisRequest{Analysis: c.req, Format: surveyv1.ExportFormat_EXPORT_FORMAT_CSV})
		refused(t, err, codes.InvalidArgument, c.reason)
	}
	old := k.record("old", score("speed", 1))
	old.AnswerTime = timestamppb.New(k.Clock.Now().AddDate(-11, 0, 0))
	k.imports(q, old, k.record("new", score("speed", 1)))
	_, err := k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Trend: surveyv1.TrendPeriod_TREND_PERIOD_MONTH})
	refused(t, err, codes.InvalidArgument, "ANALYSIS_INVALID", "trend")
	_, err = k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err = k.analyses.AnalyzeAnswers(k.crm(), &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: k.draft(question("r", rating)).GetId()})
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_NOT_PUBLISHED")
}

func TestAnalysisOfEffort(t *testing.T) {
	k := newKit(t)
	q := k.published(question("easy", effort), question("overall", rating)).GetId()
	var counts analysis.Counts
	for i := range int32(14) {
		k.imports(q, k.record(fmt.Sprint(i), score("easy", 1+i%7), score("overall", 1+i%5)))
		counts = append(counts, analysis.Count{Score: 1 + i%7, N: 1})
	}
	got := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "overall"})
	want, _ := analysis.CES(counts, 0.95)
	figureIs(t, "CES", got.GetAspects()[0].GetCes(), want)
	if easy := got.GetAspects()[0]; easy.GetNps() != nil || easy.GetCsat() != nil || len(easy.GetDistribution()) != 7 {
		t.Errorf("effort %v", easy)
	}
	if r := k.results(q, 0).GetQuestions()[0]; r.GetMean() != 4 || r.Nps != nil || r.Csat != nil || len(r.GetDistribution()) != 7 {
		t.Errorf("results of effort %v", r)
	}
	_, err := k.questionnaires.ImportAnswers(k.importer(), &surveyv1.ImportAnswersRequest{QuestionnaireId: q, Source: "s",
		Records: []*surveyv1.AnswerRecord{k.record("high", score("easy", 8))}})
	if err != nil || k.results(q, 0).GetAnswers() != 14 {
		t.Errorf("an effort of 8 was taken: %v", err)
	}
}

// Versions are analysed together, and what the migration writes for them equals what was
// written with each answer.
func TestAnalysisOverVersionsAndBackfill(t *testing.T) {
	k := newKit(t)
	q := k.airline()
	k.samples(q, 40, "business", "economy", "")
	_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: q, Questions: []*surveyv1.Question{
			question("class", single, "first", "economy", "business"), question("new", rating), question("overall", rating), question("speed", rating)}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"questions"}}})
	if err != nil {
		t.Fatal(err)
	}
	k.publish(q)
	for i := range 10 {
		k.imports(q, k.record(fmt.Sprint("second", i), score("speed", 3), score("overall", 4), score("new", 2), choice("class", "first")))
	}
	k.submit(k.invite(q, k.customer()).GetToken(), score("speed", 1), choice("class", "economy"))
	got := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Overall: "overall", Groupings: []*surveyv1.AnswerDimension{byQuestion("class")}})
	if got.GetAnswers() != 51 || !slices.Equal(groupValues(got.GetGroupings()[0]), []string{"business", "economy", "first", ""}) || got.GetAspects()[0].GetMean().GetN() != 10 {
		t.Errorf("over versions %v", got)
	}
	const rows = `SELECT string_agg(concat_ws('|', answer_id, answer_time, tier, kind, region, cause, scores), E'\n' ORDER BY answer_id) FROM answer_scores`
	const slots = `SELECT string_agg(s::text, E'\n' ORDER BY questionnaire_id, questionnaire_version, slot) FROM question_slots s WHERE questionnaire_id = $1`
	read := func(sql string, args ...any) (out string) {
		if err := k.Pool.QueryRow(t.Context(), sql, args...).Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	written, placed := read(rows), read(slots, q)
	owner := k.DB.Owner(t)
	if _, err := owner.Exec(t.Context(), `TRUNCATE answer_scores, question_slots`); err != nil {
		t.Fatal(err)
	}
	for _, statement := range backfill(t) {
		if _, err := owner.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if again := read(rows); again != written {
		t.Errorf("the migration writes\n%s\nwith the answers was written\n%s", again, written)
	}
	if again := read(slots, q); again != placed {
		t.Errorf("the migration places\n%s\npublishing placed\n%s", again, placed)
	}
}

// backfill gives the statements of the migration that fill the tables.
func backfill(t *testing.T) []string {
	t.Helper()
	source := migration(t, "0050_create_answer_scores.sql")
	_, rest, found := strings.Cut(source, "-- What was published and answered before.\n")
	body, _, ended := strings.Cut(rest, "-- +goose StatementBegin")
	if !found || !ended {
		t.Fatal("the migration does not look as it did")
	}
	return strings.Split(strings.TrimSuffix(strings.TrimSpace(body), ";"), ";\n")
}
