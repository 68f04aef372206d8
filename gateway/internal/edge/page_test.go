package edge

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kefu-suite/kefu/runtime/authn"
)

const linked = "/s/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// TestThePageIsForNobody: whatever credentials a browser sends, the survey service gets a
// call of someone unknown, with the address that it counts by.
func TestThePageIsForNobody(t *testing.T) {
	w := setup(t)
	for _, headers := range [][]string{{"Authorization", ""}, {"Authorization", "Bearer x"}, {"Cookie", "a=b"}} {
		if a := w.call("GET", linked, "", headers...); a.code != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Fatalf("%v: %d %s", headers, a.code, a.body)
		} else if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" ||
			!strings.Contains(a.header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Errorf("headers %v", a.header)
		}
		who, err := w.gateway.Verify(strings.Join(w.meta.Get(authn.GatewayKey), ""))
		if err != nil || who.Kind != authn.Public {
			t.Errorf("%v: the gateway vouches for %+v (%v)", headers, who, err)
		}
		if got := strings.Join(w.meta.Get("x-forwarded-for"), "|"); got != "127.0.0.1" {
			t.Errorf("%v: the address is told as %q", headers, got)
		}
		if strings.Join(append(w.meta.Get("authorization"), w.meta.Get("cookie")...), "") != "" || w.until.IsZero() {
			t.Errorf("%v: metadata %v until %v", headers, w.meta, w.until)
		}
	}
}

func TestThePageIsBounded(t *testing.T) {
	w := setup(t)
	const form = "application/x-www-form-urlencoded"
	before := w.calls
	if a := w.call("POST", linked, "go=save&q="+strings.Repeat("x", 1<<20), "Content-Type", form); a.code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large form: %d", a.code)
	}
	if a := w.call("POST", linked, `{"go":"save"}`); a.code != http.StatusUnsupportedMediaType {
		t.Errorf("JSON: %d", a.code)
	}
	if a := w.call("DELETE", linked, ""); a.code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: %d", a.code)
	}
	if w.calls != before {
		t.Errorf("%d calls went through", w.calls-before)
	}
}

// TestLinksStayOutOfLogs: whoever reads the log cannot answer in a customer's place.
func TestLinksStayOutOfLogs(t *testing.T) {
	var log bytes.Buffer
	h := record(slog.New(slog.NewJSONHandler(&log, nil)), http.NotFoundHandler())
	for _, path := range []string{linked, linked + "?lang=en", "/v1/answers/aaaaaaaaaaaaaaaaaaaaaa", "/v1/answers/aaaaaaaaaaaaaaaaaaaaaa:save"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	if text := log.String(); strings.Contains(text, "aaaa") || !strings.Contains(text, `"/s/…"`) || strings.Count(text, "\n") != 4 {
		t.Errorf("logged %s", text)
	}
}
