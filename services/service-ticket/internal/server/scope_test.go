package server_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/access/accesstest"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

// staffOf adds somebody to a department.
func (w *world) staffOf(department, subject string) *ticketv1.Staff {
	w.t.Helper()
	s, err := w.directory.CreateStaff(w.As(access.ServiceManager), &ticketv1.CreateStaffRequest{
		Staff: &ticketv1.Staff{Name: subject, DepartmentId: department, Subject: subject},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// given puts a ticket at the state, in the hands of these, by the shortest way: what the
// moves in between ask for is other tests' matter.
func (w *world) given(state ticket.State, department, assignee, customer, registrar string) string {
	w.t.Helper()
	t := w.create(&ticketv1.Ticket{CustomerId: customer})
	null := func(id string) *string {
		if id == "" {
			return nil
		}
		return &id
	}
	w.exec(`UPDATE tickets SET state = $2, department_id = $3, assignee_staff_id = $4 WHERE id = $1`,
		t.GetId(), int16(state), null(department), null(assignee))
	if registrar != "" {
		w.exec(`UPDATE tickets SET registrar = $2 WHERE id = $1`, t.GetId(), registrar)
	}
	return t.GetId()
}

// attempts calls every method in such a way that whoever is let through changes nothing of
// the ticket: with an etag that is not the ticket's.
func (w *world) attempts() map[string]accesstest.Attempt {
	const stale = "999"
	out := map[string]accesstest.Attempt{
		"GetTicket": func(ctx context.Context, id string) error {
			return second(w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: id}))
		},
		"ListTickets": w.lists,
		"ListComments": func(ctx context.Context, id string) error {
			return second(w.tickets.ListComments(ctx, &ticketv1.ListCommentsRequest{TicketId: id}))
		},
		"CreateComment": func(ctx context.Context, id string) error {
			return second(w.tickets.CreateComment(ctx, &ticketv1.CreateCommentRequest{
				TicketId: id, Comment: &ticketv1.Comment{Body: "asked"}}))
		},
		"ListTransitions": func(ctx context.Context, id string) error {
			return second(w.tickets.ListTransitions(ctx, &ticketv1.ListTransitionsRequest{TicketId: id}))
		},
		"ListTicketContacts": func(ctx context.Context, id string) error {
			return second(w.tickets.ListTicketContacts(ctx, &ticketv1.ListTicketContactsRequest{TicketId: id}))
		},
		"ListTicketClocks": func(ctx context.Context, id string) error {
			return second(w.tickets.ListTicketClocks(ctx, &ticketv1.ListTicketClocksRequest{TicketId: id}))
		},
		"ExplainTicketClock": func(ctx context.Context, id string) error {
			return second(w.tickets.ExplainTicketClock(ctx, &ticketv1.ExplainTicketClockRequest{TicketId: id, Clock: "resolution"}))
		},
		"UpdateTicket": func(ctx context.Context, id string) error {
			return second(w.tickets.UpdateTicket(ctx, &ticketv1.UpdateTicketRequest{
				Ticket: &ticketv1.Ticket{Id: id, Title: "x", Etag: stale}, UpdateMask: mask("title")}))
		},
		"RetargetTicket": func(ctx context.Context, id string) error {
			return second(w.tickets.RetargetTicket(ctx, &ticketv1.RetargetTicketRequest{
				Id: id, PolicyVersion: 1, Reason: "x", Etag: stale}))
		},
		"CreateTicket": w.registers,
		"ImportTickets": func(ctx context.Context, _ string) error {
			return second(w.tickets.ImportTickets(ctx, &ticketv1.ImportTicketsRequest{
				Source: "nyc311", Records: []*ticketv1.TicketRecord{record("1", ticket.Closed)}}))
		},
	}
	for _, verb := range verbs() {
		name := strings.ToUpper(verb[:1]) + verb[1:] + "Ticket"
		if verb == "recordContact" {
			name = "RecordTicketContact"
		}
		out[name] = func(ctx context.Context, id string) error { return second(w.do(ctx, verb, id, stale)) }
	}
	return out
}

// lists looks for a ticket by its number. What a list leaves out is not found.
func (w *world) lists(ctx context.Context, id string) error {
	var number string
	if err := w.Pool.QueryRow(w.t.Context(), "SELECT number FROM tickets WHERE id = $1", id).Scan(&number); err != nil {
		w.t.Fatal(err)
	}
	page, err := w.tickets.ListTickets(ctx, &ticketv1.ListTicketsRequest{Number: number})
	if err == nil && len(page.GetTickets()) == 0 {
		err = status.Error(codes.NotFound, "not listed")
	}
	return err
}

// registers registers a ticket of the same customer. Customers who name another are told
// that they register for themselves: a refusal as well.
func (w *world) registers(ctx context.Context, id string) error {
	_, err := w.tickets.CreateTicket(ctx, &ticketv1.CreateTicketRequest{Ticket: &ticketv1.Ticket{
		CustomerId: w.get(id).GetCustomerId(), Title: "Pump leaks", Channel: typev1.Channel_CHANNEL_PHONE,
	}})
	if status.Code(err) == codes.InvalidArgument {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return err
}

// TestMatrixOnRows asserts every method × every caller × a ticket of their own, of their
// team and of others.
func TestMatrixOnRows(t *testing.T) {
	w := newWorld(t)
	far, mine := w.department("far"), w.customer(typev1.Tier_TIER_B)
	stranger := w.staffOf(far.GetId(), "stranger")
	other := w.given(ticket.InProgress, far.GetId(), stranger.GetId(), w.customer(typev1.Tier_TIER_B), "")
	m := accesstest.NewMatrix(t, &ticketv1.TicketService_ServiceDesc, w.attempts())
	m.Rowless = []string{"CreateTicket", "ImportTickets"}
	for _, role := range accesstest.Roles() {
		if role == access.Customer {
			m.Role(role, w.AsCustomer(mine), map[accesstest.Reach]string{
				accesstest.Own:     w.given(ticket.InProgress, far.GetId(), stranger.GetId(), mine, ""),
				accesstest.Company: other,
			})
			continue
		}
		me := w.staffOf(w.desk.GetId(), "m-"+role)
		m.Role(role, w.AsStaff(role, "m-"+role), map[accesstest.Reach]string{
			accesstest.Own:     w.given(ticket.InProgress, far.GetId(), me.GetId(), "", ""),
			accesstest.Team:    w.given(ticket.InProgress, w.desk.GetId(), w.agent.GetId(), "", ""),
			accesstest.Company: other,
		})
	}
	m.Others(w.Service, other)
	t.Logf("tickets: %d cells, %d wrong", m.Cells, m.Wrong)
}

// Who registered a ticket goes on reaching it, and agents take from the queue.
func TestOwnIsAlsoRegisteredAndQueued(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	w.staffOf(w.desk.GetId(), "engineer")
	stranger := w.staffOf(far.GetId(), "stranger")
	issuer := w.Issuer.URL() + "|"
	registered := w.given(ticket.InProgress, far.GetId(), stranger.GetId(), "", issuer+"agent-1")
	queued := w.given(ticket.New, "", "", "", "")
	triaged := w.given(ticket.Triaged, w.desk.GetId(), "", "", "")
	elsewhere := w.given(ticket.Triaged, far.GetId(), "", "", "")
	ended := w.given(ticket.Cancelled, "", "", "", "")
	for _, tc := range []struct {
		role, subject string
		ids           []string
	}{
		{access.ServiceAgent, "agent-1", []string{registered, queued, triaged}},
		{access.ServiceSupervisor, "agent-1", []string{registered, queued, triaged}},
		{access.AfterSalesSpecialist, "agent-1", []string{registered}},
		{access.SupportEngineer, "engineer", []string{triaged}},
		{access.ServiceAgent, "unknown-to-the-directory", []string{queued}},
		{access.ServiceManager, "boss", []string{registered, queued, triaged, elsewhere, ended}},
	} {
		ctx := w.AsStaff(tc.role, tc.subject)
		for _, id := range []string{registered, queued, triaged, elsewhere, ended} {
			_, err := w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: id})
			if want := slices.Contains(tc.ids, id); want != (err == nil) || err != nil && status.Code(err) != codes.NotFound {
				t.Errorf("%s %s: %v, want it found %v", tc.role, tc.subject, err, want)
			}
		}
	}
	// Who may read a ticket and not do this to it is told so.
	both := w.AsPerson("engineer", access.SupportEngineer, access.ServiceAgent)
	_, err := w.do(both, "triage", w.given(ticket.InProgress, w.desk.GetId(), w.agent.GetId(), "", ""), "")
	refused(t, "triage of a team's ticket", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

// TestListIsWhatGetAllows draws tickets, callers and filters: a list holds exactly the
// tickets that the filter asks for and GetTicket would give the caller.
func TestListIsWhatGetAllows(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	departments := []string{"", w.desk.GetId(), far.GetId()}
	staff := []string{"", w.agent.GetId(), w.staffOf(w.desk.GetId(), "desk-2").GetId(), w.staffOf(far.GetId(), "far-1").GetId()}
	customers := []string{"", w.customer(typev1.Tier_TIER_B), w.customer(typev1.Tier_TIER_KEY)}
	subjects := []string{"agent-1", "desk-2", "far-1", "unknown"}
	var all []*ticketv1.Ticket
	for i := range 60 {
		// 5, 7, 3 and 4 have no common divisor, so that all kinds of tickets occur.
		id := w.given([]ticket.State{ticket.New, ticket.Triaged, ticket.Assigned, ticket.Resolved, ticket.Cancelled}[i%5],
			departments[i%7%3], staff[i%4], customers[i%3], []string{"", w.Issuer.URL() + "|" + subjects[i%11%4]}[i%2])
		all = append(all, w.get(id))
	}
	may := map[string]map[string]bool{} // caller → ids
	gets := func(who string, ctx context.Context) map[string]bool {
		if may[who] == nil {
			may[who] = map[string]bool{}
			for _, t := range all {
				_, err := w.tickets.GetTicket(ctx, &ticketv1.GetTicketRequest{Id: t.GetId()})
				may[who][t.GetId()] = err == nil
			}
		}
		return may[who]
	}
	roles := slices.DeleteFunc(accesstest.Roles(), func(r string) bool {
		return accesstest.Table(t)["/kefu.ticket.v1.TicketService/ListTickets"].Role(r) == accesstest.None
	})
	rapid.Check(t, func(r *rapid.T) {
		role, subject := rapid.SampledFrom(roles).Draw(r, "role"), rapid.SampledFrom(subjects).Draw(r, "subject")
		who, ctx := role+" "+subject, w.AsStaff(role, subject)
		req := &ticketv1.ListTicketsRequest{
			States:     rapid.SliceOfDistinct(rapid.SampledFrom([]ticket.State{ticket.New, ticket.Triaged, ticket.Assigned, ticket.Cancelled}), rapid.ID).Draw(r, "states"),
			CustomerId: rapid.SampledFrom(customers).Draw(r, "customer"), PageSize: rapid.Int32Range(1, 40).Draw(r, "size"),
		}
		if role == access.Customer {
			id := rapid.SampledFrom(customers[1:]).Draw(r, "self")
			who, ctx = role+id, w.AsCustomer(id)
		} else {
			req.AssigneeStaffId = rapid.SampledFrom(staff).Draw(r, "assignee")
			req.DepartmentId = rapid.SampledFrom(departments).Draw(r, "department")
		}
		allowed := gets(who, ctx)
		var want []string
		for _, t := range slices.Backward(all) {
			if allowed[t.GetId()] && asked(req, t) {
				want = append(want, t.GetId())
			}
		}
		if got := pages(r, w, ctx, req); !slices.Equal(got, want) {
			r.Fatalf("%s lists %d, %v\nwant %d, %v", who, len(got), got, len(want), want)
		}
	})
}

// asked tells whether a filter asks for the ticket.
func asked(req *ticketv1.ListTicketsRequest, t *ticketv1.Ticket) bool {
	return (len(req.GetStates()) == 0 || slices.Contains(req.GetStates(), t.GetState())) &&
		(req.GetCustomerId() == "" || req.GetCustomerId() == t.GetCustomerId()) &&
		(req.GetAssigneeStaffId() == "" || req.GetAssigneeStaffId() == t.GetAssigneeStaffId()) &&
		(req.GetDepartmentId() == "" || req.GetDepartmentId() == t.GetDepartmentId())
}

// pages reads a list to its end.
func pages(r *rapid.T, w *world, ctx context.Context, req *ticketv1.ListTicketsRequest) []string {
	var got []string
	for {
		page, err := w.tickets.ListTickets(ctx, req)
		if err != nil {
			r.Fatal(err)
		}
		for _, t := range page.GetTickets() {
			got = append(got, t.GetId())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return got
		}
		if len(got) > 1000 {
			r.Fatal("the list does not end")
		}
	}
}
