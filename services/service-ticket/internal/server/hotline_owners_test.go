package server_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/event"
)

// ownerless sweeps twice and gives what was told of owners, oldest first.
func (w *world) ownerless() (out []ticketv1.HotlineOwnerFault) {
	w.t.Helper()
	for range 2 {
		if err := w.server.SweepOrganisation(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, e := range w.Events(w.t) {
		if e.GetType() == "hotline.ownerlost.v1" {
			lost, err := event.Unpack[*ticketv1.HotlineOwnerLost](e)
			if err != nil {
				w.t.Fatal(err)
			}
			out = append(out, lost.GetFault())
		}
	}
	return out
}

func TestHotlinesThatNeedAnOwner(t *testing.T) {
	const left, lost = ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_LEFT, ticketv1.HotlineOwnerFault_HOTLINE_OWNER_FAULT_POST_LOST
	w := newWorld(t)
	ctx, boss := w.manager(), w.boss()
	agents := []ticketv1.Post{ticketv1.Post_POST_SERVICE_AGENT}
	w.change(w.agent.GetId(), &ticketv1.Staff{Posts: agents}, "posts")
	for i := range 4 {
		h := hotline(i, boss)
		if i == 1 {
			h.OwnerStaffId = w.agent.GetId()
		}
		if _, err := w.hotlines().CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: h}); err != nil {
			t.Fatal(err)
		}
	}
	publish := func() {
		t.Helper()
		w.Clock.Advance(time.Minute)
		if _, err := w.hotlines().PublishHotlines(ctx, &ticketv1.PublishHotlinesRequest{Reason: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	publish()
	stands := func(want ...ticketv1.HotlineOwnerFault) string {
		t.Helper()
		page, err := w.hotlines().ListHotlines(ctx, &ticketv1.ListHotlinesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		duty := page.GetHotlines()[1]
		status, err := w.hotlines().GetHotlineStatus(ctx, &ticketv1.GetHotlineStatusRequest{})
		overdue := slices.Contains(status.GetOverdue(), ticketv1.HotlineOverdue_HOTLINE_OVERDUE_OWNER)
		if err != nil || !slices.Equal(duty.GetOwnerFaults(), want) || overdue != (len(want) > 0) {
			t.Fatalf("%v, overdue %v (%v), want %v", duty, status.GetOverdue(), err, want)
		}
		return duty.GetId()
	}
	stands()
	if got := w.ownerless(); len(got) != 0 {
		t.Errorf("told without a reason: %v", got)
	}
	w.change(w.agent.GetId(), &ticketv1.Staff{Posts: []ticketv1.Post{ticketv1.Post_POST_SALESPERSON}}, "posts")
	stands(lost)
	if got := w.ownerless(); !slices.Equal(got, []ticketv1.HotlineOwnerFault{lost}) {
		t.Errorf("told %v", got)
	}
	if n := w.count("SELECT count(*) FROM hotlines WHERE update_time > (SELECT max(publish_time) FROM hotline_publications)"); n != 0 {
		t.Error("telling is a change of the hotline")
	}
	// A publication confirms the owner as they are; what is wrong again is told again.
	publish()
	stands()
	if got := w.ownerless(); len(got) != 1 {
		t.Errorf("told %v", got)
	}
	w.leave(w.agent.GetId())
	id := stands(left)
	if got := w.ownerless(); !slices.Equal(got, []ticketv1.HotlineOwnerFault{lost, left}) {
		t.Errorf("told %v", got)
	}
	publish()
	stands(left)
	if n := w.count("SELECT count(*) FROM hotline_reminders WHERE reason = 4"); n != 2 {
		t.Errorf("%d reminders of two publications", n)
	}
	update := func(owner string) (*ticketv1.Hotline, error) {
		return w.hotlines().UpdateHotline(ctx, &ticketv1.UpdateHotlineRequest{Hotline: &ticketv1.Hotline{Id: id, OwnerStaffId: owner, Hours: 2}, UpdateMask: mask("owner_staff_id", "hours")})
	}
	gone := w.staff("gone").GetId()
	w.leave(gone)
	_, err := update(gone)
	refused(t, "an owner who has left", err, codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
	if got, err := update(w.agent.GetId()); err != nil || !slices.Equal(got.GetOwnerFaults(), []ticketv1.HotlineOwnerFault{left}) {
		t.Errorf("another change of it: %v, %v", got, err)
	}
	if got, err := update(boss); err != nil || len(got.GetOwnerFaults()) != 0 {
		t.Errorf("with a new owner: %v, %v", got, err)
	}
	stands()
	h := hotline(1, gone)
	h.Number = "95599"
	_, err = w.hotlines().CreateHotline(ctx, &ticketv1.CreateHotlineRequest{Hotline: h})
	refused(t, "a new one of who has left", err, codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
}
