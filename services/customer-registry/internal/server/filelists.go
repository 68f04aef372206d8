package server

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/services/customer-registry/internal/db"
)

// ListCustomerChanges lists what was changed in a file and its contacts, newest first.
func (s *Server) ListCustomerChanges(ctx context.Context, req *customerv1.ListCustomerChangesRequest) (*customerv1.ListCustomerChangesResponse, error) {
	id, err := parseID("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	_, verdict, err := s.openFile(ctx, id, allOfIt)
	if err != nil {
		return nil, err
	}
	before, err := s.idCursor(ctx, req, req.GetPageToken(), newestID)
	if err != nil {
		return nil, err
	}
	size := page.Size(req.GetPageSize())
	rows, err := s.q.ListCustomerChanges(ctx, s.pool, db.ListCustomerChangesParams{
		CustomerID: id, Before: before, Field: req.GetField(), Count: size + 1,
	})
	if err != nil {
		return nil, fmt.Errorf("list changes: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.CustomerChange) string { return r.ID.String() })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListCustomerChangesResponse{NextPageToken: next}
	if out.Changes, err = s.changes(ctx, id, rows); err != nil {
		return nil, err
	}
	return out, s.recordRead(ctx, verdict, "customer", id, id)(ctx)
}

// changes decrypts rows of a customer's history.
func (s *Server) changes(ctx context.Context, customerID uuid.UUID, rows []db.CustomerChange) ([]*customerv1.CustomerChange, error) {
	subjects := set{}
	subjects.add(customerID)
	for i := range rows {
		if rows[i].ContactID != nil {
			subjects.add(*rows[i].ContactID)
		}
	}
	keys, err := s.keys.Subjects(ctx, s.pool, subjects.sorted()...)
	if err != nil {
		return nil, err
	}
	out := make([]*customerv1.CustomerChange, 0, len(rows))
	for i := range rows {
		row, subject := &rows[i], customerID
		if row.ContactID != nil {
			subject = *row.ContactID
		}
		change := &customerv1.CustomerChange{
			Id: row.ID.String(), ContactId: idString(row.ContactID), Field: row.Field, ChangeTime: timestamppb.New(row.ChangeTime),
			Actor: row.Actor, Source: customerv1.ValueSource(row.Source), Etag: etag(row.Version),
		}
		if change.Before, err = unseal(keys, subject, changePlace(row.ID, "before"), row.Before); err != nil {
			return nil, err
		}
		if change.After, err = unseal(keys, subject, changePlace(row.ID, "after"), row.After); err != nil {
			return nil, err
		}
		out = append(out, change)
	}
	return out, nil
}

// ListOverdueFiles lists the files whose review is due, the longest overdue first.
func (s *Server) ListOverdueFiles(ctx context.Context, req *customerv1.ListOverdueFilesRequest) (*customerv1.ListOverdueFilesResponse, error) {
	at, after := time.Time{}, uuid.Nil
	if req.GetPageToken() != "" {
		var err error
		if at, after, err = s.timeCursor(ctx, req, req.GetPageToken()); err != nil {
			return nil, err
		}
	}
	size := page.Size(req.GetPageSize())
	filter := db.ListOverdueFilesParams{Now: s.now(), AfterTime: at, AfterID: after, Count: size + 1}
	var err error
	if filter.ResponsibleStaffID, err = optionalID("responsible_staff_id", req.GetResponsibleStaffId()); err != nil {
		return nil, err
	}
	if filter.OwnerStaffID, err = s.ownedBy(ctx, nil); err != nil {
		return nil, err
	}
	rows, err := s.q.ListOverdueFiles(ctx, planned{s.pool}, filter)
	if err != nil {
		return nil, fmt.Errorf("list overdue files: %w", err)
	}
	rows, next, err := cut(ctx, s, req, rows, size, func(r *db.ListOverdueFilesRow) string { return timeAndID(r.ReviewDueTime, r.ID) })
	if err != nil {
		return nil, err
	}
	out := &customerv1.ListOverdueFilesResponse{NextPageToken: next}
	for i := range rows {
		row := &rows[i]
		out.OverdueFiles = append(out.OverdueFiles, &customerv1.OverdueFile{
			CustomerId: row.ID.String(), Number: row.Number, Name: row.Name, OwnerStaffId: idString(row.OwnerStaffID),
			ResponsibleStaffId: idString(row.ResponsibleStaffID), UpdateIntervalDays: row.UpdateIntervalDays,
			ReviewDueTime: timestamppb.New(row.ReviewDueTime),
		})
	}
	return out, nil
}

// ownedBy narrows a list to an account manager: the one asked for, nil for all, and for whom
// only their own customers are open to themselves.
func (s *Server) ownedBy(ctx context.Context, asked *uuid.UUID) (*uuid.UUID, error) {
	if authz.FromContext(ctx).Scope >= accessv1.Scope_SCOPE_COMPANY {
		return asked, nil
	}
	member, err := s.callerMember(ctx)
	if err != nil {
		return nil, err
	}
	staff := member.ID
	if asked != nil && *asked != staff {
		staff = uuid.Nil // another's customers: none
	}
	return &staff, nil
}
