package server_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	clockv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/clock/v1"
	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clock"
)

// stricter drafts a version in which a clause has other working days; 0 is no deadline.
func (w *world) stricter(clauseID string, days int32) *clockv1.Policy {
	w.t.Helper()
	do := must[*clockv1.Policy](w)
	p := do(w.policies.CreatePolicy(w.as("manager"), &clockv1.CreatePolicyRequest{}))
	for _, c := range p.GetClauses() {
		switch {
		case c.GetClauseId() != clauseID:
		case days == 0:
			c.Target, c.CalendarId, c.Floor, c.Extension = nil, "", nil, nil
		default:
			c.Target = &clockv1.ClockTarget{Amount: &clockv1.ClockTarget_WorkingDays{WorkingDays: days}}
		}
	}
	return do(w.policies.UpdatePolicy(w.as("manager"), &clockv1.UpdatePolicyRequest{
		Policy: p, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"clauses"}},
	}))
}

func (w *world) published(p *clockv1.Policy) int64 {
	w.t.Helper()
	return must[*clockv1.Policy](w)(w.policies.PublishPolicy(w.as("manager"), &clockv1.PublishPolicyRequest{Id: p.GetId()})).GetVersion()
}

// latestClock is the latest clock of a kind.
func (w *world) latestClock(id, kind string) *clockv1.Clock {
	w.t.Helper()
	return must[*clockv1.ClockExplanation](w)(w.client.ExplainComplaintClock(w.as("manager"),
		&complaintv1.ExplainComplaintClockRequest{ComplaintId: id, Clock: kind})).GetClock()
}

func TestAComplaintKeepsItsVersionUnlessRetargeted(t *testing.T) {
	w := newWorld(t)
	c := w.to(complaint.Assigned)
	before := w.latestClock(c.GetId(), "told")
	two := w.published(w.stricter("told-general", 1))
	three := w.published(w.stricter("proposed-general", 0))
	if got := w.get("manager", c.GetId()); got.GetPolicyVersion() != 1 || w.create(nil).GetPolicyVersion() != three {
		t.Errorf("goes by %d, a new one by %d", got.GetPolicyVersion(), w.create(nil).GetPolicyVersion())
	}
	if got := w.latestClock(c.GetId(), "told"); !got.GetDueTime().AsTime().Equal(before.GetDueTime().AsTime()) {
		t.Errorf("a publication moved the due time from %v to %v", before.GetDueTime().AsTime(), got.GetDueTime().AsTime())
	}
	retarget := func(version int64) *complaintv1.RetargetComplaintRequest {
		return &complaintv1.RetargetComplaintRequest{Id: c.GetId(), PolicyVersion: version, Reason: "contract"}
	}
	got := must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"), retarget(two)))
	told := w.latestClock(c.GetId(), "told")
	if got.GetState() != complaint.Assigned || got.GetPolicyVersion() != two || told.GetPolicyVersion() != two ||
		!told.GetStartTime().AsTime().Equal(before.GetStartTime().AsTime()) || !told.GetDueTime().AsTime().Before(before.GetDueTime().AsTime()) {
		t.Errorf("retargeted %v, its clock %v", got, told)
	}
	must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"), retarget(three)))
	if got := w.latestClock(c.GetId(), "proposed"); got.GetState() != clock.Cancelled || got.GetStopReason() != "no-deadline" {
		t.Errorf("without a deadline: %v", got)
	}
	// A deadline that comes back counts from where it started.
	must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"), retarget(1)))
	if got := w.latestClock(c.GetId(), "proposed"); got.GetState() != clock.Running || !got.GetStartTime().AsTime().Equal(before.GetStartTime().AsTime()) {
		t.Errorf("with a deadline again: %v", got)
	}
	must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"), retarget(three)))
	w.on(c, complaint.Closed, "tech") // what has no clock stops nothing
}

