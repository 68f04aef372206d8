package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The targets for a person with 10,000 records; with fewer they are met the more.
const (
	exportWithin = 60 * time.Second
	eraseWithin  = 5 * time.Minute
)

// Canaries: what must not stand in any database in plain, and what must be gone when the
// person was erased.
const (
	canaryPhone  = "+8613812349876"
	canaryEmail  = "canary.wang@example.com"
	canaryStreet = "金丝雀路七十七号"
	canaryName   = "金丝雀王大山"
	canaryText   = "金丝雀曾在此诉说"
)

func sealedCanaries() []string {
	return []string{canaryPhone, canaryPhone[3:], canaryEmail, canaryStreet}
}

func allCanaries() []string { return append(sealedCanaries(), canaryName, canaryText) }

// person is somebody with something in every service.
type person struct {
	t        *testing.T
	s        *stack
	customer string
	ticket   string
	request  object // of their creation
	key      string // its Idempotency-Key
}

// TestAPersonIsErased: somebody with data in all services is found by phone though no
// database holds it in plain, gets all of it as one document, is erased while every service is
// killed again and again, and does not come back with a backup of before.
func TestAPersonIsErased(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "stack")
	s, err := start(suite.bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.stop() }) // of a test that failed
	p := newPerson(t, s)
	if found := p.heldBy(sealedCanaries()...); len(found) > 0 {
		t.Errorf("in plain in the databases:\n%s", strings.Join(found, "\n"))
	}
	admin := as(t, s, role("information-administrator")...)
	if got := admin.get("/v1/customerSummaries?query=138-1234-9876"); !strings.Contains(fmt.Sprint(got), p.customer) {
		t.Errorf("search by phone: %v", got)
	}
	p.export()

	backup := filepath.Join(t.TempDir(), "backup")
	restart := func(between func() error) {
		t.Helper()
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if err := between(); err != nil {
			t.Fatal(err)
		}
		if s, err = start(suite.bin, dir); err != nil {
			t.Fatal(err)
		}
		p.s = s
	}
	postgres := filepath.Join(dir, "postgres")
	restart(func() error { return exec.Command("cp", "-a", postgres, backup).Run() })
	p.erase()
	p.gone("after the erasure")
	restart(func() error {
		if err := os.RemoveAll(postgres); err != nil {
			return err
		}
		return exec.Command("cp", "-a", backup, postgres).Run()
	})
	p.gone("after the restore of an older backup")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

func newPerson(t *testing.T, s *stack) *person {
	t.Helper()
	p := &person{t: t, s: s, key: unique("person")}
	crm := as(t, s, role("crm-specialist")...)
	p.request = object{
		"name": canaryName, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON", "phone": canaryPhone,
		"email": canaryEmail, "address": object{"street": canaryStreet}, "tags": []string{canaryText},
	}
	p.customer = crm.do("POST", "/v1/customers", p.request, "Idempotency-Key", p.key).text("id")
	crm.post("/v1/customers/"+p.customer+"/contacts", object{"name": canaryName, "phone": canaryPhone, "email": canaryEmail})
	manager := as(t, s, role("service-manager")...)
	p.ticket = manager.post("/v1/tickets", object{
		"customerId": p.customer, "channel": "CHANNEL_PHONE", "title": canaryText, "description": canaryName + canaryPhone[3:8],
		"reporter": object{"name": canaryName, "phone": canaryPhone, "email": canaryEmail},
	}).text("id")
	manager.post("/v1/tickets/"+p.ticket+"/comments", object{"body": canaryText, "public": true})
	manager.post("/v1/tickets/"+p.ticket+":recordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": canaryText})
	stranger := object{"channel": "CHANNEL_PHONE", "title": canaryText, "reporter": object{"name": canaryName, "phone": canaryPhone}}
	manager.post("/v1/tickets", stranger) // before they were a customer
	manager.post("/v1/complaints", object{
		"customerId": p.customer, "channel": "CHANNEL_PHONE", "title": canaryText, "description": canaryText, "demandedRemedy": canaryText,
	})
	crm.post("/v1/customers/"+p.customer+":setConsent", object{
		"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": true, "channel": "CHANNEL_PHONE", "wordingVersion": "2026-1",
	})
	link := crm.post("/v1/invitations", object{
		"questionnaireId": "01900000-0000-7000-8000-000000000001", "customerId": p.customer,
	}).text("token")
	as(t, s).post("/v1/answers/"+link, object{"responses": []object{
		{"questionKey": "overall", "score": 5}, {"questionKey": "comment", "text": canaryText},
	}})
	p.importTickets()
	return p
}

