package server_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	complaintv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/complaint/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/complaint/internal/complaint"
)

// list reads a list to its end, two a page.
func (w *world) list(ctx context.Context, req *complaintv1.ListComplaintsRequest) []*complaintv1.Complaint {
	w.t.Helper()
	var all []*complaintv1.Complaint
	for req.PageSize = 2; ; {
		resp, err := w.client.ListComplaints(ctx, req)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(resp.GetComplaints()) > 2 {
			w.t.Fatalf("a page of %d", len(resp.GetComplaints()))
		}
		all = append(all, resp.GetComplaints()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}

func ids(list []*complaintv1.Complaint) []string {
	out := make([]string, 0, len(list))
	for _, c := range list {
		out = append(out, c.GetId())
	}
	return out
}

// A database is brought up to date before the services on it are.
func TestListsOutliveALaterMigration(t *testing.T) {
	w := newWorld(t)
	want := []string{w.create(nil).GetId()}
	if got := ids(w.list(w.as("manager"), &complaintv1.ListComplaintsRequest{})); !slices.Equal(got, want) {
		t.Errorf("lists %v, want %v", got, want)
	}
	w.DB.Later(t)
	for _, who := range []string{"manager", "boss"} {
		if got := ids(w.list(w.as(who), &complaintv1.ListComplaintsRequest{})); !slices.Equal(got, want) {
			t.Errorf("%s lists %v afterwards, want %v", who, got, want)
		}
	}
}

// Whoever asks, the list is what Get allows them; only the one complained about, who
// reads the allegation, finds it in no list.
func TestListsAreWhatGetAllows(t *testing.T) {
	w := newWorld(t)
	accused := func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }
	quality := func(c *complaintv1.Complaint) { c.Category = complaintv1.Category_CATEGORY_PRODUCT_QUALITY }
	made := map[string]string{
		"fresh":    w.create(nil).GetId(),
		"quality":  w.create(quality).GetId(),
		"reviewed": w.to(complaint.Reviewed).GetId(),
		"proposed": w.to(complaint.Proposed).GetId(),
		"handled":  w.to(complaint.Told).GetId(),
		"closed":   w.to(complaint.Closed).GetId(),
		"accused":  w.on(w.create(accused), complaint.Contacted, "tech2").GetId(),
	}
	in := w.sample()
	in.CustomerId = w.customer
	made["self"] = must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.AsCustomer(w.customer),
		&complaintv1.CreateComplaintRequest{Complaint: in})).GetId()
	for name, want := range map[string][]string{
		"agent":      {"fresh", "quality", "reviewed", "proposed", "handled", "closed", "accused", "self"},
		"agent2":     {"self"},
		"supervisor": {"fresh", "quality", "reviewed", "proposed", "handled", "closed", "accused", "self"},
		"lead":       {"fresh", "quality", "proposed", "self"},
		"manager":    {"fresh", "quality", "reviewed", "proposed", "handled", "closed", "accused", "self"},
		"boss":       {"fresh", "quality", "reviewed", "proposed", "handled", "closed", "accused", "self"},
		"head":       {"reviewed", "proposed", "handled", "closed", "accused"},
		"tech":       {"proposed", "handled", "closed"},
		"tech2":      {"accused"},
		"inspector":  {"quality"},
		"tech3":      nil, "clerk": nil,
	} {
		listed := ids(w.list(w.as(name), &complaintv1.ListComplaintsRequest{}))
		if !slices.IsSortedFunc(listed, func(a, b string) int { return -cmpString(a, b) }) || len(slices.Compact(slices.Clone(listed))) != len(listed) {
			t.Errorf("%s: not newest first, or twice: %v", name, listed)
		}
		for what, id := range made {
			if got := slices.Contains(listed, id); got != slices.Contains(want, what) {
				t.Errorf("%s lists %s: %v", name, what, got)
			}
			_, err := w.client.GetComplaint(w.as(name), &complaintv1.GetComplaintRequest{Id: id})
			readable := slices.Contains(want, what) || name == "tech3" && what == "accused"
			if (err == nil) != readable {
				t.Errorf("%s gets %s: %v", name, what, err)
			}
			if err != nil {
				w.refused(name+" "+what, err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
			}
			_, err = w.client.ListComplaintTransitions(w.as(name), &complaintv1.ListComplaintTransitionsRequest{ComplaintId: id})
			if (err == nil) != slices.Contains(want, what) {
				t.Errorf("%s reads the history of %s: %v", name, what, err)
			}
			_, err = w.client.ListComplaintContacts(w.as(name), &complaintv1.ListComplaintContactsRequest{ComplaintId: id})
			if (err == nil) != slices.Contains(want, what) {
				t.Errorf("%s reads the contacts of %s: %v", name, what, err)
			}
		}
		if len(listed) != len(want) {
			t.Errorf("%s lists %d complaints, want %d", name, len(listed), len(want))
		}
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestListsFilter(t *testing.T) {
	w := newWorld(t)
	first := w.create(func(c *complaintv1.Complaint) { c.CustomerId = w.customer })
	second := w.on(w.create(func(c *complaintv1.Complaint) { c.CustomerId = w.customer }), complaint.Assigned, "tech")
	third := w.to(complaint.Assigned)
	fourth := w.to(complaint.Closed)
	for name, test := range map[string]struct {
		req  *complaintv1.ListComplaintsRequest
		want []*complaintv1.Complaint
	}{
		"none":               {&complaintv1.ListComplaintsRequest{}, []*complaintv1.Complaint{fourth, third, second, first}},
		"customer":           {&complaintv1.ListComplaintsRequest{CustomerId: w.customer}, []*complaintv1.Complaint{second, first}},
		"state":              {&complaintv1.ListComplaintsRequest{States: []complaint.State{complaint.Assigned}}, []*complaintv1.Complaint{third, second}},
		"states":             {&complaintv1.ListComplaintsRequest{States: []complaint.State{complaint.Closed, complaint.Received}}, []*complaintv1.Complaint{fourth, first}},
		"handler":            {&complaintv1.ListComplaintsRequest{HandlerStaffId: w.staff["tech"].String()}, []*complaintv1.Complaint{fourth, third, second}},
		"department":         {&complaintv1.ListComplaintsRequest{DepartmentId: w.afterSales.String()}, []*complaintv1.Complaint{fourth, third, second}},
		"number":             {&complaintv1.ListComplaintsRequest{Number: third.GetNumber()}, []*complaintv1.Complaint{third}},
		"customer and state": {&complaintv1.ListComplaintsRequest{CustomerId: w.customer, States: []complaint.State{complaint.Received}}, []*complaintv1.Complaint{first}},
		"another's number":   {&complaintv1.ListComplaintsRequest{CustomerId: w.customer, Number: third.GetNumber()}, nil},
		"source":             {&complaintv1.ListComplaintsRequest{Source: "nyc311"}, nil},
	} {
		// The agent registered all of them: for few and for all, the same filters.
		for _, by := range []string{"manager", "agent"} {
			if got := ids(w.list(w.as(by), test.req)); !slices.Equal(got, ids(test.want)) {
				t.Errorf("%s by %s: %v, want %v", name, by, got, ids(test.want))
			}
			test.req.PageToken = ""
		}
	}
	whole := w.list(w.as("manager"), &complaintv1.ListComplaintsRequest{Number: fourth.GetNumber()})[0]
	if diff := cmp.Diff(w.get("manager", fourth.GetId()), whole, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for name, req := range map[string]*complaintv1.ListComplaintsRequest{
		"external id alone": {ExternalId: "7"}, "page size": {PageSize: 501}, "token": {PageToken: "x"}, "NUL": {Number: "\x00"},
		"no state": {States: []complaint.State{0}}, "customer": {CustomerId: "7"},
	} {
		_, err := w.client.ListComplaints(w.as("manager"), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	page := must[*complaintv1.ListComplaintsResponse](w)(w.client.ListComplaints(w.as("manager"), &complaintv1.ListComplaintsRequest{PageSize: 1}))
	_, err := w.client.ListComplaints(w.as("boss"), &complaintv1.ListComplaintsRequest{PageToken: page.GetNextPageToken()})
	w.refused("another's token", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}

func TestCustomersSeeTheirOwnWithoutWhatIsInternal(t *testing.T) {
	w := newWorld(t)
	c := w.create(func(c *complaintv1.Complaint) {
		c.CustomerId, c.AccusedStaffId = w.customer, w.staff["tech3"].String()
	})
	id := c.GetId()
	get := func() *complaintv1.Complaint {
		return must[*complaintv1.Complaint](w)(w.client.GetComplaint(w.AsCustomer(w.customer), &complaintv1.GetComplaintRequest{Id: id}))
	}
	w.on(c, complaint.Approved, "tech")
	if got := get(); got.GetProposal() != nil || got.GetRounds()[0].GetProposal() != nil {
		t.Errorf("before being told the customer sees %v", got.GetProposal())
	}
	w.on(c, complaint.Told, "tech")
	got := get()
	if got.GetAccusedStaffId()+got.GetHandlerStaffId()+got.GetDepartmentId()+got.GetRounds()[0].GetHandlerStaffId() != "" {
		t.Errorf("the customer sees who works on it: %v", got)
	}
	offer := &complaintv1.Proposal{
		Validity: complaintv1.Validity_VALIDITY_ESTABLISHED, Remedy: complaintv1.Remedy_REMEDY_REPAIR, Amount: yuan(300), Solution: "replace the seal",
	}
	if diff := cmp.Diff(offer, got.GetProposal(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if got.GetRounds()[0].GetTold() != "we repair it" || got.GetCustomerId() != w.customer || got.GetTitle() != "pump leaks" {
		t.Errorf("the customer misses %v", got)
	}
	mine := w.list(w.AsCustomer(w.customer), &complaintv1.ListComplaintsRequest{})
	if len(mine) != 1 {
		t.Fatalf("the customer lists %d", len(mine))
	}
	if diff := cmp.Diff(got, mine[0], protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	_, err := w.client.GetComplaint(w.AsCustomer(w.other), &complaintv1.GetComplaintRequest{Id: id})
	w.refused("another customer", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	if others := w.list(w.AsCustomer(w.other), &complaintv1.ListComplaintsRequest{}); len(others) != 0 {
		t.Errorf("another customer lists %v", others)
	}
	for name, req := range map[string]*complaintv1.ListComplaintsRequest{
		"another's": {CustomerId: w.other}, "by handler": {HandlerStaffId: w.staff["tech"].String()}, "by department": {DepartmentId: w.afterSales.String()},
	} {
		_, err := w.client.ListComplaints(w.AsCustomer(w.customer), req)
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	_, err = w.client.ListComplaintContacts(w.AsCustomer(w.customer), &complaintv1.ListComplaintContactsRequest{ComplaintId: id})
	w.refused("contacts", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	_, err = w.client.SubmitComplaint(w.AsCustomer(w.customer), &complaintv1.SubmitComplaintRequest{Id: id})
	w.refused("submit", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

func TestCustomersRegisterForThemselves(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*complaintv1.Complaint){
		"for another":  func(c *complaintv1.Complaint) { c.CustomerId = w.other },
		"naming staff": func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech"].String() },
	} {
		in := w.sample()
		in.CustomerId = w.customer
		change(in)
		_, err := w.client.CreateComplaint(w.AsCustomer(w.customer), &complaintv1.CreateComplaintRequest{Complaint: in})
		w.refused(name, err, codes.InvalidArgument, "VALIDATION_FAILED", "")
	}
	in := w.sample()
	in.CustomerId, in.Channel = w.customer, typev1.Channel_CHANNEL_APP
	c := must[*complaintv1.Complaint](w)(w.client.CreateComplaint(w.AsCustomer(w.customer), &complaintv1.CreateComplaintRequest{Complaint: in}))
	// Any agent takes it from the queue; once reviewed it has left the queue.
	do := must[*complaintv1.Complaint](w)
	do(w.client.SubmitComplaint(w.as("agent2"), &complaintv1.SubmitComplaintRequest{Id: c.GetId()}))
	do(w.client.ReviewComplaint(w.as("agent2"), w.review(c.GetId())))
	_, err := w.client.GetComplaint(w.as("agent2"), &complaintv1.GetComplaintRequest{Id: c.GetId()})
	w.refused("no longer in the queue", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
}

func TestTheAccusedSeesTheAllegationAlone(t *testing.T) {
	w := newWorld(t)
	c := w.on(w.create(func(c *complaintv1.Complaint) { c.AccusedStaffId = w.staff["tech3"].String() }), complaint.Closed, "tech")
	want := w.get("manager", c.GetId())
	want.CustomerId, want.OrderNumber, want.TicketId, want.HandlerStaffId = "", "", "", ""
	want.Purchase = nil
	want.Proposal, want.Answer, want.Rounds, want.PolicyVersion, want.SeverityPolicyVersion = nil, nil, nil, 0, 0
	for _, role := range []string{"after-sales-specialist", "service-manager", "company-manager"} {
		ctx := w.AsPerson("tech3", role)
		got := must[*complaintv1.Complaint](w)(w.client.GetComplaint(ctx, &complaintv1.GetComplaintRequest{Id: c.GetId()}))
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
		if listed := w.list(ctx, &complaintv1.ListComplaintsRequest{Number: c.GetNumber()}); len(listed) != 0 {
			t.Errorf("%s finds it in a list", role)
		}
		_, err := w.client.ListComplaintTransitions(ctx, &complaintv1.ListComplaintTransitionsRequest{ComplaintId: c.GetId()})
		w.refused(role+" history", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
		_, err = w.client.ListComplaintContacts(ctx, &complaintv1.ListComplaintContactsRequest{ComplaintId: c.GetId()})
		w.refused(role+" contacts", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	}
	_, err := w.client.GetComplaint(w.as("tech2"), &complaintv1.GetComplaintRequest{Id: c.GetId()})
	w.refused("another colleague", err, codes.NotFound, "COMPLAINT_NOT_FOUND", "")
	_, err = w.client.GetComplaint(w.as("manager"), &complaintv1.GetComplaintRequest{Id: "x"})
	w.refused("no id", err, codes.InvalidArgument, "VALIDATION_FAILED", "")
}
