package server_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
	typev1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/type/v1"
	"github.com/kefu-suite/kefu/runtime/event"
	"github.com/kefu-suite/kefu/services/internal/access"
	"github.com/kefu-suite/kefu/services/internal/calendar"
)

const china = "china-standard"

// planner is a world with the calendars that are there from the start.
type planner struct {
	*world
	calendars calendarv1.CalendarServiceClient
}

func newPlanner(t *testing.T) *planner {
	t.Helper()
	w := newWorld(t)
	return &planner{w, calendarv1.NewCalendarServiceClient(w.Conn)}
}

// plant is open around the clock from Monday to Saturday.
func plant(id string) *calendarv1.Calendar {
	c := &calendarv1.Calendar{Id: id, Name: &typev1.Text{En: "Plant"}, TimeZone: "Europe/Berlin"}
	for d := calendarv1.Weekday_WEEKDAY_MONDAY; d <= calendarv1.Weekday_WEEKDAY_SATURDAY; d++ {
		c.Week = append(c.Week, &calendarv1.WeekdayHours{Weekday: d, Open: "00:00", Close: "24:00"})
	}
	return c
}

func year(y int32, days ...*calendarv1.CalendarDay) *calendarv1.CalendarYear {
	return &calendarv1.CalendarYear{Year: y, Status: calendarv1.YearStatus_YEAR_STATUS_OFFICIAL, Days: days}
}

func holiday(date string) *calendarv1.CalendarDay {
	return &calendarv1.CalendarDay{Date: date, Kind: calendarv1.DayKind_DAY_KIND_HOLIDAY, Name: &typev1.Text{Zh: "元旦", En: "New Year"}}
}

func (p *planner) add(c *calendarv1.Calendar) *calendarv1.Calendar {
	p.t.Helper()
	out, err := p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: c})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *planner) calendar(id string) *calendarv1.Calendar {
	p.t.Helper()
	out, err := p.calendars.GetCalendar(p.manager(), &calendarv1.GetCalendarRequest{Id: id})
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *planner) update(c *calendarv1.Calendar, paths ...string) (*calendarv1.Calendar, error) {
	return p.calendars.UpdateCalendar(p.manager(), &calendarv1.UpdateCalendarRequest{Calendar: c, UpdateMask: mask(paths...)})
}

func (p *planner) setYear(id, etag string, y *calendarv1.CalendarYear) (*calendarv1.Calendar, error) {
	return p.calendars.SetYear(p.manager(), &calendarv1.SetYearRequest{Id: id, Etag: etag, Year: y})
}

// told gives what the other services heard of a calendar, oldest first.
func (p *planner) told(id string) []*calendarv1.Calendar {
	p.t.Helper()
	var out []*calendarv1.Calendar
	for _, e := range p.Events(p.t) {
		if e.GetType() != calendar.TypeChanged {
			continue
		}
		payload, err := event.Unpack[*calendarv1.CalendarChanged](e)
		if err != nil {
			p.t.Fatal(err)
		}
		if c := payload.GetCalendar(); c.GetId() == id {
			if fmt.Sprint(e.GetSubjectVersion()) != c.GetEtag() {
				p.t.Errorf("event of version %d carries etag %s", e.GetSubjectVersion(), c.GetEtag())
			}
			out = append(out, c)
		}
	}
	return out
}

