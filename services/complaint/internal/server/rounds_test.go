package server_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

func TestARegisteredComplaintIsReadBackAsItWasGiven(t *testing.T) {
	w := newWorld(t)
	in := w.sample()
	in.SeverityFacts = []complaintv1.SeverityFact{complaintv1.SeverityFact_SEVERITY_FACT_LEGAL}
	in.ProductModel, in.AccusedStaffId = "P-1", w.staff["tech3"].String()
	in.State, in.Round, in.Number = complaint.Closed, 7, "CP-0"
	c := w.create(func(c *complaintv1.Complaint) { proto.Merge(c, in) })
	want := proto.Clone(in).(*complaintv1.Complaint)
	want.Id, want.Number, want.State, want.Round, want.Etag = c.GetId(), "CP-202611-000001", complaint.Received, 1, "1"
	want.PolicyVersion, want.SeverityPolicyVersion = 1, 1
	want.SeverityReasons = []*complaintv1.SeverityReason{{
		Clause: "complaint.severity-legal/1", TextEn: "legal action is possible", TextZh: "存在法律风险",
	}}
	want.CreateTime, want.UpdateTime = c.GetCreateTime(), c.GetCreateTime()
	want.Rounds = []*complaintv1.Round{{Number: 1, StartTime: c.GetCreateTime()}}
	want.Purchase = &complaintv1.Purchase{Verdict: complaintv1.PurchaseVerdict_PURCHASE_VERDICT_NOT_CHECKED, CheckTime: c.GetCreateTime()}
	if c.GetReceipt().GetSecret() == "" || c.GetReceipt().GetReference() != c.GetNumber() {
		t.Errorf("receipt %v", c.GetReceipt())
	}
	c.Receipt = nil // told once
	if diff := cmp.Diff(want, c, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if !c.GetCreateTime().AsTime().Equal(w.Clock.Now()) {
		t.Errorf("received at %v", c.GetCreateTime().AsTime())
	}
	if diff := cmp.Diff(c, w.get("manager", c.GetId()), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

// The whole way: a proposal returned, an unsatisfied answer, a second round by another
// handler, a satisfied one.
func TestTwoRoundsToASatisfiedCustomer(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	start := w.Clock.Now()
	c := w.create(nil)
	id := c.GetId()
	w.Clock.Advance(time.Hour)
	do(w.client.SubmitComplaint(w.as("agent"), &complaintv1.SubmitComplaintRequest{Id: id, Reason: "documented", Etag: "1"}))
	w.Clock.Advance(time.Hour)
	c = do(w.client.ReviewComplaint(w.as("supervisor"), w.review(id)))
	if c.GetQuality() != complaintv1.Quality_QUALITY_NON_QUALITY || c.GetSeverity() != complaintv1.Severity_SEVERITY_GENERAL || c.GetDepartmentId() != w.afterSales.String() {
		t.Errorf("reviewed as %v", c)
	}
	w.Clock.Advance(time.Hour)
	c = do(w.client.AssignComplaint(w.as("head"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech"].String()}))
	if c.GetHandlerStaffId() != w.staff["tech"].String() || c.GetRounds()[0].GetHandlerStaffId() != c.GetHandlerStaffId() {
		t.Errorf("assigned to %q", c.GetHandlerStaffId())
	}
	do(w.client.RecordContact(w.as("tech"), contact(id)))
	w.on(c, complaint.Proposed, "tech")
	c = do(w.client.ApproveSolution(w.as("supervisor"), &complaintv1.ApproveSolutionRequest{
		Id: id, Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "look closer",
	}))
	if c.GetState() != complaint.Contacted || c.GetProposal().GetDecision() != complaintv1.Decision_DECISION_RETURNED || c.GetProposal().GetDecisionReason() != "look closer" {
		t.Errorf("returned to %v with %v", c.GetState(), c.GetProposal())
	}
	c = do(w.client.ProposeSolution(w.as("tech"), proposal(id, 400)))
	if c.GetProposal().GetDecision() != 0 || c.GetProposal().GetAmount().GetUnits() != 400 || c.GetProposal().GetProposerStaffId() != w.staff["tech"].String() {
		t.Errorf("proposed again %v", c.GetProposal())
	}
	c = w.on(c, complaint.Told, "tech")
	if got := c.GetRounds()[0]; got.GetTold() != "we repair it" || got.GetProposal().GetApproverStaffId() != w.staff["supervisor"].String() {
		t.Errorf("told %v", got)
	}
	w.Clock.Advance(24 * time.Hour)
	answered := w.Clock.Now()
	c = do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	if c.GetState() != complaint.Told || c.GetAnswer().GetSatisfaction() != unsatisfied || c.GetAnswer().GetSaidBy() != "the customer" {
		t.Errorf("answered %v", c.GetAnswer())
	}
	w.Clock.Advance(time.Hour)
	c = do(w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id, Reason: "still leaks"}))
	if c.GetState() != complaint.Reviewed || c.GetRound() != 2 || c.GetHandlerStaffId() != "" || c.GetProposal() != nil || c.GetAnswer() != nil || len(c.GetRounds()) != 2 {
		t.Errorf("round 2 begins as %v", c)
	}
	if got := c.GetRounds()[1]; !got.GetStartTime().AsTime().Equal(answered) || !got.GetReviewTime().AsTime().Equal(answered) || !c.GetRounds()[0].GetStartTime().AsTime().Equal(start) {
		t.Errorf("round 2 is %v", got)
	}
	c = w.on(c, complaint.Closed, "tech2")
	if c.GetOutcome() != complaintv1.Outcome_OUTCOME_SATISFIED || c.GetCloseTime() == nil || c.GetRounds()[0].GetAnswer().GetSatisfaction() != unsatisfied {
		t.Errorf("closed as %v", c)
	}
	if diff := cmp.Diff(c, w.get("manager", id), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	w.checkHistory(id)
	var types []string
	for _, e := range w.Events(t) {
		if e.GetSubjectId() == id {
			types = append(types, e.GetType()[len("complaint."):])
		}
	}
	want := []string{"received.v1", "submitted.v1", "reviewed.v1", "assigned.v1", "contacted.v1", "proposed.v1", "returned.v1",
		"proposed.v1", "approved.v1", "told.v1", "answered.v1", "reopened.v1", "assigned.v1", "contacted.v1", "proposed.v1",
		"approved.v1", "told.v1", "answered.v1", "closed.v1"}
	if !slices.Equal(types, want) {
		t.Errorf("events %v", types)
	}
}

// checkHistory replays what is recorded of a complaint, and compares it with what is
// stored and with the events.
func (w *world) checkHistory(id string) {
	w.t.Helper()
	c := w.get("manager", id)
	var history []complaint.Recorded
	for token := ""; ; {
		resp := must[*complaintv1.ListComplaintTransitionsResponse](w)(w.client.ListComplaintTransitions(w.as("manager"),
			&complaintv1.ListComplaintTransitionsRequest{ComplaintId: id, PageSize: 4, PageToken: token}))
		for _, line := range resp.GetTransitions() {
			history = append(history, complaint.Recorded{
				Version: line.GetVersion(), Verb: line.GetVerb(), From: line.GetFrom(), To: line.GetTo(), Round: line.GetRound(),
			})
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	state, round, err := complaint.Replay(history)
	if err != nil || state != c.GetState() || round != c.GetRound() {
		w.t.Errorf("history of %s leads to %v in round %d, %v; stored is %v in round %d", id, state, round, err, c.GetState(), c.GetRound())
	}
	version := int64(0)
	for _, e := range w.Events(w.t) {
		if e.GetSubjectId() != id {
			continue
		}
		version++
		payload := &complaintv1.ComplaintChanged{}
		if err := e.GetPayload().UnmarshalTo(payload); err != nil {
			w.t.Fatal(err)
		}
		line := history[version-1]
		if e.GetSubjectVersion() != version || payload.GetStateBefore() != line.From || payload.GetStateAfter() != line.To ||
			payload.GetRound() != line.Round || payload.GetNumber() != c.GetNumber() || e.GetCustomerId() != c.GetCustomerId() {
			w.t.Errorf("event %v tells %v, history %v", e, payload, line)
		}
	}
	if version != int64(len(history)) {
		w.t.Errorf("%d events of %d moves", version, len(history))
	}
}

func TestAContactIsTwoWayOrThreeAttemptsOnTwoChannels(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	c := w.to(complaint.Assigned)
	id := c.GetId()
	try := func(channel typev1.Channel) *complaintv1.Complaint {
		return do(w.client.RecordContact(w.as("tech"), &complaintv1.RecordContactRequest{Id: id, Channel: channel, Note: "no answer"}))
	}
	for range 3 {
		if c = try(typev1.Channel_CHANNEL_PHONE); c.GetState() != complaint.Assigned {
			t.Fatalf("attempts on one channel lead to %v", c.GetState())
		}
	}
	if c = try(typev1.Channel_CHANNEL_EMAIL); c.GetState() != complaint.Contacted || c.GetRounds()[0].GetContactTime() == nil {
		t.Fatalf("attempts on two channels lead to %v", c.GetState())
	}
	// Another handler begins anew.
	c = do(w.client.AssignComplaint(w.as("head"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech2"].String(), Reason: "ill"}))
	if c.GetRounds()[0].GetContactTime() != nil {
		t.Error("the new handler starts with a contact")
	}
	c = do(w.client.RecordContact(w.as("tech2"), &complaintv1.RecordContactRequest{Id: id, Channel: typev1.Channel_CHANNEL_SMS, Note: "wrote"}))
	if c.GetState() != complaint.Assigned {
		t.Errorf("attempts of the handler before count: %v", c.GetState())
	}
	do(w.client.RecordContact(w.as("tech2"), contact(id)))
	c = do(w.client.RecordContact(w.as("tech2"), contact(id)))
	if c.GetState() != complaint.Contacted {
		t.Errorf("a further contact moves to %v", c.GetState())
	}
	first := must[*complaintv1.ListComplaintContactsResponse](w)(w.client.ListComplaintContacts(w.as("tech2"),
		&complaintv1.ListComplaintContactsRequest{ComplaintId: id, PageSize: 4}))
	rest := must[*complaintv1.ListComplaintContactsResponse](w)(w.client.ListComplaintContacts(w.as("tech2"),
		&complaintv1.ListComplaintContactsRequest{ComplaintId: id, PageSize: 4, PageToken: first.GetNextPageToken()}))
	all := append(first.GetContacts(), rest.GetContacts()...)
	if len(all) != 7 || rest.GetNextPageToken() != "" || all[0].GetNote() != "no answer" || !all[6].GetTwoWay() || all[4].GetStaffId() != w.staff["tech2"].String() {
		t.Errorf("contacts %v", all)
	}
	types := map[string]int{}
	for _, e := range w.Events(t) {
		types[e.GetType()]++
	}
	if types["complaint.attempted.v1"] != 5 || types["complaint.contacted.v1"] != 2 {
		t.Errorf("events %v", types)
	}
	w.checkHistory(id)
}

func TestADisputedCategoryIsReviewedAgain(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	c := w.to(complaint.Told)
	id := c.GetId()
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	c = do(w.client.NextRound(w.as("agent"), &complaintv1.NextRoundRequest{Id: id, CategoryDisputed: true}))
	if c.GetState() != complaint.Submitted || c.GetRounds()[1].GetReviewTime() != nil || c.GetRounds()[1].GetSubmitTime() == nil {
		t.Errorf("disputed: %v", c)
	}
	w.on(c, complaint.Closed, "tech")
	w.checkHistory(id)
}

func TestTheCompanyManagerEndsAfterTwoRounds(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	c := w.to(complaint.Told)
	id := c.GetId()
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	_, err := w.client.CloseComplaint(w.as("boss"), &complaintv1.CloseComplaintRequest{Id: id, Reason: "enough"})
	w.refused("after one round", err, 9, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1")
	c = do(w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id}))
	w.on(c, complaint.Told, "tech")
	do(w.client.RecordAnswer(w.as("tech"), answer(id, unsatisfied)))
	_, err = w.client.CloseComplaint(w.as("manager"), &complaintv1.CloseComplaintRequest{Id: id, Reason: "enough"})
	w.refused("by the service manager", err, 9, "ANSWER_UNSATISFIED", "complaint.ending-unsatisfied/1")
	_, err = w.client.CloseComplaint(w.as("boss"), &complaintv1.CloseComplaintRequest{Id: id})
	w.refused("without reason", err, 3, "VALIDATION_FAILED", "")
	c = do(w.client.CloseComplaint(w.as("boss"), &complaintv1.CloseComplaintRequest{Id: id, Reason: "enough"}))
	if c.GetOutcome() != complaintv1.Outcome_OUTCOME_ENDED_UNSATISFIED || c.GetCloseReason() != "enough" {
		t.Errorf("ended as %v", c)
	}
	w.checkHistory(id)
}

func TestFromRoundThreeSomebodyElseHandles(t *testing.T) {
	w := newWorld(t)
	do := must[*complaintv1.Complaint](w)
	c := w.create(nil)
	id := c.GetId()
	// tech begins round 1 and tech2 finishes it; both have handled it.
	w.on(c, complaint.Assigned, "tech")
	c = do(w.client.AssignComplaint(w.as("head"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff["tech2"].String()}))
	for range 2 {
		w.on(c, complaint.Told, "tech2")
		do(w.client.RecordAnswer(w.as("tech2"), answer(id, unsatisfied)))
		c = do(w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: id}))
	}
	for _, earlier := range []string{"tech", "tech2"} {
		_, err := w.client.AssignComplaint(w.as("head"), &complaintv1.AssignComplaintRequest{Id: id, HandlerStaffId: w.staff[earlier].String()})
		w.refused(earlier, err, 9, "HANDLER_OF_EARLIER_ROUND", "complaint.another-handler/1")
	}
	w.on(c, complaint.Closed, "tech3")
	w.checkHistory(id)
}

// Whatever is called in whatever order, the history leads to what is stored.
func TestRandomLivesReplay(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(7, 11))
	for range 3 {
		c := w.create(nil)
		for range 60 {
			v := verbs()[random.IntN(len(verbs()))]
			if err := v.call(w, w.as(v.by), c.GetId(), ""); err != nil && status.Code(err) == codes.Internal {
				t.Fatalf("%s: %v", v.name, err)
			}
		}
		w.checkHistory(c.GetId())
	}
}
