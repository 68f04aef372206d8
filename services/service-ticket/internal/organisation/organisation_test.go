package organisation_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	ticketv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/ticket/v1"
	"github.com/kefu-suite/kefu/runtime/rpcerr"
	"github.com/kefu-suite/kefu/services/service-ticket/internal/organisation"
)

func hour(n int) time.Time {
	return time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Hour)
}

func person(n byte) uuid.UUID { return uuid.UUID{15: n} }

func absence(staff, substitute byte, from, to int) organisation.Absence {
	return organisation.Absence{Staff: person(staff), Substitute: person(substitute), Start: hour(from), End: hour(to)}
}

func TestCheckAbsence(t *testing.T) {
	others := []organisation.Absence{absence(1, 2, 0, 10), absence(2, 3, 5, 20)}
	for _, c := range []struct {
		name   string
		give   organisation.Absence
		reason string
	}{
		{"free", absence(4, 1, 0, 10), ""},
		{"oneself", absence(4, 4, 0, 10), "VALIDATION_FAILED"},
		{"no time", absence(4, 5, 3, 3), "VALIDATION_FAILED"},
		{"a year and more", absence(4, 5, 0, 367*24), "VALIDATION_FAILED"},
		{"a second substitute", absence(1, 4, 9, 12), "SUBSTITUTION_OVERLAPS"},
		{"the next one", absence(1, 4, 10, 12), ""},
		{"back at once", absence(2, 1, 0, 3), "SUBSTITUTION_CYCLE"},
		{"back by two steps", absence(3, 1, 6, 7), "SUBSTITUTION_CYCLE"},
		{"back by steps that do not meet", absence(3, 1, 10, 20), ""},
		{"before the second step", absence(3, 1, 0, 5), ""},
	} {
		if got := rpcerr.Reason(organisation.CheckAbsence(c.give, others)); got != c.reason {
			t.Errorf("%s: %q, want %q", c.name, got, c.reason)
		}
	}
}

// Whatever is let in one after another, nobody's work ever comes back to somebody absent.
func TestSubstitutesEndWithSomebodyPresent(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var kept []organisation.Absence
		for range rapid.IntRange(1, 12).Draw(r, "n") {
			from := rapid.IntRange(0, 20).Draw(r, "from")
			a := absence(rapid.ByteRange(1, 5).Draw(r, "staff"), rapid.ByteRange(1, 5).Draw(r, "substitute"), from,
				from+rapid.IntRange(1, 10).Draw(r, "hours"))
			if organisation.CheckAbsence(a, kept) == nil {
				kept = append(kept, a)
			}
		}
		for h := range 31 {
			for n := byte(1); n <= 5; n++ {
				who := organisation.StandIn(person(n), hour(h), kept)
				for _, a := range kept {
					if a.Staff == who && !hour(h).Before(a.Start) && hour(h).Before(a.End) {
						r.Fatalf("at hour %d %d stands in for %d and is absent: %v", h, who[15], n, kept)
					}
				}
			}
		}
	})
}

// A minute is in a gap exactly when it is in the cover and in no shift.
func TestGapsAreWhatNoShiftHolds(t *testing.T) {
	in := func(spans []organisation.Span, at time.Time) bool {
		return slices.ContainsFunc(spans, func(s organisation.Span) bool { return !at.Before(s.Start) && at.Before(s.End) })
	}
	rapid.Check(t, func(r *rapid.T) {
		cover := []organisation.Span{{Start: hour(2), End: hour(10)}, {Start: hour(10), End: hour(14)}, {Start: hour(20), End: hour(30)}}
		var shifts []organisation.Span
		for range rapid.IntRange(0, 6).Draw(r, "n") {
			from := rapid.IntRange(0, 30).Draw(r, "from")
			shifts = append(shifts, organisation.Span{Start: hour(from), End: hour(from + rapid.IntRange(1, 9).Draw(r, "hours"))})
		}
		gaps := organisation.Gaps(cover, shifts)
		for h := range 32 {
			if got, want := in(gaps, hour(h)), in(cover, hour(h)) && !in(shifts, hour(h)); got != want {
				r.Fatalf("hour %d in a gap: %v, want %v; shifts %v, gaps %v", h, got, want, shifts, gaps)
			}
		}
		for i := 1; i < len(gaps); i++ {
			if !gaps[i-1].End.Before(gaps[i].Start) {
				r.Fatalf("gaps touch: %v", gaps)
			}
		}
	})
}

// hours are spans by their first and last hours.
func hours(all ...int) (out []organisation.Span) {
	for i := 0; i+1 < len(all); i += 2 {
		out = append(out, organisation.Span{Start: hour(all[i]), End: hour(all[i+1])})
	}
	return out
}

