package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/calendar"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// NextTicket gives the caller the next ticket of their queue.
func (s *Server) NextTicket(ctx context.Context, req *ticketv1.NextTicketRequest) (*ticketv1.Ticket, error) {
	caller := authn.FromContext(ctx)
	var asks asker
	return write.DoReading(ctx, s.write, req, func(b *pgx.Batch) {
		asks = asker{at: s.now()}
		unsorted := !req.GetDepartmentOnly() && authz.Held(ctx, "tickets.triage") != accessv1.Scope_SCOPE_UNSPECIFIED
		s.q.QueuePuller(b, &asks.Puller, caller.Issuer, caller.Subject, asks.at, unsorted)
		asks.calendars.Queue(b)
	}, func(ctx context.Context, tx *write.Tx) (*ticketv1.Ticket, error) {
		if caller.Kind != authn.Person || len(asks.Staff) == 0 {
			return nil, rpcerr.NotFound("staff", caller.Subject)
		}
		ctx = asks.calendars.In(ctx)
		me, now := asks.Staff[0], asks.at
		team, err := s.teamOf(ctx, tx, now, asks.Staff, absencesOf(asks.Absences), asks.Loads)
		if err != nil {
			return nil, err
		}
		mine := team.person(&me, ticket.Needs{})
		if in := mine.Obstacles(s.policy.MaxLoad); len(in) > 0 {
			return nil, notReady(&me, in)
		}
		row, err := s.take(ctx, tx, &me, asks.Lanes, now)
		if err != nil {
			return nil, err
		}
		if row == nil {
			return nil, rpcerr.New(codes.NotFound, "TICKET_QUEUE_EMPTY", rpcerr.T(
				"No ticket waits that you can take; ask again later.", "当前没有您可以受理的待分配工单；请稍后再试。"))
		}
		return s.moved(ctx, tx, row, ticket.Move{Verb: ticket.Assign, At: now, Assignee: me.ID, Department: me.DepartmentID}, "")
	})
}

// asker is somebody who asks for their next ticket, and when.
type asker struct {
	db.Puller
	at        time.Time
	calendars calendar.Glance
}

// take holds the first ticket of the queue that somebody can take, nil for none.
func (s *Server) take(ctx context.Context, tx *write.Tx, me *db.Staff, all []db.Lane, now time.Time) (*db.Ticket, error) {
	var lanes []db.Lane
	for _, lane := range all {
		if n := ticket.ParseNeeds(lane.Needs); n.Skilled(me.Skills) && n.Speaks(me.Languages) {
			lanes = append(lanes, lane)
		}
	}
	var reserved []uuid.UUID
	for {
		row, err := s.takeFirst(ctx, tx, lanes, now, reserved)
		if err != nil || row == nil {
			return nil, err
		}
		other, err := s.reservedFor(ctx, tx, row, me, now)
		if err != nil || other == uuid.Nil {
			return row, err
		}
		reserved = append(reserved, other)
	}
}

// takeFirst holds the first ticket of the lanes that nobody else holds. The first of a lane
// may be held by somebody, and what comes after it stand behind another lane's first.
func (s *Server) takeFirst(ctx context.Context, tx *write.Tx, lanes []db.Lane, now time.Time, reserved []uuid.UUID) (*db.Ticket, error) {
	var best *db.Ticket
	for _, lane := range lanes {
		if best != nil && laneOf(best).Before(lane) {
			break
		}
		row, err := s.q.TakeQueued(ctx, tx, lane, now.Add(-s.policy.DedicatedFor), reserved)
		if err != nil {
			return nil, fmt.Errorf("take from the queue: %w", err)
		}
		if row != nil && (best == nil || laneOf(row).Before(laneOf(best))) {
			best = row
		}
	}
	return best, nil
}

func laneOf(row *db.Ticket) db.Lane {
	return db.Lane{Rank: row.QueueRank, Due: row.DueTime, ID: row.ID}
}

// reservedFor gives the account manager for whom a ticket still waits, zero for none.
func (s *Server) reservedFor(ctx context.Context, on db.DBTX, row *db.Ticket, me *db.Staff, now time.Time) (uuid.UUID, error) {
	if row.QueueRank != 1 || !row.CreateTime.After(now.Add(-s.policy.DedicatedFor)) {
		return uuid.Nil, nil
	}
	owner, who, err := s.dedicated(ctx, on, row, now)
	if err != nil || who == nil || who.ID == me.ID {
		return uuid.Nil, err
	}
	team, err := s.team(ctx, on, now, []db.Staff{*who})
	if err != nil {
		return uuid.Nil, err
	}
	p := team.person(who, ticket.ParseNeeds(row.Needs))
	if p.Dedicated = true; len(p.Obstacles(s.policy.MaxLoad)) > 0 {
		return uuid.Nil, nil
	}
	return owner, nil
}

