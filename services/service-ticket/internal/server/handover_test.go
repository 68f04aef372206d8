package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	bySubstitute = ticketv1.HandoverWay_HANDOVER_WAY_SUBSTITUTE
	byTheRules   = ticketv1.HandoverWay_HANDOVER_WAY_RULES
	toTheQueue   = ticketv1.HandoverWay_HANDOVER_WAY_QUEUE
	toThePerson  = ticketv1.HandoverWay_HANDOVER_WAY_PERSON
)

func (w *world) handovers() ticketv1.HandoverServiceClient {
	return ticketv1.NewHandoverServiceClient(w.Conn)
}

// handOver hands over all that is in the agent's hands.
func (w *world) handOver(ctx context.Context, way ticketv1.HandoverWay, to string) (*ticketv1.HandoverResponse, error) {
	return w.handovers().HandOver(ctx, &ticketv1.HandOverRequest{StaffId: w.agent.GetId(), Way: way, ToStaffId: to, Reason: "on leave"})
}

// standsIn has somebody stand in for the agent from an hour ago for some hours.
func (w *world) standsIn(who string, hours int, takeOver bool) *ticketv1.Substitution {
	w.t.Helper()
	out, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: who, StartTime: w.in(-1), EndTime: w.in(hours), Reason: "annual leave", TakeOver: takeOver}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// lines tells of each result the way and to whom, or the reasons of its refusals.
func lines(out *ticketv1.HandoverResponse, names map[string]string) (all []string) {
	for _, r := range out.GetResults() {
		line := strings.ToLower(strings.TrimPrefix(r.GetWay().String(), "HANDOVER_WAY_")) + " " + names[r.GetToStaffId()]
		for _, refusal := range r.GetRefusals() {
			line += " " + refusal.GetReason()
		}
		all = append(all, strings.TrimSpace(strings.TrimPrefix(line, "unspecified")))
	}
	return all
}

func TestHandOverToTheSubstitute(t *testing.T) {
	w := newWorld(t)
	mate := w.staff("mate")
	customer := w.customer(typev1.Tier_TIER_B)
	waits, works := w.at(ticket.Waiting, customer).GetId(), w.at(ticket.InProgress, customer).GetId()
	w.at(ticket.Resolved, customer)
	part := w.given(ticket.InProgress, w.desk.GetId(), mate.GetId(), "", "")
	task := w.task(part, "", w.agent.GetId(), true).GetId()
	before := map[string]*ticketv1.Ticket{waits: w.get(waits), works: w.get(works)}
	held := w.clocksOf(waits)
	_, err := w.handOver(w.manager(), bySubstitute, "")
	refused(t, "without a substitute", err, codes.FailedPrecondition, "HANDOVER_NO_SUBSTITUTE", "")
	w.standsIn(mate.GetId(), 24, false)
	w.Clock.Advance(20 * time.Minute)

	preview, err := w.handovers().PreviewHandover(w.manager(), &ticketv1.PreviewHandoverRequest{StaffId: w.agent.GetId()})
	names := map[string]string{mate.GetId(): "mate"}
	want := []string{"substitute mate", "substitute mate", "substitute mate"}
	if err != nil || !slices.Equal(lines(preview, names), want) || preview.GetDone() != 3 || preview.GetInHands() != 3 {
		t.Fatalf("preview %v, %v", preview, err)
	}
	if got := w.get(works); got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("the preview moved %v", got)
	}
	out, err := w.handOver(w.manager(), 0, "")
	if err != nil || !slices.Equal(lines(out, names), want) || out.GetDone() != 3 || out.GetInHands() != 0 {
		t.Fatalf("handed over %v, %v", out, err)
	}
	for id, was := range before {
		got := w.get(id)
		if got.GetAssigneeStaffId() != mate.GetId() || got.GetState() != was.GetState() || got.GetWaitFor() != was.GetWaitFor() ||
			got.GetRound() != was.GetRound() || got.GetDepartmentId() != w.desk.GetId() {
			t.Errorf("handed over: %v, was %v", got, was)
		}
		w.replay(id)
		events := w.eventsOf(id)
		if last := events[len(events)-2:]; last[0].GetType() != "ticket.reassigned.v1" || last[1].GetType() != "comment.added.v1" {
			t.Errorf("events %v", last)
		}
	}
	// What waits keeps its clocks, which have another owner.
	for kind, was := range held {
		got := w.clocksOf(waits)[kind]
		if got.GetState() != was.GetState() || !got.GetStartTime().AsTime().Equal(was.GetStartTime().AsTime()) || len(got.GetPauses()) != len(was.GetPauses()) {
			t.Errorf("clock %s: %v, was %v", kind, got, was)
		}
	}
	if got := w.state(waits, "resolution", clock.Paused); got.GetOwner().GetStaffId() != mate.GetId() {
		t.Errorf("owner of the paused clock: %v", got.GetOwner())
	}
	// Of what does not wait the contact is the new assignee's own.
	if got := w.state(works, "contact", clock.Running); !got.GetStartTime().AsTime().Equal(w.Clock.Now()) || got.GetOwner().GetStaffId() != mate.GetId() {
		t.Errorf("the contact clock: %v", got)
	}
	history, err := w.tickets.ListTransitions(w.manager(), &ticketv1.ListTransitionsRequest{TicketId: waits})
	if err != nil {
		t.Fatal(err)
	}
	last := history.GetTransitions()[len(history.GetTransitions())-1]
	if last.GetVerb() != "handOver" || last.GetReason() != "on leave" || last.GetAssigneeStaffId() != mate.GetId() || last.GetTo() != ticket.Waiting {
		t.Errorf("the move is recorded as %v", last)
	}
	notes := append(w.words(works), w.words(part)...)
	if len(notes) != 2 || !strings.Contains(notes[0], "on leave") || !strings.Contains(notes[0], "转交 王芳") || !strings.Contains(notes[1], "sub-task “") {
		t.Errorf("notes %q", notes)
	}
	if n := w.count("SELECT count(*) FROM comments WHERE public"); n != 0 {
		t.Errorf("%d notes are public", n)
	}
	if n := w.count("SELECT count(*) FROM tasks WHERE id = $1 AND owner_staff_id = $2 AND version = 2", task, mate.GetId()); n != 1 {
		t.Error("the sub-task is not the substitute's")
	}
	if events := w.eventsOf(task); events[len(events)-1].GetType() != "task.reassigned.v1" {
		t.Errorf("events of the sub-task %v", events)
	}
	if n := w.count("SELECT count(*) FROM audit_records WHERE object_id = $1", task); n != 2 {
		t.Errorf("%d audit records of the sub-task, want 2", n)
	}
	// When the absent one comes back, nothing moves.
	w.Clock.Advance(48 * time.Hour)
	if err := w.server.SweepTakeOvers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.get(works); got.GetAssigneeStaffId() != mate.GetId() {
		t.Errorf("moved back: %v", got)
	}
}

