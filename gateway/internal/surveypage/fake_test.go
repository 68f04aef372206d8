package surveypage

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

const token = "AbCdEfGhIjKlMnOpQrStUvWxYz012345"

// survey stands for the survey service with one invitation. It shows a question with
// show_if only once the question named there has a score of at most 2, which is all of the
// logic that a page must follow.
type survey struct {
	surveyv1.AnswerServiceClient // nil: the page calls nothing else of it

	mu        sync.Mutex
	q         *surveyv1.Questionnaire
	language  string
	saved     map[string]*surveyv1.Response
	saves     int
	submitted []*surveyv1.SubmitAnswerRequest
	anonymous bool
	withdrawn bool
	fail      error
}

func refusal(code codes.Code, reason string) error {
	return rpcerr.New(code, reason, rpcerr.T("refused", "拒绝")).GRPCStatus().Err()
}

func (s *survey) GetAnswerForm(_ context.Context, r *surveyv1.GetAnswerFormRequest, _ ...grpc.CallOption) (*surveyv1.AnswerForm, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(r.GetToken())
}

func (s *survey) open(given string) (*surveyv1.AnswerForm, error) {
	switch {
	case s.fail != nil:
		return nil, s.fail
	case given != token:
		return nil, refusal(codes.NotFound, "INVITATION_NOT_FOUND")
	case len(s.submitted) > 0:
		return nil, rpcerr.WrongState("INVITATION_ANSWERED", rpcerr.T("refused", "拒绝")).With("answer", s.standing()).GRPCStatus().Err()
	}
	form := &surveyv1.AnswerForm{
		Questionnaire: s.q, Language: s.language, ExpireTime: timestamppb.New(time.Date(2026, 12, 24, 8, 0, 0, 0, time.UTC)),
	}
	if s.saves > 0 {
		form.SaveTime = timestamppb.New(time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC))
	}
	for _, q := range s.q.GetQuestions() {
		answer := s.saved[q.GetKey()]
		if answer != nil {
			form.Responses = append(form.Responses, answer)
		}
		if !s.shows(q) {
			continue
		}
		form.ShownQuestions = append(form.ShownQuestions, q.GetKey())
		if q.GetRequired() && answer == nil {
			form.MissingQuestions = append(form.MissingQuestions, q.GetKey())
		}
	}
	return form, nil
}

func (s *survey) standing() string {
	switch {
	case s.anonymous:
		return "anonymous"
	case s.withdrawn:
		return "withdrawn"
	}
	return "kept"
}

func (s *survey) WithdrawAnswer(_ context.Context, r *surveyv1.WithdrawAnswerRequest, _ ...grpc.CallOption) (*surveyv1.WithdrawAnswerResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.fail != nil:
		return nil, s.fail
	case r.GetToken() != token:
		return nil, refusal(codes.NotFound, "INVITATION_NOT_FOUND")
	case len(s.submitted) == 0:
		return nil, refusal(codes.FailedPrecondition, "ANSWER_NOT_GIVEN")
	case s.anonymous:
		return nil, refusal(codes.FailedPrecondition, "ANSWER_ANONYMOUS")
	case s.withdrawn:
		return nil, refusal(codes.FailedPrecondition, "ANSWER_WITHDRAWN")
	}
	s.withdrawn = true
	return new(surveyv1.WithdrawAnswerResponse), nil
}

func (s *survey) shows(q *surveyv1.Question) bool {
	if q.GetShowIf() == nil {
		return true
	}
	answer := s.saved[q.GetShowIf().GetAnyOf()[0].GetAllOf()[0].GetQuestionKey()]
	return answer != nil && answer.GetScore() <= 2
}

