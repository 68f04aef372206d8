package server_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

func (k *kit) cleaning() surveyv1.CleaningServiceClient {
	return surveyv1.NewCleaningServiceClient(k.Conn)
}

// flagged flags what waits and gives the counts in short, e.g. "3 flagged, 2 excluded: 1 0 2 0 0".
func (k *kit) flagged(q string) string {
	k.t.Helper()
	if err := k.server.FlagAnswers(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	c, err := k.cleaning().GetCleaning(k.crm(), &surveyv1.GetCleaningRequest{QuestionnaireId: q})
	if err != nil {
		k.t.Fatal(err)
	}
	if c.GetWaiting() != 0 || c.GetRunning() {
		k.t.Errorf("after flagging %v wait", c)
	}
	var counts []string
	for _, f := range c.GetFlags() {
		counts = append(counts, fmt.Sprint(f.GetCount()))
	}
	return fmt.Sprintf("%d flagged, %d excluded: %s", c.GetFlagged(), c.GetExcluded(), strings.Join(counts, " "))
}

func (k *kit) setRules(q string, change func(*surveyv1.CleaningRules)) *surveyv1.CleaningRules {
	k.t.Helper()
	rules := &surveyv1.CleaningRules{QuestionnaireId: q}
	change(rules)
	out, err := k.cleaning().SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: rules})
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

func (k *kit) order(record *surveyv1.AnswerRecord, number string, ago time.Duration) *surveyv1.AnswerRecord {
	record.OrderNumber, record.AnswerTime = number, timestamppb.New(k.Clock.Now().Add(-ago))
	return record
}

const day = 24 * time.Hour

func TestAnswersAreFlaggedHoweverTheyCome(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", rating), question("n", nps)).GetId()
	link := k.invite(q, k.customer())
	k.Clock.Advance(time.Second)
	k.submit(link.GetToken(), score("a", 5), score("b", 5), score("n", 0))
	slow := k.order(k.record("slow", score("a", 5)), "", day)
	slow.InviteTime = timestamppb.New(slow.GetAnswerTime().AsTime().Add(-time.Hour))
	k.imports(q, slow)
	c, err := k.cleaning().GetCleaning(k.crm(), &surveyv1.GetCleaningRequest{QuestionnaireId: q})
	if err != nil || c.GetWaiting() != 2 || c.GetAnswers() != 2 || c.GetFlagged() != 0 {
		t.Errorf("before flagging %v, %v", c, err)
	}
	// Submitted: too fast and contradictory; imported: incomplete.
	if got := k.flagged(q); got != "2 flagged, 2 excluded: 0 1 0 1 1" {
		t.Error(got)
	}
}

func TestTheFirstOfTwinsStaysClean(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating)).GetId()
	customer := k.customer()
	of := func(r *surveyv1.AnswerRecord, customer string) *surveyv1.AnswerRecord {
		r.CustomerId = customer
		return r
	}
	// The later one comes first, and is clean until the earlier one comes.
	k.imports(q, k.order(k.record("2", score("a", 2)), "o-1", 10*day))
	if got := k.flagged(q); got != "0 flagged, 0 excluded: 0 0 0 0 0" {
		t.Error(got)
	}
	k.imports(q,
		k.order(k.record("1", score("a", 1)), "o-1", 20*day),
		k.order(k.record("other order", score("a", 1)), "o-2", 9*day),
		k.order(k.record("long after", score("a", 1)), "o-3", 1*day), k.order(k.record("long before", score("a", 1)), "o-3", 32*day),
		k.order(k.record("no order", score("a", 1)), "", 1*day), k.order(k.record("no order either", score("a", 1)), "", 2*day),
		of(k.order(k.record("customer", score("a", 1)), "o-4", 2*day), customer), of(k.order(k.record("again", score("a", 1)), "o-4", 1*day), customer),
		of(k.order(k.record("their other order", score("a", 1)), "o-5", 1*day), customer),
		of(k.order(k.record("same order, other customer", score("a", 1)), "o-4", 1*day), k.customer()))
	if got := k.flagged(q); got != "2 flagged, 2 excluded: 2 0 0 0 0" {
		t.Error(got)
	}
	list, err := k.cleaning().ListFlaggedAnswers(k.crm(), &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: q, PageSize: 1})
	if err != nil || len(list.GetAnswers()) != 1 || list.GetNextPageToken() == "" {
		t.Fatalf("first page %v, %v", list, err)
	}
	if got := list.GetAnswers()[0]; got.GetCustomerId() != customer || !got.GetExcluded() ||
		!slices.Equal(got.GetFlags(), []surveyv1.AnswerFlag{surveyv1.AnswerFlag_ANSWER_FLAG_DUPLICATE}) {
		t.Errorf("flagged %v", got)
	}
	list, err = k.cleaning().ListFlaggedAnswers(k.crm(), &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: q, PageSize: 1, PageToken: list.GetNextPageToken()})
	if err != nil || len(list.GetAnswers()) != 1 || list.GetAnswers()[0].GetCustomerId() != "" || list.GetNextPageToken() != "" {
		t.Errorf("second page %v, %v", list, err)
	}
}