func TestHandOverByTheRules(t *testing.T) {
	w := newWorld(t)
	one, two, english := w.staff("one"), w.staff("two"), w.staff("english")
	w.change(english.GetId(), &ticketv1.Staff{Languages: []string{"en"}, Skills: []string{"pumps"}}, "languages", "skills")
	names := map[string]string{one.GetId(): "one", two.GetId(): "two", english.GetId(): "english"}
	special := w.at(ticket.InProgress, "").GetId()
	needs := &ticketv1.TicketNeeds{Language: "en", Skills: []string{"pumps"}}
	if _, err := w.queue().SetTicketNeeds(w.manager(), &ticketv1.SetTicketNeedsRequest{Id: special, Needs: needs}); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.at(ticket.Assigned, "")
	}
	// The least load, with what goes before in mind, in the preview as when it is done.
	count := func(out *ticketv1.HandoverResponse, err error) map[string]int {
		t.Helper()
		if err != nil || out.GetDone() != 5 {
			t.Fatalf("%v, %v", out, err)
		}
		n := map[string]int{}
		for _, line := range lines(out, names) {
			n[line]++
		}
		return n
	}
	preview := count(w.handovers().PreviewHandover(w.manager(), &ticketv1.PreviewHandoverRequest{StaffId: w.agent.GetId(), Way: byTheRules}))
	if preview["rules english"] != 1 || preview["rules one"] != 2 || preview["rules two"] != 2 {
		t.Errorf("preview %v", preview)
	}
	if got := count(w.handOver(w.manager(), byTheRules, "")); fmt.Sprint(got) != fmt.Sprint(preview) {
		t.Errorf("%v, the preview said %v", got, preview)
	}
	if got := w.get(special); got.GetAssigneeStaffId() != english.GetId() {
		t.Errorf("what needs English went to %v", got)
	}
}

