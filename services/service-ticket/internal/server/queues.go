package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
)

// CountQueues counts the open tickets and overdue tasks of each department now.
func (s *Server) CountQueues(ctx context.Context, _ *ticketv1.CountQueuesRequest) (*ticketv1.CountQueuesResponse, error) {
	who, err := s.viewer(ctx, s.pool, authz.FromContext(ctx).Scope)
	if err != nil {
		return nil, err
	}
	departments := []*uuid.UUID{nil}
	switch {
	case who.Everything():
		ids, err := s.q.ListDepartmentIDs(ctx, s.pool)
		if err != nil {
			return nil, fmt.Errorf("list departments: %w", err)
		}
		for i := range ids {
			departments = append(departments, &ids[i])
		}
	case who.Department != uuid.Nil:
		departments = append(departments, &who.Department)
	}
	counts, err := s.q.CountQueues(ctx, s.pool, departments, s.now())
	if err != nil {
		return nil, fmt.Errorf("count the queues: %w", err)
	}
	out := &ticketv1.CountQueuesResponse{}
	for _, c := range counts {
		out.Queues = append(out.Queues, &ticketv1.QueueCount{
			DepartmentId: idString(c.DepartmentID), Waiting: c.Waiting, WaitingP1: c.WaitingP1, InHands: c.InHands, OnHold: c.Hold, Overdue: c.Overdue,
			OverdueTasks: c.OverdueTasks, InAbsentHands: c.AwayHands, TasksInAbsentHands: c.AwayTasks,
		})
	}
	return out, nil
}
