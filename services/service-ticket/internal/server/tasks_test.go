package server_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) tasks() ticketv1.TaskServiceClient { return ticketv1.NewTaskServiceClient(w.Conn) }

// task asks a person, or a department where there is no person, for a part of a ticket.
func (w *world) task(of, department, owner string, required bool) *ticketv1.Task {
	w.t.Helper()
	out, err := w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of, Task: &ticketv1.Task{
		Title: "measure the shaft", DepartmentId: department, OwnerStaffId: owner, Required: required, DueTime: w.in(5)}})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestARequiredTaskHoldsBackResolveAndMerge(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, w.customer(typev1.Tier_TIER_B))
	optional, required := w.task(of.GetId(), w.desk.GetId(), "", false), w.task(of.GetId(), "", w.agent.GetId(), true)
	if required.GetDepartmentId() != w.desk.GetId() || required.GetState() != ticketv1.TaskState_TASK_STATE_OPEN || required.GetEtag() != "1" {
		t.Errorf("made %v", required)
	}
	for _, verb := range []string{"resolve", "merge"} {
		_, err := w.do(w.manager(), verb, of.GetId(), "")
		refused(t, verb, err, codes.FailedPrecondition, "TICKET_TASKS_OPEN", "")
	}
	// The agent is the owner, and needs no right to the ticket.
	done, err := w.tasks().CompleteTask(w.AsStaff(access.Salesperson, "agent-1"), &ticketv1.CompleteTaskRequest{Id: required.GetId(), Result: "12 mm", Etag: "1"})
	if err != nil || done.GetState() != ticketv1.TaskState_TASK_STATE_DONE || done.GetResult() != "12 mm" || done.GetEndTime() == nil {
		t.Fatal(done, err)
	}
	if _, err := w.do(w.manager(), "resolve", of.GetId(), ""); err != nil {
		t.Errorf("with an optional task open: %v", err)
	}
	page, err := w.tasks().ListTicketTasks(w.manager(), &ticketv1.ListTicketTasksRequest{TicketId: of.GetId()})
	if err != nil || len(page.GetTasks()) != 2 || page.GetTasks()[0].GetId() != optional.GetId() {
		t.Errorf("listed %v, %v", page, err)
	}
	events := w.eventsOf(required.GetId())
	if len(events) != 2 || events[0].GetType() != "task.created.v1" || events[1].GetType() != "task.completed.v1" {
		t.Errorf("events %v", events)
	}
	_, err = w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of.GetId(), Task: &ticketv1.Task{
		Title: "late", DepartmentId: w.desk.GetId(), DueTime: w.in(1)}})
	refused(t, "a task of a resolved ticket", err, codes.FailedPrecondition, "TICKET_WRONG_STATE", "")
}

// Only a fault leaves a required task open under a resolved ticket. Nothing closes it then, and
// it keeps no other open.
func TestATaskThatWasLeftHoldsBackTheClosing(t *testing.T) {
	w := newWorld(t)
	left, first, silent := w.at(ticket.Resolved, "").GetId(), w.at(ticket.Resolved, "").GetId(), w.at(ticket.Resolved, "").GetId()
	task := newID(t)
	w.exec(`INSERT INTO tasks (id, ticket_id, title, department_id, required, due_time, state, result, create_time, update_time, version, kind)
SELECT $2, id, 'left', department_id, true, update_time, 1, '', update_time, update_time, 1, 1 FROM tickets WHERE id = $1`, left, task)
	_, err := w.do(w.manager(), "confirm", left, "")
	refused(t, "confirm", err, codes.FailedPrecondition, "TICKET_TASKS_OPEN", "")
	got, err := w.bulk(w.manager(), &ticketv1.BulkTicketsRequest{Ids: []string{left, first}, Action: &ticketv1.BulkTicketsRequest_Confirm{Confirm: &ticketv1.ConfirmTicketRequest{}}})
	if err != nil || !slices.Equal(outcomes(got), []string{"TICKET_TASKS_OPEN", ""}) {
		t.Errorf("confirmed together: %v, %v", outcomes(got), err)
	}
	w.Clock.Advance(72 * time.Hour)
	for want, of := range map[ticket.State]string{ticket.Resolved: left, ticket.Closed: silent} {
		if err := w.server.SweepSilent(t.Context()); err != nil || w.get(of).GetState() != want {
			t.Errorf("after 72 h: %v, %v, want %v", w.get(of).GetState(), err, want)
		}
	}
	if _, err := w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: task, Result: "done"}); err != nil {
		t.Fatal(err)
	}
	if err := w.server.SweepSilent(t.Context()); err != nil || w.get(left).GetState() != ticket.Closed {
		t.Errorf("after the task: %v, %v", w.get(left).GetState(), err)
	}
}