// Where nobody is ready the queue gets it back, but for what waits for the customer.
func TestHandOverToTheQueue(t *testing.T) {
	w := newWorld(t)
	waits, works := w.at(ticket.Waiting, "").GetId(), w.at(ticket.InProgress, w.customer(typev1.Tier_TIER_B)).GetId()
	part := w.given(ticket.InProgress, w.desk.GetId(), w.staffOf(w.department("other").GetId(), "stranger").GetId(), "", "")
	task := w.task(part, "", w.agent.GetId(), false).GetId()
	out, err := w.handOver(w.manager(), byTheRules, "")
	if err != nil || out.GetDone() != 0 || out.GetInHands() != 3 || strings.Join(lines(out, nil), ",") != "NOBODY_READY,NOBODY_READY,NOBODY_READY" {
		t.Fatalf("%v, %v", out, err)
	}
	if out, err = w.handOver(w.manager(), 0, ""); err != nil || out.GetDone() != 2 || out.GetInHands() != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	for _, r := range out.GetResults() {
		if r.GetTicketId() == waits && (len(r.GetRefusals()) != 2 || r.GetRefusals()[0].GetReason() != "NOBODY_READY" || r.GetRefusals()[1].GetReason() != ticket.ReasonWrongState) {
			t.Errorf("what waits: %v", r)
		}
		if r.GetTicketId() == works && r.GetTaskId() == "" && (r.GetState() != ticket.Triaged || r.GetEtag() != w.get(works).GetEtag()) {
			t.Errorf("what goes to the queue: %v, is %v", r, w.get(works))
		}
	}
	if got := w.get(waits); got.GetState() != ticket.Waiting || got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("what waits is %v", got)
	}
	got := w.get(works)
	if got.GetState() != ticket.Triaged || got.GetAssigneeStaffId() != "" || got.GetDepartmentId() != w.desk.GetId() {
		t.Errorf("released: %v", got)
	}
	w.replay(works)
	if c := w.state(works, "resolution", clock.Running); c.GetOwner().GetStaffId() != "" || c.GetOwner().GetDepartmentId() != w.desk.GetId() {
		t.Errorf("the clock of the queue's ticket is kept by %v", c.GetOwner())
	}
	if n := w.count("SELECT count(*) FROM tasks WHERE id = $1 AND owner_staff_id IS NULL AND department_id = $2", task, w.desk.GetId()); n != 1 {
		t.Error("the sub-task is not for anybody of the department")
	}
	w.staff("mate")
	if next, err := w.next("mate"); err != nil || next.GetId() != works {
		t.Errorf("pulled %v, %v", next, err)
	}
}

