package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// desk is a department with the people that the journeys need.
type desk struct {
	department string
	// Staff ids.
	agent, engineer, supervisor string
}

// openDesk makes a department of that function with a head and a colleague.
func openDesk(t *testing.T, s *stack, function string) desk {
	t.Helper()
	admin := as(t, s, role("information-administrator")...)
	d := desk{department: admin.post("/v1/departments", object{
		"code": unique("desk"), "name": object{"zh": "测试部", "en": "Test desk"}, "function": function,
	}).text("id")}
	person := func(name, post string) string {
		return admin.post("/v1/staff", object{"name": name, "departmentId": d.department, "posts": []string{post}}).text("id")
	}
	d.agent, d.engineer = person("李雷", "POST_SERVICE_AGENT"), person("Han Mei", "POST_SUPPORT_ENGINEER")
	d.supervisor = person("赵敏", "POST_SERVICE_SUPERVISOR")
	admin.patch("/v1/departments/"+d.department, object{"headStaffId": d.agent})
	return d
}

func newCustomer(t *testing.T, name string) object {
	t.Helper()
	return as(t, suite, role("crm-specialist")...).post("/v1/customers", object{
		"name": name, "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_PERSON", "phone": "138 0013 8000", "email": "Wang@Example.com",
	})
}

// resolvedTicket walks a ticket of the customer to resolved.
func resolvedTicket(t *testing.T, d desk, customer string) object {
	t.Helper()
	supervisor := as(t, suite, staff("service-supervisor", d.supervisor)...)
	agent := as(t, suite, staff("service-agent", d.agent)...)
	ticket := agent.post("/v1/tickets", object{"customerId": customer, "channel": "CHANNEL_PHONE", "title": "机器不启动"})
	at := "/v1/tickets/" + ticket.text("id")
	if got := ticket.text("state"); got != "TICKET_STATE_NEW" || !strings.HasPrefix(ticket.text("number"), "T-") {
		t.Fatalf("a new ticket is %s with number %q", got, ticket.text("number"))
	}
	// Routes may have brought it to another department.
	as(t, suite, role("service-manager")...).post(at+":triage", object{"type": "TICKET_TYPE_TECHNICAL_PROBLEM", "priority": "PRIORITY_P2", "departmentId": d.department,
		"reason": "it worked before the update"})
	supervisor.post(at+":assign", object{"staffId": d.agent})
	agent.post(at+":start", object{})
	agent.post(at+":wait", object{"waitFor": "WAIT_FOR_CUSTOMER", "reason": "asked for the serial number"})
	agent.post(at+":resume", object{})
	agent.post(at+"/comments", object{"body": "请重启一次", "public": true})
	return agent.post(at+":resolve", object{"resolution": "replaced the power supply"})
}

// invitationFor waits for the invitation that a case caused.
func invitationFor(t *testing.T, filter string) object {
	t.Helper()
	manager := as(t, suite, role("service-manager")...)
	var found object
	eventually(t, "an invitation for "+filter, func() bool {
		if all := manager.get("/v1/invitations?" + filter).list("invitations"); len(all) > 0 {
			found = all[0]
			return true
		}
		return false
	})
	return found
}

// answerWith answers an invitation as a customer with the link would: the first rating
// gets the score, other required questions a plain answer.
func answerWith(t *testing.T, invitation string, score int) (token string) {
	t.Helper()
	token = as(t, suite, role("crm-specialist")...).post("/v1/invitations/"+invitation+":issueLink", object{}).text("token")
	customer := as(t, suite)
	form := customer.get("/v1/answers/" + token)
	var responses []object
	rated := false
	for _, q := range form.list("questionnaire", "questions") {
		switch {
		case q.text("type") == "QUESTION_TYPE_RATING" && !rated:
			responses = append(responses, object{"questionKey": q.text("key"), "score": score})
			rated = true
		case q["required"] == true && q.text("type") == "QUESTION_TYPE_RATING":
			responses = append(responses, object{"questionKey": q.text("key"), "score": 4})
		case q["required"] == true && q.text("type") == "QUESTION_TYPE_NPS":
			responses = append(responses, object{"questionKey": q.text("key"), "score": 8})
		}
	}
	if !rated {
		t.Fatalf("the form asks no rating: %v", form)
	}
	if got := customer.post("/v1/answers/"+token, object{"responses": responses}).text("answerId"); got == "" {
		t.Fatal("the receipt names no answer")
	}
	return token
}

