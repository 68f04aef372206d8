package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// incoming is one record of an import on its way: refused, or a row to insert.
type incoming struct {
	result *typev1.ImportResult
	row    *db.Ticket
	told   reporter
	tasks  []*db.Task
	at     time.Time // of the last move in the source
}

func (in *incoming) refused() bool { return len(in.result.GetRefusals()) > 0 }

// ImportTickets takes in tickets of a source with their states and times.
func (s *Server) ImportTickets(ctx context.Context, req *ticketv1.ImportTicketsRequest) (*ticketv1.ImportTicketsResponse, error) {
	owners, err := s.importOwners(ctx, req.GetRecords())
	if err != nil {
		return nil, err
	}
	departments, err := s.importDepartments(ctx, req.GetRecords())
	if err != nil {
		return nil, err
	}
	resp, err := write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.ImportTicketsResponse, error) {
		records := make([]*incoming, 0, len(req.GetRecords()))
		for _, record := range req.GetRecords() {
			in, err := s.judge(ctx, req.GetSource(), record, owners, departments)
			if err != nil {
				return nil, err
			}
			records = append(records, in)
		}
		fresh, err := s.unknownOf(ctx, tx, req.GetSource(), records)
		if err != nil {
			return nil, err
		}
		if err := s.store(ctx, tx, fresh); err != nil {
			return nil, err
		}
		out := &ticketv1.ImportTicketsResponse{}
		for _, in := range records {
			out.Results = append(out.Results, in.result)
		}
		return out, nil
	})
	if pg.Violates(err, customerKey) {
		// A customer was merged since it was looked up; the next try finds the survivor.
		return nil, rpcerr.Unavailable(customerref.Source)
	}
	return resp, err
}

// importOwners looks up the customers that records name; unknown ones are missing.
func (s *Server) importOwners(ctx context.Context, records []*ticketv1.TicketRecord) (map[uuid.UUID]uuid.UUID, error) {
	var ids []uuid.UUID
	for _, r := range records {
		if id, err := uuid.Parse(r.GetTicket().GetCustomerId()); err == nil {
			ids = append(ids, id)
		}
	}
	refs, err := customerref.EnsureAll(ctx, s.pool, ids, s.registry)
	if err != nil {
		return nil, err
	}
	out := make(map[uuid.UUID]uuid.UUID, len(refs))
	for id, ref := range refs {
		out[id] = ref.ID
	}
	return out, nil
}

// importDepartments looks up the departments that records name, and whether they are open; unknown
// ones are missing.
func (s *Server) importDepartments(ctx context.Context, records []*ticketv1.TicketRecord) (map[uuid.UUID]bool, error) {
	var ids []uuid.UUID
	for _, r := range records {
		if id, err := uuid.Parse(r.GetDepartmentId()); err == nil {
			ids = append(ids, id)
		}
	}
	known, err := s.q.ListKnownDepartments(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("look departments up: %w", err)
	}
	out := make(map[uuid.UUID]bool, len(known))
	for _, d := range known {
		out[d.ID] = d.Open
	}
	return out, nil
}

