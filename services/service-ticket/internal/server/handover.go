package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

// handoverBatch bounds what one call hands over.
const handoverBatch = 100

// handover says whose work goes where, and why.
type handover struct {
	from   db.Staff
	way    organisation.Way
	to     uuid.UUID
	reason string
	// byItself: nobody asked for it now, so nobody's reach bounds it.
	byItself bool
}

// handoverOf reads what a call says, and refuses a caller who is neither the one who hands over
// nor leads them.
func (s *Server) handoverOf(ctx context.Context, req interface {
	GetStaffId() string
	GetWay() ticketv1.HandoverWay
	GetToStaffId() string
}) (*handover, error) {
	id, err := parseID("staff_id", req.GetStaffId())
	if err != nil {
		return nil, err
	}
	h := &handover{way: req.GetWay()}
	if h.to, err = parseOptional("to_staff_id", req.GetToStaffId()); err != nil {
		return nil, err
	}
	if err := organisation.CheckHandover(id, h.way, h.to); err != nil {
		return nil, err
	}
	if h.from, err = s.q.GetStaff(ctx, s.pool, id); err != nil {
		return nil, missing(err, "staff", id)
	}
	led, err := s.leads(ctx, s.pool, &h.from)
	if err != nil {
		return nil, err
	}
	if !led {
		return nil, rpcerr.Denied(authz.ReasonDenied, rpcerr.T(
			"You may hand over your own work, or as a supervisor that of your department; %[1]s is neither.",
			"您只能交接本人的工作（主管可交接本部门人员的工作）；%[1]s 不在此范围内。", id))
	}
	if h.to != uuid.Nil {
		if _, err := s.q.GetStaff(ctx, s.pool, h.to); errors.Is(err, pgx.ErrNoRows) {
			return nil, unknownStaff("to_staff_id", h.to)
		} else if err != nil {
			return nil, fmt.Errorf("read staff: %w", err)
		}
	}
	_, err = s.takerNamed(ctx, s.pool, h)
	return h, err
}

// takerNamed gives who takes over by name: the named person, or whoever stands in for them; else
// whoever stands in for the one who hands over, zero where nobody does and another way is left.
func (s *Server) takerNamed(ctx context.Context, on db.DBTX, h *handover) (uuid.UUID, error) {
	now := s.now()
	absences, err := s.absences(ctx, on, now, now.Add(time.Microsecond))
	if err != nil {
		return uuid.Nil, err
	}
	if h.to != uuid.Nil {
		to := organisation.StandIn(h.to, now, absences)
		return to, organisation.CheckHandover(h.from.ID, h.way, to)
	}
	to := organisation.StandIn(h.from.ID, now, absences)
	if to != h.from.ID {
		return to, nil
	}
	if h.way == ticketv1.HandoverWay_HANDOVER_WAY_SUBSTITUTE {
		return uuid.Nil, organisation.NoSubstitute(h.from.ID)
	}
	return uuid.Nil, nil
}

// PreviewHandover tells what would go to whom.
func (s *Server) PreviewHandover(ctx context.Context, req *ticketv1.PreviewHandoverRequest) (*ticketv1.HandoverResponse, error) {
	h, err := s.handoverOf(ctx, req)
	if err != nil {
		return nil, err
	}
	things, err := s.inHands(ctx, h.from.ID, nil)
	if err != nil {
		return nil, err
	}
	out := &ticketv1.HandoverResponse{}
	// What one ticket would add to somebody's load, the next one reckons with.
	given := map[uuid.UUID]int{}
	for i := range things {
		t, result := &things[i], things[i].result()
		out.Results = append(out.Results, result)
		to, err := s.foreseen(ctx, h, t, given)
		switch result.Refusals = handoverRefusals(ctx, err); {
		case len(result.GetRefusals()) > 0:
		case err != nil:
			return nil, err
		default:
			to.tell(result, t)
			out.Done++
		}
	}
	return out, s.countInHands(ctx, h, out)
}

// foreseen is who would take something over now.
func (s *Server) foreseen(ctx context.Context, h *handover, t *thing, given map[uuid.UUID]int) (*takeover, error) {
	if t.task == nil {
		if err := s.reach(ctx, s.pool, t.ticket); err != nil {
			return nil, err
		}
	}
	to, err := s.taker(ctx, h, t, takers{
		on:    s.pool,
		staff: func(ctx context.Context, id uuid.UUID) (db.Staff, error) { return s.q.GetStaff(ctx, s.pool, id) },
		best: func(ctx context.Context, row *db.Ticket, department uuid.UUID) (*db.Staff, error) {
			people, rows, err := s.candidates(ctx, s.pool, row, department, h.from.ID)
			if err != nil {
				return nil, err
			}
			for i := range people {
				people[i].Load += given[people[i].ID]
			}
			organisation.Rank(people, s.policy.MaxLoad)
			if len(people) == 0 || len(people[0].Obstacles(s.policy.MaxLoad)) > 0 {
				return nil, nil
			}
			return rows[people[0].ID], nil
		},
	})
	if err == nil && to.to != nil && t.task == nil {
		given[to.to.ID]++
	}
	return to, err
}

