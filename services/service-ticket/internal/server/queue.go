package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	return s.pulls.Do(ctx, req)
}

// parallelPulls are how many transactions give tickets out at a time, each to mostPulls people
// at most.
const (
	parallelPulls = 2
	mostPulls     = 32
)

// pull is a call of somebody who asks for their next ticket.
type pull = write.Shared[*ticketv1.NextTicketRequest, *ticketv1.Ticket]

// pulls are calls that ask in one transaction, and when.
type pulls struct {
	db.Pullers
	s         *Server
	at        time.Time
	calendars calendar.Glance
	team      *team
	shelves   map[lane]*shelf
	// lanes are, for each call that has not got its ticket yet, those that it may take from.
	lanes [][]db.Lane
}

func (s *Server) readPulls(b *pgx.Batch, calls []*pull) *pulls {
	p := &pulls{s: s, at: s.now(), shelves: map[lane]*shelf{}}
	var issuers, subjects []string
	unsorted := false
	for _, c := range calls {
		caller := authn.FromContext(c.Ctx)
		issuers, subjects = append(issuers, caller.Issuer), append(subjects, caller.Subject)
		unsorted = unsorted || fromUnsorted(c)
	}
	s.q.QueuePullers(b, &p.Pullers, issuers, subjects, p.at, unsorted)
	p.calendars.Queue(b)
	return p
}

// fromUnsorted tells whether somebody also gets tickets that have no department.
func fromUnsorted(c *pull) bool {
	return !c.Req.GetDepartmentOnly() && authz.Held(c.Ctx, "tickets.triage") != accessv1.Scope_SCOPE_UNSPECIFIED
}

// nextTickets gives each call its ticket or the reason why there is none.
func (s *Server) nextTickets(ctx context.Context, p *pulls, calls []*pull) (err error) {
	if p.team, err = s.teamOf(p.calendars.In(ctx), calls[0].Tx, p.at, p.Staff, absencesOf(p.Absences), p.Loads); err != nil {
		return err
	}
	for _, c := range calls {
		p.lanes = append(p.lanes, p.lanesOf(p.asker(c), fromUnsorted(c)))
	}
	for _, c := range calls {
		c.Answer, c.Err = p.next(p.calendars.In(c.Ctx), c)
		if public := new(rpcerr.Error); c.Err != nil && !errors.As(c.Err, &public) {
			return c.Err
		}
		p.lanes = p.lanes[1:]
	}
	return nil
}

// asker is who calls, nil for somebody the directory does not know.
func (p *pulls) asker(c *pull) *db.Staff {
	caller := authn.FromContext(c.Ctx)
	at := slices.IndexFunc(p.Staff, func(who db.Staff) bool { return who.Issuer == caller.Issuer && who.Subject == caller.Subject })
	if caller.Kind != authn.Person || at < 0 {
		return nil
	}
	return &p.Staff[at]
}

// next gives the first of the calls that are left its ticket.
func (p *pulls) next(ctx context.Context, c *pull) (*ticketv1.Ticket, error) {
	me := p.asker(c)
	if me == nil {
		return nil, rpcerr.NotFound("staff", authn.FromContext(ctx).Subject)
	}
	mine := p.team.person(me, ticket.Needs{})
	if in := mine.Obstacles(p.s.policy.MaxLoad); len(in) > 0 {
		return nil, notReady(me, in)
	}
	row, err := p.take(ctx, c.Tx, me)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, rpcerr.New(codes.NotFound, "TICKET_QUEUE_EMPTY", rpcerr.T(
			"No ticket waits that you can take; ask again later.", "当前没有您可以受理的待分配工单；请稍后再试。"))
	}
	p.team.load[me.ID]++
	return p.s.moved(ctx, c.Tx, row, ticket.Move{Verb: ticket.Assign, At: p.at, Assignee: me.ID, Department: me.DepartmentID}, "")
}

// lanesOf are the lanes from which somebody may take.
func (p *pulls) lanesOf(me *db.Staff, unsorted bool) (out []db.Lane) {
	if me == nil {
		return nil
	}
	for _, l := range p.Lanes {
		if own := l.Department == me.DepartmentID; !own && !(unsorted && l.Department == uuid.Nil) {
			continue
		}
		if n := ticket.ParseNeeds(l.Needs); n.Skilled(me.Skills) && n.Speaks(me.Languages) {
			out = append(out, l)
		}
	}
	return out
}

// lane names a part of the queue.
type lane struct {
	department uuid.UUID
	needs      string
}

// shelf is what is held of a lane and not given to anybody yet, in the order of the queue.
type shelf struct {
	rows []*db.Ticket
	had  []uuid.UUID // all that was ever on it
	// reserved are the account managers whose tickets were found to wait for them.
	reserved []uuid.UUID
	empty    bool // the lane has no more
}

// take takes the first ticket of their lanes that nobody else holds for who asks next. The
// first of a lane may be held by somebody, and what comes after it stand behind another lane's
// first.
func (p *pulls) take(ctx context.Context, tx *write.Tx, me *db.Staff) (*db.Ticket, error) {
	var best *db.Ticket
	var from *shelf
	for _, l := range p.lanes[0] {
		if best != nil && laneOf(best).Before(l) {
			break
		}
		name := lane{l.Department, l.Needs}
		if p.shelves[name] == nil {
			p.shelves[name] = new(shelf)
		}
		row, err := p.first(ctx, tx, me, l, p.shelves[name])
		if err != nil {
			return nil, err
		}
		if row != nil && (best == nil || laneOf(row).Before(laneOf(best))) {
			best, from = row, p.shelves[name]
		}
	}
	if best != nil {
		from.rows = slices.DeleteFunc(from.rows, func(row *db.Ticket) bool { return row == best })
	}
	return best, nil
}

// first gives the first ticket of a lane that somebody may have, nil for none.
func (p *pulls) first(ctx context.Context, tx *write.Tx, me *db.Staff, l db.Lane, on *shelf) (*db.Ticket, error) {
	for at := 0; ; at++ {
		if at == len(on.rows) {
			if more, err := p.fill(ctx, tx, l, on); err != nil || !more {
				return nil, err
			}
		}
		other, err := p.s.reservedFor(ctx, tx, on.rows[at], me, p.at)
		if err != nil || other == uuid.Nil {
			return on.rows[at], err
		}
		if !slices.Contains(on.reserved, other) {
			on.reserved = append(on.reserved, other)
		}
	}
}

// fill holds as many more of a lane as there are calls left that may take from it.
func (p *pulls) fill(ctx context.Context, tx *write.Tx, l db.Lane, on *shelf) (more bool, err error) {
	if on.empty {
		return false, nil
	}
	wanted := 0
	for _, lanes := range p.lanes {
		if slices.Contains(lanes, l) {
			wanted++
		}
	}
	rows, err := p.s.q.TakeQueued(ctx, tx, l, p.at.Add(-p.s.policy.DedicatedFor), on.reserved, on.had, wanted)
	if err != nil {
		return false, fmt.Errorf("take from the queue: %w", err)
	}
	for i := range rows {
		on.rows, on.had = append(on.rows, &rows[i]), append(on.had, rows[i].ID)
	}
	on.empty = len(rows) < wanted
	return len(rows) > 0, nil
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
