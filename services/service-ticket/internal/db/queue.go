package db

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Lane is a part of the queue: the tickets of one department, zero for none, that ask for
// the same of whoever takes them. Rank, Due and ID are those of its first ticket.
type Lane struct {
	Department uuid.UUID
	Needs      string
	Rank       int16
	Due        *time.Time
	ID         uuid.UUID
}

// Before tells whether a lane's first ticket is served before another's. As in the index,
// what has no due time comes last.
func (l Lane) Before(o Lane) bool {
	switch {
	case l.Rank != o.Rank:
		return l.Rank < o.Rank
	case l.Due == nil || o.Due == nil:
		if (l.Due == nil) != (o.Due == nil) {
			return o.Due == nil
		}
	case !l.Due.Equal(*o.Due):
		return l.Due.Before(*o.Due)
	}
	return bytes.Compare(l.ID[:], o.ID[:]) < 0
}

// The lanes of some departments, zero for none, with their first tickets: along
// tickets_queue_idx from one need to the next, so that it costs as much for a million tickets
// as for a thousand. What the index has next is the first of its lane.
const listLanes = `
SELECT d.id, lane.needs, lane.queue_rank, lane.due_time, lane.id
FROM (
  SELECT department_id AS id FROM staff WHERE (issuer, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
  UNION SELECT '00000000-0000-0000-0000-000000000000' WHERE $3
) d
CROSS JOIN LATERAL (
  WITH RECURSIVE hop AS (
    (SELECT t.needs, t.queue_rank, t.due_time, t.id FROM tickets t
     WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = d.id
       AND t.assignee_staff_id IS NULL AND t.state IN (1, 2)
     ORDER BY t.needs, t.queue_rank, t.due_time, t.id LIMIT 1)
    UNION ALL
    SELECT following.* FROM hop CROSS JOIN LATERAL (
      SELECT t.needs, t.queue_rank, t.due_time, t.id FROM tickets t
      WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = d.id
        AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND t.needs > hop.needs
      ORDER BY t.needs, t.queue_rank, t.due_time, t.id LIMIT 1) following
  )
  SELECT * FROM hop
) lane`

// In the order of ids, so that two transactions do not wait for each other.
var lockPullers = `
SELECT ` + staffColumns + ` FROM staff s WHERE (s.issuer, s.subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY s.id FOR NO KEY UPDATE`

const listPullerLoads = `
SELECT s.id, (SELECT count(*) FROM tickets t WHERE t.assignee_staff_id = s.id AND t.state IN (3, 4, 5))::integer
FROM staff s WHERE (s.issuer, s.subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))`

// Pullers is what is read first for those who ask for their next ticket.
type Pullers struct {
	// Staff are those who ask, held, without those whom the directory does not know.
	Staff []Staff
	// Absences are everybody's at the moment.
	Absences []Substitution
	// Loads are the open tickets in their hands.
	Loads []ListStaffLoadsRow
	// Lanes are those of their departments and, where asked for, of none, the one that is served
	// first first.
	Lanes []Lane
}

// QueuePullers has b read into p, which has it once b was sent. The people are given by their
// issuers and subjects.
func (q *Queries) QueuePullers(b *pgx.Batch, p *Pullers, issuers, subjects []string, at time.Time, unsorted bool) {
	// Held first: what is counted then has what another transaction gave them.
	collect(b, &p.Staff, lockPullers, issuers, subjects)
	collect(b, &p.Absences, listSubstitutionsDuring, at, at.Add(time.Microsecond))
	collect(b, &p.Loads, listPullerLoads, issuers, subjects)
	b.Queue(listLanes, issuers, subjects, unsorted).Query(func(rows pgx.Rows) (err error) {
		p.Lanes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Lane])
		slices.SortFunc(p.Lanes, func(a, b Lane) int {
			if a.Before(b) {
				return -1
			}
			return 1
		})
		return err
	})
}

// collect queues a query whose rows go to a place.
func collect[T any](b *pgx.Batch, to *[]T, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) (err error) {
		*to, err = pgx.CollectRows(rows, pgx.RowToStructByPos[T])
		return err
	})
}

var takeQueued = `
SELECT ` + ticketColumns + ` FROM tickets t
WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = $1
  AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND t.needs = $2
  AND NOT (t.queue_rank = 1 AND t.create_time > $3 AND customer_owner(t.customer_id) = ANY($4::uuid[]))
  AND t.id <> ALL($5::uuid[])
ORDER BY t.queue_rank, t.due_time, t.id LIMIT $6
FOR NO KEY UPDATE SKIP LOCKED`

// TakeQueued holds the first tickets of a lane that nobody else holds, at most so many: but for
// some, and for those of key customers, registered after a moment, whose account manager is
// reserved for them.
func (q *Queries) TakeQueued(ctx context.Context, db DBTX, lane Lane, after time.Time, reserved, but []uuid.UUID, count int) ([]Ticket, error) {
	if reserved == nil {
		reserved = []uuid.UUID{}
	}
	if but == nil {
		but = []uuid.UUID{}
	}
	rows, err := db.Query(ctx, takeQueued, lane.Department, lane.Needs, after, reserved, but, count)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Ticket])
}

// GetCustomerOwner gives the account manager of a customer, of the survivor where that one
// was merged; nil for none.
func (q *Queries) GetCustomerOwner(ctx context.Context, db DBTX, customer uuid.UUID) (owner *uuid.UUID, err error) {
	err = db.QueryRow(ctx, "SELECT customer_owner($1)", customer).Scan(&owner)
	return owner, err
}