// importTickets gives the person a past.
func (p *person) importTickets() {
	p.t.Helper()
	admin := as(p.t, p.s, role("information-administrator")...)
	for done := 0; done < subjectTickets; {
		var records []object
		for len(records) < 500 && done < subjectTickets {
			records = append(records, object{
				"externalId": fmt.Sprint(done), "state": "TICKET_STATE_CLOSED", "createTime": "2026-01-05T02:00:00Z",
				"resolveTime": "2026-01-06T02:00:00Z", "closeTime": "2026-01-07T02:00:00Z", "resolution": canaryText,
				"ticket": object{"customerId": p.customer, "channel": "CHANNEL_PHONE", "title": canaryText,
					"reporter": object{"name": canaryName, "phone": canaryPhone}},
			})
			done++
		}
		got := admin.post("/v1/tickets:import", object{"source": "past", "records": records})
		if strings.Contains(fmt.Sprint(got), "IMPORT_OUTCOME_REFUSED") {
			p.t.Fatalf("import: %v", got)
		}
	}
}

// done waits for the end of a request.
func (p *person) done(id string, within time.Duration) object {
	p.t.Helper()
	admin := as(p.t, p.s, role("information-administrator")...)
	for deadline := time.Now().Add(within); ; time.Sleep(200 * time.Millisecond) {
		got := admin.try("GET", "/v1/subjectRequests/"+id, nil) // services may be down
		if got.body.text("state") == "SUBJECT_REQUEST_STATE_DONE" {
			return got.body
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("not done within %v: %d %s", within, got.code, got.raw)
		}
	}
}

func (p *person) export() {
	p.t.Helper()
	themselves := as(p.t, p.s, "--customer", p.customer)
	began := time.Now()
	id := themselves.post("/v1/subjectRequests", object{"kind": "SUBJECT_REQUEST_KIND_EXPORT", "customerId": p.customer}).text("id")
	p.done(id, exportWithin)
	document := themselves.try("GET", "/v1/subjectRequests/"+id+"/document", nil)
	took := time.Since(began)
	records := document.body.list("records")
	p.t.Logf("export of %d records: %v, %d KiB", len(records), took.Round(time.Millisecond), len(document.raw)>>10)
	if len(records) < subjectTickets || took > exportWithin {
		p.t.Errorf("%d records in %v", len(records), took)
	}
	for _, service := range []string{"service-ticket", "complaint", "survey", "customer-registry"} {
		if !slices.ContainsFunc(records, func(r object) bool { return r.text("service") == service }) {
			p.t.Errorf("the document has nothing of %s", service)
		}
	}
	page := themselves.try("GET", "/v1/subjectRequests/"+id+"/document?format=SUBJECT_DOCUMENT_FORMAT_HTML", nil)
	if kind := page.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") || page.header.Get("Content-Security-Policy") == "" {
		p.t.Errorf("the page is %s, with the policy %q", kind, page.header.Get("Content-Security-Policy"))
	}
	for _, text := range []string{canaryPhone[1:], canaryEmail, canaryStreet, canaryName, canaryText} {
		if !strings.Contains(document.raw, text) || !strings.Contains(page.raw, text) {
			p.t.Errorf("the document does not hold %s", text)
		}
	}
	as(p.t, p.s, role("crm-specialist")...).refused(http.StatusForbidden, "PERMISSION_DENIED", "GET", "/v1/subjectRequests/"+id+"/document", nil)
}

// erase asks and approves, and kills services in the middle of it: the one that erases and the
// one that asks it, twice while there are parts left, and all others once.
func (p *person) erase() {
	p.t.Helper()
	id := as(p.t, p.s, "--customer", p.customer).post("/v1/subjectRequests", object{
		"kind": "SUBJECT_REQUEST_KIND_ERASURE", "customerId": p.customer,
	}).text("id")
	began := time.Now()
	as(p.t, p.s, role("information-administrator")...).post("/v1/subjectRequests/"+id+":approve", object{})
	struck := 0
	for after, service := range []string{"service-ticket", "customer-registry"} {
		if p.erased(id, float64(after*partSize)) {
			struck++
			p.kill(service)
		}
	}
	for _, service := range []string{"complaint", "survey"} {
		p.kill(service)
	}
	got := p.done(id, eraseWithin)
	p.t.Logf("erasure, struck %d times between its parts: %v, %v", struck, time.Since(began).Round(time.Millisecond), got["steps"])
	if struck == 0 {
		p.t.Error("it was over before anything could be killed; give the person more tickets")
	}
	for _, step := range got.list("steps") {
		if step["done"] != true {
			p.t.Errorf("the receipt says of %s that it is not done", step.text("service"))
		}
	}
}

// partSize is how many cases are erased at a time.
const partSize = 500

