package directory_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/event/v1"
	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/pg"
	"github.com/kefu-suite/kefu/runtime/testkit"
	"github.com/kefu-suite/kefu/services/internal/directory"
)

const issuer = "https://issuer.example"

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func envelope(t *testing.T, kind, subject string, version int64, payload proto.Message) *eventv1.Envelope {
	t.Helper()
	packed, err := anypb.New(payload)
	if err != nil {
		t.Fatal(err)
	}
	return &eventv1.Envelope{
		Id: newID(t).String(), Type: kind, SubjectId: subject, SubjectVersion: version, Payload: packed,
	}
}

func staffEvent(t *testing.T, id uuid.UUID, version int64, change func(*ticketv1.Staff)) *eventv1.Envelope {
	t.Helper()
	s := &ticketv1.Staff{
		Id: id.String(), Name: "王芳", DepartmentId: "01890a5d-ac96-774b-bcce-b302099a8057",
		Posts:  []ticketv1.Post{ticketv1.Post_POST_SERVICE_AGENT, ticketv1.Post_POST_QC_INSPECTOR},
		Skills: []string{"pumps"}, Languages: []string{"zh-CN", "en"},
		Status: ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE, Issuer: issuer, Subject: id.String(),
	}
	if change != nil {
		change(s)
	}
	return envelope(t, directory.TypeStaff, s.GetId(), version, &ticketv1.StaffChanged{Staff: s})
}

func departmentEvent(t *testing.T, id uuid.UUID, version int64, change func(*ticketv1.Department)) *eventv1.Envelope {
	t.Helper()
	d := &ticketv1.Department{
		Id: id.String(), Code: "qc", Name: &typev1.Text{Zh: "质检部", En: "Quality control"},
		Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
	}
	if change != nil {
		change(d)
	}
	return envelope(t, directory.TypeDepartment, d.GetId(), version, &ticketv1.DepartmentChanged{Department: d})
}

func feed(t *testing.T, db *testkit.DB, envelopes ...*eventv1.Envelope) {
	t.Helper()
	for _, env := range envelopes {
		if err := handle(t.Context(), db, env); err != nil {
			t.Fatalf("%s version %d: %v", env.GetType(), env.GetSubjectVersion(), err)
		}
	}
}

func handle(ctx context.Context, db *testkit.DB, env *eventv1.Envelope) error {
	return pg.InTx(ctx, db.Pool, func(tx pgx.Tx) error { return directory.Handle(ctx, tx, env) })
}

func TestStaffFollowEventsAndKeepTheNewestVersion(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, directory.Migrations())
	id := newID(t)
	first := staffEvent(t, id, 1, nil)
	second := staffEvent(t, id, 2, func(s *ticketv1.Staff) {
		s.Subject, s.Posts, s.Skills = "wang.fang", nil, nil
		s.Status = ticketv1.StaffStatus_STAFF_STATUS_LEFT
	})
	feed(t, db, first)
	got, err := directory.Staff(ctx, db.Pool, id)
	if err != nil {
		t.Fatal(err)
	}
	want := directory.Member{
		ID: id, Name: "王芳", DepartmentID: uuid.MustParse("01890a5d-ac96-774b-bcce-b302099a8057"),
		Posts:  []ticketv1.Post{ticketv1.Post_POST_SERVICE_AGENT, ticketv1.Post_POST_QC_INSPECTOR},
		Skills: []string{"pumps"}, Languages: []string{"zh-CN", "en"},
		Status: ticketv1.StaffStatus_STAFF_STATUS_AVAILABLE, Issuer: issuer, Subject: id.String(), Version: 1,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("stored %+v, want %+v", got, want)
	}

	feed(t, db, second, first, second)
	got, err = directory.StaffByIdentity(ctx, db.Pool, issuer, "wang.fang")
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Version != 2 || got.Status != ticketv1.StaffStatus_STAFF_STATUS_LEFT || len(got.Posts) != 0 {
		t.Errorf("after replays %+v, want version 2, left, no posts", got)
	}
	for _, identity := range [][2]string{{issuer, id.String()}, {"https://other.example", "wang.fang"}} {
		if _, err := directory.StaffByIdentity(ctx, db.Pool, identity[0], identity[1]); !errors.Is(err, directory.ErrUnknown) {
			t.Errorf("identity %v: %v, want ErrUnknown", identity, err)
		}
	}
	if _, err := directory.Staff(ctx, db.Pool, newID(t)); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("staff never heard of: %v, want ErrUnknown", err)
	}
}

