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
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/policy"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// What a merge moves, as the ledger has it.
const (
	movedTask    = 1
	movedWatcher = 2
)

// moveAlong takes to the ticket that goes on what hangs on one that was merged into it, and
// keeps in the ledger how that one stood and what was moved.
func (s *Server) moveAlong(ctx context.Context, tx *write.Tx, was *db.Ticket, into uuid.UUID, at time.Time) error {
	id, err := newID()
	if err != nil {
		return err
	}
	err = s.q.InsertMerge(ctx, tx, db.InsertMergeParams{
		ID: id, TicketID: was.ID, IntoID: into, State: was.State, WaitFor: was.WaitFor, MergeTime: at,
	})
	if err != nil {
		return fmt.Errorf("keep the merge: %w", err)
	}
	tasks, err := s.q.MoveTasks(ctx, tx, into, was.ID)
	if err != nil {
		return fmt.Errorf("move sub-tasks: %w", err)
	}
	watchers, err := s.q.MoveWatchers(ctx, tx, into, was.ID)
	if err != nil {
		return fmt.Errorf("move watchers: %w", err)
	}
	for kind, ids := range map[int16][]uuid.UUID{movedTask: tasks, movedWatcher: watchers} {
		if len(ids) == 0 {
			continue
		}
		if err := s.q.InsertMergeItems(ctx, tx, id, kind, ids); err != nil {
			return fmt.Errorf("keep what was moved: %w", err)
		}
	}
	return nil
}

// UnmergeTicket undoes a merge.
func (s *Server) UnmergeTicket(ctx context.Context, req *ticketv1.UnmergeTicketRequest) (*ticketv1.UnmergeTicketResponse, error) {
	id, err := parseID("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.UnmergeTicketResponse, error) {
		// Read first: both are held in the order of their ids.
		kept, err := s.q.GetTicket(ctx, tx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, ticketNotFound(id)
		}
		if err != nil {
			return nil, fmt.Errorf("read ticket: %w", err)
		}
		rows, err := s.q.LockTickets(ctx, tx, []uuid.UUID{id, idValue(kept.MergedInto)})
		if err != nil {
			return nil, fmt.Errorf("lock tickets: %w", err)
		}
		row, err := s.pick(ctx, tx, rows, id)
		if err != nil {
			return nil, err
		}
		if err := current(req.GetEtag(), row.Version, "ticket", id); err != nil {
			return nil, err
		}
		if _, err := ticket.Next(ticket.State(row.State), ticket.Unmerge); err != nil {
			return nil, err
		}
		return s.unmerge(ctx, tx, row, req.GetReason())
	})
}

// unmerge undoes the merge of a held ticket by its ledger.
func (s *Server) unmerge(ctx context.Context, tx *write.Tx, row *db.Ticket, reason string) (*ticketv1.UnmergeTicketResponse, error) {
	merge, err := s.q.GetOpenMerge(ctx, tx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read the merge: %w", err)
	}
	now := s.now()
	if err := s.policy.Unmergeable(merge.MergeTime, now); err != nil {
		return nil, err
	}
	if err := s.apply(ctx, tx, row, ticket.Move{
		Verb: ticket.Unmerge, At: now, Back: ticket.State(merge.State), WaitFor: ticketv1.WaitFor(merge.WaitFor),
	}, reason); err != nil {
		return nil, err
	}
	tasks, err := s.q.ReturnTasks(ctx, tx, row.ID, merge.IntoID, merge.ID)
	if err != nil {
		return nil, fmt.Errorf("return sub-tasks: %w", err)
	}
	watchers, err := s.q.ReturnWatchers(ctx, tx, merge.IntoID, merge.ID)
	if err != nil {
		return nil, fmt.Errorf("return watchers: %w", err)
	}
	moved, err := s.q.CountMergeItems(ctx, tx, merge.ID)
	if err != nil {
		return nil, fmt.Errorf("count what was moved: %w", err)
	}
	if err := s.q.EndMerge(ctx, tx, now, merge.ID); err != nil {
		return nil, fmt.Errorf("end the merge: %w", err)
	}
	out := &ticketv1.UnmergeTicketResponse{IntoId: merge.IntoID.String(), Returned: int32(tasks + watchers)}
	out.NotReturned = moved - out.Returned
	moves, err := s.q.ListTransitionsSince(ctx, tx, merge.IntoID, merge.MergeTime)
	if err != nil {
		return nil, fmt.Errorf("list moves since: %w", err)
	}
	for i := range moves {
		out.MovesSince = append(out.MovesSince, transitionProto(&moves[i]))
	}
	if out.CommentsSince, err = s.q.CountCommentsSince(ctx, tx, merge.IntoID, merge.MergeTime); err != nil {
		return nil, fmt.Errorf("count comments since: %w", err)
	}
	out.Ticket, err = s.presentOne(ctx, tx, row)
	return out, err
}

// goBack starts anew, from their original start and with their pauses, the clocks of the
// present round that a merge ended.
func (s *Server) goBack(ctx context.Context, tx *write.Tx, row *db.Ticket) error {
	merge, err := s.q.GetOpenMerge(ctx, tx, row.ID)
	if err != nil {
		return fmt.Errorf("read the merge: %w", err)
	}
	p, err := s.rules(ctx, tx, row)
	if err != nil {
		return err
	}
	all, err := s.clocks.List(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	for i := range all {
		c := &all[i]
		choice, ok := policy.Pick(p, c.Kind, facts(row))
		if !ok || c.Round != row.Round || !c.Stop.Equal(merge.MergeTime) {
			continue
		}
		_, log, err := s.clocks.Get(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if last := log[len(log)-1]; last.Type != clock.EntryCancelled || last.Reason != reasonMerged {
			continue
		}
		terms, err := s.terms(ctx, tx, p, choice, c.State.Start)
		if err != nil {
			return err
		}
		if _, err := s.clocks.Start(ctx, tx, clock.Spec{
			Subject: c.Subject, Kind: c.Kind, Round: row.Round, At: c.State.Start, Owner: keeper(choice.Clause, row), Terms: terms,
		}); err != nil {
			return err
		}
		pauses := slices.DeleteFunc(log, func(e clock.Entry) bool {
			return e.Type != clock.EntryPaused && e.Type != clock.EntryResumed && e.Type != clock.EntryExtended
		})
		if err := s.clocks.Recall(ctx, tx, clock.Select{Subject: row.ID, Kinds: []string{c.Kind}, Round: row.Round}, pauses); err != nil {
			return err
		}
	}
	return nil
}