// defaults are the calendars that call themselves the default.
func (p *planner) defaults() []string {
	p.t.Helper()
	page, err := p.calendars.ListCalendars(p.manager(), &calendarv1.ListCalendarsRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	var out []string
	for _, c := range page.GetCalendars() {
		if c.GetDefault() {
			out = append(out, c.GetId())
		}
	}
	return out
}

func TestCalendarsAreAddedReadAndListed(t *testing.T) {
	p := newPlanner(t)
	want := plant("plant")
	want.Years = []*calendarv1.CalendarYear{year(2027), year(2026, holiday("2026-12-25"), holiday("2026-01-01"))}
	got := p.add(want)
	now := timestamppb.New(p.Clock.Now())
	want = proto.CloneOf(want)
	want.Years = []*calendarv1.CalendarYear{year(2026, holiday("2026-01-01"), holiday("2026-12-25")), year(2027)}
	want.CreateTime, want.UpdateTime, want.Etag = now, now, "1"
	if !proto.Equal(got, want) {
		t.Errorf("added %v, want %v", got, want)
	}
	if heard := p.told("plant"); len(heard) != 1 || !proto.Equal(heard[0], want) {
		t.Errorf("the other services heard %v", heard)
	}
	roles := access.Policy().Roles
	for role := range roles {
		if role == access.Customer {
			continue
		}
		read, err := p.calendars.GetCalendar(p.As(role), &calendarv1.GetCalendarRequest{Id: "plant"})
		if err != nil || !proto.Equal(read, want) {
			t.Errorf("%s reads %v, %v", role, read, err)
		}
	}
	p.add(plant("7-days"))
	var ids []string
	req := &calendarv1.ListCalendarsRequest{PageSize: 1}
	for {
		page, err := p.calendars.ListCalendars(p.As(access.ServiceAgent), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range page.GetCalendars() {
			ids = append(ids, c.GetId())
			for _, y := range c.GetYears() {
				if len(y.GetDays()) > 0 || y.GetStatus() != calendarv1.YearStatus_YEAR_STATUS_OFFICIAL {
					t.Errorf("%s is listed with %v", c.GetId(), y)
				}
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
	}
	if !slices.Equal(ids, []string{"7-days", china, "day-and-night", "plant"}) {
		t.Errorf("listed %v", ids)
	}
}

func TestUpdateCalendar(t *testing.T) {
	p := newPlanner(t)
	p.add(plant("plant"))
	change := &calendarv1.Calendar{Id: "plant", Etag: "1", TimeZone: "Asia/Tokyo", Name: &typev1.Text{Zh: "工厂"}}
	got, err := p.update(change, "time_zone", "name.zh", "etag")
	if err != nil || got.GetTimeZone() != "Asia/Tokyo" || got.GetName().GetZh() != "工厂" || got.GetName().GetEn() != "Plant" ||
		got.GetEtag() != "2" || len(got.GetWeek()) != 6 {
		t.Errorf("updated %v, %v", got, err)
	}
	same, err := p.update(&calendarv1.Calendar{Id: "plant", TimeZone: "Asia/Tokyo"}, "time_zone")
	if err != nil || !proto.Equal(same, got) {
		t.Errorf("what changes nothing gave %v, %v", same, err)
	}
	if heard := p.told("plant"); len(heard) != 2 || !proto.Equal(heard[1], got) {
		t.Errorf("the other services heard %v", heard)
	}
	if n := p.count("SELECT count(*) FROM audit_records WHERE object_type = 'calendar' AND action LIKE '%UpdateCalendar'"); n != 1 {
		t.Errorf("%d audit records of one change", n)
	}
}

func TestExactlyOneDefault(t *testing.T) {
	p := newPlanner(t)
	added := plant("plant")
	added.Default = true
	p.add(added)
	if !slices.Equal(p.defaults(), []string{"plant"}) || p.calendar(china).GetEtag() != "2" {
		t.Errorf("defaults %v, china %s", p.defaults(), p.calendar(china).GetEtag())
	}
	if heard := p.told(china); len(heard) != 2 || heard[1].GetDefault() {
		t.Errorf("of the calendar that gave it up others heard %v", heard)
	}
	_, err := p.update(&calendarv1.Calendar{Id: "plant"}, "default")
	refused(t, "no default at all", err, codes.FailedPrecondition, "CALENDAR_DEFAULT_REQUIRED", "")
	if got, err := p.update(&calendarv1.Calendar{Id: china, Default: true}, "default"); err != nil || !got.GetDefault() || got.GetEtag() != "3" {
		t.Errorf("back to china: %v, %v", got, err)
	}
	for i := range 6 {
		p.add(plant(fmt.Sprintf("plant-%d", i)))
	}
	// All win, one after the other, and the last one is the default.
	won, lost := wins(12, func(i int) error {
		if i%2 == 0 {
			return second(p.update(&calendarv1.Calendar{Id: fmt.Sprintf("plant-%d", i/2), Default: true}, "default"))
		}
		c := plant(fmt.Sprintf("made-%d", i))
		c.Default = true
		return second(p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: c}))
	})
	if won != 12 || len(p.defaults()) != 1 {
		t.Errorf("%d won, %v; defaults %v", won, lost, p.defaults())
	}
}

func TestSetYear(t *testing.T) {
	p := newPlanner(t)
	p.Clock.Advance(1e9)
	provisional := year(2027, holiday("2027-01-02"), holiday("2027-01-01"))
	provisional.Status = calendarv1.YearStatus_YEAR_STATUS_PROVISIONAL
	got, err := p.setYear(china, "1", provisional)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(provisional.Days)
	last := got.GetYears()[len(got.GetYears())-1]
	if len(got.GetYears()) != 24 || !proto.Equal(last, provisional) || got.GetEtag() != "2" || !got.GetUpdateTime().AsTime().Equal(p.Clock.Now()) {
		t.Errorf("loaded %v, etag %s", last, got.GetEtag())
	}
	official := year(2027, holiday("2027-01-01"))
	if got, err = p.setYear(china, "", official); err != nil || !proto.Equal(got.GetYears()[23], official) {
		t.Errorf("overridden: %v, %v", got.GetYears()[23], err)
	}
	if got, err = p.setYear(china, "", official); err != nil || got.GetEtag() != "3" {
		t.Errorf("the same again: etag %s, %v", got.GetEtag(), err)
	}
	missing := &calendarv1.CalendarYear{Year: 2027, Status: calendarv1.YearStatus_YEAR_STATUS_MISSING}
	if got, err = p.setYear(china, "", missing); err != nil || !proto.Equal(got.GetYears()[23], missing) {
		t.Errorf("taken back: %v, %v", got.GetYears()[23], err)
	}
	if heard := p.told(china); len(heard) != 4 || !proto.Equal(heard[3], got) {
		t.Errorf("the other services heard %d times", len(heard))
	}
	if n := p.count("SELECT count(*) FROM audit_records WHERE action LIKE '%SetYear'"); n != 3 {
		t.Errorf("%d audit records of three changes", n)
	}
	replayed := &calendarv1.SetYearRequest{Id: china, Year: official, RequestId: "load-2027"}
	first, err := p.calendars.SetYear(p.manager(), replayed)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := p.calendars.SetYear(p.manager(), replayed); err != nil || !proto.Equal(first, again) {
		t.Errorf("repeated: %v, %v", again, err)
	}
	replayed.Year = missing
	_, err = p.calendars.SetYear(p.manager(), replayed)
	refused(t, "another year under the same request id", err, codes.AlreadyExists, "REQUEST_ID_REUSED", "")
}

func TestOneOfManyChangesOfAVersionWins(t *testing.T) {
	p := newPlanner(t)
	p.add(plant("plant"))
	for name, call := range map[string]func(i int) error{
		"add": func(int) error {
			return second(p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: plant("new")}))
		},
		"update": func(i int) error {
			return second(p.update(&calendarv1.Calendar{Id: "plant", Etag: "1", Name: &typev1.Text{En: fmt.Sprint("Plant ", i)}}, "name"))
		},
		"load": func(i int) error { return second(p.setYear(china, "1", year(int32(2030+i)))) },
	} {
		won, lost := wins(8, call)
		if won != 1 {
			t.Errorf("%s: %d won", name, won)
		}
		for _, err := range lost {
			if name == "add" {
				refused(t, name, err, codes.AlreadyExists, "CALENDAR_EXISTS", "")
			} else {
				refused(t, name, err, codes.Aborted, "ETAG_MISMATCH", "")
			}
		}
	}
}

