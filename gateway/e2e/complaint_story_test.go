package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// way makes a call of the complaint service by somebody, with the request as the contract has it,
// and gives the answer, or the reason of the refusal and its clause.
type way func(t *testing.T, who []string, method string, request object) (answer object, reason, clause string)

// contract finds a method of the complaint service.
func contract(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	service, name, _ := strings.Cut(method, "/")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("kefu.complaint.v1." + service + "." + name))
	if err != nil {
		t.Fatal(err)
	}
	return d.(protoreflect.MethodDescriptor)
}

// overREST calls by the method's binding, as it stands in the contract.
func overREST(s *stack) way {
	return func(t *testing.T, who []string, method string, request object) (object, string, string) {
		t.Helper()
		rule, _ := proto.GetExtension(contract(t, method).Options(), annotations.E_Http).(*annotations.HttpRule)
		left := object{}
		for name, v := range request {
			left[name] = v
		}
		verb, path := "POST", rule.GetPost()
		switch {
		case rule.GetGet() != "":
			verb, path = "GET", rule.GetGet()
		case rule.GetPut() != "":
			verb, path = "PUT", rule.GetPut()
		}
		for _, part := range strings.Split(path, "{")[1:] {
			field, _, _ := strings.Cut(part, "}")
			json := camel(field)
			path = strings.Replace(path, "{"+field+"}", url.PathEscape(fmt.Sprint(left[json])), 1)
			delete(left, json)
		}
		var body any
		switch {
		case rule.GetBody() == "*":
			body = left
		case rule.GetBody() != "":
			body = left[rule.GetBody()]
		case len(left) > 0:
			query := url.Values{}
			for name, v := range left {
				query.Set(name, fmt.Sprint(v))
			}
			path += "?" + query.Encode()
		}
		a := as(t, s, who...).try(verb, path, body)
		if a.code == http.StatusOK {
			return a.body, "", ""
		}
		clause := ""
		for _, d := range a.body.list("details") {
			if c := d.text("metadata", "clause"); c != "" {
				clause = c
			}
		}
		return nil, a.reason, clause
	}
}

// camel is a field's name as JSON has it.
func camel(field string) string {
	words := strings.Split(field, "_")
	for i, w := range words[1:] {
		words[i+1] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, "")
}

// overGRPC calls the complaint service itself.
func overGRPC(s *stack, conn *grpc.ClientConn) way {
	return func(t *testing.T, who []string, method string, request object) (object, string, string) {
		t.Helper()
		m := contract(t, method)
		raw, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		if err := protojson.Unmarshal(raw, in); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if len(who) > 0 {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+s.token(t, who...))
		}
		if err := conn.Invoke(ctx, "/kefu.complaint.v1."+method, in, out); err != nil {
			return nil, reasonOf(err), clauseOf(err)
		}
		if raw, err = protojson.Marshal(out); err != nil {
			t.Fatal(err)
		}
		answer := object{}
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatal(err)
		}
		return answer, "", ""
	}
}

// story is one complaint on its way, told over REST or over gRPC.
type story struct {
	t    *testing.T
	call way
	desk desk
	// head is of the desk, inspector of quality control.
	head, inspector []string
	handler, agent  []string
	customer, id    string
}

var (
	asSupervisor, asManager = role("service-supervisor"), role("service-manager")
	asBoss, asSales         = role("company-manager"), role("sales-manager")
)

// do makes a call about the complaint that must succeed.
func (s *story) do(who []string, method string, request object) object {
	s.t.Helper()
	answer, reason, _ := s.call(s.t, who, method, s.about(method, request))
	if reason != "" {
		s.t.Fatalf("%s by %v: %s", method, who, reason)
	}
	return answer
}

// refused makes a call about the complaint that must not.
func (s *story) refused(who []string, method string, request object, reason, clause string) {
	s.t.Helper()
	if _, got, by := s.call(s.t, who, method, s.about(method, request)); got != reason || by != clause {
		s.t.Errorf("%s by %v: refused with %q by clause %q, want %q by %q", method, who, got, by, reason, clause)
	}
}

// about names the complaint where the contract wants it.
func (s *story) about(method string, request object) object {
	out := object{}
	for name, v := range request {
		out[name] = v
	}
	for _, name := range []protoreflect.Name{"complaint_id", "id"} {
		if contract(s.t, method).Input().Fields().ByName(name) != nil {
			if _, given := out[camel(string(name))]; !given && s.id != "" {
				out[camel(string(name))] = s.id
			}
			break
		}
	}
	return out
}

// reaches makes a move and checks where it leads.
func (s *story) reaches(state string, who []string, method string, request object) object {
	s.t.Helper()
	out := s.do(who, "ComplaintService/"+method, request)
	if out.text("state") != "COMPLAINT_STATE_"+state {
		s.t.Fatalf("after %s it is %s, want %s", method, out.text("state"), state)
	}
	return out
}

