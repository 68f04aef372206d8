package surveypage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	surveyv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/survey/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
)

// visitor is a browser without a window: it sends what the page's form has.
type visitor struct {
	t       *testing.T
	handler http.Handler
}

type seen struct {
	code   int
	header http.Header
	body   string
}

func visit(t *testing.T, s *survey) *visitor { return &visitor{t, Handler(s)} }

func (v *visitor) do(r *http.Request) seen {
	w := httptest.NewRecorder()
	v.handler.ServeHTTP(w, r)
	return seen{w.Code, w.Header(), w.Body.String()}
}

func (v *visitor) get(path string, headers ...string) seen {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.do(r)
}

func (v *visitor) post(fields url.Values, headers ...string) seen {
	r := httptest.NewRequest(http.MethodPost, "/s/"+token, strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return v.do(r)
}

// follow sends a form that must lead on and opens where it leads.
func (v *visitor) follow(fields url.Values) (to string, page seen) {
	v.t.Helper()
	a := v.post(fields)
	if a.code != http.StatusSeeOther {
		v.t.Fatalf("answered %d: %s", a.code, a.body)
	}
	to = a.header.Get("Location")
	bare, _, _ := strings.Cut(to, "#")
	return to, v.get(bare)
}

// fields is a form: pairs of name and value.
func fields(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

func (a seen) has(t *testing.T, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("answered %d, expected %d: %s", a.code, code, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("the page lacks %q: %s", text, a.body)
		}
	}
}

func (a seen) lacks(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			t.Errorf("the page has %q: %s", text, a.body)
		}
	}
}

func TestOpeningALinkChangesNothing(t *testing.T) {
	s := newSurvey(every(), "en")
	v := visit(t, s)
	page := v.get("/s/" + token + "?score=2&lang=en")
	page.has(t, http.StatusOK, `<html lang="en">`, "How satisfied are you", `value="2" checked`, "Your rating 2 is filled in")
	page.lacks(t, "您对", "What went wrong", "style=", "<script", "<style")
	if s.saves != 0 || len(s.submitted) != 0 {
		t.Error("opening a link wrote something")
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow", "Content-Type": "text/html; charset=utf-8",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Error("the policy is not strict")
	}
	// HEAD is how scanners look.
	if a := v.do(httptest.NewRequest(http.MethodHead, "/s/"+token+"?score=5", nil)); a.code != http.StatusOK || s.saves+len(s.submitted) != 0 {
		t.Errorf("HEAD answered %d", a.code)
	}
}

func TestTheScoreOfALink(t *testing.T) {
	v := visit(t, newSurvey(every(), "zh-CN"))
	for query, want := range map[string]string{
		"score=9&question=recommend": `name="score.recommend" value="9" checked`,
		"score=1&question=easy":      `name="score.easy" value="1" id="a-easy" checked`,
	} {
		v.get("/s/"+token+"?"+query).has(t, http.StatusOK, want, "已为您填入评分")
	}
	for _, query := range []string{"score=6", "score=0", "score=x", "score=", "score=3&question=comment", "score=11&question=recommend", "score=-1"} {
		v.get("/s/"+token+"?"+query).lacks(t, " checked", "已为您填入评分")
	}
}

func TestLanguages(t *testing.T) {
	v := visit(t, newSurvey(short(), "zh-CN"))
	for _, c := range []struct{ query, accept, want string }{
		{"", "", "zh-CN"}, {"", "en", "zh-CN"}, {"?lang=en", "zh", "en"}, {"?lang=zh-CN", "en", "zh-CN"}, {"?lang=fr", "en", "zh-CN"},
	} {
		v.get("/s/"+token+c.query, "Accept-Language", c.accept).has(t, http.StatusOK, `<html lang="`+c.want+`">`)
	}
	for _, c := range []struct{ query, accept, want string }{
		{"", "zh-CN,zh;q=0.9", "此链接无效"}, {"", "", "This link does not work"}, {"?lang=zh-CN", "en", "此链接无效"}, {"?lang=en", "zh", "This link does not work"},
	} {
		v.get("/s/"+strings.Repeat("x", 32)+c.query, "Accept-Language", c.accept).has(t, http.StatusNotFound, c.want)
	}
	// The switch saves what was entered and stays on the page.
	to, page := v.follow(fields("lang", "zh-CN", "page", "", "go", "en", "q", "score.overall", "score.overall", "4"))
	if to != "/s/"+token+"?lang=en&page=" {
		t.Errorf("the switch led to %s", to)
	}
	page.has(t, http.StatusOK, `<html lang="en">`, `value="4" checked`)
}

