// Package subject carries out the rights of persons in one service: to export everything held
// on somebody, to correct copies and to erase. What is held where, and what becomes of each
// column when a person is erased, a service declares as [Table]s; a test holds the declaration
// against its schema, so that a new table or column must declare itself.
//
// Erasing destroys the person's keys, overwrites names and free text in place, cuts links and
// ends what is pending. Facts that law requires stay: numbers, times, amounts, states, and the
// id of a customer's file that holds nothing any more.
//
// Before a part is erased it stands in the erasure list, a file outside the databases. Whoever
// restores an older database starts the service on it, and [Server.Replay] erases again what
// the list has and the database has not.
package subject

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kefu-suite/kefu/runtime/idempotency"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes subject_erasures; apply it before the service's own.
func Migrations() pg.MigrationSet { return pg.MigrationSet{Name: "subject", FS: migrations} }

// Sets are ids by what they are of, e.g. `customer` or `ticket`.
type Sets map[string][]uuid.UUID

// Table declares one table. Columns are listed by name, with spaces between.
type Table struct {
	Name string
	// Set and Column say which rows are the person's: those whose column is in the set. A
	// table without them holds nothing on persons, for the reason given.
	Set, Column string
	// Where says so instead, of $1, where no index begins with the column.
	Where  string
	Reason string
	// Key names a row; `id` unless given.
	Key string
	// Kept stays as it is.
	Kept string
	// Blank becomes the empty text, Null null, Empty the empty array.
	Blank, Null, Empty string
	// Also is set beside, where $2 is the present.
	Also string
	// Delete removes the rows.
	Delete bool
	// Part is a second look at a table that is declared as a whole elsewhere, by another set.
	Part bool
	// Sealed are the columns that are encrypted, and shown decrypted in an export.
	Sealed []Sealed
	// Hidden are the columns that say nothing to people: indexes of ciphertexts and the like.
	Hidden string
}

// Sealed is an encrypted column.
type Sealed struct {
	Column string
	// Subject is the column of the id whose key it is under; empty where the bytes are not
	// encrypted and only need Open.
	Subject string
	// Open turns the plain value into what an export shows; the text itself unless given.
	Open func(plain string) (any, error)
}

func (t *Table) key() []string {
	if t.Key == "" {
		return []string{"id"}
	}
	return strings.Fields(t.Key)
}

// Columns are all that the declaration names.
func (t *Table) Columns() []string {
	return slices.Concat(strings.Fields(t.Kept), strings.Fields(t.Blank), strings.Fields(t.Null), strings.Fields(t.Empty))
}

// rows is the condition of the person's rows.
func (t *Table) rows() string {
	if t.Where != "" {
		return t.Where
	}
	return t.Column + " = ANY($1)"
}

// change is the statement that erases, empty where nothing is to be erased.
func (t *Table) change() string {
	where := " WHERE " + t.rows()
	if t.Delete {
		return "DELETE FROM " + t.Name + where
	}
	var set []string
	for value, columns := range map[string]string{"''": t.Blank, "NULL": t.Null, "'{}'": t.Empty} {
		for _, c := range strings.Fields(columns) {
			set = append(set, c+" = "+value)
		}
	}
	if t.Also != "" {
		set = append(set, t.Also)
	}
	if len(set) == 0 {
		return ""
	}
	slices.Sort(set)
	return "UPDATE " + t.Name + " SET " + strings.Join(set, ", ") + where
}

// Common declares the tables that every service has from the packages below it.
func Common() []Table {
	const cases = "says of ids, states, numbers and times only"
	return []Table{
		{Name: "subject_keys", Reason: "keys, which are destroyed as such", Kept: "*"},
		{Name: "service_keys", Reason: "keys of the service", Kept: "*"},
		{Name: "subject_erasures", Reason: "that an erasure was done", Kept: "*"},
		{Name: "event_outbox", Reason: cases, Kept: "*"},
		{Name: "event_cursors", Reason: cases, Kept: "*"},
		{Name: "event_parked", Reason: cases, Kept: "*"},
		{Name: "audit_records", Reason: "who did what to which id, from which network; values are keyed hashes", Kept: "*"},
		{Name: "audit_reads", Reason: "audit records of reads, until they are filed", Kept: "*"},
		{Name: "audit_chain", Reason: "links of audit records", Kept: "*"},
		{Name: "audit_search", Reason: "what auditors search audit records by", Kept: "*"},
		{Name: "audit_pending", Reason: "links of audit records", Kept: "*"},
		{Name: "idempotency_outcomes", Reason: "outcomes of erased resources are emptied by their ids", Kept: "*"},
	}
}

// CustomerRefs declares the copies of customers.
func CustomerRefs() Table {
	return Table{
		Name: "customer_refs", Reason: "copies of customers without personal data",
		Kept: "id number kind tier region status owner_staff_id merged_into service_quality_consent language version",
	}
}

// Directory declares the copies of departments and staff, who are no customers.
func Directory() []Table {
	return []Table{
		{Name: "directory_departments", Reason: "the organisation", Kept: "id code name_zh name_en function parent_id head_staff_id version closed"},
		{Name: "directory_staff", Reason: "staff", Kept: "id name department_id posts skills languages status issuer subject version"},
	}
}

// Clocks declares the tables of deadlines and of the policies that set them.
func Clocks() []Table {
	return append(Deadlines(), Table{
		Name: "clock_policies", Reason: "what the company promises", Kept: "id version state effective_time definition create_time update_time revision",
	})
}

// Deadlines declares the tables of deadlines alone. Reasons in them are codes.
func Deadlines() []Table {
	return []Table{
		{Name: "clock_calendars", Reason: "calendars", Kept: "calendar_id version definition"},
		{Name: "clocks", Reason: "deadlines of cases", Kept: "id subject_type subject_id kind round state owner_role owner_staff_id " +
			"owner_department_id calendar_id calendar_version policy_id policy_version clause_id target start_time due_time stop_time next_step_time version"},
		{Name: "clock_log", Reason: "what happened to deadlines, with codes as reasons", Kept: "clock_id position type occur_time record_time actor " +
			"actor_kind reason terms owner step role scheduled_time amount"},
	}
}

// erase erases the rows of the sets, the outcomes that repeat them, and the keys of the
// subjects, and counts the rows by table.
func erase(ctx context.Context, tx pg.DBTX, keys *pii.Keyring, d *Declaration, sets Sets, now time.Time) (map[string]int64, error) {
	counts := map[string]int64{}
	for i := range d.Tables {
		t := &d.Tables[i]
		ids, change := sets[t.Set], ""
		if t.Set == "" || len(ids) == 0 {
			continue
		}
		if t.key()[0] == "id" && t.Column != "id" {
			if err := idempotency.EraseOf(ctx, tx, t.Name, t.Column, ids); err != nil {
				return nil, err
			}
		}
		if change = t.change(); change == "" {
			continue
		}
		args := []any{ids}
		if strings.Contains(change, "$2") {
			args = append(args, now)
		}
		tag, err := tx.Exec(ctx, change, args...)
		if err != nil {
			return nil, fmt.Errorf("erase from %s: %w", t.Name, err)
		}
		counts[t.Name] += tag.RowsAffected()
	}
	for _, ids := range sets {
		if err := idempotency.Erase(ctx, tx, ids); err != nil {
			return nil, err
		}
	}
	for _, name := range d.Shreds {
		for _, id := range sets[name] {
			if err := keys.Shred(ctx, tx, id); err != nil {
				return nil, err
			}
		}
	}
	return counts, nil
}