// erased waits until more rows than that are erased, and tells whether there are parts left.
func (p *person) erased(id string, rows float64) bool {
	p.t.Helper()
	admin := as(p.t, p.s, role("information-administrator")...)
	for deadline := time.Now().Add(eraseWithin); time.Now().Before(deadline); {
		got := admin.try("GET", "/v1/subjectRequests/"+id, nil) // services may be down
		if got.code != http.StatusOK {
			continue
		}
		var n float64
		if steps := got.body.list("steps"); len(steps) > 0 {
			_, _ = fmt.Sscan(steps[0].text("records"), &n)
			if steps[0]["done"] == true {
				return false
			}
		}
		if n > rows {
			return true
		}
	}
	return false
}

func (p *person) kill(service string) {
	p.t.Helper()
	st, err := p.s.state()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, program := range st.Programs {
		if program.Name == service && program.PID != 0 {
			_ = syscall.Kill(program.PID, syscall.SIGKILL) // it may have died already
		}
	}
}

// gone asks every service and looks into every database and log.
func (p *person) gone(when string) {
	p.t.Helper()
	if found := p.heldBy(allCanaries()...); len(found) > 0 {
		p.t.Errorf("%s the databases hold:\n%s", when, strings.Join(found, "\n"))
	}
	crm, manager := as(p.t, p.s, role("crm-specialist")...), as(p.t, p.s, role("service-manager")...)
	crm.refused(http.StatusNotFound, "CUSTOMER_NOT_FOUND", "GET", "/v1/customers/"+p.customer, nil)
	crm.refused(http.StatusNotFound, "CUSTOMER_NOT_FOUND", "GET", "/v1/customers/"+p.customer+"/contacts", nil)
	for _, query := range []string{"13812349876", "金丝雀"} {
		if got := crm.get("/v1/customerSummaries?query=" + query); len(got.list("customerSummaries")) > 0 {
			p.t.Errorf("%s the search for %s finds %v", when, query, got)
		}
	}
	ticket := manager.get("/v1/tickets/" + p.ticket)
	if ticket.text("title") != "" || ticket["reporter"] != nil || ticket.text("number") == "" {
		p.t.Errorf("%s the ticket is %v; its number stays and nothing of the person", when, ticket)
	}
	for _, path := range []string{"/v1/tickets?customerId=", "/v1/complaints?customerId=", "/v1/invitations?customerId="} {
		got := fmt.Sprint(manager.get(path + p.customer))
		for _, text := range allCanaries() {
			if strings.Contains(got, text) {
				p.t.Errorf("%s %s holds %s", when, path, text)
			}
		}
	}
	if strings.Contains(when, "erasure") { // the backup is of before the call
		crm.refused(http.StatusConflict, "REQUEST_ID_REUSED", "POST", "/v1/customers", p.request, "Idempotency-Key", p.key)
	}
	for _, folder := range []string{"logs", "erasures"} {
		p.logsHold(filepath.Join(p.s.dir, folder))
	}
}

func (p *person) logsHold(dir string) {
	p.t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 4 {
		p.t.Fatalf("%s has %d files, %v", dir, len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			p.t.Fatal(err)
		}
		for _, text := range allCanaries() {
			if strings.Contains(string(data), text) {
				p.t.Errorf("%s/%s holds %s", dir, f.Name(), text)
			}
		}
	}
}

// heldBy lists the tables of all databases in which one of the texts stands, as text or as
// bytes.
func (p *person) heldBy(texts ...string) []string {
	p.t.Helper()
	var out []string
	for _, service := range []string{"customer-registry", "service-ticket", "complaint", "survey"} {
		conn := p.database(service)
		rows, err := conn.Query(p.t.Context(), `SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%\_goose'`)
		if err != nil {
			p.t.Fatal(err)
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			p.t.Fatal(err)
		}
		for _, table := range tables {
			for _, text := range texts {
				var n int
				query := fmt.Sprintf(`SELECT count(*) FROM %s t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0`, pgx.Identifier{table}.Sanitize())
				if err := conn.QueryRow(p.t.Context(), query, text, fmt.Sprintf("%x", text)).Scan(&n); err != nil {
					p.t.Fatal(err)
				}
				if n > 0 {
					out = append(out, fmt.Sprintf("%s.%s: %s in %d rows", service, table, text, n))
				}
			}
		}
		if err := conn.Close(p.t.Context()); err != nil {
			p.t.Fatal(err)
		}
	}
	return out
}

// database connects as the service does.
func (p *person) database(service string) *pgx.Conn {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.s.dir, "keys", service+".env"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if url, ok := strings.CutPrefix(strings.TrimSpace(line), "KEFU_DATABASE_URL="); ok {
			conn, err := pgx.Connect(p.t.Context(), url)
			if err != nil {
				p.t.Fatal(err)
			}
			return conn
		}
	}
	p.t.Fatalf("%s has no database", service)
	return nil
}
