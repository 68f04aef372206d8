package clock_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/services/internal/clock"
	"github.com/kefu-suite/kefu/services/internal/worktime"
)

// definitions are the calendars of the tests.
func definitions(t interface{ Fatal(...any) }) map[string]worktime.Definition {
	china, err := worktime.ChinaDefinition()
	if err != nil {
		t.Fatal(err)
	}
	var always, night worktime.Definition
	always.TimeZone, night.TimeZone = "UTC", "America/New_York"
	for d := time.Sunday; d <= time.Saturday; d++ {
		always.Week = append(always.Week, worktime.Hours{Weekday: d, Open: 0, Close: 24 * 60})
		if d != time.Sunday {
			night.Week = append(night.Week, worktime.Hours{Weekday: d, Open: 22 * 60, Close: 30 * 60})
		}
	}
	return map[string]worktime.Definition{"china-standard": china, "always": always, "night": night}
}

func calendars(t interface{ Fatal(...any) }) map[string]*worktime.Calendar {
	out := map[string]*worktime.Calendar{}
	for id, d := range definitions(t) {
		cal, err := worktime.New(d)
		if err != nil {
			t.Fatal(err)
		}
		out[id] = cal
	}
	return out
}

var ladder = []clock.Step{
	{ID: "warn-50", Percent: 50, Role: clock.RoleOwner},
	{ID: "warn-80", Percent: 80, Role: clock.RoleOwner},
	{ID: "supervisor", Percent: 100, Escalate: true, Role: "service-supervisor"},
	{ID: "manager", Percent: 150, Escalate: true, Role: "service-manager"},
}

func TestMalformedLogs(t *testing.T) {
	cals := calendars(t)
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	terms := &clock.Terms{CalendarID: "always", WorkingTime: time.Hour}
	start := clock.Entry{Position: 1, Type: clock.EntryStarted, At: at, Terms: terms}
	stop := clock.Entry{Position: 2, Type: clock.EntryStopped, At: at}
	for name, log := range map[string][]clock.Entry{
		"empty":           nil,
		"no start":        {{Position: 1, Type: clock.EntryPaused, At: at}},
		"two starts":      {start, {Position: 2, Type: clock.EntryStarted, At: at, Terms: terms}},
		"a gap":           {start, {Position: 3, Type: clock.EntryPaused, At: at}},
		"no target":       {{Position: 1, Type: clock.EntryStarted, At: at}},
		"resumed first":   {start, {Position: 2, Type: clock.EntryResumed, At: at}},
		"paused twice":    {start, {Position: 2, Type: clock.EntryPaused}, {Position: 3, Type: clock.EntryPaused}},
		"after the end":   {start, stop, {Position: 3, Type: clock.EntryPaused}},
		"stopped twice":   {start, stop, {Position: 3, Type: clock.EntryStopped}},
		"owned by no one": {start, {Position: 2, Type: clock.EntryHandedOver}},
		"unknown":         {start, {Position: 2, Type: 99}},
	} {
		if _, err := clock.Fold(log, cals["always"]); !errors.Is(err, clock.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnExtensionAfterDueChangesNothing(t *testing.T) {
	cals := calendars(t)
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]time.Duration{
		30 * time.Minute: 90 * time.Minute, time.Hour: 2 * time.Hour, 61 * time.Minute: time.Hour,
	} {
		s, err := clock.Fold([]clock.Entry{
			{Position: 1, Type: clock.EntryStarted, At: at, Terms: &clock.Terms{CalendarID: "always", WorkingTime: time.Hour}},
			{Position: 2, Type: clock.EntryExtended, At: at.Add(after), Amount: time.Hour},
		}, cals["always"])
		if err != nil || s.Target != want {
			t.Errorf("extended after %v the target is %v, want %v, %v", after, s.Target, want, err)
		}
	}
}
