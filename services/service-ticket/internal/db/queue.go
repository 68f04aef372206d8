package db

import (
	"bytes"
	"context"
	"errors"
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

// The lanes of somebody's department, and where asked for of none, with their first tickets:
// along tickets_queue_idx from one need to the next, so that it costs as much for a million
// tickets as for a thousand. What the index has next is the first of its lane.
const listLanes = `
SELECT d.id, lane.needs, lane.queue_rank, lane.due_time, lane.id
FROM (
  SELECT department_id AS id FROM staff WHERE issuer = $1 AND subject = $2
  UNION ALL SELECT '00000000-0000-0000-0000-000000000000' WHERE $3
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

const listLoadOf = `
SELECT s.id, (SELECT count(*) FROM tickets t WHERE t.assignee_staff_id = s.id AND t.state IN (3, 4, 5))::integer
FROM staff s WHERE s.issuer = $1 AND s.subject = $2`

// Puller is what is read first for somebody who asks for their next ticket.
type Puller struct {
	// Staff is who asks, held; empty for somebody the directory does not know.
	Staff []Staff
	// Absences are everybody's at the moment.
	Absences []Substitution
	// Loads are the open tickets in the asker's hands.
	Loads []ListStaffLoadsRow
	// Lanes are those of their department and, where asked for, of none, the one that is served
	// first first.
	Lanes []Lane
}

// QueuePuller has b read into p, which has it once b was sent.
func (q *Queries) QueuePuller(b *pgx.Batch, p *Puller, issuer, subject string, at time.Time, unsorted bool) {
	// Held first: what is counted for one call then has what another of the same person took.
	collect(b, &p.Staff, lockStaffByIdentity, issuer, subject)
	collect(b, &p.Absences, listSubstitutionsDuring, at, at.Add(time.Microsecond))
	collect(b, &p.Loads, listLoadOf, issuer, subject)
	b.Queue(listLanes, issuer, subject, unsorted).Query(func(rows pgx.Rows) (err error) {
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

const takeQueued = `
SELECT t.* FROM tickets t
WHERE COALESCE(t.department_id, '00000000-0000-0000-0000-000000000000') = $1
  AND t.assignee_staff_id IS NULL AND t.state IN (1, 2) AND t.needs = $2
  AND NOT (t.queue_rank = 1 AND t.create_time > $3 AND customer_owner(t.customer_id) = ANY($4::uuid[]))
ORDER BY t.queue_rank, t.due_time, t.id LIMIT 1
FOR NO KEY UPDATE SKIP LOCKED`

// TakeQueued holds the first ticket of a lane that nobody else holds, nil for none: but for
// those of key customers, registered after a moment, whose account manager is reserved for them.
func (q *Queries) TakeQueued(ctx context.Context, db DBTX, lane Lane, after time.Time, reserved []uuid.UUID) (*Ticket, error) {
	if reserved == nil {
		reserved = []uuid.UUID{}
	}
	rows, err := db.Query(ctx, takeQueued, lane.Department, lane.Needs, after, reserved)
	if err != nil {
		return nil, err
	}
	t, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Ticket])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &t, err
}

// GetCustomerOwner gives the account manager of a customer, of the survivor where that one
// was merged; nil for none.
func (q *Queries) GetCustomerOwner(ctx context.Context, db DBTX, customer uuid.UUID) (owner *uuid.UUID, err error) {
	err = db.QueryRow(ctx, "SELECT customer_owner($1)", customer).Scan(&owner)
	return owner, err
}
