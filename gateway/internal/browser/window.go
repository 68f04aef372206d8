package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Window is a browser in front of pages of ours, used as somebody uses them. Whatever does not
// happen fails the test, with the page that was shown instead.
type Window struct {
	t    testing.TB
	ctx  context.Context
	name string
}

// Open opens a window; its pictures are called by its name. When the test ends the browser
// must have complained of nothing but answers with codes from 400 to 499.
func Open(t testing.TB, name string, before ...chromedp.Action[chromedp.Void]) *Window {
	t.Helper()
	w := &Window{t: t, ctx: New(t), name: name}
	complaints := Complaints(t, w.ctx)
	t.Cleanup(func() {
		for _, c := range complaints() {
			if !strings.Contains(c, "status of 4") {
				t.Errorf("console: %s", c)
			}
		}
	})
	w.Do(before...)
	return w
}

// Do does one thing after the other.
func (w *Window) Do(steps ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	if err := chromedp.Do(w.ctx, steps...); err != nil {
		html, _ := chromedp.Run(w.ctx, chromedp.OuterHTML(chromedp.CSS("html"))) // as far as there is one
		w.t.Fatalf("%v in front of %s", err, strings.Join(strings.Fields(html), " "))
	}
}

// Visit opens an address and waits for something on its page. It leaves the page before, which
// may have the same.
func (w *Window) Visit(url, then string) {
	w.t.Helper()
	w.Do(chromedp.Navigate("about:blank"), chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS(then)))
}

// Press presses the button of a form with that name and value, and waits for something.
func (w *Window) Press(name, value, then string) {
	w.t.Helper()
	w.Do(chromedp.Click(chromedp.CSS(`button[name="`+name+`"][value="`+value+`"]:not([aria-hidden])`)), chromedp.WaitVisible(chromedp.CSS(then)))
}

// Pick chooses an option as a finger does: at its label.
func (w *Window) Pick(name, value string) {
	w.t.Helper()
	w.Do(chromedp.Click(chromedp.CSS(`label:has(> input[name="` + name + `"][value="` + value + `"])`)))
}

// Type types into a field.
func (w *Window) Type(id, text string) {
	w.t.Helper()
	w.Do(chromedp.SendKeys(chromedp.CSS("#"+id), text))
}

// Read gives the text of something.
func (w *Window) Read(selector string) string {
	w.t.Helper()
	text, err := chromedp.Run(w.ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// Focus waits for the focus to be on something.
func (w *Window) Focus(selector string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(selector+":focus"))); err != nil {
		w.t.Fatalf("the focus is not on %s but on %s", selector, w.Eval(`document.activeElement.outerHTML.slice(0, 200)`))
	}
}

// Eval gives the text that an expression has in the page.
func (w *Window) Eval(expression string) string {
	w.t.Helper()
	text, err := chromedp.Run(w.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// Look checks what every page must have, a name for each control and no part beside the
// screen, and takes its picture.
func (w *Window) Look(page string) {
	w.t.Helper()
	nameless, named := Nameless(w.t, w.ctx)
	if len(nameless) > 0 || named == 0 {
		w.t.Errorf("%s: %d with and without a name: %v", page, named, nameless)
	}
	if wide := w.Eval(`document.documentElement.scrollWidth > document.documentElement.clientWidth ? "wide" : ""`); wide != "" {
		w.t.Errorf("%s is wider than the screen", page)
	}
	picture, err := chromedp.Run(w.ctx, chromedp.FullScreenshot(100))
	if err != nil || len(picture) == 0 {
		w.t.Errorf("%s: no picture: %v", page, err)
	}
	Keep(w.t, w.name+"-"+page+".png", picture)
}