// The look before went to hour 20, this one goes from hour 2 to hour 30.
func TestWhatOfGapsIsTold(t *testing.T) {
	for name, c := range map[string]struct{ gaps, told, want, known []organisation.Span }{
		"new":                         {hours(3, 5, 8, 9), nil, hours(3, 5, 8, 9), hours(3, 5, 8, 9)},
		"told":                        {hours(3, 5), hours(3, 5), nil, hours(3, 5)},
		"shrunk":                      {hours(4, 5), hours(3, 7), nil, hours(4, 5)},
		"part of it has passed":       {hours(2, 5), hours(0, 5), nil, hours(0, 5)},
		"grown at both ends":          {hours(5, 9), hours(6, 7), hours(5, 6, 7, 9), hours(5, 9)},
		"two grown together":          {hours(5, 9), hours(5, 6, 8, 9), hours(6, 8), hours(5, 9)},
		"filled":                      {nil, hours(5, 9), nil, nil},
		"filled in the middle":        {hours(5, 6, 8, 9), hours(5, 9), nil, hours(5, 6, 8, 9)},
		"filled, but passed in part":  {nil, hours(0, 9), nil, hours(0, 2)},
		"goes on past the edge":       {hours(15, 30), hours(15, 20), nil, hours(15, 30)},
		"goes on and is filled":       {hours(19, 23), hours(15, 20), nil, hours(19, 23)},
		"goes on and grows before":    {hours(12, 30), hours(15, 20), hours(12, 15), hours(12, 30)},
		"begins at the edge":          {hours(20, 30), nil, hours(20, 30), hours(20, 30)},
		"begins beyond the edge":      {hours(15, 20, 25, 30), hours(15, 20), hours(25, 30), hours(15, 20, 25, 30)},
		"was filled before the edge":  {hours(15, 18, 20, 30), hours(15, 20), hours(20, 30), hours(15, 18, 20, 30)},
		"grows out of what was seen":  {hours(15, 30), hours(15, 18), hours(18, 30), hours(15, 30)},
		"a clock that looked further": {hours(15, 30), hours(15, 33), nil, hours(15, 33)},
	} {
		if got := organisation.Untold(c.gaps, c.told, hour(20)); !slices.Equal(got, c.want) {
			t.Errorf("%s: told %v, want %v", name, got, c.want)
		}
		if got := organisation.Known(c.gaps, c.told, hours(2, 30)[0]); !slices.Equal(got, c.known) {
			t.Errorf("%s: known %v, want %v", name, got, c.known)
		}
	}
}

func lines() []organisation.Line {
	boss := []ticketv1.Post{ticketv1.Post_POST_COMPANY_MANAGER}
	complaint := ticketv1.HotlinePurpose_HOTLINE_PURPOSE_COMPLAINT
	return []organisation.Line{
		{Hours: ticketv1.HotlineHours_HOTLINE_HOURS_WORKING, Purpose: ticketv1.HotlinePurpose_HOTLINE_PURPOSE_SERVICE, Line: ticketv1.HotlineLine_HOTLINE_LINE_OFFICE},
		{Hours: ticketv1.HotlineHours_HOTLINE_HOURS_ALL_DAY, Purpose: ticketv1.HotlinePurpose_HOTLINE_PURPOSE_DUTY, Line: ticketv1.HotlineLine_HOTLINE_LINE_MOBILE},
		{Hours: ticketv1.HotlineHours_HOTLINE_HOURS_WORKING, Purpose: complaint, Line: ticketv1.HotlineLine_HOTLINE_LINE_OFFICE, Posts: boss},
		{Hours: ticketv1.HotlineHours_HOTLINE_HOURS_ALL_DAY, Purpose: complaint, Line: ticketv1.HotlineLine_HOTLINE_LINE_MOBILE, Posts: boss},
	}
}

func TestEachMissingHotlineIsNamed(t *testing.T) {
	if err := organisation.CheckPublication(lines()); err != nil {
		t.Fatal(err)
	}
	for i := range lines() {
		want := ticketv1.HotlineRequirement(i + 1)
		for name, without := range map[string]func([]organisation.Line) []organisation.Line{
			"gone":               func(l []organisation.Line) []organisation.Line { return slices.Delete(l, i, i+1) },
			"for something else": func(l []organisation.Line) []organisation.Line { l[i].Purpose = 0; return l },
			"of a different kind": func(l []organisation.Line) []organisation.Line {
				l[i].Hours, l[i].Line, l[i].Posts = 0, 0, nil
				return l
			},
		} {
			got := organisation.Missing(without(lines()))
			if !slices.Equal(got, []ticketv1.HotlineRequirement{want}) {
				t.Errorf("%v %s: missing %v", want, name, got)
			}
			err := organisation.CheckPublication(without(lines()))
			if rpcerr.Reason(err) != "HOTLINES_INCOMPLETE" || rpcerr.Info(err).GetMetadata()["missing"] != want.String() {
				t.Errorf("%v %s: %v", want, name, err)
			}
		}
	}
}

