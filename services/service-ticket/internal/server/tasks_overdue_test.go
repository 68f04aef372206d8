package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const callBack = ticketv1.TaskKind_TASK_KIND_CALL_BACK

// opened makes an open task that is due so many hours from now, also before now, as no call
// can, and gives its id.
func (w *world) opened(of, department, owner string, hours int) string {
	w.t.Helper()
	id, has := newID(w.t), &owner
	if owner == "" {
		has = nil
	}
	now := w.Clock.Now()
	w.exec(`INSERT INTO tasks (id, ticket_id, title, department_id, owner_staff_id, required, due_time, state, result, create_time, update_time, version, kind)
		VALUES ($1, $2, 'x', $3, $4, false, $5, 1, '', $6, $6, 1, 1)`, id, of, department, has, now.Add(time.Duration(hours)*time.Hour), now)
	return id
}

// sweepTasks is one look at what is due.
func (w *world) sweepTasks() {
	w.t.Helper()
	if err := w.server.SweepTasks(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// overdue are the events about tasks past their due time, oldest first.
func (w *world) overdue() (out []*eventv1.Envelope) {
	w.t.Helper()
	for _, e := range w.Events(w.t) {
		if e.GetType() == "task.overdue.v1" {
			out = append(out, e)
		}
	}
	return out
}

func TestOverdueTasksAreTold(t *testing.T) {
	w := newWorld(t)
	customer := w.customer(typev1.Tier_TIER_B)
	of := w.at(ticket.InProgress, customer)
	back, err := w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of.GetId(), Task: &ticketv1.Task{
		Title: "回访", Kind: callBack, OwnerStaffId: w.agent.GetId(), DueTime: w.in(5)}})
	if err != nil {
		t.Fatal(err)
	}
	done, cancelled := w.task(of.GetId(), w.desk.GetId(), "", true), w.task(of.GetId(), w.desk.GetId(), "", true)
	if _, err := w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: done.GetId(), Result: "12 mm"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.tasks().CancelTask(w.manager(), &ticketv1.CancelTaskRequest{Id: cancelled.GetId(), Reason: "not needed"}); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(5 * time.Hour)
	if w.sweepTasks(); len(w.overdue()) != 0 {
		t.Fatalf("told at the due time: %v", w.overdue())
	}
	w.Clock.Advance(time.Second)
	w.sweepTasks()
	w.sweepTasks()
	told := w.overdue()
	if len(told) != 1 {
		t.Fatalf("told %v", told)
	}
	e := told[0]
	payload, err := event.Unpack[*ticketv1.TaskChanged](e)
	if err != nil || e.GetSubjectId() != back.GetId() || e.GetCustomerId() != customer || e.GetHistoric() ||
		!e.GetOccurTime().AsTime().Equal(back.GetDueTime().AsTime()) || payload.GetTicketId() != of.GetId() || payload.GetTicketNumber() != of.GetNumber() ||
		payload.GetKind() != callBack || payload.GetOwnerStaffId() != w.agent.GetId() || payload.GetDepartmentId() != w.desk.GetId() ||
		!payload.GetDueTime().AsTime().Equal(back.GetDueTime().AsTime()) || payload.GetState() != ticketv1.TaskState_TASK_STATE_OPEN {
		t.Errorf("told %v: %v, %v", e, payload, err)
	}
	// Another due time is told of when it has passed, and not before; a long time without a
	// sweep loses nothing.
	again := w.Clock.Now().Add(time.Hour)
	w.exec(`UPDATE tasks SET due_time = $2 WHERE id = $1`, back.GetId(), again)
	if w.sweepTasks(); len(w.overdue()) != 1 {
		t.Errorf("told before the new due time: %v", w.overdue())
	}
	w.Clock.Advance(90 * 24 * time.Hour)
	w.sweepTasks()
	w.sweepTasks()
	if told = w.overdue(); len(told) != 2 || told[1].GetSubjectId() != back.GetId() || !told[1].GetOccurTime().AsTime().Equal(again) {
		t.Errorf("after a new due time: %v", told)
	}
	// Nothing of the task has changed for whoever looked at it before.
	if _, err := w.tasks().CompleteTask(w.manager(), &ticketv1.CompleteTaskRequest{Id: back.GetId(), Result: "he is content", Etag: back.GetEtag()}); err != nil {
		t.Errorf("with the etag from before: %v", err)
	}
}

