package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
)

// WithdrawAnswer takes back what was answered behind a link.
func (s *Server) WithdrawAnswer(ctx context.Context, req *surveyv1.WithdrawAnswerRequest) (*surveyv1.WithdrawAnswerResponse, error) {
	hash := s.links.hash(req.GetToken())
	return write.Do(ctx, s.write, linked(req, hash), func(ctx context.Context, tx *write.Tx) (*surveyv1.WithdrawAnswerResponse, error) {
		asked, err := s.queries.LockInvitationByLink(ctx, tx, hash)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, unknownLink()
		}
		if err != nil {
			return nil, fmt.Errorf("read invitation: %w", err)
		}
		switch {
		case stateOf(asked) != invitation.Answered:
			return nil, rpcerr.WrongState("ANSWER_NOT_GIVEN", rpcerr.T("Nothing was answered behind this link.", "该链接尚未作答。"))
		case asked.AnswerID == nil:
			return nil, rpcerr.WrongState("ANSWER_ANONYMOUS", rpcerr.T(
				"The answer is anonymous: nobody can tell which one it is, so it cannot be taken back.", "该回答为匿名回答，无法确认是哪一份，因此不能撤回。"))
		}
		row, err := s.queries.LockAnswer(ctx, tx, *asked.AnswerID)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if row, err = s.withdraw(ctx, tx, row); err != nil {
			return nil, err
		}
		return &surveyv1.WithdrawAnswerResponse{WithdrawTime: timestamppb.New(*row.WithdrawTime)}, nil
	})
}

// answered refuses to have a link answered again, and tells whether the answer can be taken back.
func (s *Server) answered(ctx context.Context, from pg.DBTX, row db.Invitation) error {
	standing := "anonymous"
	if row.AnswerID != nil {
		answer, err := s.queries.GetAnswer(ctx, from, *row.AnswerID)
		if err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		if standing = "kept"; answer.WithdrawTime != nil {
			standing = "withdrawn"
		}
	}
	return rpcerr.WrongState("INVITATION_ANSWERED", rpcerr.T(
		"This link was answered already; an answer is given once.", "该链接已作答；每个链接只能回答一次。")).With("answer", standing)
}

// withdraw erases the responses of a locked answer and takes it out of every count. The row stays,
// and says that there was one.
func (s *Server) withdraw(ctx context.Context, tx *write.Tx, row db.Answer) (db.Answer, error) {
	if row.WithdrawTime != nil {
		return row, withdrawnAlready()
	}
	// No flag and no topic is made of the responses after they are gone.
	if err := s.queries.LockCleaning(ctx, tx, row.QuestionnaireID); err != nil {
		return row, fmt.Errorf("lock cleaning: %w", err)
	}
	now := s.moment()
	row.WithdrawTime, row.Score, row.Low = &now, 0, false
	// Either it is not counted yet and never will be, or a fold has counted it, for good once the
	// row is gone: whoever folds it now holds the row until then.
	uncounted, err := s.queries.DeleteUncounted(ctx, tx, row.ID)
	if err == nil && uncounted == 0 {
		err = s.queries.DiscountAnswer(ctx, tx, row.ID)
	}
	if err == nil {
		err = s.queries.CountWithdrawn(ctx, tx, row.QuestionnaireID, row.QuestionnaireVersion)
	}
	if err != nil {
		return row, fmt.Errorf("take answer %s out of the counts: %w", row.ID, err)
	}
	for _, erase := range []func() error{
		func() error { return s.queries.DeleteTopics(ctx, tx, row.ID) },
		func() error { return s.queries.DeleteScores(ctx, tx, row.ID) },
		func() error { return s.queries.DeleteResponses(ctx, tx, row.ID) },
		func() error { return s.queries.UpdateAnswerWithdrawn(ctx, tx, now, row.ID) },
	} {
		if err := erase(); err != nil {
			return row, fmt.Errorf("withdraw answer %s: %w", row.ID, err)
		}
	}
	tx.Emit(event.Event{
		Type: "answer.withdrawn.v1", SubjectID: row.ID, SubjectVersion: 2, CustomerID: uuidOf(row.CustomerID),
		Payload: &surveyv1.AnswerReceived{
			AnswerId: row.ID.String(), QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
			InvitationId: text(row.InvitationID), TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID), Round: row.Round,
		},
	})
	tx.Audit("answer", row.ID, struct{ Withdrawn bool }{true})
	return row, nil
}