func TestCalendarRefusals(t *testing.T) {
	p := newPlanner(t)
	p.add(plant("plant"))
	all := mask("name", "time_zone", "week", "years")
	for _, c := range []struct {
		field, value string
		change       func(*calendarv1.Calendar)
	}{
		{"calendar.name", "", func(c *calendarv1.Calendar) { c.Name = nil }},
		{"calendar.name", "", func(c *calendarv1.Calendar) { c.Name = &typev1.Text{} }},
		{"calendar.name.en", "101", func(c *calendarv1.Calendar) { c.Name.En = strings.Repeat("x", 101) }},
		{"calendar.time_zone", "", func(c *calendarv1.Calendar) { c.TimeZone = "" }},
		{"calendar.time_zone", "Local", func(c *calendarv1.Calendar) { c.TimeZone = "Local" }},
		{"calendar.time_zone", "Mars/Base", func(c *calendarv1.Calendar) { c.TimeZone = "Mars/Base" }},
		{"calendar.week", "never open", func(c *calendarv1.Calendar) { c.Week = nil }},
		{"calendar.week[0].weekday", "", func(c *calendarv1.Calendar) { c.Week[0].Weekday = 0 }},
		{"calendar.week[1].open", "9 o'clock", func(c *calendarv1.Calendar) { c.Week[1].Open = "9 o'clock" }},
		{"calendar.week[1].close", "00:00", func(c *calendarv1.Calendar) { c.Week[1].Close = "00:00" }},
		{"calendar.week", "26:00", func(c *calendarv1.Calendar) { c.Week[0].Open, c.Week[0].Close = "02:00", "26:00" }},
		{"calendar.years[0].year", "1969", func(c *calendarv1.Calendar) { c.Years[0].Year = 1969 }},
		{"calendar.years[1].year", "2026", func(c *calendarv1.Calendar) { c.Years = append(c.Years, year(2026)) }},
		{"calendar.years[0].status", "", func(c *calendarv1.Calendar) { c.Years[0].Status = 0 }},
		{"calendar.years[0].status", "2026", func(c *calendarv1.Calendar) { c.Years[0].Status = calendarv1.YearStatus_YEAR_STATUS_MISSING }},
		{"calendar.years[0].days[0].date", "2026-02-29", func(c *calendarv1.Calendar) { c.Years[0].Days[0].Date = "2026-02-29" }},
		{"calendar.years[0].days[0].date", "2027-01-01", func(c *calendarv1.Calendar) { c.Years[0].Days[0].Date = "2027-01-01" }},
		{"calendar.years[0].days[1].date", "2026-01-01", func(c *calendarv1.Calendar) {
			c.Years[0].Days = append(c.Years[0].Days, holiday("2026-01-01"))
		}},
		{"calendar.years[0].days[0].kind", "", func(c *calendarv1.Calendar) { c.Years[0].Days[0].Kind = 0 }},
		{"calendar.years[0].days[0].hours", "holiday", func(c *calendarv1.Calendar) {
			c.Years[0].Days[0].Hours = []*calendarv1.DayHours{{Open: "09:00", Close: "10:00"}}
		}},
		{"calendar.years[0].days[0].hours[0].close", "25:99", func(c *calendarv1.Calendar) {
			c.Years[0].Days[0].Hours = []*calendarv1.DayHours{{Open: "09:00", Close: "25:99"}}
		}},
		{"calendar.years[0].days[0].name.zh", "101", func(c *calendarv1.Calendar) {
			c.Years[0].Days[0].Name.Zh = strings.Repeat("节", 101)
		}},
	} {
		bad := plant("bad")
		bad.Years = []*calendarv1.CalendarYear{year(2026, holiday("2026-01-01"))}
		c.change(bad)
		_, err := p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: bad})
		refused(t, "create with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)
		if !strings.Contains(fmt.Sprint(err), c.value) {
			t.Errorf("%s: %v does not say %q", c.field, err, c.value)
		}
		bad = proto.CloneOf(bad)
		bad.Id = "plant"
		_, err = p.calendars.UpdateCalendar(p.manager(), &calendarv1.UpdateCalendarRequest{Calendar: bad, UpdateMask: all})
		refused(t, "update with "+c.field, err, codes.InvalidArgument, "VALIDATION_FAILED", c.field)

		if rest, ok := strings.CutPrefix(c.field, "calendar.years[0]"); ok {
			_, err = p.setYear("plant", "", bad.GetYears()[0])
			refused(t, "load with year"+rest, err, codes.InvalidArgument, "VALIDATION_FAILED", "year"+rest)
		}
	}
	if got := p.calendar("plant"); got.GetEtag() != "1" {
		t.Errorf("a refused change left %v", got)
	}
}

