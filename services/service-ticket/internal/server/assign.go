package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// teamSize bounds how many people of a department are looked at.
const teamSize = 500

// team is what is known of some people at a moment beside their own rows.
type team struct {
	onShift map[uuid.UUID]bool
	absent  map[uuid.UUID]bool
	load    map[uuid.UUID]int
}

// team looks up who of some people is on shift, who is absent and what is in their hands.
func (s *Server) team(ctx context.Context, on db.DBTX, now time.Time, people []db.Staff) (*team, error) {
	absences, err := s.absences(ctx, on, now, now.Add(time.Microsecond))
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, len(people))
	for i := range people {
		ids[i] = people[i].ID
	}
	loads, err := s.q.ListStaffLoads(ctx, on, ids)
	if err != nil {
		return nil, fmt.Errorf("count open tickets: %w", err)
	}
	return s.teamOf(ctx, on, now, people, absences, loads)
}

// teamOf is team where the absences of the moment and the loads are known.
func (s *Server) teamOf(ctx context.Context, on db.DBTX, now time.Time, people []db.Staff, absences []organisation.Absence, loads []db.ListStaffLoadsRow) (*team, error) {
	t := &team{onShift: map[uuid.UUID]bool{}, absent: map[uuid.UUID]bool{}, load: map[uuid.UUID]int{}}
	ids := make([]uuid.UUID, 0, len(people))
	working := map[string]bool{}
	for i := range people {
		p := &people[i]
		ids = append(ids, p.ID)
		t.absent[p.ID] = organisation.StandIn(p.ID, now, absences) != p.ID
		calendar := text(p.CalendarID)
		if _, known := working[calendar]; !known {
			cal, _, err := s.calendars.Load(ctx, on, calendar)
			if err != nil {
				return nil, fmt.Errorf("working hours: %w", err)
			}
			working[calendar] = cal.IsWorking(now)
		}
		t.onShift[p.ID] = working[calendar]
	}
	if err := s.onDuty(ctx, on, t, now, ids, absences); err != nil {
		return nil, err
	}
	for _, l := range loads {
		t.load[l.StaffID] = int(l.OpenTickets)
	}
	return t, nil
}

// onDuty adds to those on shift who is on duty in a roster, or stands in for who is.
func (s *Server) onDuty(ctx context.Context, on db.DBTX, t *team, now time.Time, ids []uuid.UUID, absences []organisation.Absence) error {
	if !slices.ContainsFunc(ids, func(id uuid.UUID) bool { return !t.onShift[id] }) {
		return nil
	}
	asked := slices.Clone(ids)
	for _, a := range absences {
		asked = append(asked, a.Staff)
	}
	duty, err := s.q.ListStaffOnDuty(ctx, on, asked, now, now.Add(-organisation.MaxShift))
	if err != nil {
		return fmt.Errorf("read who is on duty: %w", err)
	}
	for _, id := range duty {
		t.onShift[organisation.StandIn(id, now, absences)] = true
	}
	return nil
}

// person is what is asked of somebody who may get a ticket with needs.
func (t *team) person(row *db.Staff, n ticket.Needs) organisation.Person {
	return organisation.Person{
		ID: row.ID, Status: ticketv1.StaffStatus(row.Status), OnShift: t.onShift[row.ID], Absent: t.absent[row.ID],
		Load: t.load[row.ID], Skilled: n.Skilled(row.Skills), Speaks: n.Speaks(row.Languages),
	}
}

// candidates are those who could get a ticket, the best first, with their rows: all but one, who
// hands it over; zero for nobody.
func (s *Server) candidates(ctx context.Context, on db.DBTX, row *db.Ticket, department, but uuid.UUID) ([]organisation.Person, map[uuid.UUID]*db.Staff, error) {
	now := s.now()
	people, err := s.q.ListStaffOfDepartment(ctx, on, department, uuid.Nil, teamSize)
	if err != nil {
		return nil, nil, fmt.Errorf("list staff: %w", err)
	}
	_, dedicated, err := s.dedicated(ctx, on, row, now)
	if err != nil {
		return nil, nil, err
	}
	if dedicated != nil && !slices.ContainsFunc(people, func(p db.Staff) bool { return p.ID == dedicated.ID }) {
		people = append(people, *dedicated)
	}
	people = slices.DeleteFunc(people, func(p db.Staff) bool { return p.ID == but })
	team, err := s.team(ctx, on, now, people)
	if err != nil {
		return nil, nil, err
	}
	out, rows := make([]organisation.Person, len(people)), make(map[uuid.UUID]*db.Staff, len(people))
	for i := range people {
		out[i] = team.person(&people[i], ticket.ParseNeeds(row.Needs))
		out[i].Dedicated = dedicated != nil && people[i].ID == dedicated.ID
		if idValue(row.AssigneeStaffID) == people[i].ID {
			out[i].Load-- // the ticket itself is in their hands
		}
		rows[people[i].ID] = &people[i]
	}
	organisation.Rank(out, s.policy.MaxLoad)
	return out, rows, nil
}

// departmentFor is the department of a ticket, or the one it goes to by default.
func (s *Server) departmentFor(ctx context.Context, on db.DBTX, row *db.Ticket) (uuid.UUID, error) {
	if row.DepartmentID != nil {
		return *row.DepartmentID, nil
	}
	id, _, err := s.route(ctx, on, ticketv1.TicketType(row.Type), row.ProductModel)
	return id, err
}

