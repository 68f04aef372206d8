package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// pageSurvey publishes a questionnaire with sections, logic and several types of question.
func pageSurvey(t *testing.T, s *stack) (id string) {
	t.Helper()
	both := func(zh, en string) object { return object{"zh": zh, "en": en} }
	low := object{"anyOf": []object{{"allOf": []object{{"questionKey": "overall", "within": object{"greatest": 2}}}}}}
	crm := as(t, s, role("crm-specialist")...)
	id = crm.post("/v1/questionnaires", object{
		"title": both("服务与产品满意度调查", "How was our service?"), "introduction": both("只需两分钟。", "It takes two minutes."),
		"thanks":   both("我们会认真阅读每一条意见。", "We read every comment."),
		"sections": []object{{"key": "service", "title": both("服务", "Our service")}, {"key": "product", "title": both("产品", "The product")}},
		"questions": []object{
			{"key": "overall", "type": "QUESTION_TYPE_RATING", "required": true, "sectionKey": "service", "text": both("您对本次服务总体满意吗？", "How satisfied are you overall?")},
			{"key": "why", "type": "QUESTION_TYPE_TEXT", "required": true, "sectionKey": "service", "showIf": low, "text": both("我们哪里做得不好？", "What went wrong?")},
			{"key": "aspects", "type": "QUESTION_TYPE_MATRIX", "sectionKey": "product", "text": both("请评价产品", "How do you rate the product?"),
				"rows": []object{{"key": "use", "text": both("易用性", "Ease of use")}, {"key": "speed", "text": both("速度", "Speed")}}},
			{"key": "help", "type": "QUESTION_TYPE_MULTIPLE_CHOICE", "sectionKey": "product", "text": both("您希望得到哪些帮助？", "Which help would you like?"),
				"choices": []object{{"key": "visit", "text": both("上门", "A visit")}, {"key": "course", "text": both("培训", "A course")}}},
		},
	}).text("id")
	crm.post("/v1/questionnaires/"+id+":publish", object{})
	return id
}

// invited is a customer who has agreed to surveys, and the link that they were sent.
func invited(t *testing.T, questionnaire, language string) (customer, invitation, token string) {
	t.Helper()
	crm := as(t, suite, role("crm-specialist")...)
	customer = newCustomer(t, unique("页")).text("id")
	crm.post("/v1/customers/"+customer+":setConsent", object{
		"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": true, "channel": "CHANNEL_PHONE", "wordingVersion": "v1"})
	made := crm.post("/v1/invitations", object{"questionnaireId": questionnaire, "customerId": customer, "language": language})
	return customer, made.text("invitation", "id"), made.text("token")
}

// page opens a link as a browser does.
func page(t *testing.T, s *stack, token string, query string) (code int, body string) {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.REST+"/s/"+token+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// pageSays checks what a link says in both languages.
func pageSays(t *testing.T, s *stack, token string, code int, zh, en string) {
	t.Helper()
	for lang, want := range map[string]string{"zh-CN": zh, "en": en} {
		if got, body := page(t, s, token, "?lang="+lang); got != code || !strings.Contains(body, want) {
			t.Errorf("%d %s, expected %d %s", got, body, code, want)
		}
	}
}

// TestAnswerPage answers a survey in a browser on the running suite: at phone and desktop
// width, in both languages, one of them with scripts off.
func TestAnswerPage(t *testing.T) {
	questionnaire := pageSurvey(t, suite)
	st, err := suite.state()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		language, title, thanks string
		before                  []chromedp.Action[chromedp.Void]
	}{
		"phone":   {"zh-CN", "服务与产品满意度调查", "我们会认真阅读每一条意见。", []chromedp.Action[chromedp.Void]{browser.Phone}},
		"desktop": {"en", "How was our service?", "We read every comment.", []chromedp.Action[chromedp.Void]{browser.Desktop, browser.WithoutScript}},
	} {
		t.Run(name, func(t *testing.T) {
			_, invitation, token := invited(t, questionnaire, c.language)
			url, w := st.REST+"/s/"+token, browser.Open(t, "suite-"+name, c.before...)
			rated := `label:has(> input[name="score.overall"][value="2"]:checked)`
			w.Visit(url+"?score=2", rated)
			w.Look("1-open")
			if title := w.Read("h1"); title != c.title {
				t.Errorf("title %q", title)
			}
			w.Press("go", "next", "#a-why")
			w.Type("a-why", "太慢 slow")
			w.Press("go", "save", ".note.good")
			w.Look("2-saved")
			// The link opened anew, as on another day, goes on behind what is complete and has all of it.
			w.Visit(url, "#q-aspects")
			w.Press("go", "back", rated)
			w.Press("go", "next", "#q-aspects")
			w.Pick("rows.aspects.use", "4")
			w.Pick("choices.help", "visit")
			w.Pick("choices.help", "course")
			w.Look("3-product")
			w.Press("go", "submit", "main.thanks")
			w.Look("4-thanks")
			if said := w.Read("main"); !strings.Contains(said, c.thanks) {
				t.Errorf("thanked with %q", said)
			}
			checkAnswered(t, questionnaire, invitation)
		})
	}
}