// judge makes the row of a record, or the list of what is wrong with it.
func (s *Server) judge(ctx context.Context, source string, record *ticketv1.TicketRecord, owners map[uuid.UUID]uuid.UUID, departments map[uuid.UUID]bool) (*incoming, error) {
	in := &incoming{result: &typev1.ImportResult{ExternalId: record.GetExternalId()}}
	bad, err := s.invalidRecord(ctx, record)
	if err != nil {
		return nil, err
	}
	if in.refuse(bad...); in.refused() {
		return in, nil
	}
	t := record.GetTicket()
	var faults []fault
	in.told, faults = s.normalize(t.GetReporter())
	in.refuse(refusals(ctx, "ticket.", faults)...)
	owner, err := parseOptional("ticket.customer_id", t.GetCustomerId())
	if err != nil {
		return nil, err
	}
	survivor, known := owners[owner]
	if owner != uuid.Nil && !known {
		in.refuse(refusals(ctx, "ticket.", []fault{{"customer_id", rpcerr.T(
			"there is no customer %[1]s; give the id of a customer of the registry, or none",
			"没有客户 %[1]s；请填写客户资料中已有客户的 id，或留空", owner)}})...)
	}
	department, err := parseOptional("department_id", record.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	// What has ended is history of departments that are no more, too.
	open, there := departments[department]
	if department != uuid.Nil && (!there || !open && (ticket.Open(record.GetState()) || len(record.GetTasks()) > 0)) {
		in.refuse(publicRefusals(ctx, unknownDepartment("department_id", department))...)
	}
	now := s.now()
	st, at, broken := ticket.Imported(ticket.Record{
		State: record.GetState(), Create: instant(record.GetCreateTime()), Resolve: instant(record.GetResolveTime()),
		Close: instant(record.GetCloseTime()), Resolution: record.GetResolution(), Department: department,
		Tasks: len(record.GetTasks()), OpenTasks: undone(record.GetTasks()),
	}, now)
	for _, b := range broken {
		in.refuse(ruleRefusal(ctx, b))
	}
	if in.refused() {
		return in, nil
	}
	in.at = at
	if in.row, err = importedRow(source, record, survivor, st, now); err != nil {
		return nil, err
	}
	in.tasks, err = importedTasks(record.GetTasks(), in.row, at, now)
	return in, err
}

func importedRow(source string, record *ticketv1.TicketRecord, owner uuid.UUID, st ticket.Standing, now time.Time) (*db.Ticket, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := newRow(id, owner, record.GetTicket(), now)
	row.CreateTime = instant(record.GetCreateTime())
	st.Type, st.Weight = ticketv1.TicketType(row.Type), weightOf(row)
	stand(row, st)
	external := record.GetExternalId()
	row.Source, row.ExternalID = &source, &external
	return row, nil
}

// unknownOf settles the records that an earlier import, or an earlier record of this one,
// made, and gives the others with their numbers. Imports of one source follow each other.
func (s *Server) unknownOf(ctx context.Context, tx *write.Tx, source string, records []*incoming) ([]*incoming, error) {
	if err := s.q.LockImports(ctx, tx, source); err != nil {
		return nil, fmt.Errorf("wait for other imports: %w", err)
	}
	var externals []string
	for _, in := range records {
		if !in.refused() {
			externals = append(externals, in.result.GetExternalId())
		}
	}
	stored, err := s.q.ListImported(ctx, tx, source, externals)
	if err != nil {
		return nil, fmt.Errorf("find imported tickets: %w", err)
	}
	found := make(map[string]*typev1.ImportResult, len(stored))
	for _, row := range stored {
		found[*row.ExternalID] = &typev1.ImportResult{Id: row.ID.String(), Number: row.Number}
	}
	var fresh []*incoming
	for _, in := range records {
		if in.refused() || found[in.result.GetExternalId()] != nil {
			continue
		}
		found[in.result.GetExternalId()] = in.result
		fresh = append(fresh, in)
	}
	numbers, err := s.numbers(ctx, tx, len(fresh), s.now())
	if err != nil {
		return nil, err
	}
	for i, in := range fresh {
		in.row.Number = numbers[i]
		in.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_CREATED
		in.result.Id, in.result.Number = in.row.ID.String(), numbers[i]
	}
	for _, in := range records {
		first := found[in.result.GetExternalId()]
		if in.refused() || in.result == first {
			continue
		}
		in.result.Outcome = typev1.ImportOutcome_IMPORT_OUTCOME_EXISTS
		in.result.Id, in.result.Number = first.GetId(), first.GetNumber()
	}
	return fresh, nil
}

// store inserts the rows of an import with their history, in one round trip but for keys
// of customers that have none yet.
func (s *Server) store(ctx context.Context, tx *write.Tx, fresh []*incoming) error {
	if len(fresh) == 0 {
		tx.Unchanged()
		return nil
	}
	keys, err := s.importKeys(ctx, tx, fresh)
	if err != nil {
		return err
	}
	if err := s.weighImports(ctx, tx, fresh); err != nil {
		return err
	}
	var b pg.Batch
	for _, in := range fresh {
		key := keys[in.row.ReporterSubjectID]
		if in.told.contacts() && in.row.CustomerID == nil {
			if key, err = s.keys.Create(ctx, &b, in.row.ID); err != nil {
				return err
			}
		}
		if key == nil {
			// An erased customer: what they were reached by is not kept again.
			in.told.phone, in.told.email = "", ""
		}
		if err := s.seal(in.row, in.told, key); err != nil {
			return err
		}
		made := transition(ctx, ticket.Import, ticket.None, in.row, "", in.at)
		in.row.Registrar = made.Actor
		if err := s.q.InsertTicket(ctx, &b, insertTicket(in.row)); err != nil {
			return err
		}
		if err := s.keepText(ctx, &b, in.row); err != nil {
			return err
		}
		if err := s.q.InsertTransition(ctx, &b, made); err != nil {
			return err
		}
		if err := s.storeTasks(ctx, &b, in.tasks); err != nil {
			return err
		}
		e := ticketEvent("ticket.imported.v1", ticket.None, in.row, in.at)
		e.Historic = true
		tx.Emit(e)
		tx.Audit("ticket", in.row.ID, made)
	}
	return pg.Flush(ctx, tx, &b)
}

// importKeys gives the keys of the customers whose contacts an import tells; that of an
// erased one is nil.
func (s *Server) importKeys(ctx context.Context, tx *write.Tx, fresh []*incoming) (pii.Subjects, error) {
	var subjects []uuid.UUID
	for _, in := range fresh {
		if in.told.contacts() && in.row.CustomerID != nil {
			subjects = append(subjects, in.row.ReporterSubjectID)
		}
	}
	if len(subjects) == 0 {
		return nil, nil
	}
	keys, err := s.keys.Subjects(ctx, tx, subjects...)
	if err != nil {
		return nil, err
	}
	for _, id := range subjects {
		if _, known := keys[id]; known {
			continue
		}
		if keys[id], err = s.keys.Subject(ctx, tx, id); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// instant is a time in the resolution the database keeps, zero for none.
func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return micro(t.AsTime())
}