// HandOver hands over what is in somebody's hands, each thing as a write of its own.
func (s *Server) HandOver(ctx context.Context, req *ticketv1.HandOverRequest) (*ticketv1.HandoverResponse, error) {
	h, err := s.handoverOf(ctx, req)
	if err != nil {
		return nil, err
	}
	h.reason = req.GetReason()
	items := req.GetItems()
	if len(items) == 0 {
		things, err := s.inHands(ctx, h.from.ID, nil)
		if err != nil {
			return nil, err
		}
		for i := range things {
			items = append(items, things[i].item())
		}
	}
	out := &ticketv1.HandoverResponse{}
	for _, item := range items {
		one := &ticketv1.HandOverRequest{
			StaffId: req.GetStaffId(), Way: req.GetWay(), ToStaffId: req.GetToStaffId(), Reason: req.GetReason(), Items: []*ticketv1.HandoverItem{item},
		}
		if req.GetRequestId() != "" {
			one.RequestId = req.GetRequestId() + "/" + item.GetTicketId() + item.GetTaskId()
		}
		stood := &ticketv1.HandoverResult{TicketId: item.GetTicketId(), TaskId: item.GetTaskId()}
		result, err := write.Do(ctx, s.write, one, func(ctx context.Context, tx *write.Tx) (*ticketv1.HandoverResult, error) {
			t, err := s.holdThing(ctx, tx, h, item)
			if err != nil {
				return nil, err
			}
			stood = t.result()
			return s.handOver(ctx, tx, h, t)
		})
		if stood.Refusals = handoverRefusals(ctx, err); len(stood.GetRefusals()) > 0 {
			out.Results = append(out.Results, stood)
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Results = append(out.Results, result)
		out.Done++
	}
	return out, s.countInHands(ctx, h, out)
}

// handoverRefusals gives why something is not handed over, in the caller's language: of each way
// that was tried; none for an error that is not public.
func handoverRefusals(ctx context.Context, err error) (out []*typev1.Refusal) {
	var all turnedDown
	if !errors.As(err, &all) {
		all = turnedDown{err}
	}
	for _, one := range all {
		out = append(out, publicRefusals(ctx, one)...)
	}
	return out
}

// inHands gives the open tickets of somebody, the most urgent first, and then their sub-tasks by
// due time, but for some that were passed over.
func (s *Server) inHands(ctx context.Context, staff uuid.UUID, passed []uuid.UUID) ([]thing, error) {
	passed = some(passed)
	tickets, err := s.q.ListTicketsInHands(ctx, s.pool, &staff, passed, handoverBatch)
	if err != nil {
		return nil, fmt.Errorf("list the tickets in somebody's hands: %w", err)
	}
	tasks, err := s.q.ListTasksInHands(ctx, s.pool, &staff, passed, int32(handoverBatch-len(tickets)))
	if err != nil {
		return nil, fmt.Errorf("list the sub-tasks in somebody's hands: %w", err)
	}
	out := make([]thing, 0, len(tickets)+len(tasks))
	for i := range tickets {
		out = append(out, thing{ticket: &tickets[i]})
	}
	ids := make([]uuid.UUID, len(tasks))
	for i := range tasks {
		ids[i] = tasks[i].TicketID
	}
	rows, err := s.q.ListTicketsByID(ctx, s.pool, ids)
	if err != nil {
		return nil, fmt.Errorf("read the tickets of sub-tasks: %w", err)
	}
	of := make(map[uuid.UUID]*db.Ticket, len(rows))
	for i := range rows {
		of[rows[i].ID] = &rows[i]
	}
	for i := range tasks {
		out = append(out, thing{ticket: of[tasks[i].TicketID], task: &tasks[i]})
	}
	return out, nil
}

func (s *Server) countInHands(ctx context.Context, h *handover, out *ticketv1.HandoverResponse) (err error) {
	if out.InHands, err = s.q.CountInHands(ctx, s.pool, h.from.ID); err != nil {
		return fmt.Errorf("count what is in somebody's hands: %w", err)
	}
	return nil
}
