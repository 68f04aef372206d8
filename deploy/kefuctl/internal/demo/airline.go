package demo

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"

	"github.com/kefu-suite/kefu/deploy/kefuctl/internal/progress"
)

const (
	airlineFile   = "airline_satisfaction.csv"
	airlineSource = "airline"
)

// airlineAspects are the columns that passengers rated, 1 to 5 or 0 for not applicable.
var airlineAspects = []struct{ column, zh string }{
	{"Departure and Arrival Time Convenience", "起降时间便利性"}, {"Ease of Online Booking", "网上订票便捷性"}, {"Check-in Service", "值机服务"},
	{"Online Boarding", "网上登机"}, {"Gate Location", "登机口位置"}, {"On-board Service", "机上服务"}, {"Seat Comfort", "座椅舒适度"},
	{"Leg Room Service", "腿部空间"}, {"Cleanliness", "清洁度"}, {"Food and Drink", "餐饮"}, {"In-flight Service", "飞行服务"},
	{"In-flight Wifi Service", "机上 Wi-Fi"}, {"In-flight Entertainment", "机上娱乐"}, {"Baggage Handling", "行李服务"},
}

// airlineChoices are the columns that say who answered, and the verdict: of two choices the
// first counts 0 and the second 1.
var airlineChoices = []struct {
	column, zh string
	choices    [][2]string
}{
	{"Satisfaction", "总体满意度", [][2]string{{"Neutral or Dissatisfied", "一般或不满意"}, {"Satisfied", "满意"}}},
	{"Class", "舱位", [][2]string{{"Business", "公务舱"}, {"Economy", "经济舱"}, {"Economy Plus", "超级经济舱"}}},
	{"Customer Type", "旅客类型", [][2]string{{"First-time", "首次乘坐"}, {"Returning", "再次乘坐"}}},
	{"Type of Travel", "出行目的", [][2]string{{"Business", "公务"}, {"Personal", "个人"}}},
}

// keyOf makes a key of a column's or a value's name.
func keyOf(name string) string { return strings.ToLower(strings.ReplaceAll(name, " ", "-")) }

// airlineSurvey is the questionnaire that the file answers.
func airlineSurvey() *surveyv1.Questionnaire {
	q := &surveyv1.Questionnaire{Title: text("旅客满意度调查", "Passenger satisfaction")}
	for _, c := range airlineChoices {
		question := &surveyv1.Question{Key: keyOf(c.column), Type: surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE, Required: true, Text: text(c.zh, c.column)}
		for _, choice := range c.choices {
			question.Choices = append(question.Choices, &surveyv1.Choice{Key: keyOf(choice[0]), Text: text(choice[1], choice[0])})
		}
		q.Questions = append(q.Questions, question)
	}
	for _, a := range airlineAspects {
		q.Questions = append(q.Questions, &surveyv1.Question{Key: keyOf(a.column), Type: surveyv1.QuestionType_QUESTION_TYPE_RATING, Text: text(a.zh, a.column)})
	}
	return q
}

// airline is the survey as records of ours.
type airline struct {
	answers []*surveyv1.AnswerRecord
	origins map[string]origin
	// inapplicable counts the ratings of 0, which are no answers.
	inapplicable int
}

// airlineTime stands for when passengers answered: the file does not say.
var airlineTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func readAirline(dir string) (*airline, error) {
	out := &airline{origins: map[string]origin{}}
	columns := []string{"ID"}
	for _, a := range airlineAspects {
		columns = append(columns, a.column)
	}
	for _, c := range airlineChoices {
		columns = append(columns, c.column)
	}
	return out, readTable(dir, airlineFile, columns, func(row row) error {
		record := &surveyv1.AnswerRecord{ExternalId: row.at("ID"), AnswerTime: timestamppb.New(airlineTime)}
		out.origins[record.GetExternalId()] = origin{row.file, row.line, record.GetExternalId()}
		for _, c := range airlineChoices {
			record.Responses = append(record.Responses, &surveyv1.Response{QuestionKey: keyOf(c.column), Value: &surveyv1.Response_Choice{Choice: keyOf(row.at(c.column))}})
		}
		for _, a := range airlineAspects {
			score, err := strconv.ParseInt(row.at(a.column), 10, 32)
			if err != nil || score < 0 || score > 5 {
				return fmt.Errorf("%s is %q; a rating is from 0 to 5", a.column, row.at(a.column))
			}
			if score == 0 {
				out.inapplicable++
				continue
			}
			record.Responses = append(record.Responses, &surveyv1.Response{QuestionKey: keyOf(a.column), Value: &surveyv1.Response_Score{Score: int32(score)}})
		}
		out.answers = append(out.answers, record)
		return nil
	})
}

// loadAirline imports the survey and asks what the passengers say.
func loadAirline(ctx context.Context, c *Client, p *progress.Progress, flights *airline, s *summary) error {
	questionnaire, err := ensureQuestionnaire(ctx, c, airlineSurvey())
	if err != nil {
		return err
	}
	answers, err := importAnswers("passengers", questionnaire, airlineSource, func(id string) origin { return flights.origins[id] }).run(ctx, c, p, flights.answers)
	s.add(answers)
	if err != nil {
		return err
	}
	said := &surveyv1.Analysis{}
	if err := c.do(ctx, crm, http.MethodPost, "/v1/questionnaires/"+questionnaire.GetId()+":analyze", passengerQuestions(), said); err != nil {
		return err
	}
	s.facts = append(s.facts, fmt.Sprintf("passengers: %d ratings of 0 are no answers", flights.inapplicable))
	for _, problem := range said.GetProblems()[:min(3, len(said.GetProblems()))] {
		s.facts = append(s.facts, problem.GetText().GetEn())
	}
	return nil
}

// passengerQuestions asks for what drives satisfaction and what differs between passengers.
func passengerQuestions() *surveyv1.AnalyzeAnswersRequest {
	by := func(column string) *surveyv1.AnswerDimension {
		return &surveyv1.AnswerDimension{By: &surveyv1.AnswerDimension_QuestionKey{QuestionKey: keyOf(column)}}
	}
	return &surveyv1.AnalyzeAnswersRequest{Overall: keyOf("Satisfaction"), Groupings: []*surveyv1.AnswerDimension{by("Class"), by("Customer Type")}}
}
