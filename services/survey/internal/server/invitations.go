package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/page"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// CreateInvitation invites a customer by hand and gives the link.
func (s *Server) CreateInvitation(ctx context.Context, req *surveyv1.CreateInvitationRequest) (*surveyv1.InvitationLink, error) {
	asked := req.GetInvitation()
	questionnaireID, err := parse("invitation.questionnaire_id", asked.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	customerID, err := parse("invitation.customer_id", asked.GetCustomerId())
	if err != nil {
		return nil, err
	}
	customer, err := customerref.EnsureActive(ctx, s.pool, customerID, "invitation.customer_id", s.registry)
	if err != nil {
		return nil, err
	}
	// What refuses the call anyway must not use the customer's budget up.
	version, err := s.lastVersion(ctx, s.pool, questionnaireID)
	if err != nil {
		return nil, err
	}
	if _, err := expiry(asked, s.moment()); err != nil {
		return nil, err
	}
	if err := s.mayInvite(ctx, customer.ID, req.GetRequestId()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.InvitationLink, error) {
		now := s.moment()
		expire, err := expiry(asked, now)
		if err != nil {
			return nil, err
		}
		if err := s.consenting(ctx, tx, customer.ID); err != nil {
			return nil, err
		}
		token, hash := s.links.issue()
		row := db.Invitation{
			QuestionnaireID: questionnaireID, QuestionnaireVersion: version.GetVersion(), CustomerID: customer.ID,
			Language: asked.GetLanguage(), ExpireTime: expire, LinkHash: hash, CreateTime: now,
		}
		if row.Language == "" {
			row.Language = languageOf(customer)
		}
		made, err := s.insertInvitation(ctx, tx, &row)
		if err != nil {
			return nil, err
		}
		if !made {
			return nil, fmt.Errorf("invitation %s met another one", row.ID)
		}
		return &surveyv1.InvitationLink{Invitation: invitationOf(row, now), Token: token}, nil
	})
}

// expiry is the time the request gives, or the default.
func expiry(asked *surveyv1.Invitation, now time.Time) (time.Time, error) {
	if asked.GetExpireTime() == nil {
		return now.Add(invitation.Life), nil
	}
	if err := asked.GetExpireTime().CheckValid(); err != nil {
		return time.Time{}, rpcerr.Invalid("invitation.expire_time", rpcerr.T(
			"it is no instant between the years 1 and 9999.", "不是公元 1 年至 9999 年之间的有效时间。"))
	}
	expire := asked.GetExpireTime().AsTime().Truncate(time.Microsecond)
	if !expire.After(now) {
		return time.Time{}, rpcerr.Invalid("invitation.expire_time", rpcerr.T(
			"it is %[1]s, which is past; give a time in the future.", "为 %[1]s，已经过去；请填写将来的时间。",
			expire.Format(time.RFC3339)))
	}
	return expire, nil
}

// languageOf is the customer's language where the form speaks it.
func languageOf(customer customerref.Ref) string { return spoken(customer.Language) }

// spoken is the language where the form speaks it.
func spoken(language string) string {
	if language == rpcerr.English {
		return rpcerr.English
	}
	return rpcerr.Chinese
}

// consenting refuses a customer who withdrew consent, to be asked about service or to be
// asked at all. The row stays locked against a withdrawal until this transaction has ended: a
// later one finds and revokes the invitation.
func (s *Server) consenting(ctx context.Context, tx *write.Tx, customer uuid.UUID) error {
	consents, err := s.queries.LockConsent(ctx, tx, customer)
	if err != nil {
		return fmt.Errorf("read consent: %w", err)
	}
	if !consents {
		return rpcerr.WrongState("CONSENT_WITHDRAWN", rpcerr.T(
			"The customer %[1]s withdrew consent to questions on service quality; do not ask them until they give it again.",
			"客户 %[1]s 已撤回服务质量调查的同意；在其重新同意之前请勿调查。", customer)).With("customer_id", customer.String())
	}
	withdrawn, err := s.queries.HasWithdrawnSurveys(ctx, tx, customer)
	if err != nil {
		return fmt.Errorf("read the consent to surveys: %w", err)
	}
	if withdrawn {
		return surveysWithdrawn(customer)
	}
	return nil
}