// TestEveryTypeOfQuestion walks through all pages and looks at what arrives.
func TestEveryTypeOfQuestion(t *testing.T) {
	s := newSurvey(every(), "en")
	v := visit(t, s)
	v.get("/s/"+token).has(t, http.StatusOK, "It takes two minutes", "Page 1 of 3", `value="next">Next`, `name="more"`)
	to, page := v.follow(fields("lang", "en", "page", "service", "more", "1", "go", "next",
		"q", "score.overall", "score.overall", "4", "q", "score.recommend", "score.recommend", "9", "q", "score.easy"))
	if to != "/s/"+token+"?lang=en&page=product" {
		t.Fatalf("led to %s", to)
	}
	page.has(t, http.StatusOK, "Page 2 of 3", "Think of the machine", "Choose at most 2.", "Give the places 1 (first) to 3, each once.")
	page.lacks(t, "It takes two minutes")
	to, page = v.follow(fields("lang", "en", "page", "product", "go", "next",
		"q", "rows.aspects", "rows.aspects.function", "5", "rows.aspects.use", "2", "q", "choice.kind", "choice.kind", "site",
		"q", "choices.help", "choices.help", "visit", "choices.help", "call",
		"q", "rank.order", "rank.order.speed", "1", "rank.order.people", "3", "rank.order.price", "2"))
	if to != "/s/"+token+"?lang=en&page=you" {
		t.Fatalf("led to %s", to)
	}
	page.has(t, http.StatusOK, "Page 3 of 3", "A number with at most 1 digits after the point, from 0 to 100.", "hours</span>", `min="2000-01-01"`, "2000-01-01 or later.",
		`value="submit">Send answers`, "At most 20 characters.")
	v.post(fields("lang", "en", "page", "you", "go", "submit", "once", "7", "q", "number.hours", "number.hours", "４0.5", "q", "date.since", "date.since", "2024-02-29",
		"q", "text.place", "text.place", " 武汉 ", "q", "text.comment", "text.comment", "a\r\nb")).has(t, http.StatusOK, "Thank you!", "We read every comment.")
	if len(s.submitted) != 1 || s.submitted[0].GetRequestId() != "7" {
		t.Fatalf("sent %v", s.submitted)
	}
	for _, want := range []*surveyv1.Response{
		{QuestionKey: "overall", Value: &surveyv1.Response_Score{Score: 4}},
		{QuestionKey: "recommend", Value: &surveyv1.Response_Score{Score: 9}},
		{QuestionKey: "aspects", Value: &surveyv1.Response_Rows{Rows: &surveyv1.RowScores{Scores: []*surveyv1.RowScore{{RowKey: "function", Score: 5}, {RowKey: "use", Score: 2}}}}},
		{QuestionKey: "kind", Value: &surveyv1.Response_Choice{Choice: "site"}},
		{QuestionKey: "help", Value: &surveyv1.Response_Choices{Choices: &surveyv1.ChoiceList{Keys: []string{"visit", "call"}}}},
		{QuestionKey: "order", Value: &surveyv1.Response_Ranking{Ranking: &surveyv1.ChoiceList{Keys: []string{"speed", "price", "people"}}}},
		{QuestionKey: "hours", Value: &surveyv1.Response_Number{Number: 40.5}},
		{QuestionKey: "since", Value: &surveyv1.Response_Date{Date: "2024-02-29"}},
		{QuestionKey: "place", Value: &surveyv1.Response_Text{Text: "武汉"}},
		{QuestionKey: "comment", Value: &surveyv1.Response_Text{Text: "a\nb"}},
	} {
		if got := s.answer(t, want.GetQuestionKey()); !proto.Equal(got, want) {
			t.Errorf("%s arrived as %v", want.GetQuestionKey(), got)
		}
	}
}

