package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/write"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// slots are those of all versions, the newest first.
func (s *Server) slots(ctx context.Context, from pg.DBTX, id uuid.UUID) ([]questionnaire.Slot, error) {
	rows, err := s.queries.ListQuestionSlots(ctx, from, id)
	if err != nil {
		return nil, fmt.Errorf("read slots: %w", err)
	}
	out := make([]questionnaire.Slot, 0, len(rows))
	for _, row := range rows {
		out = append(out, questionnaire.Slot{
			Key: row.QuestionKey, Type: surveyv1.QuestionType(row.Type), Number: row.Slot, Choices: row.Choices,
		})
	}
	return out, nil
}

// placeQuestions says where the scores of a new version stand. Its questionnaire is locked.
func (s *Server) placeQuestions(ctx context.Context, tx *write.Tx, row db.Questionnaire, content *surveyv1.Questionnaire) error {
	earlier, err := s.slots(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	p := db.InsertQuestionSlotsParams{QuestionnaireID: row.ID, QuestionnaireVersion: row.PublishedVersion}
	for _, slot := range questionnaire.Slots(earlier, content) {
		p.QuestionKeys, p.Types = append(p.QuestionKeys, slot.Key), append(p.Types, int16(slot.Type))
		// Keys of choices hold no comma.
		p.Slots, p.Choices = append(p.Slots, slot.Number), append(p.Choices, strings.Join(slot.Choices, ","))
	}
	if err := s.queries.InsertQuestionSlots(ctx, tx, p); err != nil {
		return fmt.Errorf("insert slots: %w", err)
	}
	return nil
}
