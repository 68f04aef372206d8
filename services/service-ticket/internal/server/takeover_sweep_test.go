package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) sweepTakeOvers() {
	w.t.Helper()
	if err := w.server.SweepTakeOvers(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// Once, when it begins, and only where the substitution says so.
func TestTakeOverAtTheBegin(t *testing.T) {
	w := newWorld(t)
	mate := w.staff("mate")
	waits, works := w.at(ticket.Waiting, "").GetId(), w.at(ticket.InProgress, "").GetId()
	plain := w.standsIn(mate.GetId(), 1, false)
	w.sweepTakeOvers()
	if got := w.get(works); got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("taken over without being asked: %v", got)
	}
	if _, err := w.organisation().DeleteSubstitution(w.manager(), &ticketv1.DeleteSubstitutionRequest{Id: plain.GetId()}); err != nil {
		t.Fatal(err)
	}
	later, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(1), EndTime: w.in(30), TakeOver: true}})
	if err != nil || !later.GetTakeOver() || later.GetTakeOverTime() != nil {
		t.Fatalf("%v, %v", later, err)
	}
	w.sweepTakeOvers()
	if got := w.get(works); got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("taken over before it begins: %v", got)
	}
	w.Clock.Advance(time.Hour)
	won, lost := wins(2, func(int) error { return w.server.SweepTakeOvers(t.Context()) })
	if won != 2 {
		t.Fatalf("two replicas at once: %v", lost)
	}
	for id, state := range map[string]ticket.State{waits: ticket.Waiting, works: ticket.InProgress} {
		if got := w.get(id); got.GetAssigneeStaffId() != mate.GetId() || got.GetState() != state {
			t.Errorf("not taken over: %v", got)
		}
		if n := w.count("SELECT count(*) FROM ticket_transitions WHERE ticket_id = $1 AND verb = 'handOver'", id); n != 1 {
			t.Errorf("%d hand-overs", n)
		}
	}
	list, err := w.organisation().ListSubstitutions(w.manager(), &ticketv1.ListSubstitutionsRequest{})
	if err != nil || !list.GetSubstitutions()[0].GetTakeOverTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("%v, %v", list, err)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1", later.GetId()); n != 2 {
		t.Errorf("%d audit records of the substitution, want 2", n)
	}
	// What comes into the hands later is not its matter.
	w.exec("UPDATE tickets SET assignee_staff_id = $2 WHERE id = $1", works, w.agent.GetId())
	w.sweepTakeOvers()
	if got := w.get(works); got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("taken over twice: %v", got)
	}
}

// What nobody can take stays, is told of as left, and holds up nothing else.
func TestTakeOverLeavesWhatNobodyCanTake(t *testing.T) {
	w := newWorld(t)
	mate := w.staff("mate")
	special, plain := w.at(ticket.Waiting, "").GetId(), w.at(ticket.InProgress, "").GetId()
	w.exec(`UPDATE tickets SET needs = E'\npumps', priority = 1 WHERE id = $1`, special)
	w.standsIn(mate.GetId(), 24, true)
	w.sweepTakeOvers()
	if got := w.get(plain); got.GetAssigneeStaffId() != mate.GetId() {
		t.Errorf("not taken over: %v", got)
	}
	if got := w.get(special); got.GetAssigneeStaffId() != w.agent.GetId() || got.GetState() != ticket.Waiting {
		t.Errorf("taken over by somebody without the skill: %v", got)
	}
	if n := w.count("SELECT count(*) FROM substitutions WHERE take_over_time IS NOT NULL"); n != 1 {
		t.Error("it is tried for ever")
	}
	if got := w.list(w.manager(), &ticketv1.ListTicketsRequest{InAbsentHands: true}); !slices.Equal(got, []string{special}) {
		t.Errorf("in the hands of people who are away: %v, want %s", got, special)
	}
}

func TestTicketsInAbsentHands(t *testing.T) {
	w := newWorld(t)
	mate, other := w.staff("mate"), w.department("other")
	gone := w.staffOf(other.GetId(), "gone")
	customer := w.customer(typev1.Tier_TIER_B)
	ours := w.at(ticket.InProgress, customer).GetId()
	w.at(ticket.Closed, customer)
	mates := w.given(ticket.Assigned, w.desk.GetId(), mate.GetId(), "", "")
	theirs := w.given(ticket.Waiting, other.GetId(), gone.GetId(), "", "")
	w.task(ours, "", w.agent.GetId(), false)
	away := func(req *ticketv1.ListTicketsRequest) []string {
		t.Helper()
		req.InAbsentHands = true
		got := w.list(w.manager(), req)
		slices.Sort(got)
		return got
	}
	if got := away(&ticketv1.ListTicketsRequest{}); len(got) != 0 {
		t.Errorf("everybody is there, and %v", got)
	}
	w.standsIn(mate.GetId(), 2, false)
	w.leave(gone.GetId())
	for name, c := range map[string]struct {
		req  *ticketv1.ListTicketsRequest
		want []string
	}{
		"all":             {&ticketv1.ListTicketsRequest{}, []string{ours, theirs}},
		"by due time":     {&ticketv1.ListTicketsRequest{Order: ticketv1.TicketOrder_TICKET_ORDER_DUE}, []string{ours, theirs}},
		"of a department": {&ticketv1.ListTicketsRequest{DepartmentId: other.GetId()}, []string{theirs}},
		"of somebody":     {&ticketv1.ListTicketsRequest{AssigneeStaffId: w.agent.GetId()}, []string{ours}},
		"of who is there": {&ticketv1.ListTicketsRequest{AssigneeStaffId: mate.GetId()}, nil},
		"of a state":      {&ticketv1.ListTicketsRequest{States: []ticketv1.TicketState{ticket.Waiting}}, []string{theirs}},
		"with a text":     {&ticketv1.ListTicketsRequest{Text: "leak"}, []string{ours, theirs}},
		"by number":       {&ticketv1.ListTicketsRequest{Number: w.get(mates).GetNumber()}, nil},
	} {
		slices.Sort(c.want)
		if got := away(c.req); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := w.list(w.AsStaff(access.ServiceSupervisor, "mate"), &ticketv1.ListTicketsRequest{InAbsentHands: true}); !slices.Equal(got, []string{ours}) {
		t.Errorf("to the supervisor of a department: %v", got)
	}
	err := second(w.tickets.ListTickets(w.AsCustomer(customer), &ticketv1.ListTicketsRequest{InAbsentHands: true}))
	refused(t, "a customer", err, codes.InvalidArgument, "VALIDATION_FAILED", "in_absent_hands")
	counts, err := w.deskService().CountQueues(w.manager(), &ticketv1.CountQueuesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range counts.GetQueues() {
		want := map[string][2]int32{w.desk.GetId(): {1, 1}, other.GetId(): {1, 0}}[c.GetDepartmentId()]
		if got := [2]int32{c.GetInAbsentHands(), c.GetTasksInAbsentHands()}; got != want {
			t.Errorf("counted %v in department %s, want %v", got, c.GetDepartmentId(), want)
		}
	}
	// Nothing of it depends on the substitution any more once it is over.
	w.Clock.Advance(3 * time.Hour)
	if got := away(&ticketv1.ListTicketsRequest{}); !slices.Equal(got, []string{theirs}) {
		t.Errorf("when the agent is back: %v", got)
	}
	w.change(w.agent.GetId(), &ticketv1.Staff{Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY}, "status")
	if got := away(&ticketv1.ListTicketsRequest{}); len(got) != 2 {
		t.Errorf("away by status: %v", got)
	}
}
