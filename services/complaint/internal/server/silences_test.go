package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/complaint/internal/server"
	"github.com/kefu-suite/kefu/services/internal/customerref"
)

// sweepSilences has several replicas look for silent customers at once.
func (w *world) sweepSilences() {
	w.t.Helper()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := w.server.EndSilences(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		})
	}
	wg.Wait()
}

// types are the types of a complaint's events, in order.
func (w *world) types(id string) (out []string) {
	w.t.Helper()
	for _, e := range w.eventsOf(id) {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(e.GetType(), "complaint."), ".v1"))
	}
	return out
}

// notices are the reminders kept of a complaint, and how many of them left.
func (w *world) notices(id string) (kept, left int) {
	w.t.Helper()
	err := w.Pool.QueryRow(w.t.Context(), "SELECT count(*), count(send_time) FROM complaint_notices WHERE complaint_id = $1", id).Scan(&kept, &left)
	if err != nil {
		w.t.Fatal(err)
	}
	return kept, left
}

// Told on a Monday: reminded after 2 and after 5 working days, ended after 10, each once, not a
// moment too early, whatever number of replicas looks.
func TestASilentCustomerIsRemindedAndTheComplaintEnds(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Told).GetId()
	before := len(w.types(id))
	for _, step := range []struct {
		early, due string
		kept       int
		last       string
	}{
		{"2026-11-03 17:59:59", "2026-11-03 18:00:00", 1, "reminded"},
		{"2026-11-06 17:59:59", "2026-11-06 18:00:00", 2, "reminded"},
		{"2026-11-13 17:59:59", "2026-11-13 18:00:00", 2, "closed"},
	} {
		kept, _ := w.notices(id)
		w.set(step.early)
		w.sweepSilences()
		if now, _ := w.notices(id); now != kept || w.get("boss", id).GetState() != complaint.Told {
			t.Errorf("%s: too early", step.early)
		}
		w.set(step.due)
		w.sweepSilences()
		w.sweepSilences()
		types := w.types(id)
		if now, _ := w.notices(id); now != step.kept || types[len(types)-1] != step.last {
			t.Errorf("%s: %d reminders, %v", step.due, now, types)
		}
	}
	if types := w.types(id); len(types) != before+3 {
		t.Errorf("events: %v", types)
	}
	c := w.get("boss", id)
	if c.GetState() != complaint.Closed || c.GetOutcome() != complaintv1.Outcome_OUTCOME_NO_ANSWER || c.GetRound() != 1 ||
		!c.GetCloseTime().AsTime().Equal(w.Clock.Now()) || c.GetAnswer() != nil {
		t.Errorf("ended as %v", c)
	}
	w.checkHistory(id)
	w.set("2026-12-30 18:00:00")
	w.sweepSilences()
	if got := w.get("boss", id); got.GetEtag() != c.GetEtag() {
		t.Errorf("after the end it goes on: %v", got)
	}
}

// A process that was away for weeks catches up, one step a look, and never skips the reminders.
func TestALateLookCatchesUp(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Told).GetId()
	w.set("2026-12-10 09:00:00")
	for range 3 {
		w.sweepSilences()
	}
	if types := w.types(id); !slices.Equal(types[len(types)-3:], []string{"reminded", "reminded", "closed"}) {
		t.Errorf("events: %v", types)
	}
	w.checkHistory(id)
}

// Whoever answers is not reminded, and a customer whose file is closed is not written to.
func TestWhoIsNotReminded(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	answered, surveyed, retired := w.to(complaint.Told), w.to(complaint.Told), w.to(complaint.Told)
	must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(answered.GetId(), unsatisfied)))
	if err := w.deliver(w.survey(surveyed.GetId(), 1, 5)); err != nil {
		t.Fatal(err)
	}
	ref := &customerv1.CustomerRef{
		Id: retired.GetCustomerId(), Number: "C-gone", Tier: typev1.Tier_TIER_C, Version: 2,
		Status: customerv1.CustomerStatus_CUSTOMER_STATUS_RETIRED,
	}
	if _, err := customerref.Apply(t.Context(), w.Pool, ref); err != nil {
		t.Fatal(err)
	}
	w.set("2026-11-20 09:00:00")
	for range 4 {
		w.sweepSilences()
	}
	for what, id := range map[string]string{"answered": answered.GetId(), "answered the survey": surveyed.GetId(), "retired": retired.GetId()} {
		if kept, _ := w.notices(id); kept != 0 {
			t.Errorf("%s: %d reminders", what, kept)
		}
	}
	for what, id := range map[string]string{"answered": answered.GetId(), "answered the survey": surveyed.GetId()} {
		if c := w.get("boss", id); c.GetState() != complaint.Told {
			t.Errorf("%s: %v", what, c)
		}
	}
	if c := w.get("boss", retired.GetId()); c.GetOutcome() != complaintv1.Outcome_OUTCOME_NO_ANSWER {
		t.Errorf("retired: %v", c)
	}
}

