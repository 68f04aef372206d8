package server_test

import (
	"slices"
	"testing"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// closes closes a department.
func (w *world) closes(id, successor string) (*ticketv1.Department, error) {
	return w.directory.CloseDepartment(w.manager(), &ticketv1.CloseDepartmentRequest{Id: id, SuccessorId: successor, Reason: "merged"})
}

func (w *world) getDepartment(id string) *ticketv1.Department {
	w.t.Helper()
	d, err := w.directory.GetDepartment(w.manager(), &ticketv1.GetDepartmentRequest{Id: id})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// below adds a department below another.
func (w *world) below(parent, code string) *ticketv1.Department {
	w.t.Helper()
	d, err := w.directory.CreateDepartment(w.manager(), &ticketv1.CreateDepartmentRequest{
		Department: &ticketv1.Department{Code: code, Name: &typev1.Text{Zh: "组"}, ParentId: parent}})
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// furnished gives the desk something of everything.
func (w *world) furnished() (waits, works, queued, done, task string) {
	w.t.Helper()
	waits, works = w.at(ticket.Waiting, "").GetId(), w.at(ticket.InProgress, w.customer(typev1.Tier_TIER_B)).GetId()
	queued, done = w.at(ticket.Triaged, "").GetId(), w.at(ticket.Closed, "").GetId()
	task = w.task(works, w.desk.GetId(), "", false).GetId()
	ctx, desk := w.manager(), w.desk.GetId()
	for what, err := range map[string]error{
		"route": second(w.organisation().SetRoute(ctx, &ticketv1.SetRouteRequest{ProductModel: "P-1", DepartmentId: desk})),
		"station": second(w.organisation().CreateStation(ctx, &ticketv1.CreateStationRequest{Station: &ticketv1.Station{
			Code: "wuhan-1", Name: &typev1.Text{Zh: "武汉"}, DepartmentId: desk, Latitude: 30, Longitude: 114}})),
		"roster": second(w.duty().CreateDutyRoster(ctx, &ticketv1.CreateDutyRosterRequest{Roster: &ticketv1.DutyRoster{
			Code: "night", Name: &typev1.Text{Zh: "夜班"}, DepartmentId: desk}})),
		"answer": second(ticketv1.NewCannedAnswerServiceClient(w.Conn).CreateCannedAnswer(ctx, &ticketv1.CreateCannedAnswerRequest{Answer: &ticketv1.CannedAnswer{
			Code: "hello", Title: "x", DepartmentId: desk, Texts: []*ticketv1.CannedText{{Language: "zh-CN", Body: "您好"}}}})),
		"hotline": second(w.hotlines().CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: hotline(0, w.agent.GetId())})),
	} {
		if err != nil {
			w.t.Fatal(what, err)
		}
	}
	return waits, works, queued, done, task
}

func TestADepartmentIsTakenOver(t *testing.T) {
	w := newWorld(t)
	next, below := w.department("next"), w.below(w.desk.GetId(), "below")
	gone := w.staff("gone")
	w.leave(gone.GetId())
	waits, works, queued, done, task := w.furnished()
	_, err := w.closes(w.desk.GetId(), "")
	refused(t, "without a successor", err, codes.FailedPrecondition, "DEPARTMENT_IN_USE", "successor_id")
	for key, want := range map[string]string{"members": "1", "departments": "1", "tickets": "3", "tasks": "1", "routes": "1", "hotlines": "1", "rosters": "1", "stations": "1", "canned_answers": "1"} {
		if got := rpcerr.Info(err).GetMetadata()[key]; got != want {
			t.Errorf("%s: %q, want %s", key, got, want)
		}
	}
	before := w.get(waits)
	closed, err := w.closes(w.desk.GetId(), next.GetId())
	if err != nil || closed.GetSuccessorId() != next.GetId() || !closed.GetCloseTime().AsTime().Equal(w.Clock.Now()) {
		t.Fatal(closed, err)
	}
	for _, id := range []string{waits, works, queued} {
		got := w.get(id)
		if got.GetDepartmentId() != next.GetId() {
			t.Errorf("not taken over: %v", got)
		}
		events := w.eventsOf(id)
		if events[len(events)-1].GetType() != "ticket.rehomed.v1" {
			t.Errorf("events %v", events)
		}
		w.replay(id)
	}
	if got := w.get(waits); got.GetState() != ticket.Waiting || got.GetWaitFor() != before.GetWaitFor() || got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("more than the department changed: %v", got)
	}
	if c := w.state(works, "resolution", clock.Running); c.GetOwner().GetDepartmentId() != next.GetId() {
		t.Errorf("its clock is kept by %v", c.GetOwner())
	}
	if got := w.get(done); got.GetDepartmentId() != w.desk.GetId() {
		t.Errorf("what has ended moved: %v", got)
	}
	for what, sql := range map[string]string{
		"members": "SELECT count(*) FROM staff WHERE subject = 'agent-1' AND department_id = $1", "tasks": "SELECT count(*) FROM tasks WHERE department_id = $1",
		"routes": "SELECT count(*) FROM routes WHERE department_id = $1", "stations": "SELECT count(*) FROM stations WHERE department_id = $1",
		"rosters": "SELECT count(*) FROM duty_rosters WHERE department_id = $1", "answers": "SELECT count(*) FROM canned_answers WHERE department_id = $1",
		"below": "SELECT count(*) FROM departments WHERE parent_id = $1",
	} {
		if n := w.count(sql, next.GetId()); n != 1 {
			t.Errorf("%s: %d, want 1", what, n)
		}
	}
	if n := w.count("SELECT count(*) FROM staff WHERE id = $1 AND department_id = $2", gone.GetId(), w.desk.GetId()); n != 1 {
		t.Error("who left moved")
	}
	w.staffOf(next.GetId(), "head")
	for who, want := range map[string]string{"head": "", "agent-1": "", "nobody": "PERMISSION_DENIED"} {
		_, err := w.handovers().PreviewHandover(w.AsStaff(access.ServiceSupervisor, who), &ticketv1.PreviewHandoverRequest{StaffId: gone.GetId()})
		if rpcerr.Reason(err) != want {
			t.Errorf("what is in the hands of who left, to %s: %v, want %q", who, err, want)
		}
	}
	for id, kind := range map[string]string{w.agent.GetId(): "staff.changed.v1", below.GetId(): "department.changed.v1", w.desk.GetId(): "department.changed.v1", task: "task.reassigned.v1"} {
		events := w.eventsOf(id)
		if last := events[len(events)-1]; last.GetType() != kind || last.GetSubjectVersion() != 2 {
			t.Errorf("the last event of %s is %v", id, last)
		}
	}
	events := w.eventsOf(w.desk.GetId())
	payload, err := event.Unpack[*ticketv1.DepartmentChanged](events[len(events)-1])
	if err != nil || payload.GetDepartment().GetCloseTime() == nil || payload.GetDepartment().GetSuccessorId() != next.GetId() {
		t.Errorf("other services are told %v, %v", payload, err)
	}
}

