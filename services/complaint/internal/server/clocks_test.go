package server_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
)

// The first round, with a proposal that is returned: seven clocks, each with its owner.
func TestTheClocksOfTheFirstRound(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	desk := w.department(ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_COMPLAINT_DESK, "")
	w.set("2026-11-02 09:00:00") // a Monday
	c := w.create(nil)
	id := c.GetId()
	w.due(id, "documented", "2026-11-02 10:00:00")
	w.due(id, "promise", "2026-11-04 18:00:00")
	w.states(id, 1, "documented", clock.Running, "reviewed", clock.Pending, "assigned", clock.Pending, "contacted", clock.Pending,
		"proposed", clock.Pending, "approved", clock.Pending, "told", clock.Pending)

	w.set("2026-11-02 09:30:00")
	do(w.client.SubmitComplaint(w.as("agent"), &complaintv1.SubmitComplaintRequest{Id: id}))
	w.due(id, "reviewed", "2026-11-02 10:30:00")
	w.set("2026-11-02 10:00:00")
	do(w.client.ReviewComplaint(w.as("supervisor"), w.review(id)))
	w.due(id, "assigned", "2026-11-02 12:00:00")
	w.set("2026-11-02 11:00:00")
	w.assign(id, "tech")
	w.due(id, "contacted", "2026-11-03 11:00:00")
	w.due(id, "proposed", "2026-11-04 11:00:00")
	w.due(id, "told", "2026-11-05 11:00:00")
	w.set("2026-11-02 12:30:00")
	do(w.client.RecordContact(w.as("tech"), contact(id)))
	list := w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Met,
		"proposed", clock.Running, "told", clock.Running, "approved", clock.Pending)
	for i, want := range []*ticketv1.Staff{
		{Id: w.staff["agent"].String(), DepartmentId: w.service.String(), Name: "service-agent"},
		{DepartmentId: desk.String(), Name: "service-supervisor"},
		{Id: w.staff["head"].String(), DepartmentId: w.afterSales.String(), Name: "department-head"},
		{Id: w.staff["tech"].String(), DepartmentId: w.afterSales.String(), Name: "handler"},
		{Id: w.staff["tech"].String(), DepartmentId: w.afterSales.String(), Name: "handler"},
		{Id: w.staff["tech"].String(), DepartmentId: w.afterSales.String(), Name: "handler"},
		{Name: "service-manager"},
	} {
		if got := list[i].GetOwner(); got.GetStaffId() != want.GetId() || got.GetDepartmentId() != want.GetDepartmentId() || got.GetRole() != want.GetName() {
			t.Errorf("owner of %s: %v, want %v", list[i].GetKind(), got, want)
		}
	}

	// 11 h of 24 h have counted when the proposal is made; 13 h are left when it is returned.
	w.set("2026-11-03 15:00:00")
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 300)))
	w.due(id, "approved", "2026-11-04 15:00:00")
	w.due(id, "told", "")
	w.set("2026-11-04 11:00:00")
	do(w.client.ApproveSolution(w.as("supervisor"), &complaintv1.ApproveSolutionRequest{
		Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "look closer",
	}))
	w.due(id, "approved", "")
	w.due(id, "told", "2026-11-05 17:00:00")
	// The next proposal has a working day of its own.
	w.set("2026-11-04 16:00:00")
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 300)))
	w.due(id, "approved", "2026-11-05 16:00:00")
	w.set("2026-11-05 15:00:00")
	do(w.client.ApproveSolution(w.as("supervisor"), approval(id)))
	w.due(id, "told", "2026-11-06 16:00:00")
	w.set("2026-11-06 16:00:00") // the very instant
	do(w.client.TellResult(w.as("tech"), told(id)))
	w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Met,
		"proposed", clock.Met, "told", clock.Met, "approved", clock.Met)
	if p := w.clocksOf(id, 1).GetPromise(); p.GetState() != clock.Missed || p.GetOwner() != nil || p.GetMissedBy().AsDuration() != 46*time.Hour {
		t.Errorf("promise %v", p)
	}
	for _, kind := range []string{"documented", "reviewed", "assigned", "contacted", "proposed", "approved", "told", "promise"} {
		w.explain(id, kind)
	}
	w.rebuilt()
}

func (w *world) assign(id, handler string) *complaintv1.Complaint {
	w.t.Helper()
	return must[*complaintv1.Complaint](w)(w.client.AssignComplaint(w.as("head"),
		&complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff[handler].String()}))
}

