package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
)

const (
	intakes   = "kefu.ticket.v1.IntakeService/"
	inspector = "--role qc-inspector --staff $OTHER"
	admin     = "--role information-administrator"
	crm       = "--role crm-specialist"

	// canaryQuestionnaire is one that is there from the start.
	canaryQuestionnaire = "01900000-0000-7000-8000-000000000001"
)

// openDoors makes what is open without login, or by a secret of its own, and gives its names.
func openDoors(t *testing.T, s *stack, me string) []string {
	t.Helper()
	keeper, desk, manager := as(t, s, role("information-administrator")...), as(t, s, role("crm-specialist")...), as(t, s, role("service-manager")...)
	made := manager.post("/v1/complaints", object{"customerId": me, "channel": "CHANNEL_PHONE", "title": "y"})
	desk.post("/v1/customers/"+me+":setConsent", object{"purpose": "CONSENT_PURPOSE_SURVEYS", "granted": true, "channel": "CHANNEL_PHONE", "wordingVersion": "1"})
	link := desk.post("/v1/invitations", object{"questionnaireId": canaryQuestionnaire, "customerId": me}).text("token")
	secret := keeper.post("/v1/connectors", object{"code": "attacked", "channel": "CHANNEL_CHAT"}).text("secret")
	off := keeper.post("/v1/connectors", object{"code": "switched-off", "channel": "CHANNEL_CHAT"})
	keeper.post("/v1/connectors/"+off.text("connector", "id")+":switch", object{"off": true})
	sheet := keeper.post("/v1/customerImports", object{"source": "attack", "purpose": "attacked", "format": "SHEET_FORMAT_CSV", "onExisting": "ON_EXISTING_SKIP",
		"columns": []object{{"field": "name", "heading": "name"}, {"field": "kind", "value": "agent"}, {"field": "party", "value": "person"}}}).text("id")
	if secret == "" || link == "" || off.text("secret") == "" || made.text("receipt", "secret") == "" {
		t.Fatal("something has no secret")
	}
	return []string{"$REFERENCE", made.text("receipt", "reference"), "$RECEIPT", made.text("receipt", "secret"), "$LINK", link,
		"$CONNECTOR", secret, "$OFF", off.text("secret"), "$SHEET", sheet, "$MINE", made.text("id")}
}

// surfaceAttacks are on what is open without login, and on what came to the suite late.
func surfaceAttacks() []attack {
	var out []attack
	for _, rows := range [][]row{guesses(), outOfPlace(), notTheirs()} {
		for _, r := range rows {
			out = append(out, r.attack())
		}
	}
	return append(append(out, signatures()...), formPass(), bulkBeyondReach(), watchers(), answerPage(), uploads())
}