// A deadline that comes late has the pauses and extensions since its start, as if it had
// been there all along.
func TestADeadlineThatComesLateHasWhatHappenedSince(t *testing.T) {
	w := newWorld(t)
	two := w.published(w.stricter("told-general", 0))
	c := w.to(complaint.Contacted)
	if c.GetPolicyVersion() != two {
		t.Fatalf("goes by %d", c.GetPolicyVersion())
	}
	w.Clock.Advance(time.Hour)
	w.on(c, complaint.Proposed, "tech")
	w.Clock.Advance(26 * time.Hour)
	w.on(c, complaint.Approved, "tech")
	must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"),
		&complaintv1.RetargetComplaintRequest{Id: c.GetId(), PolicyVersion: 1, Reason: "contract"}))
	late := w.latestClock(c.GetId(), "told")

	w.Clock.Advance(-27 * time.Hour)
	twin := w.to(complaint.Contacted)
	must[*complaintv1.Complaint](w)(w.client.RetargetComplaint(w.as("manager"),
		&complaintv1.RetargetComplaintRequest{Id: twin.GetId(), PolicyVersion: 1, Reason: "contract"}))
	w.Clock.Advance(time.Hour)
	w.on(twin, complaint.Proposed, "tech")
	w.Clock.Advance(26 * time.Hour)
	w.on(twin, complaint.Approved, "tech")
	want := w.latestClock(twin.GetId(), "told")
	if late.GetState() != clock.Running || !late.GetDueTime().AsTime().Equal(want.GetDueTime().AsTime()) ||
		!late.GetStartTime().AsTime().Equal(want.GetStartTime().AsTime()) || late.GetWorkingTime().AsDuration() != want.GetWorkingTime().AsDuration() {
		t.Errorf("%v\nwant %v", late, want)
	}
}