// verdicts checks the clocks of a round.
func (s *story) verdicts(round int, want ...string) {
	s.t.Helper()
	var got []string
	for _, c := range s.do(asManager, "ComplaintService/ListComplaintClocks", object{"round": round}).list("clocks") {
		got = append(got, c.text("kind")+" "+strings.TrimPrefix(c.text("state"), "CLOCK_STATE_"))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("clocks of round %d: %v, want %v", round, got, want)
	}
}

// newStory makes the people and a key customer. The complaint service learns the tier from an
// event, so a complaint is made until one is major for it: the last is the story's.
func newStory(t *testing.T, call way) (*story, object) {
	t.Helper()
	s := &story{t: t, call: call, desk: openDesk(t, suite, "DEPARTMENT_FUNCTION_AFTER_SALES")}
	qc := openDesk(t, suite, "DEPARTMENT_FUNCTION_QUALITY_CONTROL")
	s.head, s.handler = staff("after-sales-specialist", s.desk.agent), staff("support-engineer", s.desk.engineer)
	s.agent, s.inspector = staff("service-agent", s.desk.supervisor), staff("qc-inspector", qc.engineer)
	s.customer = newCustomer(t, unique("孙先生")).text("id")
	as(t, suite, role("information-administrator")...).post("/v1/customers/"+s.customer+":setTier",
		object{"tier": "TIER_KEY", "reason": "strategic", "endTime": "2100-01-01T00:00:00Z"})
	var made object
	eventually(t, "the tier of the customer at the complaint desk", func() bool {
		made = s.do(s.agent, "ComplaintService/CreateComplaint", object{"complaint": object{
			"customerId": s.customer, "channel": "CHANNEL_PHONE", "title": "泵漏水", "description": "周一起漏水",
			"category": "CATEGORY_PRODUCT_QUALITY", "demanded": "REMEDY_COMPENSATION",
		}})
		for _, r := range made.list("severityReasons") {
			if r.text("clause") == "complaint.severity-key-customer/1" {
				return true
			}
		}
		return false
	})
	s.id = made.text("id")
	return s, made
}

// TestTheStoryOfAComplaint tells the whole story of a quality complaint of a key customer twice.
func TestTheStoryOfAComplaint(t *testing.T) {
	for name, call := range map[string]way{"REST": overREST(suite), "gRPC": overGRPC(suite, dialAll(t, suite)["complaint"])} {
		t.Run(name, func(t *testing.T) {
			s, made := newStory(t, call)
			s.intake(made)
			s.firstRound()
			s.strangers()
			s.secondRound(made)
			s.assessment()
			s.figures()
		})
	}
}

// status is what the customer learns with the receipt.
func (s *story) status(made object, stage string) {
	s.t.Helper()
	reference, secret := made.text("receipt", "reference"), made.text("receipt", "secret")
	got := s.do(nil, "ComplaintStatusService/GetComplaintStatus", object{"reference": reference, "secret": secret})
	if got.text("stage") != "COMPLAINT_STAGE_"+stage || got.text("promisedTime") == "" || got.text("reference") != made.text("number") {
		s.t.Errorf("the status is %v, want %s", got, stage)
	}
	s.refused(nil, "ComplaintStatusService/GetComplaintStatus", object{"reference": reference, "secret": secret[1:] + "A"},
		"COMPLAINT_STATUS_NOT_FOUND", "")
}

func (s *story) intake(made object) {
	s.t.Helper()
	s.status(made, "RECEIVED")
	s.reaches("SUBMITTED", s.agent, "SubmitComplaint", nil)
	review := object{"category": "CATEGORY_PRODUCT_QUALITY", "quality": "QUALITY_QUALITY", "validAtFirstSight": true, "departmentId": s.desk.department}
	general := object{"severity": "SEVERITY_GENERAL"}
	for name, v := range review {
		general[name] = v
	}
	s.refused(asSupervisor, "ComplaintService/ReviewComplaint", general, "SEVERITY_TOO_LOW", "complaint.severity-key-customer/1")
	if got := s.reaches("REVIEWED", asSupervisor, "ReviewComplaint", review); got.text("severity") != "SEVERITY_MAJOR" {
		s.t.Errorf("reviewed as %s", got.text("severity"))
	}
	s.assign()
}

func (s *story) assign() {
	s.t.Helper()
	eventually(s.t, "the directory's copy at the complaint desk", func() bool {
		_, reason, _ := s.call(s.t, asManager, "ComplaintService/AssignComplaint", object{"id": s.id, "handlerStaffId": s.desk.engineer})
		return reason == ""
	})
}