func TestOverdue(t *testing.T) {
	period, changed := ticketv1.HotlineOverdue_HOTLINE_OVERDUE_PERIOD, ticketv1.HotlineOverdue_HOTLINE_OVERDUE_CHANGED
	for _, c := range []struct {
		published time.Time
		changed   bool
		days      int
		want      []ticketv1.HotlineOverdue
	}{
		{time.Time{}, true, 0, []ticketv1.HotlineOverdue{ticketv1.HotlineOverdue_HOTLINE_OVERDUE_NEVER}},
		{hour(0), false, 89, nil},
		{hour(0), false, 90, []ticketv1.HotlineOverdue{period}},
		{hour(0), true, 1, []ticketv1.HotlineOverdue{changed}},
		{hour(0), true, 91, []ticketv1.HotlineOverdue{period, changed}},
	} {
		if got := organisation.Overdue(c.published, 90*24*time.Hour, c.changed, false, hour(24*c.days)); !slices.Equal(got, c.want) {
			t.Errorf("after %d days, changed %v: %v, want %v", c.days, c.changed, got, c.want)
		}
	}
	for number, want := range map[string]bool{"95533": true, "110": true, "12": false, "1234567": false, "9553a": false} {
		if got := organisation.ShortNumber(number); got != want {
			t.Errorf("%s is a short number: %v", number, got)
		}
	}
}

func TestPickRoute(t *testing.T) {
	repair, other := ticketv1.TicketType_TICKET_TYPE_REPAIR, ticketv1.TicketType_TICKET_TYPE_OTHER
	all := []organisation.Route{{ID: person(1), Type: repair}, {ID: person(2), Product: "x-1"}, {ID: person(3), Type: repair, Product: "x-1"}}
	for _, c := range []struct {
		kind    ticketv1.TicketType
		product string
		want    byte
	}{{repair, "x-1", 3}, {other, "x-1", 2}, {repair, "", 1}, {repair, "y", 1}, {other, "y", 0}} {
		got, ok := organisation.PickRoute(all, c.kind, c.product)
		if ok != (c.want > 0) || ok && got.ID != person(c.want) {
			t.Errorf("%v %s: %v, %v, want %d", c.kind, c.product, got, ok, c.want)
		}
	}
	// What goes to neither of these goes to customer service.
	work := map[ticketv1.TicketType]ticketv1.DepartmentFunction{
		repair:                                 ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES,
		ticketv1.TicketType_TICKET_TYPE_RETURN: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES,
		ticketv1.TicketType_TICKET_TYPE_INSTALLATION:      ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_AFTER_SALES,
		ticketv1.TicketType_TICKET_TYPE_TECHNICAL_PROBLEM: ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_TECHNICAL_SUPPORT,
	}
	for number := range ticketv1.TicketType_name {
		kind := ticketv1.TicketType(number)
		want, ok := work[kind]
		if !ok {
			want = ticketv1.DepartmentFunction_DEPARTMENT_FUNCTION_CUSTOMER_SERVICE
		}
		if got := organisation.FunctionFor(kind); got != want {
			t.Errorf("%v goes to %v, want %v", kind, got, want)
		}
	}
	if organisation.Product(" X-1 ") != "x-1" || organisation.CheckRoute(0, "") == nil || organisation.CheckRoute(repair, "") != nil {
		t.Error("the form of routes")
	}
}

// Distances from the published coordinates: Wuhan to Shanghai is about 690 km.
func TestDistance(t *testing.T) {
	for _, c := range []struct{ a, b, c, d, want, off float64 }{
		{30.5928, 114.3055, 31.2304, 121.4737, 688, 3}, {0, 0, 0, 180, math.Pi * 6371.0088, 0.001}, {10, 20, 10, 20, 0, 0},
		{90, 0, -90, 0, math.Pi * 6371.0088, 0.001}, {0, 179.5, 0, -179.5, 111.195, 0.01},
	} {
		if got := organisation.Distance(c.a, c.b, c.c, c.d); math.Abs(got-c.want) > c.off {
			t.Errorf("%v: %f", c, got)
		}
	}
}
