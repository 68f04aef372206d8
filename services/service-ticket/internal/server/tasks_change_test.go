package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) changeTask(ctx context.Context, req *ticketv1.ChangeTaskRequest) (*ticketv1.Task, error) {
	if req.GetReason() == "" {
		req.Reason = "零件晚到"
	}
	return w.tasks().ChangeTask(ctx, req)
}

func TestATaskGetsAnotherDueTime(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	task := w.task(of, "", w.agent.GetId(), true)
	w.Clock.Advance(6 * time.Hour)
	if w.sweepTasks(); len(w.overdue()) != 1 {
		t.Fatalf("told %v", w.overdue())
	}
	later := w.in(24)
	got, err := w.changeTask(w.manager(), &ticketv1.ChangeTaskRequest{Id: task.GetId(), DueTime: later, Etag: task.GetEtag()})
	if err != nil || !got.GetDueTime().AsTime().Equal(later.AsTime()) || got.GetTitle() != task.GetTitle() || got.GetOwnerStaffId() != w.agent.GetId() ||
		got.GetEtag() == task.GetEtag() || !got.GetRequired() {
		t.Fatalf("%v, %v", got, err)
	}
	// It is not overdue any more, and is told again when it is.
	if w.sweepTasks(); len(w.overdue()) != 1 {
		t.Errorf("told before it is due: %v", w.overdue())
	}
	w.Clock.Advance(25 * time.Hour)
	w.sweepTasks()
	w.sweepTasks()
	if told := w.overdue(); len(told) != 2 || !told[1].GetOccurTime().AsTime().Equal(later.AsTime()) {
		t.Errorf("after the new due time: %v", told)
	}
	events := w.eventsOf(task.GetId())
	payload, err := event.Unpack[*ticketv1.TaskChanged](events[2])
	if err != nil || events[2].GetType() != "task.changed.v1" || !payload.GetDueTimeBefore().AsTime().Equal(task.GetDueTime().AsTime()) ||
		!payload.GetDueTime().AsTime().Equal(later.AsTime()) {
		t.Errorf("event %v: %v, %v", events[2], payload, err)
	}
	story, err := w.deskService().ListTimeline(w.manager(), &ticketv1.ListTimelineRequest{TicketId: of})
	if err != nil {
		t.Fatal(err)
	}
	var told []*ticketv1.TaskChange
	for _, e := range story.GetEntries() {
		if c := e.GetTaskChanged(); c != nil {
			told = append(told, c)
		}
	}
	if len(told) != 1 || told[0].GetReason() != "零件晚到" || told[0].GetTaskId() != task.GetId() || told[0].GetTitleChanged() ||
		!told[0].GetDueTimeBefore().AsTime().Equal(task.GetDueTime().AsTime()) || !told[0].GetDueTime().AsTime().Equal(later.AsTime()) {
		t.Errorf("the story: %v", told)
	}
}