// A task that comes while the ticket is resolved either holds it back or comes too late.
func TestTaskAndResolveAtOnce(t *testing.T) {
	w := newWorld(t)
	for range 5 {
		of := w.at(ticket.InProgress, "")
		won, lost := wins(2, func(i int) error {
			if i == 0 {
				return second(w.do(w.manager(), "resolve", of.GetId(), ""))
			}
			return second(w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of.GetId(), Task: &ticketv1.Task{
				Title: "x", DepartmentId: w.desk.GetId(), Required: true, DueTime: w.in(1)}}))
		})
		if won != 1 {
			t.Errorf("%d of resolve and a required task won, %v", won, lost)
		}
	}
}

func TestCancelledTicketsDropTheirTasks(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "")
	task := w.task(of.GetId(), w.desk.GetId(), "", true)
	if _, err := w.do(w.manager(), "cancel", of.GetId(), ""); err != nil {
		t.Fatal(err)
	}
	page, err := w.tasks().ListTicketTasks(w.manager(), &ticketv1.ListTicketTasksRequest{TicketId: of.GetId()})
	if err != nil || page.GetTasks()[0].GetState() != ticketv1.TaskState_TASK_STATE_CANCELLED || page.GetTasks()[0].GetResult() != "wrong number" {
		t.Errorf("left %v, %v", page, err)
	}
	if events := w.eventsOf(task.GetId()); len(events) != 2 || events[1].GetType() != "task.cancelled.v1" {
		t.Errorf("events %v", events)
	}
}

func TestTasksByReach(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	w.staffOf(w.desk.GetId(), "mate")
	stranger := w.staffOf(far.GetId(), "stranger")
	w.staffOf(far.GetId(), "other")
	for _, c := range []struct {
		who       string
		ctx       context.Context
		own, free codes.Code // a task of the stranger's, a task of the desk that nobody has
		taken     codes.Code // a task of the agent's
	}{
		{"the owner", w.AsStaff(access.QCInspector, "stranger"), codes.OK, codes.NotFound, codes.NotFound},
		{"a mate of the owner", w.AsStaff(access.QCInspector, "other"), codes.NotFound, codes.NotFound, codes.NotFound},
		{"the owner's supervisor", w.AsStaff(access.ServiceSupervisor, "other"), codes.OK, codes.NotFound, codes.NotFound},
		{"somebody of the desk", w.AsStaff(access.Salesperson, "mate"), codes.NotFound, codes.OK, codes.NotFound},
		{"the assignee of the ticket", w.AsStaff(access.ServiceAgent, "agent-1"), codes.OK, codes.OK, codes.OK},
		{"the manager", w.manager(), codes.OK, codes.OK, codes.OK},
		{"an auditor", w.AsStaff(access.Auditor, "stranger"), codes.PermissionDenied, codes.PermissionDenied, codes.PermissionDenied},
		{"nobody", w.AsStaff(access.Salesperson, "unknown"), codes.NotFound, codes.NotFound, codes.NotFound},
	} {
		of := w.at(ticket.InProgress, "")
		for i, want := range []codes.Code{c.own, c.free, c.taken} {
			id := w.task(of.GetId(), w.desk.GetId(), []string{stranger.GetId(), "", w.agent.GetId()}[i], true)
			if i == 0 {
				id = w.task(of.GetId(), far.GetId(), stranger.GetId(), true)
			}
			_, err := w.tasks().CompleteTask(c.ctx, &ticketv1.CompleteTaskRequest{Id: id.GetId(), Result: "done"})
			reason := map[codes.Code]string{codes.NotFound: "TASK_NOT_FOUND", codes.PermissionDenied: "PERMISSION_DENIED"}[want]
			refused(t, c.who, err, want, reason, "")
		}
	}
	task := w.task(w.at(ticket.InProgress, "").GetId(), far.GetId(), stranger.GetId(), true)
	cancel := func(ctx context.Context, id, etag string) error {
		return second(w.tasks().CancelTask(ctx, &ticketv1.CancelTaskRequest{Id: id, Reason: "not needed", Etag: etag}))
	}
	refused(t, "the owner takes it back", cancel(w.AsStaff(access.SupportEngineer, "stranger"), task.GetId(), ""), codes.NotFound, "TASK_NOT_FOUND", "")
	refused(t, "stale", cancel(w.manager(), task.GetId(), "7"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", cancel(w.manager(), nowhere, ""), codes.NotFound, "TASK_NOT_FOUND", "")
	refused(t, "malformed", cancel(w.manager(), "x", ""), codes.InvalidArgument, "VALIDATION_FAILED", "id")
	// Of two ends exactly one counts.
	won, lost := wins(2, func(i int) error {
		if i == 0 {
			return cancel(w.manager(), task.GetId(), "")
		}
		return second(w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: task.GetId(), Result: "done"}))
	})
	if won != 1 {
		t.Errorf("%d ends of a task", won)
	}
	for _, err := range lost {
		refused(t, "the other end", err, codes.FailedPrecondition, "TASK_WRONG_STATE", "")
	}
}

