package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/services/internal/access"
)

func (w *world) hotlines() ticketv1.HotlineServiceClient {
	return ticketv1.NewHotlineServiceClient(w.Conn)
}

// hotline is one by its number, in the order service, duty, manager's office, manager's
// mobile.
func hotline(i int, owner string) *ticketv1.Hotline {
	h := []*ticketv1.Hotline{
		{Number: "4008200000", Hours: 1, Purpose: 1, Line: 1}, {Number: "95533", Hours: 2, Purpose: 2, Line: 1},
		{Number: "021 6888 1234", Hours: 1, Purpose: 3, Line: 1}, {Number: "+86 138 0013 8000", Hours: 2, Purpose: 3, Line: 2},
	}[i]
	h.Name, h.OwnerStaffId = &typev1.Text{Zh: "热线"}, owner
	return h
}

func (w *world) boss() string {
	w.t.Helper()
	s, err := w.directory.CreateStaff(w.manager(), &ticketv1.CreateStaffRequest{Staff: &ticketv1.Staff{
		Name: "赵总", DepartmentId: w.desk.GetId(), Subject: "boss", Posts: []ticketv1.Post{ticketv1.Post_POST_COMPANY_MANAGER}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return s.GetId()
}

func TestHotlinesArePublishedWhenWhole(t *testing.T) {
	w := newWorld(t)
	ctx, lines, boss := w.manager(), w.hotlines(), w.boss()
	_, err := lines.GetHotlinePublication(w.AsPublic(), &ticketv1.GetHotlinePublicationRequest{})
	refused(t, "before the first", err, codes.NotFound, "HOTLINE_PUBLICATION_NOT_FOUND", "")
	publish := func() (*ticketv1.HotlinePublication, error) {
		return lines.PublishHotlines(ctx, &ticketv1.PublishHotlinesRequest{Reason: "first"})
	}
	stands := func() *ticketv1.HotlineStatus {
		s, err := lines.GetHotlineStatus(w.As(access.Auditor), &ticketv1.GetHotlineStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	var made []*ticketv1.Hotline
	for i := range 4 {
		_, err := publish()
		refused(t, "incomplete", err, codes.FailedPrecondition, "HOTLINES_INCOMPLETE", "")
		for _, d := range status.Convert(err).Details() {
			info, ok := d.(*errdetails.ErrorInfo)
			if missing := stands().GetMissing(); ok && (len(missing) != 4-i || info.GetMetadata()["clause"] != "1-hotlines") {
				t.Errorf("with %d lines %v is missing: %v", i, missing, info)
			}
		}
		h, err := lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: hotline(i, boss)})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, h)
	}
	if got := stands(); len(got.GetMissing()) != 0 || !slices.Equal(got.GetOverdue(), []ticketv1.HotlineOverdue{ticketv1.HotlineOverdue_HOTLINE_OVERDUE_NEVER}) {
		t.Errorf("before the first: %v", got)
	}
	first, err := publish()
	if err != nil || first.GetVersion() != 1 || len(first.GetHotlines()) != 4 || first.GetHotlines()[3].GetNumber() != "+8613800138000" {
		t.Fatal(first, err)
	}
	if got := stands(); len(got.GetOverdue()) != 0 || got.GetDueTime().AsTime().Sub(w.Clock.Now()).Round(time.Hour) != 90*24*time.Hour {
		t.Errorf("after the first: %v", got)
	}
	w.Clock.Advance(time.Minute)
	if _, err := lines.DeleteHotline(ctx, &ticketv1.DeleteHotlineRequest{Id: made[3].GetId()}); err != nil {
		t.Fatal(err)
	}
	if got := stands(); !slices.Equal(got.GetOverdue(), []ticketv1.HotlineOverdue{ticketv1.HotlineOverdue_HOTLINE_OVERDUE_CHANGED}) ||
		!slices.Equal(got.GetMissing(), []ticketv1.HotlineRequirement{ticketv1.HotlineRequirement_HOTLINE_REQUIREMENT_MANAGER_MOBILE}) {
		t.Errorf("after a change: %v", got)
	}
	if _, err := lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: hotline(3, boss)}); err != nil {
		t.Fatal("the number of a deleted line is free: ", err)
	}
	// Two at a time get versions of their own.
	if won, lost := wins(2, func(int) error { return second(publish()) }); won != 2 {
		t.Errorf("%d of two publications, %v", won, lost)
	}
	for version, want := range map[int32]int32{0: 3, 1: 1, 2: 2} {
		got, err := lines.GetHotlinePublication(w.AsPublic(), &ticketv1.GetHotlinePublicationRequest{Version: version})
		if err != nil || got.GetVersion() != want || got.GetHotlines()[0].GetDepartment().GetZh() == "" {
			t.Errorf("version %d: %v, %v", version, got, err)
		}
	}
	_, err = lines.GetHotlinePublication(w.AsPublic(), &ticketv1.GetHotlinePublicationRequest{Version: 9})
	refused(t, "a version to come", err, codes.NotFound, "HOTLINE_PUBLICATION_NOT_FOUND", "")
	_, err = lines.PublishHotlines(ctx, &ticketv1.PublishHotlinesRequest{})
	refused(t, "no reason", err, codes.InvalidArgument, "VALIDATION_FAILED", "reason")
	// A manager who left answers for nothing.
	w.leave(boss)
	if got := stands().GetMissing(); len(got) != 2 {
		t.Errorf("without the manager %v is missing", got)
	}
}