// nextRound takes a complaint that was told to its next round, by an unsatisfied answer.
func (w *world) nextRound(id string, disputed bool) {
	w.t.Helper()
	do := must[*complaintv1.Complaint](w)
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	w.Clock.Advance(30 * time.Minute)
	do(w.client.NextRound(w.as("manager"), &complaintv1.NextRoundRequest{Id: id, CategoryDisputed: disputed}))
}

// Round two begins at the answer, with five clocks.
func TestComplaintRoundTwo(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Told).GetId()
	w.set("2026-11-05 17:00:00")
	w.nextRound(id, false)
	w.due(id, "assigned", "2026-11-05 19:00:00") // 2 h from the answer, half an hour before
	w.states(id, 2, "assigned", clock.Running, "contacted", clock.Pending, "proposed", clock.Pending, "approved", clock.Pending, "told", clock.Pending)
	w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Met,
		"proposed", clock.Met, "told", clock.Met, "approved", clock.Met)
	if all := w.clocksOf(id, 0); len(all.GetClocks()) != 12 || all.GetPromise().GetState() != clock.Met || all.GetPromise().GetRound() != 1 {
		t.Errorf("both rounds: %v", all)
	}
	w.on(w.get("manager", id), complaint.Told, "tech")
	w.states(id, 2, "assigned", clock.Met, "contacted", clock.Met, "proposed", clock.Met, "told", clock.Met, "approved", clock.Met)
	got := must[*complaintv1.ListComplaintClocksResponse](w)(w.client.ListComplaintClocks(w.as("manager"),
		&complaintv1.ListComplaintClocksRequest{ComplaintId: id, Round: 3}))
	if len(got.GetClocks()) != 0 {
		t.Errorf("round three: %v", got)
	}
	w.rebuilt()
}

// A disputed category is reviewed again, and what the review says then counts.
func TestComplaintRoundTwoDisputed(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Told).GetId()
	w.set("2026-11-05 17:00:00")
	w.nextRound(id, true)
	w.due(id, "reviewed", "2026-11-05 18:00:00")
	w.states(id, 2, "reviewed", clock.Running, "assigned", clock.Pending, "contacted", clock.Pending, "proposed", clock.Pending,
		"approved", clock.Pending, "told", clock.Pending)
	req := w.review(id)
	req.Severity = complaintv1.Severity_SEVERITY_MAJOR
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	w.assign(id, "tech2")
	w.due(id, "proposed", "2026-11-11 17:30:00") // 4 wd from the assignment on Thursday at 17:30
	w.due(id, "told", "2026-11-12 17:00:00")     // 5 wd from the answer at 17:00
	w.states(id, 2, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Running, "proposed", clock.Running,
		"told", clock.Running, "approved", clock.Pending)
	w.rebuilt()
}

// The time of the approver is not the handler's, and 4 business hours are left after it.
func TestApprovalPendingPausesTheHandler(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Contacted).GetId()
	w.due(id, "told", "2026-11-04 18:00:00")
	w.set("2026-11-04 17:00:00")
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 300)))
	if c := w.clockOf(id, "told"); c.GetState() != clock.Paused || c.GetPauses()[0].GetReason() != clock.ReasonApprovalPending {
		t.Errorf("while approval is pending: %v", c)
	}
	w.set("2026-11-05 10:00:00")
	w.sweep()
	do(w.client.ApproveSolution(w.as("supervisor"), approval(id)))
	// One hour was left; four are, over lunch.
	got := w.due(id, "told", "2026-11-05 15:00:00")
	if e := got.GetLog()[len(got.GetLog())-1]; e.GetType() != clock.EntryExtended || e.GetWorkingTime().AsDuration() != 4*time.Hour {
		t.Errorf("log %v", got.GetLog())
	}
	w.set("2026-11-05 15:00:00")
	do(w.client.TellResult(w.as("tech"), told(id)))
	if c := w.clockOf(id, "told"); c.GetState() != clock.Met {
		t.Errorf("told is %v", c.GetState())
	}
	w.rebuilt()
}

// Time that ran out before the proposal is not given back by the approval.
func TestAMissBeforeTheProposalStays(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Contacted).GetId()
	w.set("2026-11-05 10:00:00")
	w.on(w.get("manager", id), complaint.Told, "tech")
	w.due(id, "told", "2026-11-04 18:00:00")
	if c := w.clockOf(id, "told"); c.GetState() != clock.Missed {
		t.Errorf("told is %v", c.GetState())
	}
	if c := w.clockOf(id, "approved"); c.GetState() != clock.Met {
		t.Errorf("approved is %v", c.GetState())
	}
	w.rebuilt()
}

