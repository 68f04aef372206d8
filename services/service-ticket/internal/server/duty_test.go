package server_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
)

func (w *world) duty() ticketv1.DutyServiceClient { return ticketv1.NewDutyServiceClient(w.Conn) }

func (w *world) roster(code string) *ticketv1.DutyRoster {
	w.t.Helper()
	r, err := w.duty().CreateDutyRoster(w.manager(), &ticketv1.CreateDutyRosterRequest{
		Roster: &ticketv1.DutyRoster{Code: code, Name: &typev1.Text{Zh: "夜间值班"}, DepartmentId: w.desk.GetId()}})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) shift(roster, staff string, from, to int) (*ticketv1.DutyShift, error) {
	return w.duty().CreateDutyShift(w.manager(), &ticketv1.CreateDutyShiftRequest{
		RosterId: roster, Shift: &ticketv1.DutyShift{StaffId: staff, StartTime: w.in(from), EndTime: w.in(to)}})
}

func TestDutyGapsAreFlagged(t *testing.T) {
	w := newWorld(t)
	ctx, night := w.manager(), w.roster("night")
	mate := w.staff("mate")
	gaps := func(days int32) (out [][2]int) {
		t.Helper()
		page, err := w.duty().GetDutyGaps(ctx, &ticketv1.GetDutyGapsRequest{RosterId: night.GetId(), Days: days})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range page.GetGaps() {
			now := w.Clock.Now()
			out = append(out, [2]int{int(g.GetStartTime().AsTime().Sub(now).Round(time.Hour).Hours()), int(g.GetEndTime().AsTime().Sub(now).Round(time.Hour).Hours())})
		}
		return out
	}
	if got := gaps(0); len(got) != 1 || got[0] != [2]int{0, 168} {
		t.Fatalf("an empty roster has the gaps %v", got)
	}
	first, err := w.shift(night.GetId(), w.agent.GetId(), -1, 100)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.shift(night.GetId(), mate.GetId(), 110, 200); err != nil {
		t.Fatal(err)
	}
	if got := gaps(0); len(got) != 1 || got[0] != [2]int{100, 110} {
		t.Fatalf("gaps %v", got)
	}
	if got := gaps(10); len(got) != 2 || got[1] != [2]int{200, 240} {
		t.Fatalf("gaps in ten days %v", got)
	}
	told := func() (n int) {
		t.Helper()
		if err := w.server.SweepOrganisation(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range w.Events(t) {
			if e.GetType() == "duty.gap.v1" {
				n++
				if p, err := event.Unpack[*ticketv1.DutyGapFound](e); err != nil || p.GetRosterCode() != "night" || p.GetRosterId() != night.GetId() {
					t.Errorf("told %v, %v", p, err)
				}
			}
		}
		return n
	}
	once := func(what string, want int) {
		t.Helper()
		if first, again := told(), told(); first != want || again != want {
			t.Errorf("%s: told %d times, then %d, want %d", what, first, again, want)
		}
	}
	once("a gap", 1)
	// Who left covers nothing: the gap grows, and the hours it grows by are told.
	w.leave(mate.GetId())
	if got := gaps(0); len(got) != 1 || got[0] != [2]int{100, 168} {
		t.Errorf("gaps %v", got)
	}
	once("grown after somebody left", 2)
	if _, err := w.duty().DeleteDutyShift(ctx, &ticketv1.DeleteDutyShiftRequest{RosterId: night.GetId(), Id: first.GetId()}); err != nil {
		t.Fatal(err)
	}
	if got := gaps(0); len(got) != 1 || got[0] != [2]int{0, 168} {
		t.Errorf("gaps %v", got)
	}
	once("grown after a shift was taken back", 3)
	// What was filled and is empty again is told again.
	filled, err := w.shift(night.GetId(), w.agent.GetId(), 20, 30)
	if err != nil {
		t.Fatal(err)
	}
	once("filled in part", 3)
	if _, err := w.duty().DeleteDutyShift(ctx, &ticketv1.DeleteDutyShiftRequest{RosterId: night.GetId(), Id: filled.GetId()}); err != nil {
		t.Fatal(err)
	}
	once("empty again", 4)
	// The days that come bring more of the same gap.
	for range 3 {
		w.Clock.Advance(13 * time.Hour)
		once("a gap that goes on", 4)
	}
	closed, err := w.duty().UpdateDutyRoster(ctx, &ticketv1.UpdateDutyRosterRequest{
		Roster: &ticketv1.DutyRoster{Id: night.GetId(), Closed: true, Etag: "1"}, UpdateMask: mask("closed")})
	if err != nil || closed.GetEtag() != "2" || len(gaps(0)) != 0 {
		t.Errorf("closed %v, %v", closed, err)
	}
}

// Hours that the calendar does not ask for are no gap.
func TestDutyInWorkingHours(t *testing.T) {
	w := newWorld(t)
	r := w.roster("day")
	r, err := w.duty().UpdateDutyRoster(w.manager(), &ticketv1.UpdateDutyRosterRequest{
		Roster: &ticketv1.DutyRoster{Id: r.GetId(), CalendarId: "china-standard"}, UpdateMask: mask("calendar_id")})
	if err != nil {
		t.Fatal(err)
	}
	page, err := w.duty().GetDutyGaps(w.manager(), &ticketv1.GetDutyGapsRequest{RosterId: r.GetId()})
	if err != nil || len(page.GetGaps()) < 8 {
		t.Errorf("gaps of a week of working days: %v, %v", page, err)
	}
}

func TestOnDutyIsTheSubstitute(t *testing.T) {
	w := newWorld(t)
	ctx, night, mate := w.manager(), w.roster("night"), w.staff("mate")
	if _, err := w.shift(night.GetId(), w.agent.GetId(), 0, 10); err != nil {
		t.Fatal(err)
	}
	_, err := w.organisation().CreateSubstitution(ctx, &ticketv1.CreateSubstitutionRequest{Substitution: &ticketv1.Substitution{
		StaffId: w.agent.GetId(), SubstituteStaffId: mate.GetId(), StartTime: w.in(5), EndTime: w.in(8)}})
	if err != nil {
		t.Fatal(err)
	}
	for hour, want := range map[int][]string{0: {w.agent.GetId(), ""}, 6: {mate.GetId(), w.agent.GetId()}, 8: {w.agent.GetId(), ""}, 10: nil} {
		got, err := w.duty().GetOnDuty(ctx, &ticketv1.GetOnDutyRequest{RosterId: night.GetId(), Time: w.in(hour)})
		if err != nil || len(got.GetPeople()) != min(1, len(want)) {
			t.Fatalf("hour %d: %v, %v", hour, got, err)
		}
		if len(want) > 0 && (got.GetPeople()[0].GetStaffId() != want[0] || got.GetPeople()[0].GetInsteadOfStaffId() != want[1]) {
			t.Errorf("hour %d: %v", hour, got)
		}
	}
}

func TestDutyRefusals(t *testing.T) {
	w := newWorld(t)
	ctx, night := w.manager(), w.roster("night")
	create := func(r *ticketv1.DutyRoster) error {
		return second(w.duty().CreateDutyRoster(ctx, &ticketv1.CreateDutyRosterRequest{Roster: r}))
	}
	name := &typev1.Text{En: "Night"}
	refused(t, "a taken code", create(&ticketv1.DutyRoster{Code: "night", Name: name}), codes.AlreadyExists, "DUTY_ROSTER_EXISTS", "")
	refused(t, "no code", create(&ticketv1.DutyRoster{Name: name}), codes.InvalidArgument, "VALIDATION_FAILED", "roster.code")
	refused(t, "no name", create(&ticketv1.DutyRoster{Code: "x", Name: &typev1.Text{}}), codes.InvalidArgument, "VALIDATION_FAILED", "roster.name")
	refused(t, "an unknown calendar", create(&ticketv1.DutyRoster{Code: "x", Name: name, CalendarId: "x"}), codes.InvalidArgument, "VALIDATION_FAILED", "roster.calendar_id")
	refused(t, "an unknown department", create(&ticketv1.DutyRoster{Code: "x", Name: name, DepartmentId: nowhere}), codes.InvalidArgument, "VALIDATION_FAILED", "roster.department_id")
	update := func(r *ticketv1.DutyRoster, path string) error {
		return second(w.duty().UpdateDutyRoster(ctx, &ticketv1.UpdateDutyRosterRequest{Roster: r, UpdateMask: mask(path)}))
	}
	other := w.roster("other")
	refused(t, "update to a taken code", update(&ticketv1.DutyRoster{Id: other.GetId(), Code: "night"}, "code"), codes.AlreadyExists, "DUTY_ROSTER_EXISTS", "")
	refused(t, "stale", update(&ticketv1.DutyRoster{Id: other.GetId(), Etag: "7"}, "closed"), codes.Aborted, "ETAG_MISMATCH", "")
	refused(t, "unknown", update(&ticketv1.DutyRoster{Id: nowhere}, "closed"), codes.NotFound, "DUTY_ROSTER_NOT_FOUND", "")
	refused(t, "a bad mask", update(&ticketv1.DutyRoster{Id: other.GetId()}, "id"), codes.InvalidArgument, "UPDATE_MASK_INVALID", "")

	shift := func(roster, staff string, from, to int) error { return second(w.shift(roster, staff, from, to)) }
	refused(t, "a shift nowhere", shift(nowhere, w.agent.GetId(), 0, 1), codes.NotFound, "DUTY_ROSTER_NOT_FOUND", "")
	refused(t, "a shift of nobody", shift(night.GetId(), nowhere, 0, 1), codes.InvalidArgument, "VALIDATION_FAILED", "shift.staff_id")
	refused(t, "a shift of no time", shift(night.GetId(), w.agent.GetId(), 1, 1), codes.InvalidArgument, "VALIDATION_FAILED", "shift.end_time")
	refused(t, "a shift of two months", shift(night.GetId(), w.agent.GetId(), 0, 1500), codes.InvalidArgument, "VALIDATION_FAILED", "shift.end_time")
	// Of two shifts of one person at a time exactly one wins.
	won, lost := wins(2, func(i int) error { return shift(night.GetId(), w.agent.GetId(), i, i+5) })
	if won != 1 {
		t.Errorf("%d shifts at a time", won)
	}
	for _, err := range lost {
		refused(t, "the other one", err, codes.FailedPrecondition, "DUTY_SHIFT_OVERLAPS", "")
	}
	_, err := w.duty().DeleteDutyShift(ctx, &ticketv1.DeleteDutyShiftRequest{RosterId: night.GetId(), Id: nowhere})
	refused(t, "delete nothing", err, codes.NotFound, "DUTY_SHIFT_NOT_FOUND", "")
	for what, call := range map[string]func() error{
		"shifts": func() error {
			return second(w.duty().ListDutyShifts(ctx, &ticketv1.ListDutyShiftsRequest{RosterId: nowhere}))
		},
		"gaps": func() error {
			return second(w.duty().GetDutyGaps(ctx, &ticketv1.GetDutyGapsRequest{RosterId: nowhere}))
		},
		"people": func() error { return second(w.duty().GetOnDuty(ctx, &ticketv1.GetOnDutyRequest{RosterId: nowhere})) },
	} {
		refused(t, what+" of no roster", call(), codes.NotFound, "DUTY_ROSTER_NOT_FOUND", "")
	}
	mate := w.staff("mate")
	w.leave(mate.GetId())
	refused(t, "who left", shift(night.GetId(), mate.GetId(), 0, 1), codes.FailedPrecondition, "STAFF_OFF_DUTY", "")
}

func TestListDutyShiftsPagesByBegin(t *testing.T) {
	w := newWorld(t)
	night := w.roster("night")
	for _, from := range []int{20, 0, 10, -9} {
		if _, err := w.shift(night.GetId(), w.agent.GetId(), from, from+5); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	req := &ticketv1.ListDutyShiftsRequest{RosterId: night.GetId(), PageSize: 2}
	for {
		page, err := w.duty().ListDutyShifts(w.manager(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.GetShifts() {
			got = append(got, int(s.GetStartTime().AsTime().Sub(w.Clock.Now()).Round(time.Hour).Hours()))
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if len(got) != 3 || got[0] != 0 || got[1] != 10 || got[2] != 20 {
		t.Errorf("listed %v", got)
	}
	rosters, err := w.duty().ListDutyRosters(w.manager(), &ticketv1.ListDutyRostersRequest{})
	if err != nil || len(rosters.GetRosters()) != 1 || rosters.GetRosters()[0].GetCalendarId() != "day-and-night" {
		t.Errorf("rosters %v, %v", rosters, err)
	}
}