func TestHandOverGuards(t *testing.T) {
	w := newWorld(t)
	mate, other := w.staff("mate"), w.staffOf(w.department("other").GetId(), "stranger")
	of := w.at(ticket.InProgress, "")
	preview := func(ctx context.Context, way ticketv1.HandoverWay, to string) error {
		return second(w.handovers().PreviewHandover(ctx, &ticketv1.PreviewHandoverRequest{StaffId: w.agent.GetId(), Way: way, ToStaffId: to}))
	}
	for _, c := range []struct {
		who string
		ctx context.Context
		ok  bool
	}{
		{"oneself", w.AsStaff(access.ServiceAgent, "agent-1"), true}, {"a mate", w.AsStaff(access.ServiceAgent, "mate"), false},
		{"the supervisor", w.AsStaff(access.ServiceSupervisor, "mate"), true}, {"another supervisor", w.AsStaff(access.ServiceSupervisor, "stranger"), false},
		{"somebody unknown", w.AsStaff(access.ServiceSupervisor, "nobody"), false}, {"the manager", w.manager(), true},
		{"an engineer", w.AsStaff(access.SupportEngineer, "agent-1"), false},
	} {
		for name, err := range map[string]error{
			"preview": preview(c.ctx, toTheQueue, ""),
			"do": second(w.handovers().HandOver(c.ctx, &ticketv1.HandOverRequest{StaffId: w.agent.GetId(), Way: toTheQueue, Reason: "x",
				Items: []*ticketv1.HandoverItem{{Item: &ticketv1.HandoverItem_TicketId{TicketId: nowhere}}}})),
		} {
			if code := map[bool]codes.Code{true: codes.OK, false: codes.PermissionDenied}[c.ok]; rpcerr.Reason(err) != map[bool]string{false: "PERMISSION_DENIED"}[c.ok] {
				t.Errorf("%s by %s: %v, want %v", name, c.who, err, code)
			}
		}
	}
	for _, c := range []struct {
		way       ticketv1.HandoverWay
		to, field string
	}{
		{toThePerson, "", "to_staff_id"}, {toTheQueue, mate.GetId(), "to_staff_id"}, {toThePerson, w.agent.GetId(), "to_staff_id"},
		{toThePerson, nowhere, "to_staff_id"}, {9, "", "way"},
	} {
		refused(t, fmt.Sprint(c), preview(w.manager(), c.way, c.to), codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
	err := second(w.handovers().PreviewHandover(w.manager(), &ticketv1.PreviewHandoverRequest{StaffId: nowhere}))
	refused(t, "unknown", err, codes.NotFound, "STAFF_NOT_FOUND", "")
	err = second(w.handovers().HandOver(w.manager(), &ticketv1.HandOverRequest{StaffId: w.agent.GetId()}))
	refused(t, "without a reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")

	one := func(what, id, etag, to, reason string) {
		t.Helper()
		out, err := w.handovers().HandOver(w.manager(), &ticketv1.HandOverRequest{StaffId: w.agent.GetId(), Way: toThePerson, ToStaffId: to, Reason: "x",
			Items: []*ticketv1.HandoverItem{{Item: &ticketv1.HandoverItem_TicketId{TicketId: id}, Etag: etag}}})
		if err != nil || out.GetDone() != 0 || len(out.GetResults()[0].GetRefusals()) != 1 || out.GetResults()[0].GetRefusals()[0].GetReason() != reason {
			t.Errorf("%s: %v, %v, want %s", what, out, err, reason)
		}
	}
	one("unknown", nowhere, "", mate.GetId(), "TICKET_NOT_FOUND")
	one("stale", of.GetId(), "1", mate.GetId(), "ETAG_MISMATCH")
	one("resolved", w.at(ticket.Resolved, "").GetId(), "", mate.GetId(), "TICKET_WRONG_STATE")
	one("nobody's", w.at(ticket.Triaged, "").GetId(), "", mate.GetId(), "HANDOVER_NOT_IN_HANDS")
	if _, err := w.queue().SetTicketNeeds(w.manager(), &ticketv1.SetTicketNeedsRequest{Id: of.GetId(), Needs: &ticketv1.TicketNeeds{Skills: []string{"pumps"}}}); err != nil {
		t.Fatal(err)
	}
	one("unskilled", of.GetId(), "", mate.GetId(), "HANDOVER_UNFIT")
	w.change(other.GetId(), &ticketv1.Staff{Skills: []string{"pumps"}, Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY}, "skills", "status")
	one("away", of.GetId(), "", other.GetId(), "HANDOVER_UNFIT")
	w.leave(other.GetId())
	one("gone", of.GetId(), "", other.GetId(), "STAFF_OFF_DUTY")

	// Who is named hands on to whoever stands in for them, and so back to the one who leaves.
	if _, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: mate.GetId(), SubstituteStaffId: w.agent.GetId(), StartTime: w.in(-1), EndTime: w.in(1)}}); err != nil {
		t.Fatal(err)
	}
	refused(t, "back again", preview(w.manager(), toThePerson, mate.GetId()), codes.InvalidArgument, "VALIDATION_FAILED", "to_staff_id")
}

func TestHandOverOfTasks(t *testing.T) {
	w := newWorld(t)
	mate, other := w.staff("mate"), w.department("other")
	w.staffOf(other.GetId(), "stranger")
	of := w.at(ticket.InProgress, "")
	theirs := w.task(of.GetId(), other.GetId(), w.agent.GetId(), true)
	foreign := w.task(w.given(ticket.InProgress, other.GetId(), "", "", ""), "", mate.GetId(), false)
	item := func(ctx context.Context, id, etag string, way ticketv1.HandoverWay) *ticketv1.HandoverResult {
		t.Helper()
		out, err := w.handovers().HandOver(ctx, &ticketv1.HandOverRequest{StaffId: w.agent.GetId(), Way: way, Reason: "x",
			Items: []*ticketv1.HandoverItem{{Item: &ticketv1.HandoverItem_TaskId{TaskId: id}, Etag: etag}}})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetResults()[0]
	}
	reason := func(what string, r *ticketv1.HandoverResult, want string) {
		t.Helper()
		if len(r.GetRefusals()) != 1 || r.GetRefusals()[0].GetReason() != want {
			t.Errorf("%s: %v, want %s", what, r, want)
		}
	}
	reason("unknown", item(w.manager(), nowhere, "", toTheQueue), "TASK_NOT_FOUND")
	reason("stale", item(w.manager(), theirs.GetId(), "7", toTheQueue), "ETAG_MISMATCH")
	reason("somebody else's, to a manager", item(w.manager(), foreign.GetId(), "", toTheQueue), "HANDOVER_NOT_IN_HANDS")
	reason("somebody else's, to who does not reach it", item(w.AsStaff(access.ServiceAgent, "agent-1"), foreign.GetId(), "", toTheQueue), "TASK_NOT_FOUND")
	// By the rules it goes to somebody of the department that does it.
	r := item(w.manager(), theirs.GetId(), theirs.GetEtag(), byTheRules)
	if r.GetDepartmentId() != other.GetId() || w.count("SELECT count(*) FROM tasks k JOIN staff s ON s.id = k.owner_staff_id WHERE k.id = $1 AND s.subject = 'stranger' AND k.department_id = $2",
		theirs.GetId(), other.GetId()) != 1 || r.GetEtag() != "2" {
		t.Errorf("by the rules: %v", r)
	}
	done := w.task(of.GetId(), "", w.agent.GetId(), false)
	if _, err := w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: done.GetId(), Result: "done"}); err != nil {
		t.Fatal(err)
	}
	reason("done", item(w.manager(), done.GetId(), "", toTheQueue), "TASK_WRONG_STATE")
}

