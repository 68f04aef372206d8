package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	standardsEvery = time.Minute
	standardsBatch = 100
)

// SetStandardException has a customer's tickets go by another tier's standard for a time.
func (s *Server) SetStandardException(ctx context.Context, req *ticketv1.SetStandardExceptionRequest) (*ticketv1.StandardException, error) {
	in := req.GetException()
	given, err := parseID("exception.customer_id", in.GetCustomerId())
	if err != nil {
		return nil, err
	}
	for field, at := range map[string]*timestamppb.Timestamp{"exception.start_time": in.GetStartTime(), "exception.end_time": in.GetEndTime()} {
		if err := validTime(field, at); err != nil {
			return nil, err
		}
	}
	ref, err := customerref.EnsureActive(ctx, s.pool, given, "exception.customer_id", s.registry)
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.StandardException, error) {
		now := s.now()
		e := ticket.Exception{Tier: in.GetTier(), Start: instant(in.GetStartTime()), End: instant(in.GetEndTime())}
		if e.Start.IsZero() {
			e.Start = now
		}
		if err := exceptionTimes(e, now); err != nil {
			return nil, err
		}
		return s.agree(ctx, tx, ref.ID, e, in.GetReason(), now)
	})
}

func exceptionTimes(e ticket.Exception, now time.Time) error {
	switch {
	case e.Start.Before(now):
		return rpcerr.Invalid("exception.start_time", rpcerr.T(
			"it is %[1]s, before now; give the present or a later instant", "现为 %[1]s，早于当前时间；请填写当前或以后的时刻", e.Start.Format(time.RFC3339)))
	case !e.End.After(e.Start):
		return rpcerr.Invalid("exception.end_time", rpcerr.T(
			"it is %[1]s, not after the start; give a later instant", "现为 %[1]s，不晚于开始时间；请填写更晚的时刻", e.End.Format(time.RFC3339)))
	case e.TooLong():
		return rpcerr.Invalid("exception.end_time", rpcerr.T(
			"it is %[1]s, more than three years after the start; give an earlier one and agree anew then", "现为 %[1]s，距开始超过三年；请填写更早的时间，届时重新约定", e.End.Format(time.RFC3339)))
	}
	return nil
}

// agree stores the next version of a customer's exception and has their tickets follow.
func (s *Server) agree(ctx context.Context, tx *write.Tx, customer uuid.UUID, e ticket.Exception, reason string, now time.Time) (*ticketv1.StandardException, error) {
	if _, err := s.q.HoldCustomer(ctx, tx, customer); err != nil {
		return nil, fmt.Errorf("hold the customer: %w", err)
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row, err := s.q.InsertStandardException(ctx, tx, db.InsertStandardExceptionParams{
		ID: id, CustomerID: customer, Tier: int16(e.Tier), StartTime: e.Start, EndTime: e.End, Reason: reason, CreateTime: now,
	})
	if err != nil {
		return nil, fmt.Errorf("store an exception: %w", err)
	}
	out := exceptionProto(&row, now)
	tx.AuditOf(customer, "standard-exception", id, out)
	return out, s.keepStandard(ctx, tx, customer, now)
}

// keepStandard brings what applies to a held customer, and their tickets, in step with their
// exceptions.
func (s *Server) keepStandard(ctx context.Context, tx *write.Tx, customer uuid.UUID, now time.Time) error {
	all, err := s.exceptionsOf(ctx, tx, customer)
	if err != nil {
		return err
	}
	tier, next := ticket.Excepted(all, now)
	if next.IsZero() {
		err = s.q.DropCustomerStandard(ctx, tx, customer)
	} else {
		var applies *int16
		if tier != 0 {
			applies = new(int16(tier))
		}
		err = s.q.SetCustomerStandard(ctx, tx, customer, applies, next)
	}
	if err != nil {
		return fmt.Errorf("keep the standard of a customer: %w", err)
	}
	rows, err := s.q.LockTicketsOfOtherTier(ctx, tx, customer)
	if err != nil {
		return fmt.Errorf("find tickets of another tier: %w", err)
	}
	return s.retier(ctx, tx, rows, reasonException)
}

func (s *Server) exceptionsOf(ctx context.Context, on db.DBTX, customer uuid.UUID) ([]ticket.Exception, error) {
	rows, err := s.q.ListExceptionsOf(ctx, on, customer)
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	out := make([]ticket.Exception, len(rows))
	for i, r := range rows {
		out[i] = ticket.Exception{Version: r.Version, Tier: typev1.Tier(r.Tier), Start: r.StartTime, End: r.EndTime}
	}
	return out, nil
}

// retier gives held tickets the targets of the standard that they go by now.
func (s *Server) retier(ctx context.Context, tx *write.Tx, rows []db.Ticket, reason string) error {
	for i := range rows {
		tier, err := s.tierOf(ctx, tx, &rows[i])
		if err != nil {
			return err
		}
		if tier == rows[i].ServiceTier { // whoever held the ticket has seen to it
			continue
		}
		if err := s.setTier(ctx, tx, &rows[i], tier); err != nil {
			return err
		}
		c, err := s.holdClocks(ctx, tx, &rows[i], true)
		if err == nil && c != nil {
			if err = c.retarget(ctx, clock.Act{At: s.now(), Reason: reason}); err == nil {
				err = c.keep(ctx)
			}
		}
		if err != nil {
			return fmt.Errorf("clocks of ticket %s: %w", rows[i].ID, err)
		}
		tx.AuditOf(idValue(rows[i].CustomerID), "ticket", rows[i].ID, map[string]any{"service_tier": typev1.Tier(tier).String()})
	}
	return nil
}

// tierOf is the tier whose standard a ticket goes by: that of its customer, held, or the one
// it was raised to.
func (s *Server) tierOf(ctx context.Context, tx *write.Tx, row *db.Ticket) (int16, error) {
	tier, err := s.q.HoldServiceTier(ctx, tx, row.CustomerID)
	if err != nil {
		return 0, fmt.Errorf("read the tier: %w", err)
	}
	raised, err := s.q.GetRaisedTier(ctx, tx, row.ID)
	if err != nil {
		return 0, fmt.Errorf("read what the ticket was raised to: %w", err)
	}
	return max(tier, raised), nil
}

// EndStandardException ends a customer's exception now.
func (s *Server) EndStandardException(ctx context.Context, req *ticketv1.EndStandardExceptionRequest) (*ticketv1.StandardException, error) {
	given, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.StandardException, error) {
		ref, err := customerref.Get(ctx, tx, given)
		if errors.Is(err, customerref.ErrUnknown) {
			return nil, rpcerr.NotFound("standard exception", given.String())
		}
		if err != nil {
			return nil, fmt.Errorf("read the customer: %w", err)
		}
		if _, err := s.q.HoldCustomer(ctx, tx, ref.ID); err != nil {
			return nil, fmt.Errorf("hold the customer: %w", err)
		}
		all, err := s.exceptionsOf(ctx, tx, ref.ID)
		if err != nil {
			return nil, err
		}
		now := s.now()
		tier, next := ticket.Excepted(all, now)
		if next.IsZero() {
			return nil, rpcerr.NotFound("standard exception", given.String())
		}
		if tier == 0 {
			tier = all[0].Tier // of the one that was to come
		}
		return s.agree(ctx, tx, ref.ID, ticket.Exception{Tier: tier, Start: now, End: now}, req.GetReason(), now)
	})
}