// insertInvitation completes and stores a pending invitation with its event; false, with
// nothing recorded, when its ticket or complaint was asked about in that round already.
func (s *Server) insertInvitation(ctx context.Context, tx *write.Tx, row *db.Invitation) (bool, error) {
	var err error
	if row.ID, err = newID(); err != nil {
		return false, err
	}
	row.State, row.Version, row.CreateActor = int16(invitation.Pending), 1, authn.FromContext(ctx).Actor()
	made, err := s.queries.InsertInvitation(ctx, tx, db.InsertInvitationParams{
		ID: row.ID, QuestionnaireID: row.QuestionnaireID, QuestionnaireVersion: row.QuestionnaireVersion,
		CustomerID: row.CustomerID, TicketID: row.TicketID, ComplaintID: row.ComplaintID, Round: row.Round,
		Language: row.Language, ExpireTime: row.ExpireTime, LinkHash: row.LinkHash,
		CreateActor: row.CreateActor, CreateTime: row.CreateTime, CauseTrigger: row.CauseTrigger, CauseID: row.CauseID,
	})
	if err != nil {
		return false, fmt.Errorf("insert invitation: %w", err)
	}
	if made == 0 {
		return false, nil
	}
	recordInvitation(tx, "invitation.created.v1", *row, "")
	return true, nil
}

// recordInvitation says what became of an invitation. The audit record holds nothing of
// the link.
func recordInvitation(tx *write.Tx, kind string, row db.Invitation, reason string) {
	payload := &surveyv1.InvitationChanged{
		QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
		TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID), State: stateWord(stateOf(row)),
	}
	tx.Emit(event.Event{
		Type: kind, SubjectID: row.ID, SubjectVersion: row.Version, CustomerID: row.CustomerID, Payload: payload,
	})
	tx.Audit("invitation", row.ID, struct {
		State, Reason string
		ExpireTime    time.Time
	}{payload.GetState(), reason, row.ExpireTime})
}

func stateWord(state invitation.State) string {
	switch state {
	case invitation.Answered:
		return "answered"
	case invitation.Expired:
		return "expired"
	case invitation.Revoked:
		return "revoked"
	case invitation.HeldBack:
		return "held back"
	}
	return "pending"
}

// GetInvitation gives an invitation.
func (s *Server) GetInvitation(ctx context.Context, req *surveyv1.GetInvitationRequest) (*surveyv1.Invitation, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.queries.GetInvitation(ctx, s.pool, id)
	if row, err = foundInvitation(row, err, id); err != nil {
		return nil, err
	}
	return invitationOf(row, s.now()), nil
}

func foundInvitation(row db.Invitation, err error, id uuid.UUID) (db.Invitation, error) {
	if errors.Is(err, pgx.ErrNoRows) {
		return row, rpcerr.NotFound("invitation", id.String())
	}
	if err != nil {
		return row, fmt.Errorf("read invitation: %w", err)
	}
	return row, nil
}

// ListInvitations gives invitations, the newest first.
func (s *Server) ListInvitations(ctx context.Context, req *surveyv1.ListInvitationsRequest) (*surveyv1.ListInvitationsResponse, error) {
	before, err := s.before(ctx, req)
	if err != nil {
		return nil, err
	}
	size, now := page.Size(req.GetPageSize()), s.now()
	rows, err := s.listInvitations(ctx, req, before, size+1, now)
	if err != nil {
		return nil, err
	}
	out := new(surveyv1.ListInvitationsResponse)
	rows, out.NextPageToken, err = cut(ctx, s.pages, req, rows, size, func(r db.Invitation) uuid.UUID { return r.ID })
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		out.Invitations = append(out.Invitations, invitationOf(row, now))
	}
	return out, nil
}

// listInvitations takes the query whose index fits the filter best.
func (s *Server) listInvitations(ctx context.Context, req *surveyv1.ListInvitationsRequest, before uuid.UUID, size int32, now time.Time) ([]db.Invitation, error) {
	customer, err := optional("customer_id", req.GetCustomerId())
	if err != nil {
		return nil, err
	}
	ticket, err := optional("ticket_id", req.GetTicketId())
	if err != nil {
		return nil, err
	}
	complaint, err := optional("complaint_id", req.GetComplaintId())
	if err != nil {
		return nil, err
	}
	var rows []db.Invitation
	state := int16(req.GetState())
	switch {
	case ticket != nil:
		rows, err = s.queries.ListInvitationsOfTicket(ctx, s.pool, db.ListInvitationsOfTicketParams{
			TicketID: ticket, ComplaintID: complaint, CustomerID: customer, State: state, Now: now, Before: before, Size: size})
	case complaint != nil:
		rows, err = s.queries.ListInvitationsOfComplaint(ctx, s.pool, db.ListInvitationsOfComplaintParams{
			ComplaintID: complaint, CustomerID: customer, State: state, Now: now, Before: before, Size: size})
	case customer != nil:
		rows, err = s.queries.ListInvitationsOfCustomer(ctx, s.pool, db.ListInvitationsOfCustomerParams{
			CustomerID: *customer, State: state, Now: now, Before: before, Size: size})
	default:
		rows, err = s.listByState(ctx, req.GetState(), before, size, now)
	}
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	return rows, nil
}