// Whatever names a closed department is refused, or goes to its successor.
func TestNothingNewComesToAClosedDepartment(t *testing.T) {
	w := newWorld(t)
	ctx, next, old := w.manager(), w.department("next"), w.functional("old", ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES)
	of, left := w.at(ticket.New, "").GetId(), w.staffOf(old, "left")
	resolved := w.given(ticket.Triaged, old, "", "", "")
	w.exec("UPDATE tickets SET state = 6, resolve_time = create_time, assignee_staff_id = $2 WHERE id = $1", resolved, w.agent.GetId())
	w.leave(left.GetId())
	if _, err := w.closes(old, next.GetId()); err != nil {
		t.Fatal(err)
	}
	due := w.in(5)
	for field, err := range map[string]error{
		"department_id (triage)": second(w.tickets.TriageTicket(ctx, &ticketv1.TriageTicketRequest{
			Id: of, Type: ticketv1.TicketType_TICKET_TYPE_REPAIR, Priority: p2, DepartmentId: old, Reason: "x"})),
		"department_id (transfer)":      second(w.queue().TransferTicket(ctx, &ticketv1.TransferTicketRequest{Id: of, DepartmentId: old, Reason: "x"})),
		"task.department_id (task)":     second(w.tasks().CreateTask(ctx, &ticketv1.CreateTaskRequest{TicketId: of, Task: &ticketv1.Task{Title: "x", DepartmentId: old, DueTime: due}})),
		"department_id (route)":         second(w.organisation().SetRoute(ctx, &ticketv1.SetRouteRequest{ProductModel: "P-1", DepartmentId: old})),
		"staff.department_id (staff)":   second(w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{Staff: &ticketv1.Staff{Name: "x", DepartmentId: old}})),
		"staff.department_id (back)":    second(w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{Staff: &ticketv1.Staff{Id: left.GetId(), Status: 1}, UpdateMask: mask("status")})),
		"department.parent_id (parent)": second(w.directory.CreateDepartment(ctx, &ticketv1.CreateDepartmentRequest{Department: &ticketv1.Department{Code: "x", Name: &typev1.Text{Zh: "x"}, ParentId: old}})),
		"roster.department_id (roster)": second(w.duty().CreateDutyRoster(ctx, &ticketv1.CreateDutyRosterRequest{Roster: &ticketv1.DutyRoster{Code: "x", Name: &typev1.Text{Zh: "x"}, DepartmentId: old}})),
		"station.department_id (station)": second(w.organisation().CreateStation(ctx, &ticketv1.CreateStationRequest{Station: &ticketv1.Station{
			Code: "x", Name: &typev1.Text{Zh: "x"}, DepartmentId: old}})),
		"successor_id (successor)": second(w.closes(w.desk.GetId(), old)),
	} {
		path := field[:slices.Index([]byte(field), ' ')]
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", path)
	}
	// The function's default is another's, or nobody's.
	_, err := w.organisation().ResolveRoute(ctx, &ticketv1.ResolveRouteRequest{Type: ticketv1.TicketType_TICKET_TYPE_REPAIR})
	refused(t, "the default route", err, codes.NotFound, "ROUTE_NOT_FOUND", "")
	if got, err := w.do(ctx, "reopen", resolved, ""); err != nil || got.GetDepartmentId() != next.GetId() || got.GetAssigneeStaffId() != w.agent.GetId() {
		t.Errorf("reopened %v, %v", got, err)
	}
	counts, err := w.deskService().CountQueues(ctx, &ticketv1.CountQueuesRequest{})
	if err != nil || slices.ContainsFunc(counts.GetQueues(), func(c *ticketv1.QueueCount) bool { return c.GetDepartmentId() == old }) {
		t.Errorf("queues %v, %v", counts, err)
	}
	list, err := w.directory.ListDepartments(ctx, &ticketv1.ListDepartmentsRequest{})
	if err != nil || !slices.ContainsFunc(list.GetDepartments(), func(d *ticketv1.Department) bool { return d.GetId() == old && d.GetCloseTime() != nil }) {
		t.Errorf("the closed one is not listed: %v, %v", list, err)
	}
}

