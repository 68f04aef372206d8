package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// ContactBudget is what this service needs of the registry before it writes to anybody.
type ContactBudget interface {
	ReserveContact(ctx context.Context, in *customerv1.ReserveContactRequest, opts ...grpc.CallOption) (*customerv1.ContactReservation, error)
}

const (
	// kind is what the contact budget counts invitations as.
	kind = "survey"

	makeEvery = 250 * time.Millisecond
	// makeStep bounds the invitations of one look.
	makeStep = 100
	// makeAgain is when the registry is asked again for a customer it refused to judge.
	makeAgain = time.Minute
)

// byHand names the requests of invitations made by hand to the registry.
var byHand = uuid.MustParse("01900000-0000-7000-8000-0000000005ed")

const (
	quality = customerv1.ConsentPurpose_CONSENT_PURPOSE_SERVICE_QUALITY
	surveys = customerv1.ConsentPurpose_CONSENT_PURPOSE_SURVEYS
)

// MakeDue makes the invitations that events have caused until ctx ends. Any number of
// replicas may run it: the registry answers each the same, and one takes the row.
func (s *Server) MakeDue(ctx context.Context) error {
	return s.repeat(ctx, makeEvery, "making the invitations that are due failed", s.MakeInvitations)
}

// MakeInvitations asks the registry for each invitation that is due, and makes it or keeps
// that it is held back. While the registry is unreachable they wait.
func (s *Server) MakeInvitations(ctx context.Context) error {
	due, err := s.queries.ListDueInvitations(ctx, s.pool, s.moment(), makeStep)
	if err != nil {
		return fmt.Errorf("read invitations that are due: %w", err)
	}
	for _, row := range due {
		answer, err := s.contacts.ReserveContact(ctx, &customerv1.ReserveContactRequest{
			CustomerId: row.CustomerID.String(), Kind: kind, Purpose: quality,
			EventId: row.EventID.String(), RequestId: row.EventID.String(),
		})
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded || ctx.Err() != nil {
			return fmt.Errorf("reserve a contact: %w", err)
		}
		if err != nil {
			s.log.WarnContext(ctx, "the registry does not judge a contact; it is asked again", "event", row.EventID,
				"customer", row.CustomerID, "error", err)
			if err := s.queries.PostponeDueInvitation(ctx, s.pool, s.moment().Add(makeAgain), row.EventID); err != nil {
				return fmt.Errorf("postpone an invitation: %w", err)
			}
			continue
		}
		if err := s.makeDue(ctx, row.EventID, answer.GetHeldBack()); err != nil {
			return err
		}
	}
	return nil
}

// makeDue takes what is due and makes its invitation, with the event as its cause.
func (s *Server) makeDue(ctx context.Context, cause uuid.UUID, held customerv1.HeldBack) error {
	return pg.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		due, err := s.queries.TakeDueInvitation(ctx, tx, cause)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // another replica was faster
		}
		if err != nil {
			return fmt.Errorf("take an invitation that is due: %w", err)
		}
		e := &eventv1.Envelope{Id: cause.String(), Type: due.EventType, RequestId: due.RequestID}
		return write.Effect(ctx, s.write, tx, e, func(ctx context.Context, tx *write.Tx) error {
			// A withdrawal that the registry recorded after its answer finds and revokes
			// what is made before it; one that came here first is not overtaken.
			consents, err := s.queries.LockConsent(ctx, tx, due.CustomerID)
			if err != nil {
				return fmt.Errorf("read consent: %w", err)
			}
			if !consents {
				held = customerv1.HeldBack_HELD_BACK_WITHDRAWN
			}
			made, err := s.insertDue(ctx, tx, &due, held)
			if err == nil && !made {
				tx.Unchanged()
			}
			return err
		})
	})
}