// Answers about one thing that are kept and flagged at the same moment: one stays clean.
func TestTwinsAtOnce(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating)).GetId()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			k.imports(q, k.order(k.record(fmt.Sprint(i), score("a", 3)), "o-1", time.Duration(i)*time.Hour))
			if err := k.server.FlagAnswers(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := k.flagged(q); got != "7 flagged, 7 excluded: 7 0 0 0 0" {
		t.Error(got)
	}
}

func TestNewRulesFlagEverythingAnew(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", rating)).GetId()
	client := k.cleaning()
	own, err := client.GetCleaningRules(k.crm(), &surveyv1.GetCleaningRulesRequest{QuestionnaireId: q})
	if err != nil || own.GetVersion() != 0 || own.GetDuplicate().GetWithinDays() != 30 || own.GetTooFast().GetSecondsPerQuestion() != 2 {
		t.Fatalf("the suite's own %v, %v", own, err)
	}
	var records []*surveyv1.AnswerRecord
	for i := range 600 {
		records = append(records, k.record(fmt.Sprint(i), score("a", int32(i%5+1)), score("b", 3)))
	}
	k.imports(q, records[:300]...)
	k.imports(q, records[300:]...)
	if got := k.flagged(q); got != "0 flagged, 0 excluded: 0 0 0 0 0" {
		t.Error(got)
	}
	set := k.setRules(q, func(r *surveyv1.CleaningRules) {
		r.Note, r.Etag = "both alike are no answer", "0"
		r.StraightLining = &surveyv1.StraightLiningRule{Questions: 2, Excludes: true}
	})
	if set.GetVersion() != 1 || set.GetSetActor() == "" || set.GetDuplicate() != nil {
		t.Errorf("set %v", set)
	}
	c, err := client.GetCleaning(k.crm(), &surveyv1.GetCleaningRequest{QuestionnaireId: q})
	if err != nil || !c.GetRunning() || c.GetRulesVersion() != 1 {
		t.Errorf("before they are applied %v, %v", c, err)
	}
	if got := k.flagged(q); got != "120 flagged, 120 excluded: 0 0 120 0 0" {
		t.Error(got)
	}
	k.setRules(q, func(r *surveyv1.CleaningRules) { r.StraightLining = &surveyv1.StraightLiningRule{Questions: 2} })
	if got := k.flagged(q); got != "120 flagged, 0 excluded: 0 0 120 0 0" {
		t.Error(got)
	}
	if first, err := client.GetCleaningRules(k.crm(), &surveyv1.GetCleaningRulesRequest{QuestionnaireId: q, Version: 1}); err != nil || first.GetNote() != set.GetNote() {
		t.Errorf("the first version %v, %v", first, err)
	}
}