func TestOverduePublicationsAreToldOnce(t *testing.T) {
	w := newWorld(t)
	boss := w.boss()
	told := func() (n int) {
		t.Helper()
		for range 2 {
			if err := w.server.SweepOrganisation(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range w.Events(t) {
			if e.GetType() == "hotlines.overdue.v1" {
				n++
			}
		}
		return n
	}
	if n := told(); n != 1 {
		t.Errorf("that there never was one was told %d times", n)
	}
	for i := range 4 {
		if _, err := w.hotlines().CreateHotline(w.manager(), &ticketv1.CreateHotlineRequest{Hotline: hotline(i, boss)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.hotlines().PublishHotlines(w.manager(), &ticketv1.PublishHotlinesRequest{Reason: "first"}); err != nil {
		t.Fatal(err)
	}
	if n := told(); n != 1 {
		t.Errorf("after a publication %d were told", n)
	}
	w.Clock.Advance(90 * 24 * time.Hour)
	if n := told(); n != 2 {
		t.Errorf("after 90 days %d were told", n)
	}
}

func TestHotlineRefusals(t *testing.T) {
	w := newWorld(t)
	ctx, lines := w.manager(), w.hotlines()
	made, err := lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: hotline(0, w.agent.GetId())})
	if err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*ticketv1.Hotline){
		"hotline.number":         func(h *ticketv1.Hotline) { h.Number = "12" },
		"hotline.name":           func(h *ticketv1.Hotline) { h.Name = &typev1.Text{} },
		"hotline.hours":          func(h *ticketv1.Hotline) { h.Hours = 0 },
		"hotline.purpose":        func(h *ticketv1.Hotline) { h.Purpose = 0 },
		"hotline.line":           func(h *ticketv1.Hotline) { h.Line = 0 },
		"hotline.owner_staff_id": func(h *ticketv1.Hotline) { h.OwnerStaffId = nowhere },
	} {
		h := hotline(1, w.agent.GetId())
		change(h)
		_, err := lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: h})
		refused(t, "create with a bad "+field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
		h.Id = made.GetId()
		_, err = lines.UpdateHotline(ctx, &ticketv1.UpdateHotlineRequest{Hotline: h, UpdateMask: mask("number", "name", "hours", "purpose", "line", "owner_staff_id")})
		refused(t, "update with a bad "+field, err, codes.InvalidArgument, "VALIDATION_FAILED", field)
	}
	blank := hotline(1, w.agent.GetId())
	blank.Number = "  "
	_, err = lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: blank})
	refused(t, "a blank number", err, codes.InvalidArgument, "VALIDATION_FAILED", "hotline.number")
	_, err = lines.CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: hotline(0, w.agent.GetId())})
	refused(t, "a number twice", err, codes.AlreadyExists, "HOTLINE_EXISTS", "")
	update := func(h *ticketv1.Hotline, path string) error {
		return second(lines.UpdateHotline(ctx, &ticketv1.UpdateHotlineRequest{Hotline: h, UpdateMask: mask(path)}))
	}
	if err := update(&ticketv1.Hotline{Id: made.GetId(), Hours: 2, Etag: "1"}, "hours"); err != nil {
		t.Error(err)
	}
	refused(t, "stale", update(&ticketv1.Hotline{Id: made.GetId(), Hours: 1, Etag: "1"}, "hours"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", update(&ticketv1.Hotline{Id: nowhere, Hours: 1}, "hours"), codes.NotFound, "HOTLINE_NOT_FOUND", "")
	refused(t, "a bad mask", update(&ticketv1.Hotline{Id: made.GetId()}, "nothing"), codes.InvalidArgument, "UPDATE_MASK_INVALID", "")
	page, err := lines.ListHotlines(ctx, &ticketv1.ListHotlinesRequest{})
	if err != nil || len(page.GetHotlines()) != 1 || page.GetHotlines()[0].GetHours() != 2 {
		t.Errorf("listed %v, %v", page, err)
	}
	for i, want := range []string{"", "HOTLINE_NOT_FOUND"} {
		_, err := lines.DeleteHotline(ctx, &ticketv1.DeleteHotlineRequest{Id: made.GetId()})
		refused(t, "delete", err, []codes.Code{codes.OK, codes.NotFound}[i], want, "")
	}
}
