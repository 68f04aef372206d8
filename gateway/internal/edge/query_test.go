package edge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A time that is none is refused by its name and value, with what would be right, in both
// languages and wherever a call takes one.
func TestAMalformedTimeIsNamed(t *testing.T) {
	routes, err := describe()
	if err != nil {
		t.Fatal(err)
	}
	h := refuseQuery(routes, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	get := func(path, language string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Accept-Language", language)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for path, field := range map[string]string{
		"/v1/tasks?dueBefore=tomorrow":              "dueBefore",
		"/v1/tasks?pageSize=5&due_before=2026-11-2": "dueBefore",
		"/v1/tickets?dueBefore=":                    "dueBefore",
		"/v1/tickets?dueBefore=2026-11-02T09:00:00": "dueBefore",
		// A plus that was not escaped is a blank.
		"/v1/tickets?dueBefore=2026-11-02T09:00:00+08:00": "dueBefore",
	} {
		for language, word := range map[string]string{"en": "give a time as RFC 3339 writes it", "zh-CN": "请按 RFC 3339 填写"} {
			w := get(path, language)
			body := w.Body.String()
			if w.Code != http.StatusBadRequest || !strings.Contains(body, `"VALIDATION_FAILED"`) || !strings.Contains(body, field) ||
				!strings.Contains(body, word) || !strings.Contains(body, "2026-11-02T09:00:00Z") || strings.Contains(body, "2006") {
				t.Errorf("%s in %s: %d %s", path, language, w.Code, body)
			}
		}
	}
	for _, path := range []string{
		"/v1/tasks?dueBefore=2026-11-02T09:00:00Z", "/v1/tasks?dueBefore=2026-11-02T09:00:00.5%2B08:00", "/v1/tasks?pageSize=x", "/v1/nothing?dueBefore=x",
	} {
		if w := get(path, "en"); w.Code != http.StatusNoContent {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := get("/v1/tickets/x?etag=1", "en"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "takes no query parameters") {
		t.Errorf("a query where none is taken: %d %s", w.Code, w.Body)
	}
}

// What is no text of Unicode is the caller's fault, in a parameter and in a path.
func TestATextThatIsNoUnicode(t *testing.T) {
	w := setup(t)
	for _, path := range []string{"/v1/tickets?number=%ff", "/v1/tickets/%ff"} {
		if a := w.call("GET", path, ""); a.code != http.StatusBadRequest {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
}
