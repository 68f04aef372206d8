package db

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ReportFilter says which complaints a report counts. Nil and empty fields do not restrict.
type ReportFilter struct {
	From, To                            time.Time
	DepartmentID, HandlerID, CustomerID *uuid.UUID
	ProductModel, Source                string
	// Severity 1 has complaints that no review judged yet: they are general until then.
	Severity int16
	// Readers are the keys of a caller who may not read everything.
	Readers []string
	// NotAccused leaves out what is about this member of staff.
	NotAccused *uuid.UUID
	// Group is an expression of the complaint c; one of the groups below.
	Group Group
	// Most is how many groups there are at most.
	Most int
}

// Group is what complaints are told apart by.
type Group string

// The groups.
const (
	NoGroup         Group = "''"
	GroupState      Group = "c.state::text"
	GroupHandler    Group = "coalesce(c.handler_staff_id::text, '')"
	GroupDepartment Group = "coalesce(c.department_id::text, '')"
	GroupSeverity   Group = "GREATEST(c.severity, 1)::text"
	GroupCustomer   Group = "coalesce(c.customer_id::text, '')"
	GroupProduct    Group = "c.product_model"
	GroupCategory   Group = "c.category::text"
)

// Counted are the complaints of a group.
type Counted struct {
	Key                                                             string
	Received, Major, Rounds, Satisfied, Unsatisfied, NoAnswer, Open int64
}

// Timed is how long one stage took in a group.
type Timed struct {
	Key   string
	State int16
	Count int64
	// In microseconds.
	Mean, Median, Longest int64
}

// Kept is how often one deadline was kept in a group.
type Kept struct {
	Key, Kind   string
	Met, Missed int64
}

// picked are the complaints that count, each with its group.
func (f ReportFilter) picked(args *arguments) string {
	where := []string{"c.create_time >= " + args.add(f.From), "c.create_time < " + args.add(f.To)}
	for _, c := range []struct {
		column string
		id     *uuid.UUID
	}{{"department_id", f.DepartmentID}, {"handler_staff_id", f.HandlerID}, {"customer_id", f.CustomerID}} {
		if c.id != nil {
			where = append(where, "c."+c.column+" = "+args.add(*c.id))
		}
	}
	for _, c := range []struct{ column, value string }{{"product_model", f.ProductModel}, {"source", f.Source}} {
		if c.value != "" {
			where = append(where, "c."+c.column+" = "+args.add(c.value))
		}
	}
	if f.Severity != 0 {
		where = append(where, "GREATEST(c.severity, 1) = "+args.add(f.Severity))
	}
	if f.NotAccused != nil {
		where = append(where, "c.accused_staff_id IS DISTINCT FROM "+args.add(*f.NotAccused))
	}
	if f.Readers != nil {
		where = append(where, "EXISTS (SELECT FROM complaint_readers r WHERE r.complaint_id = c.id AND r.reader = ANY ("+
			args.add(f.Readers)+"::text[]))")
	}
	return "picked AS (SELECT c.id, c.state, c.severity, c.round, c.outcome, " + string(f.Group) + " AS key FROM complaints c WHERE " +
		strings.Join(where, " AND ") + ")"
}

// collect runs a statement over the complaints that count.
func collect[T any](ctx context.Context, tx pgx.Tx, f ReportFilter, rest func(args *arguments) string) ([]T, error) {
	var args arguments
	sql := "WITH " + f.picked(&args) + rest(&args)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("report complaints: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, fmt.Errorf("report complaints: %w", err)
	}
	return out, nil
}

// CountComplaints counts by group, the largest first, one more than asked for where there are more.
func CountComplaints(ctx context.Context, tx pgx.Tx, f ReportFilter) ([]Counted, error) {
	return collect[Counted](ctx, tx, f, func(args *arguments) string {
		return ` SELECT key, count(*), count(*) FILTER (WHERE severity = 2), count(*) FILTER (WHERE round > 1),
  count(*) FILTER (WHERE outcome = 1), count(*) FILTER (WHERE outcome = 2), count(*) FILTER (WHERE outcome = 3), count(*) FILTER (WHERE outcome = 0)
FROM picked GROUP BY key ORDER BY count(*) DESC, key LIMIT ` + args.add(f.Most+1)
	})
}

// TimeStages measures the stages of some groups. The states are numbered in their order, so the
// stage before one is that of the number before.
func TimeStages(ctx context.Context, tx pgx.Tx, f ReportFilter, keys []string) ([]Timed, error) {
	return collect[Timed](ctx, tx, f, func(args *arguments) string {
		return `, entered AS (
  SELECT p.key, t.complaint_id, t.round, t.to_state, min(t.occur_time) AS at
  FROM picked p JOIN complaint_transitions t ON t.complaint_id = p.id
  WHERE t.from_state <> t.to_state AND p.key = ANY (` + args.add(keys) + `::text[])
  GROUP BY p.key, t.complaint_id, t.round, t.to_state
)
SELECT key, to_state, count(*), round(avg(took))::bigint, percentile_disc(0.5) WITHIN GROUP (ORDER BY took), max(took)
FROM (
  SELECT e.key, e.to_state, (extract(epoch FROM e.at - b.at) * 1000000)::bigint AS took
  FROM entered e JOIN entered b ON b.complaint_id = e.complaint_id AND b.round = e.round AND b.to_state = e.to_state - 1
) spans
GROUP BY key, to_state ORDER BY key, to_state`
	})
}

// RateDeadlines counts the deadlines of some groups that were kept and missed.
func RateDeadlines(ctx context.Context, tx pgx.Tx, f ReportFilter, keys []string) ([]Kept, error) {
	return collect[Kept](ctx, tx, f, func(args *arguments) string {
		return ` SELECT p.key, k.kind, count(*) FILTER (WHERE k.state = 4), count(*) FILTER (WHERE k.state = 5)
FROM picked p JOIN clocks k ON k.subject_id = p.id
WHERE k.state IN (4, 5) AND p.key = ANY (` + args.add(keys) + `::text[])
GROUP BY p.key, k.kind ORDER BY p.key, k.kind`
	})
}