// TestProgress: the link opened again goes on where it stopped, with everything filled in.
func TestProgress(t *testing.T) {
	s := newSurvey(every(), "en")
	v := visit(t, s)
	_, page := v.follow(fields("lang", "en", "page", "service", "more", "1", "go", "save", "q", "score.overall", "q", "score.easy", "score.easy", "7"))
	page.has(t, http.StatusOK, "Your answers are saved", `name="score.easy" value="7" checked`)
	v.follow(fields("lang", "en", "page", "service", "more", "1", "go", "next", "q", "score.overall", "score.overall", "5", "q", "score.recommend", "q", "score.easy"))
	v.follow(fields("lang", "en", "page", "product", "go", "save", "q", "rows.aspects", "rows.aspects.use", "2", "q", "choice.kind", "choice.kind", "shop",
		"q", "choices.help", "choices.help", "visit", "q", "rank.order", "rank.order.people", "1"))
	page = v.get("/s/" + token)
	page.has(t, http.StatusOK, "Page 3 of 3")
	to, page := v.follow(fields("lang", "en", "page", "you", "go", "back", "q", "text.comment", "text.comment", "<b>", "q", "number.hours", "number.hours", "12.50",
		"q", "date.since", "date.since", "2024-02-29"))
	if !strings.HasSuffix(to, "page=product") {
		t.Errorf("back led to %s", to)
	}
	page.has(t, http.StatusOK, `name="rows.aspects.use" value="2" checked`, `name="choice.kind" value="shop" id="a-kind" checked`,
		`name="choices.help" value="visit" id="a-help" checked`, `<select name="rank.order.people"><option value="">Place</option><option selected>1`)
	v.get("/s/"+token+"?page=you").has(t, http.StatusOK, "&lt;b&gt;</textarea>", `value="12.5"`, `value="2024-02-29"`)
	// What was emptied is taken out.
	if s.saved["easy"] != nil {
		t.Error("the emptied answer is still saved")
	}
	v.get("/s/"+token+"?page=nothing").has(t, http.StatusOK)
}

// TestLogic: an answer brings up a question on its page, which is shown before going on.
func TestLogic(t *testing.T) {
	s := newSurvey(every(), "en")
	v := visit(t, s)
	first := fields("lang", "en", "page", "service", "more", "1", "go", "next", "q", "score.overall", "score.overall", "1", "q", "score.recommend", "q", "score.easy")
	to, page := v.follow(first)
	if to != "/s/"+token+"?lang=en&opened=1&page=service#q-why" {
		t.Errorf("led to %s", to)
	}
	page.has(t, http.StatusOK, "Your answers brought up further questions", "What went wrong?", `value="1" id="a-overall" checked`)
	page.lacks(t, "Please answer this question")
	first.Add("q", "text.why")
	v.post(first).has(t, http.StatusUnprocessableEntity, "Please look at these questions again", `href="#q-why"`, `id="a-why"`, "Please answer this question.", `aria-invalid="true"`, "<title>Please check: ")
	first.Set("text.why", "slow")
	to, _ = v.follow(first)
	if !strings.HasSuffix(to, "page=product") {
		t.Errorf("led to %s", to)
	}
	// One who jumps to the last page is led to what lacks.
	s.saved = map[string]*surveyv1.Response{}
	v.post(fields("lang", "en", "page", "you", "go", "submit", "q", "number.hours", "q", "date.since", "q", "text.place", "q", "text.comment", "text.comment", "x")).
		has(t, http.StatusUnprocessableEntity, "Page 1 of 3", `href="#q-overall"`)
	if s.answer(t, "comment").GetText() != "x" {
		t.Error("what was sent was not kept")
	}
}

func TestLogicOfTheLastPage(t *testing.T) {
	q := short()
	why := every().GetQuestions()[1]
	why.SectionKey, why.Required = "", false
	q.Questions = append(q.Questions, why)
	s := newSurvey(q, "en")
	v := visit(t, s)
	v.get("/s/"+token).has(t, http.StatusOK, `name="more"`, "Send answers")
	_, page := v.follow(fields("lang", "en", "page", "", "more", "1", "go", "submit", "q", "score.overall", "score.overall", "2"))
	page.has(t, http.StatusOK, "What went wrong?")
	page.lacks(t, `name="more"`)
	v.post(fields("lang", "en", "page", "", "go", "submit", "q", "score.overall", "score.overall", "2", "q", "text.why", "q", "score.recommend", "q", "text.comment")).has(t, http.StatusOK, "Thank you!")
}

// TestLastPageHidden: where the pages behind fall away, the end offers to send.
func TestLastPageHidden(t *testing.T) {
	q := every()
	q.Sections, q.Questions = q.Sections[:2], []*surveyv1.Question{q.GetQuestions()[0], q.GetQuestions()[5]}
	q.GetQuestions()[1].ShowIf = ifLow("overall")
	s := newSurvey(q, "en")
	v := visit(t, s)
	to, page := v.follow(fields("lang", "en", "page", "service", "go", "next", "q", "score.overall", "score.overall", "5"))
	if to != "/s/"+token+"?end=1&lang=en" {
		t.Errorf("led to %s", to)
	}
	page.has(t, http.StatusOK, "You have reached the end", "Nothing is sent yet")
	to, _ = v.follow(fields("lang", "en", "end", "1", "go", "back"))
	if !strings.HasSuffix(to, "page=service") {
		t.Errorf("back led to %s", to)
	}
	to, _ = v.follow(fields("lang", "en", "end", "1", "go", "zh-CN"))
	if !strings.HasSuffix(to, "?end=1&lang=zh-CN") {
		t.Errorf("the switch led to %s", to)
	}
	v.post(fields("lang", "en", "end", "1", "go", "submit")).has(t, http.StatusOK, "Thank you!")
}

