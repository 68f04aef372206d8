package surveypage

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// window is a browser in front of the page.
type window struct {
	t   *testing.T
	ctx context.Context
	url string
	// name begins the names of its pictures.
	name string
}

func open(t *testing.T, s *survey, name string, size chromedp.Action[chromedp.Void], before ...chromedp.Action[chromedp.Void]) *window {
	t.Helper()
	server := httptest.NewServer(Handler(s))
	t.Cleanup(server.Close)
	w := &window{t: t, ctx: browser.New(t), url: server.URL + "/s/" + token, name: name}
	complaints := browser.Complaints(t, w.ctx)
	t.Cleanup(func() {
		for _, c := range complaints() {
			// What is refused with 4xx on purpose is told on the console as well.
			if !strings.Contains(c, "status of 4") && !strings.Contains(c, "favicon.ico") {
				t.Errorf("console: %s", c)
			}
		}
	})
	w.do(append([]chromedp.Action[chromedp.Void]{size}, before...)...)
	return w
}

func (w *window) do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		w.t.Fatalf("%v in front of %s", err, strings.Join(strings.Fields(w.html()), " "))
	}
}

func (w *window) html() string {
	html, err := chromedp.Run(w.ctx, chromedp.OuterHTML(chromedp.CSS("html")))
	if err != nil {
		return err.Error()
	}
	return html
}

// pick chooses an option of a question as with a finger: at its label.
func (w *window) pick(name, value string) {
	w.t.Helper()
	w.do(chromedp.Click(chromedp.CSS(`label:has(> input[name="` + name + `"][value="` + value + `"])`)))
}

// press presses a button and waits for the page behind it to have something.
func (w *window) press(verb, then string) {
	w.t.Helper()
	w.do(chromedp.Click(chromedp.CSS(`button[name="go"][value="`+verb+`"]:not(.unseen)`)), chromedp.WaitVisible(chromedp.CSS(then)))
}

// look checks what every page must have and takes its picture.
func (w *window) look(page string) {
	w.t.Helper()
	nameless, named := browser.Nameless(w.t, w.ctx)
	if len(nameless) > 0 || named == 0 {
		w.t.Errorf("%s: %d with and without a name: %v", page, named, nameless)
	}
	// Nothing sticks out of a phone's screen.
	type box struct{ Page, Window float64 }
	size, err := chromedp.Run(w.ctx, chromedp.Evaluate[box](`({Page: document.documentElement.scrollWidth, Window: document.documentElement.clientWidth})`))
	if err != nil || size.Page > size.Window || size.Window == 0 {
		w.t.Errorf("%s: %+v wide, %v", page, size, err)
	}
	picture, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
	if err != nil || len(picture) == 0 {
		w.t.Errorf("%s: no picture: %v", page, err)
	}
	browser.Keep(w.t, w.name+"-"+page+".png", picture)
}

// TestInABrowser answers a survey with every type of question as a customer does: on a phone
// and at a desk, in both languages, with scripts on and off.
func TestInABrowser(t *testing.T) {
	for name, c := range map[string]struct {
		language string
		size     chromedp.Action[chromedp.Void]
		before   []chromedp.Action[chromedp.Void]
		next     string
		thanks   string
	}{
		"phone-zh":   {"zh-CN", browser.Phone, nil, "下一页", "感谢您的参与！"},
		"desktop-en": {"en", browser.Desktop, []chromedp.Action[chromedp.Void]{browser.WithoutScript}, "Next", "Thank you!"},
		"phone-en":   {"en", browser.Phone, []chromedp.Action[chromedp.Void]{browser.WithoutScript}, "Next", "Thank you!"},
		"desktop-zh": {"zh-CN", browser.Desktop, nil, "下一页", "感谢您的参与！"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSurvey(every(), c.language)
			w := open(t, s, name, c.size, c.before...)
			w.do(chromedp.Navigate(w.url), chromedp.WaitVisible(chromedp.CSS("#q-overall")))
			w.look("1-service")
			w.press("next", ".note.wrong")
			w.look("2-lacking")
			w.pick("score.overall", "2")
			w.pick("score.recommend", "8")
			w.press("next", "#q-why")
			w.do(chromedp.SendKeys(chromedp.CSS("#a-why"), "太慢了"))
			w.look("3-brought-up")
			w.press("next", "#q-aspects")
			w.pick("rows.aspects.function", "4")
			w.pick("rows.aspects.use", "5")
			w.pick("choice.kind", "site")
			w.pick("choices.help", "visit")
			w.pick("choices.help", "call")
			w.do(chromedp.SendKeys(chromedp.CSS("#a-order"), "1"))
			w.look("4-product")
			w.press("next", "#q-hours")
			w.do(chromedp.SendKeys(chromedp.CSS("#a-hours"), "168"))
			w.press("submit", ".note.wrong")
			w.look("5-misfit")
			w.do(chromedp.Clear(chromedp.CSS("#a-hours")), chromedp.SendKeys(chromedp.CSS("#a-hours"), "40"), chromedp.SendKeys(chromedp.CSS("#a-comment"), "谢谢"))
			if title, err := chromedp.Run(w.ctx, chromedp.Title()); err != nil || !strings.Contains(title, s.q.GetTitle().GetZh()) && !strings.Contains(title, s.q.GetTitle().GetEn()) {
				t.Errorf("title %q, %v", title, err)
			}
			w.press("submit", "main.thanks")
			w.look("6-thanks")
			if heading, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS("h1"))); err != nil || !strings.Contains(heading, c.thanks) {
				t.Errorf("heading %q, %v", heading, err)
			}
			w.do(chromedp.Navigate(w.url), chromedp.WaitVisible(chromedp.CSS("main.thanks")))
			w.look("7-answered")
			if len(s.submitted) != 1 || s.answer(t, "comment").GetText() != "谢谢" || s.answer(t, "overall").GetScore() != 2 ||
				s.answer(t, "hours").GetNumber() != 40 || len(s.answer(t, "help").GetChoices().GetKeys()) != 2 || len(s.answer(t, "order").GetRanking().GetKeys()) != 1 {
				t.Errorf("sent %v, kept %v", s.submitted, s.saved)
			}
		})
	}
}