func TestCalendarRefusalsBesideItsContent(t *testing.T) {
	p := newPlanner(t)
	p.add(plant("plant"))
	for _, id := range []string{"", "China", "-a", "a-", "a_b", strings.Repeat("a", 41)} {
		c := plant(id)
		_, err := p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: c})
		refused(t, "create "+id, err, codes.InvalidArgument, "VALIDATION_FAILED", "calendar.id")
		_, err = p.update(c, "name")
		refused(t, "update "+id, err, codes.InvalidArgument, "VALIDATION_FAILED", "calendar.id")
		_, err = p.calendars.GetCalendar(p.manager(), &calendarv1.GetCalendarRequest{Id: id})
		refused(t, "get "+id, err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
		_, err = p.setYear(id, "", year(2026))
		refused(t, "load "+id, err, codes.InvalidArgument, "VALIDATION_FAILED", "id")
	}
	_, err := p.calendars.CreateCalendar(p.manager(), &calendarv1.CreateCalendarRequest{Calendar: plant(china)})
	refused(t, "a taken id", err, codes.AlreadyExists, "CALENDAR_EXISTS", "")
	_, err = p.setYear(china, "", nil)
	refused(t, "no year", err, codes.InvalidArgument, "VALIDATION_FAILED", "year")
	_, err = p.update(plant("nobody"), "name")
	refused(t, "update unknown", err, codes.NotFound, "CALENDAR_NOT_FOUND", "")
	_, err = p.setYear("nobody", "", year(2026))
	refused(t, "load unknown", err, codes.NotFound, "CALENDAR_NOT_FOUND", "")
	_, err = p.calendars.GetCalendar(p.manager(), &calendarv1.GetCalendarRequest{Id: "nobody"})
	refused(t, "get unknown", err, codes.NotFound, "CALENDAR_NOT_FOUND", "")
	_, err = p.update(&calendarv1.Calendar{Id: china, Etag: "9", TimeZone: "UTC"}, "time_zone")
	refused(t, "update stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	_, err = p.setYear(china, "9", year(2026))
	refused(t, "load stale", err, codes.Aborted, "ETAG_MISMATCH", "")
	for _, paths := range [][]string{nil, {"id"}, {"create_time"}, {"nothing"}, {"years.days"}} {
		_, err = p.update(plant("plant"), paths...)
		refused(t, fmt.Sprintf("mask %v", paths), err, codes.InvalidArgument, "UPDATE_MASK_INVALID", "update_mask")
	}
	_, err = p.calendars.ListCalendars(p.manager(), &calendarv1.ListCalendarsRequest{PageToken: "x"})
	refused(t, "bad token", err, codes.InvalidArgument, "VALIDATION_FAILED", "page_token")
}

