package docs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kefu-suite/kefu/gateway/internal/browser"
)

// TestPageInABrowser opens /docs as a front-end developer does: every operation is
// listed, one opens, and the browser has nothing to complain of (a policy that
// blocked a script or style would be told on the console).
func TestPageInABrowser(t *testing.T) {
	server := httptest.NewServer(Handler())
	t.Cleanup(server.Close)
	ctx := browser.New(t)
	complaints := browser.Complaints(t, ctx)
	resolve := `.opblock-summary-path[data-path="/v1/tickets/{id}:resolve"]`
	if err := chromedp.Do(ctx,
		chromedp.EmulateViewport(1280, 1400),
		chromedp.Navigate(server.URL+"/docs"),
		chromedp.WaitVisible(".opblock-tag-section"),
		chromedp.Evaluate[chromedp.Void](`document.querySelectorAll(".opblock-tag-section:not(.is-open) .opblock-tag").forEach(t => t.click())`),
		chromedp.WaitVisible(resolve),
		chromedp.Click(resolve+" a"),
		chromedp.WaitVisible(".opblock-body .responses-wrapper"),
	); err != nil {
		t.Fatal(err)
	}
	operations, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll(".opblock").length`))
	if err != nil {
		t.Fatal(err)
	}
	opened, err := chromedp.Run(ctx, chromedp.Text(".opblock-body"))
	if err != nil {
		t.Fatal(err)
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	if want := countOperations(t); operations != want {
		t.Errorf("the page lists %d operations, the document has %d", operations, want)
	}
	if !strings.Contains(opened, "TICKET_WRONG_STATE") {
		t.Errorf("the opened operation does not name its errors: %s", opened)
	}
	for _, c := range complaints() {
		t.Errorf("console: %s", c)
	}
	browser.Keep(t, "docs.png", picture)
}

func countOperations(t *testing.T) int {
	t.Helper()
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("the document says it is OpenAPI %s", document.OpenAPI)
	}
	n := 0
	for _, item := range document.Paths {
		for verb := range item {
			if verb != "parameters" {
				n++
			}
		}
	}
	return n
}

func TestDocumentIsNotSentTwice(t *testing.T) {
	first := httptest.NewRecorder()
	Handler().ServeHTTP(first, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	again := httptest.NewRequest(http.MethodGet, "/openapi.json", nil)
	again.Header.Set("If-None-Match", first.Header().Get("ETag"))
	second := httptest.NewRecorder()
	Handler().ServeHTTP(second, again)
	if second.Code != http.StatusNotModified || second.Body.Len() != 0 {
		t.Errorf("%d with %d bytes", second.Code, second.Body.Len())
	}
}

func TestPolicyAllowsNothingInline(t *testing.T) {
	for _, path := range []string{"/docs/", "/docs/init.js", "/docs/swagger-ui.css", "/docs/nothing"} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		csp := w.Header().Get("Content-Security-Policy")
		if csp == "" || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}
