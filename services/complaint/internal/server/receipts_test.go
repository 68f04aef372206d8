package server_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/codes"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// set moves the clock to an instant by the wall clock of the company.
func (w *world) set(at string) { w.Clock.Set(clocktest.WallClock(w.t, at).UTC()) }

func (w *world) clocksOf(id string, round int32) *complaintv1.ListComplaintClocksResponse {
	w.t.Helper()
	return must[*complaintv1.ListComplaintClocksResponse](w)(w.client.ListComplaintClocks(w.as("manager"),
		&complaintv1.ListComplaintClocksRequest{ComplaintId: id, Round: round}))
}

// clockOf gives the clock of a kind in the complaint's latest round that has it.
func (w *world) clockOf(id, kind string) *clockv1.Clock {
	w.t.Helper()
	list := w.clocksOf(id, 0)
	found := list.GetPromise()
	if kind != complaint.ClockPromise {
		found = nil
		for _, c := range list.GetClocks() {
			if c.GetKind() == kind {
				found = c
			}
		}
	}
	return found
}

// states checks where the clocks of a round stand, in the order of the list.
func (w *world) states(id string, round int32, want ...any) []*clockv1.Clock {
	w.t.Helper()
	list := w.clocksOf(id, round).GetClocks()
	if len(list) != len(want)/2 {
		w.t.Fatalf("%d clocks, want %d: %v", len(list), len(want)/2, list)
	}
	for i, c := range list {
		if c.GetKind() != want[2*i] || c.GetState() != want[2*i+1] {
			w.t.Errorf("clock %d is %s, %v, want %v, %v", i+1, c.GetKind(), c.GetState(), want[2*i], want[2*i+1])
		}
		if c.GetOwner().GetRole() == "" || c.GetClauseId() == "" || c.GetPolicyVersion() != 1 || c.GetRound() != round || c.GetSubjectId() != id {
			w.t.Errorf("clock %d: %v", i+1, c)
		}
	}
	return list
}

// explain gives the receipt of a clock and checks that it adds up.
func (w *world) explain(id, kind string) *clockv1.ClockExplanation {
	w.t.Helper()
	got := must[*clockv1.ClockExplanation](w)(w.client.ExplainComplaintClock(w.as("manager"),
		&complaintv1.ExplainComplaintClockRequest{ComplaintId: id, Clock: kind}))
	clocktest.Receipt(w.t, got)
	return got
}

// due checks when a clock is due, by the wall clock; empty for not known.
func (w *world) due(id, kind, want string) *clockv1.ClockExplanation {
	w.t.Helper()
	got := w.explain(id, kind)
	clocktest.Due(w.t, got.GetClock(), want)
	return got
}

func (w *world) rebuilt() {
	w.t.Helper()
	clocktest.Rebuilt(w.t, w.Pool, w.clocks)
}

func (w *world) sweep() clock.Swept {
	w.t.Helper()
	return must[clock.Swept](w)(w.sweeper.Sweep(w.t.Context()))
}

// eventsOf are the events of a subject.
func (w *world) eventsOf(id string) (out []*eventv1.Envelope) {
	w.t.Helper()
	for _, e := range w.Events(w.t) {
		if e.GetSubjectId() == id {
			out = append(out, e)
		}
	}
	return out
}

// loadYear has the service take a year's dates of China's calendar.
func (w *world) loadYear(year int32, version int64, holidays ...string) {
	w.t.Helper()
	d, err := worktime.ChinaDefinition()
	if err != nil {
		w.t.Fatal(err)
	}
	c := calendar.Proto(d)
	c.Default = true
	loaded := &calendarv1.CalendarYear{Year: year, Status: calendarv1.YearStatus_YEAR_STATUS_OFFICIAL}
	for _, date := range holidays {
		loaded.Days = append(loaded.Days, &calendarv1.CalendarDay{Date: date, Kind: calendarv1.DayKind_DAY_KIND_HOLIDAY})
	}
	c.Years = append(c.GetYears(), loaded)
	w.applyVersion(calendar.TypeChanged, uuid.MustParse(nobody), version, &calendarv1.CalendarChanged{Calendar: c})
}