// TestMisfits: what does not fit stands in the form again, and says what would fit.
func TestMisfits(t *testing.T) {
	s := newSurvey(every(), "en")
	s.saved["overall"] = &surveyv1.Response{QuestionKey: "overall", Value: &surveyv1.Response_Score{Score: 4}}
	v := visit(t, s)
	for name, c := range map[string]struct {
		form url.Values
		want []string
	}{
		"too large": {fields("page", "you", "q", "number.hours", "number.hours", "168"),
			[]string{`value="168"`, `href="#q-hours"`, "This does not fit. A number with at most 1 digits after the point, from 0 to 100."}},
		"no number": {fields("page", "you", "q", "number.hours", "number.hours", "many", "q", "text.comment", "text.comment", "short"),
			[]string{`value="many"`, `href="#q-hours"`}},
		"not a number": {fields("page", "you", "q", "number.hours", "number.hours", "NaN"), []string{`value="NaN"`, `href="#q-hours"`}},
		"too long": {fields("page", "you", "q", "text.place", "text.place", strings.Repeat("长", 21)),
			[]string{`href="#q-place"`, strings.Repeat("长", 21), "This does not fit. At most 20 characters."}},
		"one place twice": {fields("page", "product", "q", "rank.order", "rank.order.price", "1", "rank.order.speed", "1"),
			[]string{`href="#q-order"`, "Give the places 1 (first) to 3"}},
		"a place left out": {fields("page", "product", "q", "rank.order", "rank.order.price", "1", "rank.order.speed", "3"), []string{`href="#q-order"`}},
		"no score":         {fields("page", "service", "q", "score.overall", "score.overall", "x"), []string{`href="#q-overall"`}},
		"no row score":     {fields("page", "product", "q", "rows.aspects", "rows.aspects.use", "x"), []string{`href="#q-aspects"`}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, verb := range []string{"next", "submit", "save", "back", "zh-CN"} {
				form := url.Values{"go": {verb}, "lang": {"en"}}
				for name, list := range c.form {
					form[name] = list
				}
				v.post(form).has(t, http.StatusUnprocessableEntity, c.want...)
			}
		})
	}
	// What fits beside what is unreadable is kept.
	if s.answer(t, "comment").GetText() != "short" {
		t.Error("the comment was not kept")
	}
	if len(s.submitted) != 0 {
		t.Error("a misfit was sent")
	}
}

func TestSentTwice(t *testing.T) {
	s := newSurvey(short(), "zh-CN")
	v := visit(t, s)
	once := regexp.MustCompile(`name="once" value="([^"]+)"`).FindStringSubmatch(v.get("/s/" + token).body)
	form := fields("lang", "zh-CN", "page", "", "go", "submit", "once", once[1], "q", "score.overall", "score.overall", "3")
	for range 2 { // pressed twice: both are thanked
		v.post(form).has(t, http.StatusOK, "感谢您的参与！", "我们会认真阅读每一条意见。")
	}
	form.Set("once", "another")
	v.post(form).has(t, http.StatusGone, "您已作答")
	v.get("/s/"+token).has(t, http.StatusGone, "You have already answered")
	if len(s.submitted) != 1 {
		t.Errorf("sent %d times", len(s.submitted))
	}
}

