package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// CreateSolutionPlan records how a ticket is to be solved.
func (s *Server) CreateSolutionPlan(ctx context.Context, req *ticketv1.CreateSolutionPlanRequest) (*ticketv1.SolutionPlan, error) {
	of, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.SolutionPlan, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		if err := ticket.Before(ticket.State(t.State), "createSolutionPlan"); err != nil {
			return nil, err
		}
		staff, err := s.callerStaff(ctx, tx)
		if err != nil {
			return nil, err
		}
		row := db.SolutionPlan{
			ID: id, TicketID: of, Round: t.Round, Text: req.GetPlan().GetText(), StaffID: staff, CreateTime: s.now(),
		}
		if at := req.GetPlan().GetPlanTime(); at != nil {
			when := instant(at)
			row.PlanTime = &when
		}
		if err := s.q.InsertSolutionPlan(ctx, tx, db.InsertSolutionPlanParams(row)); err != nil {
			return nil, fmt.Errorf("record a plan: %w", err)
		}
		out := planProto(&row)
		s.worked(tx, "plan.recorded.v1", t, id)
		tx.Audit("solution-plan", id, out)
		return out, nil
	})
}

// worked tells that something was done on a ticket beside its moves.
func (s *Server) worked(tx *write.Tx, kind string, t *db.Ticket, id uuid.UUID) {
	tx.Emit(event.Event{
		Type: kind, SubjectID: id, SubjectVersion: 1, CustomerID: idValue(t.CustomerID), OccurTime: s.now(),
		Payload: &ticketv1.TicketWorked{TicketId: t.ID.String(), TicketNumber: t.Number},
	})
}

// ListSolutionPlans lists the plans of a ticket.
func (s *Server) ListSolutionPlans(ctx context.Context, req *ticketv1.ListSolutionPlansRequest) (*ticketv1.ListSolutionPlansResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "plans", func(r db.SolutionPlan) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.SolutionPlan, error) {
		return s.q.ListSolutionPlans(ctx, s.pool, t.ID, after, size)
	})
	out := &ticketv1.ListSolutionPlansResponse{NextPageToken: next}
	for i := range rows {
		out.Plans = append(out.Plans, planProto(&rows[i]))
	}
	return out, err
}

func planProto(row *db.SolutionPlan) *ticketv1.SolutionPlan {
	return &ticketv1.SolutionPlan{
		Id: row.ID.String(), TicketId: row.TicketID.String(), Round: row.Round, Text: row.Text, PlanTime: stamp(row.PlanTime),
		StaffId: idString(row.StaffID), CreateTime: timestamppb.New(row.CreateTime),
	}
}

// CreateWorkEntry records time spent or money laid out.
func (s *Server) CreateWorkEntry(ctx context.Context, req *ticketv1.CreateWorkEntryRequest) (*ticketv1.WorkEntry, error) {
	of, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	row, err := s.newEntry(req.GetEntry())
	if err != nil {
		return nil, err
	}
	row.TicketID = of
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.WorkEntry, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		if err := ticket.Commentable(ticket.State(t.State)); err != nil {
			return nil, err
		}
		me, err := s.me(ctx, tx)
		if err != nil {
			return nil, err
		}
		if me == nil {
			return nil, rpcerr.NotFound("staff", authn.FromContext(ctx).Subject)
		}
		row.StaffID = me.ID
		if err := s.q.InsertWorkEntry(ctx, tx, db.InsertWorkEntryParams{
			ID: row.ID, TicketID: of, Kind: row.Kind, Minutes: row.Minutes, Currency: row.Currency, Amount: row.Amount, Note: row.Note,
			WorkTime: row.WorkTime, StaffID: row.StaffID, CreateTime: row.CreateTime,
		}); err != nil {
			return nil, fmt.Errorf("record an entry: %w", err)
		}
		out := entryProto(row)
		s.worked(tx, "entry.recorded.v1", t, row.ID)
		tx.Audit("work-entry", row.ID, out)
		return out, nil
	})
}

// newEntry makes the row of a new entry.
func (s *Server) newEntry(in *ticketv1.WorkEntry) (*db.WorkEntry, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	now := s.now()
	row := &db.WorkEntry{ID: id, Kind: int16(in.GetKind()), Minutes: in.GetMinutes(), Note: in.GetNote(), WorkTime: now, CreateTime: now}
	if in.GetWorkTime() != nil {
		if row.WorkTime = instant(in.GetWorkTime()); row.WorkTime.After(now) {
			return nil, rpcerr.Invalid("entry.work_time", rpcerr.T(
				"%[1]s is in the future; give when the work was done, at the latest %[2]s",
				"%[1]s 是将来的时间；请填写实际工作时间，最晚为 %[2]s", row.WorkTime.Format(time.RFC3339), now.Format(time.RFC3339)))
		}
	}
	row.Currency, row.Amount, err = ticket.CheckEntry(in)
	return row, err
}

