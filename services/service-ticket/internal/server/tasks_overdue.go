package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/write"
)

const (
	tasksEvery = 30 * time.Second
	// tasksBatch bounds the tasks of one transaction.
	tasksBatch = 100
)

// WatchTasks tells, until ctx ends, of open tasks whose due time has passed. Every replica
// runs it: what one holds the others pass over.
func (s *Server) WatchTasks(ctx context.Context) error {
	return s.every(ctx, tasksEvery, "watch on due tasks", s.SweepTasks)
}

// SweepTasks tells of each open task whose due time has passed by now, once for each due time
// it had. What became due while nobody looked is told like the rest.
func (s *Server) SweepTasks(ctx context.Context) error {
	for told := tasksBatch; told == tasksBatch; {
		err := write.Job(ctx, s.write, "tasks/overdue", func(ctx context.Context, tx *write.Tx) error {
			due, err := s.q.LockOverdueTasks(ctx, tx, s.now(), tasksBatch)
			if err != nil {
				return fmt.Errorf("find overdue tasks: %w", err)
			}
			if told = len(due); told == 0 {
				tx.Unchanged()
				return nil
			}
			ids := make([]uuid.UUID, told)
			for i := range due {
				row := &due[i].Task
				ids[i] = row.ID
				tx.Emit(taskEvent("task.overdue.v1", &due[i].Ticket, row, row.DueTime))
				tx.Audit("task", row.ID, map[string]any{"told_due_time": row.DueTime})
			}
			if err := s.q.MarkTasksTold(ctx, tx, ids); err != nil {
				return fmt.Errorf("keep that overdue tasks were told of: %w", err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