func TestWhatALinkCanNotDo(t *testing.T) {
	s := newSurvey(short(), "en")
	v := visit(t, s)
	busy := rpcerr.Exhausted(rpcerr.ReasonRate, 1500*time.Millisecond, rpcerr.T("busy", "忙")).GRPCStatus().Err()
	form := fields("lang", "en", "page", "", "go", "submit", "q", "score.overall", "score.overall", "3", "text.comment", `"quoted" & kept`)
	for _, c := range []struct {
		err  error
		code int
		want string
		kept bool
	}{
		{refusal(codes.NotFound, "INVITATION_NOT_FOUND"), http.StatusNotFound, "This link does not work", false},
		{rpcerr.Invalid("token", rpcerr.T("no", "否")).GRPCStatus().Err(), http.StatusNotFound, "This link does not work", false},
		{refusal(codes.FailedPrecondition, "INVITATION_ANSWERED"), http.StatusGone, "You have already answered", false},
		{refusal(codes.AlreadyExists, "REQUEST_ID_REUSED"), http.StatusGone, "You have already answered", false},
		{refusal(codes.FailedPrecondition, "INVITATION_EXPIRED"), http.StatusGone, "This survey has ended", false},
		{refusal(codes.FailedPrecondition, "INVITATION_REVOKED"), http.StatusGone, "No answer is needed", false},
		{busy, http.StatusTooManyRequests, "Too many requests at once", true},
		{rpcerr.Unavailable("survey").GRPCStatus().Err(), http.StatusServiceUnavailable, "We cannot be reached right now", true},
		{refusal(codes.DeadlineExceeded, "DEADLINE_EXCEEDED"), http.StatusServiceUnavailable, "We cannot be reached right now", true},
		{refusal(codes.Internal, "INTERNAL"), http.StatusInternalServerError, "Something went wrong on our side", true},
	} {
		s.fail = c.err
		v.get("/s/"+token).has(t, c.code, c.want)
		a := v.post(form)
		a.has(t, c.code, c.want)
		// What was entered is not lost where it could not be taken.
		if kept := strings.Contains(a.body, `value="&#34;quoted&#34; &amp; kept"`) && strings.Contains(a.body, "Send again"); kept != c.kept {
			t.Errorf("%v: kept %v", c.err, kept)
		}
		if want := map[bool]string{true: "2"}[c.err == busy]; a.header.Get("Retry-After") != want {
			t.Errorf("%v: Retry-After %q", c.err, a.header.Get("Retry-After"))
		}
	}
}

func TestUnreadable(t *testing.T) {
	v := visit(t, newSurvey(short(), "en"))
	good := fields("lang", "en", "page", "", "go", "save")
	with := func(name, value string) url.Values {
		form := url.Values{"lang": {"en"}, "go": {"save"}}
		form.Set(name, value)
		return form
	}
	v.post(good).has(t, http.StatusSeeOther)
	v.post(with("go", "other")).has(t, http.StatusBadRequest)
	v.post(with("go", "")).has(t, http.StatusBadRequest)
	v.post(with("text.comment", "\xff")).has(t, http.StatusBadRequest)
	v.post(with("\xff", "")).has(t, http.StatusBadRequest)
	v.get("/s/%ff"+token).has(t, http.StatusNotFound, "This link does not work")
	v.post(with("q", "overall")).has(t, http.StatusBadRequest)
	v.post(with("once", strings.Repeat("x", 65))).has(t, http.StatusBadRequest)
	v.post(good, "Content-Type", "application/json").has(t, http.StatusUnsupportedMediaType)
	v.post(good, "Content-Type", "multipart/form-data; boundary=x").has(t, http.StatusUnsupportedMediaType)
	for site, code := range map[string]int{"cross-site": http.StatusForbidden, "same-site": http.StatusForbidden, "same-origin": http.StatusSeeOther, "none": http.StatusSeeOther} {
		v.post(good, "Sec-Fetch-Site", site).has(t, code)
	}
	large := httptest.NewRequest(http.MethodPost, "/s/"+token, strings.NewReader("q="+strings.Repeat("x", 100)))
	large.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	large.Body = http.MaxBytesReader(httptest.NewRecorder(), large.Body, 50)
	v.do(large).has(t, http.StatusRequestEntityTooLarge)
	for _, path := range []string{"/s/", "/s/a/b", "/s/" + token + "/x"} {
		v.get(path).has(t, http.StatusNotFound, "This link does not work")
	}
	a := v.do(httptest.NewRequest(http.MethodDelete, "/s/"+token, nil))
	if a.has(t, http.StatusMethodNotAllowed); a.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", a.header.Get("Allow"))
	}
}

func TestTheStyleSheet(t *testing.T) {
	v := visit(t, newSurvey(short(), "en"))
	path := regexp.MustCompile(`href="(/s/page\.css\?[0-9a-f]+)"`).FindStringSubmatch(v.get("/s/" + token).body)[1]
	a := v.get(path)
	a.has(t, http.StatusOK, "--main")
	if a.header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("headers %v", a.header)
	}
	a.lacks(t, "url(", "@import")
}

func TestAnonymityIsPromised(t *testing.T) {
	q := short()
	q.Anonymous = true
	visit(t, newSurvey(q, "zh-CN")).get("/s/"+token).has(t, http.StatusOK, "本问卷为匿名")
	q.Anonymous = false
	visit(t, newSurvey(q, "zh-CN")).get("/s/"+token).lacks(t, "匿名")
	q.Questions = nil
	visit(t, newSurvey(q, "en")).get("/s/"+token).has(t, http.StatusOK, "There is no question for you here.")
}
