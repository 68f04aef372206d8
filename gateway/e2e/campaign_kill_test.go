package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

const killedMembers = 600

// languages are those of the customers that imported makes, in turn.
var languages = []string{"zh-CN", "en"}

// imported makes customers who can be reached by mail, and gives their ids by external id.
func imported(t *testing.T, s *stack, source, region string, externalIDs []string) map[string]string {
	t.Helper()
	admin, ids := as(t, s, role("information-administrator")...), map[string]string{}
	for from := 0; from < len(externalIDs); from += 500 {
		var records []object
		for i, id := range externalIDs[from:min(from+500, len(externalIDs))] {
			records = append(records, object{"externalId": id, "customer": object{
				"name": source + " " + id, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_ORGANISATION", "region": region, "email": id + "@" + source + ".example",
				"language": languages[i%2]}})
		}
		for _, made := range admin.post("/v1/customers:import", object{"source": source, "purpose": "an audience to kill at", "records": records}).list("results") {
			if made.text("outcome") != "IMPORT_OUTCOME_CREATED" {
				t.Fatalf("imported %v", made)
			}
			ids[made.text("externalId")] = made.text("id")
		}
	}
	return ids
}

// consenting records the consent to surveys of many, some at a time.
func consenting(t *testing.T, s *stack, customers []string) {
	t.Helper()
	crm, next := as(t, s, role("crm-specialist")...), make(chan string)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for id := range next {
				if a := crm.try("POST", "/v1/customers/"+id+":setConsent", object{
					"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": true, "channel": "CHANNEL_WEB", "wordingVersion": "v1"}); a.code != http.StatusOK {
					t.Errorf("consent of %s: %d %s", id, a.code, a.raw)
				}
			}
		})
	}
	for _, id := range customers {
		next <- id
	}
	close(next)
	all.Wait()
}

// TestACampaignSurvivesKills: the survey service dies twice in the middle of sending and goes on by
// itself; each customer is asked once, and nobody gets a message twice.
func TestACampaignSurvivesKills(t *testing.T) {
	s := startTimed(t, "2027-03-01 09:00")
	source := strings.ToLower(unique("killed"))
	externalIDs := make([]string, killedMembers)
	for i := range externalIDs {
		externalIDs[i] = fmt.Sprintf("k%d", i)
	}
	ids := imported(t, s.stack, source, source, externalIDs)
	customers := make([]string, 0, len(ids))
	for _, id := range ids {
		customers = append(customers, id)
	}
	consenting(t, s.stack, customers)
	crm := as(t, s.stack, role("crm-specialist")...)
	segment := crm.post("/v1/segments", object{"name": source, "condition": object{
		"text": object{"field": "SEGMENT_TEXT_REGION", "values": []string{source}}}}).text("id")
	a := newAsking(t, s.stack, object{
		"segmentId": segment, "startTime": moment(t, "2027-03-01 09:00").Format(time.RFC3339), "channels": []string{"SURVEY_CHANNEL_EMAIL"},
	})
	for _, after := range []int{1, killedMembers / 2} {
		a.killedAfter(after)
	}
	want := fmt.Sprintf("%d %d 0 0 0", killedMembers, killedMembers)
	eventually(t, "the last invitation", func() bool {
		p := crm.try("GET", "/v1/campaigns/"+a.id+"/progress", nil)
		return p.code == http.StatusOK && counted(p.body.object("counts")) == want
	})
	// What was in the driver's hands at a kill is not known to have left, and is not given again.
	s.move(t, "2027-03-01 09:05")
	p := a.reaches(want)
	var left, unconfirmed int
	_, _ = fmt.Sscan(p.text("messages", "left"), &left)               // 0 where there is none
	_, _ = fmt.Sscan(p.text("messages", "unconfirmed"), &unconfirmed) // likewise
	if left+unconfirmed != killedMembers || unconfirmed > 200 {
		t.Errorf("messages %v", p.at("messages"))
	}
	a.askedOnce(ids)
	a.givenOnce(left)
}

// killedAfter kills the service once so many are asked and not all.
func (a *asking) killedAfter(asked int) {
	a.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p := a.crm.try("GET", "/v1/campaigns/"+a.id+"/progress", nil)
		n := 0
		_, _ = fmt.Sscan(p.body.text("counts", "asked"), &n) // 0 before the wave
		if n == killedMembers {
			a.t.Fatal("all were asked before the service was killed")
		}
		if n >= asked {
			killProgram(a.t, a.s, "survey")
			a.t.Logf("killed when %d were asked", n)
			break
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("the campaign does not go on: %s", p.raw)
		}
	}
	eventually(a.t, "an answer of the survey service", func() bool {
		return a.crm.try("GET", "/v1/campaigns/"+a.id, nil).code == http.StatusOK
	})
}

// askedOnce checks that each customer is a member with the one invitation that there is for them.
func (a *asking) askedOnce(ids map[string]string) {
	a.t.Helper()
	members, invitations := a.members(), map[string]int{}
	for token := ""; ; {
		list := a.crm.get("/v1/invitations?pageSize=500" + token)
		for _, invitation := range list.list("invitations") {
			if invitation.text("campaignId") == a.id {
				invitations[invitation.text("customerId")]++
			}
		}
		if token = list.text("nextPageToken"); token == "" {
			break
		}
		token = "&pageToken=" + escape(token)
	}
	for name, id := range ids {
		if invitations[id] != 1 || members[id].text("state") != "MEMBER_STATE_ASKED" {
			a.t.Errorf("%s has %d invitations and is %v", name, invitations[id], members[id])
		}
	}
	if len(invitations) != len(ids) {
		a.t.Errorf("%d customers are asked, want %d", len(invitations), len(ids))
	}
}

// givenOnce checks what the driver wrote into the log of the service.
func (a *asking) givenOnce(left int) {
	a.t.Helper()
	st, err := a.s.state()
	if err != nil {
		a.t.Fatal(err)
	}
	given := map[string]int{}
	for _, p := range st.Programs {
		if p.Name != "survey" {
			continue
		}
		f, err := os.Open(p.Log)
		if err != nil {
			a.t.Fatal(err)
		}
		defer func() { _ = f.Close() }() // only read
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct{ Message, Customer string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message != "" && line.Customer != "" {
				given[line.Customer]++
			}
		}
		if err := lines.Err(); err != nil {
			a.t.Fatal(err)
		}
	}
	for customer, n := range given {
		if n != 1 {
			a.t.Errorf("customer %s got %d messages", customer, n)
		}
	}
	if len(given) < left || len(given) > killedMembers {
		a.t.Errorf("%d messages were given, %d are said to have left", len(given), left)
	}
}
