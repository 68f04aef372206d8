package server_test

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	calendarv1 "github.com/kefu-suite/kefu/proto/gen/go/kefu/calendar/v1"
)

func TestChinaIsThereFromTheStart(t *testing.T) {
	p := newPlanner(t)
	got := p.calendar(china)
	if !got.GetDefault() || got.GetTimeZone() != "Asia/Shanghai" || len(got.GetWeek()) != 10 || len(got.GetYears()) != 23 ||
		got.GetEtag() != "1" || got.GetName().GetZh() == "" || got.GetName().GetEn() == "" {
		t.Errorf("the calendar is %v", got)
	}
	if heard := p.told(china); len(heard) != 1 || !proto.Equal(heard[0], got) {
		t.Errorf("the other services heard %v", heard)
	}
	if n := p.count("SELECT count(*) FROM audit_records WHERE action = 'job/calendars/seed'"); n != 2 {
		t.Errorf("%d audit records", n)
	}
	// Every later start, also of several replicas at once, finds nothing to do.
	if won, lost := wins(5, func(int) error { return p.server.SeedCalendars(t.Context()) }); won != 5 {
		t.Errorf("seeding again: %v", lost)
	}
	if heard := p.told(china); len(heard) != 1 || p.calendar(china).GetEtag() != "1" {
		t.Errorf("seeding again made versions %v", heard)
	}
}

func TestReplicasThatStartTogetherSeedOnce(t *testing.T) {
	w := bareWorld(t, false)
	if won, lost := wins(5, func(int) error { return w.server.SeedCalendars(t.Context()) }); won != 5 {
		t.Fatalf("seeding at once: %v", lost)
	}
	p := &planner{w, calendarv1.NewCalendarServiceClient(w.Conn)}
	if heard := p.told(china); len(heard) != 1 {
		t.Errorf("%d events of one calendar", len(heard))
	}
}

func TestSeedingKeepsWhatSomebodyLoaded(t *testing.T) {
	p := newPlanner(t)
	own, err := p.setYear(china, "", year(2026, holiday("2026-01-02")))
	if err != nil {
		t.Fatal(err)
	}
	// As an older program left it: without the last year but one, and no longer the default.
	own.Years = slices.DeleteFunc(own.Years, func(y *calendarv1.CalendarYear) bool { return y.GetYear() == 2025 })
	if _, err := p.update(own, "years"); err != nil {
		t.Fatal(err)
	}
	other := plant("plant")
	other.Default = true
	p.add(other)
	if err := p.server.SeedCalendars(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := p.calendar(china)
	if n := len(got.GetYears()); n != 23 || got.GetYears()[21].GetYear() != 2025 || len(got.GetYears()[21].GetDays()) == 0 {
		t.Errorf("%d years, of 2025 %v", n, got.GetYears()[21])
	}
	if days := got.GetYears()[22].GetDays(); len(days) != 1 || days[0].GetDate() != "2026-01-02" {
		t.Errorf("the loaded year became %v", days)
	}
	if !slices.Equal(p.defaults(), []string{"plant"}) {
		t.Errorf("defaults %v", p.defaults())
	}
}

func TestSeedingLeavesOutYearsThatDoNotFit(t *testing.T) {
	p := newPlanner(t)
	c := p.calendar(china)
	// A shift into Sunday noon collides with the make-up Sundays.
	c.Week = []*calendarv1.WeekdayHours{
		{Weekday: calendarv1.Weekday_WEEKDAY_MONDAY, Open: "09:00", Close: "17:00"},
		{Weekday: calendarv1.Weekday_WEEKDAY_SATURDAY, Open: "20:00", Close: "36:00"},
	}
	c.Years = []*calendarv1.CalendarYear{year(2027)}
	c, err := p.update(c, "week", "years")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.SeedCalendars(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.calendar(china); !proto.Equal(got, c) {
		t.Errorf("seeding made %v", got)
	}
}