// guesses are at links, receipts, passes and signatures.
func guesses() []row {
	bad, gone, denied := codes.InvalidArgument, codes.NotFound, codes.PermissionDenied
	const looked = "kefu.complaint.v1.ComplaintStatusService/GetComplaintStatus"
	form := `{"pass": "AAAA", "title": "x", "reporter": {"name": "x", "email": "x@attack.example"}}`
	message := `{"messageId": "m-1", "timestamp": "1", "signature": "` + strings.Repeat("0", 64) + `", "payload": "{}"}`
	return []row{
		{"a complaint's secret that was guessed", "", gone, "COMPLAINT_STATUS_NOT_FOUND", "GET", "/v1/complaintStatus/$REFERENCE/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "",
			looked, `{"reference": "$REFERENCE", "secret": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`, ""},
		{"a complaint's secret under another reference", "", gone, "COMPLAINT_STATUS_NOT_FOUND", "GET", "/v1/complaintStatus/CP-202611-999999/$RECEIPT", "",
			looked, `{"reference": "CP-202611-999999", "secret": "$RECEIPT"}`, ""},
		{"a receipt renewed by an agent of elsewhere", "--role after-sales-specialist --staff $OTHER", denied, "PERMISSION_DENIED", "POST", "/v1/complaints/$COMPLAINT:renewReceipt", "{}",
			"kefu.complaint.v1.ComplaintReceiverService/RenewReceipt", `{"id": "$COMPLAINT"}`, ""},
		{"a pass for the contact form that was made up", "", bad, "CONTACT_FORM_PASS_INVALID", "POST", "/v1/contactForm", form, intakes + "SubmitContactForm", form, ""},
		{"a message that nobody signed", "", denied, "SIGNATURE_INVALID", "POST", "/v1/inbound/attacked", message,
			intakes + "ReceiveMessage", strings.Replace(message, "{", `{"connector": "attacked", `, 1), ""},
		{"a message of a connector that is none", "", denied, "SIGNATURE_INVALID", "POST", "/v1/inbound/nobodys", message,
			intakes + "ReceiveMessage", strings.Replace(message, "{", `{"connector": "nobodys", `, 1), ""},
		{"progress under a link that was guessed", "", gone, "INVITATION_NOT_FOUND", "POST", "/v1/answers/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:save",
			`{"responses": [{"questionKey": "overall", "score": 1}]}`, "kefu.survey.v1.AnswerService/SaveAnswerProgress",
			`{"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "responses": [{"questionKey": "overall", "score": 1}]}`, ""},
		{"a publication of hotlines that is none", "", gone, "HOTLINE_PUBLICATION_NOT_FOUND", "GET", "/v1/hotlinePublication?version=99", "",
			"kefu.ticket.v1.HotlineService/GetHotlinePublication", `{"version": 99}`, ""},
	}
}