// merge takes responses in, or says which do not fit: numbers above 100, texts of more than
// 20 characters.
func (s *survey) merge(responses []*surveyv1.Response, cleared []string) error {
	var faults []string
	for _, r := range responses {
		if r.GetNumber() > 100 || len([]rune(r.GetText())) > 20 {
			faults = append(faults, r.GetQuestionKey())
		}
	}
	if len(faults) > 0 {
		return rpcerr.New(codes.InvalidArgument, "ANSWER_INVALID", rpcerr.T("no", "否")).With("questions", strings.Join(faults, ",")).GRPCStatus().Err()
	}
	for _, r := range responses {
		s.saved[r.GetQuestionKey()] = r
	}
	for _, key := range cleared {
		delete(s.saved, key)
	}
	return nil
}

func (s *survey) SaveAnswerProgress(_ context.Context, r *surveyv1.SaveAnswerProgressRequest, _ ...grpc.CallOption) (*surveyv1.AnswerForm, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.open(r.GetToken()); err != nil {
		return nil, err
	}
	if err := s.merge(r.GetResponses(), r.GetClearedQuestions()); err != nil {
		return nil, err
	}
	s.saves++
	return s.open(r.GetToken())
}

func (s *survey) SubmitAnswer(_ context.Context, r *surveyv1.SubmitAnswerRequest, _ ...grpc.CallOption) (*surveyv1.AnswerReceipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.submitted) > 0 && r.GetRequestId() != "" && proto.Equal(s.submitted[0], r) {
		return &surveyv1.AnswerReceipt{Thanks: s.q.GetThanks()}, nil
	}
	if _, err := s.open(r.GetToken()); err != nil {
		return nil, err
	}
	before := make(map[string]*surveyv1.Response, len(s.saved))
	for key, answer := range s.saved {
		before[key] = answer
	}
	err := s.merge(r.GetResponses(), r.GetClearedQuestions())
	if err == nil {
		form, _ := s.open(r.GetToken())
		if missing := form.GetMissingQuestions(); len(missing) > 0 {
			err = rpcerr.New(codes.InvalidArgument, "ANSWER_INVALID", rpcerr.T("no", "否")).With("questions", strings.Join(missing, ",")).GRPCStatus().Err()
		}
	}
	if err != nil {
		s.saved = before
		return nil, err
	}
	s.submitted = append(s.submitted, r)
	receipt := &surveyv1.AnswerReceipt{AnswerId: "1", Thanks: s.q.GetThanks()}
	if s.anonymous {
		receipt.AnswerId = ""
	}
	return receipt, nil
}

// answer gives what stands saved for a question.
func (s *survey) answer(t *testing.T, key string) *surveyv1.Response {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved[key] == nil {
		t.Fatalf("nothing is saved for %s", key)
	}
	return s.saved[key]
}

func text(zh, en string) *typev1.Text { return &typev1.Text{Zh: zh, En: en} }

func ask(section, key string, kind surveyv1.QuestionType, zh, en string) *surveyv1.Question {
	return &surveyv1.Question{Key: key, Type: kind, Text: text(zh, en), SectionKey: section}
}

func choices(pairs ...string) []*surveyv1.Choice {
	var list []*surveyv1.Choice
	for three := range slices.Chunk(pairs, 3) {
		list = append(list, &surveyv1.Choice{Key: three[0], Text: text(three[1], three[2])})
	}
	return list
}

func ifLow(key string) *surveyv1.Condition {
	return &surveyv1.Condition{AnyOf: []*surveyv1.ConditionGroup{{AllOf: []*surveyv1.ConditionTest{{
		Subject: &surveyv1.ConditionTest_QuestionKey{QuestionKey: key},
		Test:    &surveyv1.ConditionTest_Within{Within: &surveyv1.NumberRange{Greatest: proto.Float64(2)}},
	}}}}}
}

