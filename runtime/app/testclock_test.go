package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kefu-suite/kefu/runtime/app"
	"github.com/kefu-suite/kefu/runtime/config"
	"github.com/kefu-suite/kefu/runtime/pii"
)

// clockFile writes what a test clock goes by.
func clockFile(t *testing.T, text string) (file string, set func(text string)) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "clock")
	set = func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set(text)
	return file, set
}

var friday = time.Date(2026, 2, 13, 9, 50, 0, 0, time.UTC)

func TestTestClockStandsStillAndFollowsItsFile(t *testing.T) {
	file, set := clockFile(t, "2026-02-13T17:50:00+08:00\n")
	clock, err := app.NewTestClock(file)
	if err != nil {
		t.Fatal(err)
	}
	if now := clock.Now(); !now.Equal(friday) || now.Location() != time.UTC {
		t.Errorf("it is %v, want %v", now, friday)
	}
	set("2026-02-14T10:50:00.5+08:00")
	want := time.Date(2026, 2, 14, 2, 50, 0, 5e8, time.UTC)
	within(t, 5*time.Second, "the next time", func() bool { return clock.Now().Equal(want) })

	// Half a file, nonsense and none at all change nothing.
	for _, text := range []string{"", "2026-02", "soon"} {
		set(text)
		if now := settled(clock); !now.Equal(want) {
			t.Errorf("%q made it %v", text, now)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if now := settled(clock); !now.Equal(want) {
		t.Errorf("without a file it is %v", now)
	}
	set("2026-02-13T17:50:00+08:00") // also backwards
	within(t, 5*time.Second, "the way back", func() bool { return clock.Now().Equal(friday) })
}

// settled asks for longer than anything read is believed.
func settled(clock *app.TestClock) (now time.Time) {
	for begin := time.Now(); time.Since(begin) < 120*time.Millisecond; {
		now = clock.Now()
	}
	return now
}

func TestTestClockAddsAnOffset(t *testing.T) {
	file, set := clockFile(t, "+36h")
	clock, err := app.NewTestClock(file)
	if err != nil {
		t.Fatal(err)
	}
	ahead := func(of time.Duration) bool {
		before := time.Now()
		now, after := clock.Now(), time.Now()
		return !now.Before(before.Round(0).Add(of)) && !now.After(after.Round(0).Add(of))
	}
	if !ahead(36 * time.Hour) {
		t.Errorf("it is %v", clock.Now())
	}
	set("-90m")
	within(t, 5*time.Second, "the other offset", func() bool { return ahead(-90 * time.Minute) })
	set("+0s")
	within(t, 5*time.Second, "the machine's time", func() bool { return ahead(0) })
}

func TestTestClockForManyAtOnce(t *testing.T) {
	file, set := clockFile(t, friday.Format(time.RFC3339))
	clock, err := app.NewTestClock(file)
	if err != nil {
		t.Fatal(err)
	}
	last := friday.Add(time.Hour)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for seen := friday; !seen.Equal(last); {
				now := clock.Now()
				if now.Before(seen) {
					t.Errorf("%v came after %v", now, seen)
					return
				}
				seen = now
			}
		})
	}
	set(last.Format(time.RFC3339))
	wg.Wait()
}

func TestTestClockRefusesWhatIsNoTime(t *testing.T) {
	for _, text := range []string{"", "36h", "+36", "2026-02-13", "2026-02-13T17:50:00", "now", "+1h -2h"} {
		file, _ := clockFile(t, text)
		if _, err := app.NewTestClock(file); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", text)) || !strings.Contains(err.Error(), "+36h") {
			t.Errorf("%q: %v, want the value and what would be right", text, err)
		}
	}
	if _, err := app.NewTestClock(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func TestTestClockIsForDevelopmentAlone(t *testing.T) {
	file, set := clockFile(t, "+36h")
	key := filepath.Join(t.TempDir(), "master.key")
	if err := pii.NewKeyFile(key); err != nil {
		t.Fatal(err)
	}
	environ := map[string]string{
		"KEFU_DATABASE_URL": "postgres://x", "KEFU_MASTER_KEY_FILE": key, "KEFU_PLAINTEXT": "true", "KEFU_ERASURE_LIST_DIR": filepath.Dir(key),
		"KEFU_ISSUERS": "http://127.0.0.1:9", "KEFU_TEST_CLOCK_FILE": file,
	}
	if err := config.LoadFrom(new(app.Config), environ); err != nil {
		t.Errorf("development: %v", err)
	}
	environ["KEFU_ENV"] = "production"
	expect(t, fmt.Sprint(config.LoadFrom(new(app.Config), environ)), "KEFU_TEST_CLOCK_FILE: production goes by the machine's clock")
	environ["KEFU_ENV"] = "development"
	set("soon")
	expect(t, fmt.Sprint(config.LoadFrom(new(app.Config), environ)), "KEFU_TEST_CLOCK_FILE", `"soon"`)
}

func TestAProcessGoesByTheTestClock(t *testing.T) {
	file, _ := clockFile(t, "2026-02-13T17:50:00+08:00")
	s := newStack(t, "KEFU_TEST_CLOCK_FILE="+file)
	p := s.start(t, "clock").up()
	expect(t, p.log(), "going by a test clock", file, `"msg":"the time"`, `"now":"2026-02-13T09:50:00Z"`)
	p.signal()
	if code := p.end(10 * time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.log())
	}
}