func proposes(remedy string, amount object) object {
	p := object{"findings": "brittle seal", "cause": "rubber of another lot", "validity": "VALIDITY_ESTABLISHED", "solution": "as agreed", "remedy": remedy}
	if amount != nil {
		p["amount"] = amount
	}
	return object{"proposal": p}
}

// confirm has quality control confirm, without which no solution of a quality complaint is proposed.
func (s *story) confirm(proposal object) {
	s.t.Helper()
	s.refused(s.handler, "ComplaintService/ProposeSolution", proposal, "QUALITY_NOT_CONFIRMED", "complaint.quality-confirmation/1")
	s.do(s.inspector, "InvestigationService/ConfirmQuality", object{
		"inspection": object{"quality": "QUALITY_QUALITY", "cause": "rubber of another lot", "measures": "hold the lot"}})
}

func (s *story) firstRound() {
	s.t.Helper()
	s.refused(s.head, "ComplaintService/RecordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "x"}, "NOT_THE_HANDLER", "complaint.handler/1")
	s.reaches("CONTACTED", s.handler, "RecordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "heard him out"})
	cause := s.do(s.handler, "InvestigationService/GetCauseTree", object{"inUse": true}).list("causes")[0].text("id")
	s.do(s.handler, "InvestigationService/RecordInvestigation", object{"investigation": object{
		"findings": "the seal is brittle", "reason": "seal leaks", "causeId": cause, "consequences": []string{"CONSEQUENCE_LOSS"},
		"whys": []object{{"question": "why does it leak?", "answer": "the seal broke"}}}})
	dear := proposes("REMEDY_COMPENSATION", object{"currencyCode": "CNY", "units": "6000"})
	s.confirm(dear)
	s.responsibility()
	s.reaches("PROPOSED", s.handler, "ProposeSolution", dear)
	s.refused(asManager, "ComplaintService/ApproveSolution", object{"decision": "DECISION_APPROVED"}, "AMOUNT_ABOVE_LIMIT", "complaint.approval-limits/1")
	s.refused(s.handler, "ComplaintService/ApproveSolution", object{"decision": "DECISION_APPROVED"}, "PERMISSION_DENIED", "")
	s.reaches("APPROVED", asBoss, "ApproveSolution", object{"decision": "DECISION_APPROVED"})
	s.do(s.handler, "RemedyService/RecordExecution", object{"reference": "PAY-77"})
	s.reaches("TOLD", s.handler, "TellResult", object{"channel": "CHANNEL_PHONE", "told": "we pay"})
}

// responsibility is proposed by quality control, objected to by the head and determined.
func (s *story) responsibility() {
	s.t.Helper()
	held := object{"reason": "the log is empty", "held": true}
	s.do(s.inspector, "ResponsibilityService/ProposeResponsibility", object{"responsibility": object{
		"kind": "RESPONSIBILITY_KIND_DEPARTMENT", "departmentId": s.desk.department, "grounds": "the lot was not checked"}})
	s.refused(asSales, "ResponsibilityService/DetermineResponsibility", held, "OBJECTION_WINDOW_OPEN", "complaint.objection/1")
	s.refused(asManager, "ResponsibilityService/ObjectResponsibility", object{"reason": "x"}, "NOT_THE_PARTY", "complaint.objection/1")
	s.do(s.head, "ResponsibilityService/ObjectResponsibility", object{"reason": "it was checked"})
	if got := s.do(asSales, "ResponsibilityService/DetermineResponsibility", held); got["inEffect"] != true {
		s.t.Errorf("determined %v", got)
	}
}

// strangers see nothing of the complaint, whatever they ask.
func (s *story) strangers() {
	s.t.Helper()
	other := openDesk(s.t, suite, "DEPARTMENT_FUNCTION_SALES_AND_SUPPLY")
	for _, who := range [][]string{staff("service-agent", other.agent), staff("salesperson", other.engineer), role("service-agent"), {"--role", "customer", "--customer", newCustomer(s.t, unique("李女士")).text("id")}} {
		customer := who[1] == "customer"
		hidden := "COMPLAINT_NOT_FOUND"
		s.refused(who, "ComplaintService/GetComplaint", nil, hidden, "")
		if customer {
			hidden = "PERMISSION_DENIED"
		}
		for _, method := range []string{
			"ComplaintService/ListComplaintContacts", "ComplaintService/ListComplaintTransitions", "ComplaintService/ListComplaintClocks",
			"SeverityService/GetComplaintRepeats", "ResponsibilityService/GetResponsibility", "AssessmentService/ListAssessments",
		} {
			s.refused(who, method, nil, hidden, "")
		}
		if !customer {
			s.refused(who, "ComplaintService/RecordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "x"}, hidden, "")
			if got := s.do(who, "ComplaintReportService/GetComplaintReport", s.period()); len(got.list("groups")) != 0 {
				s.t.Errorf("%v counts %v", who, got)
			}
			for _, d := range s.do(who, "ComplaintReportService/ListDueComplaints", object{"pageSize": 500}).list("due") {
				if d.text("complaintId") == s.id {
					s.t.Errorf("%v sees what is due", who)
				}
			}
		}
	}
}

func (s *story) secondRound(made object) {
	s.t.Helper()
	s.verdicts(1, "documented MET", "reviewed MET", "assigned MET", "contacted MET", "proposed MET", "approved MET", "told MET")
	s.refused(asManager, "ComplaintService/CloseComplaint", nil, "ANSWER_MISSING", "complaint.closing/1")
	answer := object{"satisfaction": "SATISFACTION_UNSATISFIED", "saidBy": "the buyer", "channel": "CHANNEL_PHONE"}
	s.reaches("TOLD", s.handler, "RecordAnswer", answer)
	s.refused(asManager, "ComplaintService/CloseComplaint", nil, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1")
	s.refused(asBoss, "ComplaintService/CloseComplaint", object{"reason": "enough"}, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1")
	s.reaches("REVIEWED", asManager, "NextRound", nil)
	s.status(made, "IN_PROGRESS")
	s.verdicts(2, "assigned RUNNING", "contacted PENDING", "proposed PENDING", "approved PENDING", "told PENDING")
	s.assign()
	s.reaches("CONTACTED", s.handler, "RecordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "wants an apology"})
	sorry := proposes("REMEDY_APOLOGY", nil)
	s.confirm(sorry)
	s.reaches("PROPOSED", s.handler, "ProposeSolution", sorry)
	s.reaches("APPROVED", asManager, "ApproveSolution", object{"decision": "DECISION_APPROVED"})
	s.reaches("TOLD", s.handler, "TellResult", object{"channel": "CHANNEL_PHONE", "told": "we are sorry"})
	s.status(made, "ANSWERED")
	answer["satisfaction"] = "SATISFACTION_SATISFIED"
	s.reaches("TOLD", s.handler, "RecordAnswer", answer)
	if got := s.reaches("CLOSED", asManager, "CloseComplaint", nil); got.text("outcome") != "OUTCOME_SATISFIED" || len(got.list("rounds")) != 2 {
		s.t.Errorf("closed as %v", got)
	}
	s.verdicts(2, "assigned MET", "contacted MET", "proposed MET", "approved MET", "told MET")
	s.status(made, "CLOSED")
}

// assessment is entered, approved by another, appealed, which freezes it, and decided.
func (s *story) assessment() {
	s.t.Helper()
	a := s.do(asSales, "AssessmentService/CreateAssessment", object{"assessment": object{
		"departmentId": s.desk.department, "points": 5, "grounds": "the lot was not checked"}})
	named := object{"complaintId": s.id, "id": a.text("id"), "reason": "as found", "approved": true}
	s.refused(asSales, "AssessmentService/ApproveAssessment", named, "SECOND_PERSON_NEEDED", "")
	if got := s.do(asManager, "AssessmentService/ApproveAssessment", named); got["inEffect"] != true {
		s.t.Errorf("approved %v", got)
	}
	delete(named, "approved")
	if got := s.do(s.head, "AssessmentService/AppealAssessment", named); got["inEffect"] == true {
		s.t.Errorf("appealed %v", got)
	}
	named["upheld"] = true
	if got := s.do(asBoss, "AssessmentService/DecideAssessment", named); got.text("state") != "ASSESSMENT_STATE_UPHELD" || got["inEffect"] != true {
		s.t.Errorf("decided %v", got)
	}
}

// period is that of the story's customer.
func (s *story) period() object {
	now := time.Now().UTC()
	return object{
		"receiveFrom": now.AddDate(0, 0, -2).Format(time.RFC3339), "receiveTo": now.AddDate(0, 0, 2).Format(time.RFC3339), "customerId": s.customer,
	}
}

// figures has the complaint in the report of its customer.
func (s *story) figures() {
	s.t.Helper()
	groups := s.do(asBoss, "ComplaintReportService/GetComplaintReport", s.period()).list("groups")
	if len(groups) != 1 || groups[0].text("satisfied") != "1" || groups[0].text("repeatedRounds") != "1" || len(groups[0].list("stages")) != 8 {
		s.t.Fatalf("the report is %v", groups)
	}
	for _, d := range groups[0].list("deadlines") {
		if d.text("missed") != "" && d.text("missed") != "0" || d.number("onTimeRate") != 1 {
			s.t.Errorf("%s was kept in %v", d.text("kind"), d)
		}
	}
}

// clauseOf is the clause that a refusal over gRPC names.
func clauseOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetMetadata()["clause"]
		}
	}
	return ""
}