func TestFromTicketToFollowUp(t *testing.T) {
	d := openDesk(t, suite, "DEPARTMENT_FUNCTION_CUSTOMER_SERVICE")
	name := unique("王小明")
	customer := newCustomer(t, name).text("id")
	ticket := resolvedTicket(t, d, customer)
	invitation := invitationFor(t, "ticketId="+ticket.text("id"))
	token := answerWith(t, invitation.text("id"), 1)
	as(t, suite).refused(http.StatusBadRequest, "INVITATION_ANSWERED", "POST", "/v1/answers/"+token, object{})

	manager := as(t, suite, role("service-manager")...)
	var followUp object
	eventually(t, "a follow-up ticket", func() bool {
		for _, c := range manager.get("/v1/tickets?customerId=" + customer).list("tickets") {
			if c.text("type") == "TICKET_TYPE_FOLLOW_UP" {
				followUp = c
				return true
			}
		}
		return false
	})
	evidence := followUp["evidence"]
	if e := object(evidence.(map[string]any)); e.number("score") != 1 || e.text("questionKey") == "" || e.text("answerId") == "" || e.text("ticketId") != ticket.text("id") {
		t.Errorf("the evidence is %v", evidence)
	}

	crm := as(t, suite, role("crm-specialist")...)
	var profile object
	want := []string{"ticket.created.v1", "ticket.triaged.v1", "ticket.assigned.v1", "ticket.started.v1", "ticket.waiting.v1",
		"ticket.resumed.v1", "comment.added.v1", "ticket.resolved.v1", "invitation.created.v1", "answer.received.v1"}
	eventually(t, "a timeline with everything", func() bool {
		profile = crm.get("/v1/customers/" + customer + "/profile?pageSize=100")
		var types []string
		followed := 0
		for _, e := range profile.list("timeline") {
			types = append(types, e.text("type"))
			if e.text("subjectId") == followUp.text("id") {
				followed++
			}
		}
		for _, w := range want {
			if !slices.Contains(types, w) {
				return false
			}
		}
		// One is resolved, the other is the follow-up.
		return followed == 1 && profile.number("summary", "openTickets") == 2
	})
	if profile.number("meanScore") != 1 || profile.number("scores") != 1 {
		t.Errorf("scores: %v", profile)
	}
	for query, found := range map[string]bool{"小明": true, name: true, "+86 138-0013-8000": true, "wang@example.com": true, "13800138001": false} {
		hits := crm.get("/v1/customerSummaries?pageSize=500&query=" + escape(query)).list("customerSummaries")
		if has := slices.ContainsFunc(hits, func(o object) bool { return o.text("customerId") == customer }); has != found {
			t.Errorf("searching %q finds the customer: %v, expected %v", query, has, found)
		}
	}
}

