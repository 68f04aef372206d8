package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authn"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/internal/directory"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// GetEntryForm gives the form of an invitation to staff.
func (s *Server) GetEntryForm(ctx context.Context, req *surveyv1.GetEntryFormRequest) (*surveyv1.AnswerForm, error) {
	id, err := parse("invitation_id", req.GetInvitationId())
	if err != nil {
		return nil, err
	}
	row, err := s.queries.GetInvitation(ctx, s.pool, id)
	if row, err = foundInvitation(row, err, id); err != nil {
		return nil, err
	}
	if err := s.mayEnter(ctx, s.pool, row); err != nil {
		return nil, err
	}
	f, err := s.openForm(ctx, s.pool, row)
	if err != nil {
		return nil, err
	}
	f.saved, f.saveTime = nil, nil // what the customer has not sent is theirs
	return f.proto(), nil
}

// EnterAnswer keeps the answer that staff took.
func (s *Server) EnterAnswer(ctx context.Context, req *surveyv1.EnterAnswerRequest) (*surveyv1.AnswerReceipt, error) {
	id, err := parse("invitation_id", req.GetInvitationId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.AnswerReceipt, error) {
		row, err := s.queries.LockInvitation(ctx, tx, id)
		if row, err = foundInvitation(row, err, id); err != nil {
			return nil, err
		}
		if err := s.mayEnter(ctx, tx, row); err != nil {
			return nil, err
		}
		f, err := s.openForm(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		if faults := questionnaire.CheckAnswer(f.version, f.facts, req.GetResponses()); len(faults) > 0 {
			return nil, invalidAnswer(faults)
		}
		at, err := s.enteredTime(req.GetAnswerTime(), row)
		if err != nil {
			return nil, err
		}
		actor := authn.FromContext(ctx).Actor()
		answer, err := s.keep(ctx, tx, f, req.GetResponses(), entry{
			channel: req.GetChannel(), actor: &actor, at: at, late: !at.Before(row.ExpireTime)})
		if err != nil {
			return nil, err
		}
		return answer.receipt(f.version, nil), nil
	})
}

// enteredTime is when the customer answered.
func (s *Server) enteredTime(given *timestamppb.Timestamp, row db.Invitation) (time.Time, error) {
	now := s.moment()
	if given == nil {
		return now, nil
	}
	if given.CheckValid() != nil {
		return now, rpcerr.Invalid("answer_time", noInstant())
	}
	at := given.AsTime().Truncate(time.Microsecond)
	if at.Before(row.CreateTime) || at.After(now) {
		return now, rpcerr.Invalid("answer_time", rpcerr.T(
			"it is %[1]s; give a time from the invitation at %[2]s to now, %[3]s.", "为 %[1]s；请填写从邀请时间 %[2]s 到当前时间 %[3]s 之间的时间。",
			at.Format(time.RFC3339), row.CreateTime.UTC().Format(time.RFC3339), now.Format(time.RFC3339)))
	}
	return at, nil
}

// mayEnter refuses an invitation that takes no answer any more, and whoever the answer would be
// about.
func (s *Server) mayEnter(ctx context.Context, from pg.DBTX, row db.Invitation) error {
	switch state := stateOf(row); state {
	case invitation.Pending, invitation.Expired:
	case invitation.HeldBack:
		return rpcerr.WrongState("INVITATION_WRONG_STATE", rpcerr.T(
			"The invitation %[1]s is held back: the customer must not be asked.", "邀请 %[1]s 已被暂缓：不得调查该客户。", row.ID)).
			With("state", stateWord(state))
	default:
		return s.answerable(ctx, from, row, nil)
	}
	who := authn.FromContext(ctx)
	member, err := directory.StaffByIdentity(ctx, from, who.Issuer, who.Subject)
	if errors.Is(err, directory.ErrUnknown) {
		return rpcerr.Denied("STAFF_UNKNOWN", rpcerr.T(
			"The directory does not know you, so it cannot be told whether the answer is about you; have your account added to the directory.",
			"通讯录中没有您的账号，无法判断该回答是否涉及您本人；请先将账号加入通讯录。"))
	}
	if err != nil {
		return err
	}
	customer, err := customerref.Get(ctx, from, row.CustomerID)
	if err != nil {
		return fmt.Errorf("customer of invitation %s: %w", row.ID, err)
	}
	handled, err := s.queries.HandledCase(ctx, from, []uuid.UUID{uuidOf(row.TicketID), uuidOf(row.ComplaintID)}, member.ID)
	if err != nil {
		return fmt.Errorf("read who handled the case: %w", err)
	}
	if handled || customer.OwnerStaffID == member.ID {
		return rpcerr.Denied("ENTRY_ABOUT_ONESELF", rpcerr.T(
			"The answer to invitation %[1]s would be about your own work; let a colleague ask this customer.",
			"邀请 %[1]s 的回答涉及您本人的工作；请由同事调查该客户。", row.ID))
	}
	return nil
}

// keepHandler notes who handled a case that its customer may be asked about.
func (s *Server) keepHandler(ctx context.Context, tx pgx.Tx, e *eventv1.Envelope, staff string) error {
	if staff == "" {
		return nil
	}
	handler, err := uuid.Parse(staff)
	if err != nil {
		return fmt.Errorf("handler in event %s: %w", e.GetId(), err)
	}
	subject, err := uuid.Parse(e.GetSubjectId())
	if err != nil {
		return fmt.Errorf("subject of event %s: %w", e.GetId(), err)
	}
	if err := s.queries.InsertCaseHandler(ctx, tx, subject, handler); err != nil {
		return fmt.Errorf("keep who handled case %s: %w", subject, err)
	}
	return nil
}

// WithdrawEnteredAnswer withdraws an answer for its customer.
func (s *Server) WithdrawEnteredAnswer(ctx context.Context, req *surveyv1.WithdrawEnteredAnswerRequest) (*surveyv1.Answer, error) {
	questionnaireID, err := parse("questionnaire_id", req.GetQuestionnaireId())
	if err != nil {
		return nil, err
	}
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Answer, error) {
		row, err := s.queries.LockAnswer(ctx, tx, id)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && (row.QuestionnaireID != questionnaireID || row.Anonymous) {
			return nil, rpcerr.NotFound("answer", id.String())
		}
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if row, err = s.withdraw(ctx, tx, row); err != nil {
			return nil, err
		}
		return answerOf(row), nil
	})
}

func withdrawnAlready() error {
	return rpcerr.New(codes.FailedPrecondition, "ANSWER_WITHDRAWN", rpcerr.T(
		"This answer is withdrawn already.", "该回答已撤回。"))
}
