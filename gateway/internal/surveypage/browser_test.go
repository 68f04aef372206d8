package surveypage

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"google.golang.org/grpc/codes"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// serve gives the address of the link.
func serve(t *testing.T, s *survey) string {
	t.Helper()
	server := httptest.NewServer(Handler(s))
	t.Cleanup(server.Close)
	return server.URL + "/s/" + token
}

// TestInABrowser answers a survey with every type of question as a customer does: on a phone
// and at a desk, in both languages, with scripts on and off.
func TestInABrowser(t *testing.T) {
	for name, c := range map[string]struct {
		language string
		before   []chromedp.Action[chromedp.Void]
		thanks   string
	}{
		"phone-zh":   {"zh-CN", []chromedp.Action[chromedp.Void]{browser.Phone}, "感谢您的参与！"},
		"phone-en":   {"en", []chromedp.Action[chromedp.Void]{browser.Phone, browser.WithoutScript}, "Thank you!"},
		"desktop-zh": {"zh-CN", []chromedp.Action[chromedp.Void]{browser.Desktop}, "感谢您的参与！"},
		"desktop-en": {"en", []chromedp.Action[chromedp.Void]{browser.Desktop, browser.WithoutScript}, "Thank you!"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurvey(every(), c.language)
			url, w := serve(t, s), browser.Open(t, name, c.before...)
			w.Visit(url, "#q-overall")
			w.Look("1-service")
			w.Press("go", "next", ".note.wrong")
			w.Look("2-lacking")
			w.Pick("score.overall", "2")
			w.Pick("score.recommend", "8")
			w.Press("go", "next", "#q-why")
			w.Type("a-why", "太慢了")
			w.Look("3-brought-up")
			w.Press("go", "next", "#q-aspects")
			w.Pick("rows.aspects.function", "4")
			w.Pick("rows.aspects.use", "5")
			w.Pick("choice.kind", "site")
			w.Pick("choices.help", "visit")
			w.Pick("choices.help", "call")
			w.Type("a-order", "1")
			w.Look("4-product")
			w.Press("go", "next", "#q-hours")
			w.Type("a-hours", "168")
			w.Press("go", "submit", ".note.wrong")
			w.Look("5-misfit")
			w.Do(chromedp.Clear(chromedp.CSS("#a-hours")))
			w.Type("a-hours", "40")
			w.Type("a-comment", "谢谢")
			w.Press("go", "submit", "main.thanks")
			w.Look("6-thanks")
			if heading := w.Read("h1"); heading != c.thanks {
				t.Errorf("heading %q", heading)
			}
			w.Visit(url, "main.thanks")
			w.Look("7-answered")
			if len(s.submitted) != 1 || s.answer(t, "comment").GetText() != "谢谢" || s.answer(t, "overall").GetScore() != 2 ||
				s.answer(t, "hours").GetNumber() != 40 || len(s.answer(t, "help").GetChoices().GetKeys()) != 2 ||
				len(s.answer(t, "order").GetRanking().GetKeys()) != 1 {
				t.Errorf("sent %v, kept %v", s.submitted, s.saved)
			}
		})
	}
}

// TestByKeyboard answers without a mouse: every control is reached by Tab in the order of the
// page, arrows choose on a scale, Enter in a field goes on and does not switch the language.
func TestByKeyboard(t *testing.T) {
	s := newSurvey(short(), "en")
	url, w := serve(t, s), browser.Open(t, "keyboard", browser.Desktop)
	w.Visit(url, "#q-overall")
	var order []string
	for range 7 {
		w.Do(chromedp.KeyEvent(kb.Tab))
		at := w.Eval(`document.activeElement.name + "=" + document.activeElement.value`)
		order = append(order, at)
		if at == "score.overall=1" {
			w.Do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
			w.Look("focus")
		}
	}
	if want := []string{"=undefined", "go=zh-CN", "score.overall=1", "score.recommend=0", "text.comment=", "go=submit", "go=save"}; !slices.Equal(order, want) {
		t.Errorf("Tab goes by %q, not %q", order, want)
	}
	w.Do(chromedp.Focus(chromedp.CSS(`input[name="score.overall"]`)), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("main.thanks")))
	if len(s.submitted) != 1 || s.answer(t, "overall").GetScore() != 3 {
		t.Errorf("sent %v, kept %v", s.submitted, s.saved)
	}
}

// TestEnds looks at the pages that say one thing.
func TestEnds(t *testing.T) {
	s := newSurvey(short(), "zh-CN")
	url, w := serve(t, s), browser.Open(t, "ends", browser.Phone)
	for reason, heading := range map[string]string{
		"INVITATION_NOT_FOUND": "此链接无效", "INVITATION_EXPIRED": "本次调查已结束", "INVITATION_REVOKED": "无需作答",
	} {
		s.mu.Lock()
		s.fail = refusal(codes.FailedPrecondition, reason)
		s.mu.Unlock()
		w.Visit(url+"?lang=zh-CN", "main.notice")
		if got := w.Read("h1"); got != heading {
			t.Errorf("%s: heading %q", reason, got)
		}
		w.Look(reason)
	}
}