func TestComplaintThroughTwoRounds(t *testing.T) {
	d := openDesk(t, suite, "DEPARTMENT_FUNCTION_AFTER_SALES")
	customer := newCustomer(t, unique("赵女士")).text("id")
	agent := as(t, suite, staff("service-agent", d.agent)...)
	handler := as(t, suite, staff("support-engineer", d.engineer)...)
	manager := as(t, suite, role("service-manager")...)
	complaint := agent.post("/v1/complaints", object{
		"customerId": customer, "channel": "CHANNEL_PHONE", "title": "维修三次仍有故障", "category": "CATEGORY_AFTER_SALES_SERVICE"})
	at := "/v1/complaints/" + complaint.text("id")
	state := func(o object, want string, round float64) {
		t.Helper()
		if o.text("state") != "COMPLAINT_STATE_"+want || o.number("round") != round {
			t.Fatalf("the complaint is %s in round %v, expected %s in round %v", o.text("state"), o.number("round"), want, round)
		}
	}
	clocks(t, manager, at, 1, "documented RUNNING", "reviewed PENDING", "assigned PENDING", "contacted PENDING", "proposed PENDING", "approved PENDING", "told PENDING")
	state(agent.post(at+":submit", object{}), "SUBMITTED", 1)
	state(as(t, suite, role("service-supervisor")...).post(at+":review", object{
		"category": "CATEGORY_AFTER_SALES_SERVICE", "quality": "QUALITY_NON_QUALITY", "severity": "SEVERITY_GENERAL",
		"validAtFirstSight": true, "departmentId": d.department}), "REVIEWED", 1)

	round := func(n float64) {
		t.Helper()
		eventually(t, "the directory's copy at the complaint desk", func() bool {
			return manager.try("POST", at+":assign", object{"handlerStaffId": d.engineer}).code == http.StatusOK
		})
		agent.refused(http.StatusForbidden, "PERMISSION_DENIED", "POST", at+":approve", object{"decision": "DECISION_APPROVED"})
		state(handler.post(at+":recordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "heard her out"}), "CONTACTED", n)
		proposal := object{"findings": "fuse undersized", "cause": "wrong part", "validity": "VALIDITY_ESTABLISHED",
			"remedy": "REMEDY_REPLACEMENT", "solution": "new machine within two days", "amount": object{"currencyCode": "CNY", "units": "400"}}
		state(handler.post(at+":propose", object{"proposal": proposal}), "PROPOSED", n)
		manager.refused(http.StatusBadRequest, "VALIDATION_FAILED", "POST", at+":approve", object{"decision": "DECISION_RETURNED"})
		state(manager.post(at+":approve", object{"decision": "DECISION_RETURNED", "reason": "name the cause"}), "CONTACTED", n)
		state(handler.post(at+":propose", object{"proposal": proposal}), "PROPOSED", n)
		state(manager.post(at+":approve", object{"decision": "DECISION_APPROVED"}), "APPROVED", n)
		state(handler.post(at+":tell", object{"channel": "CHANNEL_PHONE", "told": "explained and apologised"}), "TOLD", n)
	}
	round(1)
	clocks(t, manager, at, 1, "documented MET", "reviewed MET", "assigned MET", "contacted MET", "proposed MET", "told MET", "approved MET")
	if p := manager.get(at + "/clocks"); p.text("promise", "state") != "CLOCK_STATE_MET" || p.text("promise", "clauseId") != "promise-general" {
		t.Errorf("the promise is %v", p["promise"])
	}
	manager.refused(http.StatusBadRequest, "ANSWER_MISSING", "POST", at+":close", object{})
	manager.refused(http.StatusBadRequest, "ANSWER_MISSING", "POST", at+":nextRound", object{})
	// The customer answers the invitation: that is the round's answer.
	invitation := invitationFor(t, "complaintId="+complaint.text("id"))
	answerWith(t, invitation.text("id"), 2)
	eventually(t, "the survey's answer on the complaint", func() bool {
		return manager.get(at).text("answer", "satisfaction") == "SATISFACTION_UNSATISFIED"
	})
	manager.refused(http.StatusBadRequest, "ANSWER_UNSATISFIED", "POST", at+":close", object{})
	state(manager.post(at+":nextRound", object{}), "REVIEWED", 2)
	clocks(t, manager, at, 2, "assigned RUNNING", "contacted PENDING", "proposed PENDING", "approved PENDING", "told PENDING")
	round(2)
	clocks(t, manager, at, 2, "assigned MET", "contacted MET", "proposed MET", "told MET", "approved MET")
	handler.post(at+":recordAnswer", object{"satisfaction": "SATISFACTION_SATISFIED", "saidBy": "the customer herself", "channel": "CHANNEL_PHONE"})
	closed := manager.post(at+":close", object{})
	state(closed, "CLOSED", 2)
	if closed.text("outcome") != "OUTCOME_SATISFIED" || len(closed.list("rounds")) != 2 {
		t.Errorf("closed as %v", closed)
	}
	crm := as(t, suite, role("crm-specialist")...)
	eventually(t, "no open complaint in the summary", func() bool {
		p := crm.get("/v1/customers/" + customer + "/profile")
		return p.number("summary", "openComplaints") == 0 && len(p.list("timeline")) > 10
	})
}

// clocks checks the deadlines of a round of the complaint at a path, each with its owner and
// clause, and that the receipt of each that began adds up.
func clocks(t *testing.T, by *caller, at string, round int, want ...string) {
	t.Helper()
	var got []string
	for _, c := range by.get(fmt.Sprintf("%s/clocks?round=%d", at, round)).list("clocks") {
		state := strings.TrimPrefix(c.text("state"), "CLOCK_STATE_")
		got = append(got, c.text("kind")+" "+state)
		if c.text("owner", "role") == "" || c.text("clauseId") == "" {
			t.Errorf("%s has no owner or clause: %v", c.text("kind"), c)
		}
		if state == "PENDING" {
			continue
		}
		receipt := by.get(at + "/clocks/" + c.text("id") + ":explain")
		if receipt.text("text", "zh") == "" || receipt.text("text", "en") == "" {
			t.Errorf("%s says nothing: %v", c.text("kind"), receipt)
		}
		if due := receipt.text("clock", "dueTime"); due != "" && receipt.text("counted") != receipt.text("clock", "workingTime") {
			t.Errorf("%s counts %s to a target of %s", c.text("kind"), receipt.text("counted"), receipt.text("clock", "workingTime"))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("clocks of round %d: %v, expected %v", round, got, want)
	}
}

// A disputed category is reviewed again: six clocks.
func TestComplaintWhoseCategoryIsDisputed(t *testing.T) {
	d := openDesk(t, suite, "DEPARTMENT_FUNCTION_AFTER_SALES")
	manager := as(t, suite, role("service-manager")...)
	handler := as(t, suite, staff("support-engineer", d.engineer)...)
	at := "/v1/complaints/" + manager.post("/v1/complaints", object{
		"customerId": newCustomer(t, unique("钱先生")).text("id"), "channel": "CHANNEL_EMAIL", "title": "账单有误"}).text("id")
	manager.post(at+":submit", object{})
	manager.post(at+":review", object{
		"category": "CATEGORY_PRICE", "quality": "QUALITY_NON_QUALITY", "severity": "SEVERITY_GENERAL", "departmentId": d.department})
	eventually(t, "the directory's copy at the complaint desk", func() bool {
		return manager.try("POST", at+":assign", object{"handlerStaffId": d.engineer}).code == http.StatusOK
	})
	handler.post(at+":recordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "asked for the bill"})
	handler.post(at+":propose", object{"proposal": object{"findings": "none", "cause": "none", "validity": "VALIDITY_NOT_ESTABLISHED",
		"remedy": "REMEDY_NONE", "solution": "explain the bill"}})
	manager.post(at+":approve", object{"decision": "DECISION_APPROVED"})
	handler.post(at+":tell", object{"channel": "CHANNEL_PHONE", "told": "the bill is right"})
	handler.post(at+":recordAnswer", object{"satisfaction": "SATISFACTION_UNSATISFIED", "saidBy": "the customer", "channel": "CHANNEL_PHONE"})
	manager.post(at+":nextRound", object{"categoryDisputed": true})
	clocks(t, manager, at, 1, "documented MET", "reviewed MET", "assigned MET", "contacted MET", "proposed MET", "told MET", "approved MET")
	clocks(t, manager, at, 2, "reviewed RUNNING", "assigned PENDING", "contacted PENDING", "proposed PENDING", "approved PENDING", "told PENDING")
}