// A rule of triage that names a closed department leads to who goes on.
func TestTriageFollowsTheSuccessor(t *testing.T) {
	w := newWorld(t)
	ctx, next, last := w.manager(), w.department("next"), w.department("last")
	draft, err := w.triage().CreateTriageRules(ctx, &ticketv1.CreateTriageRulesRequest{TriageRules: &ticketv1.TriageRules{Note: "x", Rules: []*ticketv1.TriageRule{
		{RuleId: "pumps", ProductModels: []string{"P-1"}, DepartmentId: w.desk.GetId(), Confidence: 0.9}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.triage().PublishTriageRules(ctx, &ticketv1.PublishTriageRulesRequest{Version: draft.GetVersion()}); err != nil {
		t.Fatal(err)
	}
	goes := func() string {
		t.Helper()
		return w.create(&ticketv1.Ticket{ProductModel: "P-1"}).GetDepartmentId()
	}
	if got := goes(); got != w.desk.GetId() {
		t.Fatalf("before: %s", got)
	}
	for _, step := range [][2]string{{w.desk.GetId(), next.GetId()}, {next.GetId(), last.GetId()}} {
		if _, err := w.closes(step[0], step[1]); err != nil {
			t.Fatal(err)
		}
		if got := goes(); got != step[1] {
			t.Errorf("after: %s, want %s", got, step[1])
		}
	}
}

func TestCloseAndReopen(t *testing.T) {
	w := newWorld(t)
	ctx, top := w.manager(), w.department("top")
	empty := w.below(top.GetId(), "empty")
	refused(t, "itself", second(w.closes(empty.GetId(), empty.GetId())), codes.InvalidArgument, "VALIDATION_FAILED", "successor_id")
	refused(t, "unknown", second(w.closes(nowhere, "")), codes.NotFound, "DEPARTMENT_NOT_FOUND", "")
	refused(t, "an unknown successor", second(w.closes(empty.GetId(), nowhere)), codes.InvalidArgument, "VALIDATION_FAILED", "successor_id")
	_, err := w.directory.CloseDepartment(ctx, &ticketv1.CloseDepartmentRequest{Id: empty.GetId(), Reason: "x", Etag: "9"})
	refused(t, "stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	_, err = w.directory.CloseDepartment(ctx, &ticketv1.CloseDepartmentRequest{Id: empty.GetId()})
	refused(t, "no reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	_, err = w.directory.CloseDepartment(w.AsStaff(access.ServiceSupervisor, "agent-1"), &ticketv1.CloseDepartmentRequest{Id: empty.GetId(), Reason: "x"})
	refused(t, "a supervisor", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	reopen := func(id, etag string) (*ticketv1.Department, error) {
		return w.directory.ReopenDepartment(ctx, &ticketv1.ReopenDepartmentRequest{Id: id, Etag: etag})
	}
	refused(t, "an open one", second(reopen(empty.GetId(), "")), codes.FailedPrecondition, "DEPARTMENT_NOT_CLOSED", "")
	if got, err := w.closes(empty.GetId(), ""); err != nil || got.GetCloseTime() == nil || got.GetSuccessorId() != "" {
		t.Fatal(got, err)
	}
	refused(t, "twice", second(w.closes(empty.GetId(), "")), codes.FailedPrecondition, "DEPARTMENT_CLOSED", "")
	// What it stood below closes too; reopened, it stands below who goes on there.
	if _, err := w.closes(top.GetId(), w.desk.GetId()); err != nil {
		t.Fatal(err)
	}
	refused(t, "stale reopen", second(reopen(empty.GetId(), "1")), codes.Aborted, "ETAG_MISMATCH", "")
	if got, err := reopen(empty.GetId(), "2"); err != nil || got.GetCloseTime() != nil || got.GetParentId() != w.desk.GetId() || got.GetEtag() != "3" {
		t.Errorf("reopened %v, %v", got, err)
	}
	w.staffOf(empty.GetId(), "new")
	// A successor below it, at any depth, goes up to where it stood.
	child := w.below(empty.GetId(), "child")
	grandchild := w.below(child.GetId(), "grandchild")
	if _, err := w.closes(empty.GetId(), grandchild.GetId()); err != nil {
		t.Fatal(err)
	}
	if a, b := w.getDepartment(child.GetId()), w.getDepartment(grandchild.GetId()); a.GetParentId() != w.desk.GetId() || b.GetParentId() != child.GetId() {
		t.Errorf("the tree is now %v, %v", a, b)
	}
}

func TestADepartmentTooFull(t *testing.T) {
	w := newWorld(t)
	next, of := w.department("next"), w.at(ticket.Triaged, "").GetId()
	w.exec(`INSERT INTO tasks (id, ticket_id, title, department_id, required, due_time, state, result, create_time, update_time, version, kind)
		SELECT gen_random_uuid(), $1, 'x', $2, false, now(), 1, '', now(), now(), 1, 1 FROM generate_series(1, 500)`, of, w.desk.GetId())
	_, err := w.closes(w.desk.GetId(), next.GetId())
	refused(t, "501", err, codes.FailedPrecondition, "DEPARTMENT_TOO_FULL", "")
	w.exec("DELETE FROM tasks WHERE id = (SELECT id FROM tasks LIMIT 1)")
	if _, err := w.closes(w.desk.GetId(), next.GetId()); err != nil {
		t.Error(err)
	}
}

// What comes at the same time as a department closes is either moved with it or refused; nothing
// is left behind.
func TestClosingRaces(t *testing.T) {
	w := newWorld(t)
	next := w.department("next")
	var ids []string
	for range 6 {
		ids = append(ids, w.at(ticket.New, "").GetId())
	}
	_, lost := wins(14, func(i int) error {
		switch {
		case i < 2:
			return second(w.closes(w.desk.GetId(), next.GetId()))
		case i < 8:
			return second(w.do(w.manager(), "triage", ids[i-2], ""))
		}
		return second(w.directory.CreateStaff(w.manager(), &ticketv1.CreateStaffRequest{Staff: &ticketv1.Staff{Name: "x", DepartmentId: w.desk.GetId()}}))
	})
	closed := 0
	for _, err := range lost {
		switch rpcerr.Reason(err) {
		case "DEPARTMENT_CLOSED":
			closed++
		case "VALIDATION_FAILED":
		default:
			t.Errorf("lost by %v", err)
		}
	}
	if closed != 1 {
		t.Errorf("%d of two calls to close were late, want 1", closed)
	}
	if n := w.count("SELECT count(*) FROM staff WHERE department_id = $1", w.desk.GetId()); n != 0 {
		t.Errorf("%d members are left behind", n)
	}
	if n := w.count("SELECT count(*) FROM tickets WHERE department_id = $1 AND state <= 5", w.desk.GetId()); n != 0 {
		t.Errorf("%d tickets are left behind", n)
	}
}