// outOfPlace want what their role does not have.
func outOfPlace() []row {
	denied := codes.PermissionDenied
	no := func(name, who, verb, path, body, method, rpcs string) row {
		return row{name, who, denied, "PERMISSION_DENIED", verb, path, body, method, rpcs, ""}
	}
	campaign := `{"questionnaireId": "$NOBODY", "segmentId": "$NOBODY"}`
	return []row{
		{"hotlines published without login", "", codes.Unauthenticated, "TOKEN_MISSING", "POST", "/v1/hotlines:publish", `{"reason": "x"}`,
			"kefu.ticket.v1.HotlineService/PublishHotlines", `{"reason": "x"}`, ""},
		no("hotlines published by an agent", agent, "POST", "/v1/hotlines:publish", `{"reason": "x"}`, "kefu.ticket.v1.HotlineService/PublishHotlines", `{"reason": "x"}`),
		no("a connector of an agent's own", agent, "POST", "/v1/connectors", `{"code": "mine", "channel": "CHANNEL_CHAT"}`, intakes+"CreateConnector", `{"connector": {"code": "mine", "channel": "CHANNEL_CHAT"}}`),
		no("the secret of a connector for a customer", me, "POST", "/v1/connectors/$NOBODY:rotate", `{}`, intakes+"RotateConnectorSecret", `{"id": "$NOBODY"}`),
		no("the open cases of a phone as a customer", me, "GET", "/v1/openCases?phone="+canaries.phone, "", intakes+"FindOpenCases", `{"phone": "`+canaries.phone+`"}`),
		no("who is calling as a manager", manager, "POST", "/v1/callers:lookup", `{"number": "`+canaries.sentPhone+`"}`, "kefu.customer.v1.CallerService/LookupCaller", `{"number": "`+canaries.sentPhone+`"}`),
		no("a campaign of an agent's", agent, "POST", "/v1/campaigns", campaign, "kefu.survey.v1.CampaignService/CreateCampaign", `{"campaign": {}}`),
		no("the members of a campaign as an agent", agent, "GET", "/v1/campaigns/$NOBODY/members", "", "kefu.survey.v1.CampaignService/ListCampaignMembers", `{"id": "$NOBODY"}`),
		no("the members of a segment as an agent", agent, "GET", "/v1/segments/$NOBODY/members", "", "kefu.customer.v1.SegmentService/ListSegmentMembers", `{"id": "$NOBODY"}`),
		no("answers in words as a manager", manager, "GET", "/v1/questionnaires/$NOBODY/answers", "", "kefu.survey.v1.QuestionnaireService/ListAnswers", `{"questionnaireId": "$NOBODY"}`),
		no("an answer thrown out by a manager", manager, "POST", "/v1/questionnaires/$NOBODY/answers/$NOBODY:judge", `{"verdict": "ANSWER_VERDICT_EXCLUDE", "reason": "x"}`,
			"kefu.survey.v1.CleaningService/JudgeAnswer", `{"questionnaireId": "$NOBODY", "answerId": "$NOBODY", "verdict": "ANSWER_VERDICT_EXCLUDE", "reason": "x"}`),
		no("many tickets at once as a customer", me, "POST", "/v1/tickets:bulk", `{"ids": ["$TICKET"], "cancel": {"reason": "x"}}`,
			"kefu.ticket.v1.BulkService/BulkTickets", `{"ids": ["$TICKET"], "cancel": {"reason": "x"}}`),
		no("an exception from the standard as an agent", agent, "POST", "/v1/standardExceptions", `{"customerId": "$ME", "tier": "TIER_KEY", "reason": "x"}`,
			"kefu.ticket.v1.StandardService/SetStandardException", `{"exception": {"customerId": "$ME"}}`),
		no("who receives complaints as an agent", agent, "POST", "/v1/complaintReceivers:designate", `{"receiverStaffId": "$AGENT"}`,
			"kefu.complaint.v1.ComplaintReceiverService/SetComplaintReceivers", `{"receivers": {"receiverStaffId": "$AGENT"}}`),
		no("responsibility determined by quality control", inspector, "POST", "/v1/complaints/$COMPLAINT/responsibility:determine", `{"reason": "x", "held": true}`,
			"kefu.complaint.v1.ResponsibilityService/DetermineResponsibility", `{"complaintId": "$COMPLAINT", "reason": "x", "held": true}`),
		no("severity rules of an agent's", agent, "POST", "/v1/severityPolicies", `{"note": "x"}`, "kefu.complaint.v1.SeverityService/PublishSeverityPolicy", `{"policy": {}}`),
		no("a strategic customer by the CRM", crm, "POST", "/v1/customers/$ME/standing:mark", `{"strategic": true, "strategicReason": "x"}`,
			"kefu.customer.v1.TierService/MarkCustomer", `{"customerId": "$ME", "strategic": true, "strategicReason": "x"}`),
		no("a warranty put into effect by who wrote it", admin, "POST", "/v1/warrantyPolicies/$NOBODY:publish", `{}`, "kefu.customer.v1.WarrantyService/PublishWarrantyPolicy", `{"id": "$NOBODY"}`),
		no("all files as a table for an agent", agent, "POST", "/v1/customers:export", `{"format": "SHEET_FORMAT_CSV", "purpose": "x"}`, "", ""),
		no("a legal hold by the CRM", crm, "POST", "/v1/legalHolds", `{"customerId": "$ME", "reason": "x"}`, "kefu.customer.v1.SubjectRequestService/CreateLegalHold", `{"customerId": "$ME", "reason": "x"}`),
		no("access granted by the information administrator", admin, "POST", "/v1/accessRequests/$REQUEST:approve", `{}`,
			"kefu.customer.v1.AccessRequestService/ApproveAccessRequest", `{"id": "$REQUEST"}`),
		no("a sheet of customers by an agent", agent, "POST", "/v1/customerImports/$SHEET:run", `{}`, "kefu.customer.v1.CustomerImportService/RunCustomerImport", `{"id": "$SHEET"}`),
		no("the stream of a segment for a manager", manager, "", "", "", "kefu.customer.v1.CustomerService/ResolveCustomer", `{"id": "$ME"}`),
	}
}

