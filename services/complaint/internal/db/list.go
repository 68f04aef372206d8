package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/kefu-suite/kefu/runtime/pg"
)

// ListFilter says which complaints a list has. Nil and empty fields do not restrict.
type ListFilter struct {
	States                              []int16
	CustomerID, HandlerID, DepartmentID *uuid.UUID
	TicketID                            *uuid.UUID
	Number, Source, ExternalID          string
	ProductModel                        string
	Severity                            int16
	// Readers are the keys of a caller who may not read everything.
	Readers []string
	// NotAccused leaves out what is about this member of staff.
	NotAccused *uuid.UUID
	// Before is where the page starts; Size is its length.
	Before uuid.UUID
	Size   int32
}

// allStates are those a complaint can be in.
func allStates() []int16 { return []int16{1, 2, 3, 4, 5, 6, 7, 8, 9} }

// ListComplaints gives a page of complaints, newest first. It is written by hand because
// each filter has an index to walk: one walk for each state (or reader) that stops after
// a page, and the page is the newest of what the walks brought. The walk follows the
// narrowest filter; the others are checked on the way.
func ListComplaints(ctx context.Context, db DBTX, f ListFilter) ([]Complaint, error) {
	query, args := f.query()
	rows, err := db.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list complaints: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Complaint])
	if err != nil {
		return nil, fmt.Errorf("list complaints: %w", err)
	}
	return found, nil
}

type arguments []any

func (a *arguments) add(v any) string {
	*a = append(*a, v)
	return "$" + strconv.Itoa(len(*a))
}

// query writes the statement; values travel as parameters only.
func (f ListFilter) query() (string, []any) {
	var args arguments
	states := f.States
	if len(states) == 0 {
		states = allStates()
	}
	var where []string
	for _, c := range []struct {
		column string
		id     *uuid.UUID
	}{{"customer_id", f.CustomerID}, {"handler_staff_id", f.HandlerID}, {"department_id", f.DepartmentID}, {"ticket_id", f.TicketID}} {
		if c.id != nil {
			where = append(where, "c."+c.column+" = "+args.add(*c.id))
		}
	}
	for _, c := range []struct{ column, value string }{
		{"number", f.Number}, {"source", f.Source}, {"external_id", f.ExternalID},
		{"product_model", f.ProductModel},
	} {
		if c.value != "" {
			where = append(where, "c."+c.column+" = "+args.add(c.value))
		}
	}
	narrow := len(where) > 0
	// Many complaints are of one severity, so it narrows no walk over what somebody reads.
	if f.Severity != 0 {
		where = append(where, "c.severity = "+args.add(f.Severity))
	}
	if f.NotAccused != nil {
		where = append(where, "c.accused_staff_id IS DISTINCT FROM "+args.add(*f.NotAccused))
	}
	if f.Readers != nil && !narrow {
		return f.byReader(states, where, args)
	}
	if f.Readers != nil {
		// OFFSET 0 keeps this a question asked of each row of the walk.
		where = append(where, "EXISTS (SELECT FROM complaint_readers r WHERE r.complaint_id = c.id AND r.reader = ANY ("+
			args.add(f.Readers)+"::text[]) OFFSET 0)")
	}
	// The range is c.state = w.state and c.id < before. Written so, the order is that of an
	// index that begins with the state, and no plan can take the primary key instead and
	// read past all other states.
	where = append(where, "c.state >= w.state", "(c.state, c.id) < (w.state, "+args.add(f.Before)+")")
	return pageOf("unnest("+args.add(states)+"::smallint[]) AS w (state)",
		"SELECT c.id FROM complaints c WHERE "+strings.Join(where, " AND ")+" ORDER BY c.state DESC, c.id DESC",
		args.add(f.Size)), args
}

// byReader walks the complaints of each key and state, and looks at each complaint for
// what else is asked.
func (f ListFilter) byReader(states []int16, where []string, args arguments) (string, []any) {
	further := ""
	if len(where) > 0 {
		further = " AND EXISTS (SELECT FROM complaints c WHERE c.id = r.complaint_id AND " + strings.Join(where, " AND ") + " OFFSET 0)"
	}
	return pageOf("unnest("+args.add(f.Readers)+"::text[]) AS k (reader) CROSS JOIN unnest("+args.add(states)+"::smallint[]) AS w (state)",
		"SELECT r.complaint_id AS id FROM complaint_readers r WHERE r.reader = k.reader AND r.state >= w.state"+
			" AND (r.state, r.complaint_id) < (w.state, "+args.add(f.Before)+")"+further+
			" ORDER BY r.state DESC, r.complaint_id DESC",
		args.add(f.Size)), args
}

// complaintColumns are what a list reads of a complaint c.
var complaintColumns = pg.Columns(getComplaint, "c")

// pageOf is the newest of what the walks bring.
func pageOf(walks, walk, size string) string {
	return "SELECT " + complaintColumns + " FROM (SELECT DISTINCT p.id FROM " + walks + " CROSS JOIN LATERAL (" + walk + " LIMIT " + size +
		") p ORDER BY p.id DESC LIMIT " + size + ") q JOIN complaints c ON c.id = q.id ORDER BY c.id DESC"
}
