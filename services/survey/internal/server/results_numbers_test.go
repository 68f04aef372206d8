package server_test

import (
	"math"
	"testing"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

const (
	number = surveyv1.QuestionType_QUESTION_TYPE_NUMBER
	date   = surveyv1.QuestionType_QUESTION_TYPE_DATE
)

func numbered(key string, n float64) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Number{Number: n}}
}

func dated(key, day string) *surveyv1.Response {
	return &surveyv1.Response{QuestionKey: key, Value: &surveyv1.Response_Date{Date: day}}
}

// decimal is a number with two digits after the point.
func decimal(key string) *surveyv1.Question {
	q := question(key, number)
	q.NumberRule = &surveyv1.NumberRule{Decimals: 2}
	return q
}

func TestResultsOfNumbersAndDates(t *testing.T) {
	k := newKit(t)
	q := k.published(decimal("hours"), question("since", date)).GetId()
	give := func(n float64, day string) string {
		token := k.invite(q, k.customer()).GetToken()
		k.submit(token, numbered("hours", n), dated("since", day))
		return token
	}
	if r := k.results(q, 0).GetQuestions(); r[0].Least != nil || r[0].Median != nil || r[0].Mean != nil || r[1].GetEarliestDate()+r[1].GetLatestDate() != "" {
		t.Errorf("results of nothing %v", r)
	}
	give(9, "2026-02-28")
	give(0.25, "2026-03-01")
	outlier := give(1e9, "1999-12-31")
	if err := k.server.FoldCounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	give(-4, "2025-11-30")
	give(9, "2026-02-28")
	check := func(when string, n int64, least, median, greatest, mean float64, earliest, latest string) {
		t.Helper()
		hours, since := k.results(q, 0).GetQuestions()[0], k.results(q, 0).GetQuestions()[1]
		if hours.GetN() != n || !near(hours.Least, least) || !near(hours.Median, median) || !near(hours.Greatest, greatest) || hours.Mean == nil || math.Abs(*hours.Mean-mean) > 1e-6 ||
			hours.StandardDeviation == nil || len(hours.GetDistribution()) != 0 {
			t.Errorf("%s: numbers %v", when, hours)
		}
		if since.GetN() != n || since.GetEarliestDate() != earliest || since.GetLatestDate() != latest || since.Mean != nil || since.Least != nil {
			t.Errorf("%s: dates %v", when, since)
		}
	}
	check("with an outlier", 5, -4, 9, 1e9, (1e9+14.25)/5, "1999-12-31", "2026-03-01")
	// What was folded and taken back is gone, also as an extreme.
	if _, err := k.answers.WithdrawAnswer(k.AsPublic(), &surveyv1.WithdrawAnswerRequest{Token: outlier}); err != nil {
		t.Fatal(err)
	}
	check("without it", 4, -4, 4.625, 9, 14.25/4, "2025-11-30", "2026-03-01")
	if err := k.server.FoldCounts(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("folded", 4, -4, 4.625, 9, 14.25/4, "2025-11-30", "2026-03-01")
}

// Extremes are what one person said.
func TestAnonymousNumbersHaveNoExtremes(t *testing.T) {
	k := newKit(t)
	draft, err := k.questionnaires.CreateQuestionnaire(k.crm(), &surveyv1.CreateQuestionnaireRequest{Questionnaire: &surveyv1.Questionnaire{
		Title: both("t"), Anonymous: true, Questions: []*surveyv1.Question{decimal("hours"), question("since", date)}}})
	if err != nil {
		t.Fatal(err)
	}
	q := k.publish(draft.GetId()).GetId()
	for i := range 5 {
		k.submit(k.invite(q, k.customer()).GetToken(), numbered("hours", float64(i)), dated("since", "2026-02-28"))
	}
	r := k.results(q, 0).GetQuestions()
	if r[0].GetN() != 5 || !near(r[0].Mean, 2) || !near(r[0].Median, 2) || r[0].Least != nil || r[0].Greatest != nil || r[1].GetN() != 5 || r[1].GetEarliestDate()+r[1].GetLatestDate() != "" {
		t.Errorf("results %v", r)
	}
}