func TestWhoSeesClocks(t *testing.T) {
	w := newWorld(t)
	c := w.on(w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }), complaint.Assigned, "tech")
	id := c.GetId()
	list := &complaintv1.ListComplaintClocksRequest{ComplaintId: id}
	explain := &complaintv1.ExplainComplaintClockRequest{ComplaintId: id, Clock: "told"}
	for _, name := range []string{"agent", "supervisor", "manager", "head", "tech", "boss"} {
		got := must[*complaintv1.ListComplaintClocksResponse](w)(w.client.ListComplaintClocks(w.as(name), list))
		if len(got.GetClocks()) != 7 || got.GetPromise() == nil {
			t.Errorf("%s sees %v", name, got)
		}
		must[*clockv1.ClockExplanation](w)(w.client.ExplainComplaintClock(w.as(name), explain))
	}
	// Strangers, and whoever is complained about.
	for _, name := range []string{"tech2", "tech3", "clerk"} {
		_, err := w.client.ListComplaintClocks(w.as(name), list)
		w.refused(name+" lists", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
		_, err = w.client.ExplainComplaintClock(w.as(name), explain)
		w.refused(name+" asks", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	}
	customer := w.AsCustomer(c.GetCustomerId())
	_, err := w.client.ListComplaintClocks(customer, list)
	w.refused("a customer lists", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.client.ExplainComplaintClock(customer, explain)
	w.refused("a customer asks", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

func TestWhatCannotBeExplained(t *testing.T) {
	w := newWorld(t)
	id := w.to(complaint.Assigned).GetId()
	explain := func(complaintID, name string, round int32) error {
		_, err := w.client.ExplainComplaintClock(w.as("manager"), &complaintv1.ExplainComplaintClockRequest{ComplaintId: complaintID, Clock: name, Round: round})
		return err
	}
	w.refused("of no complaint", explain(nobody, "told", 0), codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	// What has not started is not there yet, nor is a clock of another round or case.
	other := w.clockOf(w.create(nil).GetId(), "documented").GetId()
	for _, name := range []string{"approved", "resolution", nobody, other} {
		w.refused(name, explain(id, name, 0), codes.NotFound, "CLOCK_NOT_FOUND", "")
	}
	w.refused("of round 2", explain(id, "told", 2), codes.NotFound, "CLOCK_NOT_FOUND", "")
	w.refused("in capitals", explain(id, "Told", 0), codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("of round -1", explain(id, "told", -1), codes.InvalidArgument, "VALIDATION_FAILED", "")
	w.refused("of no id", explain("7", "told", 0), codes.InvalidArgument, "VALIDATION_FAILED", "")
	if err := explain(id, w.clockOf(id, "told").GetId(), 1); err != nil {
		t.Errorf("by its id: %v", err)
	}
	for name, req := range map[string]*complaintv1.ListComplaintClocksRequest{
		"of no id": {ComplaintId: "7"}, "of round -1": {ComplaintId: id, Round: -1},
		"a page of -1": {ComplaintId: id, PageSize: -1}, "no token of ours": {ComplaintId: id, PageToken: "x"},
	} {
		_, err := w.client.ListComplaintClocks(w.as("manager"), req)
		w.refused("list "+name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	_, err := w.client.ListComplaintClocks(w.as("manager"), &complaintv1.ListComplaintClocksRequest{ComplaintId: nobody})
	w.refused("list of no complaint", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
}

func TestClocksAreListedInPages(t *testing.T) {
	w := newWorld(t)
	id := w.to(complaint.Contacted).GetId()
	whole := w.clocksOf(id, 0).GetClocks()
	if len(whole) != 7 {
		t.Fatalf("%d clocks, want 7", len(whole))
	}
	for size := int32(1); size < 7; size++ {
		req := &complaintv1.ListComplaintClocksRequest{ComplaintId: id, PageSize: size}
		var kinds []string
		for pages := 1; ; pages++ {
			page := must[*complaintv1.ListComplaintClocksResponse](w)(w.client.ListComplaintClocks(w.as("manager"), req))
			if pages > 8 || page.GetPromise().GetKind() != complaint.ClockPromise {
				t.Fatalf("page %d: %v", pages, page)
			}
			for _, c := range page.GetClocks() {
				kinds = append(kinds, c.GetKind())
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		for i, c := range whole {
			if len(kinds) != len(whole) || kinds[i] != c.GetKind() {
				t.Errorf("pages of %d: %v", size, kinds)
				break
			}
		}
	}
}

// What a clock was measured with stays known: a receipt is the same after the calendar
// changed.
func TestAReceiptOutlivesItsCalendar(t *testing.T) {
	w := newWorld(t)
	id := w.to(complaint.Told).GetId()
	before := w.explain(id, "told")
	w.loadYear(2027, 2, "2027-01-01")
	w.sweep()
	w.Clock.Advance(time.Hour)
	after := w.explain(id, "told")
	if len(after.GetLog()) != len(before.GetLog()) || len(after.GetSegments()) != len(before.GetSegments()) ||
		after.GetClock().GetCalendarVersion() != before.GetClock().GetCalendarVersion() {
		t.Errorf("it said %v and says %v", before, after)
	}
}
