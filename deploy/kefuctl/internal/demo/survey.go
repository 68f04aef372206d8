package demo

import (
	"context"
	"net/http"
	"net/url"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// Keys of the questions that Olist asks.
const (
	ratingKey  = "rating"
	titleKey   = "title"
	commentKey = "comment"
)

func text(zh, en string) *typev1.Text { return &typev1.Text{Zh: zh, En: en} }

// olistReview is what Olist asks its buyers.
func olistReview() *surveyv1.Questionnaire {
	return &surveyv1.Questionnaire{
		Title: text("Olist 评价", "Olist review"),
		Questions: []*surveyv1.Question{
			{Key: ratingKey, Type: surveyv1.QuestionType_QUESTION_TYPE_RATING, Required: true,
				Text: text("您对这次购物满意吗？", "How satisfied are you with this purchase?")},
			{Key: titleKey, Type: surveyv1.QuestionType_QUESTION_TYPE_TEXT, Text: text("标题", "Title")},
			{Key: commentKey, Type: surveyv1.QuestionType_QUESTION_TYPE_TEXT, Text: text("评论", "Comment")},
		},
	}
}

// triggered gives the published questionnaires that the suite sends by itself.
func triggered(ctx context.Context, c *Client) ([]*surveyv1.Questionnaire, error) {
	var found []*surveyv1.Questionnaire
	list := &surveyv1.ListQuestionnairesResponse{}
	err := c.pages(ctx, crm, "/v1/questionnaires", url.Values{}, list, func() string {
		for _, q := range list.GetQuestionnaires() {
			if q.GetTrigger() != surveyv1.Trigger_TRIGGER_UNSPECIFIED && q.GetVersion() > 0 {
				found = append(found, q)
			}
		}
		return list.GetNextPageToken()
	})
	return found, err
}

// responses answers every question of a form as a customer would who gives that score.
// Of single choices the first is taken.
func responses(form *surveyv1.Questionnaire, score int32, comment string) []*surveyv1.Response {
	var out []*surveyv1.Response
	for _, q := range form.GetQuestions() {
		r := &surveyv1.Response{QuestionKey: q.GetKey()}
		switch q.GetType() {
		case surveyv1.QuestionType_QUESTION_TYPE_RATING:
			r.Value = &surveyv1.Response_Score{Score: score}
		case surveyv1.QuestionType_QUESTION_TYPE_NPS:
			r.Value = &surveyv1.Response_Score{Score: score * 2}
		case surveyv1.QuestionType_QUESTION_TYPE_EFFORT:
			r.Value = &surveyv1.Response_Score{Score: score + 2}
		case surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE:
			r.Value = &surveyv1.Response_Choice{Choice: q.GetChoices()[0].GetKey()}
		case surveyv1.QuestionType_QUESTION_TYPE_TEXT:
			r.Value = &surveyv1.Response_Text{Text: comment}
		default:
			continue
		}
		out = append(out, r)
	}
	return out
}

// ensureQuestionnaire gives the published questionnaire of that title, making and
// publishing what is missing.
func ensureQuestionnaire(ctx context.Context, c *Client, want *surveyv1.Questionnaire) (*surveyv1.Questionnaire, error) {
	var found *surveyv1.Questionnaire
	list := &surveyv1.ListQuestionnairesResponse{}
	err := c.pages(ctx, crm, "/v1/questionnaires", url.Values{}, list, func() string {
		for _, q := range list.GetQuestionnaires() {
			if q.GetTitle().GetEn() == want.GetTitle().GetEn() {
				found = q
			}
		}
		return list.GetNextPageToken()
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		found = &surveyv1.Questionnaire{}
		if err := c.do(ctx, crm, http.MethodPost, "/v1/questionnaires", want, found); err != nil {
			return nil, err
		}
	}
	if found.GetVersion() > 0 {
		return found, nil
	}
	published := &surveyv1.Questionnaire{}
	err = c.do(ctx, crm, http.MethodPost, "/v1/questionnaires/"+found.GetId()+":publish", &surveyv1.PublishQuestionnaireRequest{}, published)
	return published, err
}
