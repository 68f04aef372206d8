package e2e

import (
	"context"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
)

const (
	other    = "--role service-agent --staff $OTHER"
	agent    = "--role service-agent --staff $AGENT"
	me       = "--customer $ME"
	seller   = "--role salesperson --staff $SELLER"
	manager  = "--role service-manager"
	auditing = "--role auditor"
	tickets  = "kefu.ticket.v1.TicketService/"
	files    = "kefu.customer.v1.CustomerService/"
)

// rightAttacks are by people who are who they say, and want what is not theirs.
func rightAttacks() []attack {
	var out []attack
	for _, rows := range [][]row{colleagues(), roles(), customers()} {
		for _, r := range rows {
			out = append(out, r.attack())
		}
	}
	return append(out, unknownRole(), eventStream())
}

// colleagues want what is another department's.
func colleagues() []row {
	gone := codes.NotFound
	return []row{
		{"a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "GET", "/v1/tickets/$TICKET", "", tickets + "GetTicket", `{"id": "$TICKET"}`, ""},
		{"to resolve a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET:resolve", `{"resolution": "x"}`,
			tickets + "ResolveTicket", `{"id": "$TICKET", "resolution": "x"}`, ""},
		{"to change a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "PATCH", "/v1/tickets/$TICKET", `{"title": "x"}`,
			tickets + "UpdateTicket", `{"ticket": {"id": "$TICKET", "title": "x"}, "updateMask": "title"}`, ""},
		{"the comments of a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "GET", "/v1/tickets/$TICKET/comments", "",
			tickets + "ListComments", `{"ticketId": "$TICKET"}`, ""},
		{"to comment on a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET/comments", `{"body": "x"}`,
			tickets + "CreateComment", `{"ticketId": "$TICKET", "comment": {"body": "x"}}`, ""},
		{"the history of a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "GET", "/v1/tickets/$TICKET/clocks", "",
			tickets + "ListTicketClocks", `{"ticketId": "$TICKET"}`, ""},
		{"a colleague's complaint", "--role after-sales-specialist --staff $OTHER", gone, "COMPLAINT_NOT_FOUND", "GET", "/v1/complaints/$COMPLAINT", "",
			"kefu.complaint.v1.ComplaintService/GetComplaint", `{"id": "$COMPLAINT"}`, ""},
	}
}

// roles want what their role does not have.
func roles() []row {
	denied := codes.PermissionDenied
	return []row{
		{"to approve a solution as an agent", other, denied, "PERMISSION_DENIED", "POST", "/v1/complaints/$COMPLAINT:approve", `{"decision": "DECISION_APPROVED"}`,
			"kefu.complaint.v1.ComplaintService/ApproveSolution", `{"id": "$COMPLAINT", "decision": "DECISION_APPROVED"}`, ""},
		{"to move a deadline as an agent", agent, denied, "PERMISSION_DENIED", "POST", "/v1/tickets/$TICKET:retarget", `{"policyVersion": 1, "reason": "x"}`,
			tickets + "RetargetTicket", `{"id": "$TICKET", "policyVersion": 1, "reason": "x"}`, ""},
		{"to import tickets as an agent", agent, denied, "PERMISSION_DENIED", "POST", "/v1/tickets:import", `{"source": "x", "records": [{}]}`,
			tickets + "ImportTickets", `{"source": "x", "records": [{}]}`, ""},
		{"to import customers as an agent", agent, denied, "PERMISSION_DENIED", "POST", "/v1/customers:import", `{"source": "x", "purpose": "x", "records": [{}]}`,
			files + "ImportCustomers", `{"source": "x", "purpose": "x", "records": [{}]}`, ""},
		{"to set a tier as an agent", agent, denied, "PERMISSION_DENIED", "POST", "/v1/customers/$ME:setTier", `{"tier": "TIER_KEY", "reason": "x"}`,
			files + "SetTier", `{"id": "$ME", "tier": "TIER_KEY", "reason": "x"}`, ""},
		{"to publish a policy as an agent", agent, denied, "PERMISSION_DENIED", "POST", "/v1/ticketPolicies/$NOBODY:publish", `{}`,
			"kefu.clock.v1.TicketPolicyService/PublishPolicy", `{"id": "$NOBODY"}`, ""},
		{"the file of a key customer as an agent", agent, denied, "GRANT_NEEDED", "GET", "/v1/customers/$VICTIM", "", files + "GetCustomer", `{"id": "$VICTIM"}`, ""},
		{"the profile of a key customer as an agent", agent, denied, "GRANT_NEEDED", "GET", "/v1/customers/$VICTIM/profile", "", files + "GetProfile", `{"customerId": "$VICTIM"}`, ""},
		{"the file of a customer as a salesperson", seller, denied, "GRANT_NEEDED", "GET", "/v1/customers/$VICTIM", "", files + "GetCustomer", `{"id": "$VICTIM"}`, ""},
		{"to unmask without a purpose", agent, codes.InvalidArgument, "VALIDATION_FAILED", "POST", "/v1/customers/$ME:unmask", `{"field": "UNMASK_FIELD_PHONE"}`,
			files + "UnmaskCustomer", `{"id": "$ME", "field": "UNMASK_FIELD_PHONE"}`, ""},
		{"to approve one's own request without the role", seller, denied, "PERMISSION_DENIED", "POST", "/v1/accessRequests/$REQUEST:approve", `{}`,
			"kefu.customer.v1.AccessRequestService/ApproveAccessRequest", `{"id": "$REQUEST"}`, ""},
		{"to approve one's own request with the role", "--role sales-manager --role salesperson --staff $SELLER", denied, "SECOND_PERSON_NEEDED",
			"POST", "/v1/accessRequests/$REQUEST:approve", `{}`, "kefu.customer.v1.AccessRequestService/ApproveAccessRequest", `{"id": "$REQUEST"}`, ""},
		{"the audit trail as a manager", manager, denied, "PERMISSION_DENIED", "GET", "/v1/auditRecords?source=service-ticket", "",
			"kefu.audit.v1.AuditService/ListAuditRecords", `{"source": "service-ticket"}`, ""},
		{"to open a ticket as the auditor", auditing, denied, "PERMISSION_DENIED", "POST", "/v1/tickets", aTicket, createTicket, aTicketRPC, ""},
		{"a customer's file as the auditor", auditing, denied, "PERMISSION_DENIED", "GET", "/v1/customers/$ME", "", files + "GetCustomer", `{"id": "$ME"}`, ""},
		{"to open a ticket as a system without the permission", "--service-account erp --permission orders.write", denied, "PERMISSION_DENIED",
			"POST", "/v1/tickets", aTicket, createTicket, aTicketRPC, ""},
		{"to open a ticket as a system named like a role", "--service-account erp --permission service-manager", denied, "PERMISSION_DENIED",
			"POST", "/v1/tickets", aTicket, createTicket, aTicketRPC, ""},
	}
}

// customers want what is another's, and services' methods are nobody else's.
func customers() []row {
	denied, gone := codes.PermissionDenied, codes.NotFound
	return []row{
		{"another customer's file", me, gone, "CUSTOMER_NOT_FOUND", "GET", "/v1/customers/$VICTIM", "", files + "GetCustomer", `{"id": "$VICTIM"}`, ""},
		{"another customer's ticket", me, gone, "TICKET_NOT_FOUND", "GET", "/v1/tickets/$TICKET", "", tickets + "GetTicket", `{"id": "$TICKET"}`, ""},
		{"to cancel another customer's ticket", me, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$FRESH:cancel", `{"reason": "x"}`,
			tickets + "CancelTicket", `{"id": "$FRESH", "reason": "x"}`, ""},
		{"another customer's complaint", me, gone, "COMPLAINT_NOT_FOUND", "GET", "/v1/complaints/$COMPLAINT", "",
			"kefu.complaint.v1.ComplaintService/GetComplaint", `{"id": "$COMPLAINT"}`, ""},
		{"to consent for another customer", me, gone, "CUSTOMER_NOT_FOUND", "POST", "/v1/customers/$VICTIM:setConsent",
			`{"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": false, "channel": "CHANNEL_WEB", "wordingVersion": "1"}`, files + "SetConsent",
			`{"id": "$VICTIM", "purpose": "CONSENT_PURPOSE_SURVEYS", "granted": false, "channel": "CHANNEL_WEB", "wordingVersion": "1"}`, ""},
		{"the list of customers as a customer", me, denied, "PERMISSION_DENIED", "GET", "/v1/customerSummaries", "", files + "ListCustomerSummaries", `{}`, ""},
		{"a method of services as a manager", manager, denied, "PERMISSION_DENIED", "", "", "", files + "ResolveCustomer", `{"id": "$VICTIM"}`, ""},
	}
}

// unknownRole has a role that stands in no table, in a token of the provider's.
func unknownRole() attack {
	token := func(a *attacker) string {
		return newForge(a).claim("kefu_roles", []string{"director", "SERVICE-MANAGER", "*"})
	}
	return attack{name: "roles that are none",
		rest: func(a *attacker) {
			a.rest(http.StatusForbidden, "PERMISSION_DENIED", "POST", "/v1/tickets", aTicket, bearer(token(a))...)
		},
		rpcs: func(a *attacker) {
			a.rpc(codes.PermissionDenied, "PERMISSION_DENIED", createTicket, aTicketRPC, "authorization", "Bearer "+token(a))
		}}
}

// eventStream is of services and of systems with the right.
func eventStream() attack {
	return attack{name: "the stream of events",
		rest: func(a *attacker) {
			a.rest(http.StatusNotFound, "ROUTE_NOT_FOUND", "GET", "/v1/events?source=service-ticket", "", a.credential("Authorization", auditing)...)
		},
		rpcs: func(a *attacker) {
			ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
			defer cancel()
			ctx = metadata.AppendToOutgoingContext(ctx, a.credential("authorization", manager)...)
			stream, err := eventv1.NewEventServiceClient(a.conns["service-ticket"]).StreamEvents(ctx, &eventv1.StreamEventsRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.PermissionDenied || reasonOf(err) != "PERMISSION_DENIED" {
				a.t.Errorf("the stream: %v", err)
			}
		}}
}

// inputAttacks are of somebody who may, and says what makes no sense or is a trap.
func inputAttacks() []attack {
	bad, invalid := codes.InvalidArgument, "VALIDATION_FAILED"
	customer := `{"name": "x", "kind": "CUSTOMER_KIND_AGENT", "party": "PARTY_PERSON", "phone": "` + canaries.sentPhone + `99999", "email": "` + canaries.sentEmail + `@"}`
	rows := []row{
		{"an etag of yesterday", manager, codes.Aborted, "ETAG_MISMATCH", "PATCH", "/v1/tickets/$TICKET", `{"title": "x", "etag": "999"}`,
			tickets + "UpdateTicket", `{"ticket": {"id": "$TICKET", "title": "x", "etag": "999"}, "updateMask": "title"}`, ""},
		{"to write the state", manager, bad, "UPDATE_MASK_INVALID", "PATCH", "/v1/tickets/$TICKET", `{"state": "TICKET_STATE_CLOSED"}`,
			tickets + "UpdateTicket", `{"ticket": {"id": "$TICKET", "state": "TICKET_STATE_CLOSED"}, "updateMask": "state"}`, ""},
		{"to write the number", manager, bad, "UPDATE_MASK_INVALID", "PATCH", "/v1/tickets/$TICKET", `{"number": "T-1"}`,
			tickets + "UpdateTicket", `{"ticket": {"id": "$TICKET", "number": "T-1"}, "updateMask": "number"}`, ""},
		{"a mask of what is no field", manager, bad, "UPDATE_MASK_INVALID", "PATCH", "/v1/tickets/$TICKET?updateMask=nothing", `{"title": "x"}`,
			tickets + "UpdateTicket", `{"ticket": {"id": "$TICKET", "title": "x"}, "updateMask": "nothing"}`, ""},
		{"a move that the table does not have", manager, codes.FailedPrecondition, "TICKET_WRONG_STATE", "POST", "/v1/tickets/$FRESH:confirm", `{}`,
			tickets + "ConfirmTicket", `{"id": "$FRESH"}`, ""},
		{"a title of a novel", manager, bad, invalid, "POST", "/v1/tickets", `{"channel": "CHANNEL_PHONE", "title": "` + long(20000) + `"}`,
			createTicket, `{"ticket": {"channel": "CHANNEL_PHONE", "title": "` + long(20000) + `"}}`, ""},
		{"NUL in a text", manager, bad, invalid, "POST", "/v1/tickets", `{"channel": "CHANNEL_PHONE", "title": "x\u0000y"}`,
			createTicket, `{"ticket": {"channel": "CHANNEL_PHONE", "title": "x\u0000y"}}`, ""},
		{"SQL for an id", manager, bad, invalid, "GET", "/v1/tickets/'%20OR%201=1%20--", "", tickets + "GetTicket", `{"id": "' OR 1=1 --"}`, ""},
		{"SQL for a filter", manager, bad, invalid, "GET", "/v1/tickets?customerId='%20OR%201=1%20--", "", tickets + "ListTickets", `{"customerId": "' OR 1=1 --"}`, ""},
		{"a page of minus one", manager, bad, invalid, "GET", "/v1/tickets?pageSize=-1", "", tickets + "ListTickets", `{"pageSize": -1}`, ""},
		{"a page of everything", manager, bad, invalid, "GET", "/v1/tickets?pageSize=1000000", "", tickets + "ListTickets", `{"pageSize": 1000000}`, ""},
		{"a page token that was made up", manager, bad, invalid, "GET", "/v1/tickets?pageToken=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "",
			tickets + "ListTickets", `{"pageToken": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, ""},
		{"a request id of a novel", manager, bad, invalid, "POST", "/v1/tickets/$TICKET:start", `{"requestId": "` + long(200) + `"}`,
			tickets + "StartTicket", `{"id": "$TICKET", "requestId": "` + long(200) + `"}`, ""},
		{"a channel that is none", manager, bad, invalid, "POST", "/v1/tickets", `{"channel": "CHANNEL_TELEPATHY", "title": "x"}`,
			createTicket, `{"ticket": {"channel": 999, "title": "x"}}`, "BODY_INVALID"},
		{"a customer with data that is refused", "--role crm-specialist", bad, invalid, "POST", "/v1/customers", customer,
			files + "CreateCustomer", `{"customer": ` + customer + `}`, ""},
		{"a survey link that was guessed", "", codes.NotFound, "INVITATION_NOT_FOUND", "GET", "/v1/answers/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "",
			"kefu.survey.v1.AnswerService/GetAnswerForm", `{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, ""},
		{"an answer to a link that was guessed", "", codes.NotFound, "INVITATION_NOT_FOUND", "POST", "/v1/answers/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
			`{"responses": [{"questionKey": "overall", "score": 1}]}`, "kefu.survey.v1.AnswerService/SubmitAnswer",
			`{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "responses": [{"questionKey": "overall", "score": 1}]}`, ""},
	}
	out := make([]attack, 0, len(rows)+1)
	for _, r := range rows {
		out = append(out, r.attack())
	}
	reused := attack{name: "a request id with another body",
		rest: func(a *attacker) {
			a.rest(http.StatusConflict, "REQUEST_ID_REUSED", "POST", "/v1/tickets", aTicket,
				append(a.credential("Authorization", manager), "Idempotency-Key", "attack-fresh")...)
		},
		rpcs: func(a *attacker) {
			a.rpc(codes.AlreadyExists, "REQUEST_ID_REUSED", createTicket,
				`{"ticket": {"channel": "CHANNEL_PHONE", "title": "other"}, "requestId": "attack-fresh"}`, a.credential("authorization", manager)...)
		}}
	return append(out, reused, borrowedPage())
}

// borrowedPage gives the page token of one caller to another, and to another list.
func borrowedPage() attack {
	return attack{name: "a page token of somebody else",
		rest: func(a *attacker) {
			token := as(a.t, a.s, role("service-manager")...).get("/v1/tickets?pageSize=1").text("nextPageToken")
			if token == "" {
				a.t.Fatal("there is no second page")
			}
			a.rest(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/tickets?pageSize=1&pageToken="+escape(token), "", a.credential("Authorization", agent)...)
			a.rest(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/tickets?pageSize=1&customerId=$ME&pageToken="+escape(token), "", a.credential("Authorization", manager)...)
			a.rest(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/complaints?pageSize=1&pageToken="+escape(token), "", a.credential("Authorization", manager)...)
			a.rpc(codes.InvalidArgument, "VALIDATION_FAILED", tickets+"ListTickets", `{"pageSize": 1, "pageToken": "`+token+`"}`, a.credential("authorization", agent)...)
		}}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}
