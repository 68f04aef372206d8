package server

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	customerv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/customer/v1"
	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/services/survey/internal/db"
	"github.com/kefu-suite/kefu/services/survey/internal/invitation"
	"github.com/kefu-suite/kefu/services/survey/internal/questionnaire"
)

// encode makes of a questionnaire the JSON that is stored: title, trigger and questions.
func encode(q *surveyv1.Questionnaire) ([]byte, error) {
	encoded, err := protojson.Marshal(questionnaire.Content(q))
	if err != nil {
		return nil, fmt.Errorf("encode questionnaire: %w", err)
	}
	return encoded, nil
}

func decode(stored []byte) (*surveyv1.Questionnaire, error) {
	q := new(surveyv1.Questionnaire)
	if err := protojson.Unmarshal(stored, q); err != nil {
		return nil, fmt.Errorf("decode stored questionnaire: %w", err)
	}
	return q, nil
}

// draftOf gives the present draft.
func draftOf(row db.Questionnaire) (*surveyv1.Questionnaire, error) {
	q, err := decode(row.Draft)
	if err != nil {
		return nil, err
	}
	q.Id, q.Version, q.Etag = row.ID.String(), row.PublishedVersion, etag(row.Version)
	q.PublishTime = instant(row.PublishTime)
	q.CreateTime, q.UpdateTime = timestamppb.New(row.CreateTime), timestamppb.New(row.UpdateTime)
	return q, nil
}

// publishedOf gives a published version.
func publishedOf(row db.Questionnaire, version db.QuestionnaireVersion) (*surveyv1.Questionnaire, error) {
	q, err := decode(version.Content)
	if err != nil {
		return nil, err
	}
	q.Id, q.Version = row.ID.String(), version.Version
	q.PublishTime, q.CreateTime = timestamppb.New(version.PublishTime), timestamppb.New(row.CreateTime)
	return q, nil
}

func invitationOf(row db.Invitation, now time.Time) *surveyv1.Invitation {
	out := &surveyv1.Invitation{
		Id: row.ID.String(), QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
		CustomerId: row.CustomerID.String(), State: invitation.At(stateOf(row), row.ExpireTime, now),
		TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID), Round: row.Round,
		ExpireTime: timestamppb.New(row.ExpireTime), Language: row.Language,
		CreateTime: timestamppb.New(row.CreateTime), AnswerId: text(row.AnswerID), Etag: etag(row.Version),
	}
	if stateOf(row) == invitation.Answered {
		out.AnswerTime = instant(row.EndTime)
	}
	out.CampaignId = text(row.CampaignID)
	if row.Channel != nil {
		out.Channel = surveyv1.SurveyChannel(*row.Channel)
	}
	if row.CauseTrigger != nil {
		out.Trigger = surveyv1.Trigger(*row.CauseTrigger)
		if out.GetTrigger() == surveyv1.Trigger_TRIGGER_PRODUCT_DELIVERED {
			out.OrderId = text(row.CauseID)
		}
	}
	if row.HeldBack != nil {
		out.HeldBack = customerv1.HeldBack(*row.HeldBack)
	}
	return out
}

func stateOf(row db.Invitation) invitation.State { return invitation.State(row.State) }

func answerOf(row db.Answer) *surveyv1.Answer {
	out := &surveyv1.Answer{
		Id: row.ID.String(), QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
		InvitationId: text(row.InvitationID), CustomerId: text(row.CustomerID),
		AnswerTime: timestamppb.New(row.AnswerTime), InviteTime: instant(row.InviteTime),
		Source: value(row.Source), ExternalId: value(row.ExternalID),
		TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID), OrderNumber: row.OrderNumber,
		Channel: surveyv1.AnswerChannel(row.Channel), EnterActor: value(row.EnterActor), Late: row.Late, Partial: row.Partial,
		WithdrawTime: instant(row.WithdrawTime),
	}
	if row.Anonymous {
		out.AnswerTime = nil
	}
	return out
}

// responsesOf puts the stored responses of one answer together: the rows of a matrix, which stand
// one behind the other, become one response.
func responsesOf(rows []db.ListResponsesRow) []*surveyv1.Response {
	var out []*surveyv1.Response
	for _, row := range rows {
		question, matrixRow, isRow := questionnaire.CutRow(row.QuestionKey)
		if !isRow {
			out = append(out, responseOf(row))
			continue
		}
		if len(out) == 0 || out[len(out)-1].GetQuestionKey() != question {
			out = append(out, &surveyv1.Response{QuestionKey: question, Value: &surveyv1.Response_Rows{Rows: new(surveyv1.RowScores)}})
		}
		cells := out[len(out)-1].GetRows()
		cells.Scores = append(cells.Scores, &surveyv1.RowScore{RowKey: matrixRow, Score: int32(number(row.Score))})
	}
	return out
}

func responseOf(row db.ListResponsesRow) *surveyv1.Response {
	out := &surveyv1.Response{QuestionKey: row.QuestionKey}
	switch {
	case row.Score != nil:
		out.Value = &surveyv1.Response_Score{Score: int32(*row.Score)}
	case row.Choice != nil:
		out.Value = &surveyv1.Response_Choice{Choice: *row.Choice}
	case row.Picks != nil:
		out.Value = &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: row.Picks}}
	case row.Ranks != nil:
		out.Value = &surveyv1.Response_Ranking{Ranking: &surveyv1.ChoiceList{Keys: row.Ranks}}
	case row.Number != nil:
		out.Value = &surveyv1.Response_Number{Number: *row.Number}
	case row.Day != nil:
		out.Value = &surveyv1.Response_Date{Date: row.Day.Format(time.DateOnly)}
	default:
		out.Value = &surveyv1.Response_Text{Text: value(row.Body)}
	}
	return out
}

// encodeResponses makes of responses the JSON that is stored.
func encodeResponses(responses []*surveyv1.Response) ([]byte, error) {
	encoded, err := protojson.Marshal(&surveyv1.Answer{Responses: responses})
	if err != nil {
		return nil, fmt.Errorf("encode responses: %w", err)
	}
	return encoded, nil
}

func decodeResponses(stored []byte) ([]*surveyv1.Response, error) {
	answer := new(surveyv1.Answer)
	if err := protojson.Unmarshal(stored, answer); err != nil {
		return nil, fmt.Errorf("decode stored responses: %w", err)
	}
	return answer.GetResponses(), nil
}

func etag(version int64) string { return strconv.FormatInt(version, 10) }

func text(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
}

func number(n *int16) int16 {
	if n == nil {
		return 0
	}
	return *n
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func instant(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

func uuidOf(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}
