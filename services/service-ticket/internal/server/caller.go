package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
)

// customer is the id of the calling customer, zero for every other caller. A customer
// whose subject is no id is nobody and gets an id that owns nothing.
func customer(ctx context.Context) uuid.UUID {
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Customer {
		return uuid.Nil
	}
	id, err := uuid.Parse(caller.Subject)
	if err != nil {
		return uuid.Max
	}
	return id
}

// own refuses a customer who asks for a ticket of another, or of nobody, as if there were
// none.
func own(ctx context.Context, row *db.Ticket) error {
	who := customer(ctx)
	if who != uuid.Nil && (row.CustomerID == nil || *row.CustomerID != who) {
		return ticketNotFound(row.ID)
	}
	return nil
}

func ticketNotFound(id uuid.UUID) error { return rpcerr.NotFound("ticket", id.String()) }

// authorKind is what a caller is in the history and in comments.
func authorKind(caller authn.Identity) ticketv1.AuthorKind {
	switch caller.Kind {
	case authn.Person:
		return ticketv1.AuthorKind_AUTHOR_KIND_STAFF
	case authn.Customer:
		return ticketv1.AuthorKind_AUTHOR_KIND_CUSTOMER
	default:
		return ticketv1.AuthorKind_AUTHOR_KIND_SYSTEM
	}
}

// callerStaff is the staff id of the caller, nil when the directory does not know them.
func (s *Server) callerStaff(ctx context.Context, on db.DBTX) (*uuid.UUID, error) {
	caller := authn.FromContext(ctx)
	if caller.Kind != authn.Person {
		return nil, nil
	}
	row, err := s.q.GetStaffByIdentity(ctx, on, caller.Issuer, caller.Subject)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look the caller up: %w", err)
	}
	return &row.ID, nil
}