// notTheirs want what is another's.
func notTheirs() []row {
	gone, denied := codes.NotFound, codes.PermissionDenied
	return []row{
		{"the story of a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "GET", "/v1/tickets/$TICKET/timeline", "", "kefu.ticket.v1.DeskService/ListTimeline", `{"ticketId": "$TICKET"}`, ""},
		{"to watch a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET/watchers", `{"staffId": "$OTHER"}`,
			"kefu.ticket.v1.WorkService/AddWatcher", `{"ticketId": "$TICKET", "staffId": "$OTHER"}`, ""},
		{"a task on a colleague's ticket", other, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET/tasks", `{"title": "x", "dueTime": "2100-01-01T00:00:00Z", "ownerStaffId": "$OTHER"}`,
			"kefu.ticket.v1.TaskService/CreateTask", `{"ticketId": "$TICKET", "task": {"title": "x", "dueTime": "2100-01-01T00:00:00Z", "ownerStaffId": "$OTHER"}}`, ""},
		{"to hand a colleague's ticket on", other, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET:transfer", `{"departmentId": "$NOBODY", "reason": "x"}`,
			"kefu.ticket.v1.QueueService/TransferTicket", `{"id": "$TICKET", "departmentId": "$NOBODY", "reason": "x"}`, ""},
		{"a colleague's status", other, denied, "PERMISSION_DENIED", "POST", "/v1/staff/$AGENT:setStatus", `{"status": "STAFF_STATUS_AWAY"}`,
			"kefu.ticket.v1.OrganisationService/SetStaffStatus", `{"id": "$AGENT", "status": "STAFF_STATUS_AWAY"}`, ""},
		{"an escalation of another customer's ticket", me, gone, "TICKET_NOT_FOUND", "POST", "/v1/tickets/$TICKET/escalations", `{"reason": "x"}`,
			"kefu.ticket.v1.StandardService/RequestEscalation", `{"ticketId": "$TICKET", "reason": "x"}`, ""},
		{"all that is held on another customer", me, gone, "CUSTOMER_NOT_FOUND", "POST", "/v1/subjectRequests", `{"kind": "SUBJECT_REQUEST_KIND_EXPORT", "customerId": "$VICTIM"}`,
			"kefu.customer.v1.SubjectRequestService/CreateSubjectRequest", `{"kind": "SUBJECT_REQUEST_KIND_EXPORT", "customerId": "$VICTIM"}`, ""},
		{"another customer erased", me, gone, "CUSTOMER_NOT_FOUND", "POST", "/v1/subjectRequests", `{"kind": "SUBJECT_REQUEST_KIND_ERASURE", "customerId": "$VICTIM"}`,
			"kefu.customer.v1.SubjectRequestService/CreateSubjectRequest", `{"kind": "SUBJECT_REQUEST_KIND_ERASURE", "customerId": "$VICTIM"}`, ""},
		{"a change of another customer's file reported", me, gone, "CUSTOMER_NOT_FOUND", "POST", "/v1/changeReports", `{"customerId": "$VICTIM", "customer": {"region": "x"}, "updateMask": "region"}`,
			"kefu.customer.v1.ChangeReportService/CreateChangeReport", `{"changeReport": {"customerId": "$VICTIM", "customer": {"region": "x"}, "updateMask": "region"}}`, ""},
		{"the assessment of somebody else's complaint", "--role after-sales-specialist --staff $OTHER", gone, "COMPLAINT_NOT_FOUND", "GET", "/v1/complaints/$COMPLAINT/assessments", "",
			"kefu.complaint.v1.AssessmentService/ListAssessments", `{"complaintId": "$COMPLAINT"}`, ""},
		{"a complaint of another customer reopened", me, gone, "COMPLAINT_NOT_FOUND", "POST", "/v1/complaints/$COMPLAINT:reopen", `{"note": "x", "channel": "CHANNEL_WEB"}`,
			"kefu.complaint.v1.ComplaintService/ReopenComplaint", `{"id": "$COMPLAINT", "note": "x", "channel": "CHANNEL_WEB"}`, ""},
		{"a bulk of more than may be", manager, codes.InvalidArgument, "VALIDATION_FAILED", "POST", "/v1/tickets:bulk", `{"ids": [` + many(501) + `], "cancel": {"reason": "x"}}`,
			"kefu.ticket.v1.BulkService/BulkTickets", `{"ids": [` + many(501) + `], "cancel": {"reason": "x"}}`, ""},
	}
}

func many(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf(`"01890a5d-ac96-774b-bcce-%012d"`, i)
	}
	return strings.Join(ids, ",")
}