func TestTaskRefusals(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	mate := w.staff("mate")
	w.leave(mate.GetId())
	for field, c := range map[string]struct {
		change func(*ticketv1.Task)
		reason string
	}{
		"task.title":          {func(x *ticketv1.Task) { x.Title = "" }, "VALIDATION_FAILED"},
		"task.due_time":       {func(x *ticketv1.Task) { x.DueTime = w.in(0) }, "VALIDATION_FAILED"},
		"task.department_id":  {func(x *ticketv1.Task) { x.DepartmentId = nowhere }, "VALIDATION_FAILED"},
		"task.owner_staff_id": {func(x *ticketv1.Task) { x.OwnerStaffId = nowhere }, "VALIDATION_FAILED"},
	} {
		x := &ticketv1.Task{Title: "x", DepartmentId: w.desk.GetId(), DueTime: w.in(1)}
		c.change(x)
		_, err := w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of, Task: x})
		refused(t, "a bad "+field, err, codes.InvalidArgument, c.reason, field)
	}
	create := func(ticketID, department, owner string) error {
		return second(w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: ticketID,
			Task: &ticketv1.Task{Title: "x", DepartmentId: department, OwnerStaffId: owner, DueTime: w.in(1)}}))
	}
	refused(t, "for nobody", create(of, "", ""), codes.InvalidArgument, "VALIDATION_FAILED", "task.department_id")
	refused(t, "for who left", create(of, "", mate.GetId()), codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
	refused(t, "of no ticket", create(nowhere, w.desk.GetId(), ""), codes.NotFound, "TICKET_NOT_FOUND", "")
	_, err := w.tasks().ListTicketTasks(w.manager(), &ticketv1.ListTicketTasksRequest{TicketId: nowhere})
	refused(t, "the tasks of no ticket", err, codes.NotFound, "TICKET_NOT_FOUND", "")
}

// Somebody's own tasks and those of their department that nobody has, the first due first.
func TestListTasksIsWhatIsInMyHands(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	mate := w.staff("mate")
	var want []string
	for _, c := range []struct {
		owner string
		due   int
	}{{"", 9}, {w.agent.GetId(), 3}, {mate.GetId(), 1}, {w.agent.GetId(), 12}, {"", 2}} {
		x, err := w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of, Task: &ticketv1.Task{
			Title: "x", DepartmentId: w.desk.GetId(), OwnerStaffId: c.owner, DueTime: w.in(c.due)}})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, x.GetId())
	}
	want = []string{want[4], want[1], want[0], want[3]}
	var got []string
	req := &ticketv1.ListTasksRequest{PageSize: 3}
	for {
		page, err := w.tasks().ListTasks(w.AsStaff(access.Salesperson, "agent-1"), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.GetTasks() {
			got = append(got, x.GetId())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("listed %v, want %v", got, want)
	}
	if page, err := w.tasks().ListTasks(w.AsAccount("erp", "tasks.work"), &ticketv1.ListTasksRequest{}); err != nil || len(page.GetTasks()) != 0 {
		t.Errorf("a system has %v, %v", page, err)
	}
}

func TestImportsWithTasks(t *testing.T) {
	w := newWorld(t)
	imported := func(id string, state ticket.State, department string, tasks ...*ticketv1.TaskRecord) *typev1.ImportResult {
		t.Helper()
		r := record(id, state)
		r.DepartmentId, r.Tasks = department, tasks
		out, err := w.tickets.ImportTickets(w.As(access.InformationAdministrator), &ticketv1.ImportTicketsRequest{Source: "old-desk", Records: []*ticketv1.TicketRecord{r}})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetResults()[0]
	}
	due := timestamppb.New(w.Clock.Now().Add(-time.Hour))
	open, done := &ticketv1.TaskRecord{Title: "x", Required: true, DueTime: due}, &ticketv1.TaskRecord{Title: "y", Required: true, Done: true, DueTime: due}
	for _, state := range []ticket.State{ticket.Resolved, ticket.Closed} {
		got := imported("open"+state.String(), state, w.desk.GetId(), open)
		if len(got.GetRefusals()) != 1 || got.GetRefusals()[0].GetReason() != "TICKET_TASKS_OPEN" || got.GetRefusals()[0].GetField() != "tasks" {
			t.Errorf("%v with an open task: %v", state, got)
		}
	}
	if got := imported("nobody", ticket.Closed, "", done); len(got.GetRefusals()) != 1 || got.GetRefusals()[0].GetField() != "department_id" {
		t.Errorf("without a department: %v", got)
	}
	if got := imported("untitled", ticket.Closed, w.desk.GetId(), &ticketv1.TaskRecord{DueTime: due}); len(got.GetRefusals()) == 0 || got.GetRefusals()[0].GetField() != "tasks[0].title" {
		t.Errorf("without a title: %v", got)
	}
	for id, tasks := range map[string][]*ticketv1.TaskRecord{"done": {done}, "optional": {done, {Title: "z", DueTime: due}}} {
		got := imported(id, ticket.Closed, w.desk.GetId(), tasks...)
		if len(got.GetRefusals()) != 0 || w.count(`SELECT count(*) FROM tasks WHERE ticket_id = $1`, got.GetId()) != len(tasks) {
			t.Errorf("%s: %v", id, got)
		}
	}
}