// ListStandardExceptions lists versions of exceptions, newest first.
func (s *Server) ListStandardExceptions(ctx context.Context, req *ticketv1.ListStandardExceptionsRequest) (*ticketv1.ListStandardExceptionsResponse, error) {
	of, err := parseOptional("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	before, err := s.cursor(ctx, req)
	if err != nil {
		return nil, err
	}
	if before == uuid.Nil {
		before = uuid.Max
	}
	var rows []db.StandardException
	if of == uuid.Nil {
		rows, err = s.q.ListStandardExceptions(ctx, s.pool, before, onceMore(req))
	} else {
		rows, err = s.q.ListStandardExceptionsOf(ctx, s.pool, of, before, onceMore(req))
	}
	if err != nil {
		return nil, fmt.Errorf("list exceptions: %w", err)
	}
	rows, next, err := onePage(ctx, s, req, rows, func(r db.StandardException) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &ticketv1.ListStandardExceptionsResponse{NextPageToken: next}
	effective := map[uuid.UUID]int32{} // customer → version that has begun last
	for i := range rows {
		customer := rows[i].CustomerID
		if _, known := effective[customer]; !known {
			if effective[customer], err = s.exceptionNow(ctx, customer); err != nil {
				return nil, err
			}
		}
		one := exceptionProto(&rows[i], s.now())
		one.InEffect = one.GetInEffect() && rows[i].Version == effective[customer]
		out.Exceptions = append(out.Exceptions, one)
	}
	return out, nil
}

// exceptionNow is the version that applies to a customer, or did last.
func (s *Server) exceptionNow(ctx context.Context, customer uuid.UUID) (version int32, err error) {
	all, err := s.exceptionsOf(ctx, s.pool, customer)
	for _, e := range all {
		if !e.Start.After(s.now()) {
			version = max(version, e.Version)
		}
	}
	return version, err
}

// WatchStandards applies and ends exceptions, until ctx ends, when their time has come. Every
// replica runs it.
func (s *Server) WatchStandards(ctx context.Context) error {
	return s.every(ctx, standardsEvery, "watch on exceptions to standards", s.SweepStandards)
}

// SweepStandards looks at all exceptions that begin or end by now.
func (s *Server) SweepStandards(ctx context.Context) error {
	for {
		due, err := s.q.ListStandardsToLook(ctx, s.pool, s.now(), standardsBatch)
		if err != nil {
			return fmt.Errorf("find exceptions: %w", err)
		}
		for _, customer := range due {
			if err := write.Job(ctx, s.write, "standards/follow", func(ctx context.Context, tx *write.Tx) error {
				if _, err := s.q.HoldCustomer(ctx, tx, customer); err != nil {
					return fmt.Errorf("hold the customer: %w", err)
				}
				tx.AuditOf(customer, "customer-standard", customer, map[string]any{"look_time": s.now()})
				return s.keepStandard(ctx, tx, customer, s.now())
			}); err != nil {
				return err
			}
		}
		if len(due) < standardsBatch {
			return nil
		}
	}
}

func exceptionProto(row *db.StandardException, now time.Time) *ticketv1.StandardException {
	return &ticketv1.StandardException{
		Id: row.ID.String(), CustomerId: row.CustomerID.String(), Version: row.Version, Tier: typev1.Tier(row.Tier),
		StartTime: timestamppb.New(row.StartTime), EndTime: timestamppb.New(row.EndTime), Reason: row.Reason,
		InEffect: !row.StartTime.After(now) && now.Before(row.EndTime), CreateTime: timestamppb.New(row.CreateTime),
	}
}
