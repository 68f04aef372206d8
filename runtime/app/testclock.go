package app

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// testClockEvery is how long what a test clock's file said is believed.
const testClockEvery = 50 * time.Millisecond

// TestClock is a clock that a file sets while the process runs, for development alone: the
// business time of a [Process]. Tokens, rates, timeouts and logs stay with the machine's
// clock. The file holds one line, either an instant in RFC 3339, at which the clock stands
// still (2026-02-13T17:50:00+08:00), or a sign and a duration, which is added to the
// machine's clock (+36h, -90m, +0s). A change shows within 50 ms. A file that cannot be
// read, or says something else, leaves the clock as it was: whoever writes it may be half
// way; write another file and rename it where no moment may be missed.
type TestClock struct {
	file  string
	state atomic.Pointer[testClockState]
	mu    sync.Mutex // held by whoever reads the file
}

type testClockState struct {
	reading testClockReading
	read    time.Time // by the machine's clock
}

// testClockReading is what a file says: an instant, or an offset where that is zero.
type testClockReading struct {
	at     time.Time
	offset time.Duration
}

// NewTestClock reads the file once. It fails when the file cannot be read or says neither
// an instant nor an offset.
func NewTestClock(file string) (*TestClock, error) {
	reading, err := readTestClock(file)
	if err != nil {
		return nil, err
	}
	c := &TestClock{file: file}
	c.state.Store(&testClockState{reading: reading, read: time.Now()})
	return c, nil
}

// Now gives the clock's present. It may be called by any number of goroutines at once.
func (c *TestClock) Now() time.Time {
	state, machine := c.state.Load(), time.Now()
	if machine.Sub(state.read) >= testClockEvery {
		state = c.refresh(machine)
	}
	if !state.reading.at.IsZero() {
		return state.reading.at
	}
	// Without the monotonic part: an offset that changes is a jump of this clock.
	return machine.Round(0).Add(state.reading.offset)
}

// refresh reads the file, unless somebody else just has.
func (c *TestClock) refresh(machine time.Time) *testClockState {
	c.mu.Lock()
	defer c.mu.Unlock()
	state := c.state.Load()
	if machine.Sub(state.read) < testClockEvery {
		return state
	}
	next := &testClockState{reading: state.reading, read: machine}
	if reading, err := readTestClock(c.file); err == nil {
		next.reading = reading
	}
	c.state.Store(next)
	return next
}

func readTestClock(file string) (testClockReading, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return testClockReading{}, err
	}
	reading, err := parseTestClock(strings.TrimSpace(string(content)))
	if err != nil {
		return testClockReading{}, fmt.Errorf("%s: %w", file, err)
	}
	return reading, nil
}

func parseTestClock(text string) (testClockReading, error) {
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		if offset, err := time.ParseDuration(text); err == nil {
			return testClockReading{offset: offset}, nil
		}
	} else if at, err := time.Parse(time.RFC3339Nano, text); err == nil && !at.IsZero() {
		return testClockReading{at: at.UTC()}, nil
	}
	return testClockReading{}, fmt.Errorf(
		"%.40q is no time for a test clock; write an instant such as 2026-02-13T17:50:00+08:00 or an offset such as +36h", text)
}
