package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pii"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/db"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/intake"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

const (
	// formKeyLabel and connectorKeyLabel are what keys for intake are derived under.
	formKeyLabel      = "contact-form"
	connectorKeyLabel = "connector-secrets"
	formSource        = "contact-form"
)

// GetContactForm gives a pass for the contact form. Nothing is kept of it.
func (s *Server) GetContactForm(context.Context, *ticketv1.GetContactFormRequest) (*ticketv1.ContactForm, error) {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails
	now := s.now()
	return &ticketv1.ContactForm{
		Pass:     intake.NewPass(s.keys.Derive(formKeyLabel), random, now),
		GoodFrom: timestamppb.New(now.Add(intake.PassAfter)), GoodUntil: timestamppb.New(now.Add(intake.PassFor)),
	}, nil
}

// SubmitContactForm takes in what somebody who is not signed in writes.
func (s *Server) SubmitContactForm(ctx context.Context, req *ticketv1.SubmitContactFormRequest) (*ticketv1.ContactFormReceipt, error) {
	now := s.now()
	pass, good := intake.Pass(s.keys.Derive(formKeyLabel), req.GetPass(), now)
	if !good {
		return nil, rpcerr.New(codes.InvalidArgument, "CONTACT_FORM_PASS_INVALID", rpcerr.T(
			"The pass of the form is not good, not yet or no more; get a new one, and send it no sooner than %[1]g s and no later than %[2]g h after.",
			"表单凭证无效、尚未生效或已过期；请重新获取，并在 %[1]g 秒之后、%[2]g 小时之内提交。", intake.PassAfter.Seconds(), intake.PassFor.Hours())).
			Field("pass", rpcerr.T("it is not good now", "目前无效"))
	}
	told, faults := s.normalize(req.GetReporter())
	if len(faults) > 0 {
		return nil, invalid("", faults)
	}
	if !told.contacts() {
		return nil, rpcerr.Invalid("reporter", rpcerr.T(
			"there is neither phone nor e-mail; give one of them, so that you can be answered", "电话和邮箱均未填写；请至少填写其一，以便回复"))
	}
	if req.GetWebsite() != "" {
		return s.pretend(ctx, now)
	}
	m := &said{
		source: formSource, id: pass, told: told, fresh: true,
		ticket: &ticketv1.Ticket{
			Channel: typev1.Channel_CHANNEL_WEB, Title: req.GetTitle(), Description: req.GetDescription(),
			ProductModel: req.GetProductModel(), SerialNumber: req.GetSerialNumber(), Urgency: req.GetUrgency(),
		},
	}
	if req.GetReference() != "" {
		m.place = func(ctx context.Context, tx *write.Tx) (*db.Ticket, error) {
			return s.referred(ctx, tx, req.GetReference(), told)
		}
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*ticketv1.ContactFormReceipt, error) {
		at, err := s.takeIn(ctx, tx, m)
		if err != nil {
			return nil, err
		}
		return &ticketv1.ContactFormReceipt{Reference: at.row.Number, ReceiveTime: timestamppb.New(now)}, nil
	})
}

// pretend answers a program as if it had been taken in.
func (s *Server) pretend(ctx context.Context, now time.Time) (*ticketv1.ContactFormReceipt, error) {
	numbers, err := s.numbers(ctx, s.pool, 1, now)
	if err != nil {
		return nil, err
	}
	return &ticketv1.ContactFormReceipt{Reference: numbers[0], ReceiveTime: timestamppb.New(now)}, nil
}

// referred holds the case of a reference whose reporter has the same phone or e-mail; nil
// where it is closed. What does not fit is refused in one way, whatever does not.
func (s *Server) referred(ctx context.Context, tx *write.Tx, reference string, told reporter) (*db.Ticket, error) {
	found, err := s.q.GetTicketByNumber(ctx, tx, reference)
	if err == nil {
		var fits bool
		if fits, err = s.reportedBy(ctx, tx, &found, told); err == nil && !fits {
			err = pgx.ErrNoRows
		}
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, rpcerr.Invalid("reference", rpcerr.T(
			"there is no case %[1]q with this phone or e-mail; leave it empty for a new one", "没有与该电话或邮箱相符的受理编号 %[1]q；如为新问题请留空", reference))
	}
	if err != nil {
		return nil, fmt.Errorf("find the case of a reference: %w", err)
	}
	row, err := s.followed(ctx, tx, found.ID)
	if err != nil || !intake.Joinable(ticket.State(row.State)) {
		return nil, err
	}
	return row, nil
}

// reportedBy tells whether a ticket's reporter has a phone or an e-mail.
func (s *Server) reportedBy(ctx context.Context, on db.DBTX, row *db.Ticket, who reporter) (bool, error) {
	if who.phone != "" && row.ReporterPhoneIndex != nil && slices.Equal(row.ReporterPhoneIndex, s.phoneIndex(who.phone)) {
		return true, nil
	}
	if who.email == "" || row.ReporterEmail == nil {
		return false, nil
	}
	email, err := s.keys.Open(ctx, on, row.ReporterSubjectID, place(row.ID, columnEmail), row.ReporterEmail)
	if errors.Is(err, pii.ErrShredded) {
		return false, nil
	}
	return email == who.email, err
}

// connectorSecrets are those that are valid now, the present one first.
func (s *Server) connectorSecrets(row *db.Connector, now time.Time) []string {
	key := s.keys.Derive(connectorKeyLabel)
	out := []string{intake.Secret(key, uuid.UUID(row.ID), row.SecretGeneration)}
	if row.PreviousUntil != nil && now.Before(*row.PreviousUntil) {
		out = append(out, intake.Secret(key, uuid.UUID(row.ID), row.SecretGeneration-1))
	}
	return out
}