// Of two hand-overs at once each ticket goes once, and what is resolved meanwhile stays.
func TestHandOverRaces(t *testing.T) {
	w := newWorld(t)
	a, b := w.staff("a"), w.staff("b")
	var ids []string
	for range 6 {
		ids = append(ids, w.at(ticket.InProgress, "").GetId())
	}
	done := make([]int32, 2)
	won, lost := wins(2, func(i int) error {
		out, err := w.handOver(w.manager(), toThePerson, []string{a.GetId(), b.GetId()}[i])
		done[i] = out.GetDone()
		return err
	})
	if won != 2 || done[0]+done[1] != 6 {
		t.Errorf("%d calls were answered (%v), %v tickets were handed over", won, lost, done)
	}
	if n := w.count("SELECT count(*) FROM ticket_transitions WHERE verb = 'handOver'"); n != 6 {
		t.Errorf("%d hand-overs of six tickets", n)
	}
	for i := range 6 {
		w.exec("UPDATE tickets SET assignee_staff_id = $2 WHERE id = $1", ids[i], w.agent.GetId())
	}
	var out *ticketv1.HandoverResponse
	won, lost = wins(7, func(i int) (err error) {
		if i == 6 {
			out, err = w.handOver(w.manager(), toThePerson, a.GetId())
			return err
		}
		_, err = w.do(w.AsStaff(access.ServiceAgent, "agent-1"), "resolve", ids[i], "")
		return err
	})
	for _, err := range lost {
		if r := rpcerr.Reason(err); r != "PERMISSION_DENIED" && r != "TICKET_NOT_FOUND" {
			t.Errorf("lost by %v", err)
		}
	}
	resolved := 0
	for _, id := range ids {
		w.replay(id)
		got := w.get(id)
		if got.GetState() == ticket.Resolved {
			resolved++
		}
		if (got.GetState() == ticket.Resolved) != (got.GetAssigneeStaffId() == w.agent.GetId()) {
			t.Errorf("both happened: %v", got)
		}
	}
	if won-1 != resolved || int(out.GetDone()) != 6-resolved {
		t.Errorf("%d resolved of %d answered, %d handed over", resolved, won-1, out.GetDone())
	}
}

// What was done is not done again, and what was refused is tried anew.
func TestARepeatedHandOver(t *testing.T) {
	w := newWorld(t)
	id := w.at(ticket.Waiting, "").GetId()
	req := &ticketv1.HandOverRequest{StaffId: w.agent.GetId(), Way: byTheRules, Reason: "x", RequestId: "again",
		Items: []*ticketv1.HandoverItem{{Item: &ticketv1.HandoverItem_TicketId{TicketId: id}}}}
	if out, err := w.handovers().HandOver(w.manager(), req); err != nil || out.GetDone() != 0 {
		t.Fatalf("%v, %v", out, err)
	}
	w.staff("mate")
	for range 2 {
		if out, err := w.handovers().HandOver(w.manager(), req); err != nil || out.GetDone() != 1 || out.GetResults()[0].GetWay() != byTheRules {
			t.Fatalf("%v, %v", out, err)
		}
	}
	if n := w.count("SELECT count(*) FROM ticket_transitions WHERE verb = 'handOver'"); n != 1 {
		t.Errorf("%d hand-overs", n)
	}
}
