package server

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// SeedPolicies publishes the built-in version of the policy where none is published. It needs
// the calendars of SeedCalendars.
func (s *Server) SeedPolicies(ctx context.Context) error {
	return write.Job(ctx, s.write, "policies/seed", func(ctx context.Context, tx *write.Tx) error {
		done, err := s.book.Seed(ctx, tx, ticket.Standard())
		if !done {
			tx.Unchanged()
		}
		return err
	})
}

// RetargetTicket puts a ticket under another version of the policy.
func (s *Server) RetargetTicket(ctx context.Context, req *ticketv1.RetargetTicketRequest) (*ticketv1.Ticket, error) {
	return s.move(ctx, req, req.GetReason(), ticket.Move{Verb: ticket.Retarget},
		func(ctx context.Context, tx *write.Tx, row *db.Ticket, _ *ticket.Move) error {
			if _, err := ticket.Next(ticket.State(row.State), ticket.Retarget); err != nil {
				return err
			}
			if !clocked(row) {
				return rpcerr.WrongState("TICKET_WITHOUT_CLOCKS", rpcerr.T(
					"Ticket %[1]s was imported and has no deadlines that could be computed anew; leave it as it is.",
					"工单 %[1]s 为导入工单，没有可重新计算的时限；请保持不变。", row.ID))
			}
			if req.GetPolicyVersion() == row.PolicyVersion {
				return rpcerr.Invalid("policy_version", rpcerr.T(
					"the ticket goes by version %[1]d already; give another one", "工单已适用第 %[1]d 版；请填写其他版本", row.PolicyVersion))
			}
			p, err := s.book.Applicable(ctx, tx, "policy_version", req.GetPolicyVersion())
			if err != nil {
				return err
			}
			row.PolicyVersion = p.GetVersion()
			if err := s.q.SetPolicyVersion(ctx, tx, row.PolicyVersion, row.ID); err != nil {
				return fmt.Errorf("store the version of the policy: %w", err)
			}
			return nil
		})
}

// pastTickets reads tickets with what happened to them, for a dry run.
func (s *Server) pastTickets(ctx context.Context, on pgx.Tx, f policy.Filter, after uuid.UUID, size int32) ([]policy.Case, error) {
	rows, err := s.q.ListPastTickets(ctx, on, db.ListPastTicketsParams{
		After: after, CreateFrom: timePtr(f.From), CreateTo: timePtr(f.To), Tier: int16(f.Facts.Tier),
		Priority: int16(ticket.PriorityOf(f.Facts.Priority)), Source: f.Source,
		Live:     f.Origin != clockv1.DryRunOrigin_DRY_RUN_ORIGIN_IMPORTED,
		Imported: f.Origin != clockv1.DryRunOrigin_DRY_RUN_ORIGIN_LIVE, Size: size,
	})
	if err != nil {
		return nil, fmt.Errorf("read past tickets: %w", err)
	}
	out := make([]policy.Case, len(rows))
	histories := make([]ticket.History, len(rows))
	at, ids := make(map[uuid.UUID]int, len(rows)), make([]uuid.UUID, len(rows))
	for i, row := range rows {
		at[row.ID], ids[i] = i, row.ID
		out[i] = policy.Case{
			ID: row.ID, Number: row.Number, Create: row.CreateTime.UTC(), Source: text(row.Source),
			Type: ticket.TypeName(ticketv1.TicketType(row.Type)), Facts: policy.Facts{
				Tier: typev1.Tier(row.Tier), Channel: typev1.Channel(row.Channel),
				Priority: ticket.PriorityName(ticketv1.Priority(row.Priority)),
			},
		}
		histories[i] = ticket.History{Create: row.CreateTime, Resolve: timeValue(row.ResolveTime)}
	}
	if err := s.histories(ctx, on, ids, func(id uuid.UUID) *ticket.History { return &histories[at[id]] }); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Events, out[i].Holds = histories[i].Events(), histories[i].Holds()
		if out[i].Source != "" {
			out[i].Untold = ticket.UntoldByImports()
		}
	}
	return out, nil
}

// histories reads the moves of tickets and when they were replied to and contacted.
func (s *Server) histories(ctx context.Context, on db.DBTX, ids []uuid.UUID, of func(id uuid.UUID) *ticket.History) error {
	moves, err := s.q.ListPastTransitions(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read moves of past tickets: %w", err)
	}
	for _, m := range moves {
		h := of(m.TicketID)
		h.Moves = append(h.Moves, ticket.Moved{
			Verb: ticket.Verb(m.Verb), From: ticket.State(m.FromState), To: ticket.State(m.ToState), At: m.OccurTime.UTC(),
			Assignee: idValue(m.AssigneeStaffID), WaitFor: ticketv1.WaitFor(m.WaitFor),
		})
	}
	replies, err := s.q.ListPastReplies(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read replies of past tickets: %w", err)
	}
	for _, r := range replies {
		h := of(r.TicketID)
		h.Replies = append(h.Replies, r.CreateTime.UTC())
	}
	contacts, err := s.q.ListPastContacts(ctx, on, ids)
	if err != nil {
		return fmt.Errorf("read contacts of past tickets: %w", err)
	}
	for _, c := range contacts {
		h := of(c.TicketID)
		h.Contacts = append(h.Contacts, c.ContactTime.UTC())
	}
	return nil
}
