package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// verb is the request of one move.
type verb interface {
	write.Request
	GetId() string
	GetEtag() string
}

// prepare completes a move with what it needs of the database, in the transaction and
// with the ticket held.
type prepare func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error

// TriageTicket settles type, priority and department.
func (s *Server) TriageTicket(ctx context.Context, req *ticketv1.TriageTicketRequest) (*ticketv1.Ticket, error) {
	department, err := parseID("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	t, err := s.move(ctx, req, req.GetReason(), ticket.Move{
		Verb: ticket.Triage, Type: req.GetType(), Department: department,
	}, func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error {
		matrix, err := s.reweighed(ctx, tx, row, m, saidWeight(req))
		if err != nil || req.GetReason() != "" {
			return err
		}
		if err := s.explained(ctx, tx, row, m); err != nil {
			return err
		}
		return matrix.Overruled(m.Weight)
	})
	if pg.Violates(err, departmentKey) {
		return nil, unknownDepartment("department_id", department)
	}
	return t, err
}

// PrioritizeTicket changes the priority, or what it follows from.
func (s *Server) PrioritizeTicket(ctx context.Context, req *ticketv1.PrioritizeTicketRequest) (*ticketv1.Ticket, error) {
	said := saidWeight(req)
	if said == (ticket.Weight{}) {
		return nil, rpcerr.Invalid("priority", rpcerr.T(
			"neither a priority nor urgency or impact is given; give one of them", "优先级、紧急程度和影响范围均未填写；请至少填写其一"))
	}
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Prioritize},
		func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error {
			_, err := s.reweighed(ctx, tx, row, m, said)
			return err
		})
}

// AssignTicket gives the ticket to a member of staff and to their department; while they are
// absent to whoever stands in for them.
func (s *Server) AssignTicket(ctx context.Context, req *ticketv1.AssignTicketRequest) (*ticketv1.Ticket, error) {
	id, err := parseID("staff_id", req.GetStaffId())
	if err != nil {
		return nil, err
	}
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Assign, Assignee: id},
		func(ctx context.Context, tx *write.Tx, _ *db.Ticket, m *ticket.Move) error {
			absences, err := s.absences(ctx, tx, m.At, m.At.Add(time.Microsecond))
			if err != nil {
				return err
			}
			who, err := s.q.GetStaff(ctx, tx, organisation.StandIn(id, m.At, absences))
			if errors.Is(err, pgx.ErrNoRows) {
				return unknownStaff("staff_id", id)
			}
			if err != nil {
				return fmt.Errorf("read staff: %w", err)
			}
			if err := notLeft(&who); err != nil {
				return err
			}
			m.Assignee, m.Department = who.ID, who.DepartmentID
			return nil
		})
}

// StartTicket begins work.
func (s *Server) StartTicket(ctx context.Context, req *ticketv1.StartTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Start}, nil)
}

// WaitTicket waits for the customer or a third party.
func (s *Server) WaitTicket(ctx context.Context, req *ticketv1.WaitTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Wait, WaitFor: req.GetWaitFor()}, nil)
}

// ResumeTicket goes on with the work.
func (s *Server) ResumeTicket(ctx context.Context, req *ticketv1.ResumeTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Resume}, nil)
}

// ResolveTicket records the solution.
func (s *Server) ResolveTicket(ctx context.Context, req *ticketv1.ResolveTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, "", ticket.Move{Verb: ticket.Resolve, Resolution: req.GetResolution()}, nil)
}

// ConfirmTicket records that the customer is content.
func (s *Server) ConfirmTicket(ctx context.Context, req *ticketv1.ConfirmTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Confirm}, nil)
}

// ReopenTicket opens the next round.
func (s *Server) ReopenTicket(ctx context.Context, req *ticketv1.ReopenTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Reopen}, nil)
}

// CancelTicket ends a ticket that needs no work.
func (s *Server) CancelTicket(ctx context.Context, req *ticketv1.CancelTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Cancel}, nil)
}

// MergeTicket folds a ticket into another of the same customer.
func (s *Server) MergeTicket(ctx context.Context, req *ticketv1.MergeTicketRequest) (*ticketv1.Ticket, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	into, err := parseID("into_id", req.GetIntoId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Ticket, error) {
		rows, err := s.q.LockTickets(ctx, tx, []uuid.UUID{id, into})
		if err != nil {
			return nil, fmt.Errorf("lock tickets: %w", err)
		}
		row, err := s.pick(ctx, tx, rows, id)
		if err != nil {
			return nil, err
		}
		target, err := s.pick(ctx, tx, rows, into)
		if err != nil {
			return nil, err
		}
		if err := current(req.GetEtag(), row.Version, "ticket", id); err != nil {
			return nil, err
		}
		// What the ticket itself may do is told first.
		if _, err := ticket.Next(ticket.State(row.State), ticket.Merge); err != nil {
			return nil, err
		}
		if err := ticket.CheckMerge(id, idValue(row.CustomerID), ticket.MergeTarget{
			ID: into, Customer: idValue(target.CustomerID), State: ticket.State(target.State),
		}); err != nil {
			return nil, err
		}
		was := *row
		m := ticket.Move{Verb: ticket.Merge, At: s.now(), Into: into}
		if err := s.apply(ctx, tx, row, m, req.GetReason()); err != nil {
			return nil, err
		}
		if err := s.moveAlong(ctx, tx, &was, into, m.At); err != nil {
			return nil, err
		}
		return s.presentOne(ctx, tx, row)
	})
}