func TestATaskGetsAnotherOwner(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	far := w.department("far")
	head, mate := w.staffOf(far.GetId(), "head"), w.staff("mate")
	task := w.task(of, w.desk.GetId(), "", false)
	for _, c := range []struct {
		name              string
		req               *ticketv1.ChangeTaskRequest
		owner, department string
	}{
		{"a person", &ticketv1.ChangeTaskRequest{OwnerStaffId: head.GetId()}, head.GetId(), far.GetId()},
		{"a department", &ticketv1.ChangeTaskRequest{DepartmentId: w.desk.GetId()}, "", w.desk.GetId()},
		{"a person for a department", &ticketv1.ChangeTaskRequest{OwnerStaffId: mate.GetId(), DepartmentId: far.GetId()}, mate.GetId(), far.GetId()},
		{"another title", &ticketv1.ChangeTaskRequest{Title: "measure again"}, mate.GetId(), far.GetId()},
	} {
		c.req.Id = task.GetId()
		got, err := w.changeTask(w.AsStaff(access.ServiceAgent, "agent-1"), c.req)
		if err != nil || got.GetOwnerStaffId() != c.owner || got.GetDepartmentId() != c.department {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if n := w.count(`SELECT count(*) FROM task_changes WHERE task_id = $1 AND staff_id = $2 AND title_changed = (version = 5)`, task.GetId(), w.agent.GetId()); n != 4 {
		t.Errorf("%d changes kept", n)
	}
}

func TestTaskChangeRefusals(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	task := w.task(of, "", w.agent.GetId(), true).GetId()
	gone := w.staff("gone")
	w.leave(gone.GetId())
	for _, c := range []struct {
		what   string
		req    *ticketv1.ChangeTaskRequest
		code   codes.Code
		reason string
		field  string
	}{
		{"nothing", &ticketv1.ChangeTaskRequest{Id: task}, codes.InvalidArgument, "VALIDATION_FAILED", "due_time"},
		{"now", &ticketv1.ChangeTaskRequest{Id: task, DueTime: w.in(0)}, codes.InvalidArgument, "VALIDATION_FAILED", "due_time"},
		{"no time", &ticketv1.ChangeTaskRequest{Id: task, DueTime: &timestamppb.Timestamp{Nanos: -1}}, codes.InvalidArgument, "VALIDATION_FAILED", "due_time"},
		{"no staff", &ticketv1.ChangeTaskRequest{Id: task, OwnerStaffId: nowhere}, codes.InvalidArgument, "VALIDATION_FAILED", "owner_staff_id"},
		{"no department", &ticketv1.ChangeTaskRequest{Id: task, DepartmentId: nowhere}, codes.InvalidArgument, "VALIDATION_FAILED", "department_id"},
		{"who left", &ticketv1.ChangeTaskRequest{Id: task, OwnerStaffId: gone.GetId()}, codes.FailedPrecondition, "STAFF_OFF_DUTY", ""},
		{"stale", &ticketv1.ChangeTaskRequest{Id: task, Title: "y", Etag: "9"}, codes.Aborted, "ETAG_MISMATCH", ""},
		{"unknown", &ticketv1.ChangeTaskRequest{Id: nowhere, Title: "y"}, codes.NotFound, "TASK_NOT_FOUND", ""},
	} {
		_, err := w.changeTask(w.manager(), c.req)
		refused(t, c.what, err, c.code, c.reason, c.field)
	}
	_, err := w.tasks().ChangeTask(w.manager(), &ticketv1.ChangeTaskRequest{Id: task, Title: "y"})
	refused(t, "no reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	// Whoever does a task does not set when it is due: that is for whoever works on the ticket.
	far := w.department("far")
	w.staffOf(far.GetId(), "stranger")
	theirs := w.task(of, far.GetId(), "", true).GetId()
	_, err = w.changeTask(w.AsStaff(access.ServiceAgent, "stranger"), &ticketv1.ChangeTaskRequest{Id: theirs, DueTime: w.in(9)})
	refused(t, "who does it", err, codes.NotFound, "TASK_NOT_FOUND", "")
	// Of a change and an end at the same time each counts, or the change comes too late; never
	// is an ended task changed.
	_, lost := wins(2, func(i int) error {
		if i == 0 {
			return second(w.changeTask(w.manager(), &ticketv1.ChangeTaskRequest{Id: task, DueTime: w.in(9)}))
		}
		return second(w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: task, Result: "done"}))
	})
	for _, err := range lost {
		refused(t, "a change of what ended", err, codes.FailedPrecondition, "TASK_WRONG_STATE", "")
	}
	_, err = w.changeTask(w.manager(), &ticketv1.ChangeTaskRequest{Id: task, DueTime: w.in(9)})
	refused(t, "an ended one", err, codes.FailedPrecondition, "TASK_WRONG_STATE", "")
	if n := w.count(`SELECT count(*) FROM task_changes WHERE task_id = $1`, task); n+len(lost) != 1 {
		t.Errorf("%d changes, refused %v", n, lost)
	}
	// Of two with the same version exactly one.
	last := w.task(of, "", w.agent.GetId(), false)
	if won, lost := wins(2, func(i int) error {
		return second(w.changeTask(w.manager(), &ticketv1.ChangeTaskRequest{Id: last.GetId(), DueTime: w.in(9 + i), Etag: last.GetEtag()}))
	}); won != 1 {
		t.Errorf("%d of 2 changed it, %v", won, lost)
	}
}