func TestSetCleaningRulesRefuses(t *testing.T) {
	k := newKit(t)
	client := k.cleaning()
	q := k.published(question("a", rating)).GetId()
	_, err := client.SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: &surveyv1.CleaningRules{QuestionnaireId: q,
		StraightLining: &surveyv1.StraightLiningRule{Questions: 1}}})
	refused(t, err, codes.InvalidArgument, "CLEANING_RULES_INVALID", "rules.straight_lining.questions")
	_, err = client.SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: &surveyv1.CleaningRules{QuestionnaireId: q, Etag: "7"}})
	refused(t, err, codes.Aborted, "ETAG_MISMATCH")
	_, err = client.SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: &surveyv1.CleaningRules{QuestionnaireId: q, Note: "a\x00"}})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "rules.note")
	_, err = client.SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: &surveyv1.CleaningRules{QuestionnaireId: k.draft(question("a", rating)).GetId()}})
	refused(t, err, codes.FailedPrecondition, "QUESTIONNAIRE_NOT_PUBLISHED")
	_, err = client.SetCleaningRules(k.crm(), &surveyv1.SetCleaningRulesRequest{Rules: &surveyv1.CleaningRules{QuestionnaireId: uuid.NewString()}})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err = client.GetCleaningRules(k.crm(), &surveyv1.GetCleaningRulesRequest{QuestionnaireId: q, Version: 3})
	refused(t, err, codes.NotFound, "CLEANING_RULES_NOT_FOUND")
	_, err = client.GetCleaning(k.crm(), &surveyv1.GetCleaningRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	_, err = client.ListFlaggedAnswers(k.crm(), &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	// Two at once make two versions.
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() { k.setRules(q, func(*surveyv1.CleaningRules) {}) })
	}
	all.Wait()
	if n := k.count(`SELECT max(version) FROM cleaning_rules WHERE questionnaire_id = $1`, q); n != 2 {
		t.Errorf("version %d", n)
	}
}

func TestAVerdictStaysOverNewRules(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", rating)).GetId()
	ids := k.imports(q, k.record("line", score("a", 3), score("b", 3)), k.record("fine", score("a", 3), score("b", 4)))
	line := func(excludes bool) {
		k.setRules(q, func(r *surveyv1.CleaningRules) {
			r.StraightLining = &surveyv1.StraightLiningRule{Questions: 2, Excludes: excludes}
		})
	}
	line(true)
	if got := k.flagged(q); got != "1 flagged, 1 excluded: 0 0 1 0 0" {
		t.Fatal(got)
	}
	judge := func(place int, verdict surveyv1.AnswerVerdict) *surveyv1.FlaggedAnswer {
		t.Helper()
		out, err := k.cleaning().JudgeAnswer(k.crm(), &surveyv1.JudgeAnswerRequest{QuestionnaireId: q, AnswerId: ids[place].GetId(), Verdict: verdict, Reason: "called them"})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := judge(0, surveyv1.AnswerVerdict_ANSWER_VERDICT_INCLUDE); got.GetExcluded() || got.GetJudgeReason() != "called them" || got.GetJudgeActor() == "" || len(got.GetFlags()) != 1 {
		t.Errorf("judged %v", got)
	}
	if got := judge(1, surveyv1.AnswerVerdict_ANSWER_VERDICT_EXCLUDE); !got.GetExcluded() || len(got.GetFlags()) != 0 {
		t.Errorf("judged %v", got)
	}
	line(true)
	if got := k.flagged(q); got != "1 flagged, 1 excluded: 0 0 1 0 0" {
		t.Error(got)
	}
	list, err := k.cleaning().ListFlaggedAnswers(k.crm(), &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: q})
	if err != nil || len(list.GetAnswers()) != 2 || !list.GetAnswers()[0].GetExcluded() || list.GetAnswers()[1].GetExcluded() {
		t.Errorf("listed %v, %v", list, err)
	}
	if got := judge(0, surveyv1.AnswerVerdict_ANSWER_VERDICT_BY_RULES); !got.GetExcluded() || got.GetJudgeActor() != "" {
		t.Errorf("taken back %v", got)
	}
	_, err = k.cleaning().JudgeAnswer(k.crm(), &surveyv1.JudgeAnswerRequest{QuestionnaireId: ticketSurvey, AnswerId: ids[0].GetId(),
		Verdict: surveyv1.AnswerVerdict_ANSWER_VERDICT_EXCLUDE, Reason: "of another questionnaire"})
	refused(t, err, codes.NotFound, "ANSWER_NOT_FOUND")
	if n := k.count(`SELECT count(*) FROM audit_records WHERE object_id = $1`, ids[0].GetId()); n != 3 {
		t.Errorf("%d audit records, want import and two verdicts", n)
	}
}

