package server_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
)

func (k *kit) results(q string, version int32) *surveyv1.Results {
	k.t.Helper()
	r, err := k.questionnaires.GetResults(k.crm(), &surveyv1.GetResultsRequest{QuestionnaireId: q, Version: version})
	if err != nil {
		k.t.Fatal(err)
	}
	return r
}

// counts writes a distribution as "value:count …".
func counts(q *surveyv1.QuestionResult) string {
	var parts []string
	for _, b := range q.GetDistribution() {
		parts = append(parts, fmt.Sprintf("%s:%d", b.GetValue(), b.GetCount()))
	}
	return strings.Join(parts, " ")
}

func near(got *float64, want float64) bool { return got != nil && math.Abs(*got-want) < 1e-9 }

func TestGetResults(t *testing.T) {
	k := newKit(t)
	q := k.published(question("r", rating), question("n", nps), question("s", single, "x", "y"), question("t", words)).GetId()
	for i, c := range []struct{ rating, nps int32 }{{5, 10}, {4, 9}, {1, 8}, {4, 3}} {
		link := k.invite(q, k.customer())
		responses := []*surveyv1.Response{score("r", c.rating), score("n", c.nps)}
		if i == 0 {
			responses = append(responses, choice("s", "y"), comment("t", "good"))
		}
		k.submit(link.GetToken(), responses...)
	}
	k.invite(q, k.customer())
	k.imports(q, k.record("1", score("r", 2)))
	got := k.results(q, 0)
	if got.GetAnswers() != 5 || got.GetInvitations() != 5 || got.GetResponseRate() != 0.8 || len(got.GetQuestions()) != 4 {
		t.Fatalf("results %v", got)
	}
	r, n, s, w := got.GetQuestions()[0], got.GetQuestions()[1], got.GetQuestions()[2], got.GetQuestions()[3]
	// 5, 4, 1, 4, 2: mean 16/5, squares 62 - 5 * 3.2² = 10.8, over 4.
	if r.GetN() != 5 || counts(r) != "1:1 2:1 3:0 4:2 5:1" || !near(r.Mean, 3.2) || !near(r.StandardDeviation, math.Sqrt(2.7)) ||
		!near(r.Csat, 0.6) || r.Nps != nil || r.GetDistribution()[3].GetShare() != 0.4 {
		t.Errorf("rating %v", r)
	}
	// 10, 9, 8, 3: two promoters and one detractor of four; mean 7.5, squares 254 - 225 = 29, over 3.
	if n.GetN() != 4 || counts(n) != "0:0 1:0 2:0 3:1 4:0 5:0 6:0 7:0 8:1 9:1 10:1" || !near(n.Nps, 25) || n.Csat != nil ||
		!near(n.Mean, 7.5) || !near(n.StandardDeviation, math.Sqrt(29.0/3)) {
		t.Errorf("NPS %v", n)
	}
	if s.GetN() != 1 || counts(s) != "x:0 y:1" || s.Mean != nil || s.StandardDeviation != nil || s.Csat != nil || s.Nps != nil {
		t.Errorf("choice %v", s)
	}
	if w.GetN() != 1 || len(w.GetDistribution()) != 0 || w.Mean != nil || w.Csat != nil {
		t.Errorf("text %v", w)
	}
	if one := k.results(q, 1); !slices.EqualFunc(one.GetQuestions(), got.GetQuestions(), func(a, b *surveyv1.QuestionResult) bool {
		return proto.Equal(a, b)
	}) || one.GetVersion() != 1 {
		t.Errorf("version 1 is %v", one)
	}
}

func TestResultsOfNothing(t *testing.T) {
	k := newKit(t)
	got := k.results(k.published(question("r", rating), question("n", nps), question("s", single, "x", "y")).GetId(), 0)
	if got.GetAnswers() != 0 || got.GetInvitations() != 0 || got.GetResponseRate() != 0 || len(got.GetQuestions()) != 3 {
		t.Fatalf("results %v", got)
	}
	for _, q := range got.GetQuestions() {
		if q.GetN() != 0 || q.Mean != nil || q.StandardDeviation != nil || q.Csat != nil || q.Nps != nil || len(q.GetDistribution()) == 0 {
			t.Errorf("question %v", q)
		}
		for _, b := range q.GetDistribution() {
			if b.GetCount() != 0 || b.GetShare() != 0 {
				t.Errorf("bucket %v", b)
			}
		}
	}
	if got := k.results(k.draft(question("r", rating)).GetId(), 0); len(got.GetQuestions()) != 0 {
		t.Errorf("results of a draft %v", got)
	}
}