// A fault between the year that is loaded and the next one is the loaded year's.
func TestAYearThatRunsIntoTheNext(t *testing.T) {
	p := newPlanner(t)
	early := &calendarv1.CalendarDay{
		Date: "2027-01-01", Kind: calendarv1.DayKind_DAY_KIND_WORKDAY, Hours: []*calendarv1.DayHours{{Open: "01:00", Close: "09:00"}},
	}
	late := &calendarv1.CalendarDay{
		Date: "2026-12-31", Kind: calendarv1.DayKind_DAY_KIND_WORKDAY, Hours: []*calendarv1.DayHours{{Open: "20:00", Close: "28:00"}},
	}
	if _, err := p.setYear(china, "", year(2027, early)); err != nil {
		t.Fatal(err)
	}
	_, err := p.setYear(china, "", year(2026, late))
	refused(t, "into the next", err, codes.InvalidArgument, "VALIDATION_FAILED", "year.days[0].hours")

	// Taking the holiday away that kept two shifts apart.
	shifts := plant("shifts")
	shifts.Week = []*calendarv1.WeekdayHours{{Weekday: calendarv1.Weekday_WEEKDAY_THURSDAY, Open: "20:00", Close: "28:00"}}
	shifts.Years = []*calendarv1.CalendarYear{year(2026, holiday("2026-12-31")), year(2027, early)}
	p.add(shifts)
	_, err = p.setYear("shifts", "", year(2026))
	refused(t, "a shift into the next year", err, codes.InvalidArgument, "VALIDATION_FAILED", "year")
}

func TestWhoMayChangeCalendars(t *testing.T) {
	p := newPlanner(t)
	for role := range access.Policy().Roles {
		ctx := p.As(role)
		if role == access.Customer {
			ctx = p.AsCustomer(p.customer(typev1.Tier_TIER_B))
		}
		writes := role == access.ServiceManager || role == access.InformationAdministrator
		id := "of-" + role
		for name, call := range map[string]func(context.Context) error{
			"create": func(ctx context.Context) error {
				return second(p.calendars.CreateCalendar(ctx, &calendarv1.CreateCalendarRequest{Calendar: plant(id)}))
			},
			"update": func(ctx context.Context) error {
				return second(p.calendars.UpdateCalendar(ctx, &calendarv1.UpdateCalendarRequest{
					Calendar: &calendarv1.Calendar{Id: china, TimeZone: "Asia/Shanghai"}, UpdateMask: mask("time_zone"),
				}))
			},
			"load": func(ctx context.Context) error {
				return second(p.calendars.SetYear(ctx, &calendarv1.SetYearRequest{Id: china, Year: year(2030)}))
			},
		} {
			err := call(ctx)
			if writes && err != nil {
				t.Errorf("%s may not %s: %v", role, name, err)
			} else if !writes {
				refused(t, role+" "+name, err, codes.PermissionDenied, "PERMISSION_DENIED", "")
			}
		}
		_, err := p.calendars.ListCalendars(ctx, &calendarv1.ListCalendarsRequest{})
		if role != access.Customer && err != nil {
			t.Errorf("%s may not list: %v", role, err)
		} else if role == access.Customer {
			refused(t, "customer lists", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
			_, err = p.compute(ctx, &calendarv1.ComputeDueRequest{Id: china})
			refused(t, "customer computes", err, codes.PermissionDenied, "PERMISSION_DENIED", "")
		}
	}
}
