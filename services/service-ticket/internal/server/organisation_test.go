package server_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/ticket"
)

func (w *world) organisation() ticketv1.OrganisationServiceClient {
	return ticketv1.NewOrganisationServiceClient(w.Conn)
}

// in is the present moved by hours.
func (w *world) in(hours int) *timestamppb.Timestamp {
	return timestamppb.New(w.Clock.Now().Add(time.Duration(hours) * time.Hour))
}

// leave lets somebody leave the company.
func (w *world) leave(id string) {
	w.t.Helper()
	_, err := w.directory.UpdateStaff(w.manager(), &ticketv1.UpdateStaffRequest{
		Staff: &ticketv1.Staff{Id: id, Status: ticketv1.StaffStatus_STAFF_STATUS_LEFT}, UpdateMask: mask("status"),
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestStaffHoursCertificatesAndLoad(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	got, err := w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{Staff: &ticketv1.Staff{
		Id: w.agent.GetId(), CalendarId: "day-and-night", Certificates: []*ticketv1.Certificate{
			{Name: "electrician", ExpireDate: w.Clock.Now().AddDate(0, 0, -2).Format(time.DateOnly)}, {Name: "forklift", ExpireDate: "2099-01-31"}, {Name: "first aid"}},
	}, UpdateMask: mask("calendar_id", "certificates")})
	if err != nil || got.GetCalendarId() != "day-and-night" || len(got.GetCertificates()) != 3 || got.GetCertificates()[2].GetExpireDate() != "" {
		t.Fatalf("%v, %v", got, err)
	}
	w.at(ticket.Assigned, "")
	w.at(ticket.Assigned, "")
	w.at(ticket.Closed, "")
	list, err := w.directory.ListStaff(ctx, &ticketv1.ListStaffRequest{})
	if err != nil || len(list.GetStaff()) != 1 {
		t.Fatal(list, err)
	}
	one, err := w.directory.GetStaff(ctx, &ticketv1.GetStaffRequest{Id: w.agent.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*ticketv1.Staff{one, list.GetStaff()[0]} {
		c := s.GetCertificates()
		if s.GetOpenTickets() != 2 || len(c) != 3 || !c[0].GetExpired() || c[1].GetExpired() || c[2].GetExpired() {
			t.Errorf("told %v", s)
		}
	}
	for field, change := range map[string]*ticketv1.Staff{
		"staff.calendar_id":                 {CalendarId: "nowhere"},
		"staff.certificates[1].name":        {Certificates: []*ticketv1.Certificate{{Name: "x"}, {Name: "x"}}},
		"staff.certificates[0].name":        {Certificates: []*ticketv1.Certificate{{}}},
		"staff.certificates[0].expire_date": {Certificates: []*ticketv1.Certificate{{Name: "x", ExpireDate: "2026-02-30"}}},
	} {
		change.Id = w.agent.GetId()
		_, err := w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{Staff: change, UpdateMask: mask("calendar_id", "certificates")})
		refused(t, field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
}

func TestSetStaffStatusByReach(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	mate, stranger := w.staffOf(w.desk.GetId(), "mate"), w.staffOf(far.GetId(), "stranger")
	set := func(ctx context.Context, id, etag string) error {
		return second(w.organisation().SetStaffStatus(ctx, &ticketv1.SetStaffStatusRequest{Id: id, Status: ticketv1.StaffStatus_STAFF_STATUS_BUSY, Etag: etag}))
	}
	for _, c := range []struct {
		who  string
		ctx  context.Context
		id   string
		code codes.Code
	}{
		{"oneself", w.AsStaff(access.ServiceAgent, "agent-1"), w.agent.GetId(), codes.OK},
		{"a mate", w.AsStaff(access.ServiceAgent, "agent-1"), mate.GetId(), codes.PermissionDenied},
		{"the supervisor a mate", w.AsStaff(access.ServiceSupervisor, "agent-1"), mate.GetId(), codes.OK},
		{"the supervisor a stranger", w.AsStaff(access.ServiceSupervisor, "agent-1"), stranger.GetId(), codes.PermissionDenied},
		{"somebody unknown", w.AsStaff(access.ServiceSupervisor, "nobody"), mate.GetId(), codes.PermissionDenied},
		{"the manager anybody", w.manager(), stranger.GetId(), codes.OK},
		{"the auditor", w.AsStaff(access.Auditor, "agent-1"), w.agent.GetId(), codes.PermissionDenied},
	} {
		reason := map[codes.Code]string{codes.OK: "", codes.PermissionDenied: "PERMISSION_DENIED"}[c.code]
		refused(t, c.who, set(c.ctx, c.id, ""), c.code, reason, "")
	}
	got, err := w.directory.GetStaff(w.manager(), &ticketv1.GetStaffRequest{Id: mate.GetId()})
	if err != nil || got.GetStatus() != ticketv1.StaffStatus_STAFF_STATUS_BUSY {
		t.Errorf("%v, %v", got, err)
	}
	if events := w.eventsOf(mate.GetId()); len(events) != 2 || events[1].GetType() != "staff.changed.v1" {
		t.Errorf("events %v", events)
	}
	refused(t, "stale", set(w.manager(), mate.GetId(), "1"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", set(w.manager(), nowhere, ""), codes.NotFound, "STAFF_NOT_FOUND", "")
	refused(t, "malformed", set(w.manager(), "x", ""), codes.InvalidArgument, "VALIDATION_FAILED", "id")
	w.leave(mate.GetId())
	refused(t, "who left", set(w.manager(), mate.GetId(), ""), codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	ctx, org := w.manager(), w.organisation()
	repair := ticketv1.TicketType_TICKET_TYPE_REPAIR
	resolve := func(product string) (string, error) {
		r, err := org.ResolveRoute(ctx, &ticketv1.ResolveRouteRequest{Type: repair, ProductModel: product})
		return r.GetDepartmentId(), err
	}
	_, err := resolve("")
	refused(t, "no department repairs", err, codes.NotFound, "ROUTE_NOT_FOUND", "")
	d, err := w.directory.CreateDepartment(ctx, &ticketv1.CreateDepartmentRequest{Department: &ticketv1.Department{
		Code: "repairs", Name: &typev1.Text{En: "Repairs"}, Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := resolve("P-1"); err != nil || got != d.GetId() {
		t.Errorf("by default to %s, %v", got, err)
	}
	set := func(kind ticketv1.TicketType, product, department string) (*ticketv1.Route, error) {
		return org.SetRoute(ctx, &ticketv1.SetRouteRequest{Type: kind, ProductModel: product, DepartmentId: department})
	}
	first, err := set(repair, " p-1", d.GetId())
	if err != nil {
		t.Fatal(err)
	}
	again, err := set(repair, "P-1", w.desk.GetId())
	if err != nil || again.GetId() != first.GetId() || again.GetProductModel() != "p-1" {
		t.Errorf("set again %v, %v", again, err)
	}
	if got, err := resolve("P-1"); err != nil || got != w.desk.GetId() {
		t.Errorf("by route to %s, %v", got, err)
	}
	if page, err := org.ListRoutes(ctx, &ticketv1.ListRoutesRequest{}); err != nil || len(page.GetRoutes()) != 1 {
		t.Errorf("listed %v, %v", page, err)
	}
	_, err = set(0, " ", d.GetId())
	refused(t, "a route for everything", err, codes.InvalidArgument, "VALIDATION_FAILED", "type")
	_, err = set(repair, "", nowhere)
	refused(t, "an unknown department", err, codes.InvalidArgument, "VALIDATION_FAILED", "department_id")
	for i, want := range []string{"", "ROUTE_NOT_FOUND"} {
		_, err := org.DeleteRoute(ctx, &ticketv1.DeleteRouteRequest{Id: first.GetId()})
		refused(t, "delete", err, []codes.Code{codes.OK, codes.NotFound}[i], want, "")
	}
	if got, err := resolve("P-1"); err != nil || got != d.GetId() {
		t.Errorf("after that to %s, %v", got, err)
	}
}

func TestSubstitutions(t *testing.T) {
	w := newWorld(t)
	ctx, org := w.manager(), w.organisation()
	mate, third := w.staff("mate").GetId(), w.staff("third").GetId()
	create := func(staff, substitute string, from, to int) (*ticketv1.Substitution, error) {
		return org.CreateSubstitution(ctx, &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
			StaffId: staff, SubstituteStaffId: substitute, StartTime: w.in(from), EndTime: w.in(to), Reason: "leave"}})
	}
	first, err := create(w.agent.GetId(), mate, 1, 5)
	if err != nil || first.GetReason() != "leave" {
		t.Fatal(first, err)
	}
	if _, err := create(mate, third, 2, 4); err != nil {
		t.Fatal(err)
	}
	_, err = create(third, w.agent.GetId(), 3, 9)
	refused(t, "a circle", err, codes.FailedPrecondition, "SUBSTITUTION_CYCLE", "")
	_, err = create(w.agent.GetId(), third, 4, 6)
	refused(t, "a second one", err, codes.FailedPrecondition, "SUBSTITUTION_OVERLAPS", "")
	_, err = create(third, third, 1, 2)
	refused(t, "oneself", err, codes.InvalidArgument, "VALIDATION_FAILED", "substitution.substitute_staff_id")
	_, err = create(third, mate, 8, 8)
	refused(t, "no time", err, codes.InvalidArgument, "VALIDATION_FAILED", "substitution.end_time")
	_, err = create(nowhere, mate, 8, 9)
	refused(t, "unknown staff", err, codes.InvalidArgument, "VALIDATION_FAILED", "substitution.staff_id")
	_, err = create(mate, nowhere, 8, 9)
	refused(t, "an unknown substitute", err, codes.InvalidArgument, "VALIDATION_FAILED", "substitution.substitute_staff_id")
	page, err := org.ListSubstitutions(ctx, &ticketv1.ListSubstitutionsRequest{StaffId: mate})
	all, err2 := org.ListSubstitutions(ctx, &ticketv1.ListSubstitutionsRequest{})
	if err != nil || err2 != nil || len(page.GetSubstitutions()) != 1 || len(all.GetSubstitutions()) != 2 {
		t.Errorf("listed %v, %v and %v, %v", page, err, all, err2)
	}
	for i, want := range []string{"", "SUBSTITUTION_NOT_FOUND"} {
		_, err := org.DeleteSubstitution(ctx, &ticketv1.DeleteSubstitutionRequest{Id: first.GetId()})
		refused(t, "take back", err, []codes.Code{codes.OK, codes.NotFound}[i], want, "")
	}
	w.leave(third)
	_, err = create(w.agent.GetId(), third, 8, 9)
	refused(t, "who left", err, codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
	// Of two that would close a circle together exactly one wins.
	won, lost := wins(2, func(i int) error {
		pair := []string{w.agent.GetId(), mate}
		return second(create(pair[i], pair[1-i], 20, 30))
	})
	if won != 1 {
		t.Errorf("%d of two circular substitutions were let in", won)
	}
	for _, err := range lost {
		refused(t, "the other one", err, codes.FailedPrecondition, "SUBSTITUTION_CYCLE", "")
	}
}

func TestStations(t *testing.T) {
	w := newWorld(t)
	ctx, org := w.manager(), w.organisation()
	_, err := org.FindNearestStation(ctx, &ticketv1.FindNearestStationRequest{})
	refused(t, "no station", err, codes.NotFound, "STATION_NOT_FOUND", "")
	create := func(code string, latitude, longitude float64) (*ticketv1.Station, error) {
		return org.CreateStation(ctx, &ticketv1.CreateStationRequest{Station: &ticketv1.Station{
			Code: code, Name: &typev1.Text{Zh: code}, Latitude: latitude, Longitude: longitude, DepartmentId: w.desk.GetId()}})
	}
	wuhan, err := create("wuhan", 30.5928, 114.3055)
	if err != nil {
		t.Fatal(err)
	}
	shanghai, err := create("shanghai", 31.2304, 121.4737)
	if err != nil {
		t.Fatal(err)
	}
	nearest := func() *ticketv1.NearestStation {
		n, err := org.FindNearestStation(w.As(access.Auditor), &ticketv1.FindNearestStationRequest{Latitude: 31.3, Longitude: 120.6})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := nearest(); n.GetStation().GetCode() != "shanghai" || n.GetDistanceKm() < 82 || n.GetDistanceKm() > 85 {
		t.Errorf("nearest is %v", n)
	}
	_, err = org.UpdateStation(ctx, &ticketv1.UpdateStationRequest{
		Station: &ticketv1.Station{Id: shanghai.GetId(), Closed: true, Etag: "1"}, UpdateMask: mask("closed")})
	if err != nil || nearest().GetStation().GetId() != wuhan.GetId() {
		t.Errorf("a closed station is the nearest, or: %v", err)
	}
	if got, err := org.GetStation(ctx, &ticketv1.GetStationRequest{Id: shanghai.GetId()}); err != nil || !got.GetClosed() || got.GetEtag() != "2" {
		t.Errorf("read %v, %v", got, err)
	}
	if page, err := org.ListStations(ctx, &ticketv1.ListStationsRequest{}); err != nil || len(page.GetStations()) != 2 {
		t.Errorf("listed %v, %v", page, err)
	}
	if events := w.eventsOf(shanghai.GetId()); len(events) != 2 || events[1].GetType() != "station.changed.v1" {
		t.Errorf("events %v", events)
	}
	_, err = create("wuhan", 0, 0)
	refused(t, "a taken code", err, codes.AlreadyExists, "STATION_EXISTS", "")
	_, err = create("pole", 91, 0)
	refused(t, "beyond the pole", err, codes.InvalidArgument, "VALIDATION_FAILED", "station.latitude")
	_, err = org.CreateStation(ctx, &ticketv1.CreateStationRequest{Station: &ticketv1.Station{Code: "x", Name: &typev1.Text{}}})
	refused(t, "no name", err, codes.InvalidArgument, "VALIDATION_FAILED", "station.name")
	update := func(s *ticketv1.Station, path string) error {
		return second(org.UpdateStation(ctx, &ticketv1.UpdateStationRequest{Station: s, UpdateMask: mask(path)}))
	}
	refused(t, "update to a taken code", update(&ticketv1.Station{Id: wuhan.GetId(), Code: "shanghai"}, "code"), codes.AlreadyExists, "STATION_EXISTS", "")
	refused(t, "an unknown department", update(&ticketv1.Station{Id: wuhan.GetId(), DepartmentId: nowhere}, "department_id"), codes.InvalidArgument, "VALIDATION_FAILED", "station.department_id")
	refused(t, "stale", update(&ticketv1.Station{Id: wuhan.GetId(), Etag: "9"}, "closed"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "an unknown station", update(&ticketv1.Station{Id: nowhere}, "closed"), codes.NotFound, "STATION_NOT_FOUND", "")
	refused(t, "a bad mask", update(&ticketv1.Station{Id: wuhan.GetId()}, "nothing"), codes.InvalidArgument, "UPDATE_MASK_INVALID", "")
	_, err = org.GetStation(ctx, &ticketv1.GetStationRequest{Id: nowhere})
	refused(t, "get an unknown station", err, codes.NotFound, "STATION_NOT_FOUND", "")
}

func TestTicketsOfTheAbsentGoToTheirSubstitute(t *testing.T) {
	w := newWorld(t)
	far := w.department("far")
	mate := w.staffOf(far.GetId(), "mate")
	_, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(0), EndTime: w.in(2)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := w.at(ticket.Assigned, ""); got.GetAssigneeStaffId() != mate.GetId() || got.GetDepartmentId() != far.GetId() {
		t.Errorf("while away: %v", got)
	}
	w.Clock.Advance(2 * time.Hour)
	if got := w.at(ticket.Assigned, ""); got.GetAssigneeStaffId() != w.agent.GetId() || got.GetDepartmentId() != w.desk.GetId() {
		t.Errorf("when back: %v", got)
	}
	if _, err := w.organisation().CreateSubstitution(w.manager(), &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(0), EndTime: w.in(2)}}); err != nil {
		t.Fatal(err)
	}
	w.leave(mate.GetId())
	_, err = w.do(w.manager(), "assign", w.at(ticket.New, "").GetId(), "")
	refused(t, "a substitute who left", err, codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
}
