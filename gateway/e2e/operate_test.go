package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestStopAndStartAgain: what was there is there again, kill -9 in between included.
func TestStopAndStartAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stack")
	s, err := start(suite.bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	manager := as(t, s, role("service-manager")...)
	ticket := manager.post("/v1/tickets", object{"channel": "CHANNEL_WEB", "title": "still here?"})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if s, err = start(suite.bin, dir); err != nil {
		t.Fatal(err)
	}
	if got := as(t, s, role("service-manager")...).get("/v1/tickets/" + ticket.text("id")); got.text("title") != "still here?" {
		t.Errorf("after a stop and start: %v", got)
	}
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if s, err = start(suite.bin, dir); err != nil {
		t.Fatal(err)
	}
	if got := as(t, s, role("service-manager")...).get("/v1/tickets/" + ticket.text("id")); got.text("number") != ticket.text("number") {
		t.Errorf("after kill -9 and start: %v", got)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestAServiceThatDiesComesBack: the stack starts it again, and its calls go on.
func TestAServiceThatDiesComesBack(t *testing.T) {
	manager := as(t, suite, role("service-manager")...)
	ticket := manager.post("/v1/tickets", object{"channel": "CHANNEL_WEB", "title": "survivor"})
	killProgram(t, suite, "service-ticket")
	eventually(t, "an answer of the service that was killed", func() bool {
		return manager.try("GET", "/v1/tickets/"+ticket.text("id"), nil).code == http.StatusOK
	})
}

// killProgram ends every replica of a program as kill -9 does.
func killProgram(t *testing.T, s *stack, name string) {
	t.Helper()
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Programs {
		if p.Name != name {
			continue
		}
		process, err := os.FindProcess(p.PID)
		if err == nil {
			err = process.Kill()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestDemoTwice: samples through the public API; a second run changes nothing.
func TestDemoTwice(t *testing.T) {
	demo := func() string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, filepath.Join(suite.bin, "kefuctl"), "demo", "--dir", suite.dir).CombinedOutput()
		if err != nil {
			t.Fatalf("kefuctl demo: %v\n%s", err, out)
		}
		return string(out)
	}
	row := regexp.MustCompile(`(?m)^ *(customers|contacts|orders|tickets|complaints) +(\d+) +(\d+) +(\d+) +(\d+)$`)
	for run, column := range []int{3, 4} { // all new, then all there already
		out := demo()
		rows := row.FindAllStringSubmatch(out, -1)
		if len(rows) != 5 {
			t.Fatalf("run %d prints no summary:\n%s", run+1, out)
		}
		for _, r := range rows {
			if r[2] == "0" || r[column] != r[2] || r[5] != "0" {
				t.Errorf("run %d: %s sent %s, new %s, there already %s, refused %s", run+1, r[1], r[2], r[3], r[4], r[5])
			}
		}
	}
}

// TestNoPersonalDataInLogs: a phone and an e-mail that went through every service stand
// in no log line, also not those of refused calls.
func TestNoPersonalDataInLogs(t *testing.T) {
	crm := as(t, suite, role("crm-specialist")...)
	manager := as(t, suite, role("service-manager")...)
	canary := strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	phone, email := "13912345678", canary+"@canary.example"
	customer := crm.post("/v1/customers", object{"name": unique("金丝雀"), "kind": "CUSTOMER_KIND_AGENT", "party": "PARTY_PERSON", "phone": phone, "email": email})
	crm.get("/v1/customerSummaries?query=" + phone)
	crm.get("/v1/customerSummaries?query=" + escape(email))
	crm.refused(http.StatusBadRequest, "VALIDATION_FAILED", "POST", "/v1/customers", object{"name": "x", "phone": phone + "99999999", "email": email + "@"})
	manager.post("/v1/tickets", object{"customerId": customer.text("id"), "channel": "CHANNEL_WEB", "title": "x", "reporter": object{"name": "n", "phone": phone, "email": email}})
	manager.refused(http.StatusBadRequest, "VALIDATION_FAILED", "POST", "/v1/tickets", object{"channel": "CHANNEL_WEB", "title": "x", "reporter": object{"phone": phone + "99999999"}})
	st, err := suite.state()
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, p := range st.Programs {
		log, err := os.ReadFile(p.Log)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(log, []byte("\n"))
		for _, secret := range []string{phone, "39123456", canary} {
			if i := bytes.Index(log, []byte(secret)); i >= 0 {
				t.Errorf("%s-%d logged %q: %s", p.Name, p.Replica, secret, log[max(0, i-200):min(len(log), i+100)])
			}
		}
	}
	if lines == 0 {
		t.Error("nothing was logged at all")
	}
}

// TestRotateMasterKeys: while the suite works; what was encrypted before is read and found
// as before.
func TestRotateMasterKeys(t *testing.T) {
	crm := as(t, suite, role("crm-specialist")...)
	customer := crm.post("/v1/customers", object{
		"name": "换钥匙", "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON", "phone": "+8613800990077",
	})
	keys := func(verb string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), filepath.Join(suite.bin, "kefuctl"), "--dir", suite.dir, "keys", verb).CombinedOutput()
		if err != nil {
			t.Fatalf("keys %s: %v\n%s", verb, err, out)
		}
		return string(out)
	}
	if out := keys("rotate"); strings.Count(out, "the master key is now") != 4 {
		t.Errorf("rotate:\n%s", out)
	}
	if out := keys("status"); strings.Contains(out, "to be replaced") || strings.Count(out, "secret") != 4 {
		t.Errorf("status:\n%s", out)
	}
	if got := crm.get("/v1/customers/" + customer.text("id")); got.text("phone") != "+8613800990077" {
		t.Errorf("after the rotation: %v", got)
	}
	if got := crm.get("/v1/customerSummaries?query=13800990077"); !strings.Contains(fmt.Sprint(got), customer.text("id")) {
		t.Errorf("search after the rotation: %v", got)
	}
	second := crm.post("/v1/customers", object{
		"name": "换钥匙之后", "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON", "phone": "+8613800990078",
	})
	if got := crm.get("/v1/customers/" + second.text("id")); got.text("phone") != "+8613800990078" {
		t.Errorf("created after the rotation: %v", got)
	}
}