func (s *Server) insertDue(ctx context.Context, tx *write.Tx, due *db.DueInvitation, held customerv1.HeldBack) (bool, error) {
	now := s.moment()
	row := &db.Invitation{
		QuestionnaireID: due.QuestionnaireID, QuestionnaireVersion: due.QuestionnaireVersion, CustomerID: due.CustomerID,
		TicketID: due.TicketID, ComplaintID: due.ComplaintID, Round: due.Round, Language: due.Language,
		ExpireTime: now.Add(invitation.Life), CreateTime: now, CauseTrigger: due.CauseTrigger, CauseID: due.CauseID,
	}
	if held == customerv1.HeldBack_HELD_BACK_UNSPECIFIED {
		return s.insertInvitation(ctx, tx, row)
	}
	var err error
	if row.ID, err = newID(); err != nil {
		return false, err
	}
	reason, why := word(held), int16(held)
	row.State, row.Version, row.CreateActor = int16(invitation.HeldBack), 1, authn.FromContext(ctx).Actor()
	row.ExpireTime, row.EndTime, row.EndReason, row.HeldBack = now, &now, &reason, &why
	made, err := s.queries.InsertHeldBackInvitation(ctx, tx, db.InsertHeldBackInvitationParams{
		ID: row.ID, QuestionnaireID: row.QuestionnaireID, QuestionnaireVersion: row.QuestionnaireVersion,
		CustomerID: row.CustomerID, TicketID: row.TicketID, ComplaintID: row.ComplaintID, Round: row.Round,
		Language: row.Language, CreateTime: now, CreateActor: row.CreateActor, EndReason: row.EndReason, HeldBack: why,
		CauseTrigger: row.CauseTrigger, CauseID: row.CauseID,
	})
	if err != nil {
		return false, fmt.Errorf("insert held back invitation: %w", err)
	}
	if made == 0 {
		return false, nil
	}
	recordInvitation(tx, "invitation.heldback.v1", *row, reason)
	return true, nil
}

// word is the reason in lower case, e.g. "no consent".
func word(held customerv1.HeldBack) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(held.String(), "HELD_BACK_")), "_", " ")
}

// mayInvite refuses to invite by hand whom the registry holds back. A repeated call gets
// the same answer.
func (s *Server) mayInvite(ctx context.Context, customer uuid.UUID, requestID string) error {
	id := uuid.NewString()
	if requestID != "" {
		id = uuid.NewSHA1(byHand, []byte(authn.FromContext(ctx).Actor()+"\x00"+requestID)).String()
	}
	answer, err := s.contacts.ReserveContact(ctx, &customerv1.ReserveContactRequest{
		CustomerId: customer.String(), Kind: kind, Purpose: surveys, RequestId: id,
	})
	switch status.Code(err) {
	case codes.OK:
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted, codes.Canceled:
		return rpcerr.Unavailable(customerref.Source)
	default:
		return fmt.Errorf("reserve a contact: %w", err)
	}
	switch answer.GetHeldBack() {
	case customerv1.HeldBack_HELD_BACK_UNSPECIFIED:
		return nil
	case customerv1.HeldBack_HELD_BACK_WITHDRAWN:
		return surveysWithdrawn(customer)
	case customerv1.HeldBack_HELD_BACK_BUDGET_USED:
		until := answer.GetBudgetTime().AsTime().Format(time.RFC3339)
		return rpcerr.WrongState("CONTACT_BUDGET_USED", rpcerr.T(
			"The customer %[1]s was sent a survey lately; ask them from %[2]s on.",
			"客户 %[1]s 近期已收到过调查；请在 %[2]s 之后再调查。", customer, until)).With("customer_id", customer.String()).With("until", until)
	}
	return rpcerr.WrongState("CONSENT_MISSING", rpcerr.T(
		"The customer %[1]s has not agreed to surveys; record their consent with :setConsent first.",
		"客户 %[1]s 尚未同意接受调查；请先用 :setConsent 记录其同意。", customer)).With("customer_id", customer.String())
}

func surveysWithdrawn(customer uuid.UUID) *rpcerr.Error {
	return rpcerr.WrongState("CONSENT_WITHDRAWN", rpcerr.T(
		"The customer %[1]s withdrew consent to surveys; do not ask them until they give it again.",
		"客户 %[1]s 已撤回调查的同意；在其重新同意之前请勿调查。", customer)).With("customer_id", customer.String())
}
