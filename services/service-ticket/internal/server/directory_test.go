package server_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func TestDepartments(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	qc, err := w.directory.CreateDepartment(ctx, &ticketv1.CreateDepartmentRequest{Department: &ticketv1.Department{
		Code: "qc", Name: &typev1.Text{Zh: "质检部", En: "Quality control"}, ParentId: w.desk.GetId(),
		HeadStaffId: w.agent.GetId(), Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
	}})
	if err != nil {
		t.Fatal(err)
	}
	now := timestamppb.New(w.Clock.Now())
	want := &ticketv1.Department{
		Id: qc.GetId(), Code: "qc", Name: &typev1.Text{Zh: "质检部", En: "Quality control"}, ParentId: w.desk.GetId(),
		HeadStaffId: w.agent.GetId(), Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
		CreateTime: now, UpdateTime: now, Etag: "1",
	}
	if !proto.Equal(qc, want) {
		t.Errorf("created %v, want %v", qc, want)
	}
	got, err := w.directory.UpdateDepartment(ctx, &ticketv1.UpdateDepartmentRequest{
		Department: &ticketv1.Department{Id: qc.GetId(), Code: "quality", Etag: "1"}, UpdateMask: mask("code", "parent_id", "etag"),
	})
	want.Code, want.ParentId, want.Etag = "quality", "", "2"
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("updated %v, %v, want %v", got, err, want)
	}
	if got, err = w.directory.GetDepartment(w.As(access.Auditor), &ticketv1.GetDepartmentRequest{Id: qc.GetId()}); err != nil || !proto.Equal(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	events := w.eventsOf(qc.GetId())
	payload, err := event.Unpack[*ticketv1.DepartmentChanged](events[1])
	if err != nil || len(events) != 2 || events[1].GetType() != "department.changed.v1" || events[1].GetSubjectVersion() != 2 ||
		!proto.Equal(payload.GetDepartment(), want) {
		t.Errorf("events %v, %v", events, err)
	}

	var codesRead []string
	req := &ticketv1.ListDepartmentsRequest{PageSize: 1}
	for {
		page, err := w.directory.ListDepartments(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page.GetDepartments() {
			codesRead = append(codesRead, d.GetCode())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(codesRead, []string{"desk", "quality"}) {
		t.Errorf("listed %v", codesRead)
	}
	for code, n := range map[string]int{"quality": 1, "qc": 0} {
		page, err := w.directory.ListDepartments(ctx, &ticketv1.ListDepartmentsRequest{Code: code})
		if err != nil || len(page.GetDepartments()) != n {
			t.Errorf("with code %s: %v, %v, want %d", code, page, err, n)
		}
	}
}

func TestDepartmentRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	for _, c := range []struct {
		field  string
		change func(*ticketv1.Department)
	}{
		{"department.code", func(d *ticketv1.Department) { d.Code = "Q C" }},
		{"department.name", func(d *ticketv1.Department) { d.Name = nil }},
		{"department.name", func(d *ticketv1.Department) { d.Name = &typev1.Text{} }},
		{"department.name.en", func(d *ticketv1.Department) { d.Name.En = strings.Repeat("x", 101) }},
		{"department.parent_id", func(d *ticketv1.Department) { d.ParentId = nowhere }},
		{"department.head_staff_id", func(d *ticketv1.Department) { d.HeadStaffId = nowhere }},
	} {
		d := &ticketv1.Department{Code: "qc", Name: &typev1.Text{En: "QC"}}
		c.change(d)
		_, err := w.directory.CreateDepartment(ctx, &ticketv1.CreateDepartmentRequest{Department: d})
		refused(t, "create with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)

		d = proto.Clone(w.desk).(*ticketv1.Department)
		c.change(d)
		_, err = w.directory.UpdateDepartment(ctx, &ticketv1.UpdateDepartmentRequest{
			Department: d, UpdateMask: mask("code", "name", "parent_id", "head_staff_id"),
		})
		refused(t, "update with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
	other := w.department("other")
	_, err := w.directory.CreateDepartment(ctx, &ticketv1.CreateDepartmentRequest{
		Department: &ticketv1.Department{Code: "desk", Name: &typev1.Text{En: "x"}},
	})
	refused(t, "create with a taken code", err, codes.AlreadyExists, "DEPARTMENT_EXISTS", "")
	update := func(d *ticketv1.Department, paths ...string) error {
		return second(w.directory.UpdateDepartment(ctx, &ticketv1.UpdateDepartmentRequest{Department: d, UpdateMask: mask(paths...)}))
	}
	refused(t, "update to a taken code", update(&ticketv1.Department{Id: other.GetId(), Code: "desk"}, "code"), codes.AlreadyExists, "DEPARTMENT_EXISTS", "")
	refused(t, "stale", update(&ticketv1.Department{Id: other.GetId(), Code: "x", Etag: "9"}, "code"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", update(&ticketv1.Department{Id: nowhere, Code: "x"}, "code"), codes.NotFound, "DEPARTMENT_NOT_FOUND", "")
	refused(t, "malformed", update(&ticketv1.Department{Id: "x", Code: "x"}, "code"), codes.InvalidArgument, "VALIDATION_FAILED", "department.id")
	for _, path := range []string{"", "create_time", "id", "nothing"} {
		var paths []string
		if path != "" {
			paths = append(paths, path)
		}
		refused(t, "mask "+path, update(&ticketv1.Department{Id: other.GetId()}, paths...), codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	}
	_, err = w.directory.GetDepartment(ctx, &ticketv1.GetDepartmentRequest{Id: nowhere})
	refused(t, "get unknown", err, codes.NotFound, "DEPARTMENT_NOT_FOUND", "")
	_, err = w.directory.ListDepartments(ctx, &ticketv1.ListDepartmentsRequest{PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	for _, role := range []string{access.ServiceAgent, access.Auditor} {
		_, err := w.directory.CreateDepartment(w.As(role), &ticketv1.CreateDepartmentRequest{
			Department: &ticketv1.Department{Code: "mine", Name: &typev1.Text{En: "x"}},
		})
		refused(t, role, err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	}
	_, err = w.directory.ListDepartments(w.AsCustomer(w.customer(typev1.Tier_TIER_B)), &ticketv1.ListDepartmentsRequest{})
	refused(t, "customer", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
}

func TestDepartmentsStayATree(t *testing.T) {
	w := newWorld(t)
	a, b, c := w.department("a"), w.department("b"), w.department("c")
	under := func(d, parent *ticketv1.Department) error {
		return second(w.directory.UpdateDepartment(w.manager(), &ticketv1.UpdateDepartmentRequest{
			Department: &ticketv1.Department{Id: d.GetId(), ParentId: parent.GetId()}, UpdateMask: mask("parent_id"),
		}))
	}
	refused(t, "below itself", under(a, a), codes.FailedPrecondition, "DEPARTMENT_CYCLE", "")
	if err := under(b, a); err != nil {
		t.Fatal(err)
	}
	if err := under(c, b); err != nil {
		t.Fatal(err)
	}
	refused(t, "below its grandchild", under(a, c), codes.FailedPrecondition, "DEPARTMENT_CYCLE", "")
	// Three at the top put below each other in a circle at once: the circle stays open.
	for range 5 {
		x, y, z := w.department("x"+newID(t)[24:]), w.department("y"+newID(t)[24:]), w.department("z"+newID(t)[24:])
		circle := [][2]*ticketv1.Department{{x, y}, {y, z}, {z, x}}
		won, lost := wins(3, func(i int) error { return under(circle[i][0], circle[i][1]) })
		if won != 2 {
			t.Errorf("%d of 3 moves won: %v", won, lost)
		}
		for _, err := range lost {
			refused(t, "the move that would close it", err, codes.FailedPrecondition, "DEPARTMENT_CYCLE", "")
		}
	}
	code := []string{"same-1", "same-2"}
	for i := range code {
		won, lost := wins(4, func(int) error {
			return second(w.directory.CreateDepartment(w.manager(), &ticketv1.CreateDepartmentRequest{
				Department: &ticketv1.Department{Code: code[i], Name: &typev1.Text{En: "x"}},
			}))
		})
		if won != 1 {
			t.Errorf("%d of 4 got the code: %v", won, lost)
		}
		for _, err := range lost {
			refused(t, "a lost code", err, codes.AlreadyExists, "DEPARTMENT_EXISTS", "")
		}
	}
}

func TestStaff(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	created, err := w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{Staff: &ticketv1.Staff{
		Name: "李雷", DepartmentId: w.desk.GetId(), Posts: []ticketv1.Post{ticketv1.Post_POST_SERVICE_AGENT},
		Skills: []string{"pumps"}, Languages: []string{"zh-CN"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	now := timestamppb.New(w.Clock.Now())
	want := &ticketv1.Staff{
		Id: created.GetId(), Name: "李雷", DepartmentId: w.desk.GetId(), Posts: []ticketv1.Post{ticketv1.Post_POST_SERVICE_AGENT},
		Skills: []string{"pumps"}, Languages: []string{"zh-CN"}, Status: ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE,
		Issuer: w.Issuer.URL(), Subject: created.GetId(), CreateTime: now, UpdateTime: now, Etag: "1",
	}
	if !proto.Equal(created, want) {
		t.Errorf("created %v, want %v", created, want)
	}
	got, err := w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{
		Staff:      &ticketv1.Staff{Id: created.GetId(), Subject: "li.lei", Status: ticketv1.StaffStatus_STAFF_STATUS_AWAY},
		UpdateMask: mask("subject", "status", "skills", "issuer"),
	})
	want.Subject, want.Status, want.Skills, want.Etag = "li.lei", ticketv1.StaffStatus_STAFF_STATUS_AWAY, nil, "2"
	if err != nil || !proto.Equal(got, want) {
		t.Errorf("updated %v, %v, want %v", got, err, want)
	}
	if got, err = w.directory.GetStaff(ctx, &ticketv1.GetStaffRequest{Id: created.GetId()}); err != nil || !proto.Equal(got, want) {
		t.Errorf("read %v, %v, want %v", got, err, want)
	}
	events := w.eventsOf(created.GetId())
	payload, err := event.Unpack[*ticketv1.StaffChanged](events[1])
	if err != nil || len(events) != 2 || events[1].GetType() != "staff.changed.v1" || events[1].GetSubjectVersion() != 2 ||
		!proto.Equal(payload.GetStaff(), want) {
		t.Errorf("events %v, %v", events, err)
	}
	other := w.department("other")
	elsewhere, err := w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{
		Staff: &ticketv1.Staff{Name: "x", DepartmentId: other.GetId(), Issuer: "https://other.example", Subject: "li.lei"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		req  *ticketv1.ListStaffRequest
		want []string
	}{
		{&ticketv1.ListStaffRequest{}, []string{w.agent.GetId(), created.GetId(), elsewhere.GetId()}},
		{&ticketv1.ListStaffRequest{DepartmentId: w.desk.GetId()}, []string{w.agent.GetId(), created.GetId()}},
		{&ticketv1.ListStaffRequest{Subject: "li.lei"}, []string{created.GetId(), elsewhere.GetId()}},
		{&ticketv1.ListStaffRequest{Subject: "li.lei", DepartmentId: other.GetId()}, []string{elsewhere.GetId()}},
		{&ticketv1.ListStaffRequest{Subject: "nobody"}, nil},
	} {
		c.req.PageSize = 1
		var ids []string
		for {
			page, err := w.directory.ListStaff(ctx, c.req)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page.GetStaff() {
				ids = append(ids, s.GetId())
			}
			if c.req.PageToken = page.GetNextPageToken(); c.req.PageToken == "" {
				break
			}
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("%v: %v, want %v", c.req, ids, c.want)
		}
	}
}

func TestStaffRefusals(t *testing.T) {
	w := newWorld(t)
	ctx := w.manager()
	for _, c := range []struct {
		field  string
		change func(*ticketv1.Staff)
	}{
		{"staff.name", func(s *ticketv1.Staff) { s.Name = "" }},
		{"staff.department_id", func(s *ticketv1.Staff) { s.DepartmentId = "" }},
		{"staff.department_id", func(s *ticketv1.Staff) { s.DepartmentId = nowhere }},
		{"staff.posts[0]", func(s *ticketv1.Staff) { s.Posts = []ticketv1.Post{0} }},
		{"staff.languages[0]", func(s *ticketv1.Staff) { s.Languages = []string{"x"} }},
	} {
		in := &ticketv1.Staff{Name: "x", DepartmentId: w.desk.GetId()}
		c.change(in)
		_, err := w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{Staff: in})
		refused(t, "create with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
		in = proto.Clone(w.agent).(*ticketv1.Staff)
		c.change(in)
		_, err = w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{
			Staff: in, UpdateMask: mask("name", "department_id", "posts", "languages"),
		})
		refused(t, "update with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
	}
	twin := &ticketv1.Staff{Name: "twin", DepartmentId: w.desk.GetId(), Subject: "agent-1"}
	_, err := w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{Staff: twin})
	refused(t, "create with a taken subject", err, codes.AlreadyExists, "STAFF_EXISTS", "")
	other := w.staff("agent-2")
	update := func(s *ticketv1.Staff, paths ...string) error {
		return second(w.directory.UpdateStaff(ctx, &ticketv1.UpdateStaffRequest{Staff: s, UpdateMask: mask(paths...)}))
	}
	refused(t, "update to a taken subject", update(&ticketv1.Staff{Id: other.GetId(), Subject: "agent-1"}, "subject"), codes.AlreadyExists, "STAFF_EXISTS", "")
	refused(t, "stale", update(&ticketv1.Staff{Id: other.GetId(), Name: "x", Etag: "9"}, "name"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", update(&ticketv1.Staff{Id: nowhere, Name: "x"}, "name"), codes.NotFound, "STAFF_NOT_FOUND", "")
	refused(t, "malformed", update(&ticketv1.Staff{Id: "x", Name: "x"}, "name"), codes.InvalidArgument, "VALIDATION_FAILED", "staff.id")
	refused(t, "empty mask", update(&ticketv1.Staff{Id: other.GetId()}), codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	_, err = w.directory.GetStaff(ctx, &ticketv1.GetStaffRequest{Id: nowhere})
	refused(t, "get unknown", err, codes.NotFound, "STAFF_NOT_FOUND", "")
	_, err = w.directory.ListStaff(ctx, &ticketv1.ListStaffRequest{PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
	_, err = w.directory.CreateStaff(w.As(access.ServiceAgent), &ticketv1.CreateStaffRequest{
		Staff: &ticketv1.Staff{Name: "x", DepartmentId: w.desk.GetId()},
	})
	refused(t, "agent", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
	won, lost := wins(4, func(int) error {
		return second(w.directory.CreateStaff(ctx, &ticketv1.CreateStaffRequest{
			Staff: &ticketv1.Staff{Name: "x", DepartmentId: w.desk.GetId(), Subject: "one"},
		}))
	})
	if won != 1 {
		t.Errorf("%d of 4 got the subject: %v", won, lost)
	}
	won, lost = wins(4, func(int) error { return update(&ticketv1.Staff{Id: other.GetId(), Name: "y", Etag: "1"}, "name") })
	if won != 1 {
		t.Errorf("%d of 4 changed one version: %v", won, lost)
	}
}