// TestByKeyboard answers without a mouse: every control is reached by Tab in the order of the
// page, arrows choose on a scale, Enter in a field goes on and does not switch the language.
func TestByKeyboard(t *testing.T) {
	s := newSurvey(short(), "en")
	w := open(t, s, "keyboard", browser.Desktop)
	w.do(chromedp.Navigate(w.url), chromedp.WaitVisible(chromedp.CSS("#q-overall")))
	var order []string
	for range 7 {
		w.do(chromedp.KeyEvent(kb.Tab))
		at, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.activeElement.name + "=" + document.activeElement.value`))
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, at)
		if at == "score.overall=1" {
			w.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
			w.look("focus")
		}
	}
	if want := []string{"=undefined", "go=zh-CN", "score.overall=1", "score.recommend=0", "text.comment=", "go=submit", "go=save"}; !slices.Equal(order, want) {
		t.Errorf("Tab goes by %q, not %q", order, want)
	}
	w.do(chromedp.Focus(chromedp.CSS(`input[name="score.overall"]`)), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("main.thanks")))
	if len(s.submitted) != 1 || s.answer(t, "overall").GetScore() != 3 {
		t.Errorf("sent %v, kept %v", s.submitted, s.saved)
	}
}

// TestFaultsLead: the summary of what lacks has the focus, and its links lead to the controls.
func TestFaultsLead(t *testing.T) {
	w := open(t, newSurvey(short(), "en"), "faults", browser.Phone)
	w.do(chromedp.Navigate(w.url), chromedp.WaitVisible(chromedp.CSS("#q-overall")))
	w.press("submit", ".note.wrong")
	w.focus(".note.wrong")
	w.do(chromedp.KeyEvent(kb.Tab))
	w.focus(`a[href="#a-overall"]`)
	w.do(chromedp.KeyEvent(kb.Enter))
	w.focus("#a-overall")
	w.do(chromedp.KeyEvent(kb.ArrowRight))
	w.focus(`input[name="score.overall"][value="2"]`)
}

// focus waits for the focus to be on something.
func (w *window) focus(on string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(on+":focus"))); err != nil {
		at, _ := chromedp.Run(w.ctx, chromedp.Evaluate[string](`document.activeElement.outerHTML.slice(0, 200)`))
		w.t.Fatalf("the focus is not on %s but on %s at %v", on, at, err)
	}
}

// TestEnds looks at the pages that say one thing.
func TestEnds(t *testing.T) {
	s := newSurvey(short(), "zh-CN")
	w := open(t, s, "ends", browser.Phone)
	for reason, page := range map[string]string{
		"INVITATION_NOT_FOUND": "unknown", "INVITATION_EXPIRED": "expired", "INVITATION_REVOKED": "revoked",
	} {
		s.mu.Lock()
		s.fail = refusal(5, reason)
		s.mu.Unlock()
		w.do(chromedp.Navigate(w.url+"?lang=zh-CN"), chromedp.WaitVisible(chromedp.CSS("main.notice")))
		w.look(page)
	}
}
