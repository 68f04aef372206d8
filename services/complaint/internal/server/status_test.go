package server_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
	"github.com/kefu-suite/kefu/services/internal/clocktest"
)

// asked is what the public status of a receipt says.
func (w *world) asked(r *complaintv1.ComplaintReceipt) (*complaintv1.ComplaintStatus, error) {
	return complaintv1.NewComplaintStatusServiceClient(w.Conn).GetComplaintStatus(w.t.Context(),
		&complaintv1.GetComplaintStatusRequest{Reference: r.GetReference(), Secret: r.GetSecret()})
}

// A customer gets reference, secret and promised time with the registration and follows the
// complaint with them; nothing else opens it, and nothing else of it is told.
func TestAReceiptOpensTheStatusAndNothingElse(t *testing.T) {
	w := newWorld(t)
	w.set("2026-11-02 09:00:00")
	c := w.create(nil)
	receipt := c.GetReceipt()
	promised := timestamppb.New(clocktest.WallClock(t, "2026-11-04 18:00:00"))
	if receipt.GetReference() != c.GetNumber() || len(receipt.GetSecret()) != 32 || !proto.Equal(receipt.GetPromisedTime(), promised) {
		t.Fatalf("receipt %v", receipt)
	}
	if got := w.get("agent", c.GetId()).GetReceipt(); got != nil {
		t.Errorf("it is told again: %v", got)
	}
	want := &complaintv1.ComplaintStatus{
		Reference: c.GetNumber(), Stage: complaintv1.ComplaintStage_COMPLAINT_STAGE_RECEIVED, Round: 1,
		ReceiveTime: c.GetCreateTime(), PromisedTime: promised,
	}
	check := func(what string) {
		t.Helper()
		got, err := w.asked(receipt)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	check("received")
	// Major: the promise is told anew, as five working days.
	must[*complaintv1.Complaint](w)(w.client.SubmitComplaint(w.as("agent"), &complaintv1.SubmitComplaintRequest{Id: c.GetId()}))
	req := w.review(c.GetId())
	req.Severity = complaintv1.Severity_SEVERITY_MAJOR
	must[*complaintv1.Complaint](w)(w.client.ReviewComplaint(w.as("supervisor"), req))
	want.Stage, want.PromisedTime = complaintv1.ComplaintStage_COMPLAINT_STAGE_IN_PROGRESS, timestamppb.New(clocktest.WallClock(t, "2026-11-06 18:00:00"))
	check("major")
	w.on(c, complaint.Told, "tech")
	want.Stage, want.TellTime = complaintv1.ComplaintStage_COMPLAINT_STAGE_ANSWERED, timestamppb.New(w.Clock.Now())
	check("told")
	w.on(c, complaint.Closed, "tech")
	want.Stage, want.Outcome = complaintv1.ComplaintStage_COMPLAINT_STAGE_CLOSED, complaintv1.Outcome_OUTCOME_SATISFIED
	check("closed")
}

// Who guesses learns nothing: whichever half is wrong, the refusal is the same to the byte; no
// secret stands anywhere in the database; and guesses are counted by address.
func TestGuessingTeachesNothing(t *testing.T) {
	w := newWorld(t)
	one, two := w.create(nil).GetReceipt(), w.create(nil).GetReceipt()
	if one.GetSecret() == two.GetSecret() {
		t.Fatal("two complaints have one secret")
	}
	var first error
	for what, r := range map[string]*complaintv1.ComplaintReceipt{
		"another's secret":  {Reference: one.GetReference(), Secret: two.GetSecret()},
		"a wrong secret":    {Reference: one.GetReference(), Secret: strings.Repeat("A", 32)},
		"no such reference": {Reference: "CP-202611-999999", Secret: one.GetSecret()},
		"cut elsewhere":     {Reference: one.GetReference() + one.GetSecret()[:1], Secret: one.GetSecret()[1:]},
	} {
		_, err := w.asked(r)
		w.refused(what, err, codes.NotFound, "COMPLAINT_STATUS_NOT_FOUND", "")
		if first == nil {
			first = err
		}
		if got := status.Convert(err).Message(); got != status.Convert(first).Message() || strings.Contains(got, r.GetReference()) {
			t.Errorf("%s: %s", what, got)
		}
	}
	rows, err := w.Pool.Query(t.Context(), "SELECT encode(hash, 'escape') || encode(hash, 'base64') FROM complaint_secrets")
	var kept []string
	if err == nil {
		kept, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil || len(kept) != 2 {
		t.Fatalf("%d kept: %v", len(kept), err)
	}
	for _, k := range kept {
		if strings.Contains(k, one.GetSecret()) || strings.Contains(k, two.GetSecret()) {
			t.Error("a secret is kept as it is")
		}
	}
	for range 10_000 {
		if _, err = w.asked(&complaintv1.ComplaintReceipt{Reference: "CP-1", Secret: "guess"}); status.Code(err) == codes.ResourceExhausted {
			return
		}
	}
	t.Errorf("ten thousand guesses in a row: %v", err)
}

// A lost secret is replaced, by those who know of the complaint and are not who it is about.
func TestALostSecretIsReplaced(t *testing.T) {
	w := newWorld(t)
	api := complaintv1.NewComplaintReceiverServiceClient(w.Conn)
	c := w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["agent2"].String() })
	req := &complaintv1.RenewReceiptRequest{Id: c.GetId()}
	_, err := api.RenewReceipt(w.as("agent2"), req)
	w.refused("the accused", err, codes.PermissionDenied, "COMPLAINT_CONCERNS_CALLER", "complaint.impartiality/1")
	_, err = api.RenewReceipt(w.as("clerk"), req)
	w.refused("a stranger", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	renewed := must[*complaintv1.ComplaintReceipt](w)(api.RenewReceipt(w.as("agent"), req))
	if renewed.GetSecret() == c.GetReceipt().GetSecret() || !proto.Equal(renewed.GetPromisedTime(), c.GetReceipt().GetPromisedTime()) {
		t.Errorf("renewed: %v after %v", renewed, c.GetReceipt())
	}
	_, err = w.asked(c.GetReceipt())
	w.refused("the old one", err, codes.NotFound, "COMPLAINT_STATUS_NOT_FOUND", "")
	must[*complaintv1.ComplaintStatus](w)(w.asked(renewed))
	if got := w.get("agent", c.GetId()); got.GetEtag() != "1" {
		t.Errorf("a new secret made version %s of the complaint", got.GetEtag())
	}
}

// Who asks twice with one request id, as after a lost connection, gets the same receipt.
func TestARepeatedRegistrationHasOneReceipt(t *testing.T) {
	w := newWorld(t)
	req := &complaintv1.CreateComplaintRequest{Complaint: w.sample(), RequestId: "once"}
	first := must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.as("agent"), req))
	w.Clock.Advance(time.Minute)
	again := must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.as("agent"), req))
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}
