package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// moment reads a time of Shanghai, without the time zone, e.g. 2026-02-13 17:50.
func moment(t testing.TB, text string) time.Time {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// timed is a stack of its own whose services all go by one clock that the test moves.
type timed struct {
	*stack
	file string
}

func startTimed(t *testing.T, at string) *timed {
	t.Helper()
	dir := t.TempDir()
	s := &timed{file: filepath.Join(dir, "clock")}
	s.move(t, at)
	var err error
	if s.stack, err = start(suite.bin, filepath.Join(dir, "stack"), "--test-clock", s.file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs()
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// move sets the clock, at once for everybody who looks, and waits until the services have
// looked.
func (s *timed) move(t testing.TB, at string) {
	t.Helper()
	next := s.file + ".next"
	if err := os.WriteFile(next, []byte(moment(t, at).Format(time.RFC3339)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, s.file); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // four times as long as a service believes what it read
}

// receipt is the explanation of a clock after its sums were checked.
func receipt(t testing.TB, c *caller, path string) object {
	t.Helper()
	e := c.get(path + ":explain")
	var counted, all time.Duration
	at := e.text("clock", "startTime")
	for _, s := range e.list("segments") {
		if s.text("startTime") != at {
			t.Errorf("%s: a segment begins at %s, the one before ended at %s", path, s.text("startTime"), at)
		}
		at = s.text("endTime")
		length := span(t, s.text("length"))
		if real := instant(t, s.text("endTime")).Sub(instant(t, s.text("startTime"))); real != length {
			t.Errorf("%s: a segment of %v is said to be %v long", path, real, length)
		}
		all += length
		if s["counted"] == true {
			counted += length
		}
	}
	var summed time.Duration
	for _, s := range e.list("sums") {
		summed += span(t, s.text("length"))
	}
	if summed != all || counted != span(t, e.text("counted")) {
		t.Errorf("%s: the segments are %v, counted %v; the receipt sums up %v, counted %s", path, all, counted, summed, e.text("counted"))
	}
	if due := e.text("clock", "dueTime"); due != "" && (at != due || counted != span(t, e.text("clock", "workingTime"))) {
		t.Errorf("%s: %v of %s are counted up to %s, due at %s", path, counted, e.text("clock", "workingTime"), at, due)
	}
	return e
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Error(err)
	}
	return at
}

func span(t testing.TB, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Error(err)
	}
	return d
}

// due checks a due time, given as a time of Shanghai.
func due(t testing.TB, e object, want string) {
	t.Helper()
	if got := instant(t, e.text("clock", "dueTime")); !got.Equal(moment(t, want)) {
		t.Errorf("%s of clause %s is due at %s, want %s", e.text("clock", "kind"), e.text("clock", "clauseId"),
			got.In(moment(t, want).Location()).Format("2006-01-02 15:04:05"), want)
	}
}

// kinds lists the kinds of segments of a receipt that are there.
func kinds(e object) []string {
	var out []string
	for _, s := range e.list("sums") {
		out = append(out, s.text("kind"))
	}
	slices.Sort(out)
	return out
}

// lateFound waits until a clock is found to be missed and tells how late that was found.
func lateFound(t testing.TB, c *caller, path string) (late string) {
	t.Helper()
	eventually(t, "the miss of "+path, func() bool {
		for _, entry := range c.get(path + ":explain").list("log") {
			if entry.text("type") == "CLOCK_LOG_TYPE_MISSED" {
				late = entry.text("late")
				return true
			}
		}
		return false
	})
	return late
}

// TestDeadlines is the story of deadlines on one clock that the test moves: over a make-up
// Saturday and the Spring Festival, over holds and other priorities, over an outage.
func TestDeadlines(t *testing.T) {
	s := startTimed(t, "2026-02-13 17:50")
	d := openDesk(t, s.stack, "DEPARTMENT_FUNCTION_AFTER_SALES")
	customer := keyCustomer(t, s.stack)
	agent := as(t, s.stack, staff("service-agent", d.agent)...)
	supervisor := as(t, s.stack, staff("service-supervisor", d.supervisor)...)

	open := func() (ticket string) {
		ticket = "/v1/tickets/" + agent.post("/v1/tickets", object{
			"customerId": customer, "channel": "CHANNEL_PHONE", "title": "机器不启动", "priority": "PRIORITY_P3",
		}).text("id")
		supervisor.post(ticket+":assign", object{"staffId": d.agent})
		agent.post(ticket+":start", object{})
		eventually(t, "the standard of a key customer", func() bool {
			return supervisor.get(ticket+"/clocks/resolution:explain").text("clock", "clauseId") == "resolution-key-p3"
		})
		return ticket
	}
	held, moved, forgotten := open(), open(), open()
	due(t, receipt(t, supervisor, held+"/clocks/first-response"), "2026-02-14 10:50")
	due(t, receipt(t, supervisor, held+"/clocks/resolution"), "2026-02-24 17:50")

	s.move(t, "2026-02-14 15:00")
	for _, ticket := range []string{held, moved} {
		agent.post(ticket+":wait", object{"waitFor": "WAIT_FOR_CUSTOMER", "reason": "asked for the serial number"})
	}
	// Day and night since Friday, 8 h were over before the hold began.
	supervisor.post(moved+":prioritize", object{"priority": "PRIORITY_P2", "reason": "the line stands still"})
	strict := receipt(t, supervisor, moved+"/clocks/resolution")
	due(t, strict, "2026-02-14 01:50")
	if state, by := strict.text("clock", "state"), strict.text("clock", "missedBy"); state != "CLOCK_STATE_MISSED" || span(t, by) != 13*time.Hour+10*time.Minute {
		t.Errorf("the clock is %s by %s", state, by)
	}
	// It could not be found before the target applied, so it was not found late.
	if late := lateFound(t, supervisor, moved+"/clocks/resolution"); span(t, late) != 0 {
		t.Errorf("the miss was found %s late", late)
	}
	// In business hours it was not: the miss of the other target is taken back.
	supervisor.post(moved+":prioritize", object{"priority": "PRIORITY_P4", "reason": "a spare machine stands in"})
	if state := receipt(t, supervisor, moved+"/clocks/resolution").text("clock", "state"); state != "CLOCK_STATE_PAUSED" {
		t.Errorf("back in business hours the clock is %s", state)
	}

	s.move(t, "2026-02-25 10:00")
	for _, ticket := range []string{held, moved} {
		agent.post(ticket+":resume", object{})
	}
	resumed := receipt(t, supervisor, held+"/clocks/resolution")
	due(t, resumed, "2026-02-26 13:50")
	want := []string{"CLOCK_SEGMENT_KIND_LUNCH", "CLOCK_SEGMENT_KIND_MAKEUP_WORKDAY", "CLOCK_SEGMENT_KIND_OUTSIDE_HOURS",
		"CLOCK_SEGMENT_KIND_PAUSED", "CLOCK_SEGMENT_KIND_WORKING"}
	if got := kinds(resumed); !slices.Equal(got, want) {
		t.Errorf("the receipt is made of %v, want %v", got, want)
	}
	again := receipt(t, supervisor, moved+"/clocks/resolution")
	due(t, again, "2026-02-27 13:50")
	if got := logTypes(again); !slices.Contains(got, "CLOCK_LOG_TYPE_MISSED") || again.text("clock", "state") != "CLOCK_STATE_RUNNING" {
		t.Errorf("the clock is %s, its log %v; the miss that was taken back stays in the log", again.text("clock", "state"), got)
	}
	if got := kinds(receipt(t, supervisor, forgotten+"/clocks/resolution")); !slices.Contains(got, "CLOCK_SEGMENT_KIND_HOLIDAY") {
		t.Errorf("the receipt over the Spring Festival is made of %v", got)
	}
	s.lateAssignment(t, d, customer)
	s.outage(t, held)
}

// lateAssignment takes a complaint through its first round with everybody prompt but the
// head of department: the miss is theirs alone.
func (s *timed) lateAssignment(t *testing.T, d desk, customer string) {
	agent, handler := as(t, s.stack, staff("service-agent", d.agent)...), as(t, s.stack, staff("support-engineer", d.engineer)...)
	manager := as(t, s.stack, role("service-manager")...)
	at := "/v1/complaints/" + agent.post("/v1/complaints", object{
		"customerId": customer, "channel": "CHANNEL_PHONE", "title": "维修三次仍有故障", "category": "CATEGORY_AFTER_SALES_SERVICE"}).text("id")
	agent.post(at+":submit", object{})
	agent.post(at+":review", object{
		"category": "CATEGORY_AFTER_SALES_SERVICE", "quality": "QUALITY_NON_QUALITY", "severity": "SEVERITY_MAJOR",
		"validAtFirstSight": true, "departmentId": d.department})
	due(t, receipt(t, manager, at+"/clocks/assigned"), "2026-02-25 12:00")

	s.move(t, "2026-02-25 15:00")
	if late := lateFound(t, manager, at+"/clocks/assigned"); span(t, late) != 3*time.Hour {
		t.Errorf("due at 12:00 and found at 15:00, the log says %s late", late)
	}
	eventually(t, "the directory's copy at the complaint desk", func() bool {
		return manager.try("POST", at+":assign", object{"handlerStaffId": d.engineer}).code == http.StatusOK
	})
	due(t, receipt(t, manager, at+"/clocks/contacted"), "2026-02-26 15:00")
	due(t, receipt(t, manager, at+"/clocks/proposed"), "2026-03-02 15:00")
	// Five days from the receipt end later than three from the assignment.
	due(t, receipt(t, manager, at+"/clocks/told"), "2026-03-03 10:00")
	handler.post(at+":recordContact", object{"channel": "CHANNEL_PHONE", "twoWay": true, "note": "heard her out"})
	handler.post(at+":propose", object{"proposal": object{
		"findings": "fuse undersized", "cause": "wrong part", "validity": "VALIDITY_ESTABLISHED", "remedy": "REMEDY_REPLACEMENT",
		"solution": "new machine within two days", "amount": object{"currencyCode": "CNY", "units": "400"}}})
	manager.post(at+":approve", object{"decision": "DECISION_APPROVED"})
	handler.post(at+":tell", object{"channel": "CHANNEL_PHONE", "told": "explained and apologised"})
	clocks(t, manager, at, 1, "documented MET", "reviewed MET", "assigned MISSED", "contacted MET", "proposed MET", "told MET", "approved MET")
}

// outage kills the whole stack before a due time and starts it after: the miss is found on
// return, and how late is said.
func (s *timed) outage(t *testing.T, ticket string) {
	s.move(t, "2026-02-26 13:40")
	st, err := s.state()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	for _, p := range st.Programs {
		eventually(t, "the end of "+p.Name, func() bool { return syscall.Kill(p.PID, 0) != nil })
	}
	s.move(t, "2026-02-26 17:00")
	if s.stack, err = start(s.bin, s.dir, "--test-clock", s.file); err != nil {
		t.Fatal(err)
	}
	supervisor := as(t, s.stack, role("service-manager")...)
	late := lateFound(t, supervisor, ticket+"/clocks/resolution")
	if span(t, late) != 3*time.Hour+10*time.Minute {
		t.Errorf("due at 13:50 and found at 17:00, the log says %s late", late)
	}
	clock := receipt(t, supervisor, ticket+"/clocks/resolution")
	if clock.text("clock", "state") != "CLOCK_STATE_MISSED" || span(t, clock.text("clock", "missedBy")) != 3*time.Hour+10*time.Minute {
		t.Errorf("the clock is %s by %s", clock.text("clock", "state"), clock.text("clock", "missedBy"))
	}
}

func logTypes(e object) []string {
	var out []string
	for _, entry := range e.list("log") {
		out = append(out, entry.text("type"))
	}
	return out
}

// keyCustomer makes a customer of tier key.
func keyCustomer(t *testing.T, s *stack) string {
	t.Helper()
	admin := as(t, s, role("information-administrator")...)
	customer := admin.post("/v1/customers", object{
		"name": unique("客户"), "kind": "CUSTOMER_KIND_DIRECT_USER", "party": "PARTY_ORGANISATION"}).text("id")
	admin.post("/v1/customers/"+customer+":setTier", object{"tier": "TIER_KEY", "reason": "strategic", "endTime": "2027-01-01T00:00:00Z"})
	return customer
}
