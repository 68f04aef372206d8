package surveypage

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// TestFaultsLead: the focus is on the list of what lacks, and its links lead to the questions.
func TestFaultsLead(t *testing.T) {
	url, w := serve(t, newSurvey(short(), "en")), browser.Open(t, "faults", browser.Desktop)
	w.Visit(url, "#q-overall")
	w.Press("go", "submit", ".note.wrong")
	w.Focus(`.note.wrong a[href="#q-overall"]`)
	w.Do(chromedp.KeyEvent(kb.Enter))
	w.Focus("#q-overall")
	w.Do(chromedp.KeyEvent(kb.Tab))
	w.Focus("#a-overall")
	w.Do(chromedp.KeyEvent(kb.ArrowRight))
	w.Focus(`input[name="score.overall"][value="2"]`)
}
