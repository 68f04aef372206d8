package surveypage

import (
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

const withdrawLink = `href="/s/` + token + `?withdraw=1&amp;lang=`

// TestWithdraw: thanked and on return the customer is led to where the answer can be taken back,
// which happens when they say so and not when the link is opened.
func TestWithdraw(t *testing.T) {
	s := newSurvey(short(), "en")
	v := visit(t, s)
	// Before there is an answer the link shows the questions, and a button that was kept does nothing.
	v.get("/s/"+token+"?withdraw=1").has(t, http.StatusOK, "How satisfied are you")
	v.post(fields("lang", "en", "go", "withdraw")).has(t, http.StatusConflict, "Nothing was answered yet")
	v.post(fields("lang", "en", "page", "", "go", "submit", "q", "score.overall", "score.overall", "3")).
		has(t, http.StatusOK, "Thank you!", withdrawLink+`en"`)
	v.get("/s/"+token+"?lang=zh-CN").has(t, http.StatusGone, "您已作答", withdrawLink+`zh-CN"`)
	v.get("/s/"+token+"?lang=en&withdraw=1").has(t, http.StatusOK, "Take your answers back?", `name="go" value="withdraw"`, "cannot be undone")
	if s.withdrawn {
		t.Fatal("opening the link took the answer back")
	}
	s.fail = refusal(codes.Unavailable, "UNAVAILABLE")
	v.post(fields("lang", "en", "go", "withdraw")).has(t, http.StatusServiceUnavailable, "Send again", `name="go" value="withdraw"`)
	s.fail = nil
	v.post(fields("lang", "en", "go", "withdraw"), "Sec-Fetch-Site", "cross-site").has(t, http.StatusForbidden)
	for range 2 { // pressed twice
		v.post(fields("lang", "en", "go", "withdraw")).has(t, http.StatusOK, "Your answers are taken back")
	}
	for _, query := range []string{"", "&withdraw=1"} {
		page := v.get("/s/" + token + "?lang=zh-CN" + query)
		page.has(t, http.StatusGone, "您的回答已撤回")
		page.lacks(t, "withdraw=1", `value="withdraw"`)
	}
}

func TestAnonymousAnswersStay(t *testing.T) {
	s := newSurvey(short(), "en")
	s.anonymous = true
	v := visit(t, s)
	thanks := v.post(fields("lang", "en", "page", "", "go", "submit", "q", "score.overall", "score.overall", "3"))
	thanks.has(t, http.StatusOK, "Thank you!")
	for _, page := range []seen{thanks, v.get("/s/" + token + "?lang=en"), v.get("/s/" + token + "?lang=en&withdraw=1")} {
		page.lacks(t, "withdraw")
	}
	v.post(fields("lang", "en", "go", "withdraw")).has(t, http.StatusGone, "These answers cannot be taken back")
}

func TestWithdrawInABrowser(t *testing.T) {
	s := newSurvey(short(), "zh-CN")
	url, w := serve(t, s), browser.Open(t, "withdraw", browser.Phone, browser.WithoutScript)
	w.Visit(url+"?score=2", "#q-overall")
	w.Press("go", "submit", "main.thanks")
	w.Look("1-thanks")
	w.Visit(url+"?lang=zh-CN", "main.thanks a")
	w.Look("2-answered")
	w.Visit(url+"?withdraw=1&lang=zh-CN", `button[value="withdraw"]`)
	w.Look("3-asked")
	w.Press("go", "withdraw", "main.notice:not(:has(form))")
	w.Look("4-taken-back")
	if heading := w.Read("h1"); heading != "您的回答已撤回" || !s.withdrawn {
		t.Errorf("heading %q, withdrawn %v", heading, s.withdrawn)
	}
}