func TestResultsOverVersions(t *testing.T) {
	k := newKit(t)
	q := k.published(question("kept", rating), question("gone", rating), question("turned", rating), question("s", single, "x", "y")).GetId()
	k.imports(q, k.record("1", score("kept", 1), score("gone", 2), score("turned", 3), choice("s", "x")))
	_, err := k.questionnaires.UpdateQuestionnaire(k.crm(), &surveyv1.UpdateQuestionnaireRequest{
		Questionnaire: &surveyv1.Questionnaire{Id: q, Questions: []*surveyv1.Question{
			question("s", single, "z", "y"), question("new", nps), question("turned", nps), question("kept", rating)}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"questions"}}})
	if err != nil {
		t.Fatal(err)
	}
	k.publish(q)
	k.imports(q, k.record("2", score("kept", 5), score("new", 7), score("turned", 10), choice("s", "z")))
	describe := func(r *surveyv1.Results) []string {
		var out []string
		for _, q := range r.GetQuestions() {
			out = append(out, fmt.Sprintf("%s/%d n=%d %s", q.GetQuestionKey(), q.GetType(), q.GetN(), counts(q)))
		}
		return out
	}
	for version, want := range map[int32][]string{
		0: {
			"s/3 n=2 z:1 y:0 x:1",
			"new/2 n=1 0:0 1:0 2:0 3:0 4:0 5:0 6:0 7:1 8:0 9:0 10:0",
			"turned/2 n=1 0:0 1:0 2:0 3:0 4:0 5:0 6:0 7:0 8:0 9:0 10:1",
			"kept/1 n=2 1:1 2:0 3:0 4:0 5:1",
			"gone/1 n=1 1:0 2:1 3:0 4:0 5:0",
			"turned/1 n=1 1:0 2:0 3:1 4:0 5:0",
		},
		1: {
			"kept/1 n=1 1:1 2:0 3:0 4:0 5:0", "gone/1 n=1 1:0 2:1 3:0 4:0 5:0",
			"turned/1 n=1 1:0 2:0 3:1 4:0 5:0", "s/3 n=1 x:1 y:0",
		},
	} {
		r := k.results(q, version)
		if got := describe(r); !slices.Equal(got, want) || r.GetAnswers() != map[int32]int64{0: 2, 1: 1}[version] {
			t.Errorf("version %d: %d answers, %q, want %q", version, r.GetAnswers(), got, want)
		}
	}
	for _, c := range []struct {
		req    *surveyv1.GetResultsRequest
		code   codes.Code
		reason string
	}{
		{&surveyv1.GetResultsRequest{QuestionnaireId: q, Version: 3}, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND"},
		{&surveyv1.GetResultsRequest{QuestionnaireId: uuid.NewString()}, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND"},
		{&surveyv1.GetResultsRequest{QuestionnaireId: "x"}, codes.InvalidArgument, "VALIDATION_FAILED"},
		{&surveyv1.GetResultsRequest{QuestionnaireId: q, Version: -1}, codes.InvalidArgument, "VALIDATION_FAILED"},
	} {
		_, err := k.questionnaires.GetResults(k.crm(), c.req)
		refused(t, err, c.code, c.reason)
	}
}

func TestListAnswers(t *testing.T) {
	k := newKit(t)
	q, customer := k.published(question("r", rating)).GetId(), k.customer()
	var all, own []string
	for i := range 5 {
		record := k.record(fmt.Sprint(i), score("r", int32(i)+1))
		if i%2 == 0 {
			record.CustomerId = customer
		}
		id := k.imports(q, record)[0].GetId()
		if all = slices.Insert(all, 0, id); i%2 == 0 {
			own = slices.Insert(own, 0, id)
		}
	}
	for customerID, want := range map[string][]string{"": all, customer: own, uuid.NewString(): nil} {
		var got []string
		req := &surveyv1.ListAnswersRequest{QuestionnaireId: q, CustomerId: customerID, PageSize: 2}
		for {
			page, err := k.questionnaires.ListAnswers(k.crm(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range page.GetAnswers() {
				if len(a.GetResponses()) != 1 {
					t.Errorf("answer %v", a)
				}
				got = append(got, a.GetId())
			}
			if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("of %q: got %q, want %q", customerID, got, want)
		}
	}
	_, err := k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: uuid.NewString()})
	refused(t, err, codes.NotFound, "QUESTIONNAIRE_NOT_FOUND")
	for _, req := range []*surveyv1.ListAnswersRequest{{QuestionnaireId: "x"}, {QuestionnaireId: q, CustomerId: "x"}, {QuestionnaireId: q, PageSize: 501}, {QuestionnaireId: q, PageToken: "x"}} {
		_, err := k.questionnaires.ListAnswers(k.crm(), req)
		refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED")
	}
	// A token of one list does not open another.
	page, err := k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: q, PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.questionnaires.ListAnswers(k.crm(), &surveyv1.ListAnswersRequest{QuestionnaireId: q, CustomerId: customer, PageToken: page.GetNextPageToken()})
	refused(t, err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
}

// folded folds now.
func (k *kit) folded() {
	k.t.Helper()
	if err := k.server.FoldCounts(k.t.Context()); err != nil {
		k.t.Fatal(err)
	}
	if n := k.count(`SELECT count(*) FROM uncounted`); n != 0 {
		k.t.Errorf("%d uncounted after a fold", n)
	}
}

func TestResultsDoNotDependOnTheFold(t *testing.T) {
	k := newKit(t)
	q := k.published(question("r", rating), question("s", single, "x", "y"), question("t", words)).GetId()
	fill := func(i int) {
		k.submit(k.invite(q, k.customer()).GetToken(), score("r", int32(i%5)+1), choice("s", "x"))
		k.imports(q, k.record(fmt.Sprint(i), score("r", 3), comment("t", "x")))
	}
	fill(1)
	before := k.results(q, 0)
	k.folded()
	if after := k.results(q, 0); !proto.Equal(before, after) {
		t.Errorf("folded %v, before %v", after, before)
	}
	fill(2)
	mixed := k.results(q, 1)
	if mixed.GetAnswers() != 4 || mixed.GetInvitations() != 2 || mixed.GetQuestions()[0].GetN() != 4 || mixed.GetQuestions()[2].GetN() != 2 {
		t.Errorf("counted and uncounted: %v", mixed)
	}
	k.folded()
	if after := k.results(q, 1); !proto.Equal(mixed, after) {
		t.Errorf("folded %v, before %v", after, mixed)
	}
}

// Whoever reads while others answer and fold sees each answer with all of its responses.
func TestResultsWhileAnsweringAndFolding(t *testing.T) {
	k := newKit(t)
	q := k.published(question("r", rating), question("t", words)).GetId()
	const writers, each = 3, 10
	written, folding := make(chan error, writers), make(chan error, 2)
	stop := make(chan struct{})
	for range cap(folding) {
		go func() {
			for {
				select {
				case <-stop:
					folding <- nil
					return
				default:
				}
				if err := k.server.FoldCounts(t.Context()); err != nil {
					folding <- err
					return
				}
			}
		}()
	}
	for w := range writers {
		go func() {
			for i := range each {
				_, err := k.questionnaires.ImportAnswers(k.importer(), &surveyv1.ImportAnswersRequest{QuestionnaireId: q, Source: "s",
					Records: []*surveyv1.AnswerRecord{k.record(fmt.Sprint(w, "-", i), score("r", 4), comment("t", "x"))}})
				if err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
	}
	var seen int64
	for finished := 0; finished < writers; {
		select {
		case err := <-written:
			if err != nil {
				t.Error(err)
			}
			finished++
		default:
			r := k.results(q, 0)
			if r.GetAnswers() < seen || r.GetQuestions()[0].GetN() != r.GetAnswers() || r.GetQuestions()[1].GetN() != r.GetAnswers() {
				t.Errorf("after %d answers: %v", seen, r)
			}
			seen = r.GetAnswers()
		}
	}
	close(stop)
	for range cap(folding) {
		if err := <-folding; err != nil {
			t.Error(err)
		}
	}
	k.folded()
	if r := k.results(q, 0); r.GetAnswers() != writers*each {
		t.Errorf("%d answers", r.GetAnswers())
	}
}
