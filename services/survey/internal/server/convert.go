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
	if row.AnswerID != nil {
		out.AnswerTime = instant(row.EndTime)
	}
	if row.HeldBack != nil {
		out.HeldBack = customerv1.HeldBack(*row.HeldBack)
	}
	return out
}

func stateOf(row db.Invitation) invitation.State { return invitation.State(row.State) }

func answerOf(row db.Answer) *surveyv1.Answer {
	return &surveyv1.Answer{
		Id: row.ID.String(), QuestionnaireId: row.QuestionnaireID.String(), Version: row.QuestionnaireVersion,
		InvitationId: text(row.InvitationID), CustomerId: text(row.CustomerID),
		AnswerTime: timestamppb.New(row.AnswerTime), InviteTime: instant(row.InviteTime),
		Source: value(row.Source), ExternalId: value(row.ExternalID),
		TicketId: text(row.TicketID), ComplaintId: text(row.ComplaintID), OrderNumber: row.OrderNumber,
	}
}

func responseOf(row db.ListResponsesRow) *surveyv1.Response {
	out := &surveyv1.Response{QuestionKey: row.QuestionKey}
	switch {
	case row.Score != nil:
		out.Value = &surveyv1.Response_Score{Score: int32(*row.Score)}
	case row.Choice != nil:
		out.Value = &surveyv1.Response_Choice{Choice: *row.Choice}
	default:
		out.Value = &surveyv1.Response_Text{Text: value(row.Body)}
	}
	return out
}

func etag(version int64) string { return strconv.FormatInt(version, 10) }

func text(id *uuid.UUID) string {
	if id == nil {
		return ""
	}
	return id.String()
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