func (s *Server) listByState(ctx context.Context, state invitation.State, before uuid.UUID, size int32, now time.Time) ([]db.Invitation, error) {
	switch state {
	case invitation.Pending:
		return s.queries.ListPendingInvitations(ctx, s.pool, now, before, size)
	case invitation.Expired:
		return s.queries.ListExpiredInvitations(ctx, s.pool, before, size, now)
	case invitation.Answered, invitation.Revoked, invitation.HeldBack:
		return s.queries.ListEndedInvitations(ctx, s.pool, int16(state), before, size)
	}
	return s.queries.ListInvitations(ctx, s.pool, before, size)
}

// IssueLink makes another link, which ends the one before it.
func (s *Server) IssueLink(ctx context.Context, req *surveyv1.IssueLinkRequest) (*surveyv1.InvitationLink, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.InvitationLink, error) {
		row, err := s.lockInvitation(ctx, tx, id, invitation.Reissue)
		if err != nil {
			return nil, err
		}
		token, hash := s.links.issue()
		row.LinkHash, row.Version = hash, row.Version+1
		if err := s.queries.UpdateInvitationLink(ctx, tx, hash, id); err != nil {
			return nil, fmt.Errorf("update link: %w", err)
		}
		recordInvitation(tx, "invitation.reissued.v1", row, "")
		return &surveyv1.InvitationLink{Invitation: invitationOf(row, s.now()), Token: token}, nil
	})
}

// RevokeInvitation ends a pending invitation.
func (s *Server) RevokeInvitation(ctx context.Context, req *surveyv1.RevokeInvitationRequest) (*surveyv1.Invitation, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	if err := noNUL("reason", req.GetReason()); err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Invitation, error) {
		row, err := s.lockInvitation(ctx, tx, id, invitation.Revoke)
		if err != nil {
			return nil, err
		}
		if row, err = s.end(ctx, tx, row, invitation.Revoked, req.GetReason(), nil); err != nil {
			return nil, err
		}
		recordInvitation(tx, "invitation.revoked.v1", row, req.GetReason())
		return invitationOf(row, s.now()), nil
	})
}

// lockInvitation gives the locked row if the verb is possible now.
func (s *Server) lockInvitation(ctx context.Context, tx *write.Tx, id uuid.UUID, verb invitation.Verb) (db.Invitation, error) {
	row, err := s.queries.LockInvitation(ctx, tx, id)
	if row, err = foundInvitation(row, err, id); err != nil {
		return row, err
	}
	if state, possible := invitation.Next(stateOf(row), row.ExpireTime, s.now(), verb); !possible {
		return row, rpcerr.WrongState("INVITATION_WRONG_STATE", rpcerr.T(
			"The invitation %[1]s is %[2]s; only a pending one has a link or can be revoked. Make a new invitation to ask again.",
			"邀请 %[1]s 的状态为 %[2]s；只有待回答的邀请才有链接或可以撤回。如需再次调查，请新建邀请。",
			id, stateWord(state))).With("state", stateWord(state))
	}
	return row, nil
}

// end moves a locked pending invitation to its last state.
func (s *Server) end(ctx context.Context, tx *write.Tx, row db.Invitation, state invitation.State, reason string, answer *uuid.UUID) (db.Invitation, error) {
	now, actor := s.moment(), authn.FromContext(ctx).Actor()
	row.State, row.EndActor, row.EndTime, row.AnswerID, row.Version = int16(state), &actor, &now, answer, row.Version+1
	if reason != "" {
		row.EndReason = &reason
	}
	err := s.queries.UpdateInvitationEnd(ctx, tx, db.UpdateInvitationEndParams{
		State: row.State, EndActor: row.EndActor, EndTime: row.EndTime, EndReason: row.EndReason,
		AnswerID: row.AnswerID, ID: row.ID,
	})
	if err != nil {
		return row, fmt.Errorf("end invitation: %w", err)
	}
	if err := s.queries.DeleteProgress(ctx, tx, row.ID); err != nil {
		return row, fmt.Errorf("delete progress: %w", err)
	}
	return row, nil
}