// signatures are of messages as they were not sent.
func signatures() []attack {
	const payload = `{"threadId": "t", "text": "x"}`
	var out []attack
	for _, c := range []struct {
		name, connector, secret, signed, sent string
		late                                  time.Duration
	}{
		{"a message with another text under its signature", "attacked", "$CONNECTOR", payload, `{"threadId": "t", "text": "y"}`, 0},
		{"a message of an hour ago", "attacked", "$CONNECTOR", payload, payload, time.Hour},
		{"a message of in an hour", "attacked", "$CONNECTOR", payload, payload, -time.Hour},
		{"a message signed with another connector's secret", "attacked", "$OFF", payload, payload, 0},
		{"a message of a connector that is switched off", "switched-off", "$OFF", payload, payload, 0},
	} {
		request := func(a *attacker) object {
			at := time.Now().Add(-c.late).Unix()
			return object{"messageId": "m-1", "timestamp": fmt.Sprint(at), "payload": c.sent, "signature": signature(a.ids.Replace(c.secret), "m-1", at, c.signed)}
		}
		text := func(a *attacker, o object) string {
			raw, err := json.Marshal(o)
			if err != nil {
				a.t.Fatal(err)
			}
			return string(raw)
		}
		out = append(out, attack{name: c.name,
			rest: func(a *attacker) {
				a.rest(http.StatusForbidden, "SIGNATURE_INVALID", "POST", "/v1/inbound/"+c.connector, text(a, request(a)))
			},
			rpcs: func(a *attacker) {
				o := request(a)
				o["connector"] = c.connector
				a.rpc(codes.PermissionDenied, "SIGNATURE_INVALID", intakes+"ReceiveMessage", text(a, o))
			}})
	}
	return out
}

// formPass sends the contact form sooner than anybody writes, and looks at another's case by it.
func formPass() attack {
	return attack{name: "the contact form filled in at once", rest: func(a *attacker) {
		pass := as(a.t, a.s).get("/v1/contactForm").text("pass")
		a.rest(http.StatusBadRequest, "CONTACT_FORM_PASS_INVALID", "POST", "/v1/contactForm",
			`{"pass": "`+pass+`", "title": "x", "reporter": {"name": "x", "email": "x@attack.example"}}`)
	}}
}

// signature is that of a connector.
func signature(secret, messageID string, at int64, payload string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%s.%d.%s", messageID, at, payload) // a hash never fails
	return hex.EncodeToString(mac.Sum(nil))
}

// bulkBeyondReach has a colleague's ticket among the many: it is told of as one that is not there.
func bulkBeyondReach() attack {
	return attack{name: "a colleague's ticket among many", rest: func(a *attacker) {
		got := as(a.t, a.s, strings.Fields(a.ids.Replace(other))...).post("/v1/tickets:bulk",
			object{"ids": []string{a.ids.Replace("$TICKET"), nobodysID}, "cancel": object{"reason": "x"}})
		for _, result := range got.list("results") {
			if why := result.list("refusals"); len(why) != 1 || why[0].text("reason") != "TICKET_NOT_FOUND" {
				a.t.Errorf("of %s it is answered %v", result.text("id"), result)
			}
		}
		if len(got.list("results")) != 2 || got.number("done") != 0 {
			a.t.Errorf("it is answered %v", got)
		}
	}}
}