// VoidWorkEntry takes an entry back.
func (s *Server) VoidWorkEntry(ctx context.Context, req *ticketv1.VoidWorkEntryRequest) (*ticketv1.WorkEntry, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.WorkEntry, error) {
		row, err := s.q.LockWorkEntry(ctx, tx, id)
		if err != nil {
			return nil, missing(err, "work entry", id)
		}
		t, err := s.q.GetTicket(ctx, tx, row.TicketID)
		if err != nil {
			return nil, fmt.Errorf("read ticket: %w", err)
		}
		me, err := s.me(ctx, tx)
		if err != nil {
			return nil, err
		}
		mine := me != nil && me.ID == row.StaffID
		if scope := authz.FromContext(ctx).Scope; !mine && scope > accessv1.Scope_SCOPE_OWN {
			if mine, err = s.covers(ctx, tx, scope, &t); err != nil {
				return nil, err
			}
		}
		if !mine {
			return nil, rpcerr.NotFound("work entry", id.String())
		}
		if row.VoidReason != "" {
			return nil, rpcerr.WrongState("WORK_ENTRY_VOID", rpcerr.T(
				"The entry was taken back already: %[1]s.", "该条目已被撤回：%[1]s。", row.VoidReason))
		}
		row.VoidReason = req.GetReason()
		if err := s.q.VoidWorkEntry(ctx, tx, row.VoidReason, id); err != nil {
			return nil, fmt.Errorf("take an entry back: %w", err)
		}
		out := entryProto(&row)
		tx.AuditOf(idValue(t.CustomerID), "work-entry", id, out)
		return out, nil
	})
}

// ListWorkEntries lists the entries of a ticket with what they come to.
func (s *Server) ListWorkEntries(ctx context.Context, req *ticketv1.ListWorkEntriesRequest) (*ticketv1.ListWorkEntriesResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	rows, next, err := byID(ctx, s, req, "entries", func(r db.WorkEntry) uuid.UUID { return r.ID }, func(after uuid.UUID, size int32) ([]db.WorkEntry, error) {
		return s.q.ListWorkEntries(ctx, s.pool, t.ID, after, size)
	})
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListWorkEntriesResponse{NextPageToken: next}
	for i := range rows {
		out.Entries = append(out.Entries, entryProto(&rows[i]))
	}
	sums, err := s.q.SumWorkEntries(ctx, s.pool, t.ID)
	if err != nil {
		return nil, fmt.Errorf("sum the entries: %w", err)
	}
	for _, sum := range sums {
		if sum.Currency == "" {
			out.TotalMinutes = sum.Minutes
			continue
		}
		out.Totals = append(out.Totals, hundredths(sum.Currency, sum.Amount))
	}
	return out, nil
}

func hundredths(currency string, amount int64) *money.Money {
	return &money.Money{CurrencyCode: currency, Units: amount / 100, Nanos: int32(amount%100) * 10_000_000}
}

func entryProto(row *db.WorkEntry) *ticketv1.WorkEntry {
	out := &ticketv1.WorkEntry{
		Id: row.ID.String(), TicketId: row.TicketID.String(), Kind: ticketv1.WorkEntryKind(row.Kind), Minutes: row.Minutes, Note: row.Note,
		WorkTime: timestamppb.New(row.WorkTime), StaffId: row.StaffID.String(), VoidReason: row.VoidReason, CreateTime: timestamppb.New(row.CreateTime),
	}
	if row.Currency != "" {
		out.Amount = hundredths(row.Currency, row.Amount)
	}
	return out
}

// watcherFor is who is to watch: who is named, or the caller.
func (s *Server) watcherFor(ctx context.Context, tx *write.Tx, given uuid.UUID) (uuid.UUID, error) {
	if given != uuid.Nil {
		return given, s.employed(ctx, tx, "staff_id", given)
	}
	me, err := s.me(ctx, tx)
	if err != nil {
		return uuid.Nil, err
	}
	if me == nil {
		return uuid.Nil, rpcerr.NotFound("staff", authn.FromContext(ctx).Subject)
	}
	return me.ID, nil
}

// AddWatcher lets somebody watch a ticket.
func (s *Server) AddWatcher(ctx context.Context, req *ticketv1.AddWatcherRequest) (*ticketv1.Watcher, error) {
	of, err := parseID("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	given, err := parseOptional("staff_id", req.GetStaffId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Watcher, error) {
		t, err := s.lock(ctx, tx, of, "")
		if err != nil {
			return nil, err
		}
		who, err := s.watcherFor(ctx, tx, given)
		if err != nil {
			return nil, err
		}
		n, err := s.q.InsertWatcher(ctx, tx, of, who, s.now())
		if err != nil {
			return nil, fmt.Errorf("add a watcher: %w", err)
		}
		row, err := s.q.GetWatcher(ctx, tx, of, who)
		if err != nil {
			return nil, fmt.Errorf("read a watcher: %w", err)
		}
		out := watcherProto(&row)
		if n == 0 {
			tx.Unchanged()
			return out, nil
		}
		tx.AuditOf(idValue(t.CustomerID), "ticket", t.ID, out)
		return out, nil
	})
}

func watcherProto(row *db.Watcher) *ticketv1.Watcher {
	return &ticketv1.Watcher{StaffId: row.StaffID.String(), CreateTime: timestamppb.New(row.CreateTime)}
}

// FindWatchers lists who watches a ticket.
func (s *Server) FindWatchers(ctx context.Context, req *ticketv1.FindWatchersRequest) (*ticketv1.FindWatchersResponse, error) {
	t, err := s.find(ctx, "ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	rows, err := s.q.FindWatchers(ctx, s.pool, t.ID)
	if err != nil {
		return nil, fmt.Errorf("list watchers: %w", err)
	}
	out := &ticketv1.FindWatchersResponse{}
	for i := range rows {
		out.Watchers = append(out.Watchers, watcherProto(&rows[i]))
	}
	return out, nil
}

// linked finds the other ticket of a link, which the caller may read.
func (s *Server) linked(ctx context.Context, tx *write.Tx, id uuid.UUID) (*db.Ticket, error) {
	row, err := s.q.GetTicket(ctx, tx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ticketNotFound(id)
	}
	if err != nil {
		return nil, fmt.Errorf("read ticket: %w", err)
	}
	seen, err := s.covers(ctx, tx, authz.Held(ctx, "tickets.read"), &row)
	if err == nil && !seen {
		err = ticketNotFound(id)
	}
	return &row, err
}