// More than a transaction takes, by two sweeps at the same time.
func TestTwoSweepsTellOfATaskOnce(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	const many = 230
	for range many {
		w.opened(of, w.desk.GetId(), "", -1)
	}
	won, lost := wins(2, func(int) error { return w.server.SweepTasks(t.Context()) })
	if won != 2 {
		t.Fatal(lost)
	}
	// One that found all of what was left in the hands of the other is done before it.
	w.sweepTasks()
	times := map[string]int{}
	for _, e := range w.overdue() {
		times[e.GetSubjectId()]++
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("of %s was told %d times", id, n)
		}
	}
	if len(times) != many {
		t.Errorf("of %d tasks was told, not of %d", len(times), many)
	}
}

// What was late in another system is no news, but stands in the list; what becomes late here is.
func TestImportedTasksAreToldOfFromNowOn(t *testing.T) {
	w := newWorld(t)
	r := record("old", ticket.Closed)
	r.DepartmentId = w.desk.GetId()
	r.Tasks = []*ticketv1.TaskRecord{{Title: "was late", DueTime: timestamppb.New(created)}, {Title: "will be late", DueTime: w.in(1)}}
	if got := w.imports(w.importer(), r)[0]; len(got.GetRefusals()) != 0 {
		t.Fatal(got)
	}
	w.Clock.Advance(2 * time.Hour)
	w.sweepTasks()
	told := w.overdue()
	if len(told) != 1 || w.count(`SELECT count(*) FROM tasks WHERE id = $1 AND title = 'will be late'`, told[0].GetSubjectId()) != 1 {
		t.Errorf("told %v", told)
	}
	page, err := w.tasks().ListTasks(w.AsStaff(access.Salesperson, "agent-1"), &ticketv1.ListTasksRequest{DueBefore: w.in(0)})
	if err != nil || len(page.GetTasks()) != 2 {
		t.Errorf("listed %v, %v", page, err)
	}
}

func TestListTasksByDueTimeAndKind(t *testing.T) {
	w := newWorld(t)
	of := w.at(ticket.InProgress, "").GetId()
	mate := w.staff("mate")
	var ids []string
	for _, c := range []struct {
		owner string
		due   int
		kind  ticketv1.TaskKind
	}{
		{w.agent.GetId(), 1, 0}, {"", 2, callBack}, {w.agent.GetId(), 3, callBack}, {"", 4, 0}, {w.agent.GetId(), 5, callBack}, {mate.GetId(), 2, callBack},
	} {
		x, err := w.tasks().CreateTask(w.manager(), &ticketv1.CreateTaskRequest{TicketId: of, Task: &ticketv1.Task{
			Title: "x", DepartmentId: w.desk.GetId(), OwnerStaffId: c.owner, DueTime: w.in(c.due), Kind: c.kind}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, x.GetId())
	}
	agent := w.AsStaff(access.Salesperson, "agent-1")
	for name, c := range map[string]struct {
		req  *ticketv1.ListTasksRequest
		want []string
	}{
		"all":                  {&ticketv1.ListTasksRequest{}, ids[:5]},
		"due before":           {&ticketv1.ListTasksRequest{DueBefore: w.in(4)}, ids[:3]},
		"due now":              {&ticketv1.ListTasksRequest{DueBefore: w.in(0)}, nil},
		"of a kind":            {&ticketv1.ListTasksRequest{Kind: callBack}, []string{ids[1], ids[2], ids[4]}},
		"work":                 {&ticketv1.ListTasksRequest{Kind: ticketv1.TaskKind_TASK_KIND_WORK}, []string{ids[0], ids[3]}},
		"of a kind due before": {&ticketv1.ListTasksRequest{Kind: callBack, DueBefore: w.in(5)}, ids[1:3]},
	} {
		for _, size := range []int32{0, 1, 2} {
			var got []string
			c.req.PageSize, c.req.PageToken = size, ""
			for {
				page, err := w.tasks().ListTasks(agent, c.req)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range page.GetTasks() {
					got = append(got, x.GetId())
				}
				if c.req.PageToken = page.GetNextPageToken(); c.req.PageToken == "" {
					break
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: %v, want %v", name, size, got, c.want)
			}
		}
	}
	for field, req := range map[string]*ticketv1.ListTasksRequest{
		"due_before": {DueBefore: &timestamppb.Timestamp{Nanos: -1}}, "kind": {Kind: 99},
	} {
		_, err := w.tasks().ListTasks(agent, req)
		refused(t, "a bad "+field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	page, err := w.tasks().ListTasks(agent, &ticketv1.ListTasksRequest{PageSize: 1, DueBefore: w.in(4)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.tasks().ListTasks(agent, &ticketv1.ListTasksRequest{PageSize: 1, DueBefore: w.in(5), PageToken: page.GetNextPageToken()})
	refused(t, "the token of another list", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
}
