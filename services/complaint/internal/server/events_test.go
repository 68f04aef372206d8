package server_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// survey makes the event of an answer.
func (w *world) survey(complaintID string, round, score int32) *eventv1.Envelope {
	w.t.Helper()
	answer := newID(w.t).String()
	packed, err := anypb.New(&surveyv1.AnswerReceived{AnswerId: answer, ComplaintId: complaintID, Round: round, Score: score})
	if err != nil {
		w.t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: newID(w.t).String(), Type: "answer.received.v1", SubjectId: answer, SubjectVersion: 1,
		OccurTime: timestamppb.New(w.Clock.Now()), Payload: packed,
	}
}

func (w *world) deliver(e *eventv1.Envelope) error {
	w.t.Helper()
	return pg.InTx(w.t.Context(), w.Pool, func(tx pgx.Tx) error { return w.server.HandleSurvey(w.t.Context(), tx, e) })
}

func TestASurveyAnswersForTheCustomer(t *testing.T) {
	w := newWorld(t)
	for score, want := range map[int32]complaintv1.Satisfaction{1: unsatisfied, 2: unsatisfied, 3: satisfied, 5: satisfied} {
		c := w.to(complaint.Told)
		w.Clock.Advance(time.Hour)
		e := w.survey(c.GetId(), 1, score)
		w.Clock.Advance(time.Hour)
		for range 2 {
			if err := w.deliver(e); err != nil {
				t.Fatalf("score %d: %v", score, err)
			}
		}
		got := w.get("manager", c.GetId())
		if a := got.GetAnswer(); a.GetSatisfaction() != want || a.GetSurveyAnswerId() != e.GetSubjectId() || a.GetSaidBy() != "" ||
			!a.GetAnswerTime().AsTime().Equal(e.GetOccurTime().AsTime()) {
			t.Errorf("score %d: %v", score, a)
		}
		if got.GetState() != complaint.Told || got.GetEtag() != "9" || c.GetEtag() != "8" {
			t.Errorf("score %d: %v, version %s after %s", score, got.GetState(), got.GetEtag(), c.GetEtag())
		}
		_, err := w.client.RecordAnswer(w.as("tech"), answer(c.GetId(), satisfied))
		w.refused("another answer", err, 9, "ANSWER_RECORDED", "complaint.first-answer/1")
		w.checkHistory(c.GetId())
	}
	for _, e := range w.Events(t) {
		if e.GetType() == "complaint.answered.v1" && (e.GetActorId() != "complaint" || e.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_SERVICE) {
			t.Errorf("answered by %v", e)
		}
	}
}

func TestSurveysThatChangeNothing(t *testing.T) {
	w := newWorld(t)
	toldOnce, answered := w.to(complaint.Told), w.to(complaint.Told)
	must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(answered.GetId(), satisfied)))
	assigned := w.to(complaint.Assigned)
	historic := w.survey(toldOnce.GetId(), 1, 1)
	historic.Historic = true
	ticket := w.survey("", 1, 1)
	other := w.survey(toldOnce.GetId(), 1, 1)
	other.Type = "answer.coded.v1"
	before := len(w.Events(t))
	for name, e := range map[string]*eventv1.Envelope{
		"nothing rated": w.survey(toldOnce.GetId(), 1, 0), "a later round": w.survey(toldOnce.GetId(), 2, 1),
		"no round": w.survey(toldOnce.GetId(), 0, 1), "answered already": w.survey(answered.GetId(), 1, 1),
		"not told yet": w.survey(assigned.GetId(), 1, 1), "unknown": w.survey(nobody, 1, 1),
		"historic": historic, "of a ticket": ticket, "another type": other,
	} {
		if err := w.deliver(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := len(w.Events(t)); after != before {
		t.Errorf("%d events came of it", after-before)
	}
	for _, c := range []*complaintv1.Complaint{toldOnce, assigned} {
		if got := w.get("manager", c.GetId()); got.GetEtag() != c.GetEtag() {
			t.Errorf("%v changed", got)
		}
	}
	if got := w.get("manager", answered.GetId()).GetAnswer(); got.GetSatisfaction() != satisfied || got.GetSurveyAnswerId() != "" {
		t.Errorf("the first answer became %v", got)
	}
}

// A clock ahead or behind of ours does not put the answer before the telling or into
// the future.
func TestASurveysClockIsBounded(t *testing.T) {
	w := newWorld(t)
	for name, drift := range map[string]time.Duration{"behind": -time.Hour, "ahead": time.Hour} {
		c := w.to(complaint.Told)
		e := w.survey(c.GetId(), 1, 1)
		e.OccurTime = timestamppb.New(w.Clock.Now().Add(drift))
		if err := w.deliver(e); err != nil {
			t.Fatal(err)
		}
		if at := w.get("manager", c.GetId()).GetAnswer().GetAnswerTime().AsTime(); !at.Equal(w.Clock.Now()) {
			t.Errorf("%s: answered at %v", name, at)
		}
	}
}
