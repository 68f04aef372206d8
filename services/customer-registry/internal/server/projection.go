package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// The kinds of cases that a summary counts.
const (
	caseTicket    = 1
	caseComplaint = 2
)

// fact is what an event tells of a customer.
type fact struct {
	// kind is that of the case whose state the event tells; 0 when it tells none.
	kind   int16
	open   bool
	number string
	state  string
	score  int16
	// contact: the customer and the company spoke.
	contact bool
	// hidden: it belongs on no timeline.
	hidden bool
}

// project applies a fact to case, timeline and summary. Everything a summary
// counts is counted anew under the lock of its row, so that events taken again,
// late or with another customer leave it right.
func (s *Server) project(ctx context.Context, tx pgx.Tx, env *eventv1.Envelope, f fact) error {
	subject, err := uuid.Parse(env.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", env.GetId(), err)
	}
	id, err := uuid.Parse(env.GetId())
	if err != nil {
		return fmt.Errorf("id of event at %d: %w", env.GetPosition(), err)
	}
	to, err := idPtr(env.GetCustomerId())
	if err != nil {
		return fmt.Errorf("customer of event %s: %w", id, err)
	}
	known, err := s.knownCase(ctx, tx, subject)
	if err != nil {
		return err
	}
	// A comment tells nothing of whose ticket it is that the ticket did not tell,
	// and neither does an event older than what is known.
	tells := f.kind != 0 && (known == nil || known.Version < env.GetSubjectVersion())
	var from *uuid.UUID
	if known != nil {
		from = known.CustomerID
		if !tells {
			to = from
		}
	}
	customers, err := s.lockSummaries(ctx, tx, from, to)
	if err != nil {
		return err
	}
	moved := false
	if tells {
		if moved, err = s.storeCase(ctx, tx, known, db.UpsertCaseParams{
			SubjectID: subject, Kind: f.kind, CustomerID: to, Open: f.open, Version: env.GetSubjectVersion(),
		}); err != nil {
			return err
		}
	}
	if !f.hidden {
		if err := s.q.InsertTimelineEntry(ctx, tx, db.InsertTimelineEntryParams{
			ID: id, CustomerID: to, OccurTime: env.GetOccurTime().AsTime(), Type: env.GetType(), SubjectID: subject,
			Number: f.number, State: f.state, Score: f.score, Contact: f.contact, Historic: env.GetHistoric(),
		}); err != nil {
			return fmt.Errorf("insert timeline entry: %w", err)
		}
	}
	return s.refresh(ctx, tx, customers, f, moved)
}

// knownCase returns what is known of a ticket or complaint, nil for nothing.
func (s *Server) knownCase(ctx context.Context, tx pgx.Tx, subject uuid.UUID) (*db.Case, error) {
	known, err := s.q.LockCase(ctx, tx, subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read case: %w", err)
	}
	return &known, nil
}

// storeCase keeps the newest state of a case, and takes its history along when
// it moved to another customer.
func (s *Server) storeCase(ctx context.Context, tx pgx.Tx, known *db.Case, now db.UpsertCaseParams) (moved bool, err error) {
	if err := s.q.UpsertCase(ctx, tx, now); err != nil {
		return false, fmt.Errorf("store case: %w", err)
	}
	if known == nil || idString(known.CustomerID) == idString(now.CustomerID) {
		return false, nil
	}
	if err := s.q.MoveTimeline(ctx, tx, now.CustomerID, now.SubjectID); err != nil {
		return false, fmt.Errorf("move timeline: %w", err)
	}
	return true, nil
}

// lockSummaries locks the rows of both customers, always in one order.
func (s *Server) lockSummaries(ctx context.Context, tx pgx.Tx, from, to *uuid.UUID) ([]uuid.UUID, error) {
	var customers []uuid.UUID
	for _, id := range []*uuid.UUID{from, to} {
		if id != nil && !slices.Contains(customers, *id) {
			customers = append(customers, *id)
		}
	}
	if len(customers) == 0 {
		return nil, nil
	}
	locked, err := s.q.LockSummaries(ctx, tx, customers)
	if err != nil {
		return nil, fmt.Errorf("lock summaries: %w", err)
	}
	if len(locked) < len(customers) {
		s.log.WarnContext(ctx, "an event names a customer that the registry does not have", "customers", customers)
	}
	return locked, nil
}

// refresh counts anew what the fact may have changed.
func (s *Server) refresh(ctx context.Context, tx pgx.Tx, customers []uuid.UUID, f fact, moved bool) error {
	if len(customers) == 0 {
		return nil
	}
	if f.kind != 0 {
		if err := s.q.RefreshOpenCases(ctx, tx, customers); err != nil {
			return fmt.Errorf("count open cases: %w", err)
		}
	}
	if f.contact || moved {
		if err := s.q.RefreshLastContact(ctx, tx, customers); err != nil {
			return fmt.Errorf("find last contact: %w", err)
		}
	}
	if f.score > 0 || moved {
		if err := s.q.RefreshScores(ctx, tx, customers); err != nil {
			return fmt.Errorf("count scores: %w", err)
		}
	}
	return nil
}