// every asks a question of each type, on three pages.
func every() *surveyv1.Questionnaire {
	overall := ask("service", "overall", surveyv1.QuestionType_QUESTION_TYPE_RATING, "您对本次服务总体满意吗？", "How satisfied are you with this service overall?")
	overall.Required = true
	why := ask("service", "why", surveyv1.QuestionType_QUESTION_TYPE_TEXT, "我们哪里做得不好？", "What went wrong?")
	why.ShowIf, why.Required = ifLow("overall"), true
	recommend := ask("service", "recommend", surveyv1.QuestionType_QUESTION_TYPE_NPS, "您有多大可能向他人推荐我们？", "How likely are you to recommend us?")
	easy := ask("service", "easy", surveyv1.QuestionType_QUESTION_TYPE_EFFORT, "解决问题的过程容易吗？", "How easy did we make it?")
	easy.Help = text("从报修到解决。", "From your call to the solution.")
	aspects := ask("product", "aspects", surveyv1.QuestionType_QUESTION_TYPE_MATRIX, "请评价产品的以下方面", "How do you rate the product?")
	aspects.Rows = choices("function", "功能", "Functions", "performance", "性能", "Performance and speed under load", "use", "易用性", "Ease of use")
	kind := ask("product", "kind", surveyv1.QuestionType_QUESTION_TYPE_SINGLE_CHOICE, "设备用在哪里？", "Where is the machine used?")
	kind.Choices = choices("shop", "车间", "Workshop", "site", "工地", "Building site", "other", "其他", "Somewhere else")
	help := ask("product", "help", surveyv1.QuestionType_QUESTION_TYPE_MULTIPLE_CHOICE, "您希望得到哪些帮助？", "Which help would you like?")
	help.Choices, help.ChoiceRule = choices("visit", "上门", "A visit", "course", "培训", "A course", "call", "电话", "A call"), &surveyv1.ChoiceRule{Greatest: 2}
	order := ask("product", "order", surveyv1.QuestionType_QUESTION_TYPE_RANKING, "对您来说什么最重要？", "What matters most to you?")
	order.Choices = choices("price", "价格", "Price", "speed", "速度", "Speed", "people", "人员", "People")
	hours := ask("you", "hours", surveyv1.QuestionType_QUESTION_TYPE_NUMBER, "设备每周运行多少小时？", "How many hours a week does it run?")
	hours.NumberRule = &surveyv1.NumberRule{Least: proto.Float64(0), Greatest: proto.Float64(100), Decimals: 1, Unit: text("小时", "hours")}
	since := ask("you", "since", surveyv1.QuestionType_QUESTION_TYPE_DATE, "从何时开始使用？", "Since when do you use it?")
	since.DateRule = &surveyv1.DateRule{Least: "2000-01-01"}
	place := ask("you", "place", surveyv1.QuestionType_QUESTION_TYPE_TEXT, "所在城市", "Your city")
	place.TextRule = &surveyv1.TextRule{SingleLine: true, Greatest: 20}
	comment := ask("you", "comment", surveyv1.QuestionType_QUESTION_TYPE_TEXT, "您还有什么意见或建议？", "Is there anything else you want to tell us?")
	return &surveyv1.Questionnaire{
		Title:        text("服务与产品满意度调查", "How was our service?"),
		Introduction: text("只需两分钟。您的意见会直接帮助我们改进。", "It takes two minutes. What you say helps us to become better."),
		Thanks:       text("我们会认真阅读每一条意见。", "We read every comment."),
		Sections: []*surveyv1.Section{
			{Key: "service", Title: text("服务", "Our service")},
			{Key: "product", Title: text("产品", "The product"), Introduction: text("请想想您最常用的那台设备。", "Think of the machine that you use most.")},
			{Key: "you", Title: text("关于您", "About you")},
		},
		Questions: []*surveyv1.Question{overall, why, recommend, easy, aspects, kind, help, order, hours, since, place, comment},
	}
}

// short asks on one page.
func short() *surveyv1.Questionnaire {
	q := every()
	q.Sections, q.Questions = nil, []*surveyv1.Question{q.GetQuestions()[0], q.GetQuestions()[2], q.GetQuestions()[11]}
	for _, question := range q.GetQuestions() {
		question.SectionKey = ""
	}
	return q
}

func newSurvey(q *surveyv1.Questionnaire, language string) *survey {
	return &survey{q: q, language: language, saved: map[string]*surveyv1.Response{}}
}
