package demo

import (
	"context"
	"net/http"
	"net/url"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
)

// Keys of the questions that the demo asks.
const (
	ratingKey    = "rating"
	titleKey     = "title"
	commentKey   = "comment"
	recommendKey = "recommend"
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

// followUp is asked after a case, by the trigger given.
func followUp(title *typev1.Text, trigger surveyv1.Trigger) *surveyv1.Questionnaire {
	return &surveyv1.Questionnaire{
		Title: title, Trigger: trigger,
		Questions: []*surveyv1.Question{
			{Key: ratingKey, Type: surveyv1.QuestionType_QUESTION_TYPE_RATING, Required: true,
				Text: text("您对处理结果满意吗？", "How satisfied are you with the result?")},
			{Key: recommendKey, Type: surveyv1.QuestionType_QUESTION_TYPE_NPS,
				Text: text("您有多大可能把我们推荐给同行？", "How likely are you to recommend us?")},
			{Key: commentKey, Type: surveyv1.QuestionType_QUESTION_TYPE_TEXT, Text: text("还有什么想告诉我们的？", "Anything else you want to tell us?")},
		},
	}
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
