package db

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// What a line of a timeline is about, in the order of those of one instant.
const (
	LineMove = iota + 1
	LineComment
	LineContact
	LinePlan
	LineEntry
	LineTask
	LineTaskEnd
	LineLink
	LineMerged
	LineDeadline
	LineTaskChange
)

// Line is one line of a timeline: what, when, and the row that tells it. Version is that of a
// move, and the position of a deadline's log.
type Line struct {
	Time    time.Time
	Kind    int16
	ID      uuid.UUID
	Version int64
}

// Customers see the moves and the public comments, staff all of it. A ticket has some hundreds of lines at most, each under an index that begins with it.
const (
	publicLines = `
SELECT occur_time AS at, 1::smallint AS kind, ticket_id AS id, version FROM ticket_transitions WHERE ticket_id = $1 AND from_state <> to_state
UNION ALL SELECT create_time, 2, id, 0 FROM comments WHERE ticket_id = $1 AND public`
	staffLines = `
SELECT occur_time AS at, 1::smallint AS kind, ticket_id AS id, version FROM ticket_transitions WHERE ticket_id = $1 AND verb <> 'recordContact'
UNION ALL SELECT create_time, 2, id, 0 FROM comments WHERE ticket_id = $1
UNION ALL SELECT contact_time, 3, id, 0 FROM ticket_contacts WHERE ticket_id = $1
UNION ALL SELECT create_time, 4, id, 0 FROM solution_plans WHERE ticket_id = $1
UNION ALL SELECT create_time, 5, id, 0 FROM work_entries WHERE ticket_id = $1
UNION ALL SELECT create_time, 6, id, 0 FROM tasks WHERE ticket_id = $1
UNION ALL SELECT end_time, 7, id, 0 FROM tasks WHERE ticket_id = $1 AND end_time IS NOT NULL
UNION ALL SELECT create_time, 8, other_id, 0 FROM ticket_links WHERE ticket_id = $1
UNION ALL SELECT create_time, 8, ticket_id, 0 FROM ticket_links WHERE other_id = $1
UNION ALL SELECT merge_time, 9, ticket_id, 0 FROM ticket_merges WHERE into_id = $1 AND undo_time IS NULL
UNION ALL SELECT l.record_time, 10, l.clock_id, l.position FROM clocks c JOIN clock_log l ON l.clock_id = c.id
  WHERE c.subject_id = $1 AND l.type IN (7, 8, 9)
UNION ALL SELECT create_time, 11, id, 0 FROM task_changes WHERE ticket_id = $1`
)

// ListLines reads a page of a timeline, from after a place in it.
func (q *Queries) ListLines(ctx context.Context, db DBTX, ticket uuid.UUID, public bool, after Line, size int32) ([]Line, error) {
	lines := staffLines
	if public {
		lines = publicLines
	}
	rows, err := db.Query(ctx, "SELECT at, kind, id, version FROM ("+lines+`) line
		WHERE (at, kind, id, version) > ($2, $3, $4, $5) ORDER BY at, kind, id, version LIMIT $6`,
		ticket, after.Time, after.Kind, after.ID, after.Version, size)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Line])
}

// Deadline is a line about a deadline.
type Deadline struct {
	Clock    uuid.UUID
	Position int64
	Kind     string
	Type     int16
	Step     string
}

// ListDeadlines reads what lines about deadlines tell.
func (q *Queries) ListDeadlines(ctx context.Context, db DBTX, clocks []uuid.UUID) ([]Deadline, error) {
	rows, err := db.Query(ctx, `SELECT l.clock_id, l.position, c.kind, l.type, l.step FROM clock_log l JOIN clocks c ON c.id = l.clock_id
		WHERE l.clock_id = ANY($1::uuid[]) AND l.type IN (7, 8, 9)`, clocks)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Deadline])
}

// QueueCount counts the open tickets and overdue tasks of a department, nil for none.
type QueueCount struct {
	DepartmentID                                             *uuid.UUID
	Waiting, WaitingP1, InHands, Hold, Overdue, OverdueTasks int32
	// AwayHands are open tickets, and AwayTasks open tasks, in the hands of those who are away.
	AwayHands, AwayTasks int32
}

// The counts of departments, or of those without one where the list holds a null. Each walks
// an index for 10,000 entries at most, however many tickets there are.
const countQueues = `
WITH away AS MATERIALIZED (SELECT a.id FROM away_staff($2) a(id)),
held AS MATERIALIZED (
  SELECT t.department_id AS id, count(*) AS n FROM away a CROSS JOIN LATERAL (
    SELECT h.department_id FROM tickets h WHERE h.assignee_staff_id = a.id AND h.state IN (3, 4, 5) LIMIT 10000) t GROUP BY 1),
held_tasks AS MATERIALIZED (
  SELECT t.department_id AS id, count(*) AS n FROM away a CROSS JOIN LATERAL (
    SELECT h.department_id FROM tasks h WHERE h.owner_staff_id = a.id AND h.state = 1 LIMIT 10000) t GROUP BY 1)
SELECT d.id,
  (SELECT count(*) FROM (
    (SELECT 1 FROM tickets t WHERE t.department_id = d.id AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) LIMIT 10000)
    UNION ALL
    (SELECT 1 FROM tickets t WHERE d.id IS NULL AND t.department_id IS NULL AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) LIMIT 10000)) n)::integer,
  (SELECT count(*) FROM (SELECT 1 FROM tickets t WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = COALESCE(d.id, '00000000-0000-0000-0000-000000000000')
    AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND t.queue_rank = 0 LIMIT 10000) n)::integer,
  (SELECT count(*) FROM (SELECT 1 FROM tickets t WHERE t.department_id = d.id AND t.state IN (3, 4) LIMIT 10000) n)::integer,
  (SELECT count(*) FROM (SELECT 1 FROM tickets t WHERE t.department_id = d.id AND t.state = 5 LIMIT 10000) n)::integer,
  (SELECT count(*) FROM (
    (SELECT 1 FROM tickets t WHERE t.department_id = d.id AND t.due_time < $2 LIMIT 10000)
    UNION ALL
    (SELECT 1 FROM tickets t WHERE d.id IS NULL AND t.department_id IS NULL AND t.due_time < $2 LIMIT 10000)) n)::integer,
  (SELECT count(*) FROM (SELECT 1 FROM tasks k WHERE k.department_id = d.id AND k.state = 1 AND k.due_time < $2 LIMIT 10000) n)::integer,
  LEAST(COALESCE((SELECT h.n FROM held h WHERE h.id IS NOT DISTINCT FROM d.id), 0), 10000)::integer,
  LEAST(COALESCE((SELECT h.n FROM held_tasks h WHERE h.id = d.id), 0), 10000)::integer
FROM unnest($1::uuid[]) AS d(id)`

// CountQueues counts the open tickets and overdue tasks of departments.
func (q *Queries) CountQueues(ctx context.Context, db pg.DBTX, departments []*uuid.UUID, now time.Time) ([]QueueCount, error) {
	rows, err := db.Query(ctx, countQueues, departments, now)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[QueueCount])
}