// What is to leave leaves once, and says nothing of anybody but ids and numbers.
func TestRemindersLeaveThroughTheLog(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	c := w.to(complaint.Told)
	w.set("2026-11-03 18:00:00")
	w.sweepSilences()
	var log bytes.Buffer
	courier := server.LogCourier{Log: slog.New(slog.NewJSONHandler(&log, nil))}
	w.server.UseCourier(courier)
	for range 2 {
		if err := w.server.SendNotices(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if kept, left := w.notices(c.GetId()); kept != 1 || left != 1 {
		t.Errorf("%d of %d left", left, kept)
	}
	said := log.String()
	if strings.Count(said, "\n") != 1 || !strings.Contains(said, c.GetNumber()) || !strings.Contains(said, c.GetCustomerId()) || strings.Contains(said, c.GetTitle()) {
		t.Errorf("the log says %s", said)
	}
}

// failing is a courier that fails at first.
type failing struct{ tries int }

func (f *failing) Send(context.Context, server.Notice) error {
	if f.tries++; f.tries == 1 {
		return context.DeadlineExceeded
	}
	return nil
}

// What could not be sent is kept and sent later.
func TestANoticeThatFailedIsSentLater(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Told).GetId()
	w.set("2026-11-03 18:00:00")
	w.sweepSilences()
	w.server.UseCourier(&failing{})
	if err := w.server.SendNotices(t.Context()); err == nil {
		t.Error("it was sent")
	}
	if kept, left := w.notices(id); kept != 1 || left != 0 {
		t.Errorf("%d of %d left", left, kept)
	}
	if err := w.server.SendNotices(t.Context()); err != nil {
		t.Error(err)
	}
	if _, left := w.notices(id); left != 1 {
		t.Error("it did not leave")
	}
}

func reopen(id string) *complaintv1.ReopenComplaintRequest {
	return &complaintv1.ReopenComplaintRequest{Id: id, Note: "it leaks again", SaidBy: "the buyer", Channel: typev1.Channel_CHANNEL_PHONE}
}

// silentOne is a complaint that ended without an answer on 2026-11-13 18:00.
func (w *world) silentOne() *complaintv1.Complaint {
	w.t.Helper()
	w.set("2026-11-02 09:00:00")
	c := w.to(complaint.Told)
	w.set("2026-11-13 18:00:00")
	for range 3 {
		w.sweepSilences()
	}
	return w.get("boss", c.GetId())
}

// What ended without an answer is taken up for 30 days, as the round's unsatisfied answer and
// the next round with clocks of its own.
func TestTakenUpAgain(t *testing.T) {
	w := newWorld(t)
	id := w.silentOne().GetId()
	_, err := w.client.ReopenComplaint(w.as("clerk"), reopen(id))
	w.refused("a stranger", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	req := reopen(id)
	req.SaidBy = ""
	_, err = w.client.ReopenComplaint(w.as("agent"), req)
	w.refused("said by nobody", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.set("2026-12-13 18:00:00")
	w.Clock.Advance(time.Second)
	_, err = w.client.ReopenComplaint(w.as("agent"), reopen(id))
	w.refused("a second late", err, codes.FailedPrecondition, "REOPEN_TOO_LATE", "complaint.reopening/1")
	w.Clock.Advance(-time.Second)
	if won := race(3, func() error { return failed(w.client.ReopenComplaint(w.as("agent"), reopen(id))) }); won != 1 {
		t.Errorf("%d of three take it up", won)
	}
	c := w.get("boss", id)
	first := c.GetRounds()[0].GetAnswer()
	if c.GetState() != complaint.Reviewed || c.GetRound() != 2 || c.GetOutcome() != 0 || c.GetCloseTime() != nil ||
		first.GetSatisfaction() != unsatisfied || first.GetNote() != "it leaks again" {
		t.Errorf("taken up as %v", c)
	}
	if got := w.clockOf(id, complaint.ClockAssigned); got.GetRound() != 2 || !got.GetStartTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("the clock of the assignment: %v", got)
	}
	w.on(c, complaint.Closed, "tech")
	_, err = w.client.ReopenComplaint(w.as("agent"), reopen(id))
	w.refused("satisfied", err, codes.FailedPrecondition, "COMPLAINT_NOT_REOPENABLE", "complaint.reopening/1")
	w.checkHistory(id)
}

// Customers take up their own, see no more of it than before, and may dispute the category.
func TestCustomersTakeUpTheirOwn(t *testing.T) {
	w := newWorld(t)
	c := w.silentOne()
	_, err := w.client.ReopenComplaint(w.AsCustomer(w.other), reopen(c.GetId()))
	w.refused("another customer", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	req := reopen(c.GetId())
	req.SaidBy, req.CategoryDisputed, req.RequestId = "", true, "again"
	for range 2 {
		got := must[*complaintv1.Complaint](w)(w.client.ReopenComplaint(w.AsCustomer(c.GetCustomerId()), req))
		if got.GetState() != complaint.Submitted || got.GetRound() != 2 || got.GetDepartmentId() != "" || got.GetRounds()[0].GetHandlerStaffId() != "" {
			t.Errorf("the customer gets %v", got)
		}
	}
	w.checkHistory(c.GetId())
}