func TestAnAnalysisShowsBothSides(t *testing.T) {
	k := newKit(t)
	q := k.published(question("a", rating), question("b", rating)).GetId()
	var records []*surveyv1.AnswerRecord
	for i := range 20 {
		b := int32(4)
		if i < 8 {
			b = 5
		}
		records = append(records, k.record(fmt.Sprint(i), score("a", 5), score("b", b)))
	}
	k.imports(q, records...)
	k.setRules(q, func(r *surveyv1.CleaningRules) {
		r.StraightLining = &surveyv1.StraightLiningRule{Questions: 2, Excludes: true}
	})
	k.flagged(q)
	mean := func(a *surveyv1.Analysis) float64 { return a.GetAspects()[1].GetMean().GetValue() }
	whole := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q})
	if whole.GetAnswers() != 20 || mean(whole) != 4.4 || whole.GetCleaned() != nil || whole.GetCleaning().GetExcluded() != 8 {
		t.Errorf("counted in: %v", whole)
	}
	left := k.analyze(&surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Excluded: surveyv1.ExcludedAnswers_EXCLUDED_ANSWERS_LEFT_OUT})
	if left.GetAnswers() != 12 || mean(left) != 4 || left.GetCleaning().GetFlagged() != 8 {
		t.Errorf("left out: %v", left)
	}
	sides := &surveyv1.AnalyzeAnswersRequest{QuestionnaireId: q, Excluded: surveyv1.ExcludedAnswers_EXCLUDED_ANSWERS_SIDE_BY_SIDE}
	both := k.analyze(sides)
	if both.GetAnswers() != 20 || mean(both) != 4.4 || both.GetCleaned().GetAnswers() != 12 || mean(both.GetCleaned()) != 4 {
		t.Errorf("side by side: %v", both)
	}
	file, err := k.analyses.ExportAnalysis(k.crm(), &surveyv1.ExportAnalysisRequest{Analysis: sides, Format: surveyv1.ExportFormat_EXPORT_FORMAT_CSV})
	if err != nil || !strings.Contains(string(file.GetData()), "cleaned: mean,12,4,") {
		t.Errorf("export %s, %v", file.GetData(), err)
	}
	// One more verdict, and what was computed before is not answered again.
	list, err := k.cleaning().ListFlaggedAnswers(k.crm(), &surveyv1.ListFlaggedAnswersRequest{QuestionnaireId: q})
	if err != nil {
		t.Fatal(err)
	}
	for i, answer := range list.GetAnswers()[:4] {
		if _, err := k.cleaning().JudgeAnswer(k.crm(), &surveyv1.JudgeAnswerRequest{QuestionnaireId: q, AnswerId: answer.GetAnswerId(),
			Verdict: surveyv1.AnswerVerdict_ANSWER_VERDICT_INCLUDE, Reason: "fine"}); err != nil {
			t.Fatal(err)
		}
		// Fewer than 5 excluded answers must not be told by the difference.
		now := k.analyze(sides).GetCleaned()
		if excluded := 7 - i; excluded >= 5 && (now.GetAnswers() != int64(20-excluded) || mean(now) == 4) ||
			excluded < 5 && (now.GetAnswers() != 0 || now.GetAspects()[1].GetMean().Value != nil) {
			t.Errorf("with %d excluded: %v", excluded, now)
		}
	}
}
