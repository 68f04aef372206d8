package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	accessv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/access/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/authz"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/customerref"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// form is an invitation with what is asked and what was filled in so far.
type form struct {
	invitation db.Invitation
	version    *surveyv1.Questionnaire
	facts      questionnaire.Facts
	saved      []*surveyv1.Response
	saveTime   *time.Time
}

// openForm reads what belongs to an invitation that can be answered.
func (s *Server) openForm(ctx context.Context, from pg.DBTX, row db.Invitation) (*form, error) {
	f := &form{invitation: row}
	var err error
	if f.version, err = s.version(ctx, from, row.QuestionnaireID, row.QuestionnaireVersion); err != nil {
		return nil, err
	}
	customer, err := customerref.Get(ctx, from, row.CustomerID)
	if err != nil {
		return nil, fmt.Errorf("customer of invitation %s: %w", row.ID, err)
	}
	f.facts = factsOf(customer, row.Language)
	progress, err := s.queries.GetProgress(ctx, from, row.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	f.saveTime = &progress.SaveTime
	f.saved, err = decodeResponses(progress.Responses)
	return f, err
}

// factsOf is what conditions may test of a customer.
func factsOf(customer customerref.Ref, language string) questionnaire.Facts {
	facts := questionnaire.Facts{
		surveyv1.CustomerField_CUSTOMER_FIELD_REGION:   customer.Region,
		surveyv1.CustomerField_CUSTOMER_FIELD_LANGUAGE: language,
	}
	if customer.Tier != 0 {
		facts[surveyv1.CustomerField_CUSTOMER_FIELD_TIER] = customer.Tier.String()
	}
	if customer.Kind != 0 {
		facts[surveyv1.CustomerField_CUSTOMER_FIELD_KIND] = customer.Kind.String()
	}
	return facts
}

// take replaces what was saved by responses, takes the cleared ones out, and tells what in them
// does not fit; then the form is of no more use.
func (f *form) take(responses []*surveyv1.Response, cleared []string) []questionnaire.Fault {
	now := questionnaire.ByQuestion(f.saved)
	for _, response := range responses {
		now[response.GetQuestionKey()] = response
	}
	for _, key := range cleared {
		delete(now, key)
	}
	f.saved = now.In(keysOf(f.version))
	return append(questionnaire.CheckResponses(f.version, responses), questionnaire.CheckCleared(f.version, responses, cleared)...)
}

func keysOf(version *surveyv1.Questionnaire) []string {
	keys := make([]string, 0, len(version.GetQuestions()))
	for _, question := range version.GetQuestions() {
		keys = append(keys, question.GetKey())
	}
	return keys
}

// shown are the keys of the questions shown now, in the order of the version.
func (f *form) shown() []string {
	return questionnaire.Shown(f.version, f.facts, questionnaire.ByQuestion(f.saved))
}

// proto gives the form as the customer sees it.
func (f *form) proto() *surveyv1.AnswerForm {
	given := questionnaire.ByQuestion(f.saved)
	out := &surveyv1.AnswerForm{
		Questionnaire: questionnaire.Form(f.version, f.facts, f.invitation.Seed),
		Language:      f.invitation.Language, ExpireTime: timestamppb.New(f.invitation.ExpireTime), SaveTime: instant(f.saveTime),
	}
	// In the order to show: the form's, which has all questions that can be shown.
	order := keysOf(out.GetQuestionnaire())
	shown := f.shown()
	for _, key := range order {
		if slices.Contains(shown, key) {
			out.ShownQuestions = append(out.ShownQuestions, key)
		}
	}
	out.Responses = given.In(order)
	lacking := questionnaire.Missing(f.version, shown, given)
	for _, key := range order {
		if slices.ContainsFunc(lacking, func(f questionnaire.Fault) bool { return f.Question == key }) {
			out.MissingQuestions = append(out.MissingQuestions, key)
		}
	}
	return out
}

// GetAnswerForm gives the questions behind a link, and what was filled in so far.
func (s *Server) GetAnswerForm(ctx context.Context, req *surveyv1.GetAnswerFormRequest) (*surveyv1.AnswerForm, error) {
	row, err := s.queries.GetInvitationByLink(ctx, s.pool, s.links.hash(req.GetToken()))
	if err := s.answerable(ctx, s.pool, row, err); err != nil {
		return nil, err
	}
	f, err := s.openForm(ctx, s.pool, row)
	if err != nil {
		return nil, err
	}
	revealSaved(ctx)
	return f.proto(), nil
}

// revealSaved shows a customer what they wrote themselves: whoever has the link may see what was
// filled in behind it.
func revealSaved(ctx context.Context) {
	authz.Reveal(ctx, authz.Clearance{Purpose: access.ForCase, Shown: accessv1.Sensitivity_SENSITIVITY_INTERNAL})
}

// SaveAnswerProgress keeps what was filled in behind a link.
func (s *Server) SaveAnswerProgress(ctx context.Context, req *surveyv1.SaveAnswerProgressRequest) (*surveyv1.AnswerForm, error) {
	hash := s.links.hash(req.GetToken())
	revealSaved(ctx) // also for the outcome of a call before, which only the link leads to
	return write.Do(ctx, s.write, linked(req, hash), func(ctx context.Context, tx *write.Tx) (*surveyv1.AnswerForm, error) {
		row, err := s.queries.LockInvitationByLink(ctx, tx, hash)
		if err := s.answerable(ctx, tx, row, err); err != nil {
			return nil, err
		}
		f, err := s.openForm(ctx, tx, row)
		if err != nil {
			return nil, err
		}
		if faults := f.take(req.GetResponses(), req.GetClearedQuestions()); len(faults) > 0 {
			return nil, invalidAnswer(faults)
		}
		if err := f.finished(req.GetFinishedSection()); err != nil {
			return nil, err
		}
		now := s.moment()
		f.saveTime = &now
		if err := s.saveProgress(ctx, tx, f); err != nil {
			return nil, err
		}
		return f.proto(), nil
	})
}

// finished refuses a section in which something required lacks.
func (f *form) finished(section string) error {
	if section == "" {
		return nil
	}
	if !slices.ContainsFunc(f.version.GetSections(), func(s *surveyv1.Section) bool { return s.GetKey() == section }) {
		return rpcerr.Invalid("finished_section", rpcerr.T("there is no section %[1]q in this version; use the key of one.",
			"该版本没有部分 %[1]q；请使用已有部分的键。", section))
	}
	inside := map[string]bool{}
	for _, question := range f.version.GetQuestions() {
		inside[question.GetKey()] = question.GetSectionKey() == section
	}
	lacking := questionnaire.Missing(f.version, f.shown(), questionnaire.ByQuestion(f.saved))
	if lacking = slices.DeleteFunc(lacking, func(f questionnaire.Fault) bool { return !inside[f.Question] }); len(lacking) > 0 {
		return invalidAnswer(lacking)
	}
	return nil
}

func (s *Server) saveProgress(ctx context.Context, tx *write.Tx, f *form) error {
	encoded, err := encodeResponses(f.saved)
	if err != nil {
		return err
	}
	err = s.queries.UpsertProgress(ctx, tx, db.UpsertProgressParams{
		InvitationID: f.invitation.ID, CustomerID: f.invitation.CustomerID, Responses: encoded, SaveTime: *f.saveTime})
	if err != nil {
		return fmt.Errorf("save progress: %w", err)
	}
	tx.AuditOf(f.invitation.CustomerID, "invitation", f.invitation.ID, &surveyv1.Answer{Responses: f.saved})
	return nil
}

// answerable says why the row behind a link cannot be answered, if it cannot.
func (s *Server) answerable(ctx context.Context, from pg.DBTX, row db.Invitation, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return unknownLink()
	}
	if err != nil {
		return fmt.Errorf("read invitation: %w", err)
	}
	state, possible := invitation.Next(stateOf(row), row.ExpireTime, s.now(), invitation.Answer)
	if possible {
		return nil
	}
	switch state {
	case invitation.Answered:
		return s.answered(ctx, from, row)
	case invitation.Revoked:
		return rpcerr.WrongState("INVITATION_REVOKED", rpcerr.T(
			"This invitation was withdrawn; no answer is needed.", "该邀请已撤回，无需作答。"))
	}
	return rpcerr.WrongState("INVITATION_EXPIRED", rpcerr.T(
		"This link could be answered until %[1]s; ask for a new one.", "该链接的有效期截至 %[1]s；请索取新链接。",
		row.ExpireTime.UTC().Format(time.RFC3339)))
}