// SuggestAssignees lists who could get a ticket.
func (s *Server) SuggestAssignees(ctx context.Context, req *ticketv1.SuggestAssigneesRequest) (*ticketv1.SuggestAssigneesResponse, error) {
	row, err := s.find(ctx, "id", req.GetId())
	if err != nil {
		return nil, err
	}
	department, err := parseOptional("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	if department == uuid.Nil {
		department, err = s.departmentFor(ctx, s.pool, &row)
	} else if _, err = s.q.GetDepartment(ctx, s.pool, department); errors.Is(err, pgx.ErrNoRows) {
		err = unknownDepartment("department_id", department)
	}
	if err != nil {
		return nil, err
	}
	people, rows, err := s.candidates(ctx, s.pool, &row, department, uuid.Nil)
	if err != nil {
		return nil, err
	}
	out := &ticketv1.SuggestAssigneesResponse{DepartmentId: department.String(), LoadLimit: int32(s.policy.MaxLoad)}
	for i := range people[:min(len(people), teamSize)] {
		p := &people[i]
		out.Assignees = append(out.Assignees, &ticketv1.Assignee{
			StaffId: p.ID.String(), Name: rows[p.ID].Name, OpenTickets: int32(max(0, p.Load)), Dedicated: p.Dedicated,
			Obstacles: p.Obstacles(s.policy.MaxLoad),
		})
	}
	return out, nil
}

// AutoAssignTicket gives a ticket to the best of those who could get it.
func (s *Server) AutoAssignTicket(ctx context.Context, req *ticketv1.AutoAssignTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Assign},
		func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error {
			if _, err := ticket.Next(ticket.State(row.State), m.Verb); err != nil {
				return err
			}
			department, err := s.departmentFor(ctx, tx, row)
			if err != nil {
				return err
			}
			who, err := s.best(ctx, tx, row, department, uuid.Nil)
			if err != nil {
				return err
			}
			if who == nil {
				return nobodyReady(department)
			}
			m.Assignee, m.Department = who.ID, who.DepartmentID
			return nil
		})
}

// TransferTicket hands a ticket over to another department.
func (s *Server) TransferTicket(ctx context.Context, req *ticketv1.TransferTicketRequest) (*ticketv1.Ticket, error) {
	to, err := parseID("department_id", req.GetDepartmentId())
	if err != nil {
		return nil, err
	}
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Assign},
		func(ctx context.Context, tx *write.Tx, row *db.Ticket, m *ticket.Move) error {
			if _, err := ticket.Next(ticket.State(row.State), m.Verb); err != nil {
				return err
			}
			if idValue(row.DepartmentID) == to && row.AssigneeStaffID != nil {
				return rpcerr.WrongState("TICKET_ALREADY_THERE", rpcerr.T(
					"The ticket is in department %[1]s already; assign it to somebody else there, or name another department.",
					"该工单已在部门 %[1]s；请改派给该部门其他人员，或填写其他部门。", to))
			}
			department, err := s.q.GetDepartment(ctx, tx, to)
			if errors.Is(err, pgx.ErrNoRows) {
				return unknownDepartment("department_id", to)
			}
			if err != nil {
				return fmt.Errorf("read department: %w", err)
			}
			if department.CloseTime != nil {
				return unknownDepartment("department_id", to)
			}
			who, err := s.best(ctx, tx, row, to, uuid.Nil)
			if err != nil {
				return err
			}
			if who != nil && who.DepartmentID == to {
				m.Assignee, m.Department = who.ID, to
				return nil
			}
			if department.HeadStaffID == nil {
				return nobodyReady(to)
			}
			m.Assignee, m.Department = *department.HeadStaffID, to
			return nil
		})
}

// best holds the best of those who could get a ticket, nil where nobody can. Tickets that come
// at the same time wait for each other before they count, so that each finds what the one before
// was given; those that come by the queue meanwhile do not both find the room for one. One person,
// who hands it over, does not count; zero for nobody.
func (s *Server) best(ctx context.Context, tx *write.Tx, row *db.Ticket, department, but uuid.UUID) (*db.Staff, error) {
	if _, err := s.q.LockDepartment(ctx, tx, department); err != nil {
		return nil, fmt.Errorf("hold the department: %w", err)
	}
	people, rows, err := s.candidates(ctx, tx, row, department, but)
	if err != nil {
		return nil, err
	}
	for i := range people {
		if len(people[i].Obstacles(s.policy.MaxLoad)) > 0 {
			return nil, nil
		}
		held, err := s.q.LockStaff(ctx, tx, people[i].ID)
		if err != nil {
			return nil, fmt.Errorf("hold staff: %w", err)
		}
		team, err := s.team(ctx, tx, s.now(), []db.Staff{held})
		if err != nil {
			return nil, err
		}
		now := team.person(&held, ticket.ParseNeeds(row.Needs))
		if now.Dedicated = people[i].Dedicated; len(now.Obstacles(s.policy.MaxLoad)) == 0 {
			return rows[held.ID], nil
		}
	}
	return nil, nil
}

func nobodyReady(department uuid.UUID) error {
	return rpcerr.WrongState("NOBODY_READY", rpcerr.T(
		"Nobody of department %[1]s can take the ticket now; suggestAssignees tells what is in the way. Assign it to somebody by hand, or leave it in the queue.",
		"部门 %[1]s 当前没有人可以受理该工单；suggestAssignees 会说明原因。请手动指派，或留在待分配队列。", department)).
		With("department_id", department.String())
}