func TestAnIdentityClaimedTwiceIsNobodys(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, directory.Migrations())
	before, after := newID(t), newID(t)
	takes := func(s *ticketv1.Staff) { s.Subject = "desk-7" }
	feed(t, db, staffEvent(t, before, 1, takes), staffEvent(t, after, 1, takes))
	if got, err := directory.StaffByIdentity(ctx, db.Pool, issuer, "desk-7"); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("two claim desk-7: %v, %v, want ErrUnknown", got.ID, err)
	}
	feed(t, db, staffEvent(t, before, 2, nil))
	if got, err := directory.StaffByIdentity(ctx, db.Pool, issuer, "desk-7"); err != nil || got.ID != after {
		t.Errorf("once the first gave it up: %v, %v, want %v", got.ID, err, after)
	}
}

func TestDepartmentsFollowEventsAndAreFoundByFunction(t *testing.T) {
	ctx := t.Context()
	db := testkit.Database(t, directory.Migrations())
	qc, second, head, parent := newID(t), newID(t), newID(t), newID(t)
	first := departmentEvent(t, qc, 1, nil)
	changed := departmentEvent(t, qc, 2, func(d *ticketv1.Department) {
		d.Code, d.ParentId, d.HeadStaffId = "quality", parent.String(), head.String()
	})
	feed(t, db, departmentEvent(t, second, 1, func(d *ticketv1.Department) { d.Code = "qc-north" }),
		first, changed, first, changed)
	want := directory.Unit{
		ID: qc, Code: "quality", NameZH: "质检部", NameEN: "Quality control",
		Function: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL,
		ParentID: parent, HeadStaffID: head, Version: 2,
	}
	for name, find := range map[string]func() (directory.Unit, error){
		"id": func() (directory.Unit, error) { return directory.Department(ctx, db.Pool, qc) },
		"function": func() (directory.Unit, error) {
			return directory.DepartmentByFunction(ctx, db.Pool, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL)
		},
	} {
		if got, err := find(); err != nil || got != want {
			t.Errorf("by %s: %+v, %v, want %+v", name, got, err, want)
		}
	}
	_, err := directory.DepartmentByFunction(ctx, db.Pool, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES)
	if !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("a function nobody does: %v, want ErrUnknown", err)
	}
	// One that is closed is known, and does nothing any more.
	feed(t, db, departmentEvent(t, qc, 3, func(d *ticketv1.Department) { d.CloseTime = timestamppb.Now() }))
	if got, err := directory.Department(ctx, db.Pool, qc); err != nil || !got.Closed {
		t.Errorf("closed: %+v, %v", got, err)
	}
	got, err := directory.DepartmentByFunction(ctx, db.Pool, ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_QUALITY_CONTROL)
	if err != nil || got.ID != second {
		t.Errorf("once the first is closed: %+v, %v, want the second", got, err)
	}
	if _, err := directory.Department(ctx, db.Pool, newID(t)); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("a department never heard of: %v, want ErrUnknown", err)
	}
}

func TestHandleRefusesWhatItCannotReadAndPassesOtherEventsOver(t *testing.T) {
	db := testkit.Database(t, directory.Migrations())
	other := departmentEvent(t, newID(t), 1, nil)
	other.Type = "ticket.created.v1"
	feed(t, db, other)
	if _, err := directory.Department(t.Context(), db.Pool, uuid.MustParse(other.GetSubjectId())); !errors.Is(err, directory.ErrUnknown) {
		t.Errorf("an event of another type was applied: %v", err)
	}
	for name, env := range map[string]*eventv1.Envelope{
		"staff id":      staffEvent(t, newID(t), 1, func(s *ticketv1.Staff) { s.Id = "x" }),
		"department id": staffEvent(t, newID(t), 1, func(s *ticketv1.Staff) { s.DepartmentId = "" }),
		"parent":        departmentEvent(t, newID(t), 1, func(d *ticketv1.Department) { d.ParentId = "x" }),
		"head":          departmentEvent(t, newID(t), 1, func(d *ticketv1.Department) { d.HeadStaffId = "x" }),
		"own id":        departmentEvent(t, newID(t), 1, func(d *ticketv1.Department) { d.Id = "" }),
		"payload":       envelope(t, directory.TypeStaff, "", 1, &ticketv1.DepartmentChanged{}),
	} {
		if err := handle(t.Context(), db, env); err == nil {
			t.Errorf("an event with a bad %s was applied", name)
		}
	}
}
