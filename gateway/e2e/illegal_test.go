package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
)

func escape(s string) string { return url.QueryEscape(s) }

// TestEveryIllegalMoveOfATicketIsRefused brings tickets into every state and tries every
// verb there. The table is written from domain.md 3.2, not from the code.
func TestEveryIllegalMoveOfATicketIsRefused(t *testing.T) {
	d := openDesk(t, suite, "DEPARTMENT_FUNCTION_TECHNICAL_SUPPORT")
	customer := newCustomer(t, unique("钱多多")).text("id")
	manager := as(t, suite, role("service-manager")...)
	early := []string{"new", "triaged", "assigned", "in progress", "waiting"}
	legal := map[string][]string{
		"triage": {"new"}, "assign": early, "start": {"assigned"}, "wait": {"in progress"}, "resume": {"waiting"},
		"resolve": {"in progress", "waiting"}, "confirm": {"resolved"}, "reopen": {"resolved", "closed"}, "cancel": early, "merge": early,
	}
	open := func() object {
		return manager.post("/v1/tickets", object{"customerId": customer, "channel": "CHANNEL_EMAIL", "title": "x"})
	}
	other := open().text("id")
	bodies := map[string]object{
		"triage": {"type": "TICKET_TYPE_REPAIR", "priority": "PRIORITY_P3", "departmentId": d.department},
		"assign": {"staffId": d.agent}, "start": {}, "wait": {"waitFor": "WAIT_FOR_THIRD_PARTY", "reason": "r"}, "resume": {},
		"resolve": {"resolution": "r"}, "confirm": {}, "reopen": {"reason": "r"}, "cancel": {"reason": "r"}, "merge": {"intoId": other, "reason": "r"},
	}
	ways := map[string][]string{
		"new": {}, "triaged": {"triage"}, "assigned": {"assign"}, "in progress": {"assign", "start"}, "waiting": {"assign", "start", "wait"},
		"resolved": {"assign", "start", "resolve"}, "closed": {"assign", "start", "resolve", "confirm"}, "cancelled": {"cancel"}, "merged": {"merge"},
	}
	moves := 0
	for state, way := range ways {
		ticket := open()
		at := "/v1/tickets/" + ticket.text("id")
		for _, verb := range way {
			ticket = manager.post(at+":"+verb, bodies[verb])
		}
		for verb, from := range legal {
			if slices.Contains(from, state) {
				continue
			}
			moves++
			manager.refused(http.StatusBadRequest, "TICKET_WRONG_STATE", "POST", at+":"+verb, bodies[verb])
		}
		if after := manager.get(at); after.text("etag") != ticket.text("etag") || after.text("state") != ticket.text("state") {
			t.Errorf("%s: refused moves changed the ticket: %v", state, after)
		}
	}
	if moves != 9*10-24 {
		t.Errorf("%d illegal moves were tried", moves)
	}
}

func TestEveryIllegalMoveOfAComplaintIsRefused(t *testing.T) {
	d := openDesk(t, suite, "DEPARTMENT_FUNCTION_QUALITY_CONTROL")
	customer := newCustomer(t, unique("孙先生")).text("id")
	manager := as(t, suite, role("service-manager")...)
	proposal := object{"findings": "f", "cause": "c", "validity": "VALIDITY_NOT_ESTABLISHED", "remedy": "REMEDY_NONE", "solution": "s"}
	bodies := map[string]object{
		"submit": {}, "assign": {"handlerStaffId": d.engineer},
		"review":        {"category": "CATEGORY_PRICE", "quality": "QUALITY_NON_QUALITY", "severity": "SEVERITY_GENERAL", "departmentId": d.department},
		"recordContact": {"channel": "CHANNEL_PHONE", "twoWay": true, "note": "n"}, "propose": {"proposal": proposal},
		"approve": {"decision": "DECISION_APPROVED"}, "tell": {"channel": "CHANNEL_PHONE", "told": "t"},
		"recordAnswer": {"satisfaction": "SATISFACTION_SATISFIED", "saidBy": "him", "channel": "CHANNEL_PHONE"}, "close": {}, "nextRound": {},
	}
	// Contacts are also logged, without a move, while a solution is under way.
	legal := map[string][]string{
		"submit": {"received"}, "review": {"submitted"}, "assign": {"reviewed", "assigned", "contacted"},
		"recordContact": {"assigned", "contacted", "proposed", "approved", "told"}, "propose": {"contacted"}, "approve": {"proposed"},
		"tell": {"approved"}, "recordAnswer": {"told"}, "close": {"told"}, "nextRound": {"told"},
	}
	order := []struct{ state, verb string }{
		{"received", ""}, {"submitted", "submit"}, {"reviewed", "review"}, {"assigned", "assign"}, {"contacted", "recordContact"},
		{"proposed", "propose"}, {"approved", "approve"}, {"told", "tell"}, {"closed", "close"},
	}
	handler := as(t, suite, staff("support-engineer", d.engineer)...)
	complaint := manager.post("/v1/complaints", object{"customerId": customer, "channel": "CHANNEL_WEB", "title": "x"})
	at := "/v1/complaints/" + complaint.text("id")
	moves := 0
	for _, step := range order {
		switch step.verb {
		case "":
		case "assign":
			eventually(t, "the directory's copy at the complaint desk", func() bool {
				return manager.try("POST", at+":assign", bodies["assign"]).code == http.StatusOK
			})
		case "close":
			manager.post(at+":recordAnswer", bodies["recordAnswer"])
			manager.post(at+":close", object{})
		case "propose":
			handler.post(at+":propose", bodies["propose"])
		default:
			manager.post(at+":"+step.verb, bodies[step.verb])
		}
		before := manager.get(at)
		for verb, from := range legal {
			if slices.Contains(from, step.state) {
				continue
			}
			moves++
			manager.refused(http.StatusBadRequest, "COMPLAINT_WRONG_STATE", "POST", at+":"+verb, bodies[verb])
		}
		if after := manager.get(at); after.text("etag") != before.text("etag") {
			t.Errorf("%s: refused moves changed the complaint: %v", step.state, after)
		}
	}
	if moves != 9*10-16 {
		t.Errorf("%d illegal moves were tried", moves)
	}
}