// pick finds a ticket within the caller's reach among locked ones.
func (s *Server) pick(ctx context.Context, tx *write.Tx, rows []db.Ticket, id uuid.UUID) (*db.Ticket, error) {
	for i := range rows {
		if rows[i].ID == id {
			return &rows[i], s.reach(ctx, tx, &rows[i])
		}
	}
	return nil, ticketNotFound(id)
}

// move makes one move of one ticket as one write.
func (s *Server) move(ctx context.Context, req verb, reason string, m ticket.Move, complete prepare) (*ticketv1.Ticket, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	var calendars calendar.Glance
	t, err := write.DoReading(ctx, s.write, req, calendars.Queue, func(ctx context.Context, tx *write.Tx) (*ticketv1.Ticket, error) {
		ctx = calendars.In(ctx)
		row, err := s.lock(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		m := m
		m.At = s.now()
		if complete != nil {
			if err := complete(ctx, tx, row, &m); err != nil {
				return nil, err
			}
		}
		return s.moved(ctx, tx, row, m, reason)
	})
	if m.Department == uuid.Nil && pg.Violates(err, departmentKey) {
		// The department that the rules chose was closed meanwhile.
		return nil, rpcerr.Stale("ticket", id.String())
	}
	return t, err
}

// moved makes a move of a locked ticket and gives the ticket as it is then.
func (s *Server) moved(ctx context.Context, tx *write.Tx, row *db.Ticket, m ticket.Move, reason string) (*ticketv1.Ticket, error) {
	// Read before anything is written, so that all that is written can go together.
	keys, err := s.reporterKeys(ctx, tx, []db.Ticket{*row})
	if err != nil {
		return nil, err
	}
	if err := s.apply(ctx, tx, row, m, reason); err != nil {
		return nil, err
	}
	all, err := presented(ctx, keys, *row)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// apply makes a move of a locked ticket: row, history, clocks, event and audit record.
// Every change of state but the first goes through it.
func (s *Server) apply(ctx context.Context, tx *write.Tx, row *db.Ticket, m ticket.Move, reason string) error {
	was := standing(row)
	if ticket.Counts(m.Verb) {
		var err error
		if _, was.OpenTasks, err = s.openTasks(ctx, tx, row.ID); err != nil {
			return err
		}
	}
	before := was.State
	after, err := s.policy.Apply(was, m)
	if err != nil {
		return err
	}
	if !ticket.Open(before) && ticket.Open(after.State) {
		// Its department may be no more by now.
		if after.Department, err = s.openDepartment(ctx, tx, after.Department); err != nil {
			return err
		}
	}
	stand(row, after)
	row.UpdateTime, row.Version = m.At, row.Version+1
	made := transition(ctx, m.Verb, before, row, reason, m.At)
	clocks, err := s.follow(ctx, tx, was, row, m)
	if err != nil {
		return err
	}
	// The ticket before its clocks: when it is due stands there then, and no trigger has to say it.
	if err := s.q.UpdateTicketStanding(ctx, tx.Soon(), updateStanding(row)); err != nil {
		return err
	}
	if err := s.q.InsertTransition(ctx, tx.Soon(), made); err != nil {
		return err
	}
	if err := clocks.keep(ctx); err != nil {
		return fmt.Errorf("%s ticket: %w", m.Verb, err)
	}
	if m.Verb == ticket.Cancel {
		if err := s.dropTasks(ctx, tx, row, reason); err != nil {
			return err
		}
	}
	e := ticketEvent(m.EventType(), before, row, m.At)
	if m.Verb == ticket.Contact {
		e = contactEvent(e, m)
	}
	tx.Emit(e)
	tx.Audit("ticket", row.ID, made)
	return nil
}

// transition is the line of the history for a move that brought the row where it stands.
func transition(ctx context.Context, v ticket.Verb, before ticket.State, row *db.Ticket, reason string, at time.Time) db.InsertTransitionParams {
	caller := authn.FromContext(ctx)
	out := db.InsertTransitionParams{
		TicketID: row.ID, Version: row.Version, Verb: string(v), FromState: int16(before), ToState: row.State,
		Round: row.Round, Reason: reason, Actor: caller.Actor(), ActorKind: int16(authorKind(caller)),
		AssigneeStaffID: row.AssigneeStaffID, OccurTime: at, Priority: row.Priority, PrioritySource: row.PrioritySource,
		Urgency: row.Urgency, Impact: row.Impact,
	}
	if v == ticket.Wait || v == ticket.Unmerge {
		out.WaitFor = row.WaitFor
	}
	if caller.Kind == authn.Person {
		out.ActorIssuer, out.ActorSubject = caller.Issuer, caller.Subject
	}
	return out
}

func unknownDepartment(field string, id uuid.UUID) error {
	return rpcerr.Invalid(field, rpcerr.T(
		"there is no open department %[1]s; give the id of one that the directory lists and that is not closed",
		"没有在用的部门 %[1]s；请填写组织架构中未撤销部门的 id", id))
}

func unknownStaff(field string, id uuid.UUID) error {
	return rpcerr.Invalid(field, rpcerr.T(
		"there is no member of staff %[1]s; give the id of one that the directory lists",
		"没有人员 %[1]s；请填写组织架构中已有人员的 id", id))
}