// checkAnswered makes sure that what was entered on the page is the answer.
func checkAnswered(t *testing.T, questionnaire, invitation string) {
	t.Helper()
	for _, answer := range as(t, suite, role("crm-specialist")...).get("/v1/questionnaires/" + questionnaire + "/answers").list("answers") {
		if answer.text("invitationId") != invitation {
			continue
		}
		kept := map[string]object{}
		for _, r := range answer.list("responses") {
			kept[r.text("questionKey")] = r
		}
		rows, choices := kept["aspects"].list("rows", "scores"), kept["help"].at("choices", "keys")
		if kept["overall"].number("score") != 2 || kept["why"].text("text") != "太慢 slow" || len(rows) != 1 || rows[0].number("score") != 4 {
			t.Errorf("kept %v", kept)
		}
		if keys, _ := choices.([]any); len(keys) != 2 {
			t.Errorf("kept the choices %v", choices)
		}
		return
	}
	t.Errorf("there is no answer to invitation %s", invitation)
}

// TestAnswerPageRefuses: each link that cannot be answered says why, in the language of the
// browser, and a link is never found in a log.
func TestAnswerPageRefuses(t *testing.T) {
	questionnaire := pageSurvey(t, suite)
	says := func(token string, code int, zh, en string) {
		t.Helper()
		pageSays(t, suite, token, code, zh, en)
	}
	says(strings.Repeat("A", 32), http.StatusNotFound, "此链接无效", "This link does not work")
	says("short", http.StatusNotFound, "此链接无效", "This link does not work")

	_, _, answered := invited(t, questionnaire, "en")
	as(t, suite).post("/v1/answers/"+answered, object{"responses": []object{{"questionKey": "overall", "score": 5}}})
	says(answered, http.StatusGone, "您已作答", "You have already answered")

	crm := as(t, suite, role("crm-specialist")...)
	customer, invitation, withdrawn := invited(t, questionnaire, "en")
	crm.post("/v1/customers/"+customer+":setConsent", object{
		"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": false, "channel": "CHANNEL_PHONE", "wordingVersion": "v1"})
	eventually(t, "the end of the invitation", func() bool {
		return crm.get("/v1/invitations/"+invitation).text("state") == "INVITATION_STATE_REVOKED"
	})
	says(withdrawn, http.StatusGone, "无需作答", "No answer is needed")
	// Who has withdrawn is not invited again, and who was just asked is not asked again.
	crm.refused(http.StatusBadRequest, "CONSENT_WITHDRAWN", "POST", "/v1/invitations", object{"questionnaireId": questionnaire, "customerId": customer})
	asked, _, open := invited(t, questionnaire, "en")
	crm.refused(http.StatusBadRequest, "CONTACT_BUDGET_USED", "POST", "/v1/invitations", object{"questionnaireId": questionnaire, "customerId": asked})
	if code, body := page(t, suite, open, ""); code != http.StatusOK || !strings.Contains(body, "How satisfied are you overall?") {
		t.Errorf("%d %s", code, body)
	}

	st, err := suite.state()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Programs {
		raw, err := os.ReadFile(p.Log)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{answered, withdrawn, open} {
			if strings.Contains(string(raw), token) {
				t.Errorf("the log of %s has a link", p.Name)
			}
		}
	}
}

// TestAnswerPageExpires opens a link whose time is over.
func TestAnswerPageExpires(t *testing.T) {
	questionnaire := pageSurvey(t, suite)
	crm := as(t, suite, role("crm-specialist")...)
	customer := newCustomer(t, unique("页")).text("id")
	crm.post("/v1/customers/"+customer+":setConsent", object{
		"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": true, "channel": "CHANNEL_PHONE", "wordingVersion": "v1"})
	token := crm.post("/v1/invitations", object{"questionnaireId": questionnaire, "customerId": customer,
		"expireTime": time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339Nano)}).text("token")
	eventually(t, "the end of the link", func() bool {
		code, body := page(t, suite, token, "?lang=en")
		return code == http.StatusGone && strings.Contains(body, "This survey has ended")
	})
}
