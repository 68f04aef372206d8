package server

import (
	"context"
	"time"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// undone counts the required tasks of a record that are not done.
func undone(tasks []*ticketv1.TaskRecord) (n int) {
	for _, t := range tasks {
		if t.GetRequired() && !t.GetDone() {
			n++
		}
	}
	return n
}

// importedTasks makes the rows of a record's tasks, which its department does; at is when
// those that are done ended at the latest. A due time that has passed by now is history too: of
// it nobody is told.
func importedTasks(tasks []*ticketv1.TaskRecord, t *db.Ticket, at, now time.Time) ([]*db.Task, error) {
	out := make([]*db.Task, len(tasks))
	for i, in := range tasks {
		id, err := newID()
		if err != nil {
			return nil, err
		}
		out[i] = &db.Task{
			ID: id, TicketID: t.ID, Title: in.GetTitle(), DepartmentID: idValue(t.DepartmentID), Required: in.GetRequired(),
			DueTime: instant(in.GetDueTime()), State: int16(ticketv1.TaskState_TASK_STATE_OPEN), CreateTime: t.CreateTime, Version: 1,
			Kind: int16(ticketv1.TaskKind_TASK_KIND_WORK),
		}
		if in.GetDone() {
			out[i].State, out[i].EndTime = int16(ticketv1.TaskState_TASK_STATE_DONE), &at
		}
		if out[i].DueTime.Before(now) {
			out[i].ToldDueTime = &out[i].DueTime
		}
	}
	return out, nil
}

// storeTasks inserts the tasks of an imported ticket. They are history like the ticket: no
// event tells of them.
func (s *Server) storeTasks(ctx context.Context, on db.DBTX, tasks []*db.Task) error {
	for _, row := range tasks {
		if err := s.q.InsertTask(ctx, on, insertTask(row)); err != nil {
			return err
		}
		if row.EndTime == nil {
			continue
		}
		if err := s.q.EndTask(ctx, on, endTask(row)); err != nil {
			return err
		}
	}
	return nil
}
