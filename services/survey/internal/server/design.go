package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/rpc"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// documentFormat is the format of what is exported.
const documentFormat = "kefu.questionnaire.v1"

// CheckQuestionnaire says what is wrong with a draft.
func (s *Server) CheckQuestionnaire(ctx context.Context, req *surveyv1.CheckQuestionnaireRequest) (*surveyv1.CheckQuestionnaireResponse, error) {
	id, err := parse("id", req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := s.questionnaire(ctx, s.pool, id)
	if err != nil {
		return nil, err
	}
	draft, err := decode(row.Draft)
	if err != nil {
		return nil, err
	}
	faults, err := s.checkPublish(ctx, s.pool, id, draft)
	if err != nil {
		return nil, err
	}
	out := &surveyv1.CheckQuestionnaireResponse{Publishable: len(questionnaire.Blocking(faults)) == 0}
	for _, fault := range faults {
		out.Faults = append(out.Faults, &surveyv1.Finding{
			Kind:  surveyv1.FindingKind(surveyv1.FindingKind_value["FINDING_KIND_"+string(fault.Kind)]),
			Field: fault.Path, QuestionKey: fault.Question, Warning: fault.Warning,
			Text: &typev1.Text{Zh: fault.Text.ZH + "。", En: fault.Text.EN + "."},
		})
	}
	return out, nil
}

// checkPublish checks a draft against the aspects and the versions before.
func (s *Server) checkPublish(ctx context.Context, from pg.DBTX, id uuid.UUID, draft *surveyv1.Questionnaire) ([]questionnaire.Fault, error) {
	earlier, err := s.slots(ctx, from, id)
	if err != nil {
		return nil, err
	}
	aspects, err := s.queries.FindAspects(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("read aspects: %w", err)
	}
	known := make(map[string]bool, len(aspects))
	for _, aspect := range aspects {
		known[aspect.Key] = true
	}
	around := questionnaire.Around{Aspects: known, Earlier: earlier}
	versions, err := s.queries.ListQuestionnaireVersions(ctx, from, id)
	if err != nil {
		return nil, fmt.Errorf("read versions: %w", err)
	}
	if len(versions) > 0 {
		if around.Last, err = decode(versions[0].Content); err != nil {
			return nil, err
		}
	}
	return questionnaire.CheckPublish(draft, around), nil
}

// CopyQuestionnaire begins a draft like another questionnaire.
func (s *Server) CopyQuestionnaire(ctx context.Context, req *surveyv1.CopyQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Questionnaire, error) {
		content, err := s.content(ctx, tx, req.GetId(), req.GetVersion())
		if err != nil {
			return nil, err
		}
		if req.GetTitle() != nil {
			content.Title = req.GetTitle()
		}
		return s.begin(ctx, tx, "", content)
	})
}

// content gives a draft, or a version, without what does not travel.
func (s *Server) content(ctx context.Context, from pg.DBTX, asked string, number int32) (*surveyv1.Questionnaire, error) {
	id, err := parse("id", asked)
	if err != nil {
		return nil, err
	}
	row, err := s.questionnaire(ctx, from, id)
	if err != nil {
		return nil, err
	}
	stored := row.Draft
	if number != 0 {
		version, err := s.queries.GetQuestionnaireVersion(ctx, from, id, number)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, unknownVersion(row, number)
		}
		if err != nil {
			return nil, fmt.Errorf("read version: %w", err)
		}
		stored = version.Content
	}
	content, err := decode(stored)
	if err != nil {
		return nil, err
	}
	content.Trigger = surveyv1.Trigger_TRIGGER_UNSPECIFIED
	return content, nil
}

// ExportQuestionnaire gives a questionnaire as a document.
func (s *Server) ExportQuestionnaire(ctx context.Context, req *surveyv1.ExportQuestionnaireRequest) (*surveyv1.QuestionnaireDocument, error) {
	content, err := s.content(ctx, s.pool, req.GetId(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	return &surveyv1.QuestionnaireDocument{Format: documentFormat, Questionnaire: content}, nil
}

// ImportQuestionnaire begins a draft with what a document holds.
func (s *Server) ImportQuestionnaire(ctx context.Context, req *surveyv1.ImportQuestionnaireRequest) (*surveyv1.Questionnaire, error) {
	content := questionnaire.Content(req.GetDocument().GetQuestionnaire())
	content.Trigger = surveyv1.Trigger_TRIGGER_UNSPECIFIED
	return write.Do(ctx, s.write, req, func(ctx context.Context, tx *write.Tx) (*surveyv1.Questionnaire, error) {
		return s.begin(ctx, tx, "document.questionnaire.", content)
	})
}

// begin stores a new draft; prefix leads the paths of what a draft may not hold.
func (s *Server) begin(ctx context.Context, tx *write.Tx, prefix string, draft *surveyv1.Questionnaire) (*surveyv1.Questionnaire, error) {
	if err := rpc.Check(s.validator, draft); err != nil {
		return nil, err
	}
	if err := checkDraft(prefix, draft); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	encoded, err := encode(draft)
	if err != nil {
		return nil, err
	}
	row := db.Questionnaire{ID: id, Draft: encoded, CreateTime: s.moment(), Version: 1}
	row.UpdateTime = row.CreateTime
	if err := s.queries.InsertQuestionnaire(ctx, tx, id, encoded, row.CreateTime); err != nil {
		return nil, fmt.Errorf("insert questionnaire: %w", err)
	}
	recordQuestionnaire(tx, "questionnaire.drafted.v1", row, draft)
	return draftOf(row)
}

// FindAspects gives what customers are usually asked about.
func (s *Server) FindAspects(ctx context.Context, _ *surveyv1.FindAspectsRequest) (*surveyv1.FindAspectsResponse, error) {
	rows, err := s.queries.FindAspects(ctx, s.pool)
	if err != nil {
		return nil, fmt.Errorf("list aspects: %w", err)
	}
	out := new(surveyv1.FindAspectsResponse)
	for _, row := range rows {
		out.Aspects = append(out.Aspects, &surveyv1.Aspect{
			Key: row.Key, Name: &typev1.Text{Zh: row.NameZh, En: row.NameEn},
			Question: &typev1.Text{Zh: row.QuestionZh, En: row.QuestionEn}, Type: surveyv1.QuestionType(row.Type), Outcome: row.Outcome,
		})
	}
	return out, nil
}
