package edge

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What opens something to whoever has it stands in no log.
func TestCapabilitiesStayOutOfTheLog(t *testing.T) {
	var log bytes.Buffer
	h := record(slog.New(slog.NewJSONHandler(&log, nil)), http.NotFoundHandler())
	for _, path := range []string{"/v1/answers/the-secret", "/s/the-secret", "/v1/complaintStatus/CP-202611-000001/the-secret", "/v1/complaints/shown"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	if said := log.String(); strings.Contains(said, "the-secret") || strings.Count(said, "\n") != 4 || !strings.Contains(said, "/v1/complaints/shown") {
		t.Errorf("the log says %s", said)
	}
}