// watchers listen to what is not theirs to hear.
func watchers() attack {
	return attack{name: "the live stream of tickets",
		rest: func(a *attacker) {
			a.rest(http.StatusUnauthorized, "TOKEN_MISSING", "GET", "/v1/tickets:watch", "")
			for _, who := range []string{me, auditing, seller} {
				a.rest(http.StatusForbidden, "PERMISSION_DENIED", "GET", "/v1/tickets:watch", "", a.credential("Authorization", who)...)
			}
			a.rest(http.StatusBadRequest, "VALIDATION_FAILED", "GET", "/v1/tickets:watch?afterPosition=-1", "", a.credential("Authorization", manager)...)
		},
		rpcs: func(a *attacker) {
			for _, who := range []string{me, auditing, seller} {
				ctx := metadata.AppendToOutgoingContext(a.t.Context(), a.credential("authorization", who)...)
				stream, err := ticketv1.NewDeskServiceClient(a.conns["service-ticket"]).WatchTickets(ctx, &ticketv1.WatchTicketsRequest{})
				if err == nil {
					_, err = stream.Recv()
				}
				if status.Code(err) != codes.PermissionDenied || reasonOf(err) != "PERMISSION_DENIED" {
					a.t.Errorf("%s: %v", who, err)
				}
			}
		}}
}

// answerPage is the page behind a survey link, which has no login.
func answerPage() attack {
	return attack{name: "the page behind a link", rest: func(a *attacker) {
		form := []string{"Content-Type", "application/x-www-form-urlencoded"}
		guess := "/s/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		for _, c := range []struct {
			code             int
			verb, path, body string
			headers          []string
		}{
			{404, "GET", guess, "", nil},
			{404, "POST", guess, "go=submit&score.overall=1", form},
			{404, "GET", "/s/%ff%fe", "", nil},
			{400, "GET", "/s/../v1/tickets", "", nil},
			{403, "POST", "/s/$LINK", "go=submit&score.overall=1", append([]string{"Sec-Fetch-Site", "cross-site"}, form...)},
			{403, "POST", "/s/$LINK", "go=submit&score.overall=1", append([]string{"Sec-Fetch-Site", "same-site"}, form...)},
			{413, "POST", "/s/$LINK", "go=save&text.comment=" + long(1<<20), form},
			{415, "POST", "/s/$LINK", `{"responses": [{"questionKey": "overall", "score": 1}]}`, nil},
			{405, "DELETE", "/s/$LINK", "", nil},
			{405, "PUT", "/s/$LINK", "go=submit", form},
		} {
			if got, _ := a.answers(c.verb, c.path, c.body, c.headers...); got != c.code {
				a.t.Errorf("%s %s %v: answered %d, expected %d", c.verb, c.path, c.headers, got, c.code)
			}
		}
	}}
}

// uploads are of files, which are larger than other bodies may be.
func uploads() attack {
	return attack{name: "a file uploaded where it does not belong", rest: func(a *attacker) {
		csv := []string{"Content-Type", "text/csv"}
		for _, c := range []struct {
			code                        int
			reason, who, verb, path, to string
			headers                     []string
		}{
			{401, "TOKEN_MISSING", "", "POST", "/v1/customerImports/$SHEET:upload", "name\nx\n", csv},
			{403, "PERMISSION_DENIED", agent, "POST", "/v1/customerImports/$SHEET:upload", "name\nx\n", csv},
			{403, "PERMISSION_DENIED", me, "POST", "/v1/customerImports/$SHEET:upload", "name\nx\n", csv},
			{404, "CUSTOMER_IMPORT_NOT_FOUND", admin, "POST", "/v1/customerImports/$NOBODY:upload", "name\nx\n", csv},
			{415, "CONTENT_TYPE_UNSUPPORTED", admin, "POST", "/v1/customerImports/$SHEET:upload", "{}", nil},
			{405, "METHOD_NOT_ALLOWED", admin, "PUT", "/v1/customerImports/$SHEET:upload", "name\nx\n", csv},
			{400, "BODY_INVALID", admin, "POST", "/v1/customerImports/$SHEET:upload?to=/etc/passwd", "name\nx\n", csv},
			{400, "VALIDATION_FAILED", admin, "POST", "/v1/customerImports/..%20x:upload", "name\nx\n", csv},
		} {
			a.rest(c.code, c.reason, c.verb, c.path, c.to, append(a.credential("Authorization", c.who), c.headers...)...)
		}
	}}
}