// Each clock has one owner: who assigns late misses that clock and nobody else's.
func TestALateAssignmentMissesTheAssignmentClockAlone(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Reviewed).GetId()
	w.set("2026-11-03 09:00:00")
	w.on(w.get("manager", id), complaint.Told, "tech")
	list := w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Missed, "contacted", clock.Met,
		"proposed", clock.Met, "told", clock.Met, "approved", clock.Met)
	if by := list[2].GetMissedBy().AsDuration(); by != 22*time.Hour {
		t.Errorf("missed by %v, want 22h", by)
	}
	w.due(id, "told", "2026-11-05 18:00:00")
	if p := w.clocksOf(id, 0).GetPromise(); p.GetState() != clock.Met {
		t.Errorf("promise %v", p)
	}
	w.rebuilt()
}

// A review that says major moves the promise from its original start and makes the stages
// after it longer.
func TestSeverityChangedToMajor(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Submitted).GetId()
	w.due(id, "promise", "2026-11-04 18:00:00")
	req := w.review(id)
	req.Severity = complaintv1.Severity_SEVERITY_MAJOR
	w.set("2026-11-02 09:40:00")
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	got := w.due(id, "promise", "2026-11-06 18:00:00")
	last := got.GetLog()[len(got.GetLog())-1]
	if last.GetType() != clock.EntryRetargeted || last.GetReason() != "severity-changed" || last.GetClauseId() != "promise-major" || last.GetPolicyVersion() != 1 {
		t.Errorf("log %v", got.GetLog())
	}
	if e := w.eventsOf(got.GetClock().GetId()); len(e) != 1 || e[0].GetType() != clock.TypeRetargeted {
		t.Errorf("events %v", e)
	}
	w.assign(id, "tech")
	w.due(id, "proposed", "2026-11-06 09:40:00")
	w.due(id, "told", "2026-11-06 18:00:00") // 5 wd from receipt, later than 3 wd from assignment
	other := w.to(complaint.Submitted).GetId()
	req = w.review(other)
	req.Severity = complaintv1.Severity_SEVERITY_MAJOR
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	w.set("2026-11-05 10:00:00")
	w.assign(other, "tech")
	w.due(other, "told", "2026-11-10 10:00:00") // 3 wd from the late assignment
	w.rebuilt()
}

// Hours run day and night, working days from the next working instant.
func TestAComplaintCreatedAtNight(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-06 22:30:00") // a Friday
	id := w.to(complaint.Assigned).GetId()
	w.due(id, "documented", "2026-11-06 23:30:00")
	w.due(id, "contacted", "2026-11-07 22:30:00")
	w.due(id, "proposed", "2026-11-10 18:00:00")
	w.due(id, "told", "2026-11-11 18:00:00")
	w.due(id, "promise", "2026-11-11 18:00:00")
	w.rebuilt()
}

// A clock is met by a two-way contact, or by enough attempts, when they were made.
func TestAttemptsMeetTheContactClock(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Assigned).GetId()
	w.set("2026-11-03 10:00:00") // an hour late
	w.sweep()
	if c := w.clockOf(id, "contacted"); c.GetState() != clock.Missed {
		t.Errorf("before the log is kept: %v", c)
	}
	for i, at := range []string{"2026-11-02 15:00:00", "2026-11-02 10:00:00", "2026-11-02 12:00:00"} {
		req := contact(id)
		req.TwoWay, req.ContactTime = false, timestamppb.New(clocktest.WallClock(t, at))
		if i == 1 {
			req.Channel = typev1.Channel_CHANNEL_EMAIL
		}
		do(w.client.RecordContact(w.as("tech"), req))
	}
	got := w.explain(id, "contacted").GetClock()
	if got.GetState() != clock.Met || got.GetStopReason() != "attempted" || !got.GetStopTime().AsTime().Equal(clocktest.WallClock(t, "2026-11-02 15:00:00")) {
		t.Errorf("after three attempts: %v", got)
	}
	w.rebuilt()
}