// dedicated gives the account manager of a key customer's ticket, and who does their work
// now; nil for other tickets, and where there is nobody.
func (s *Server) dedicated(ctx context.Context, on db.DBTX, row *db.Ticket, now time.Time) (uuid.UUID, *db.Staff, error) {
	if typev1.Tier(row.ServiceTier) != typev1.Tier_TIER_KEY || row.CustomerID == nil {
		return uuid.Nil, nil, nil
	}
	owner, err := s.q.GetCustomerOwner(ctx, on, *row.CustomerID)
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("read the account manager: %w", err)
	}
	if owner == nil {
		return uuid.Nil, nil, nil
	}
	absences, err := s.absences(ctx, on, now, now.Add(time.Microsecond))
	if err != nil {
		return uuid.Nil, nil, err
	}
	who, err := s.q.GetStaff(ctx, on, organisation.StandIn(*owner, now, absences))
	if errors.Is(err, pgx.ErrNoRows) {
		// Files may name somebody of before the directory.
		return uuid.Nil, nil, nil
	}
	if err != nil {
		return uuid.Nil, nil, fmt.Errorf("read staff: %w", err)
	}
	return *owner, &who, nil
}

// notReady tells somebody why they get no ticket.
func notReady(who *db.Staff, in []organisation.Obstacle) error {
	en, zh := map[organisation.Obstacle]string{
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_STATUS:    "your status is not available",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_ABSENT:    "somebody stands in for you",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_OFF_SHIFT: "you are neither in your working hours nor on duty",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LOAD:      "you have as many open tickets as one may have",
	}, map[organisation.Obstacle]string{
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_STATUS:    "您的工作状态不是“可受理”",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_ABSENT:    "当前有人代理您的工作",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_OFF_SHIFT: "当前不在您的工作时间，也未排班",
		ticketv1.AssigneeObstacle_ASSIGNEE_OBSTACLE_LOAD:      "您手中的未结工单已达上限",
	}
	var texts, zhTexts, names []string
	for _, o := range in {
		texts, zhTexts = append(texts, en[o]), append(zhTexts, zh[o])
		names = append(names, o.String())
	}
	return rpcerr.WrongState("STAFF_NOT_READY", rpcerr.T(
		"You get no ticket now: %[1]s.", "您现在不能领取工单：%[2]s。", strings.Join(texts, "; "), strings.Join(zhTexts, "；"))).
		With("obstacles", strings.Join(names, ",")).With("staff_id", who.ID.String())
}

// SetTicketNeeds says what whoever takes the ticket must be able to.
func (s *Server) SetTicketNeeds(ctx context.Context, req *ticketv1.SetTicketNeedsRequest) (*ticketv1.Ticket, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	needs := needsOf(req.GetNeeds())
	if err := ticket.CheckNeeds("needs", needs); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.Ticket, error) {
		row, err := s.lock(ctx, tx, id, req.GetEtag())
		if err != nil {
			return nil, err
		}
		if err := ticket.Before(ticket.State(row.State), "setNeeds"); err != nil {
			return nil, err
		}
		row.Needs, row.UpdateTime, row.Version = needs.String(), s.now(), row.Version+1
		if err := s.q.SetTicketNeeds(ctx, tx, db.SetTicketNeedsParams{
			ID: id, Needs: row.Needs, UpdateTime: row.UpdateTime, Version: row.Version,
		}); err != nil {
			return nil, fmt.Errorf("set the needs: %w", err)
		}
		tx.Emit(ticketEvent("ticket.updated.v1", ticket.State(row.State), row, row.UpdateTime))
		tx.Audit("ticket", id, req.GetNeeds())
		return s.presentOne(ctx, tx, row)
	})
}

func needsOf(n *ticketv1.TicketNeeds) ticket.Needs {
	return ticket.Needs{Language: n.GetLanguage(), Skills: n.GetSkills()}
}

// needsProto is nil for a ticket that needs nothing.
func needsProto(row *db.Ticket) *ticketv1.TicketNeeds {
	n := ticket.ParseNeeds(row.Needs)
	if n.Language == "" && len(n.Skills) == 0 {
		return nil
	}
	return &ticketv1.TicketNeeds{Language: n.Language, Skills: n.Skills}
}