func TestRefusedRetargetsOfComplaints(t *testing.T) {
	w := newWorld(t)
	c := w.to(complaint.Received)
	draft := w.stricter("told-general", 1)
	call := func(name, id string, version int64, etag string) error {
		_, err := w.client.RetargetComplaint(w.as(name), &complaintv1.RetargetComplaintRequest{Id: id, PolicyVersion: version, Reason: "x", Etag: etag})
		return err
	}
	for what, version := range map[string]int64{"its own": 1, "a draft": draft.GetVersion(), "none": 99} {
		w.refused(what, call("manager", c.GetId(), version, ""), codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	two := w.published(draft)
	w.refused("by a supervisor", call("supervisor", c.GetId(), two, ""), codes.PermissionDenied, "PERMISSION_DENIED", "")
	w.refused("a stale etag", call("manager", c.GetId(), two, "99"), codes.Aborted, "ETAG_MISMATCH", "")
	w.refused("of none", call("manager", newID(t).String(), two, ""), codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	w.refused("of a closed one", call("manager", w.to(complaint.Closed).GetId(), two, ""), codes.FailedPrecondition, "COMPLAINT_WRONG_STATE", "")
	about := w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["manager"].String() })
	w.refused("of one about the caller", call("manager", about.GetId(), two, ""), codes.PermissionDenied, "COMPLAINT_CONCERNS_CALLER", "complaint.impartiality/1")
	w.refused("of an imported one", call("manager", w.history("1", complaint.Received, 0), two, ""), codes.FailedPrecondition, "COMPLAINT_WITHOUT_CLOCKS", "")
}

// history imports a complaint that was received 10 days ago, and closed days after it.
func (w *world) history(external string, state complaint.State, days int) string {
	w.t.Helper()
	received := w.Clock.Now().AddDate(0, 0, -10)
	record := &complaintv1.ComplaintRecord{
		ExternalId: external, State: state, CreateTime: timestamppb.New(received),
		Complaint: &complaintv1.Complaint{Channel: typev1.Channel_CHANNEL_UNKNOWN, Title: "old", Category: complaintv1.Category_CATEGORY_OTHER},
	}
	if days > 0 {
		record.CloseTime, record.Told = timestamppb.New(received.AddDate(0, 0, days)), "repaired"
	}
	got, err := w.client.ImportComplaints(w.as("clerk"), &complaintv1.ImportComplaintsRequest{Source: "legacy", Records: []*complaintv1.ComplaintRecord{record}})
	if err != nil || got.GetResults()[0].GetId() == "" {
		w.t.Fatalf("%v, %v", got, err)
	}
	return got.GetResults()[0].GetId()
}

func TestADryRunOverComplaintsEndsAsTheirClocksDo(t *testing.T) {
	w := newWorld(t)
	live := w.to(complaint.Proposed)
	w.Clock.Advance(time.Hour)
	must[*complaintv1.Complaint](w)(w.client.ApproveSolution(w.as("supervisor"), &complaintv1.ApproveSolutionRequest{
		Id: live.GetId(), Decision: complaintv1.Decision_DECISION_RETURNED, Reason: "the cause is missing",
	}))
	w.Clock.Advance(24 * time.Hour)
	w.on(w.get("manager", live.GetId()), complaint.Told, "tech")
	must[*complaintv1.Complaint](w)(w.client.RecordAnswer(w.as("tech"), answer(live.GetId(), unsatisfied)))
	must[*complaintv1.Complaint](w)(w.client.NextRound(w.as("supervisor"), &complaintv1.NextRoundRequest{Id: live.GetId(), Reason: "leaks again"}))
	w.history("1", complaint.Closed, 9)

	cases, totals := w.dryRun(&clockv1.DryRunPolicyRequest{Id: "1"})
	if len(cases) != 2 || totals.GetCases() != 2 || totals.GetNewlyMissed() != 0 {
		t.Fatalf("%d cases, %v", len(cases), totals)
	}
	for _, c := range cases {
		if c.GetSource() != "" {
			if n := c.GetClocks(); len(n) != 1 || n[0].GetKind() != "promise" || n[0].GetTried().GetState() != clock.Missed {
				t.Errorf("imported: %v", c)
			}
			continue
		}
		list := must[*complaintv1.ListComplaintClocksResponse](w)(w.client.ListComplaintClocks(w.as("manager"),
			&complaintv1.ListComplaintClocksRequest{ComplaintId: live.GetId(), PageSize: 100}))
		stored := map[string][]*clockv1.Clock{"promise": {list.GetPromise()}}
		for _, have := range list.GetClocks() {
			if have.GetState() != clock.Pending {
				stored[have.GetKind()] = append(stored[have.GetKind()], have)
			}
		}
		for _, d := range c.GetClocks() {
			i, of := int(d.GetStart())-1, stored[d.GetKind()]
			if i >= len(of) || of[i].GetState() != d.GetTried().GetState() || !of[i].GetDueTime().AsTime().Equal(d.GetTried().GetDueTime().AsTime()) {
				t.Errorf("%s %d: the dry run says %v, the clocks %v", d.GetKind(), i+1, d.GetTried(), of)
			}
		}
		if n := len(c.GetClocks()); n != 9 {
			t.Errorf("%d clocks were replayed, want the chain, the promise and the next round's assignment", n)
		}
	}
	_, totals = w.dryRun(&clockv1.DryRunPolicyRequest{Id: w.stricter("told-general", 1).GetId(), Severity: "general"})
	if totals.GetCases() != 2 || totals.GetTried().GetPolicyVersion() != 2 {
		t.Errorf("general ones: %v", totals)
	}
	for what, req := range map[string]*clockv1.DryRunPolicyRequest{
		"major": {Severity: "major"}, "tier": {Tier: typev1.Tier_TIER_KEY}, "source": {Source: "other"},
		"from": {CreateTimeFrom: timestamppb.New(w.Clock.Now().Add(time.Hour))},
	} {
		req.Id = "1"
		if _, totals := w.dryRun(req); totals.GetCases() != 0 {
			t.Errorf("%s: %d cases", what, totals.GetCases())
		}
	}
	_, err := w.policies.GetPolicy(w.as("agent"), &clockv1.GetPolicyRequest{Id: "1"})
	w.refused("an agent reads", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	stream, err := w.policies.DryRunPolicy(w.as("manager"), &clockv1.DryRunPolicyRequest{Id: "1", Priority: "p1"})
	if err == nil {
		_, err = stream.Recv()
	}
	w.refused("by priority", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	if !strings.Contains(err.Error(), "have none") {
		t.Errorf("by priority: %v", err)
	}
}

func (w *world) dryRun(req *clockv1.DryRunPolicyRequest) (cases []*clockv1.DryRunCase, totals *clockv1.DryRunTotals) {
	w.t.Helper()
	stream, err := w.policies.DryRunPolicy(w.as("manager"), req)
	for err == nil {
		var got *clockv1.DryRunPolicyResponse
		if got, err = stream.Recv(); err != nil {
			break
		}
		if c := got.GetCase(); c != nil {
			cases = append(cases, c)
		}
		totals = got.GetTotals()
	}
	if !errors.Is(err, io.EOF) {
		w.t.Fatal(err)
	}
	return cases, totals
}