// Another handler takes over the clocks as they stand, and makes a contact of their own.
func TestAnotherHandlerTakesOver(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	id := w.to(complaint.Assigned).GetId()
	w.set("2026-11-02 10:00:00")
	w.assign(id, "tech2")
	list := w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Running,
		"proposed", clock.Running, "told", clock.Running, "approved", clock.Pending)
	for _, c := range list[3:6] {
		if c.GetOwner().GetStaffId() != w.staff["tech2"].String() || !c.GetStartTime().AsTime().Equal(clocktest.WallClock(t, "2026-11-02 09:00:00")) {
			t.Errorf("taken over: %v", c)
		}
	}
	w.on(w.get("manager", id), complaint.Contacted, "tech2")
	w.set("2026-11-02 15:00:00")
	w.assign(id, "tech")
	list = w.states(id, 1, "documented", clock.Met, "reviewed", clock.Met, "assigned", clock.Met, "contacted", clock.Met,
		"proposed", clock.Running, "told", clock.Running, "contacted", clock.Running, "approved", clock.Pending)
	if list[6].GetOwner().GetStaffId() != w.staff["tech"].String() || list[3].GetOwner().GetStaffId() != w.staff["tech2"].String() {
		t.Errorf("contacts: %v and %v", list[3], list[6])
	}
	w.due(id, "contacted", "2026-11-03 15:00:00")
	w.due(id, "told", "2026-11-04 18:00:00")
	w.rebuilt()
}

// Who decides in the end has the clock: above the manager's limit, or where customer
// service is concerned, the company manager.
func TestWhoHasTheClockOfTheDecision(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	owner := func(id string) string { return w.clockOf(id, "approved").GetOwner().GetRole() }
	id := w.to(complaint.Contacted).GetId()
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 5001)))
	if got := owner(id); got != "company-manager" {
		t.Errorf("above the limit: %s", got)
	}
	do(w.client.ApproveSolution(w.as("manager"), &complaintv1.ApproveSolutionRequest{
		Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "too much",
	}))
	do(w.client.ProposeSolution(w.as("tech"), proposal(id, 5000)))
	if got := owner(id); got != "service-manager" {
		t.Errorf("within the limit: %s", got)
	}
	id = w.to(complaint.Submitted).GetId()
	req := w.review(id)
	req.DepartmentId = w.service.String()
	do(w.client.ReviewComplaint(w.as("supervisor"), req))
	if got := owner(id); got != "company-manager" {
		t.Errorf("customer service concerned: %s", got)
	}
}

// Who heads the department by now is to assign.
func TestAnotherHeadOfDepartmentTakesOver(t *testing.T) {
	w := newWorld(t)
	waiting, done := w.to(complaint.Reviewed).GetId(), w.to(complaint.Assigned).GetId()
	for range 2 { // the second time it changes nothing
		w.applyVersion("department.changed.v1", w.afterSales, 2, &ticketv1.DepartmentChanged{Department: &ticketv1.Department{
			Id: w.afterSales.String(), Code: "x", Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES,
			HeadStaffId: w.staff["tech2"].String(),
		}})
	}
	got := w.explain(waiting, "assigned")
	if owner := got.GetClock().GetOwner(); owner.GetStaffId() != w.staff["tech2"].String() || len(got.GetLog()) != 2 || got.GetLog()[1].GetReason() != "head-changed" {
		t.Errorf("owner %v, log %v", owner, got.GetLog())
	}
	if owner := w.clockOf(done, "assigned").GetOwner(); owner.GetStaffId() != w.staff["head"].String() {
		t.Errorf("what was assigned is %v's", owner)
	}
	w.rebuilt()
}

func TestImportedComplaintsHaveNoClocks(t *testing.T) {
	w := newWorld(t)
	result := must[*complaintv1.ImportComplaintsResponse](w)(w.client.ImportComplaints(w.as("clerk"), &complaintv1.ImportComplaintsRequest{
		Source: "legacy", Records: []*complaintv1.ComplaintRecord{{
			ExternalId: "1", State: complaint.Received, CreateTime: timestamppb.New(w.Clock.Now().Add(-time.Hour)),
			Complaint: &complaintv1.Complaint{Title: "old", Channel: typev1.Channel_CHANNEL_UNKNOWN, CustomerId: w.customer},
		}},
	}))
	id := result.GetResults()[0].GetId()
	do := must[*complaintv1.Complaint](w)
	do(w.client.SubmitComplaint(w.as("manager"), &complaintv1.SubmitComplaintRequest{Id: id}))
	w.on(w.get("manager", id), complaint.Told, "tech")
	w.nextRound(id, false)
	if got := w.clocksOf(id, 0); len(got.GetClocks()) != 0 || got.GetPromise() != nil {
		t.Errorf("clocks of history: %v", got)
	}
}
