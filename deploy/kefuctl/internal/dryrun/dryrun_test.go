package dryrun

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
)

const (
	oneCase = `{"result":{"case":{"number":"T-202611-000001","type":"repair","level":"p3","clocks":[` +
		`{"kind":"resolution","start":1,"tried":{"clauseId":"resolution-c-p3","state":"CLOCK_STATE_MISSED","missedBy":"5400s"},"inEffect":{"clauseId":"resolution-c-p3","state":"CLOCK_STATE_MET"}},` +
		`{"kind":"progress","start":1,"tried":{"state":"CLOCK_STATE_MET"}}]}}}`
	manyCases = oneCase + "\n" + `{"result":{"case":{"type":"repair","level":"p3","clocks":[{"kind":"resolution","tried":{"state":"CLOCK_STATE_MISSED"}},{"kind":"resolution","tried":{"state":"CLOCK_STATE_MET"}},` +
		`{"kind":"resolution","tried":{"state":"CLOCK_STATE_PAUSED"}},{"kind":"resolution","tried":{"state":"CLOCK_STATE_CANCELLED"}},{"kind":"contact","inEffect":{"state":"CLOCK_STATE_MET"}}]}}}` + "\n"
	totals = `{"result":{"totals":{"cases":"7","newlyMissed":"1","tried":{"policyVersion":"2","missed":"1","clauses":[{"clauseId":"resolution-c-p3","missed":"1","worst":"5400s"}]},"inEffect":{"policyVersion":"1","met":"1"},"asOf":"2026-11-02T01:00:00Z"}}}`
	failed = `{"error":{"code":14,"message":"The database cannot be reached.","details":[{"reason":"DEPENDENCY_UNAVAILABLE"}]}}`
)

// ask makes a dry run of what a server answers.
func ask(t *testing.T, code int, answer string, changedOnly ...bool) (string, error) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/ticketPolicies/2:dryRun" || r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("asked %s as %s", r.URL.Path, r.Header.Get("Authorization"))
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(answer))
	}))
	defer srv.Close()
	var out strings.Builder
	err := Do(t.Context(), Request{Base: srv.URL, Token: "t", Policies: "ticketPolicies", Run: &clockv1.DryRunPolicyRequest{Id: "2", ChangedOnly: len(changedOnly) > 0}}, &out)
	return out.String(), err
}

func TestDoWritesWhoWouldHaveMissedAndTheTotals(t *testing.T) {
	got, err := ask(t, http.StatusOK, manyCases+totals+"\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"T-202611-000001", "missed by 1h30m0s", "now met", "7 cases", "1 deadlines newly missed", "version 2, tried", "worst 1h30m0s",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	told, byType, _ := strings.Cut(got, "by type and priority, under version 2")
	if strings.Contains(told, "progress") {
		t.Errorf("a deadline that was met is told:\n%s", got)
	}
	for _, want := range []string{"repair p3 progress 1 0 0 0 100.0 %", "repair p3 resolution 1 2 1 1 33.3 %"} {
		if !strings.Contains(strings.Join(strings.Fields(byType), " "), want) {
			t.Errorf("no %q in\n%s", want, byType)
		}
	}
	if some, err := ask(t, http.StatusOK, manyCases+totals+"\n", true); err != nil || strings.Contains(some, "by type") {
		t.Errorf("of some cases alone: %v\n%s", err, some)
	}
}

func TestDoFailsWithoutTotals(t *testing.T) {
	for _, c := range []struct {
		code         int
		answer, want string
	}{
		{http.StatusOK, oneCase, "before the totals"},
		{http.StatusOK, oneCase + "\n" + failed, "DEPENDENCY_UNAVAILABLE"},
		{http.StatusBadRequest, `{"message":"no","details":[{"reason":"POLICY_INVALID"},{"fieldViolations":[{"field":"policy.name","description":"it is empty"}]}]}`, "policy.name: it is empty"},
		{http.StatusBadGateway, "<html>", "502"},
	} {
		if _, err := ask(t, c.code, c.answer); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.answer, err, c.want)
		}
	}
}
